# SPDX-License-Identifier: GPL-2.0-only
"""Under a flood: clients are served, tables stay small, and every packet has its reason.

Floods come from spoofed addresses over a wire of their own and last a few seconds.
tcp_syncookies is off on the server before synstile comes, so that nothing else helps.
"""
import json
import os
import re
import resource
import signal
import time

import pytest
from conftest import COOKIES

import clients
import lab as labs
from netns import patience, until

FAMILY = pytest.mark.parametrize("dst", [labs.SERVER4, labs.SERVER6], ids=["v4", "v6"])


@pytest.fixture
def target(lab):
    """nginx, and a kernel without a defence of its own."""
    lab.server.sysctl("net.ipv4.tcp_syncookies", 0)
    lab.nginx()
    return lab


@FAMILY
def test_without_synstile_most_fail(target, dst):
    """The flood bites: this is what the other tests are measured against.

    The kernel renews its full queue once a second, counted from the flood's beginning, and for
    two milliseconds there is room. Clients that repeat their SYN once a second must not be in
    step with that.
    """
    with target.flood(dst=dst):
        time.sleep(0.5)
        times, errors = clients.get_parallel(target.client, dst, 40, src="fresh", timeout=2)
    assert len(errors) > len(times), f"{len(times)} of 40 were served"


@FAMILY
@pytest.mark.parametrize("mode", ["auto", "always"])
@pytest.mark.parametrize("cookies", COOKIES)
def test_every_new_client_is_served(target, cookies, mode, dst):
    """A new client address every connect: 200 of 200."""
    before = target.server.sysctl("net.ipv4.tcp_syncookies")
    with target.attached("--mode", mode, "--cookies", cookies):
        with target.flood(dst=dst):
            if mode == "auto":
                until(lambda: target.service(80)["state"] == "attack", 2, "attack")
            times, errors = clients.get_many(target.client, dst, 200, src="fresh")
        assert len(times) == 200, f"{len(errors)} of 200 failed, first: {errors[:3]}"
        assert target.count("syn_cookie") > 1000
        assert target.count("cookie_valid") >= 200 - 20 * (mode == "auto")
    assert target.server.sysctl("net.ipv4.tcp_syncookies") == before


def test_clients_on_the_flooded_wire(target):
    """Clients that share the interface, and the listener, with the flood."""
    with target.attached("--mode", "always"):
        with target.flood():
            times, errors = clients.get_many(target.attacker, labs.SERVER4, 100)
    assert len(times) == 100, f"{len(errors)} of 100 failed, first: {errors[:3]}"


def test_attach_in_the_middle_of_a_flood(target):
    with target.flood(), target.attached("--mode", "auto"):
        until(lambda: target.service(80)["state"] == "attack", 2, "attack")
        times, errors = clients.get_many(target.client, labs.SERVER4, 100, src="fresh")
    assert len(times) == 100, f"{len(errors)} of 100 failed, first: {errors[:3]}"


@pytest.mark.parametrize("kind", ["ack", "synack", "rst", "fin", "data", "mixed", "garbage"])
def test_other_floods(target, kind):
    """Not only SYNs. Nothing is answered that nobody asked for: no RST leaves the server."""
    with target.attached("--mode", "always"):
        before = target.server.counters()["TcpOutRsts"]
        with target.flood(kind):
            times, errors = clients.get_many(target.client, labs.SERVER4, 100, src="fresh")
        assert len(times) == 100, f"{len(errors)} of 100 failed, first: {errors[:3]}"
        reason = {"ack": "cookie_invalid", "data": "cookie_invalid", "synack": "synack_stray",
                  "rst": "rst_stray"}.get(kind)
        assert reason is None or target.count(reason) > 1000
        if kind not in ("mixed", "garbage"):  # these may hold what the stack must answer
            assert target.server.counters()["TcpOutRsts"] == before


@pytest.mark.parametrize("mode", ["auto", "always"])
def test_flood_fills_no_table(target, mode):
    """A SYN that gets a cookie is remembered nowhere."""
    with target.attached("--mode", mode):
        with target.flood(seconds=3) as flood:
            if mode == "auto":
                until(lambda: target.service(80)["state"] == "attack", 2, "attack")
            before = target.status()["flows"]
            until(lambda: target.count("syn_cookie") > 50_000, 20, "50,000 cookies")
            flood.poll()
        after = target.status()["flows"]
    assert after["total"] <= before["total"]
    if mode == "always":
        assert before["total"] == 0


@pytest.mark.parametrize("mode", ["observe", "auto", "always"])
def test_tables_are_bounded(target, mode):
    """--max-flows holds, whatever is sent; and a full table turns nobody away."""
    with target.attached("--mode", mode, "--max-flows", "1024"):
        with target.flood("mixed", seconds=2), target.flood("syn", seconds=2, seed=2):
            until(lambda: sum(sum(bank.values()) for bank in target.status()["counters"].values())
                  > 20_000, 20, "20,000 packets")
        assert target.status()["flows"]["total"] <= 1024

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, most))
    with target.attached("--mode", mode, "--max-flows", "1024"):
        held = [clients.connect(target.client, labs.SERVER4, 80, src="fresh") for _ in range(1300)]
        times, errors = clients.get_many(target.client, labs.SERVER4, 50, src="fresh")
        assert len(times) == 50, errors[:3]
        for s in held:  # also those that the table had no room for
            s.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")
            assert clients.receive(s, 12) == b"HTTP/1.1 200"
            s.close()
        assert target.status()["flows"]["total"] <= 1024


def test_auto_goes_to_attack_and_back(target):
    """calm, attack under flood, and calm again after the hold time.

    The addresses exist here and reset what they did not ask for, so that the half-open
    connections from before the attack was noticed do not linger for 63 s.
    """
    target.attacker.batch("route add local 198.19.0.0/16 dev lo\n")
    with target.attached("--mode", "auto"):
        assert target.service(80)["state"] == "calm"
        attacks = target.service(80)["attacks"]
        with target.flood(rate=20_000, seconds=8, scale=False):  # above rate_attack_above
            until(lambda: target.service(80)["state"] == "attack", 4, "attack")
            assert target.count("syn_cookie") > 0
        until(lambda: target.service(80)["state"] == "calm", 25, "calm again", every=0.25)
        service = target.service(80)
        assert service["attacks"] == attacks + 1 and service["half_open"] < 64
        calm, cookies = target.count("syn_calm"), target.count("syn_cookie")
        times, _ = clients.get_many(target.client, labs.SERVER4, 20, src="fresh")
        assert len(times) == 20
        assert target.count("syn_calm") == calm + 20 and target.count("syn_cookie") == cookies


def actions():
    """{reason: action} from verdict.h, and which reasons TC counts (on top of XDP's)."""
    text = (labs.ROOT / "include/synstile/verdict.h").read_text()
    table = text[text.index("#define SYNSTILE_VERDICTS"):text.index("// clang-format on")]
    found = {name: action for action, name in re.findall(r'X\(\w+,\s*(\w+),\s*"(\w+)"', table)}
    begin = table.index("TC ingress")
    by_tc = re.findall(r'X\(\w+,\s*\w+,\s*"(\w+)"', table[begin:table.index("cannot happen")])
    return found, set(by_tc)


def test_observe_touches_nothing(target):
    """Everything goes to the stack; what would have been done is counted apart."""
    action, _ = actions()
    with target.attached("--mode", "observe"):
        before = target.server.counters()
        with target.flood(rate=50_000, seconds=2):
            until(lambda: target.count("syn_cookie", "observed") > 1000, 10, "counting")
        with target.flood("ack", rate=5000, seconds=1):
            until(lambda: target.count("cookie_invalid", "observed") > 100, 10, "counting")
        after = target.server.counters()
        done = target.status()["counters"]["done"]
    touched = {n: c for n, c in done.items() if c and action[n] != "PASS"}
    assert not touched
    assert after["TcpOutRsts"] - before["TcpOutRsts"] > 100  # the stack answered the ACKs
    assert after["TcpExtListenDrops"] > before["TcpExtListenDrops"]  # and met the SYNs


@pytest.mark.parametrize("kind", ["syn", "mixed", "garbage"])
def test_every_packet_has_a_reason(target, kind):
    """The counters of an interface add up to the packets that it received."""
    _, by_tc = actions()
    with target.attached("--mode", "always"):
        def packets():
            return target.server.device("s1")["rx"]

        def reasons():
            s1 = next(i for i in target.status()["interfaces"] if i["name"] == "s1")
            return sum(n for r, n in s1["counters"]["done"].items() if r not in by_tc)

        def both():
            now = packets(), reasons()
            return packets() == now[0] and now

        arrived, counted = until(both, 3, "a moment without packets")  # IPv6 reports its groups
        with target.flood(kind, rate=100_000, seconds=1) as flood:
            flood.wait(patience(10))
        until(lambda: packets() - arrived > 10_000, 10, "packets")
        until(lambda: reasons() - counted == packets() - arrived, 3, lambda: "the same: "
              f"{reasons() - counted} reasons, {packets() - arrived} packets")


@pytest.mark.parametrize("cookies", COOKIES)
def test_agent_killed_under_flood(target, cookies):
    """kill -9 of every process: the datapath goes on, status and detach work."""
    before = target.snapshot()
    with target.flood():
        target.attach("--mode", "auto", "--cookies", cookies)
        until(lambda: target.service(80)["state"] == "attack", 2, "attack")
        assert target.status()["agent"]["running"]
        pids = target.synstile_pids()
        assert pids
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        until(lambda: not target.synstile_pids(), 2, "all are dead")
        times, errors = clients.get_many(target.client, labs.SERVER4, 100, src="fresh")
        assert len(times) == 100, f"{len(errors)} of 100 failed, first: {errors[:3]}"
        status = target.status()
        assert not status["agent"]["running"]
        assert status["services"] and status["counters"]["done"]["cookie_valid"] >= 80
        target.detach()
    assert json.dumps(target.snapshot()) == json.dumps(before)
