# SPDX-License-Identifier: GPL-2.0-only
"""SYN timeouts that adapt: in the flow table, in tcp_synack_retries, in the kernel's own request
sockets; and backlogs that are raised. Nothing of it is left behind."""
import itertools
import json
import os
import signal
import socket
import time

import pytest

import lab as labs
import observer
import services
from conftest import COOKIE_KINDS
from netns import at_last, patience, until
from wire import Talk, Wire

N = 300
PORT, OTHER = 80, 7000
RETRIES = "net.ipv4.tcp_synack_retries"
SYN_BACKLOG = "net.ipv4.tcp_max_syn_backlog"
SOMAXCONN = "net.core.somaxconn"
# with the kernel's cookies (tcp_syncookies = 2) the kernel keeps no half-open connection at all
keeps = pytest.mark.skipif("own" not in COOKIE_KINDS, reason="kernel cookies: no request sockets")
ATTACK = {"attack_above": N, "calm_below": N // 2}  # the last of N makes an attack


@pytest.fixture
def wired(lab):
    lab.server.sysctl(SOMAXCONN, 4096)
    lab.nginx(backlog=4096)  # of fewer, the kernel gives up some itself
    wire = Wire(lab.client)
    yield lab, wire
    wire.close()


def mapping(value):
    """YAML in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {mapping(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(mapping(v) for v in value) + "]"
    return str(value).lower() if isinstance(value, bool) else json.dumps(value)


def policy(lab, defaults=None, **more):
    """A policy file: defaults with these SYN timeouts and bounds; other top keys as given."""
    path = lab.tmp / "policy.yaml"
    defaults = {"syn_timeout": {"calm": "63s", "attack": "3s"}, "half_open": ATTACK, "hold": "10s",
                # only the number of half-open connections counts here
                "syn_rate": {"attack_above": "1000000/s"}, "completion": {"attack_below": "0%"},
                "distinct_sources": {"attack_above": "0/s"}, "queue_overflow": False,
                **(defaults or {})}
    top = {"version": 1, "defaults": defaults, **more}
    path.write_text("".join(f"{key}: {mapping(value)}\n" for key, value in top.items()))
    return path


def syns(wire, n=N, port=PORT):
    """n SYNs that nobody completes, of both families in turn."""
    dst = itertools.cycle([labs.SERVER4, labs.SERVER6])
    talks = [Talk(wire, next(dst), port, options=[("MSS", 1400)]) for _ in range(n)]
    frames = [bytes(t.frame("S", seq=t.isn, ack=0, options=t.options)) for t in talks]
    for i, frame in enumerate(frames):
        wire.socket.send(frame)
        if i % 30 == 29:
            time.sleep(0.03)  # veth's ring has 256 places, and a busy machine lets it fill
    return talks


def kernels(lab, port=PORT):
    """How many request sockets the kernel has."""
    return sum(1 for (_, here, _, _), state in observer.sockets(lab.server).items()
               if state == "SYN-RECEIVED" and here == port)


def ours(lab, port=PORT):
    """How many half-open connections synstile lists, and what it has to say about them."""
    found = json.loads(lab.synstile("conns", "--half-open", "-j").stdout)
    mine = [c for c in found["connections"] if c["dest_port"] == port]
    return len(mine), [s["why"] for s in found["services"] if s["why"]]


def resets(lab):
    return lab.server.counters()["TcpOutRsts"]


def retries(lab):
    return int(lab.server.sysctl(RETRIES))


def kernel_of(lab):
    return lab.status()["kernel"]


def recorded(lab):
    """The sysctls in the record on disk."""
    state = json.loads(open(f"/var/lib/synstile/ns-{lab.server.name}.json").read())
    return {s["name"]: s for s in state["sysctls"]}


def agent(lab):
    return lab.status()["agent"]["pid"]


def kill_agent(lab):
    pid = agent(lab)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not lab.status()["agent"]["running"], 3, "no agent")


def filled(lab, wire):
    """N half-open connections, and the attack that they are; the time of the first."""
    begun = time.monotonic()
    talks = syns(wire)
    until(lambda: any(s["state"] == "attack" for s in lab.status()["services"]), 2, "an attack")
    return begun, talks


def gone(lab, deadline):
    """None is half-open any more, here and in the kernel, at `deadline` at the latest."""
    while (kernels(lab) or lab.service(PORT)["half_open"]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert kernels(lab) == 0 and ours(lab) == (0, [])


# --- the kernel's request sockets


@keeps
@pytest.mark.parametrize("adapt", [True, False], ids=["adapt", "reap"])
def test_attacked(wired, adapt):
    """Under attack handshakes get 3 s, here and in the kernel, and nobody hears of their end.

    Once with all means, once by destroying request sockets alone."""
    lab, wire = wired
    with lab.attached("--policy", policy(lab, kernel={"adapt_synack_retries": adapt})):
        before = resets(lab)
        begun, talks = filled(lab, wire)
        ended = time.monotonic()
        # a client that repeats its SYN is not older for that
        for _ in range(3):
            talks[0].syn()
            talks[1].syn()
            time.sleep(0.3)
        here, there = ours(lab)[0], kernels(lab)
        assert time.monotonic() - begun > 2.8 or (there >= N - 1 and here >= N - 1)
        gone(lab, ended + at_last(4))
        assert resets(lab) == before
        if not adapt:
            assert kernel_of(lab)["timeouts"]["reaped"] == N
            assert retries(lab) == 5
        assert lab.service(PORT)["syn_timeout_ms"] == 3000
        # the kernel and synstile agree, and go on to
        over_time = json.loads(lab.synstile("conns", "--half-open", "-j").stdout)["over_time"]
        assert all(not s["differs_ms"] for s in over_time["services"])


@keeps
def test_calm(wired):
    """With nothing to adapt to, they live as Linux lets them, and not shorter."""
    lab, wire = wired
    lab.server.sysctl(RETRIES, 2)
    calm = {"syn_timeout": {"calm": "7s", "attack": "3s"},
            "half_open": {"attack_above": 4 * N, "calm_below": 2 * N}}
    with lab.attached("--policy", policy(lab, calm)):
        begun = time.monotonic()
        syns(wire)
        time.sleep(max(0, begun + 6 - time.monotonic()))
        here, there = ours(lab), kernels(lab)
        assert time.monotonic() > begun + 6.9 or (there == N and here == (N, []))
        gone(lab, begun + patience(10))
        assert kernel_of(lab)["timeouts"]["reaped"] == 0
        assert retries(lab) == 2


@keeps
def test_calm_shorter_than_the_kernels(wired):
    """A policy may want less than Linux waits, always: that holds too, and no less than that."""
    lab, wire = wired
    calm = {"syn_timeout": {"calm": "4s", "attack": "3s"},
            "half_open": {"attack_above": 4 * N, "calm_below": 2 * N}}
    with lab.attached("--policy", policy(lab, calm)):
        until(lambda: retries(lab) == 2, 4, "a step that is not below 4 s")
        begun = time.monotonic()
        syns(wire)
        time.sleep(max(0, begun + 3 - time.monotonic()))
        there = kernels(lab)
        assert time.monotonic() > begun + 3.9 or there == N
        gone(lab, begun + at_last(6))


@keeps
def test_between(wired):
    """Between both bounds the timeout falls with the number, and as many stay as it allows; of the
    kernel's own as many as of ours, and nobody complains."""
    lab, wire = wired
    low, high, calm, attack = 100, 400, 10, 3
    bounds = {"syn_timeout": {"calm": f"{calm}s", "attack": f"{attack}s"},
              "half_open": {"attack_above": high, "calm_below": low}}
    with lab.attached("--policy", policy(lab, bounds)):
        begun = time.monotonic()
        syns(wire, 250)
        until(lambda: lab.service(PORT)["half_open"] == 250, 2, "half-open")
        assert lab.service(PORT)["syn_timeout_ms"] == 6500
        for after in (7.5, 8.5):
            time.sleep(max(0, begun + after - time.monotonic()))
            here, there = ours(lab)[0], kernels(lab)
            age = time.monotonic() - begun
            assert age > after + 0.5 or abs(here - there) < 30
            # (calm - age) : (calm - attack) = (n - low) : (high - low); a second of it is 43
            expected = low + (high - low) * (calm - age) / (calm - attack)
            assert age > after + 0.5 or expected - 30 < there < expected + 60
        gone(lab, begun + patience(12))
        over_time = json.loads(lab.synstile("conns", "--half-open", "-j").stdout)["over_time"]
        assert all(not s["differs_ms"] for s in over_time["services"])


@keeps
def test_calm_beside_attacked(wired):
    """One service's attack costs another's slow clients nothing."""
    lab, wire = wired
    lab.serve(services.Echo(OTHER, backlog=1000))
    where = [{"name": "web", "listen": [f"*:{PORT}"]},
             {"name": "echo", "listen": [f"*:{OTHER}"], "half_open": {"attack_above": 200}}]
    with lab.attached("--policy", policy(lab, services=where)):
        slow = [Talk(wire, dst, OTHER, options=[("MSS", 1400)])
                for dst in (labs.SERVER4, labs.SERVER6)]
        for talk in slow:
            talk.syn()
            talk.synack()
        begun = time.monotonic()
        filled(lab, wire)
        until(lambda: kernels(lab) == 0, 5, "the others are gone", every=0.2)
        assert kernels(lab, OTHER) == 2
        assert ours(lab, OTHER)[0] == 2
        assert retries(lab) == 5  # for the calm one
        time.sleep(max(0, begun + 10 - time.monotonic()))
        for talk in slow:
            talk.send("A")
            talk.send("PA", b"late")
            assert talk.data() == b"late"


@keeps
def test_waits_for_data(wired):
    """TCP_DEFER_ACCEPT: the client has answered, the kernel keeps a request socket: it stays."""
    lab, wire = wired
    deferring = services.Echo(OTHER, backlog=1000)
    lab.serve(deferring)
    deferring.listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
    both = {"name": "both", "listen": [f"*:{PORT}", f"*:{OTHER}"]}
    with lab.attached("--policy", policy(lab, services=[both])):
        talk = Talk(wire, labs.SERVER4, OTHER, options=[("MSS", 1400)])
        talk.handshake()
        filled(lab, wire)
        until(lambda: kernels(lab) == 0, 5, "the others are gone", every=0.2)
        time.sleep(0.6)
        assert kernels(lab, OTHER) == 1
        talk.send("PA", b"at last")
        assert talk.data() == b"at last"


@keeps
def test_not_allowed(wired):
    """reap_request_sockets and adapt_synack_retries false: the kernel is left alone."""
    lab, wire = wired
    kernel = {"reap_request_sockets": False, "adapt_synack_retries": False}
    with lab.attached("--policy", policy(lab, kernel=kernel)):
        filled(lab, wire)
        until(lambda: lab.service(PORT)["half_open"] == 0, 5, "synstile forgets them", every=0.2)
        assert ours(lab)[0] >= N  # the kernel's, which synstile lists beside its own
        assert kernels(lab) == N
        assert retries(lab) == 5
        timeouts = kernel_of(lab)["timeouts"]
        assert (timeouts["reaping"], timeouts["adapting"], timeouts["reaped"]) == ("off", "off", 0)


# --- the sysctl


def test_retries_follow(wired):
    """One service, under attack: tcp_synack_retries follows, and comes back when it is calm."""
    lab, wire = wired
    with lab.attached("--policy", policy(lab, {"hold": "1s"})):
        assert retries(lab) == 5
        filled(lab, wire)
        until(lambda: retries(lab) == 1, 4, "lowered")
        record = recorded(lab)["net/ipv4/tcp_synack_retries"]
        assert (record["was"], record["set"]) == (5, 1)
        assert kernel_of(lab)["sysctls"][RETRIES] == {"now": 1, "original": 5}
        assert f"{RETRIES} = 1 (was 5)" in lab.synstile("status").stdout
        until(lambda: retries(lab) == 5, 10, "given back")
        until(lambda: "net/ipv4/tcp_synack_retries" not in recorded(lab), 2, "off the record")


@keeps
def test_retries_alone(wired):
    """Where request sockets may not be destroyed, the kernel ends them by the sysctl, of both
    families."""
    lab, wire = wired
    with lab.attached("--policy", policy(lab, kernel={"reap_request_sockets": False})):
        begun, _ = filled(lab, wire)
        until(lambda: retries(lab) == 1, 4, "lowered")
        if time.monotonic() - begun < 2.9:  # before the timers look at it
            until(lambda: kernels(lab) == 0, 2, "gone")
        else:
            until(lambda: kernels(lab) == 0, 6, "gone at the next")
        assert kernel_of(lab)["timeouts"]["reaped"] == 0


@pytest.fixture
def lowered(wired):
    """Attached, under attack, and the sysctl is 1 for now."""
    lab, wire = wired
    with lab.attached("--policy", policy(lab, {"hold": "60s"})):
        filled(lab, wire)
        until(lambda: retries(lab) == 1, 4, "lowered")
        yield lab


def test_retries_detach(lowered):
    lowered.detach()
    assert retries(lowered) == 5


def test_retries_killed(lowered):
    """kill -9 while it is lowered: the next command knows what it was."""
    lab = lowered
    kill_agent(lab)
    assert retries(lab) == 1
    lab.attach()
    assert kernel_of(lab)["sysctls"][RETRIES] == {"now": 1, "original": 5}
    until(lambda: lab.service(PORT)["syn_timeout_ms"] == 3000, 2, "still under attack")
    assert retries(lab) == 1
    kill_agent(lab)
    lab.detach()
    assert retries(lab) == 5


def test_retries_agent_stops(lowered):
    """SIGTERM: nobody would give it back later, so the agent does."""
    lab = lowered
    os.kill(agent(lab), signal.SIGTERM)
    until(lambda: not lab.status()["agent"]["running"], 3, "no agent")
    assert retries(lab) == 5


def test_retries_changed_by_others(lowered):
    """Somebody else's value is respected: while attached and after."""
    lab = lowered
    lab.server.sysctl(RETRIES, 4)
    until(lambda: kernel_of(lab)["timeouts"]["adapting"] == "yielded", 4, "yielded")
    time.sleep(2.5)
    assert retries(lab) == 4
    lab.detach()
    assert retries(lab) == 4


def test_retries_changed_while_dead(lowered):
    lab = lowered
    kill_agent(lab)
    lab.server.sysctl(RETRIES, 3)
    done = lab.detach()
    assert "tcp_synack_retries is left at 3" in done.stderr
    assert retries(lab) == 3


def test_slow_client(wired):
    """Calm, as policies are by default: an ACK after 5 s is in time."""
    lab, wire = wired
    with lab.attached():
        slow = [Talk(wire, dst, options=[("MSS", 1400)]) for dst in (labs.SERVER4, labs.SERVER6)]
        for talk in slow:
            talk.syn()
            talk.synack()
        time.sleep(5)
        for talk in slow:
            talk.send("A")
            talk.get()


# --- backlogs


def test_backlogs(wired):
    """Raised as the policy says, never lowered; given back."""
    lab, _ = wired
    before = lab.server.sysctl(SYN_BACKLOG, 512)
    lab.serve(services.Echo(OTHER, backlog=16))
    asked = policy(lab, kernel={"tcp_max_syn_backlog": 9000, "somaxconn": 8000})
    done = lab.attach("--policy", asked)
    try:
        assert (lab.server.sysctl(SYN_BACKLOG), lab.server.sysctl(SOMAXCONN)) == ("9000", "8000")
        assert f"port {OTHER}: " in done.stdout and "a backlog of 16; no sysctl" in done.stdout
        assert f"port {PORT}: nginx listens with a backlog of 4096; net.core.somaxconn allowed no " \
               "more when it began to listen: restart" in done.stdout
        small = {b["port"]: b for b in kernel_of(lab)["small_backlogs"]}
        assert small[OTHER]["backlog"] == 16 and small[PORT]["backlog"] == 4096
        assert small[OTHER]["text"] in lab.synstile("status").stdout
        assert recorded(lab)["net/core/somaxconn"]["was"] == 4096
        kill_agent(lab)
    finally:
        lab.detach()
    assert (lab.server.sysctl(SYN_BACKLOG), lab.server.sysctl(SOMAXCONN)) == ("512", "4096")
    lab.server.sysctl(SYN_BACKLOG, before)


def test_backlogs_never_lowered(wired):
    lab, _ = wired
    lab.server.sysctl(SYN_BACKLOG, 20000)
    with lab.attached("--policy", policy(lab, kernel={"tcp_max_syn_backlog": 9000,
                                                      "somaxconn": 128})):
        assert (lab.server.sysctl(SYN_BACKLOG), lab.server.sysctl(SOMAXCONN)) == ("20000", "4096")
        assert not {"net/core/somaxconn", "net/ipv4/tcp_max_syn_backlog"} & set(recorded(lab))


def test_backlogs_by_apply(wired):
    """Another policy: raised more, less, and not at all; somebody else's value stays."""
    lab, _ = wired
    lab.server.sysctl(SYN_BACKLOG, 512)
    with lab.attached("--policy", policy(lab, kernel={"tcp_max_syn_backlog": 9000})):
        lab.synstile("policy", "apply", policy(lab, kernel={"tcp_max_syn_backlog": 12000,
                                                            "somaxconn": 8000}))
        assert (lab.server.sysctl(SYN_BACKLOG), lab.server.sysctl(SOMAXCONN)) == ("12000", "8000")
        lab.synstile("policy", "apply", policy(lab, kernel={"tcp_max_syn_backlog": 600}))
        assert (lab.server.sysctl(SYN_BACKLOG), lab.server.sysctl(SOMAXCONN)) == ("600", "4096")
        lab.synstile("policy", "apply", policy(lab))
        assert lab.server.sysctl(SYN_BACKLOG) == "512"
        assert "net/ipv4/tcp_max_syn_backlog" not in recorded(lab)
        lab.synstile("policy", "apply", policy(lab, kernel={"somaxconn": 8000}))
        lab.server.sysctl(SOMAXCONN, 6000)
        lab.synstile("policy", "apply", policy(lab))
        assert lab.server.sysctl(SOMAXCONN) == "6000"
    assert (lab.server.sysctl(SYN_BACKLOG), lab.server.sysctl(SOMAXCONN)) == ("512", "6000")


def test_leaves_nothing(wired):
    """Attack, kill, attach, detach: the host is as it was."""
    lab, wire = wired
    before = lab.snapshot()
    lab.attach("--policy", policy(lab, kernel={"tcp_max_syn_backlog": 9000, "somaxconn": 8000}))
    filled(lab, wire)
    until(lambda: retries(lab) == 1, 4, "lowered")
    kill_agent(lab)
    lab.attach()
    lab.detach()
    assert lab.snapshot() == before
