# SPDX-License-Identifier: GPL-2.0-only
"""Driving scripted connections (scripted.py), and comparing what ss(8) and synstile show of them."""
import contextlib
import time

import observer
from dropper import Dropper
from netns import at_last, patience
from scripted import Listeners, Step

NO_SOCKET = "LISTEN", "CLOSED"


class Run:
    """One connection on its way through its script."""

    def __init__(self, connection, function):
        self.connection, self.name = connection, function.__name__
        self._script = function(connection)
        self.step, self.steps, self.done = None, 0, False
        self.advance()

    def advance(self):
        step = next(self._script, None)
        if step is None:
            self.done = True
            return
        self.step = step if isinstance(step, Step) else Step(*step)
        self.steps += 1
        self.began, self.there = time.monotonic(), None

    def __str__(self):
        return (f"{self.name}, step {self.steps}, {self.connection}: "
                f"wanted {self.step.stacks}, shown {self.step.shown} {self.step.because}")


def stack_states(run, sockets):
    """Both ends' states by ss, as far as it knows: None for no socket."""
    c = run.connection
    return tuple(sockets[c.hosts[end]].get(c.key(end)) for end in ("opener", "acceptor"))


def stacks_agree(want, seen):
    return all(s == w if s else w in NO_SOCKET for w, s in zip(want, seen))


def shown_agrees(want, seen, cookies):
    if want in (None, ("CLOSED", "CLOSED")):
        return seen in (None, want)
    return seen == want or (cookies and want == ("SYN-SENT", "LISTEN") and seen is None)


class Looker:
    """Looks at both kernels and at synstile."""

    def __init__(self, lab):
        self.lab, self.closing = lab, set()

    def stacks(self):
        found = {host: observer.sockets(getattr(self.lab, host)) for host in ("client", "server")}
        self.closing |= {(host, key) for host in found for key, state in found[host].items()
                         if state == "CLOSING"}
        return found

    def look(self, runs):
        """{run: (states by ss, states by synstile)} of those whose stacks stood still meanwhile."""
        before = self.stacks()
        shown = observer.shown(self.lab)
        after = self.stacks()
        still = {}
        for run in runs:
            states = stack_states(run, before)
            if states == stack_states(run, after):
                still[run] = states, shown.get(run.connection.key("opener"))
        return still


def is_right(run, seen):
    """Is this what has to be shown?"""
    return shown_agrees(run.step.shown, seen, run.connection.cookies)


def judge(run, seen_stacks, seen_shown, good):
    """Is the step done? `good` says whether what is shown will do. When it is too late for that it
    raises AssertionError."""
    now = time.monotonic()
    views = f"{run}\nss: {seen_stacks}\nsynstile: {seen_shown}"
    if not stacks_agree(run.step.stacks, seen_stacks) or (run.step.ready and not run.step.ready()):
        # what was lost is repeated after up to as long as it has taken until now
        assert now - run.began < at_last(20), f"the stacks did not come to this: {views}"
        run.there = None
        return False
    run.there = run.there or now
    if good(run, seen_shown):
        return True
    assert now - run.there < patience(1), f"mismatch: {views}"
    return False


def drive(looker, runs, good=is_right):
    """All of them to the end of their scripts; the mismatches."""
    wrong, open_runs = [], list(runs)
    while open_runs:
        for run, seen in looker.look(open_runs).items():
            try:
                if judge(run, *seen, good):
                    run.advance()
            except AssertionError as error:
                wrong.append(str(error))
                run.done = True
        open_runs = [run for run in open_runs if not run.done]
        time.sleep(0.02)
    return wrong


@contextlib.contextmanager
def hosts(lab):
    """(dropper, listeners) of a lab whose hosts take over ports in TIME-WAIT, as scripts want to."""
    for ns in (lab.client, lab.server):
        ns.sysctl("net.ipv4.tcp_tw_reuse", 1)
    with Dropper(lab) as dropper, contextlib.closing(Listeners(lab, 4)) as listeners:
        yield dropper, listeners
