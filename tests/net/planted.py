# SPDX-License-Identifier: GPL-2.0-only
"""Cookies taken at the start of the session, so that they are old when their test comes."""
import threading
import time

import lab as labs
from wire import Talk, Wire

LINUX = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (5000, 0)), ("NOP", None), ("WScale", 7)]
BARE = [("MSS", 1460), ("SAckOK", b""), ("NOP", None), ("WScale", 7)]


class Planted:
    """Cookies taken at the start of the session and used when they have grown old."""

    LEAST, MOST = 58, 132  # seconds; the promise is valid at 60 and refused at 130

    def __init__(self, cookies):
        self.lab = labs.Lab(offload=False).__enter__()
        self.lab.nginx()
        self.lab.attach("--mode", "always", "--cookies", cookies)
        self.born = time.monotonic()
        self.wires, self.young, self.old = [], [], []
        for talks in (self.young, self.old):
            wire = Wire(self.lab.client)
            self.wires.append(wire)
            for dst in (labs.SERVER4, labs.SERVER6):
                for options in (LINUX, BARE):
                    talk = Talk(wire, dst, options=options)
                    talk.syn()
                    talk.synack()
                    talks.append(talk)
        self.result = []
        self._timer = threading.Timer(self.LEAST - self.age(), self._use_the_young)
        self._timer.daemon = True
        self._timer.start()

    def age(self):
        return time.monotonic() - self.born

    def _use_the_young(self):
        for talk in self.young:
            try:
                talk.get()
                talk.reset()
                self.result.append("served")
            except AssertionError as error:
                self.result.append(str(error))

    def close(self):
        self._timer.cancel()
        for wire in self.wires:
            wire.close()
        self.lab.__exit__(None, None, None)
