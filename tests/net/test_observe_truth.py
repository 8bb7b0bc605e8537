# SPDX-License-Identifier: GPL-2.0-only
"""The truth: what synstile shows of each end is what ss(8) shows on that end's host, step by step.

300 connections at a time go through the scripts of scripted.py, opened by either host, over IPv4
and IPv6. After each step both kernels must have come to the states that the script expects, and
synstile must show the same within a second, or what the step says: where a segment has
not reached it, it cannot know.

No socket in ss(8) is LISTEN (before) or CLOSED (after); when both ends are CLOSED the record
may be gone.
"""
import contextlib
import itertools
import socket
import time

import pytest
from conftest import COOKIES

import truth
from netns import patience
from scripted import SCRIPTS, Connection

CONNECTIONS = 300


def plan(cookies):
    """Scripts with who opens and the family, over and over. Only the client meets cookies."""
    kinds = [(function, by, family) for function, opened_by, only in SCRIPTS
             for by in opened_by for family in (socket.AF_INET, socket.AF_INET6)
             if only is None or only == bool(cookies and by == "client")]
    assert len(kinds) <= CONNECTIONS
    return list(itertools.islice(itertools.cycle(kinds), CONNECTIONS))


def test_calm(lab):
    """The stack answers every SYN."""
    go_through(lab, None, "--mode", "auto")


@pytest.mark.parametrize("cookies", COOKIES)
def test_cookies(lab, cookies):
    """synstile answers every SYN from outside: there is no record until a cookie is proven."""
    go_through(lab, cookies, "--mode", "always", "--cookies", cookies)


def go_through(lab, cookies, *args):
    with contextlib.ExitStack() as stack:
        dropper, listeners = stack.enter_context(truth.hosts(lab))
        stack.enter_context(lab.attached(*args))
        runs = []
        for function, by, family in plan(cookies):
            connection = Connection(lab, dropper, listeners, by, family, cookies)
            stack.callback(connection.forget)
            runs.append(truth.Run(connection, function))
        looker = truth.Looker(lab)
        wrong = truth.drive(looker, runs)
        assert not wrong, f"{len(wrong)} of {len(runs)} connections:\n" + "\n\n".join(wrong[:10])
        assert {host for host, _ in looker.closing} == {"client", "server"}
        assert_still(looker, runs)


def assert_still(looker, runs):
    """All at once, when nothing moves any more."""
    end = time.monotonic() + patience(2)
    while True:
        seen = looker.look(runs)
        left = [f"{run}: {seen.get(run)}" for run in runs if run not in seen
                or not truth.stacks_agree(run.step.stacks, seen[run][0])
                or not truth.is_right(run, seen[run][1])]
        if not left:
            return
        assert time.monotonic() < end, f"at the end, {len(left)} differ:\n" + "\n".join(left[:5])
        time.sleep(0.1)
