# SPDX-License-Identifier: GPL-2.0-only
"""Real clients: kernel sockets of the client namespace."""
import ipaddress
import itertools
import socket
import threading
import time

from lab import PAGE
from netns import patience


def family_of(address):
    return socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET


_fresh = itertools.count(1)


def fresh_address(dst):
    """A client address not used before (of 16,000; IPv6: plenty) of dst's family."""
    n = next(_fresh)
    if ":" in dst:
        return f"2001:db8:c::{n >> 16:x}:{n & 0xffff:x}"
    return str(ipaddress.ip_address("198.18.64.0") + 1 + n % 16000)


def connect(ns, dst, port=80, src=None, sport=0, timeout=10):
    """A connected TCP socket of namespace ns; src "fresh" takes a new address."""
    s = ns.socket(family_of(dst))
    try:
        if src == "fresh":
            src = fresh_address(dst)
        if src or sport:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((src or "", sport))
        s.settimeout(patience(timeout))
        s.connect((dst, port))
    except BaseException:
        s.close()
        raise
    return s


def receive(s, n):
    """Exactly n bytes, or what came before the end."""
    got = b""
    while len(got) < n:
        part = s.recv(n - len(got))
        if not part:
            break
        got += part
    return got


def http_get(ns, dst, port=80, src=None, sport=0, timeout=10):
    """Fetch the page; seconds that connect took. Raises OSError or AssertionError."""
    began = time.monotonic()
    with connect(ns, dst, port, src, sport, timeout) as s:
        took = time.monotonic() - began
        s.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")
        reply = b""
        while part := s.recv(65536):
            reply += part
    assert reply.startswith(b"HTTP/1.1 200") and reply.endswith(PAGE), reply[:200]
    return took


def get_many(ns, dst, n, give_up=10, **kw):
    """n page fetches, one after the other: seconds of each that worked, errors of the others.

    After `give_up` errors it stops: nothing that is tested here may fail even once.
    """
    times, errors = [], []
    for _ in range(n):
        if len(errors) == give_up:
            break
        try:
            times.append(http_get(ns, dst, **kw))
        except (OSError, AssertionError) as error:
            errors.append(repr(error))
    return times, errors


def get_parallel(ns, dst, n, threads=20, **kw):
    """The same with many clients at once (for when most of them wait in vain)."""
    todo, results, lock = iter(range(n)), [], threading.Lock()

    def work():
        while True:
            with lock:
                if next(todo, None) is None:
                    return
            results.append(get_many(ns, dst, 1, **kw))

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    return [t for r in results for t in r[0]], [e for r in results for e in r[1]]


class Load:
    """Page fetches from fresh addresses, one after the other, while the block runs: `done` so far,
    and `errors`."""

    def __init__(self, ns, dst, pause=0.01, **kw):
        self.done, self.errors = 0, []
        self._args, self._pause, self._stop = (ns, dst, kw), pause, threading.Event()
        self._thread = threading.Thread(target=self._work)

    def _work(self):
        ns, dst, kw = self._args
        while not self._stop.wait(self._pause):
            times, errors = get_many(ns, dst, 1, **{"src": "fresh", **kw})
            self.done += len(times)
            self.errors += errors

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._stop.set()
        self._thread.join()


def tcp_options(ns, *filters):
    """What `ss -ti` says was negotiated, for each matching connection, as dicts."""
    found = []
    for line in ns.ss("-tie", "state", "established", *filters):
        info = {"ts": False, "sack": False, "ecn": False, "wscale": None}
        for word in line.split():
            if word in ("ts", "sack", "ecn"):
                info[word] = True
            key, colon, value = word.partition(":")
            if colon and key in ("wscale", "mss", "advmss", "pmtu"):
                info[key] = value
        found.append(info)
    return found
