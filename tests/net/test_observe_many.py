# SPDX-License-Identifier: GPL-2.0-only
"""Very many connections: each has exactly its transitions in the stream, in order; or what is
missing is counted, exactly, in `lost`."""
import os
import re
import signal
import subprocess

import pytest

import lab as labs
import observer
from netns import SLOW, LabError, until

PORT = 80
PARTS = 8
N = max(1_000, int(200_000 / SLOW) // PARTS // 4 * PARTS * 4)

# What one end may do next, as far as it shows on the wire. Who gets a FIN and sends its own by the
# same segment was in CLOSE-WAIT only before that.
ARROWS = {
    "CLOSED": {"SYN-SENT"},
    "LISTEN": {"SYN-RECEIVED"},
    "SYN-SENT": {"ESTABLISHED"},
    "SYN-RECEIVED": {"ESTABLISHED"},
    "ESTABLISHED": {"FIN-WAIT-1", "CLOSE-WAIT", "LAST-ACK"},
    "FIN-WAIT-1": {"FIN-WAIT-2", "CLOSING", "TIME-WAIT"},
    "FIN-WAIT-2": {"TIME-WAIT"},
    "CLOSING": {"TIME-WAIT"},
    "CLOSE-WAIT": {"LAST-ACK"},
    "LAST-ACK": {"CLOSED"},
    "TIME-WAIT": {"CLOSED"},
}
OPEN = "ESTABLISHED", "ESTABLISHED"
OVER = {("TIME-WAIT", "CLOSED"), ("CLOSED", "TIME-WAIT"), ("TIME-WAIT", "TIME-WAIT"),
        ("CLOSED", "CLOSED")}


def field(name):
    return rb'"%s":"?([^",}]+)' % name.encode()


EVENT = re.compile(rb'.*?"flow_id":(\d+).*?"tcp":{(.*?)}.*?"change":(\d+)')
STATES = [re.compile(field(name)) for name in ("old_client_state", "old_server_state",
                                              "client_state", "server_state")]


class Chains:
    """Follows each connection's chain of transitions. For a Follower to be.

    begins: the states before the first event; jumps: transitions beyond ARROWS."""

    def __init__(self, lab, begins=("CLOSED", "LISTEN"), jumps=()):
        super().__init__(lab, types=("tcp_state", "lost"))
        self.begins, self.jumps = begins, set(jumps)
        self.seen, self.was_open = {}, set()  # {flow_id: (events, last change, last states)}
        self.wrong, self.gaps, self.count = [], 0, 0

    def take(self, line):
        found = EVENT.match(line)
        if not found:
            return super().take(line)
        flow, change = int(found[1]), int(found[3])
        old_client, old_server, client, server = (
            m and m[1].decode() for m in (p.search(b"," + found[2]) for p in STATES))
        # "client_state" is found in "old_client_state" too, if that comes first: it does not
        old, new = (old_client or client, old_server or server), (client, server)
        n, last, states = self.seen.get(flow, (0, 0, self.begins))
        self.count += 1
        self.seen[flow] = n + 1, change, new
        if change == last + 1:
            if old != states or not all(map(self.allowed, old, new)):
                self.wrong.append((flow, change, states, old, new))
        elif change > last + 1:
            self.gaps += change - last - 1
        else:
            self.wrong.append((flow, change, f"after change {last}"))
        if new == OPEN:
            self.was_open.add(flow)

    def allowed(self, old, new):
        return old == new or new in ARROWS[old] or (old, new) in self.jumps

    def lost(self):
        return observer.lost(self.all("lost"), "tcp_state")


class Recorded(Chains, observer.Recorder):
    """Misses nothing."""


class Followed(Chains, observer.Follower):
    """May be too slow."""


def load(lab, n, first=0, dst=labs.SERVER4):
    """n connections, each from an address and port of its own; `first` of those are used already."""
    source = "198.18.64.1" if dst == labs.SERVER4 else "2001:db8:c::1"
    done = lab.client.run(labs.BUILD / "tools" / "many", dst, PORT, n, 32, source, 16000, first,
                          check=False, timeout=300)
    assert done.stdout == f"{n} served, 0 failed\n", done.stdout + done.stderr


def records(lab):
    """{flow_id: (changes, states)} of what is in the table, which is too much for json.loads()."""
    line = re.compile(rb'{"flow_id": (\d+).*?"client_state": "([^"]*)", "server_state": "([^"]*)"'
                      rb'.*"change": (\d+)')
    with lab.server.inside():
        process = subprocess.Popen([labs.SYNSTILE, "-n", lab.server.name, "conns", "-j"],
                                   stdout=subprocess.PIPE)
    with process:
        found = {int(m[1]): (int(m[4]), (m[2].decode(), m[3].decode()))
                 for m in map(line.match, process.stdout) if m}
    if process.returncode:
        raise LabError(f"synstile conns: exit {process.returncode}")
    return found


def check(events, table, n):
    """Every connection's chain is whole, but for as many events as were lost."""
    assert not events.wrong, f"{len(events.wrong)} wrong: {events.wrong[:5]}"
    missing = events.gaps
    for flow, (changes, states) in table.items():
        seen = events.seen.get(flow, (0, 0, None))
        if seen[1:] == (changes + 1, ("CLOSED", "CLOSED")):
            seen = seen[0], changes, states  # it expired after the table was read
        missing += changes - seen[1]
        if seen[1] == changes:
            assert seen[2] == states, f"{flow}: {seen[2]} in the stream, {states} in the table"
        assert states in OVER, f"{flow} is in {states}"
    over = [states for flow, (_, _, states) in events.seen.items() if flow not in table]
    assert missing == events.lost(), f"{missing} are missing, {events.lost()} counted as lost"
    if missing:
        return
    # what is no longer in the table has expired, and ended with an event
    assert set(over) <= {("CLOSED", "CLOSED")} and len(events.seen) == n
    if not events.jumps:
        assert len(events.was_open) == n


# The stack may take a proven client only when more than its ACK has come.
COOKIE_JUMPS = [(old, new) for old in ("SYN-SENT", "SYN-RECEIVED")
                for new in ("FIN-WAIT-1", "CLOSE-WAIT")]


@pytest.mark.parametrize("mode,n,begins,jumps", [
    pytest.param("observe", N, ("CLOSED", "LISTEN"), [], id="observe"),
    # a proven cookie is the first that is known of a connection
    pytest.param("always", N // 4, ("SYN-SENT", "SYN-RECEIVED"), COOKIE_JUMPS, id="always")])
def test_each_has_its_transitions(lab, mode, n, begins, jumps):
    lab.nginx()
    with lab.attached("--mode", mode, "--max-flows", "524288"):
        with Recorded(lab, begins, jumps) as events:
            for part in range(PARTS):
                load(lab, n // PARTS, part * (n // PARTS))
                events.beat(2, 30)
            table = records(lab)
            events.beat(2, 30)
            check(events, table, n)
        assert lab.status()["oddities"]["unfollowed"] == 0


def test_full_ring(lab):
    """The agent sleeps: the ring holds some 75,000 events, and all others are counted."""
    n = max(20_000, N // 8)
    lab.nginx()
    with lab.attached("--mode", "observe"), Recorded(lab) as events:
        agent = lab.status()["agent"]["pid"]
        os.kill(agent, signal.SIGSTOP)
        try:
            load(lab, n)
        finally:
            os.kill(agent, signal.SIGCONT)
        events.beat(3, 30)
        table = records(lab)
        events.beat(2, 30)
        check(events, table, n)
        assert observer.lost(events.all(), "tcp_state", "ring") > n


def test_slow_subscriber(lab):
    """One that does not read loses its own events, is told how many, and nobody else notices."""
    lab.nginx()
    with lab.attached("--mode", "observe"):
        with Recorded(lab) as events, Followed(lab) as slow:
            slow.process.send_signal(signal.SIGSTOP)
            load(lab, max(10_000, int(30_000 / SLOW)))
            events.beat(3, 30)
            told, lost = events.count, events.lost()
            assert slow.count < told and not observer.lost(events.all(), "tcp_state", "subscriber")
            slow.process.send_signal(signal.SIGCONT)
            until(lambda: slow.count + slow.lost() >= told + lost, 20, "the slow one is told")
            slow.beat(2)
            assert slow.count + slow.lost() == told + lost
            assert observer.lost(slow.all(), "tcp_state", "subscriber") == told - slow.count
            assert not events.wrong and not slow.wrong
            # it goes on with what happens now
            before = slow.count
            load(lab, 10, dst=labs.SERVER6)
            slow.beat(2)
            assert slow.count >= before + 60


def test_memory_is_bounded(lab):
    """Many that do not read cost the agent no more than their queues: 4 MiB each."""
    subscribers = 8
    lab.nginx()
    with lab.attached("--mode", "observe"):
        stopped = []
        try:
            for _ in range(subscribers):
                stopped.append(Followed(lab).__enter__())
            for follower in stopped:
                follower.process.send_signal(signal.SIGSTOP)
            before = resident(lab)
            load(lab, max(10_000, int(30_000 / SLOW)))
            assert resident(lab) - before < (subscribers + 5) * 5 << 20
        finally:
            for follower in stopped:
                follower.process.kill()
            for follower in stopped:
                follower.__exit__()


def resident(lab):
    """Bytes of memory that the agent has."""
    with open(f"/proc/{lab.status()['agent']['pid']}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) << 10
