# SPDX-License-Identifier: GPL-2.0-only
"""`synstile top` in a terminal (tmux): what it shows is what `status -j` says at that moment, its
keys, and that it leaves the terminal as it was."""
import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import time

import pytest

import clients
import lab as labs
from netns import at_last, patience, sh, until
from terminal import Terminal

POLICY = """version: 1
defaults:
  syn_timeout: { calm: 15s, attack: 3s }
  half_open: { attack_above: 64, calm_below: 32 }
  syn_rate: { attack_above: 5000/s, calm_below: 1000/s }
  hold: 1s
services:
  - { name: web, listen: [ "*:80" ] }
"""
SMALL, LARGE = (80, 24), (200, 60)
COLOR = re.compile(rb"\x1b\[[0-9;:]*?\b(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])\b[0-9;:]*m")


_numbers = itertools.count()


class Top:
    """synstile top in a terminal."""

    def __init__(self, lab, terminal):
        self.lab, self.terminal = lab, terminal

    def start(self, env="", options=""):
        self.terminal.line("clear")
        self.terminal.lacks(r"^ synstile \d")  # of one before, on a terminal with one screen
        self.terminal.line(f"{env} {labs.SYNSTILE} -n {self.lab.server.name} top {options}")
        self.terminal.shows(r"^ synstile \d")
        return self

    def pids(self):
        return [int(p) for p in sh("pgrep", "-P", self.terminal.show("pane_pid"), "synstile",
                                   check=False).stdout.split()]

    def quit(self):
        self.terminal.keys("q")
        until(lambda: not self.pids(), 5, "it ends", 0.05)


@pytest.fixture(scope="module")
def lab():
    with labs.Lab() as made:
        made.nginx()
        path = made.tmp / "policy.yaml"
        path.write_text(POLICY)
        with made.attached("--policy", path):
            yield made


@pytest.fixture(scope="module")
def terminal():
    """A shell in a terminal."""
    env = ["PS1=$ ", "LANG=C.UTF-8", "TZ=UTC", "TERM=tmux-256color"]
    with Terminal(*SMALL, "sh", env=env) as made:
        yield made


@pytest.fixture
def top(lab, terminal):
    terminal.resize(*SMALL)
    terminal.tmux("clear-history")
    made = Top(lab, terminal).start()
    yield made
    for pid in made.pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    until(lambda: not made.pids(), 5, "it ends", 0.05)


def service(lab):
    return next(s for s in lab.status()["services"] if s["service"] == "web")


def same_as_status(top):
    """Until the row of the service says what status says. They look at different moments."""
    def same():
        s = service(top.lab)
        row = next((line for line in top.terminal.rows() if re.match(r".web ", line)), "")
        state = {"attack": "ATTACK", "calm": "CALM"}[s["state"]]
        seconds = s["syn_timeout_ms"] / 1000
        timeout = f"{seconds:.1f}s" if seconds < 10 else f"{seconds:.0f}s"
        return (state in row and f" {s['half_open']}/{s['half_open_bound']} " in row
                and row.endswith(timeout) and s)
    return until(same, 5, "the row of the service is as status says", 0.1)


def test_calm(top):
    terminal = top.terminal
    terminal.shows(r"^  CALM .*no service is under attack")
    s = same_as_status(top)
    assert s["state"] == "calm" and s["half_open"] == 0
    for title in ("1 Services", "2 History", "3 Half-open", "4 Top sources", "5 Verdicts"):
        assert title in terminal.screen()
    with clients.Load(top.lab.client, labs.SERVER4):
        terminal.shows(r"^ SYN/s [1-9]")
        terminal.shows(r" handshake +[1-9]")
    terminal.shows(r"none: every handshake is complete")


def test_half_open(top):
    """Rows come, one is looked at, and they expire: they live for 15 s."""
    terminal = top.terminal
    with top.lab.flood(rate=20, src="198.19.7.7/32", count=20, scale=False) as flood:
        flood.wait(at_last(5))
    s = same_as_status(top)
    assert 10 <= s["half_open"] < 64 and s["state"] == "calm"
    terminal.shows(rf"3 Half-open  {s['half_open']} ")
    listed = json.loads(top.lab.synstile("conns", "--half-open", "-j").stdout)["connections"]
    ends = {f"{c['src_ip']}:{c['src_port']}" for c in listed}
    shown = re.findall(r"198\.19\.7\.7:\d+", terminal.screen())
    assert shown and set(shown) <= ends
    terminal.keys("3", "Down", "Down", "Enter")
    chosen = terminal.shows(r"^ (198\.19\.7\.7:\d+) > 198\.18\.0\.1:80")[1]
    assert chosen in ends
    terminal.shows(r"^ state +SYN-SENT +SYN-RECEIVED")
    terminal.shows(r"^ connection +service web, half_open")
    terminal.shows(r"Last transitions \([1-9]\d*\)")
    age = terminal.shows(r"age (\d+\.?\d*s)")[1]
    until(lambda: age not in terminal.screen(), 3, "the record is renewed")
    terminal.shows(r"It is over; this is how it was last seen", 20)
    terminal.shows(r"half-open timeout after")
    terminal.keys("Escape")
    terminal.shows(r"none: every handshake is complete")
    assert same_as_status(top)["half_open"] == 0


def test_attack(top):
    terminal = top.terminal
    with top.lab.flood(rate=20_000, seconds=60):
        terminal.shows(r"^  ATTACK  for .* on web", 4)
        terminal.shows(r"^ too many half-open connections")
        terminal.shows(r"SPOOFED sources")
        s = same_as_status(top)
        assert s["state"] == "attack" and s["syn_timeout_ms"] == 3000
        terminal.shows(r"SYNs a second are answered with cookies", 6)
        terminal.shows(r"They take no memory")
        terminal.shows(r"^ syn_cookie|  syn_cookie +\d")
        terminal.resize(*LARGE)
        terminal.shows(r"a SYN answered with a cookie")
        assert len(terminal.rows()) == LARGE[1]
        terminal.shows(r"z pane alone[^\n]*\n?\Z")
        terminal.keys("p")
        terminal.shows("PAUSED")
        terminal.resize(*SMALL)
        terminal.shows(r"q quit.*PAUSED$")
    time.sleep(patience(1.5))
    assert re.search(r"^  ATTACK ", terminal.screen(), re.M), "it was paused"
    terminal.keys("p")
    terminal.shows(r"^  CALM  for \d+\.\ds", 8)
    same_as_status(top)


def list_alone(terminal):
    """Sort and reverse the list of half-open connections, which fills the screen, and go to its
    end."""
    def rows():
        return [row for row in terminal.rows() if "198.19.7." in row]

    terminal.keys("Escape", "s")
    terminal.shows(r"SERVICE.$|SERVICE\S ")
    terminal.keys("r", "S", "3", "z")
    terminal.lacks(r"1 Services")
    terminal.keys("s")
    terminal.shows(r"^ SOURCE\u25b2")
    until(lambda: len(rows()) >= 5, 5, "five rows")
    shown = rows()
    assert shown == sorted(shown)
    terminal.keys("r")
    terminal.shows(r"^ SOURCE\u25bc")
    terminal.keys("End")
    terminal.shows(r"^>198\.19\.7\.")


def test_keys(top):
    terminal = top.terminal
    # as many as expire, and never an attack
    with top.lab.flood(rate=3, src="198.19.7.0/24", seconds=90, scale=False):
        terminal.shows(r"198\.19\.7\.")
        terminal.keys("?")
        terminal.shows(r" Help ")
        list_alone(terminal)
        terminal.keys("Home", "PageDown", "PageUp", "j", "k", "Up", "Down")
        terminal.keys("/", *"198.19.8.0/24", "Enter")
        terminal.shows(r"0 match")
        terminal.shows(r"nothing here matches the filter")
        terminal.keys("Escape")
        terminal.lacks(r"nothing here matches")
    terminal.keys("2")
    terminal.shows(r"2 History  5 min")
    terminal.keys("+")
    terminal.shows(r"2 History  15 min")
    terminal.keys("+", "z")
    terminal.shows(r"2 History  1 min")
    terminal.keys("Tab", "BTab", "1", "Enter")
    terminal.shows(r"2 History  1 min · service web")
    terminal.keys("Escape", "h", "q")
    terminal.lacks(r" Help ")
    terminal.resize(40, 10)
    terminal.shows(r"too small: 40x10")
    terminal.resize(*SMALL)
    terminal.shows(r"1 Services")


def test_agent_dies(top):
    """It says so, keeps what it has, and goes on by itself when the agent is back."""
    terminal, lab = top.terminal, top.lab
    os.kill(lab.status()["agent"]["pid"], signal.SIGKILL)
    terminal.shows(r"^  UNKNOWN .*is not known", 4)
    terminal.shows(r"no connection to the agent: it does not run, trying again")
    assert re.search(r"^ web ", terminal.screen(), re.M)
    terminal.keys("q")
    terminal.lacks(r"^ synstile \d")
    terminal.line(f"{labs.SYNSTILE} -n {lab.server.name} top --once; echo status $?")
    terminal.shows(r"^status 3")
    lab.attach("--policy", lab.tmp / "policy.yaml")
    top.start()
    os.kill(lab.status()["agent"]["pid"], signal.SIGKILL)
    terminal.shows(r"^  UNKNOWN ", 4)
    lab.attach("--policy", lab.tmp / "policy.yaml")
    terminal.shows(r"^  CALM ", 4)


@pytest.mark.parametrize("end", ["q", "TERM", "HUP", "SEGV", "ABRT", "^C"])
def test_terminal_is_left_as_found(lab, terminal, end):
    terminal.resize(*SMALL)
    terminal.line("clear; echo here")
    terminal.shows(r"^here")
    before = terminal.state()
    top = Top(lab, terminal)
    terminal.line(f"{labs.SYNSTILE} -n {lab.server.name} top")
    terminal.shows(r"^ synstile \d")
    assert terminal.state()[1] != before[1]
    if end == "q":
        terminal.keys("q")
    elif end == "^C":
        terminal.keys("C-c")
    else:
        os.kill(top.pids()[0], getattr(signal, "SIG" + end))
    until(lambda: not top.pids(), 5, "it ends", 0.05)
    until(lambda: terminal.state()[1] == before[1], 3, "as it was")
    assert terminal.state() == before
    terminal.shows(r"^here")
    terminal.line("echo status $?")
    status = {"q": 0, "^C": 128 + signal.SIGINT}.get(end)
    if status is None:
        status = 128 + getattr(signal, "SIG" + end)
    terminal.shows(rf"^status {status}$")


def test_stop_and_go_on(top):
    """^Z: the shell has its terminal; fg: the dashboard has it again."""
    terminal = top.terminal
    terminal.keys("C-z")
    terminal.shows(r"Stopped")
    assert terminal.state()[1].startswith("0 1 ")
    terminal.line("fg")
    terminal.shows(r"^ synstile \d")
    terminal.keys("?")
    terminal.shows(r" Help ")
    terminal.keys("q", "q")
    terminal.lacks(r"^ synstile \d")


def raw_output(lab, terminal, env, options=""):
    """What it writes to the terminal, byte by byte, from its start to its end."""
    raw = lab.tmp / f"raw-{next(_numbers)}"
    terminal.tmux("pipe-pane", f"cat > {raw}")
    top = Top(lab, terminal).start(env, options)
    terminal.keys("3", "?")
    terminal.shows(" Help ")
    terminal.keys("q")
    top.quit()
    terminal.tmux("pipe-pane")
    until(lambda: not sh("pgrep", "-f", raw, check=False).stdout, 5, "all is written")
    return raw.read_bytes()


def test_plain_terminals(lab, terminal):
    terminal.resize(*SMALL)
    rich = raw_output(lab, terminal, "")
    assert COLOR.search(rich) and max(rich) > 0x7f
    mono = raw_output(lab, terminal, "NO_COLOR=1")
    assert not COLOR.search(mono) and max(mono) > 0x7f
    assert not COLOR.search(raw_output(lab, terminal, "TERM=vt100", "--no-color"))
    ascii_only = raw_output(lab, terminal, "LC_ALL=C")
    assert COLOR.search(ascii_only) and max(ascii_only) < 0x80
    for name in ("vt100", "xterm-256color", "screen", "linux"):
        Top(lab, terminal).start(f"TERM={name}").quit()
    terminal.line(f"TERM=nonsense {labs.SYNSTILE} -n {lab.server.name} top")
    terminal.shows(r"TERM=nonsense is not known here")


def test_once(lab):
    """One frame as text; and why not, where it cannot be."""
    def run(*args, **env):
        return subprocess.run([labs.SYNSTILE, "-n", lab.server.name, "top", *args],
                              env={**os.environ, "LC_ALL": "C.UTF-8", **env}, text=True,
                              capture_output=True, timeout=20, check=False)

    done = run("--once")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and not done.stderr and "\x1b" not in done.stdout
    assert max(map(len, lines)) <= 100 and all(line == line.rstrip() for line in lines)
    assert re.search(r"^  (CALM|ATTACK) ", done.stdout, re.M)
    # of two moments: what a test before left half-open expires
    until(lambda: (row := re.search(r"^ web .* (\d+)/64 ", run("--once").stdout, re.M))
          and int(row[1]) == service(lab)["half_open"], 10, "top --once says what status says")
    assert max(map(len, run("--once", COLUMNS="140").stdout.splitlines())) in range(120, 141)
    assert run("--once", "--ascii").stdout.isascii()
    assert run("--once", LC_ALL="C").stdout.isascii()
    done = run()
    assert done.returncode == 2 and "--once" in done.stderr
    done = run("--what")
    assert done.returncode == 2 and "synstile top --help" in done.stderr
    assert "Enter" in run("--help").stdout


def test_nothing_attached(lab):
    done = subprocess.run([labs.SYNSTILE, "-n", lab.client.name, "top", "--once"], text=True,
                          capture_output=True, timeout=20, check=False)
    assert done.returncode == 3 and "agent" in done.stderr
