# SPDX-License-Identifier: GPL-2.0-only
"""What goes on in the lab while somebody looks: clients all the while, and floods now and then."""
import contextlib
import threading

import clients
import lab as labs
from netns import LabError, SLOW

CLIENTS = 8
PAUSE = 0.02  # seconds between two connections of one client
TIMEOUT = 1  # seconds after which a client gives up
NOISE = 90  # seconds after which the noise begins anew: less than the generator's longest


class Clients:
    """Some clients that connect from a new address each time, fetch a page, and so on."""

    def __init__(self, ns, n=CLIENTS, pause=PAUSE):
        self.ns, self.pause = ns, pause
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.served, self.failed = [], 0
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(n)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        while not self.stopping.is_set():
            times, errors = clients.get_many(self.ns, labs.SERVER4, 1, src="fresh", timeout=TIMEOUT)
            with self.lock:
                self.served += times
                self.failed += len(errors)
            self.stopping.wait(self.pause)

    def take(self):
        """Connect times and failures since the last call."""
        with self.lock:
            taken = self.served, self.failed
            self.served, self.failed = [], 0
        return taken

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


class Cycles:
    """Calm, flood, calm, flood... in the background, until the block ends.

    calm, flood: seconds. `totals`: {"calm" or "flood": (connect times, failures)} of the clients.
    noise: a SYN a second from nobody, as the Internet has it: what is half-open while it is calm.
    """

    def __init__(self, lab, crowd, rate, calm, flood, noise=True):
        self.lab, self.crowd, self.rate, self.seconds = lab, crowd, rate, (calm, flood)
        self.totals = {"calm": ([], 0), "flood": ([], 0)}
        self.error = None
        self._stop = threading.Event()
        work = [self._cycles] + [self._noise] * noise
        self._threads = [threading.Thread(target=self._guard, args=(w,), daemon=True) for w in work]

    def _guard(self, work):
        try:
            work()
        except (LabError, AssertionError, OSError) as error:
            self.error = error

    def _noise(self):
        while not self._stop.is_set():
            with self.lab.flood(rate=1, seconds=NOISE + 10, seed=7, scale=False):
                self._stop.wait(NOISE)

    def _cycles(self):
        while not self._stop.is_set():
            self._phase("calm", self.seconds[0], contextlib.nullcontext())
            if not self._stop.is_set():
                seconds = self.seconds[1]
                self._phase("flood", seconds, self.lab.flood(rate=self.rate, seconds=seconds + 10))

    def _phase(self, name, seconds, what):
        with what:
            self.crowd.take()
            self._stop.wait(seconds * SLOW)
            times, failed = self.crowd.take()
        before, failed_before = self.totals[name]
        self.totals[name] = before + times, failed_before + failed

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc):
        self._stop.set()
        for thread in self._threads:
            thread.join()
