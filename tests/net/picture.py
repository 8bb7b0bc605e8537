#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Makes docs/dashboard.svg: `synstile top` in the lab, a flood under way.

Builds the lab, lets calm and floods take turns for a minute and a half, so that the charts have
something to show, and takes what stands on the terminal then. Needs tmux, which is the terminal.
"""
import os
import pathlib
import re
import shutil
import signal
import sys
import time

import ansi_svg
import lab as labs
import services
from netns import SLOW, LabError, until
from terminal import Terminal
from traffic import Clients, Cycles

PAGE = labs.ROOT / "docs/dashboard.svg"
TITLE = "synstile top in a SYN flood: SYNs are answered with cookies, and clients get in"
COLUMNS, ROWS = 120, 36
RATE, CALM, FLOOD = 300_000, 25, 20
MOMENT = 2 * CALM + FLOOD + 2  # seconds: in the second flood, what it began with is still listed
HOST = "web1"
POLICY = """\
version: 1
services:
  - { name: web, listen: [ "*:80", "*:443" ] }
  - { name: mail, listen: [ "*:25" ] }
  - { name: ssh, listen: [ "*:22" ] }
"""


def shown(lab):
    """What stands on the screen in the second flood."""
    command = [labs.SYNSTILE, "-n", lab.server.name, "top"]
    with Terminal(COLUMNS, ROWS, *command, env=["TERM=xterm-256color"]) as terminal:
        until(lambda: "CALM" in terminal.screen(), 10, "the dashboard")
        terminal.keys("-")  # the last minute
        time.sleep(MOMENT * SLOW)
        until(lambda: "ATTACK" in terminal.screen(), 10, "the dashboard says ATTACK")
        text = terminal.screen("-e", "-N")
    # as it would be on a server of one's own
    for here, there in ((f"ns-{lab.server.name}", "host"),
                        (f"· {os.uname().nodename} ·", f"· {HOST} ·"), (" s0 native", " eth0 native"),
                        (" s1 native", " eth1 native")):
        text = "\n".join(named(line, here, there) for line in text.split("\n"))
    return text


def named(line, here, there):
    """The line with another name in it; the gap behind keeps what follows in its place."""
    before, found, after = line.partition(here)
    gap = re.search(" {3,}", after)
    if not found or not gap:
        return line
    width = len(gap[0]) + len(here) - len(there)
    return before + there + after[:gap.start()] + " " * width + after[gap.end():]


def main():
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) == 2 else PAGE
    if len(sys.argv) > 2:
        sys.exit("Usage: picture.py [FILE]")
    if os.geteuid() != 0:
        sys.exit("picture: network namespaces need root: sudo make picture")
    if not shutil.which("tmux"):
        sys.exit("picture: no tmux: run make deps")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    labs.sweep()
    try:
        with labs.Lab() as lab:
            lab.nginx(backlog=511)
            for port in (22, 25, 443):
                lab.serve(services.Service(port, backlog=511))
            policy = lab.tmp / "policy.yaml"
            policy.write_text(POLICY)
            lab.attach("--policy", policy)
            crowd = Clients(lab.client)
            with Cycles(lab, crowd, RATE, CALM, FLOOD):
                screen = shown(lab)
            crowd.stop()
    except (LabError, AssertionError) as error:
        sys.exit(f"picture: {error}")
    except KeyboardInterrupt:
        sys.exit("\npicture: interrupted; everything was removed")
    target.write_text(ansi_svg.svg(screen, COLUMNS, ROWS, TITLE))
    print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
