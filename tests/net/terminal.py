# SPDX-License-Identifier: GPL-2.0-only
"""A terminal that nobody sits at: a tmux of its own."""
import itertools
import os

from netns import sh

_terminals = itertools.count()


class Terminal:
    """A tmux of its own, with one command on its screen. Use as a context manager."""

    def __init__(self, columns, rows, *command, env=()):
        self.server = f"st-{os.getpid()}x{next(_terminals)}"
        self.size, self.command, self.env = (columns, rows), [str(c) for c in command], env

    def tmux(self, *args, **kw):
        return sh("tmux", "-L", self.server, "-f", "/dev/null", *args, **kw)

    def __enter__(self):
        variables = [word for v in ("LC_ALL=C.UTF-8", *self.env) for word in ("-e", v)]
        self.tmux("-u", "new-session", "-d", "-x", self.size[0], "-y", self.size[1], *variables,
                  *self.command, env=os.environ | {"LC_ALL": "C.UTF-8"})
        self.tmux("set", "-g", "status", "off")
        self.tmux("set", "-g", "remain-on-exit", "on")
        return self

    def __exit__(self, *exc):
        self.tmux("kill-server", check=False)

    def screen(self, *options):
        return self.tmux("capture-pane", "-p", *options).stdout

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def show(self, variable):
        """One of tmux' variables for the screen, such as pane_pid."""
        return self.tmux("display", "-p", f"#{{{variable}}}").stdout.strip()

    def ended(self):
        """Has the command? (Its status is not always told: tmux 3.3.)"""
        return self.show("pane_dead") == "1"
