# SPDX-License-Identifier: GPL-2.0-only
"""docs/guide.md: every command in it works, and the committed outputs are of its present words."""
import re
import subprocess
import sys

import pytest
from conftest import COOKIE_KINDS

import lab as labs
from netns import patience

pytestmark = pytest.mark.skipif("own" not in COOKIE_KINDS, reason="the guide shows own cookies")

COMMITTED = labs.ROOT / "docs/guide.md"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """The guide, read and obeyed: a command that fails, fails here."""
    path = tmp_path_factory.mktemp("guide") / "guide.md"
    done = subprocess.run([sys.executable, labs.ROOT / "tests/net/guide.py", path], text=True,
                          capture_output=True, timeout=patience(90))
    assert done.returncode == 0, done.stderr
    return path.read_text()


def outputs(page):
    """[(command, lines of its output)]"""
    found = []
    for box in page.split("```console\n")[1:]:
        for line in box.split("```")[0].splitlines():
            if line.startswith("$ "):
                found.append((line, []))
            elif found:
                found[-1][1].append(line)
    return found


SAME = ("policy check", "policy diff", "policy apply", "policy show", "attach", "detach")


def test_committed_outputs_are_todays(fresh):
    """But for numbers: `make docs` was run after the last change of what is printed."""
    made, committed = outputs(fresh), outputs(COMMITTED.read_text())
    assert [c for c, _ in made] == [c for c, _ in committed]
    for (command, lines), (_, was) in zip(made, committed):
        if any(f"synstile {name}" in command for name in SAME):
            assert [re.sub(r"\d+", "#", x) for x in lines] == [re.sub(r"\d+", "#", x) for x in was]
        assert head(lines) == head(was), command


def head(lines):
    """The headings of tables."""
    return [line.split() for line in lines if re.match(r" ?(SERVICE|INTERFACE|CLIENT|KEY) ", line)]


def test_what_it_shows(fresh):
    """What the text says of the outputs is to be seen in them: fresh and committed."""
    for page in (fresh, COMMITTED.read_text()):
        told = {command: "\n".join(lines) for command, lines in outputs(page)}
        assert "mode observe" in told["$ sudo synstile attach eth0 eth1 --policy policy.yaml"]
        assert "defaults.mode: observe -> auto" in told["$ sudo synstile policy diff policy.yaml"]
        events = told["$ synstile events -t attack_start,attack_progress -l 2"]
        assert "SYN/s (bound 5000)" in events
        status = told["$ synstile status"]  # the last one: during the attack
        assert "under ATTACK" in status and "SPOOFED" in status and "cookie_valid" in status
        assert "ATTACK" in told["$ synstile top --once"]
        assert "signs in" in told["$ sudo synstile keys rotate"]
