# SPDX-License-Identifier: GPL-2.0-only
"""`make run` on a terminal: the dashboard, and nothing left behind however it ends."""
import pathlib
import re
import socket
import urllib.request

import pytest

import lab as labs
from netns import patience, until
from terminal import Terminal

DEMO = pathlib.Path(__file__).with_name("demo.py")


def left(pid):
    """What a demonstration has made: namespaces, files, pins, processes."""
    found = [path for top, name in (("/run/netns", f"st-{pid}x"),
                                    ("/tmp", f"synstile-lab-{pid}-"),
                                    ("/sys/fs/bpf/synstile", f"ns-st-{pid}x"),
                                    ("/run/synstile", f"ns-st-{pid}x"),
                                    ("/var/lib/synstile", f"ns-st-{pid}x"))
             for path in labs.named(top, name)]
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if f"st-{pid}x" in words and "tmux" not in words:
            found.append(words.replace("\0", " "))
    return found


@pytest.fixture
def demo(request):
    """A demonstration, as far as its dashboard; parameter: seconds of the first flood."""
    env = [f"SYNSTILE_BUILD={labs.BUILD}", "TERM=xterm-256color", "PYTHONDONTWRITEBYTECODE=1"]
    command = ["/usr/bin/python3", DEMO, "--seconds", request.param, "--read", "0",
               "--rate", "50000"]
    with Terminal(120, 36, *command, env=env) as terminal:
        pid = int(terminal.show("pane_pid"))
        terminal.shows(r"^ *CALM\b", 30)
        said = re.search(r"http://127\.0\.0\.1:\d+\S*", terminal.covered())
        assert said, terminal.covered()
        yield terminal, pid, said[0]
    until(lambda: not left(pid), 15, f"all removed of st-{pid}x")


def listens(url):
    host, port = re.search(r"//([\d.]+):(\d+)", url).groups()
    with socket.socket() as s:
        return s.connect_ex((host, int(port))) == 0


@pytest.mark.parametrize("demo", ["2"], indirect=True)
def test_dashboard_and_summary(demo):
    """Calm, then a flood, on the screen and as a web page; then q, and what was measured."""
    terminal, pid, url = demo
    with urllib.request.urlopen(url, timeout=patience(5)) as page:
        assert page.status == 200 and b"synstile" in page.read()
    terminal.shows(r"^ *ATTACK\b", 25)
    terminal.shows("SPOOFED")
    terminal.keys("q")
    until(terminal.ended, 20, "the demonstration ends")
    screen = terminal.screen()
    without = re.search(r"without synstile +nginx served (\d+) of (\d+)", screen)
    assert without and int(without[1]) * 2 < int(without[2]), screen
    with_it = re.search(r"with synstile +nginx served (\d+) of (\d+)", screen)
    assert with_it and int(with_it[1]) >= 0.9 * int(with_it[2]) > 0, screen
    assert not listens(url)
    assert not left(pid)


@pytest.mark.parametrize("demo", ["0"], indirect=True)
@pytest.mark.parametrize("how", ["^C", "closed"])
def test_interrupted(demo, how):
    terminal, pid, url = demo
    if how == "^C":
        terminal.keys("C-c")
    else:
        terminal.tmux("kill-server")
    until(lambda: not left(pid), 20, f"all removed of st-{pid}x")
    assert not listens(url)
    if how == "^C":
        until(terminal.ended, 5, "the demonstration ends")
        assert terminal.show("alternate_on") == "0"
