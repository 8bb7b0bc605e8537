# SPDX-License-Identifier: GPL-2.0-only
"""A terminal that nobody sits at: a tmux of its own."""
import itertools
import os
import re

from netns import sh, until

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
        self.tmux("set", "-s", "escape-time", "0")
        return self

    def __exit__(self, *exc):
        self.tmux("kill-server", check=False)

    # --- to it

    def resize(self, columns, rows):
        self.tmux("resize-window", "-x", columns, "-y", rows)

    def keys(self, *keys):
        """Each is a character, or one of tmux' names of keys."""
        for key in keys:
            self.tmux("send-keys", *(["-l", key] if len(key) == 1 else [key]))

    def line(self, text):
        """A line for a shell."""
        self.tmux("send-keys", "-l", text)
        self.tmux("send-keys", "Enter")

    # --- from it

    def screen(self, *options):
        return self.tmux("capture-pane", "-p", *options).stdout

    def covered(self):
        """What was on the screen before a program took it all for itself, and will be there again."""
        return self.screen("-a", "-q")

    def rows(self):
        return self.screen().splitlines()

    def shows(self, pattern, seconds=5):
        """The match, once the screen has it; ^ and $ are a row's."""
        return until(lambda: re.search(pattern, self.screen(), re.M), seconds,
                     lambda: f"{pattern}\n{self.screen()}", 0.05)

    def lacks(self, pattern, seconds=5):
        until(lambda: not re.search(pattern, self.screen(), re.M), seconds,
              lambda: f"no {pattern}\n{self.screen()}", 0.05)

    def show(self, *variables):
        """tmux' variables for the screen, such as pane_pid."""
        return self.tmux("display", "-p", " ".join(f"#{{{v}}}" for v in variables)).stdout.strip()

    def state(self):
        """What a program may have changed."""
        return (sh("stty", "-a", "-F", self.show("pane_tty")).stdout,
                self.show("alternate_on", "cursor_flag", "keypad_flag", "keypad_cursor_flag",
                          "mouse_any_flag"))

    def ended(self):
        """Has the command? (Its status is not always told: tmux 3.3.)"""
        return self.show("pane_dead") == "1"
