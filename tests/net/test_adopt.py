# SPDX-License-Identifier: GPL-2.0-only
"""Connections that existed before synstile attached: none is cut, whatever its state.

States are the server's (RFC 9293). Where a state needs a client that withholds a segment,
scapy is the client; the rest are kernel sockets.
"""
import contextlib
import socket
import time
import traceback

import pytest
from conftest import COOKIES
from scapy.layers.inet import TCP

import clients
import lab as labs
import services
from netns import patience, until
from wire import Talk, Wire

LINUX = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (5000, 0)), ("NOP", None), ("WScale", 7)]
PORT = 7000
FAMILIES = [labs.SERVER4, labs.SERVER6]


class Held(services.Service):
    """Accepts and does nothing: the test drives the accepted sockets."""

    def of(self, address, port):
        """The accepted socket of the client with this source; the newest if several."""
        return until(lambda: next((c for c in reversed(self.connections)
                                   if _peer(c) == (address, port)), None), 5, "accepted")


def _peer(connection):
    try:
        address, port = connection.getpeername()[:2]
    except OSError:  # closed or reset since
        return None
    return address.removeprefix("::ffff:"), port


class Pair:
    """A kernel client's connection, with both ends in hand."""

    def __init__(self, lab, held, dst):
        self.client = clients.connect(lab.client, dst, PORT, src="fresh")
        self.server = held.of(*self.client.getsockname()[:2])
        self.server.settimeout(patience(10))

    def up(self, data=b"from the client"):
        self.client.sendall(data)
        assert clients.receive(self.server, len(data)) == data

    def down(self, data=b"from the server"):
        self.server.sendall(data)
        assert clients.receive(self.client, len(data)) == data

    def ended(self, by):
        assert by.recv(1) == b"", "the other side's FIN"


def established(pair):
    pair.up()
    yield
    pair.up()
    pair.down()
    pair.client.shutdown(socket.SHUT_WR)
    pair.ended(pair.server)
    pair.server.close()
    pair.ended(pair.client)


def silent(pair):
    """Established, and nothing was ever sent."""
    yield
    pair.down()
    pair.up()
    pair.server.shutdown(socket.SHUT_WR)
    pair.ended(pair.client)
    pair.client.close()
    pair.ended(pair.server)


def close_wait(pair):
    """The client has sent its FIN; the server goes on talking (client: FIN-WAIT-2)."""
    pair.up()
    pair.client.shutdown(socket.SHUT_WR)
    pair.ended(pair.server)
    yield
    pair.down(b"d" * 100_000)
    pair.server.close()
    pair.ended(pair.client)


def fin_wait_2(pair):
    """The server has sent its FIN; the client goes on talking (client: CLOSE-WAIT)."""
    pair.down()
    pair.server.shutdown(socket.SHUT_WR)
    pair.ended(pair.client)
    yield
    pair.up(b"u" * 100_000)
    pair.client.close()
    pair.ended(pair.server)


def server_speaks_first(pair):
    """After attach the first segment is the server's."""
    pair.up()
    yield
    pair.down()
    pair.client.close()
    pair.ended(pair.server)


def client_closes(pair):
    """After attach the first segment is a FIN."""
    yield
    pair.client.shutdown(socket.SHUT_WR)
    pair.ended(pair.server)
    pair.down()
    pair.server.close()
    pair.ended(pair.client)


def client_resets(pair):
    """After attach the first segment is a RST, which has to arrive."""
    yield
    pair.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    pair.client.close()
    with pytest.raises(ConnectionResetError):
        pair.server.recv(1)


KERNEL_STATES = {established: 8, silent: 6, close_wait: 6, fin_wait_2: 6, server_speaks_first: 4,
                 client_closes: 4, client_resets: 2}


def syn_received(lab, held, talk):
    """The handshake is under way: SYN-ACK sent, final ACK to come after attach."""
    talk.syn()
    talk.synack()
    yield
    talk.send("A")
    talk.send("PA", b"hello")
    server = held.of(talk.src, talk.sport)
    assert clients.receive(server, 5) == b"hello"
    server.sendall(b"world")
    assert talk.data() == b"world"
    talk.reset()


def syn_received_ack_lost(lab, held, talk):
    """The same, and the client's first segment carries data."""
    talk.syn()
    talk.synack()
    yield
    talk.send("PA", b"hello")
    assert clients.receive(held.of(talk.src, talk.sport), 5) == b"hello"
    talk.reset()


def syn_received_repeats(lab, held, talk):
    """The client sends its SYN again after attach (the SYN-ACK was lost): the stack's socket
    has to answer, with the same numbers."""
    talk.syn()
    first = talk.synack()
    yield
    talk.syn()
    again = talk.synack(5)
    assert again[TCP].seq == first[TCP].seq
    talk.send("A")
    talk.send("PA", b"hello")
    assert clients.receive(held.of(talk.src, talk.sport), 5) == b"hello"
    talk.reset()


def _open(talk, held):
    talk.handshake()
    talk.send("PA", b"hi")
    server = held.of(talk.src, talk.sport)
    assert clients.receive(server, 2) == b"hi"
    return server


def fin_wait_1(lab, held, talk):
    """The server's FIN is not acknowledged yet."""
    server = _open(talk, held)
    server.shutdown(socket.SHUT_WR)
    fin = talk.reply(what="FIN", want=lambda tcp: "F" in tcp.flags)
    yield
    talk.ack = (fin[TCP].seq + 1) % (1 << 32)
    talk.send("A")
    talk.send("PA", b"more")
    assert clients.receive(server, 4) == b"more"
    talk.send("FA")
    assert server.recv(1) == b""
    until(lambda: not _state(lab, talk, "fin-wait-1", "fin-wait-2"), 5, "closed")


def closing(lab, held, talk):
    """Both FINs crossed; the ACK of the server's is to come."""
    server = _open(talk, held)
    server.shutdown(socket.SHUT_WR)
    fin = talk.reply(what="FIN", want=lambda tcp: "F" in tcp.flags)
    talk.send("FA")  # does not acknowledge the FIN
    until(lambda: _state(lab, talk, "closing"), 5, "CLOSING")
    yield
    talk.ack = (fin[TCP].seq + 1) % (1 << 32)
    talk.send("A")
    until(lambda: not _state(lab, talk, "closing"), 5, "TIME-WAIT")


def last_ack(lab, held, talk):
    """Both sides have closed; the ACK of the server's FIN is to come."""
    server = _open(talk, held)
    talk.send("FA")
    assert server.recv(1) == b""
    server.close()
    fin = talk.reply(what="FIN", want=lambda tcp: "F" in tcp.flags)
    until(lambda: _state(lab, talk, "last-ack"), 5, "LAST-ACK")
    yield
    talk.ack = (fin[TCP].seq + 1) % (1 << 32)
    talk.send("A")
    until(lambda: not _state(lab, talk, "last-ack"), 5, "closed")


def unacknowledged_data(lab, held, talk):
    """The server's data is under way and unacknowledged."""
    server = _open(talk, held)
    server.sendall(b"world")
    yield
    assert talk.data(20) == b"world"  # repeated at growing intervals
    talk.send("PA", b"thanks")
    assert clients.receive(server, 6) == b"thanks"
    talk.reset()


def keepalive(lab, held, talk):
    """Idle; after attach the client's first segment is a keepalive, which has to be answered."""
    _open(talk, held)
    time.sleep(0.1)  # let a delayed ACK go first
    talk.wire.drain(0.05)
    yield
    talk.send("A", seq=talk.seq - 1)
    talk.reply(what="the answer to a keepalive")
    talk.reset()


WIRE_STATES = {fin_wait_1: 2, closing: 2, last_ack: 2, unacknowledged_data: 2, keepalive: 2,
               syn_received: 4, syn_received_ack_lost: 2, syn_received_repeats: 2}


def _state(lab, talk, *states):
    return [line for state in states
            for line in lab.server.ss("-t", "state", state, "dport", "=", f":{talk.sport}")]


def time_wait(lab, held, dst, sport):
    """The server closed first; after attach the client comes back from the same port."""
    with clients.connect(lab.client, dst, PORT, sport=sport) as s:
        server = held.of(*s.getsockname()[:2])
        server.close()
        assert s.recv(1) == b""
    until(lambda: lab.server.ss("-t", "state", "time-wait", "dport", "=", f":{sport}"), 5,
               "TIME-WAIT")
    yield
    with clients.connect(lab.client, dst, PORT, sport=sport, timeout=5) as s:
        s.sendall(b"again")
        assert clients.receive(held.of(*s.getsockname()[:2]), 5) == b"again"


def _line(error):
    """The line of the story that failed."""
    here = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == __file__]
    return here[-1]


@pytest.mark.parametrize("cookies", COOKIES)
def test_live_connections_survive_attach(make_lab, cookies):
    """Some 60 connections in all states; after attach each transfers data and closes."""
    lab = make_lab(offload=False)
    held = lab.serve(Held(PORT))
    wire = Wire(lab.client)
    stories = []
    for ports, dst in zip((33000, 34000), FAMILIES):
        stories += [("time_wait", time_wait(lab, held, dst, ports + n)) for n in range(3)]
        stories += [(f.__name__, f(Pair(lab, held, dst)))
                    for f, n in KERNEL_STATES.items() for _ in range(n // 2)]
    stories += [(f.__name__, f(lab, held, Talk(wire, dst, PORT, options=LINUX)))
                for f, n in WIRE_STATES.items() for dst in FAMILIES for _ in range(n // 2)]
    assert len(stories) >= 50
    for _, story in stories:
        next(story)

    failed = []
    with lab.attached("--mode", "always", "--cookies", cookies):
        for name, story in reversed(stories):  # what the kernel gives up after 63 s first
            try:
                with contextlib.suppress(StopIteration):
                    next(story)
            except (OSError, AssertionError) as error:
                failed.append(f"{name}: {error} (line {_line(error)})")
        invalid = lab.count("cookie_invalid") + lab.count("rst_stray")
    wire.close()
    assert not failed, "\n".join(failed)
    assert invalid == 0


def test_connections_survive_detach_and_attach_again(lab):
    """Made by cookie, then without synstile, then adopted by a second attach."""
    held = lab.serve(Held(PORT))
    with lab.attached("--mode", "always"):
        pairs = [Pair(lab, held, dst) for dst in FAMILIES * 5]
        for pair in pairs:
            pair.up()
    for pair in pairs:
        pair.down()
    with lab.attached("--mode", "always"):
        for pair in pairs:
            pair.up()
            pair.down()
            pair.client.shutdown(socket.SHUT_WR)
            pair.ended(pair.server)
            pair.server.close()
            pair.ended(pair.client)


def test_connections_of_the_host_as_client(lab):
    """Connections that the host itself opens, before and after attach, are none of ours."""
    far = services.Echo(PORT)
    far.start(lab.client)
    try:
        with clients.connect(lab.server, labs.CLIENT4, PORT) as old:
            with lab.attached("--mode", "always"):
                for s in (old, clients.connect(lab.server, labs.CLIENT4, PORT),
                          clients.connect(lab.server, labs.CLIENT6, PORT)):
                    s.sendall(b"out")
                    assert clients.receive(s, 3) == b"out"
                    s.close()
    finally:
        far.stop()
