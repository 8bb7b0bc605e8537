# SPDX-License-Identifier: GPL-2.0-only
"""What must not deceive the observer: forged segments, a full table, a ring nobody reads.

No state is faked, what is not believed is counted by name, and the traffic goes on.
"""
import contextlib
import datetime
import ipaddress
import os
import resource
import signal

import pytest

import clients
import lab as labs
import observer
import services
from netns import SLOW, until
from wire import Talk, Wire

FAMILY = pytest.mark.parametrize("dst", [labs.SERVER4, labs.SERVER6], ids=["v4", "v6"])
LINUX = [("MSS", 1400), ("SAckOK", b""), ("Timestamp", (5000, 0)), ("NOP", None), ("WScale", 7)]
OPEN = "ESTABLISHED", "ESTABLISHED"


@pytest.fixture
def wire(lab):
    with contextlib.closing(Wire(lab.client)) as made:
        yield made


def one(lab, talk):
    """The record of a conversation."""
    found = [c for c in observer.conns(lab, "--host", talk.src)
             if observer.client_of(c) == (talk.src, talk.sport)]
    assert len(found) == 1, found
    return found[0]


def oddities(lab):
    return {k: n for k, n in lab.status()["oddities"].items() if n}


# --- forged segments: (oddity, what to send); `t` has the numbers of the real client

BLIND = {
    "rst_far_away": ("rst_ignored", lambda t: t.frame("R", seq=t.seq + 2**31)),
    "rst_in_window": ("rst_ignored", lambda t: t.frame("R", seq=t.seq + 1000)),
    "rst_one_below": ("rst_ignored", lambda t: t.frame("R", seq=t.seq - 1)),
    "rst_ack_in_window": ("rst_ignored", lambda t: t.frame("RA", seq=t.seq + 1)),
    "syn": ("syn_ignored", lambda t: t.frame("S", seq=t.isn + 12345, ack=0, options=LINUX)),
    "syn_in_window": ("syn_ignored", lambda t: t.frame("S", seq=t.seq + 10, ack=0, options=LINUX)),
    "ack_of_data_never_sent": ("ack_unsent", lambda t: t.frame("A", ack=t.ack + 100_000)),
    "ack_of_long_ago": ("ack_unsent", lambda t: t.frame("A", ack=t.ack - 2**30)),
    "data_that_acks_too_much": ("ack_unsent", lambda t: t.frame("PA", b"x" * 9, ack=t.ack + 1000)),
    "data_far_above": ("out_of_window",
                       lambda t: t.frame("PA", b"x" * 9, seq=t.seq + 0x10000000)),
    "fin_far_above": ("out_of_window", lambda t: t.frame("FA", seq=t.seq + 0x10000000)),
    "data_far_below": ("out_of_window",
                       lambda t: t.frame("PA", b"x" * 9, seq=t.seq - 0x10000000)),
    "fin_that_acks_too_much": ("ack_unsent", lambda t: t.frame("FA", ack=t.ack + 1000)),
}


@FAMILY
@pytest.mark.parametrize("mode", ["auto", "always"])
def test_forged(lab, wire, dst, mode):
    """Whoever can send in a client's name but does not hear its numbers achieves nothing."""
    lab.nginx()
    with lab.attached("--mode", mode):
        for name, (oddity, forge) in BLIND.items():
            talk = Talk(wire, dst, options=LINUX)
            talk.handshake()
            talk.get()
            before, counted = one(lab, talk), oddities(lab)
            wire.send(forge(talk))
            until(lambda: oddities(lab).get(oddity, 0) == counted.get(oddity, 0) + 1, 2,
                  lambda: f"{name} is counted as {oddity}: {oddities(lab)} after {counted}")
            after = one(lab, talk)
            assert observer.states(after) == OPEN, name
            for key in ("flow_id", "src_ip"):
                assert after[key] == before[key], name
            assert after["synstile"]["change"] == before["synstile"]["change"], name
            talk.get()
            assert observer.states(one(lab, talk)) == OPEN, name
            closes(lab, talk, name)
        assert sum(oddities(lab).values()) == len(BLIND)


def closes(lab, talk, name):
    """The real client's FIN is believed."""
    talk.send("FA")
    until(lambda: observer.states(one(lab, talk))[1] in ("LAST-ACK", "TIME-WAIT", "CLOSED"), 2,
          f"after {name}: the server closes too")
    fin = talk.reply(2, "the server's FIN", lambda tcp: "F" in tcp.flags)
    talk.ack = fin["TCP"].seq + 1
    talk.send("A")
    until(lambda: observer.states(one(lab, talk)) == ("TIME-WAIT", "CLOSED"), 2, f"end of {name}")


@FAMILY
def test_forged_in_the_handshake(lab, wire, dst):
    """An ACK with a wrong number, or a reset, completes and ends nothing."""
    lab.nginx()
    with lab.attached("--mode", "auto"):
        talk = Talk(wire, dst, options=LINUX)
        talk.syn()
        talk.synack()
        # (Linux takes any reset within the window here, so there is none of those.)
        for frame in (talk.frame("A", ack=talk.ack + 1), talk.frame("A", ack=talk.ack - 1),
                      talk.frame("R", seq=talk.seq + 2**31), talk.frame("R", seq=talk.seq - 1),
                      talk.frame("PA", b"x" * 9, ack=talk.ack + 77)):
            wire.send(frame)
        until(lambda: sum(oddities(lab).values()) >= 4, 2, "they are counted")
        talk.answers(0.2)  # resets for the wrong ACKs (RFC 9293 3.10.7.4), which end nothing
        assert observer.states(one(lab, talk)) == ("SYN-SENT", "SYN-RECEIVED")
        talk.send("A")
        until(lambda: observer.states(one(lab, talk)) == OPEN, 2, "the real ACK")
        talk.get()
        assert observer.states(one(lab, talk)) == OPEN


@FAMILY
def test_fin_before_what_was_seen(lab, wire, dst):
    """A FIN that claims the stream ended before bytes that have passed."""
    lab.nginx()
    with lab.attached("--mode", "auto"):
        talk = Talk(wire, dst, options=LINUX)
        talk.handshake()
        talk.get()
        counted = oddities(lab)
        wire.send(talk.frame("FA", seq=talk.seq - 5))
        until(lambda: oddities(lab) != counted, 2, "it is counted")
        talk.get()
        assert observer.states(one(lab, talk)) == OPEN


# --- tables and buffers

@pytest.fixture
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def ask(s):
    """A page, over a connection that stays open."""
    s.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
    got = b""
    while not got.endswith(labs.PAGE):
        part = s.recv(65536)
        assert part, got
        got += part


@pytest.mark.parametrize("mode", ["observe", "auto", "always"])
def test_full_table(lab, many_files, mode):
    """1024 records, 3000 connections: all are served, and what is not followed is counted."""
    n, room = 3000, 1024
    lab.nginx()
    with lab.attached("--mode", mode, "--max-flows", str(room)), contextlib.ExitStack() as stack:
        for i in range(n):
            dst = labs.SERVER6 if i % 2 else labs.SERVER4
            ask(stack.enter_context(clients.connect(lab.client, dst, src="fresh")))
        status = lab.status()
        assert status["flows"]["total"] <= room
        assert status["oddities"]["unfollowed"] >= n - room
        shown = observer.conns(lab)
        assert len(shown) == status["flows"]["total"] > room * 0.9
        assert {observer.states(c) for c in shown} == {OPEN}


def load(lab, n, first=0):
    done = lab.client.run(labs.BUILD / "tools" / "many", labs.SERVER4, 80, n, 16, "198.18.64.1",
                          16000, first, check=False, timeout=120)
    assert done.stdout == f"{n} served, 0 failed\n", done.stdout + done.stderr


def test_nobody_reads_the_ring(lab):
    """The agent is killed: traffic goes on, and what did not fit is told by the next agent."""
    lab.nginx()
    n = 20_000  # connections of six events or more; 8 MiB hold some 75,000
    with lab.attached("--mode", "observe"):
        pid = lab.status()["agent"]["pid"]
        os.kill(pid, signal.SIGKILL)
        until(lambda: not lab.status()["agent"]["running"], 5, "the agent is dead")
        load(lab, n)
        status = lab.status()
        lost = status["lost"]["tcp_state"]["ring"]
        assert status["flows"]["closed"] == n
        assert 0 < lost < n * 8
        assert lab.synstile("events", check=False).returncode == 3

        lab.attach(check=False)  # starts the agent again
        until(lambda: lab.status()["agent"]["running"], 5, "another agent")
        with observer.Follower(lab) as events:
            told = [e for e in observer.backlog(lab, "--type", "lost") if "tcp_state" in e["lost"]]
            assert observer.lost(told, "tcp_state", "ring") == lost
            load(lab, 10, first=n)
            events.beat(2)
            assert len(events.all("tcp_state")) >= 60
            assert not observer.lost(events.all(), "tcp_state")


# --- attacks

def test_attack_is_told(lab):
    """Begin, a line a second, end."""
    lab.server.sysctl("net.ipv4.tcp_syncookies", 0)
    lab.server.sysctl("net.ipv4.tcp_synack_retries", 1)  # what was let in before it ends in 3 s
    lab.nginx()
    with lab.attached("--mode", "auto"), observer.Follower(lab) as events:
        with lab.flood():
            start = events.until(lambda e: e["event_type"] == "attack_start", 5, "attack_start")
            events.until(lambda e: e["event_type"] == "attack_progress"
                         and e["attack"]["syn_rate"] > e["attack"]["syn_rate_bound"], 5, "progress")
            served, errors = clients.get_many(lab.client, labs.SERVER4, 20, src="fresh")
            assert not errors
        assert start["synstile"]["service"] == "80"
        assert set(start["attack"]["reasons"]) & {"half_open", "syn_rate"}
        end = events.until(lambda e: e["event_type"] == "attack_end", 40, "attack_end")
        progress = events.all("attack_progress")
        assert len(progress) >= 3
        since = [datetime.datetime.fromisoformat(e["attack"]["since"]) for e in [start, *progress, end]]
        assert max(since) - min(since) < datetime.timedelta(milliseconds=50)
        assert end["attack"]["duration_ms"] >= 10_000
        assert start["attack"]["attacks"] == end["attack"]["attacks"] == 1
        # not one event for a SYN
        spoofed = [e for e in events.all("tcp_state") if e["src_ip"].startswith("198.19.")]
        assert len(spoofed) < 2000, "only those of before the attack was noticed"
        assert lab.service(80)["state"] == "calm"


def test_verdicts_are_sampled(lab):
    """Dropped packets: told by the sample, and the others are counted; none is forgotten."""
    lab.nginx()
    with lab.attached("--mode", "always"), observer.Follower(lab) as events:
        with lab.flood("ack", seconds=2, rate=50_000):
            until(lambda: lab.count("cookie_invalid") > 20_000, 15, "20,000 are dropped")
        events.beat(3, 10)
        dropped = lab.count("cookie_invalid")
        told = events.all("verdict")
        assert {e["synstile"]["verdict"] for e in told} == {"cookie_invalid"}
        assert all(e["src_ip"].startswith("198.19.") and e["dest_port"] == 80 for e in told)
        assert all("ack" in e["tcp"]["flags"] for e in told)
        cpus = os.cpu_count()
        assert len(told) <= 250 * cpus * (5 + 2 * SLOW)
        assert len(told) + observer.lost(events.all(), "verdict") == dropped


# --- the commands

@FAMILY
def test_filters(lab, dst):
    """Only what was asked for comes, while all of it happens."""
    other = labs.SERVER4 if dst == labs.SERVER6 else labs.SERVER6
    lab.nginx()
    lab.serve(services.Echo(7000))
    me = str(ipaddress.ip_address(clients.fresh_address(dst)))
    with lab.attached("--mode", "auto"), contextlib.ExitStack() as stack:
        def follow(*args, types=("tcp_state",)):
            return stack.enter_context(observer.Follower(lab, *args, types=types))

        by_port = follow("--port", "7000")
        by_host, by_server = follow("--host", me), follow("--host", other)
        by_both = follow("--port", "80", "--host", me)
        nothing = follow(types=("attack_start",))
        clients.http_get(lab.client, dst, src=me)
        clients.http_get(lab.client, other)
        for target, src in ((dst, me), (other, None)):
            with clients.connect(lab.client, target, 7000, src=src) as s:
                s.sendall(b"hello")
                assert clients.receive(s, 5) == b"hello"
        everyone = by_port, by_host, by_server, by_both, nothing
        observer.beat_all(*everyone)
        seen = [{(e["src_ip"] == me, e["dest_ip"], e["dest_port"]) for e in events.all()
                 if e["event_type"] != "stats"} for events in everyone]
        assert seen[0] == {(True, dst, 7000), (False, other, 7000)}
        assert seen[1] == {(True, dst, 7000), (True, dst, 80)}
        assert seen[2] == {(False, other, 7000), (False, other, 80)}
        assert seen[3] == {(True, dst, 80)}
        assert seen[4] == set()
        backlog = observer.backlog(lab, "--type", "tcp_state")
        assert len(backlog) >= 4 * 6
        text = lab.synstile("events", "--port", "80", "--host", me).stdout.splitlines()
        assert len([line for line in text if f"{me}" in line]) == len(text) >= 6
        assert any("SYN-SENT>ESTABLISHED | SYN-RECEIVED>ESTABLISHED" in line for line in text)
    assert all(events.status == 0 for events in everyone), "^C is a good end"


MISTAKES = [
    (["events", "--type", "tcp_stat"], ["tcp_state"]),
    (["events", "--type", ""], ["tcp_state", "retransmission", "attack_start"]),
    (["events", "--port", "0"], ["port"]),
    (["events", "--port", "65536"], ["65536"]),
    (["events", "--port", "http"], ["http"]),
    (["events", "--host", "198.18.0.256"], ["198.18.0.256"]),
    (["events", "--lines", "-1"], ["-1"]),
    (["events", "extra"], ["extra"]),
    (["events", "--nonsense"], ["nonsense"]),
    (["conns", "--state", "ESTABLISHD"], ["ESTABLISHED"]),
    (["conns", "--port", "70000"], ["70000"]),
    (["conns", "--host", "::g"], ["::g"]),
    (["conns", "--sort", "size"], ["age", "bytes", "rtx"]),
    (["conns", "--limit", "many"], ["many"]),
    (["conns", "extra"], ["extra"]),
]


def test_mistakes(lab):
    """Usage is status 2 and names the word, also when nothing is attached; that is 3."""
    lab.nginx()

    def all_refused():
        for args, words in MISTAKES:
            done = lab.synstile(*args, check=False)
            assert done.returncode == 2, (args, done.stderr)
            assert all(word in done.stderr for word in words), (args, done.stderr)
            assert not done.stdout
    all_refused()
    for command in (["events"], ["events", "-f"], ["conns"], ["conns", "--half-open", "-j"]):
        done = lab.synstile(*command, check=False)
        assert done.returncode == 3 and done.stderr and not done.stdout, command
    with lab.attached("--mode", "auto"):
        all_refused()
        for state in ("established", "ESTAB", "Syn_Received", "SYN-RECV", "fin_wait1", "TimeWait"):
            assert observer.conns(lab, "--state", state) == []


@pytest.mark.parametrize("how", ["killed", "detached"])
def test_agent_ends_while_followed(lab, how):
    """Whoever follows is told, and has status 3."""
    lab.nginx()
    with lab.attached("--mode", "auto"):
        with observer.Follower(lab) as events:
            if how == "killed":
                os.kill(lab.status()["agent"]["pid"], signal.SIGKILL)
            else:
                lab.detach()
            until(lambda: events.process.poll() is not None, 10, "it ends")
            assert events.process.returncode == 3
            assert b"agent" in events.process.stderr.read()


def test_reader_goes_away(lab):
    """`synstile events -f | head -1` ends, with status 0."""
    lab.nginx()
    with lab.attached("--mode", "auto"):
        events = observer.Follower(lab)
        with events:
            pass
        read, write = os.pipe()
        process = lab.server.popen(labs.SYNSTILE, "-n", lab.server.name, "events", "-f",
                                   stdout=write)
        os.close(write)
        os.close(read)
        clients.http_get(lab.client, labs.SERVER4)
        until(lambda: process.poll() is not None, 10, "it ends")
        assert process.returncode == 0
