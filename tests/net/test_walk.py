# SPDX-License-Identifier: GPL-2.0-only
"""docs/tcp.md: made anew, it shows what it should, and the committed one is not stale."""
import os
import re
import subprocess
import sys

import pytest
from conftest import COOKIE_KINDS

import lab as labs
from netns import patience

pytestmark = pytest.mark.skipif("own" not in COOKIE_KINDS,
                                reason="the page is about own cookies (Linux 6.9)")

COMMITTED = labs.ROOT / "docs/tcp.md"
HANDSHAKE = ["CLOSED>SYN-SENT | LISTEN", "SYN-SENT | LISTEN>SYN-RECEIVED",
             "SYN-SENT>ESTABLISHED | SYN-RECEIVED>ESTABLISHED"]
OPEN = ["conns ESTABLISHED ESTABLISHED", "ss client ESTAB", "ss server ESTAB"]

# What stands in each section's boxes, in this order; see shape()
SECTIONS = {
    "The handshake": [*HANDSHAKE, *OPEN],
    "Data, and one loss": ["retransmission by the server", "conns ESTABLISHED ESTABLISHED",
                           "TcpRetransSegs 1"],
    "Half-close": ["ESTABLISHED>FIN-WAIT-1 | ESTABLISHED",
                   "FIN-WAIT-1>FIN-WAIT-2 | ESTABLISHED>CLOSE-WAIT", "conns FIN-WAIT-2 CLOSE-WAIT",
                   "ss client FIN-WAIT-2", "ss server CLOSE-WAIT"],
    "Close, and TIME-WAIT": ["FIN-WAIT-2 | CLOSE-WAIT>LAST-ACK",
                             "FIN-WAIT-2>TIME-WAIT | LAST-ACK>CLOSED", "conns TIME-WAIT CLOSED",
                             "ss client TIME-WAIT", "ss server -"],
    "A new SYN ends TIME-WAIT": ["ESTABLISHED | ESTABLISHED>FIN-WAIT-1",
                                 "ESTABLISHED>CLOSE-WAIT | FIN-WAIT-1>FIN-WAIT-2",
                                 "CLOSE-WAIT>LAST-ACK | FIN-WAIT-2",
                                 "LAST-ACK>CLOSED | FIN-WAIT-2>TIME-WAIT",
                                 "CLOSED | TIME-WAIT>CLOSED", *HANDSHAKE],
    "Both close at once": ["ss client FIN-WAIT-1", "ss server FIN-WAIT-1",
                           "conns FIN-WAIT-2 CLOSING", "ss client FIN-WAIT-2", "ss server CLOSING",
                           "ESTABLISHED>FIN-WAIT-1 | ESTABLISHED",
                           "FIN-WAIT-1 | ESTABLISHED>FIN-WAIT-1",
                           "FIN-WAIT-1>FIN-WAIT-2 | FIN-WAIT-1>CLOSING",
                           "FIN-WAIT-2>TIME-WAIT | CLOSING>TIME-WAIT"],
    "Reset": ["ESTABLISHED>CLOSED | ESTABLISHED>CLOSED", "ss client -", "ss server -"],
    "A connection that the host opens, refused": ["CLOSED>SYN-SENT | LISTEN",
                                                  "SYN-SENT>CLOSED | LISTEN>CLOSED"],
    "A handshake that nobody completes": ["half-open both", "ss server timer", *HANDSHAKE[:2],
                                          "retransmission by the server",
                                          "SYN-SENT>CLOSED | SYN-RECEIVED>CLOSED timeout"],
    "A peer that is gone": ["keepalive by the server: 1 unanswered",
                            "keepalive by the server: 2 unanswered",
                            "keepalive by the server: 3 unanswered",
                            "ESTABLISHED>CLOSED | ESTABLISHED>CLOSED", "ss client ESTAB",
                            "ss server -"],
    "A SYN flood": ["ATTACK begins", "attack goes on", "half-open both", HANDSHAKE[2], *OPEN,
                    "dropped: cookie_invalid", "SYN-SENT>CLOSED | SYN-RECEIVED>CLOSED timeout",
                    "attack is over"],
}

WORDS = re.compile(r"retransmission by the \w+|keepalive by the \w+: \d unanswered|ATTACK begins"
                   r"|attack goes on|attack is over|dropped: \w+")
STATE = r"[A-Z][A-Z0-9-]+"


def event(line):
    """What an event's line is about."""
    states = re.search(rf" (\S*{STATE} \| {STATE}(?:>{STATE})?)( half-open timeout)?", line)
    if states:
        return states[1] + (" timeout" if states[2] else "")
    found = WORDS.search(line)
    return found[0] if found else line


def mark(command, line):
    """What a line of a command's output is about, if anything; once for each kind of line."""
    if re.match(r"\d\d:\d\d:\d\d\.\d{6} ", line):
        return event(line)
    if command[0] == "ss" and "syn-recv" in command and " timer:" in line:
        return f"ss {command[2]} timer"
    if command[0] == "ss" and re.match(rf"{STATE} +\d", line):
        return f"ss {command[2]} {line.split()[0]}"
    if "--half-open" in command and line.endswith((" both", " synstile", " kernel")):
        return f"half-open {line.split()[-1]}"
    if "conns" in command and " > " in line and not line.startswith("CLIENT"):
        return "conns " + " ".join(line.split()[4:6])
    return " ".join(line.split()[:2]) if line.startswith("Tcp") else None


def boxes(section):
    """(command, its output) of all the boxes."""
    for box in re.findall(r"```console\n(.*?)```", section, re.S):
        for text in re.split(r"^# ", box, flags=re.M)[1:]:
            command, *output = text.splitlines()
            yield command.split(), output


def shape(section):
    """What its boxes are about, line by line; lines of one kind in a row count once."""
    found = []
    for command, output in boxes(section):
        marks = [m for m in (mark(command, line) for line in output) if m]
        if command[0] == "ss" and not marks:
            marks = [f"ss {command[2]} -"]
        found += [m for n, m in enumerate(marks) if m not in marks[:n]]
    return found


def sections(page):
    """{heading: text}, in order."""
    _, *parts = re.split(r"^## ", page, flags=re.M)
    return dict(part.split("\n", 1) for part in parts)


def words(page):
    """All that is not output: prose and commands."""
    found, inside = [], False
    for line in page.splitlines():
        if line.startswith("```"):
            inside = not inside
        if not inside or line.startswith("# "):
            found.append(line)
    return found


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """The page as it is made now."""
    path = tmp_path_factory.mktemp("walk") / "tcp.md"
    done = subprocess.run([sys.executable, labs.ROOT / "tests/net/walk.py", path], text=True,
                          env=os.environ | {"SYNSTILE_BUILD": str(labs.BUILD)},
                          capture_output=True, timeout=patience(120))
    assert done.returncode == 0, done.stderr
    return path.read_text()


@pytest.fixture(params=["fresh", "committed"])
def page(request):
    return request.getfixturevalue("fresh") if request.param == "fresh" else COMMITTED.read_text()


def test_sections(page):
    """The same headings, and in each section the same steps in the same order."""
    found = {heading: shape(text) for heading, text in sections(page).items()}
    assert list(found) == list(SECTIONS)
    assert found == SECTIONS


def test_every_state_of_rfc_9293(page):
    table = (labs.ROOT / "include/synstile/flow.h").read_text()
    table = table[table.index("SYNSTILE_TCP_STATES(X)"):table.index("SYNSTILE_ENDS(X)")]
    states = set(re.findall(r'X\(\w+, "([A-Z0-9-]+)"\)', table)) - {"UNKNOWN"}
    assert len(states) == 11
    seen = set()
    for text in sections(page).values():
        for steps in shape(text):
            if " | " in steps:
                seen |= set(re.findall(STATE, steps))
    assert seen == states


def test_counters_agree(page):
    """The retransmission that is told of is in the connection's record, and in the kernel's count."""
    output = [line for _, lines in boxes(sections(page)["Data, and one loss"]) for line in lines]
    record = next(line for line in output if " > " in line and line.endswith("us"))
    assert record.split()[-3:-1] == ["0", "1"]  # by the client, by the server
    assert any("(1 so far)" in line for line in output)
    assert any(line.split()[:2] == ["TcpRetransSegs", "1"] for line in output)


def test_committed_page_has_the_same_words(fresh):
    """Prose and commands: `make docs` was run after the last change."""
    assert words(COMMITTED.read_text()) == words(fresh)
