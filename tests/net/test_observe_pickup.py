# SPDX-License-Identifier: GPL-2.0-only
"""Mid-stream pickup: synstile comes when connections are in the middle of what they do.

It learns from the host's stack what that knows, and from what passes from then on. What it cannot
know it shows as unknown; nothing that it shows is wrong. The scripts are those of
test_observe_truth.py, of which a part has gone by.
"""
import contextlib
import socket

import pytest

import clients
import lab as labs
import observer
import services
import truth
from netns import until
from scripted import SCRIPTS, Connection

UNKNOWN = None
PARTS = 5  # of most scripts that is all

# The far end has taken one step, of which the host has not heard, as by a FIN that was lost
BEHIND = {"SYN-SENT": {"LISTEN"}, "SYN-RECEIVED": {"LISTEN"}, "ESTABLISHED": {"SYN-SENT"},
          "FIN-WAIT-1": {"ESTABLISHED"}, "LAST-ACK": {"CLOSE-WAIT"},
          "CLOSED": {"LAST-ACK"},
          # whether both FINs crossed is not known: the usual is shown
          "CLOSING": {"CLOSE-WAIT", "LAST-ACK"}, "TIME-WAIT": {"FIN-WAIT-2", "CLOSED"}}


def is_not_wrong(run, seen):
    """May this be shown? `seen`: opener's and acceptor's, or None for no record."""
    c, step = run.connection, run.step
    local = 0 if c.by == "server" else 1
    if seen is None:
        # only the stack can tell of a connection that does not move: it must have had a socket
        return step.stacks[local] in ("CLOSED", "LISTEN", "SYN-SENT") or step.shown is None
    for end in (0, 1):
        allowed = {UNKNOWN, step.stacks[end], (step.shown or step.stacks)[end]}
        if end != local:
            allowed |= BEHIND.get(step.stacks[end], set())
        if seen[end] not in allowed:
            return False
    return True


def half_way(looker, runs, steps):
    """Without synstile: every connection comes to its step number `steps`, or to its end."""
    def go_on():
        before = looker.stacks()
        for run in runs:
            c = run.connection
            states = tuple(before[c.hosts[e]].get(c.key(e)) for e in ("opener", "acceptor"))
            there = truth.stacks_agree(run.step.stacks, states)
            if there and (not run.step.ready or run.step.ready()):
                run.here = run.steps == steps
                if not run.here and not run.done:
                    run.advance()
        return all(run.done or run.here for run in runs)

    for run in runs:
        run.here = False
    until(go_on, 30, "all stacks are half way")


def pass_by(looker, runs):
    """Some do not stay where they are: they repeat what was lost, or give up."""
    for run, (states, _) in looker.look(runs).items():
        if not truth.stacks_agree(run.step.stacks, states):
            run.advance()


@pytest.mark.parametrize("steps", range(1, PARTS + 1))
def test_nothing_shown_is_wrong(lab, steps):
    with contextlib.ExitStack() as stack:
        dropper, listeners = stack.enter_context(truth.hosts(lab))
        runs = []
        for function, opened_by, cookies in SCRIPTS:
            for by in opened_by if not cookies else ():
                for family in (socket.AF_INET, socket.AF_INET6):
                    connection = Connection(lab, dropper, listeners, by, family, None)
                    stack.callback(connection.forget)
                    runs.append(truth.Run(connection, function))
        looker = truth.Looker(lab)
        half_way(looker, runs, steps)
        with lab.attached("--mode", "auto"):
            pass_by(looker, runs)
            wrong = truth.drive(looker, runs, is_not_wrong)
            assert not wrong, f"{len(wrong)} of {len(runs)}:\n" + "\n\n".join(wrong[:10])
            vague = [f"{run}: {seen}" for run, seen in looker.look(runs).items()
                     if run.steps > steps + 1 and not truth.is_right(run, seen[1])]
            assert not vague, f"{len(vague)} have said enough:\n" + "\n".join(vague[:10])


FAMILY = pytest.mark.parametrize("dst", [labs.SERVER4, labs.SERVER6], ids=["v4", "v6"])


@FAMILY
@pytest.mark.parametrize("first", ["client", "server"])
def test_from_either_direction(lab, dst, first):
    """The one who speaks first, and its answer, make both ends known."""
    held = lab.serve(services.Service(7000))
    with clients.connect(lab.client, dst, 7000) as client:
        server = until(lambda: held.connections, 2, "accepted")[0]
        client.sendall(b"before")
        assert clients.receive(server, 6) == b"before"
        with lab.attached():
            def shown():
                found, = observer.conns(lab)
                return found

            conn = shown()
            assert conn["synstile"]["admission"] == "adopted"
            assert conn["synstile"]["opened"] is None and conn["synstile"]["age_ms"] is None
            assert conn["synstile"]["handshake_rtt_us"] is None
            assert conn["tcp"]["server_state"] == "ESTABLISHED"
            assert conn["tcp"]["client_state"] in (None, "ESTABLISHED")
            for side in ("client", "server"):
                assert conn["tcp"][side]["isn"] is None and conn["tcp"][side]["mss"] is None
            here, there = (client, server) if first == "client" else (server, client)
            here.sendall(b"hello")
            assert clients.receive(there, 5) == b"hello"
            until(lambda: observer.states(shown()) == ("ESTABLISHED", "ESTABLISHED"), 2, "known")
            conn = shown()
            assert conn["tcp"][first]["bytes"] == 5
            assert conn["tcp"][first]["retransmissions"] == 0
            assert (observer.client_of(conn) == client.getsockname()[:2])
            here.shutdown(socket.SHUT_WR)
            until(lambda: set(observer.states(shown())) == {"FIN-WAIT-2", "CLOSE-WAIT"}, 2, "FIN")
            there.close()
            until(lambda: set(observer.states(shown())) == {"TIME-WAIT", "CLOSED"}, 2, "the end")

