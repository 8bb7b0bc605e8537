# SPDX-License-Identifier: GPL-2.0-only
"""What synstile shows of connections, and what the kernels at both ends have to say."""
import ctypes
import json
import signal
import subprocess
import threading

import lab as labs
from netns import LabError, at_last, until

_libc = ctypes.CDLL(None)
KEEP_SIZE, PUNCH_HOLE = 1, 2  # fallocate(2)

# ss(8) and RFC 9293 call the states alike, but for these
STATES = {"ESTAB": "ESTABLISHED", "SYN-RECV": "SYN-RECEIVED", "UNCONN": "CLOSED"}


def sockets(ns):
    """{(address, port, its address, its port): state} of a host's TCP sockets, without listeners.

    What is not there is CLOSED, or LISTEN: no connection has been made yet."""
    found = {}
    for line in ns.ss("-ta"):
        state, _, _, here, there = line.split()[:5]
        if state != "LISTEN":
            found[(*_address(here), *_address(there))] = STATES.get(state, state)
    return found


def _address(text):
    """ss's "[::ffff:198.18.0.1]%dev:80" as ("198.18.0.1", 80)."""
    address, _, port = text.rpartition(":")
    address = address.partition("%")[0].strip("[]")
    return address.removeprefix("::ffff:"), int(port) if port != "*" else 0


def conns(lab, *args):
    """The connections that synstile shows, as it shows them."""
    return json.loads(lab.synstile("conns", "-j", *args).stdout)["connections"]


def client_of(conn):
    return conn["src_ip"], conn["src_port"]


def tuple_of(conn):
    """From the client's side, as sockets() has it."""
    return conn["src_ip"], conn["src_port"], conn["dest_ip"], conn["dest_port"]


def states(conn):
    """(client's, server's)"""
    return conn["tcp"]["client_state"], conn["tcp"]["server_state"]


def shown(lab):
    """{tuple: (state of its first end, of its second)} of all that is shown, both ways round."""
    found = {}
    for conn in conns(lab):
        a, b, c, d = tuple_of(conn)
        client, server = states(conn)
        found[a, b, c, d] = client, server
        found[c, d, a, b] = server, client
    return found


class Follower:
    """`synstile events -f -j`, read as it comes. Use as a context manager.

    It also asks for `stats`, one of which a second says that the stream flows: with that
    it waits for its own beginning.
    """
    TYPES = ("tcp_state", "half_open_timeout", "retransmission", "keepalive", "attack_start",
             "attack_progress", "attack_end", "verdict", "lost")

    def __init__(self, lab, *args, types=TYPES):
        self.lab, self.args, self.types = lab, args, types
        self.beats, self._events, self._lock = 0, [], threading.Lock()
        self.broken = None

    def start(self, stdout):
        types = [word for t in (*self.types, "stats") for word in ("--type", t)]
        # no events of before, which would look like those that are waited for
        self.process = self.lab.server.popen(
            labs.SYNSTILE, "-n", self.lab.server.name, "events", "-f", "-j", "--lines", "0", *types,
            *self.args, stdout=stdout, stderr=subprocess.PIPE)

    def __enter__(self):
        self.start(subprocess.PIPE)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        try:
            self.beat()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        self.stop()
        self._thread.join()
        self.process.stdout.close()

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGINT)
        try:
            self.status = self.process.wait(at_last(5))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.status = self.process.wait()
        self.process.stderr.close()

    def _read(self):
        try:
            for line in self.process.stdout:
                self._line(line)
        except Exception as error:  # of the reader's own; told to who waits
            self.broken = error

    def _line(self, line):
        self.take(line)
        self.beats += b'"event_type":"stats"' in line

    def take(self, line):
        """What to do with a line."""
        with self._lock:
            self._events.append(json.loads(line))

    def beat(self, n=1, seconds=5):
        """Wait for the n-th `stats` from now: what happened before the last has then been told."""
        wanted = self.beats + n

        def done():
            self.look()
            if self.beats < wanted and (self.broken or self.process.poll() is not None):
                raise LabError(f"synstile events ended: {self.broken or self.process.stderr.read()}")
            return self.beats >= wanted
        until(done, seconds, "events of type stats")

    def look(self):
        """Read what has come, for those that have no thread for it."""

    def all(self, *types):
        """The events so far (of these types)."""
        with self._lock:
            return [e for e in self._events if not types or e["event_type"] in types]

    def until(self, want, seconds, what):
        """The first event that is wanted, of those that came and those to come."""
        def look():
            return next((e for e in self.all() if want(e)), None)
        try:
            return until(look, seconds, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; the events were {kinds(self.all())}") from None


class Recorder(Follower):
    """Keeps up with any rate: the lines go to a file, and are read when there is time, by beat()."""

    def __enter__(self):
        path = self.lab.tmp / f"events-{id(self)}"
        self._file = open(path, "ab")
        self._lines, self._rest = open(path, "rb"), b""
        self.start(self._file)
        try:
            self.beat()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc):
        self.stop()
        self._file.close()
        self._lines.close()

    def beat(self, *args):
        super().beat(*args)
        _libc.fallocate(self._file.fileno(), PUNCH_HOLE | KEEP_SIZE, ctypes.c_long(0),
                        ctypes.c_long(self._lines.tell()))  # where that is possible

    def look(self):
        for line in self._lines:
            line, self._rest = self._rest + line, b""
            if line.endswith(b"\n"):
                self._line(line)
            else:
                self._rest = line


def beat_all(*followers):
    """What happened before has been told to all of them."""
    wanted = [(f, f.beats + 1) for f in followers]
    for follower, n in wanted:
        until(lambda f=follower, n=n: f.beats >= n, 5, "an event of type stats")


def backlog(lab, *args):
    """The recent events that `synstile events` shows without -f."""
    return [json.loads(line) for line in lab.synstile("events", "-j", *args).stdout.splitlines()]


def kinds(events):
    """{type: number} of events."""
    count = {}
    for e in events:
        count[e["event_type"]] = count.get(e["event_type"], 0) + 1
    return count


def lost(events, kind, *stages):
    """How many events of a type were lost, as `lost` events say (at these stages)."""
    return sum(n for e in events if e["event_type"] == "lost"
               for stage, n in e["lost"].get(kind, {}).items() if not stages or stage in stages)
