# SPDX-License-Identifier: GPL-2.0-only
"""Debian's Chromium, driven by tests/web/drive.mjs: orders as JSON lines, an answer to each."""
import json
import shutil
import subprocess

import lab as labs
from netns import at_last

DRIVE = labs.ROOT / "tests/web/drive.mjs"
TOOLS = labs.BUILD / "web"
CHROMIUM = shutil.which("chromium")


def missing():
    """What a browser test lacks on this machine, or None."""
    if not shutil.which("node"):
        return "no node: tests/deps.sh web"
    if not CHROMIUM:
        return "no chromium: tests/deps.sh web"
    return None if (TOOLS / "node_modules").exists() else "no playwright-core: make web-tools"


class Browser:
    """Use as a context manager. Functions are JavaScript, as text: "() => document.title"."""

    def __enter__(self):
        self._process = subprocess.Popen(
            ["node", str(DRIVE), str(TOOLS), CHROMIUM], text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self

    def __exit__(self, *exc):
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def order(self, order, **more):
        self._process.stdin.write(json.dumps({"order": order, **more}) + "\n")
        line = self._process.stdout.readline()
        assert line, "the browser is gone"
        answer = json.loads(line)
        assert "error" not in answer, f"{order} {more}: {answer.get('error')}"
        return answer["result"]

    def open(self, url, **more):
        self.order("open", url=url, **more)

    def eval(self, code, arg=None):
        return self.order("eval", code=code, arg=arg)

    def wait(self, code, arg=None, seconds=5):
        """Until the function returns something true, which is returned. seconds: see at_last()."""
        return self.order("wait", code=code, arg=arg, ms=int(at_last(seconds) * 1000))

    def text(self, at):
        return self.eval("(at) => document.querySelector(at).textContent", at)
