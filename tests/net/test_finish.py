# SPDX-License-Identifier: GPL-2.0-only
"""How a handshake may go on after the SYN-ACK, other than with an ACK and then data.

Every test runs twice more than needed: without synstile it shows what the kernel does,
and in mode always synstile has to be no worse.
"""
import contextlib
import os
import pathlib
import socket
import time

import pytest
from conftest import COOKIES
from scapy.layers.inet import TCP

import clients
import lab as labs
import services
from netns import patience, sh, until
from wire import GET, Talk, Wire, payload

LINUX = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (5000, 0)), ("NOP", None), ("WScale", 7)]
BARE = [("MSS", 1460)]
DEFENCES = ["none", *COOKIES]


@pytest.fixture(scope="module", params=DEFENCES)
def place(request):
    """A lab with nginx on 80, a banner on 2222, an echo on 7000; synstile or not."""
    with labs.Lab(offload=False) as lab:
        lab.nginx()
        lab.serve(services.Banner(2222))
        lab.serve(services.Echo(7000))
        lab.wire = Wire(lab.client)
        lab.defence = request.param
        with contextlib.ExitStack() as stack:
            if request.param != "none":
                stack.enter_context(lab.attached("--mode", "always", "--cookies", request.param))
            yield lab
        lab.wire.close()


OPTIONS = pytest.mark.parametrize("options", [LINUX, BARE], ids=["timestamps", "bare"])
FAMILY = pytest.mark.parametrize("dst", [labs.SERVER4, labs.SERVER6], ids=["v4", "v6"])


@FAMILY
@OPTIONS
def test_ack_and_data_at_once(place, dst, options):
    """The ACK and the first data in one NAPI batch, so that TC sees both before the stack has
    made the socket. A NAPI thread that cannot run while we send makes sure of the batch."""
    with napi_held(place) as hold:
        for _ in range(20):
            talk = Talk(place.wire, dst, options=options)
            talk.syn()
            talk.synack()
            with hold():
                talk.send("A")
                talk.send("PA", GET)
            answer = talk.reply(what="an answer to the first data", want=lambda tcp: payload(tcp))
            assert answer[TCP].ack == talk.seq
            talk.reset()
    # The same must not have needed the client's retransmission: it sent the request once.


@contextlib.contextmanager
def napi_held(lab):
    """Give s0 a NAPI thread on this test's CPU, below its priority while `hold()` lasts."""
    server = lab.server
    switch = "/sys/class/net/s0/threaded"
    turn = ["ip", "netns", "exec", server.name, "sh", "-c"]  # only this mounts the right /sys
    if lab.defence == "none":
        server.run("ethtool", "-K", "s0", "gro", "on")  # without XDP, veth has NAPI only for this
    if sh(*turn, f"echo 1 >{switch}", check=False).returncode:
        pytest.skip("this kernel has no threaded NAPI on veth")
    cpu = min(os.sched_getaffinity(0))
    before = os.sched_getaffinity(0)
    try:
        threads = until(lambda: _napi_threads("s0"), 2, "the NAPI thread of s0")
        for thread in threads:  # another lab's s0 may be among them: no harm
            with contextlib.suppress(ProcessLookupError):  # its namespace goes just now
                os.sched_setaffinity(thread, {cpu})

        @contextlib.contextmanager
        def hold():
            os.sched_setaffinity(0, {cpu})
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
            try:
                yield
            finally:
                os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
                os.sched_setaffinity(0, before)

        yield hold
    finally:
        sh(*turn, f"echo 0 >{switch}", check=False)


def _napi_threads(dev):
    found = set()
    for path in pathlib.Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if path.read_text().startswith(f"napi/{dev}-"):
                found.add(int(path.parent.name))
    return found


@FAMILY
@OPTIONS
def test_final_ack_lost_data_follows(place, dst, options):
    """The data carries the same numbers as the ACK that was lost."""
    talk = Talk(place.wire, dst, options=options)
    talk.syn()
    talk.synack()
    talk.get()
    talk.reset()


@FAMILY
@OPTIONS
def test_first_data_in_two_segments_without_ack(place, dst, options):
    """Final ACK lost, two data segments back to back."""
    talk = Talk(place.wire, dst, options=options)
    talk.syn()
    talk.synack()
    talk.send("A", GET[:10])
    talk.send("PA", GET[10:])
    got = talk.get(already_sent=True)
    assert got
    talk.reset()


@FAMILY
@OPTIONS
def test_fin_first(place, dst, options):
    """The client connects and closes at once, and its final ACK is lost or rides on the FIN."""
    talk = Talk(place.wire, dst, 7000, options=options)
    talk.syn()
    talk.synack()
    talk.send("FA")
    fin = talk.reply(what="the server's FIN", want=lambda tcp: "F" in tcp.flags)
    assert fin[TCP].ack == (talk.isn + 2) % (1 << 32)
    talk.ack = (fin[TCP].seq + 1) % (1 << 32)
    talk.send("A")


@FAMILY
@OPTIONS
def test_data_with_fin_first(place, dst, options):
    """Request and FIN in one segment, as the first after the SYN-ACK."""
    talk = Talk(place.wire, dst, 7000, options=options)
    talk.syn()
    talk.synack()
    talk.send("FPA", b"hello")
    assert talk.data() == b"hello"
    talk.reset()


@FAMILY
@OPTIONS
def test_keepalive_first(place, dst, options):
    """A keepalive (seq one too low, no data or one byte) comes first: it must not end in a RST,
    and the client's next real segment must work."""
    if place.defence == "kernel":
        # The kernel takes seq - 1 for the next higher MSS of its table, if there is one.
        options = [("MSS", 8960 if ":" in dst else 1460), *options[1:]]
    for data in (b"", b"\0"):
        talk = Talk(place.wire, dst, options=options)
        talk.syn()
        talk.synack()
        talk.send("A", data, seq=talk.isn)
        probe = talk.reply(what="an answer to the keepalive")
        # Any stack answers like this what it got, and so must a real client be able to.
        assert "A" in probe[TCP].flags and not payload(probe[TCP])
        talk.send("A")
        talk.get()
        talk.reset()


@FAMILY
@OPTIONS
def test_window_update_first(place, dst, options):
    """A pure ACK with another window, and the same again, before any data."""
    talk = Talk(place.wire, dst, options=options)
    talk.syn()
    talk.synack()
    for window in (0, 100, 64240):
        talk.send("A", window=window)
    talk.get()
    talk.reset()


@pytest.mark.parametrize("dst", [labs.SERVER4, labs.SERVER6], ids=["v4", "v6"])
def test_speaks_first_after_a_lost_ack(place, dst):
    """A real client whose final ACK is lost and who has nothing to say, but keeps alive.

    Without synstile the server repeats its SYN-ACK; with cookies only the client's keepalive
    can mend it.
    """
    if place.defence == "kernel" and ":" in dst:
        pytest.skip("the kernel's cookie for MSS 1440 takes a keepalive for the ACK of MSS 8940")
    client = place.client
    client.run("nft", "add table inet lose; "
               "add chain inet lose out { type filter hook output priority 0; }; "
               "add rule inet lose out oifname c0 tcp dport 2222 tcp flags == ack counter drop")
    try:
        with connect_keepalive(client, dst) as s:
            client.run("nft", "delete table inet lose")
            assert clients.receive(s, len(services.Banner.TEXT)) == services.Banner.TEXT
            s.sendall(b"hello")
            assert clients.receive(s, 5) == b"hello"
    finally:
        client.run("nft", "delete table inet lose", check=False)


def connect_keepalive(ns, dst):
    s = ns.socket(clients.family_of(dst))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    s.settimeout(patience(20))
    s.connect((dst, 2222))
    return s


@FAMILY
def test_port_reused_in_time_wait(place, dst):
    """The server closes first and keeps TIME-WAIT; the client comes back from the same port."""
    before = place.server.counters(), place.client.counters()
    for _ in range(50):
        until(lambda: not place.client.ss("-t", "state", "connected", "sport", "=", ":12345"), 5,
              "the client's side is closed")
        clients.http_get(place.client, dst, src=labs.CLIENT6 if ":" in dst else labs.CLIENT4,
                      sport=12345)
    after = place.server.counters(), place.client.counters()
    for a, b in zip(after, before):
        assert a["TcpRetransSegs"] == b["TcpRetransSegs"]
    assert any(":12345" in line for line in place.server.ss("-t", "state", "time-wait"))


def test_full_accept_queue(place):
    """A listener with backlog 1 that accepts nothing for a while. No client may be reset, and
    all are served once it accepts."""
    slow = services.Echo(7100, backlog=1, accept=False)
    slow.start(place.server)
    resets = place.client.counters()["TcpEstabResets"]
    try:
        if place.defence != "none":
            until(lambda: place.service(7100), 2, "the new listener is protected")
        waiting = [start_connect(place.client, labs.SERVER4, 7100) for _ in range(6)]
        time.sleep(patience(1.5))
        slow.accepting.set()
        for n, s in enumerate(waiting):
            finish_connect(s)
            s.sendall(b"hello %d" % n)
        for n, s in enumerate(waiting):
            assert clients.receive(s, 7) == b"hello %d" % n
            s.close()
    finally:
        slow.stop()
    assert place.client.counters()["TcpEstabResets"] == resets


def test_full_accept_queue_with_data_waiting(place):
    """The same, and clients send their request while the queue is still full."""
    slow = services.Echo(7101, backlog=1, accept=False)
    slow.start(place.server)
    try:
        if place.defence != "none":
            until(lambda: place.service(7101), 2, "the new listener is protected")
        waiting = [start_connect(place.client, labs.SERVER4, 7101) for _ in range(6)]
        time.sleep(patience(0.2))
        for s in waiting:
            with contextlib.suppress(BlockingIOError, OSError):
                s.send(b"hello")
        time.sleep(patience(1))
        slow.accepting.set()
        for s in waiting:
            finish_connect(s)
            if place.defence == "none":  # may not have been connected when it tried to send
                s.sendall(b"hello")
            assert clients.receive(s, 5) == b"hello"
            s.close()
    finally:
        slow.stop()


def start_connect(ns, dst, port):
    s = ns.socket(clients.family_of(dst))
    s.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        s.connect((dst, port))
    return s


def finish_connect(s):
    s.settimeout(patience(20))
    s.getpeername() if _connected(s) else until(lambda: _connected(s), 20, "connected")


def _connected(s):
    error = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    assert not error, os.strerror(error)
    try:
        s.getpeername()
    except OSError:
        return False
    return True
