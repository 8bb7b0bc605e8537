# SPDX-License-Identifier: GPL-2.0-only
"""Half-open connections: the list is the kernel's, entry for entry, and when both part it is said."""
import contextlib
import itertools
import json

import pytest

import clients
import lab as labs
import observer
import services
from dropper import BACK, Dropper
from netns import at_last, patience, until
from wire import Talk, Wire

N = 100
RETRIES = 1         # net.ipv4.tcp_synack_retries
TIMEOUT_MS = 3000   # (2^(RETRIES + 1) - 1) s
PORT = 80


@pytest.fixture
def calm(lab):
    """A server that gives up soon; its listeners have room for 255 half-open connections."""
    lab.server.sysctl("net.ipv4.tcp_synack_retries", RETRIES)
    lab.nginx(backlog=511)
    wire = Wire(lab.client)
    yield lab, wire
    wire.close()


def talks(wire, n, port=PORT):
    """n conversations from addresses of the wire's own, of both families in turn."""
    dst = itertools.cycle([labs.SERVER4, labs.SERVER6])
    return [Talk(wire, next(dst), port, options=[("MSS", 1400)]) for _ in range(n)]


def tuple_of(talk):
    return talk.src, talk.sport, talk.dst, talk.dport


def syn_received(lab):
    """The kernel's request sockets, from the client's side."""
    return {(c, d, a, b) for (a, b, c, d), state in observer.sockets(lab.server).items()
            if state == "SYN-RECEIVED"}


def half_open(lab, *args):
    return json.loads(lab.synstile("conns", "--half-open", "-j", *args).stdout)


def listed(lab):
    return {observer.tuple_of(c) for c in half_open(lab)["connections"]}


def service(found, port=PORT):
    return next(s for s in found["services"] if s["port"] == port)


def over_time(lab, port=PORT):
    """What the agent has to say about a service."""
    found = half_open(lab)["over_time"]
    return next((s for s in found["services"] if s["port"] == port), None) if found else None


def test_hundred(calm):
    """SYNs that never complete: all are listed, as the kernel does, and gone at the timeout."""
    lab, wire = calm
    with lab.attached("--mode", "auto"), observer.Follower(lab) as events:
        wanted = {tuple_of(talk): talk for talk in talks(wire, N)}
        for talk in wanted.values():
            talk.syn()
        kernels = until(lambda: len(found := syn_received(lab)) == N and found, 2, "100 SYN-RECV")
        assert kernels == set(wanted)
        found = half_open(lab)
        assert {observer.tuple_of(c) for c in found["connections"]} == kernels
        assert (service(found)["synstile"], service(found)["kernel"]) == (N, N)
        assert not service(found)["why"]
        for conn in found["connections"]:
            check_entry(conn, wanted[observer.tuple_of(conn)])
        assert len(observer.conns(lab, "--state", "SYN-RECEIVED")) == N
        assert lab.service(PORT)["half_open"] == N and lab.service(PORT)["state"] == "calm"

        gone = until(lambda: observer.kinds(events.all()).get("half_open_timeout") == N, 10,
                     "100 events") and until(lambda: not syn_received(lab), 3, "all gone")
        assert gone and not listed(lab)
        assert lab.service(PORT)["half_open"] == 0
        events.beat()
        told = events.all("half_open_timeout")
    assert {observer.tuple_of(e) for e in told} == kernels and len(told) == N
    assert len({e["flow_id"] for e in told}) == N
    for e in told:
        assert TIMEOUT_MS <= e["half_open_timeout"]["age_ms"] < TIMEOUT_MS + at_last(3000)
        assert e["half_open_timeout"]["syns"] == 1
        assert e["half_open_timeout"]["syn_acks"] == 1 + RETRIES
        assert e["tcp"]["old_client_state"] == "SYN-SENT"
        assert e["tcp"]["old_server_state"] == "SYN-RECEIVED"
        assert e["synstile"]["end"] == "syn_timeout" and e["synstile"]["service"] == str(PORT)


def check_entry(conn, talk):
    assert observer.states(conn) == ("SYN-SENT", "SYN-RECEIVED")
    assert conn["tcp"]["client"]["isn"] == talk.isn and conn["tcp"]["server"]["isn"]
    assert conn["tcp"]["client"]["mss"] == 1400
    assert conn["synstile"]["service"] == str(PORT)
    assert conn["synstile"]["age_ms"] < patience(TIMEOUT_MS)
    more = conn["half_open"]
    assert more["known_to"] == "both" and not more["note"]
    assert more["syns"] == 1 and 1 <= more["syn_acks"] <= 1 + RETRIES
    assert 0 < more["syn_timeout_left_ms"] <= TIMEOUT_MS
    assert more["kernel"]["state"] == "SYN-RECV"
    assert 0 <= more["kernel"]["next_ms"] <= 2500


def test_text(calm):
    """What a person sees: a head line for the service, and one for each."""
    lab, wire = calm
    with lab.attached("--mode", "auto"):
        some = talks(wire, 4)
        for talk in some:
            talk.syn()
        until(lambda: len(listed(lab)) == 4, 2, "all are listed")
        text = lab.synstile("conns", "--half-open").stdout
    assert "synstile 4, kernel 4" in text
    for talk in some:
        assert talk.src in text and str(talk.sport) in text
    assert len([line for line in text.splitlines() if line.endswith(" both")]) == 4


def test_repeated_and_completed(calm):
    """A client that repeats its SYN is one entry; one that completes leaves the list."""
    lab, wire = calm
    lab.server.sysctl("net.ipv4.tcp_synack_retries", 5)
    with lab.attached("--mode", "auto"):
        one, other = talks(wire, 2)
        one.syn()
        one.synack()
        one.syn()
        other.syn()
        until(lambda: {c["half_open"]["syns"] for c in half_open(lab)["connections"]} == {1, 2}, 2,
              "two entries, one of two SYNs")
        other.synack()
        other.send("A")
        until(lambda: listed(lab) == {tuple_of(one)}, 2, "one is left")
        assert listed(lab) == syn_received(lab)
        one.send("A")
        until(lambda: not listed(lab), 2, "none is left")
        one.get()
        other.get()


def test_refused_by_reset(calm):
    """The client answers the SYN-ACK with a RST: neither has it any more. Whether one whose number
    is not exact will do is up to the kernel; both agree."""
    lab, wire = calm
    lab.server.sysctl("net.ipv4.tcp_synack_retries", 5)
    with lab.attached("--mode", "auto"), observer.Follower(lab) as events:
        one, other = talks(wire, 2)
        for talk in (one, other):
            talk.syn()
            talk.synack()
        until(lambda: len(listed(lab)) == 2, 2, "listed")
        one.send("R", options=(), ack=0)
        until(lambda: tuple_of(one) not in syn_received(lab) | listed(lab), 2, "gone")
        end = events.until(lambda e: e.get("synstile", {}).get("end") == "rst_client", 2, "the end")
        assert observer.tuple_of(end) == tuple_of(one)
        other.send("R", options=(), seq=other.seq + 1000, ack=0)
        events.beat()
        if tuple_of(other) in syn_received(lab):  # not so on older kernels
            assert {c["half_open"]["known_to"] for c in half_open(lab)["connections"]} == {"both"}
        assert not events.all("half_open_timeout")


def test_what_the_host_opens(calm):
    """SYN-SENT of the host's own: with the kernel's timer, until it is answered."""
    lab, _ = calm
    held = services.Service(7000)
    held.start(lab.client)
    try:
        with Dropper(lab) as dropper, lab.attached("--mode", "auto"):
            dropper.lose(BACK)
            with lab.server.socket(clients.family_of(labs.CLIENT4)) as s:
                s.bind((labs.SERVER4, 20001))
                s.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    s.connect((labs.CLIENT4, 7000))
                conn, = until(lambda: half_open(lab)["connections"], 2, "listed")
                assert observer.tuple_of(conn) == (labs.SERVER4, 20001, labs.CLIENT4, 7000)
                assert observer.states(conn) == ("SYN-SENT", "LISTEN")
                assert conn["synstile"]["host_is"] == "client"
                assert conn["half_open"]["known_to"] == "both"
                assert conn["half_open"]["kernel"]["state"] == "SYN-SENT"
                dropper.clear()
                until(lambda: not half_open(lab)["connections"], 5, "established")
    finally:
        held.stop()


def test_kernel_answers_with_its_own_cookies(calm):
    """The kernel keeps nothing: that both differ is said within seconds, with the reason."""
    lab, wire = calm
    lab.server.sysctl("net.ipv4.tcp_syncookies", 2)
    lab.server.sysctl("net.ipv4.tcp_synack_retries", 5)
    with lab.attached("--mode", "observe"):
        some = talks(wire, 5)
        for talk in some:
            talk.syn()
        for talk in some:
            talk.synack()
        found = half_open(lab)
        assert not syn_received(lab) and service(found)["kernel"] == 0
        assert service(found)["synstile"] == service(found)["only_synstile"] == 5
        assert "cookies" in service(found)["why"]
        assert {c["half_open"]["known_to"] for c in found["connections"]} == {"synstile"}
        later = until(lambda: (said := over_time(lab)) and said["differs_ms"] > 1000 and said, 6,
                      "the agent notices that both differ")
        assert later["kernel"] == 0 and "cookies" in later["why"]
        assert "cookies" in lab.synstile("conns", "--half-open").stdout


def test_full_backlog(lab):
    """The kernel drops the SYN: the server is shown in LISTEN, and why."""
    held = lab.serve(services.Service(7000, backlog=3, accept=False))
    lab.server.sysctl("net.ipv4.tcp_syncookies", 0)
    wire = Wire(lab.client)
    with contextlib.closing(wire), contextlib.ExitStack() as stack:
        lab.attach("--mode", "observe")
        for _ in range(held.backlog + 1):
            stack.enter_context(clients.connect(lab.client, labs.SERVER4, 7000))
        talk = Talk(wire, labs.SERVER4, 7000)
        talk.syn()
        found = until(lambda: (f := half_open(lab))["connections"] and f, 2, "listed")
        conn, = found["connections"]
        assert observer.states(conn) == ("SYN-SENT", "LISTEN")
        assert conn["half_open"]["known_to"] == "synstile" and conn["half_open"]["syn_acks"] == 0
        assert "accept queue is full" in service(found, 7000)["why"]
        later = until(lambda: (said := over_time(lab, 7000)) and said["differs_ms"] > 1000 and said,
                      6, "the agent notices that both differ")
        assert "accept queue is full" in later["why"]
        held.accepting.set()
        until(lambda: len(held.connections) == held.backlog + 1, 2, "the queue is empty")
        talk.syn()
        talk.synack()
        until(lambda: half_open(lab)["connections"][0]["half_open"]["known_to"] == "both", 2,
              "both have it now")
        until(lambda: over_time(lab, 7000)["differs_ms"] == 0, 6, "the agent sees that it is over")
        talk.send("R", options=(), ack=0)


def test_short_handshakes_are_no_disagreement(lab):
    """A busy server, each of whose handshakes is short: nothing to say."""
    lab.nginx()
    with lab.attached("--mode", "observe"):
        out = lab.client.run(labs.BUILD / "tools" / "many", labs.SERVER4, PORT, 20_000, 8,
                             "198.18.64.1", 16000, timeout=60).stdout
        assert out.startswith("20000 served, 0 failed"), out
        for _ in range(10):
            said = over_time(lab)
            assert not said or (said["differs_ms"] == 0 and not said["why"]), said
            lab.client.run(labs.BUILD / "tools" / "many", labs.SERVER4, PORT, 2000, 8,
                           "198.18.64.1", 16000, timeout=60)
