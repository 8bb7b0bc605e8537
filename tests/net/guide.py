#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs the commands of docs/guide.md in the lab, as they stand there, and puts in what they print.

In a box, a line "$ sudo synstile ..." or "$ synstile ..." is run, and what follows up to the next
"$ " is what it printed. Each must end with status 0; those that go on until they are ended get two
seconds. Other commands are not run. Between the boxes, <!-- lab: STEP --> says what happens there
meanwhile (see STEPS), and <!-- lab: file NAME --> saves the next box into a file.
The lab's interfaces s0 and s1 are called eth0 and eth1 in the guide.

Usage: guide.py [FILE]
"""
import contextlib
import json
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import sys
import time

import lab as labs
from netns import LabError, until
from traffic import Clients, Cycles

PAGE = labs.ROOT / "docs/guide.md"
RATE = 50_000
ENDLESS = re.compile(r"synstile (top|web|run|events)\b(?!.*--once)")
SILENT = re.compile(r"synstile (top|web)\b(?!.*--once)")  # they take the screen, or never end
LINES = 6  # of a command that goes on

SUDO = '#!/bin/sh\nexec "$@"\n'
SYNSTILE = """\
#!/bin/bash
# eth0 and eth1, as a word, a part of a list or behind "="
args=()
for word; do
	case $word in eth0) word=s0 ;; eth1) word=s1 ;; esac
	args+=("$word")
done
exec {synstile} -n {netns} "${{args[@]}}"
"""


class Guide:
    """The lab, and what happens in it while the guide is read."""

    def __init__(self, lab, stack):
        self.lab, self.stack = lab, stack
        self.bin, self.here = lab.tmp / "bin", lab.tmp / "here"
        self.bin.mkdir()
        self.here.mkdir()
        self._script("sudo", SUDO)
        self._script("synstile", SYNSTILE.format(synstile=labs.SYNSTILE, netns=lab.server.name))

    def _script(self, name, text):
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    # --- steps

    def clients(self):
        """Real ones, and now and then a SYN from nobody."""
        crowd = Clients(self.lab.client)
        self.stack.callback(crowd.stop)
        self.stack.enter_context(Cycles(self.lab, crowd, 0, calm=1000, flood=1000))
        time.sleep(2)

    def flood(self):
        self.stack.enter_context(self.lab.flood(rate=RATE, seconds=100))
        until(lambda: self.lab.service(80)["state"] == "attack", 5, "attack")
        time.sleep(2.5)  # until rates, sources and the judgement on them are there

    # --- commands

    def run(self, command):
        """What it prints."""
        endless = ENDLESS.search(command)
        endless = endless and (endless[1] != "events" or " -f" in command)
        env = os.environ | {"PATH": f"{self.bin}:{os.environ['PATH']}", "COLUMNS": "100",
                            "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
        if endless:
            return self._end(command, env)
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=self.here, env=env,
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, timeout=60)
        if done.returncode:
            raise LabError(f"{command}: status {done.returncode}: {done.stdout}")
        return self._named(done.stdout)

    def _end(self, command, env):
        """Of a command that goes on: on a terminal, for two seconds; then `q`, then ^C."""
        pid, terminal = pty.fork()
        if not pid:
            os.chdir(self.here)
            os.execvpe("bash", ["bash", "-c", "stty -echo cols 100 rows 40; exec " + command], env)
        said = gather(terminal, 2)
        with contextlib.suppress(OSError):
            os.write(terminal, b"q" if " top" in command else b"\x03")
        said += gather(terminal, 3)
        os.kill(pid, signal.SIGKILL)  # if it has not ended: then the status says so
        status = os.waitpid(pid, 0)[1]
        os.close(terminal)
        if status and not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGINT):
            raise LabError(f"{command}: status {status}: {said}")
        if SILENT.search(command):
            return ""
        lines = said.replace("\r", "").replace("^C", "").splitlines()
        return self._named("\n".join(lines[:LINES]) + "\n")

    def _named(self, text):
        """As it would be on a server of one's own: in no namespace, with other names."""
        name = self.lab.server.name
        for here, there in ((f"ns-{name}", "host"), (f" -n {name}", ""), (str(self.here), "/root"),
                            (f" · {os.uname().nodename} · ", " · web1 · ")):
            text = text.replace(here, there)
        text = re.sub(r"(Linux \d+\.\d+)\.\S*", r"\1", text)
        # two letters longer: where a column follows, they are taken from the gap
        text = re.sub(r"\bs([01])\b( {3,})?", lambda m: f"eth{m[1]}" + (m[2] or "")[2:], text)
        return "".join(line.rstrip() + "\n" for line in text.splitlines())

    # --- the page

    def box(self, text):
        parts = []
        for part in re.split(r"^(?=\$ )", text, flags=re.M):
            command, _, said = part.partition("\n")
            if re.match(r"\$ (sudo )?synstile ", command):
                said = self.run(command[2:].split("   #")[0])
            parts.append(f"{command}\n{said}" if command else part)
        return "".join(parts)

    def page(self, text):
        parts, save = [], None
        for part in re.split(r"(<!-- lab: .*? -->|^```\w+\n.*?^```$)", text, flags=re.S | re.M):
            if step := re.match(r"<!-- lab: (\w+) ?(.*?) -->", part):
                if step[1] == "file":
                    save = self.here / step[2]
                else:
                    STEPS[step[1]](self)
            elif save and part.startswith("```"):
                save.write_text(part.split("\n", 1)[1].rsplit("\n", 1)[0] + "\n")
                save = None
            elif part.startswith("```console\n"):
                part = "```console\n" + self.box(part[len("```console\n"):-3]) + "```"
            parts.append(part)
        return "".join(parts)


STEPS = {"clients": Guide.clients, "flood": Guide.flood}


def gather(terminal, seconds):
    """What comes from a terminal, until it is closed or time is over."""
    said, end = b"", time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if not select.select([terminal], [], [], left)[0]:
            break
        try:
            part = os.read(terminal, 65536)
        except OSError:  # closed
            break
        said += part
    return said.decode(errors="replace")


def make(text):
    """The guide with the outputs of today."""
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(labs.Lab())
        lab.nginx(backlog=511)
        return Guide(lab, stack).page(text)


def main():
    if len(sys.argv) > 2:
        sys.exit(__doc__.strip().splitlines()[-1])
    if os.geteuid() != 0:
        sys.exit("guide: network namespaces need root: sudo make docs")
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) == 2 else PAGE
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    labs.sweep()
    try:
        text = make(PAGE.read_text())
    except (LabError, AssertionError, OSError, json.JSONDecodeError) as error:
        sys.exit(f"guide: {error}")
    except KeyboardInterrupt:
        sys.exit("\nguide: interrupted; everything was removed")
    target.write_text(text)
    print(f"{target}: {len(text.splitlines())} lines")


if __name__ == "__main__":
    main()
