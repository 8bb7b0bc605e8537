# SPDX-License-Identifier: GPL-2.0-only
"""Policies in force: applied to a datapath at work, all or nothing, and seen on the wire."""
import contextlib
import itertools
import json
import os
import signal
import threading
import time

import pytest
from conftest import COOKIE_KINDS
from scapy.layers.inet import TCP
from scapy.layers.l2 import Ether

import clients
import lab as labs
import observer
import policies
import services
from netns import until
from test_attach import same
from wire import Talk, Wire, checksums_right, options_of

LINUX = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (5000, 0)), ("NOP", None), ("WScale", 7)]
ALWAYS, OBSERVE = {"mode": "always"}, {"mode": "observe"}


def cookies_for(lab, ns, dst=labs.SERVER4, port=80, n=5, src="fresh"):
    """How many of n connects were answered with a cookie. All of them must succeed."""
    before = lab.count("syn_cookie")
    for _ in range(n):
        clients.connect(ns, dst, port, src=src).close()
    return lab.count("syn_cookie") - before


def agent(lab):
    return lab.status()["agent"].get("pid")


def hang_up(lab):
    os.kill(agent(lab), signal.SIGHUP)


# ---- apply, show, diff

def test_apply_show_diff(web):
    path = policies.write(web, [("web", "*:80", ALWAYS)])
    web.attach("--policy", path)
    shown = policies.show(web)
    assert shown["generation"] == 1 and shown["file"] == str(path)
    assert policies.names(web) == ["web"]
    assert policies.service(web, "web")["mode"] == "always"
    assert policies.service(web, "web")["ports"] == [80]
    assert cookies_for(web, web.client) == 5

    path = policies.write(web, [("web", "*:80", OBSERVE)], defaults={"hold": "7s"})
    diff = web.synstile("policy", "diff", path).stdout
    assert "services.web.mode: always -> observe" in diff and "defaults.hold: 10s -> 7s" in diff
    assert policies.generation(web) == 1, "diff only tells"
    applied = web.synstile("policy", "apply", path).stdout
    assert "services.web.mode: always -> observe" in applied and "generation 2" in applied
    assert policies.generation(web) == 2
    assert policies.service(web, "web")["mode"] == "observe"
    assert cookies_for(web, web.client) == 0
    assert "no change" in web.synstile("policy", "diff", path).stdout
    text = web.synstile("status").stdout
    assert str(path) in text and "generation 2" in text
    assert web.status()["policy"]["generation"] == 2


def test_without_a_policy_all_is_built_in(web):
    web.attach()
    shown = policies.show(web)
    assert shown["file"] is None and shown["generation"] == 1
    assert policies.service(web, "80")["mode"] == "auto"
    policies.apply(web, [("web", "*:80", ALWAYS)])
    assert policies.service(web, "80") is None and policies.service(web, "web")
    assert cookies_for(web, web.client) == 5


def test_errors_keep_the_old_one(web):
    web.attach("--policy", policies.write(web, [("web", "*:80", ALWAYS)]))
    bad = web.tmp / "bad.yaml"
    bad.write_text("version: 1\ndefaults:\n  mode: sometimes\n  holt: 5s\n")
    done = web.synstile("policy", "apply", bad, check=False)
    assert done.returncode == 1
    assert "bad.yaml:3:9: defaults.mode" in done.stderr and "bad.yaml:4:3" in done.stderr
    assert policies.put(web, "not JSON")[0] == 400
    status, answer = policies.put(web, json.dumps(
        {"files": [{"name": "/x.yaml", "text": "version: 1\ndefaults: {mode: sometimes}\n"}]}))
    assert status == 400 and answer["error"].startswith("/x.yaml:2:"), answer
    many = [(f"s{i}", f"*:{10000 + i}", {}) for i in range(1000)]
    policies.apply(web, many)
    more = [(f"t{i}", f"*:{20000 + i}", {}) for i in range(1000)]
    done = policies.apply(web, more, check=False)
    assert done.returncode == 1 and "too many services" in done.stderr, done.stderr
    assert policies.generation(web) == 2 and policies.names(web)[0] == "s0"
    # the datapath too: port 80 is a port like others in that one
    assert policies.service(web, "80")["mode"] == "auto"
    assert cookies_for(web, web.client) == 0


def test_attach_with_a_wrong_policy_attaches_nothing(web):
    before = web.snapshot()
    bad = web.tmp / "bad.yaml"
    bad.write_text("version: 1\nservices:\n  - name: web\n    listen: [ \"80:\" ]\n    mood: auto\n")
    done = web.attach("--policy", bad, check=False)
    assert done.returncode == 1
    assert 'bad.yaml:4:15: services[0].listen[0]: "80:"' in done.stderr, done.stderr
    assert "bad.yaml:5:5" in done.stderr and "2 errors" in done.stderr
    same(before, web.snapshot())
    done = web.attach("--policy", web.tmp / "nowhere.yaml", check=False)
    assert done.returncode == 1 and "nowhere.yaml" in done.stderr
    same(before, web.snapshot())


def test_a_further_attach_has_the_same_policy(web):
    path = policies.write(web, [("web", "*:80", ALWAYS)])
    other = policies.write(web, [("web", "*:80", OBSERVE)], name="other.yaml")
    web.attach("--policy", path, ifaces=["s0"])
    done = web.attach("--policy", other, ifaces=["s1"], check=False)
    assert done.returncode == 1 and "synstile policy apply" in done.stderr
    web.attach("--policy", path, ifaces=["s1"])
    assert cookies_for(web, web.client) == 5
    assert cookies_for(web, web.attacker, src=None) == 5
    assert policies.generation(web) == 1


def test_options_take_precedence(web):
    path = policies.write(web, [("ssh", "*:22", {})], defaults=ALWAYS, keys={"life": "5m"})
    web.attach("--policy", path, "--mode", "observe", "--key-life", "10m")
    assert policies.service(web, "80")["mode"] == "observe"
    policies.apply(web, [("web", "*:80", {}), ("other", "*:81", ALWAYS)], defaults=ALWAYS,
                   keys={"life": "6m"})
    assert policies.service(web, "web")["mode"] == "observe"
    assert json.loads(web.synstile("keys", "list", "-j").stdout)["life_s"] == 600


@pytest.mark.skipif("own" not in COOKIE_KINDS, reason="own cookies need Linux 6.9")
def test_key_life_and_tables(web):
    web.attach()
    done = policies.apply(web, keys={"life": "5m"}, tables={"flows": 5000})
    assert json.loads(web.synstile("keys", "list", "-j").stdout)["life_s"] == 300
    assert "tables.flows" in done.stdout and "attached again" in done.stdout, done.stdout
    assert web.status()["max_flows"] != 5000
    path = policies.write(web, tables={"flows": 5000})
    web.detach()
    web.attach("--policy", path)
    assert web.status()["max_flows"] == 5000


# ---- SIGHUP

def test_sighup_reads_the_file_again(web):
    path = policies.write(web, [("web", "*:80", ALWAYS)])
    web.attach("--policy", path)
    policies.write(web, [("web", "*:80", OBSERVE)])
    hang_up(web)
    until(lambda: policies.generation(web) == 2, 3, "the new policy")
    assert policies.service(web, "web")["mode"] == "observe"

    path.write_text("version: 1\ndefaults:\n  mode: sometimes\n")
    hang_up(web)
    until(lambda: web.status()["policy"]["trouble"], 3, "the agent complains")
    assert "policy.yaml:3:9" in web.status()["policy"]["trouble"]
    assert "policy.yaml:3:9" in web.synstile("status").stdout
    assert policies.generation(web) == 2
    assert policies.service(web, "web")["mode"] == "observe"

    policies.write(web, [("web", "*:80", ALWAYS)])
    hang_up(web)
    until(lambda: policies.generation(web) == 3, 3, "the third policy")
    assert web.status()["policy"]["trouble"] is None
    assert cookies_for(web, web.client) == 5


# ---- another agent

@pytest.mark.parametrize("restart", ["attach", "policy in between"])
def test_the_policy_outlives_the_agent(web, restart):
    web.attach("--policy", policies.write(web, [("web", "*:80", OBSERVE)]))
    path = policies.write(web, [("site", "*:80", ALWAYS)])
    web.synstile("policy", "apply", path)
    if restart == "policy in between":
        path.write_text("version: 1\n")  # what was applied counts, not what the file says now
    os.kill(agent(web), signal.SIGKILL)
    assert cookies_for(web, web.client) == 5
    until(lambda: not web.status()["agent"]["running"], 3, "no agent")
    assert web.status()["policy"]["generation"] == 2
    done = web.synstile("policy", "show", check=False)
    assert done.returncode != 0 and "agent" in done.stderr
    web.attach()
    assert policies.generation(web) == 2
    assert policies.names(web) == ["site"]
    assert policies.service(web, "site")["mode"] == "always"
    assert cookies_for(web, web.client) == 5


def test_sysctls_come_with_the_policy(web):
    web.server.sysctl("net.ipv4.tcp_syncookies", 0)
    before = web.snapshot()
    web.attach("--policy", policies.write(web, defaults=OBSERVE))
    assert web.server.sysctl("net.ipv4.tcp_syncookies") == "0"
    policies.apply(web, [("web", "*:80", ALWAYS)], defaults=OBSERVE)
    assert web.server.sysctl("net.ipv4.tcp_syncookies") != "0"
    assert cookies_for(web, web.client) == 5
    web.detach()
    same(before, web.snapshot())


# ---- services

def test_each_service_has_its_mode(web):
    for port in (7000, 7001, 7002):
        web.serve(services.Echo(port))
    web.attach("--policy", policies.write(web, [
        ("strict", ["*:7000", "198.18.0.1:7002"], ALWAYS), ("loose", "*:7001", OBSERVE)]))
    assert cookies_for(web, web.client, port=7000) == 5
    assert cookies_for(web, web.client, port=7001) == 0
    assert cookies_for(web, web.client, port=7002) == 5
    assert cookies_for(web, web.client, dst="198.18.1.1", port=7002) == 0
    assert cookies_for(web, web.client, dst=labs.SERVER6, port=7000) == 5
    assert cookies_for(web, web.client, port=80) == 0
    found = {s["service"]: s for s in web.status()["services"]}
    assert set(found) == {"strict", "loose", "80", "7002"}
    assert found["strict"]["port"] is None and found["strict"]["ports"] == [7000, 7002]
    assert "198.18.0.1:7002" in found["strict"]["listeners"]
    assert "198.18.1.1:7002" in found["7002"]["listeners"]
    assert found["loose"]["port"] == 7001 and found["loose"]["mode"] == "observe"


def test_ranges_and_families(web):
    for port in (7000, 7001, 7005, 7006):
        web.serve(services.Echo(port))
    web.attach("--policy", policies.write(web, [
        ("four", "0.0.0.0:7000-7005", ALWAYS), ("six", "[::]:7001-7006", ALWAYS)]))
    for port, four, six in ((7000, 5, 0), (7001, 5, 5), (7005, 5, 5), (7006, 0, 5)):
        assert cookies_for(web, web.client, labs.SERVER4, port) == four, port
        assert cookies_for(web, web.client, labs.SERVER6, port) == six, port


def test_by_interface(web):
    """The same address and port, another service at another interface; from one policy to
    the next the difference comes and goes."""
    outside = [("outside", "*:80", {"interfaces": ["s1"], **ALWAYS}), ("inside", "*:80", OBSERVE)]
    web.attach("--policy", policies.write(web, outside))
    for n in range(3):
        assert cookies_for(web, web.client) == 0
        assert cookies_for(web, web.attacker, src=None) == 5
        assert cookies_for(web, web.attacker, dst=labs.SERVER6, src=None) == 5
        found = {s["service"]: s["listeners"] for s in web.status()["services"]}
        assert set(found) == {"outside", "inside"}
        assert "198.18.0.1:80 at s1" in found["outside"]
        assert "198.18.0.1:80 at s0" in found["inside"]
        policies.apply(web, [("all", "*:80", ALWAYS if n % 2 else OBSERVE)])
        time.sleep(0.3 * (n == 1))  # both: at once, and when both slots are equal again
        assert cookies_for(web, web.client) == 5 * (n % 2)
        assert cookies_for(web, web.attacker, src=None) == 5 * (n % 2)
        time.sleep(0.6 * (n == 1))
        policies.apply(web, outside)


def test_a_service_keeps_what_goes_on_under_another_name(web):
    """An attack does not begin anew because the service has another name; nor do connections
    lose theirs."""
    web.attach()
    with clients.connect(web.client, labs.SERVER4, 80) as held, web.flood():
        until(lambda: web.service(80)["state"] == "attack", 2, "attack")
        policies.apply(web, [("web", "*:80", {})])
        shop = policies.service(web, "web")
        assert shop["state"] == "attack" and shop["attacks"] == 1
        # two that share what was one: the other one is under attack as well
        policies.apply(web, [("six", "[::]:80", {}), ("four", "0.0.0.0:80", {})])
        for name in ("six", "four"):
            assert policies.service(web, name)["state"] == "attack", name
        held.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")
        assert clients.receive(held, 12) == b"HTTP/1.1 200"


@pytest.mark.parametrize("then", [
    [("site", "*:80", ALWAYS)],
    [("four", "0.0.0.0:80", ALWAYS), ("six", "[::]:80", ALWAYS)],
    [("quiet", ["*:80", "*:7000"], ALWAYS)],
    [("quiet", ["*:80", "*:7000"], OBSERVE)],
    []], ids=["renamed", "cut", "joined", "observed", "gone"])
def test_cookies_under_way_when_the_policy_changes(web, then):
    """A SYN is answered under one policy, and the ACK comes under the next, in which its
    service has another name, or is another one, which has never sent a cookie."""
    web.serve(services.Echo(7000))
    web.attach("--policy", policies.write(
        web, [("web", "*:80", ALWAYS), ("quiet", "*:7000", ALWAYS)]))
    with contextlib.closing(Wire(web.client)) as wire:
        talks = [Talk(wire, dst, options=LINUX) for dst in (labs.SERVER4, labs.SERVER6)]
        for talk in talks:
            talk.syn()
            talk.synack()
        assert web.count("syn_cookie") == 2
        policies.apply(web, then)
        for talk in talks:
            talk.send("A")
            talk.get()
            talk.reset()


def test_no_packet_meets_half_a_policy(make_lab):
    """Two services, the first and the last of 1,000, and an MSS that tells the policy. SYNs to
    both in turn, one after the other on one CPU: no answer is of an older policy than one before
    it was."""
    lab = make_lab(offload=False)
    for port in (7000, 7001):
        lab.serve(services.Echo(port))

    def policy(mss):
        ports = [7000, *range(20000, 20998), 7001]
        return [(f"s{port}", f"*:{port}", {"synack": {"mss": mss}}) for port in ports]

    first, n = 1000, 12
    lab.attach("--policy", policies.write(lab, policy(first), defaults=ALWAYS))
    wire, found = Wire(lab.client), []
    syns = [bytes(Talk(wire, dport=7000 + i % 2, options=LINUX).frame("S", options=LINUX))
            for i in range(2000)]
    done, cpu = threading.Event(), min(os.sched_getaffinity(0))

    def send():
        os.sched_setaffinity(0, {cpu})
        for frame in itertools.cycle(syns):
            if done.wait(0.0001):
                return
            wire.socket.send(frame)

    def receive():
        while not done.is_set():
            frame = wire.receive(0.2)
            if frame is not None and TCP in frame and frame[TCP].flags & 0x12 == 0x12:
                found.append(bytes(frame))

    threads = [threading.Thread(target=f) for f in (send, receive)]
    for t in threads:
        t.start()
    try:
        for i in range(1, n):
            until(lambda: len(found) > 100 * i, 10, "answers")
            policies.apply(lab, policy(first + i), defaults=ALWAYS)
        last = len(found)
        until(lambda: len(found) > last + 100, 10, "answers under the last one")
    finally:
        done.set()
        for t in threads:
            t.join()
        wire.close()
    seen = [options_of(Ether(frame)[TCP])["MSS"] for frame in found]
    assert set(seen) == set(range(first, first + n))
    back = [(a, b) for a, b in itertools.pairwise(seen) if b < a]
    assert not back, back


# ---- the answer

@pytest.mark.parametrize("dst", [labs.SERVER4, labs.SERVER6], ids=["v4", "v6"])
def test_overrides_on_the_wire(make_lab, dst):
    """MSS, window scale and ECN of the SYN-ACK; then the connection works with them."""
    if "own" not in COOKIE_KINDS:
        pytest.skip("with the kernel's cookies there is no window scale to choose")
    lab = make_lab(offload=False)
    lab.nginx()
    wire = Wire(lab.client)
    lab.server.sysctl("net.ipv4.tcp_ecn", 1)
    lab.attach("--policy", policies.write(lab, defaults=ALWAYS), "--cookies", "own")
    talk = Talk(wire, dst, options=LINUX, ecn=True)
    plain = talk.handshake()[TCP]
    usual = 1440 if ":" in dst else 1460
    assert options_of(plain)["MSS"] == usual and "E" in plain.flags
    talk.reset()
    for synack, mss, scale, ecn in (
            ({"mss": 1300, "window_scale": 3, "ecn": False}, 1300, 3, False),
            ({"mss": 9000, "window_scale": 0, "ecn": True}, usual, 0, True)):
        policies.apply(lab, defaults={**ALWAYS, "synack": synack})
        talk = Talk(wire, dst, options=LINUX, ecn=True)
        talk.syn()
        frame = talk.synack()
        assert checksums_right(frame)
        assert options_of(frame[TCP])["MSS"] == mss
        assert options_of(frame[TCP])["WScale"] == scale
        assert ("E" in frame[TCP].flags) == ecn
        talk.send("A")
        talk.get()
        info, = clients.tcp_options(lab.server, "dport", "=", f":{talk.sport}")
        assert info["wscale"].split(",")[1] == str(scale), info
        assert bool(info["ecn"]) == ecn, info
        talk.reset()
    wire.close()


def test_no_window_scale_with_kernel_cookies(web):
    path = policies.write(web, [("web", "*:80", {"synack": {"window_scale": 3}})])
    done = web.attach("--cookies", "kernel", "--policy", path, check=False)
    assert done.returncode == 1 and "policy.yaml:" in done.stderr
    assert "synack.window_scale" in done.stderr
    web.attach("--cookies", "kernel")
    done = web.synstile("policy", "apply", path, check=False)
    assert done.returncode == 1 and "synack.window_scale" in done.stderr
    assert policies.generation(web) == 1


# ---- sources

def refused(lab, src, dst=labs.SERVER4):
    with pytest.raises(OSError):
        clients.connect(lab.client, dst, src=src, timeout=1.5).close()


@pytest.mark.parametrize("mode", ["auto", "always"])
def test_allowed_and_denied(web, mode):
    web.attach("--policy", policies.write(web, defaults={"mode": mode}, sources={
        "deny": ["198.18.70.0/24", "2001:db8:c:0:0:bad::/96"],
        "allow": ["198.18.70.7", "2001:db8:c:0:0:bad:0:7"]}))
    refused(web, "198.18.70.6")
    refused(web, "2001:db8:c::bad:0:6", labs.SERVER6)
    assert web.count("syn_denied") >= 2
    clients.http_get(web.client, labs.SERVER4, src="198.18.70.7")
    clients.http_get(web.client, labs.SERVER4, src="198.18.71.6")
    clients.http_get(web.client, labs.SERVER6, src="2001:db8:c::bad:0:7")
    clients.http_get(web.client, labs.SERVER6, src="2001:db8:c::bae:0:6")
    held = clients.connect(web.client, labs.SERVER4, src="198.18.71.6")
    policies.apply(web, defaults={"mode": mode}, sources={"deny": ["198.18.71.0/24"]})
    refused(web, "198.18.71.6")
    clients.http_get(web.client, labs.SERVER4, src="198.18.70.6")
    # connections that are there are not touched
    held.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")
    assert clients.receive(held, 12) == b"HTTP/1.1 200"
    held.close()
    policies.apply(web)
    clients.http_get(web.client, labs.SERVER4, src="198.18.71.6")


def test_denied_prefixes_from_a_file(web):
    (web.tmp / "bad.txt").write_text("# those\n198.18.70.0/24\n2001:db8:c:0:0:bad::/96\n")
    web.attach("--policy", policies.write(web, sources={"deny": [{"file": "bad.txt"}]}))
    refused(web, "198.18.70.6")
    clients.http_get(web.client, labs.SERVER4, src="198.18.71.6")
    (web.tmp / "bad.txt").write_text("198.18.71.0/24\n")
    hang_up(web)
    until(lambda: policies.generation(web) == 2, 3, "the new policy")
    refused(web, "198.18.71.6")
    clients.http_get(web.client, labs.SERVER4, src="198.18.70.6")


def test_one_source_over_its_limit_and_a_thousand_others(web):
    """Ten times its limit from one address; 1,000 others, one connect each, do not notice."""
    limit = 200
    web.attach("--policy", policies.write(
        web, sources={"syn_limit": {"per_ipv4": f"{limit}/s", "burst": 400}},
        # the limit alone is looked at, not the attack that it would be
        defaults={"syn_rate": {"attack_above": "1000000/s"},
                  "half_open": {"attack_above": 100000},
                  "completion": {"attack_below": "0%"}, "queue_overflow": False}))
    began = time.monotonic()
    with web.flood(src="198.19.0.1/32", rate=10 * limit, seconds=120, scale=False):
        times, errors = clients.get_parallel(web.client, labs.SERVER4, 1000, src="fresh")
        assert len(times) == 1000, f"{len(errors)} failed, first: {errors[:3]}"
        time.sleep(max(0, 4 - (time.monotonic() - began)))
        lasted = time.monotonic() - began
        dropped = web.count("syn_limit")
    # 400 at once, 200 a second: of what was sent the rest. (The generator is not exact.)
    assert dropped > 0.6 * (9 * limit * lasted - 400), (dropped, lasted)
    assert web.count("syn_cookie") == 0


def test_a_verified_client_needs_no_cookie_the_second_time(lab):
    """Under attack: first a cookie, then none; for others still one."""
    lab.server.sysctl("net.core.somaxconn", 8192)
    lab.nginx(backlog=8192)  # room in the kernel for what passes until the attack is noticed
    lab.attach("--policy", policies.write(
        lab, sources={"verified_for": "5m"},
        # an attack by its rate, with room for half-open connections left
        defaults={"syn_rate": {"attack_above": "1000/s"}, "half_open": {"attack_above": 100000},
                  "completion": {"attack_below": "0%"}}))
    src, other = "198.18.77.1", "198.18.77.2"

    def admissions(of):
        return [e["synstile"]["admission"] for e in follower.all("tcp_state")
                if e["src_ip"] == of and e["tcp"]["server_state"] == "ESTABLISHED"
                and e["tcp"]["client_state"] == "ESTABLISHED"]

    with observer.Follower(lab, types=["tcp_state"]) as follower, lab.flood(rate=20_000):
        until(lambda: lab.service(80)["state"] == "attack", 3, "attack")
        for n in range(3):
            clients.http_get(lab.client, labs.SERVER4, src=src, sport=40000 + n)
            until(lambda: len(admissions(src)) > n, 5, "the event of the connection")
        clients.http_get(lab.client, labs.SERVER4, src=other)
        until(lambda: admissions(other), 5, "the event of the connection")
    assert admissions(src) == ["cookie", "verified", "verified"], admissions(src)
    assert admissions(other) == ["cookie"]
    assert lab.count("syn_verified") >= 2
