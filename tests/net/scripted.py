# SPDX-License-Identifier: GPL-2.0-only
"""Scripted connections: TCP in every way that two Linux hosts can be made to speak it.

A script is a generator over one Connection: it acts on the sockets of both ends, and yields the
states that both ends' stacks must come to, the opener's first. Where something else counts too, it
yields a Step. The one who runs it looks at both ends before it goes on (truth.py).

LISTEN: no socket yet. CLOSED: no socket any more.
"""
import contextlib
import errno
import itertools
import select
import socket
import struct
import time

import lab as labs
from dropper import ACK, AFTER, ALL, BACK, BEFORE, FIN, SYN
from netns import patience

PORT = 7000                   # of both hosts' listeners
FIRST_SMALL = 7100            # of the server's listeners with a small backlog
CLOSED_PORT = 6999
DATA = b"0123456789" * 10
RESET = struct.pack("ii", 1, 0)  # struct linger: closing sends RST


class Step:
    """What the stacks must come to; what synstile then shows, where it cannot know better.

    shown: (opener, acceptor), or None for no record. `because` says why that differs; the
    segment that would tell has not reached the observer, or tells more than it can know.
    ready: something else that has to be true first.
    """

    def __init__(self, opener, acceptor, shown=(), because="", ready=None):
        self.stacks = opener, acceptor
        self.shown = shown if shown != () else self.stacks
        assert self.shown == self.stacks or because
        self.because, self.ready = because, ready


SCRIPTS = []  # (script, who may open, with cookies or without)


def script(opened_by=("client", "server"), cookies=None):
    """Register a script. cookies: only for (True) or only without (False) cookies."""
    def register(function):
        SCRIPTS.append((function, opened_by, cookies))
        return function
    return register


_ports = itertools.count(20000)


class Connection:
    """A connection between the client's and the server's host, and both its sockets.

    by: which host opens it. synstile is on the server's. cookies: "own" or "kernel" if it answers
    every SYN from outside.
    """

    def __init__(self, lab, dropper, listeners, by, family, cookies):
        self.lab, self.dropper, self.listeners = lab, dropper, listeners
        self.by, self.family, self.cookies = by, family, by == "client" and cookies
        v6 = family == socket.AF_INET6
        addresses = {"client": labs.CLIENT6 if v6 else labs.CLIENT4,
                     "server": labs.SERVER6 if v6 else labs.SERVER4}
        other = "client" if by == "server" else "server"
        self.spaces = {"opener": getattr(lab, by), "acceptor": getattr(lab, other)}
        self.hosts = {"opener": by, "acceptor": other}
        self.ends = {"opener": (addresses[by], next(_ports)), "acceptor": (addresses[other], PORT)}
        self.sockets = {}

    def __str__(self):
        return "{}:{} > {}:{}".format(*self.ends["opener"], *self.ends["acceptor"])

    def key(self, end):
        """As ss on that end's host has it."""
        return (*self.ends[end], *self.ends["acceptor" if end == "opener" else "opener"])

    # --- what a script does

    def open(self, end="opener"):
        """Begin to connect (again)."""
        there = self.ends["acceptor" if end == "opener" else "opener"]
        s = self.spaces[end].socket(self.family)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setblocking(False)
        s.bind(self.ends[end])
        self.sockets[end] = s
        error = s.connect_ex(there)
        if error not in (0, errno.EINPROGRESS):
            raise OSError(error, f"{self}: connect: {errno.errorcode[error]}")

    def port(self, number):
        """Connect to another port than PORT."""
        self.ends["acceptor"] = self.ends["acceptor"][0], number

    def socket(self, end):
        if end == "acceptor" and end not in self.sockets:
            listener = self.listeners.of[self.hosts[end], self.family, self.ends[end][1]]
            self.sockets[end] = listener.take(self.ends["opener"])
        return self.sockets[end]

    def send(self, end, data=DATA, flags=0):
        self.socket(end).send(data, flags)

    def receive(self, end, n=len(DATA)):
        s, until = self.socket(end), time.monotonic() + patience(5)
        while n > 0:
            if not select.select([s], [], [], max(0, until - time.monotonic()))[0]:
                raise AssertionError(f"{self}: the {end} lacks {n} bytes")
            part = s.recv(n)
            assert part, f"{self}: the {end} lacks {n} bytes at the end"
            n -= len(part)

    def readable(self, end):
        return bool(select.select([self.socket(end)], [], [], 0)[0])

    def finish(self, end):
        """Send FIN, go on receiving."""
        self.socket(end).shutdown(socket.SHUT_WR)

    def close(self, end):
        self.socket(end).close()
        self.sockets[end] = None

    def reset(self, end):
        self.socket(end).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.close(end)

    def forget(self):
        """The sockets are closed already: for another connection with the same ports."""
        for s in self.sockets.values():
            if s:
                s.close()
        self.sockets = {}

    def lose(self, sender, before=False, left=ALL, flags=0, without=0):
        """Lose what `sender` sends. before: synstile does not see it (for what the client sends)."""
        self.dropper.lose(self._place(sender, before), self.ends["opener"][1], left=left,
                          flags=flags, without=without)

    def keep(self, sender):
        for before in (False, True):
            if not before or self.hosts[sender] == "client":
                self.dropper.keep(self._place(sender, before), self.ends["opener"][1])

    def _place(self, sender, before):
        if self.hosts[sender] == "client":
            return BEFORE if before else AFTER
        assert not before, "what the server sends cannot be lost before its own egress"
        return BACK

    def lost(self, sender, before=False):
        """How many packets lose() has cost."""
        return self.dropper.lost(self._place(sender, before), self.ends["opener"][1])[0]


class Listener:
    """A listening socket whose connections are handed out by their source."""

    def __init__(self, ns, family, port, backlog=1024):
        self.socket = ns.socket(family)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.socket.setblocking(False)
        self.socket.bind(("", port))
        self.socket.listen(backlog)
        self.accepted = {}

    def accept(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                s, peer = self.socket.accept()
                s.setblocking(False)
                self.accepted[peer[:2]] = s

    def take(self, peer):
        self.accept()
        return self.accepted.pop(peer)

    def close(self):
        for s in [self.socket, *self.accepted.values()]:
            s.close()


class SmallListener(Listener):
    """One whose accept queue can be filled."""
    BACKLOG = 7  # no smaller: a service whose bound of half-open connections is 2 answers with cookies

    def __init__(self, ns, family, port):
        super().__init__(ns, family, port, self.BACKLOG)
        self.port, self.family, self.fillers = port, family, []

    def fill(self, ns, address):
        for _ in range(self.BACKLOG + 1):
            s = ns.socket(self.family)
            self.fillers.append(s)
            s.settimeout(patience(3))
            s.connect((address, self.port))

    def close(self):
        super().close()
        for s in self.fillers:
            s.close()


class Listeners:
    """Those of both hosts, and `spare` small ones of the server's for each family."""

    def __init__(self, lab, spare):
        self.of, self.small = {}, {}
        ports = itertools.count(FIRST_SMALL)
        for family in (socket.AF_INET, socket.AF_INET6):
            for host in ("client", "server"):
                self.of[host, family, PORT] = Listener(getattr(lab, host), family, PORT)
            self.small[family] = [SmallListener(lab.server, family, next(ports))
                                  for _ in range(spare)]
            for one in self.small[family]:
                self.of["server", family, one.port] = one

    def full(self, family):
        return self.small[family].pop()

    def close(self):
        for one in self.of.values():
            one.close()


# --- handshakes

OPEN = "ESTABLISHED", "ESTABLISHED"
GONE = "CLOSED", "CLOSED"


def opened(c):
    """The beginning of most scripts."""
    c.open()
    yield OPEN


@script()
def idle(c):
    yield from opened(c)


@script(cookies=False)
def syn_lost(c):
    c.lose("opener", flags=SYN)
    c.open()
    yield "SYN-SENT", "LISTEN"
    c.keep("opener")
    yield OPEN


@script(opened_by=["client"])
def syn_lost_unseen(c):
    c.lose("opener", before=True, flags=SYN)
    c.open()
    yield Step("SYN-SENT", "LISTEN", shown=None, because="no segment was seen")
    c.keep("opener")
    yield OPEN


@script(cookies=False)
def synack_lost(c):
    c.lose("acceptor", flags=SYN | ACK)
    c.open()
    yield "SYN-SENT", "SYN-RECEIVED"
    answer_once(c)
    yield OPEN


def answer_once(c):
    """SYN-ACKs are lost no more, the SYN's repetitions are: with both there may be two SYN-ACKs at
    once, and the second one, behind the opener's ACK, says that this was lost."""
    c.lose("opener", flags=SYN, without=ACK)
    c.keep("acceptor")


@script(opened_by=["client"], cookies=True)
def cookie_lost(c):
    """As above where the answer is a cookie: nobody remembers anything."""
    c.lose("acceptor", flags=SYN | ACK)
    c.open()
    yield Step("SYN-SENT", "LISTEN", shown=None, because="a cookie is in no table")
    c.keep("acceptor")
    yield OPEN


@script(opened_by=["client"])
def last_ack_of_handshake_lost(c):
    c.lose("opener", before=True, flags=ACK, without=SYN)
    c.open()
    if c.cookies:
        yield Step("ESTABLISHED", "LISTEN", shown=None, because="a cookie is in no table")
    else:
        yield Step("ESTABLISHED", "SYN-RECEIVED", shown=("SYN-SENT", "SYN-RECEIVED"),
                   because="the client's ACK was not seen")
    c.keep("opener")
    c.send("opener")
    yield OPEN
    c.receive("acceptor")


@script(opened_by=["client"], cookies=False)
def accept_queue_full(c):
    """The stack drops the client's ACK, and says so only by its SYN-ACK's repetition."""
    listener = c.listeners.full(c.family)
    c.port(listener.port)
    c.lose("acceptor", flags=SYN | ACK)
    c.open()
    yield "SYN-SENT", "SYN-RECEIVED"
    listener.fill(c.lab.client, c.ends["acceptor"][0])
    answer_once(c)
    yield Step("ESTABLISHED", "SYN-RECEIVED", shown=OPEN,
               because="that the ACK was dropped shows when the SYN-ACK comes again")
    c.lose("opener", before=True, flags=ACK)
    yield Step("ESTABLISHED", "SYN-RECEIVED", ready=lambda: c.lost("opener", before=True))
    listener.accept()
    c.keep("opener")
    c.send("opener")
    yield OPEN
    c.receive("acceptor")


@script()
def refused(c):
    c.port(CLOSED_PORT)
    c.open()
    yield GONE


@script(cookies=False)
def never_answered(c):
    c.lose("opener")
    c.open()
    yield "SYN-SENT", "LISTEN"


@script(cookies=False)
def given_up(c):
    """Nobody says that the opener has no socket any more, until it is asked."""
    c.lose("acceptor", flags=SYN | ACK)
    c.open()
    yield "SYN-SENT", "SYN-RECEIVED"
    c.close("opener")
    yield Step("CLOSED", "SYN-RECEIVED", shown=("SYN-SENT", "SYN-RECEIVED"),
               because="who gives up sends nothing")
    c.keep("acceptor")
    yield GONE


@script(opened_by=["client"], cookies=False)
def listener_closed(c):
    """The stack forgets its half-open connections when they are next heard of, with a reset."""
    listener = c.listeners.full(c.family)
    c.port(listener.port)
    c.lose("acceptor", flags=SYN | ACK)
    c.open()
    yield "SYN-SENT", "SYN-RECEIVED"
    listener.close()
    yield GONE


@script()
def simultaneous_open(c):
    """Both SYNs are under way, and lost at first."""
    c.port(c.ends["opener"][1])  # of both
    c.lose("opener")
    c.lose("acceptor")
    c.open("opener")
    if c.by == "server":
        yield "SYN-SENT", "LISTEN"
    else:
        yield Step("SYN-SENT", "LISTEN", shown=None, because="a SYN to no service is not followed")
    c.open("acceptor")
    # in SYN-RECEIVED Linux gives up after TCP_SYNCNT repetitions, those of SYN-SENT included
    for s in c.sockets.values():
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 60)
    yield Step("SYN-SENT", "SYN-SENT", ready=lambda: c.lost("opener") > 1)
    here, there = ("opener", "acceptor") if c.by == "server" else ("acceptor", "opener")
    c.keep(here)
    yield of(there, "SYN-RECEIVED", "SYN-SENT")
    c.keep(there)
    yield OPEN
    c.send("opener")
    c.receive("acceptor")
    yield OPEN


# --- data

@script()
def data_both_ways(c):
    yield from opened(c)
    for sender, receiver in (("opener", "acceptor"), ("acceptor", "opener")) * 2:
        c.send(sender)
        c.receive(receiver)
        yield OPEN


def data_lost(sender, receiver):
    def lost(c):
        yield from opened(c)
        c.lose(sender, left=2)
        c.send(sender)
        yield Step(*OPEN, ready=lambda: c.readable(receiver))
        c.receive(receiver)
        c.send(receiver)
        yield OPEN
        c.receive(sender)
        yield OPEN
    lost.__name__ = f"data_of_{sender}_lost"
    return lost


script()(data_lost("opener", "acceptor"))
script()(data_lost("acceptor", "opener"))


# --- closing. `a` closes first, `b` is the other end; each script is run for both ends as `a`

def both_ways(unseen=False):
    """Register a script(c, a, b) for either end in the role of `a`. unseen: only if that is
    the client's, since what synstile's own host sends is always seen."""
    def register(function):
        for a, b, client in (("opener", "acceptor", "client"), ("acceptor", "opener", "server")):
            def one(c, a=a, b=b):
                return function(c, a, b)
            one.__name__ = f"{function.__name__}_by_{a}"
            script([client] if unseen else ("client", "server"))(one)
        return function
    return register


def of(a, state_a, state_b):
    """The states in order, opener's first."""
    return (state_a, state_b) if a == "opener" else (state_b, state_a)


@both_ways()
def close(c, a, b):
    yield from opened(c)
    c.close(a)
    yield of(a, "FIN-WAIT-2", "CLOSE-WAIT")
    c.close(b)
    yield of(a, "TIME-WAIT", "CLOSED")


@both_ways()
def half_close(c, a, b):
    """It lasts, and data go on flowing the other way."""
    yield from opened(c)
    c.send(a)
    c.finish(a)
    yield of(a, "FIN-WAIT-2", "CLOSE-WAIT")
    c.receive(b)
    for _ in range(3):
        c.send(b, DATA * 50)
        c.receive(a, len(DATA) * 50)
        yield of(a, "FIN-WAIT-2", "CLOSE-WAIT")
    c.finish(b)
    yield of(a, "TIME-WAIT", "CLOSED")


@both_ways()
def fin_with_data(c, a, b):
    yield from opened(c)
    c.send(a, flags=socket.MSG_MORE)
    c.finish(a)
    yield of(a, "FIN-WAIT-2", "CLOSE-WAIT")
    c.receive(b)
    c.send(b, flags=socket.MSG_MORE)
    c.finish(b)
    yield of(a, "TIME-WAIT", "CLOSED")
    c.receive(a)


@both_ways()
def fin_lost(c, a, b):
    yield from opened(c)
    c.lose(a, flags=FIN)
    c.finish(a)
    yield of(a, "FIN-WAIT-1", "ESTABLISHED")
    c.keep(a)
    yield of(a, "FIN-WAIT-2", "CLOSE-WAIT")
    c.lose(b, flags=FIN)
    c.finish(b)
    yield of(a, "FIN-WAIT-2", "LAST-ACK")
    c.keep(b)
    yield of(a, "TIME-WAIT", "CLOSED")


@both_ways(unseen=True)
def fin_lost_unseen(c, a, b):
    yield from opened(c)
    c.lose(a, before=True, flags=FIN)
    c.finish(a)
    yield Step(*of(a, "FIN-WAIT-1", "ESTABLISHED"), shown=OPEN, because="the FIN was not seen")
    c.keep(a)
    yield of(a, "FIN-WAIT-2", "CLOSE-WAIT")
    c.finish(b)
    yield of(a, "TIME-WAIT", "CLOSED")


@both_ways(unseen=True)
def last_ack_lost_unseen(c, a, b):
    yield from opened(c)
    c.finish(a)
    yield of(a, "FIN-WAIT-2", "CLOSE-WAIT")
    c.lose(a, before=True)
    c.finish(b)
    yield Step(*of(a, "TIME-WAIT", "LAST-ACK"), shown=of(a, "FIN-WAIT-2", "LAST-ACK"),
               because="the ACK was not seen")
    c.keep(a)
    yield of(a, "TIME-WAIT", "CLOSED")


@both_ways()
def last_ack_lost(c, a, b):
    """The ACK of a FIN is not acknowledged: having passed, it counts as arrived."""
    yield from opened(c)
    c.finish(a)
    yield of(a, "FIN-WAIT-2", "CLOSE-WAIT")
    c.lose(a)
    c.finish(b)
    yield Step(*of(a, "TIME-WAIT", "LAST-ACK"), shown=of(a, "TIME-WAIT", "CLOSED"),
               because="an ACK that passed counts as received")
    c.keep(a)
    yield of(a, "TIME-WAIT", "CLOSED")


@both_ways()
def simultaneous_close(c, a, b):
    yield from opened(c)
    c.lose(a, flags=FIN)
    c.lose(b, flags=FIN)
    c.finish(a)
    c.finish(b)
    yield "FIN-WAIT-1", "FIN-WAIT-1"
    c.keep(b)
    yield of(a, "CLOSING", "FIN-WAIT-2")
    c.keep(a)
    yield "TIME-WAIT", "TIME-WAIT"


@both_ways()
def close_with_data_on_the_way(c, a, b):
    """The first one has closed altogether: what comes then is answered by a reset."""
    yield from opened(c)
    c.close(a)
    yield of(a, "FIN-WAIT-2", "CLOSE-WAIT")
    c.send(b)
    yield GONE


# --- resets

@both_ways()
def reset_when_established(c, a, b):
    yield from opened(c)
    c.send(a)
    c.receive(b)
    c.reset(a)
    yield GONE


@both_ways()
def reset_in_fin_wait_1(c, a, b):
    """The other side lacks the FIN: this is not the number that it expects next, so it asks back
    (RFC 5961), and takes the second reset."""
    yield from opened(c)
    if c.cookies == "kernel":
        # else what it asks has the numbers of the handshake's last ACK, and the kernel, without
        # a socket, takes it for that
        c.send(b)
        c.receive(a)
    c.lose(a, flags=FIN)
    c.finish(a)
    yield of(a, "FIN-WAIT-1", "ESTABLISHED")
    c.reset(a)
    yield GONE


@both_ways()
def reset_in_fin_wait_2(c, a, b):
    yield from opened(c)
    c.finish(a)
    yield of(a, "FIN-WAIT-2", "CLOSE-WAIT")
    c.reset(a)
    yield GONE


@both_ways()
def reset_in_close_wait(c, a, b):
    yield from opened(c)
    c.finish(a)
    yield of(a, "FIN-WAIT-2", "CLOSE-WAIT")
    c.reset(b)
    yield GONE


@both_ways()
def reset_of_last_ack(c, a, b):
    yield from opened(c)
    c.finish(a)
    yield of(a, "FIN-WAIT-2", "CLOSE-WAIT")
    c.lose(b, flags=FIN)
    c.finish(b)
    yield of(a, "FIN-WAIT-2", "LAST-ACK")
    c.reset(a)
    yield GONE


@both_ways()
def reset_of_closing(c, a, b):
    yield from opened(c)
    c.lose(a, flags=FIN)
    c.lose(b, flags=FIN)
    c.finish(a)
    c.finish(b)
    yield "FIN-WAIT-1", "FIN-WAIT-1"
    c.keep(b)
    yield of(a, "CLOSING", "FIN-WAIT-2")
    c.reset(b)
    yield GONE


@both_ways()
def close_with_unread_data(c, a, b):
    yield from opened(c)
    c.send(b)
    yield Step(*OPEN, ready=lambda: c.readable(a))
    c.close(a)
    yield GONE


# --- the same ports again

@both_ways()
def reuse(c, a, b):
    """Another connection while the former one's TIME-WAIT lasts, at the opener or the acceptor."""
    yield from close(c, a, b)
    c.forget()
    yield from until_reusable(c)
    yield OPEN
    c.send("opener")
    c.receive("acceptor")
    yield OPEN


def until_reusable(c):
    """Linux reuses its own TIME-WAIT port after a second (tcp_tw_reuse)."""
    while True:
        try:
            c.open()
            return
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            c.forget()
            again = time.monotonic() + 0.2
            yield Step("TIME-WAIT", "CLOSED", ready=lambda at=again: time.monotonic() > at)
