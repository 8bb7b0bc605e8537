# SPDX-License-Identifier: GPL-2.0-only
"""Keepalives: probes are counted while a peer is silent, and a dead one is reported."""
import contextlib
import socket
import time

import pytest

import clients
import lab as labs
import observer
import services
from dropper import BACK, BEFORE, Dropper
from netns import patience, until

FAMILY = pytest.mark.parametrize("dst", [labs.SERVER4, labs.SERVER6], ids=["v4", "v6"])
PROBES = 3
PORT = 20001


@contextlib.contextmanager
def connected(lab, held, dst):
    """(client's socket, server's socket)"""
    with clients.connect(lab.client, dst, 7000, sport=PORT) as client:
        server = until(lambda: held.connections, 2, "accepted")[-1]
        yield client, server


def keep_alive(s, interval=1, probes=PROBES):
    for option, value in ((socket.TCP_KEEPIDLE, interval), (socket.TCP_KEEPINTVL, interval),
                          (socket.TCP_KEEPCNT, probes)):
        s.setsockopt(socket.IPPROTO_TCP, option, value)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def shown(lab):
    found = [c for c in observer.conns(lab) if c["src_port"] == PORT]
    assert len(found) == 1
    return found[0]


def side(conn, name):
    """(probes that this side sent, how many of the last ones were not answered)"""
    s = conn["tcp"][name]
    return s["keepalives"], s["keepalives_unanswered"]


@FAMILY
def test_silent_death(lab, dst):
    """The client's host vanishes without a word."""
    held = lab.serve(services.Service(7000))
    with Dropper(lab) as dropper, lab.attached(), observer.Follower(lab) as events:
        with connected(lab, held, dst) as (client, server):
            client.sendall(b"hello")
            assert clients.receive(server, 5) == b"hello"
            for place in (BACK, BEFORE):
                dropper.lose(place)
            keep_alive(server)
            until(lambda: side(shown(lab), "server") >= (1, 1), 5, "one probe, not answered")
            until(lambda: side(shown(lab), "server") >= (2, 2), 5, "two")
            server.settimeout(patience(20))
            with pytest.raises(TimeoutError):
                server.recv(1)  # ETIMEDOUT, not Python's
            end = events.until(lambda e: e["event_type"] == "tcp_state"
                               and e["synstile"].get("end") == "dead_peer", 10, "dead peer")
    probes = events.all("keepalive")
    assert [e["keepalive"]["side"] for e in probes] == ["server"] * PROBES
    assert [e["keepalive"]["unanswered"] for e in probes] == [1, 2, 3]
    assert [e["keepalive"]["total"] for e in probes] == [1, 2, 3]
    assert len({e["flow_id"] for e in [end, *probes]}) == 1
    assert (end["tcp"]["client_state"], end["tcp"]["server_state"]) == ("CLOSED", "CLOSED")
    assert end["src_port"] == PORT


@pytest.mark.parametrize("asks,dst", [("client", labs.SERVER4), ("server", labs.SERVER6)])
def test_answered(lab, asks, dst):
    """As long as the other side answers, none is unanswered and the connection stays."""
    held = lab.serve(services.Service(7000))
    with lab.attached(), observer.Follower(lab) as events:
        with connected(lab, held, dst) as (client, server):
            keep_alive(client if asks == "client" else server)
            until(lambda: side(shown(lab), asks)[0] >= 3, 10, "three probes")
            assert observer.states(shown(lab)) == ("ESTABLISHED", "ESTABLISHED")
            until(lambda: side(shown(lab), asks)[1] == 0, 1, "the last one is answered")
            client.sendall(b"hello")
            assert clients.receive(server, 5) == b"hello"
            conn = shown(lab)
            assert conn["tcp"]["client"]["retransmissions"] == 0
            assert conn["tcp"]["server"]["retransmissions"] == 0
            events.beat()
    probes = events.all("keepalive")
    assert len(probes) >= 3
    assert {e["keepalive"]["side"] for e in probes} == {asks}
    assert {e["keepalive"]["unanswered"] for e in probes} == {1}


def test_peer_comes_back(lab):
    """The wire is mended between two probes: the unanswered ones are forgotten."""
    held = lab.serve(services.Service(7000))
    with Dropper(lab) as dropper, lab.attached():
        with connected(lab, held, labs.SERVER4) as (client, server):
            dropper.lose(BACK)
            keep_alive(server, probes=30)
            until(lambda: side(shown(lab), "server")[1] >= 1, 5, "one probe, not answered")
            dropper.clear()
            until(lambda: side(shown(lab), "server")[1] == 0, 5, "the next one is answered")
            client.sendall(b"hello")
            assert clients.receive(server, 5) == b"hello"


def test_closed_window_is_no_keepalive(lab):
    """Probes of a closed window ask something else."""
    held = lab.serve(services.Service(7000))
    with lab.attached():
        with connected(lab, held, labs.SERVER4) as (client, server):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            server.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    server.send(b"x" * 65536)
            time.sleep(patience(2))
            conn = shown(lab)
            assert side(conn, "server") == (0, 0) and side(conn, "client") == (0, 0)
            assert observer.states(conn) == ("ESTABLISHED", "ESTABLISHED")
