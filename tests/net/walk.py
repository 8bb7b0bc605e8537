#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Writes docs/tcp.md: the states of TCP, as synstile and the two kernels show them in the lab.

The words are here; what stands in the boxes is what the commands printed when this ran. Every
section makes its connections step by step, and waits for the events that it is about.
"""
import contextlib
import json
import os
import pathlib
import shlex
import signal
import socket
import struct
import sys
import textwrap

import clients
import lab as labs
from dropper import AFTER, BACK, BEFORE, FIN, Dropper
from netns import LabError, sh, until

PAGE = labs.ROOT / "docs/tcp.md"
PORT = 80
NOBODY = 6999  # listens at this port of the client's
BACKLOG = 128
SYN_ACK_RETRIES = 1
RESET = struct.pack("ii", 1, 0)  # struct linger: closing sends RST

TITLE = """\
# TCP, state by state

<!-- Made by `make docs`. The words are in tests/net/walk.py. -->
"""

INTRODUCTION = f"""
    RFC 9293 draws a TCP connection as eleven states with arrows between them
    ([3.3.2](https://www.rfc-editor.org/rfc/rfc9293#section-3.3.2)). Here two hosts go along these
    arrows, and synstile tells what it sees of that. What stands in the boxes was printed by the
    commands shown, while `make docs` made this page in the lab. The lab's network namespaces have
    longer names, which are shortened to `client` and `server`; nothing else was changed or typed by
    hand.

    The client is {labs.CLIENT4}. The server is {labs.SERVER4}, listens at port {PORT}, and has
    synstile attached. An observer sees segments, not sockets: what a side has sent shows at once,
    and what it has received shows when it acknowledges that. Only the ACK of a SYN-ACK or of a FIN,
    which is not answered, counts as received once it has passed. `ss` asks the sockets themselves.
    It calls two states by shorter names, ESTAB and SYN-RECV, and prints nothing where there is no
    socket: in CLOSED, or (for a connection to come) in LISTEN.

    A line of `synstile events` says when, who (the client is the side that sent the first SYN), and
    the state of the client | of the server, as OLD>NEW where it changed. On a server of your own, `synstile events -f` tells this of its connections as it
    happens.
"""


class Walk:
    """The page as it grows, and the lab in which it happens."""

    def __init__(self, lab, dropper, listener):
        self.lab, self.dropper, self.listener = lab, dropper, listener
        self.parts = [TITLE]
        self.tell(INTRODUCTION)

    # --- the page

    def section(self, title, text):
        self.parts.append(f"\n## {title}\n")
        self.tell(text)

    def tell(self, text):
        for paragraph in text.strip().split("\n\n"):
            words = textwrap.fill(" ".join(paragraph.split()), 100, break_long_words=False,
                                  break_on_hyphens=False)
            self.parts.append(f"\n{words}\n")

    def box(self, *commands):
        """Run them one after the other; what is shown is what came."""
        lines = []
        for command in commands:
            command = [str(word) for word in command]
            done = sh(*command)
            lines += ["# " + shlex.join(command), *(done.stdout + done.stderr).splitlines()]
        self.parts.append("\n```console\n" + "\n".join(line.rstrip() for line in lines) + "\n```\n")

    def page(self):
        text = "".join(self.parts)
        for role in ("client", "server"):
            text = text.replace(getattr(self.lab, role).name, role)
        return text

    # --- commands

    def synstile(self, *args):
        return ["synstile", "-n", self.lab.server.name, *args]

    def events(self, port, *args):
        return self.synstile("events", "--port", port, *args)

    def conns(self, port):
        return self.synstile("conns", "--port", port)

    def sockets(self, port, flags="-Htan"):
        """Both hosts' sockets of the connection from the client's port: two commands."""
        return [["ss", "-N", self.lab.client.name, flags, "sport", "=", f":{port}"],
                ["ss", "-N", self.lab.server.name, flags, "dport", "=", f":{port}"]]

    # --- what happens

    def connect(self, port):
        """A connection from the client's port: (client's socket, server's socket)."""
        client = clients.connect(self.lab.client, labs.SERVER4, PORT, labs.CLIENT4, port)
        return client, self.listener.accept()[0]

    def told(self, *args):
        """Events that there were, as JSON."""
        done = self.lab.synstile("events", "-j", *args)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def reach(self, port, client, server, seconds=5):
        """Wait until the newest states of both ends are told to be these."""
        def reached():
            found = self.told("--port", port, "--type", "tcp_state,half_open_timeout")
            tcp = found[-1]["tcp"] if found else {}
            return (tcp.get("client_state"), tcp.get("server_state")) == (client, server)
        until(reached, seconds, f"event: port {port}, {client} | {server}", every=0.05)

    def stack(self, ns, state, port):
        """Wait until a host's socket is in this state."""
        until(lambda: ns.ss("-t", "state", state, f"( sport = :{port} or dport = :{port} )"), 5,
              f"{ns.name}: port {port}: {state}")


# --- the sections

def handshake(w):
    """Returns the connection, with which three more sections go on."""
    connection = w.connect(40001)
    w.reach(40001, "ESTABLISHED", "ESTABLISHED")
    w.section("The handshake", """
        Three segments make a connection. The client's SYN takes it from CLOSED to SYN-SENT. The
        SYN-ACK takes the server from LISTEN to SYN-RECEIVED. The client's ACK tells two things: the
        client has received the SYN-ACK and is ESTABLISHED; and the server's SYN is acknowledged,
        which takes the server there, too. `rtt` is the time from the SYN-ACK to this ACK, and `calm`
        means that the SYN went straight to the server's stack (the last section has the other way).
        `conns` shows the connections that there are; `ss` the sockets, those of the client's host
        first.
        """)
    w.box(w.events(40001), w.conns(40001), *w.sockets(40001, "-tan"))
    return connection


def loss(w, client, server):
    client.sendall(b"?" * 100)
    clients.receive(server, 100)
    w.dropper.lose(BACK, 40001, left=1, size=1000)
    server.sendall(b"!" * 14480)
    assert len(clients.receive(client, 14480)) == 14480
    until(lambda: w.told("--port", 40001, "--type", "retransmission"), 5, "event: retransmission")
    w.section("Data, and one loss", """
        Data change no state. They use up sequence numbers, one for each byte; SYN and FIN use one
        each, a bare ACK none. The client asks with 100 bytes, the server answers with 14,480 in ten
        segments, and the first of them is lost on its way to the client, after synstile has seen
        it. The client acknowledges those that came after it (SACK), and the server sends the first
        one again. To an observer that is a segment that begins below the highest sequence number
        seen. RTX counts these for each direction; the server's kernel comes to the same number.
        BYTES is what was sent, so the lost segment is in it twice.
        """)
    w.box(w.events(40001, "--lines", 1), w.conns(40001),
          ["ip", "netns", "exec", w.lab.server.name, "nstat", "-azs", "TcpRetransSegs"])


def half_close(w, client, server):
    client.shutdown(socket.SHUT_WR)
    w.reach(40001, "FIN-WAIT-2", "CLOSE-WAIT")
    server.sendall(b"!" * 5000)
    assert len(clients.receive(client, 5000)) == 5000
    w.section("Half-close", """
        The two directions of a connection are closed one by one, each by a FIN. The client has no
        more to say: `shutdown(SHUT_WR)` sends its FIN, which takes it from ESTABLISHED to
        FIN-WAIT-1. The server's ACK of this FIN takes the client to FIN-WAIT-2, and shows that the
        server has received it: CLOSE-WAIT. So it stays for as long as the server has something to
        send. Here these were 5,000 bytes.
        """)
    w.box(w.events(40001, "--lines", 2), w.conns(40001), *w.sockets(40001))


def close(w, client, server):
    server.close()
    w.reach(40001, "TIME-WAIT", "CLOSED")
    w.section("Close, and TIME-WAIT", """
        Then the server closes, too. Its FIN takes it from CLOSE-WAIT to LAST-ACK. The client
        acknowledges it and goes from FIN-WAIT-2 to TIME-WAIT; this ACK takes the server to CLOSED,
        and its socket is gone. The one who closed first has to stay, for this last ACK may be lost
        and the FIN come again, and old segments may still be under way. RFC 9293 asks for 2 MSL,
        twice the time that a segment can live; Linux waits 60 s. This page does not: the event
        would be `TIME-WAIT>CLOSED | CLOSED`, with the words `(closed by both sides)`.
        """)
    w.box(w.events(40001, "--lines", 2), w.conns(40001), *w.sockets(40001, "-Htano"))
    client.close()


def reuse(w):
    client, server = w.connect(40002)
    server.close()
    w.reach(40002, "CLOSE-WAIT", "FIN-WAIT-2")
    client.close()
    w.reach(40002, "CLOSED", "TIME-WAIT")
    client, server = w.connect(40002)
    w.reach(40002, "ESTABLISHED", "ESTABLISHED")
    w.section("A new SYN ends TIME-WAIT", """
        Time is not all that ends it. In the next connection the server closes first, so that
        TIME-WAIT is the server's; and then the client connects again, from the same port. A host
        may take such a SYN in TIME-WAIT (RFC 9293, 3.6.1) if it cannot be an old one: Linux wants a
        newer timestamp or a higher sequence number. The old connection ends, and another one
        begins.
        """)
    w.box(w.events(40002, "--lines", 8))
    client.close()
    server.close()


def simultaneous_close(w):
    client, server = w.connect(40003)
    for place in (AFTER, BACK):
        w.dropper.lose(place, 40003, flags=FIN)
    client.shutdown(socket.SHUT_WR)
    server.shutdown(socket.SHUT_WR)
    w.reach(40003, "FIN-WAIT-1", "FIN-WAIT-1")
    w.section("Both close at once", """
        Both sides close before either has received the other's FIN. The lab makes time for a look
        at that: behind synstile, every segment with a FIN is lost. So both ends are in FIN-WAIT-1.
        The 1 in the third column of `ss` is the FIN, sent and not acknowledged.
        """)
    w.box(*w.sockets(40003))
    w.dropper.keep(AFTER, 40003)
    w.stack(w.lab.server, "closing", 40003)
    w.reach(40003, "FIN-WAIT-2", "CLOSING")
    w.tell("""
        Now the client's FIN may pass when it is sent again. The server receives it while its own
        FIN is not acknowledged, and goes from FIN-WAIT-1 to CLOSING. The ACK that it sends takes
        the client to FIN-WAIT-2.
        """)
    w.box(w.conns(40003), *w.sockets(40003))
    w.dropper.keep(BACK, 40003)
    w.reach(40003, "TIME-WAIT", "TIME-WAIT", seconds=10)
    w.tell("""
        At last the server's FIN may pass, too. Nobody was the first to close, so both ends come to
        TIME-WAIT. All of it in order:
        """)
    w.box(w.events(40003, "--type", "tcp_state", "--lines", 4))
    client.close()
    server.close()


def reset(w):
    client, server = w.connect(40004)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()
    w.reach(40004, "CLOSED", "CLOSED")
    w.section("Reset", """
        A RST ends a connection at once and is not answered: both ends are CLOSED, without
        TIME-WAIT. Here the client aborts (it closes with SO_LINGER set to 0 s). Anybody could forge
        a RST, so by RFC 5961 only one counts that has exactly the sequence number expected next;
        others change no state, and `status` counts them as `rst_ignored`.
        """)
    w.box(w.events(40004, "--lines", 1), *w.sockets(40004))
    server.close()


def refused(w):
    with w.lab.server.socket(socket.AF_INET) as s, contextlib.suppress(ConnectionRefusedError):
        s.bind((labs.SERVER4, 40005))
        s.connect((labs.CLIENT4, NOBODY))
    w.reach(40005, "CLOSED", "CLOSED")
    w.section("A connection that the host opens, refused", """
        This time the server's host is the one who connects, to a port at which nobody listens.
        Connections that the host opens belong to no service and are marked `host`. The RST that
        answers acknowledges the SYN, and so takes the opener from SYN-SENT to CLOSED. (Of the other
        end nothing is known before it answers, and LISTEN is what it should be in. It was not, says
        the RST.)
        """)
    w.box(w.events(40005))


def half_open(w):
    w.dropper.lose(BACK, 40006)
    with w.lab.client.socket(socket.AF_INET) as s, contextlib.suppress(BlockingIOError):
        s.setblocking(False)
        s.bind((labs.CLIENT4, 40006))
        s.connect((labs.SERVER4, PORT))
    w.reach(40006, "SYN-SENT", "SYN-RECEIVED")
    w.section("A handshake that nobody completes", """
        The client sends a SYN, and is gone before the SYN-ACK comes. The server is left in
        SYN-RECEIVED; such a connection is commonly called half-open. (RFC 9293, 3.5.1 means
        something else by it: see the next section.) `conns --half-open` lists them: how many SYNs
        and SYN-ACKs there were, when the kernel will send its next SYN-ACK, how much is left of the
        SYN timeout, and whether synstile, the kernel or both know of it. The kernel's own list is
        below.
        """)
    w.box(w.synstile("conns", "--half-open"),
          ["ss", "-N", w.lab.server.name, "-tano", "state", "syn-recv"])
    w.reach(40006, "CLOSED", "CLOSED", seconds=10)
    w.tell(f"""
        The kernel repeats the SYN-ACK after 1 s, and each further time after twice as long, until
        it has done so `net.ipv4.tcp_synack_retries` times and waited once more. The default of 5
        makes 1 + 2 + 4 + 8 + 16 + 32 = 63 s. In the lab it is {SYN_ACK_RETRIES}, so the SYN timeout
        is 1 + 2 = 3 s. synstile follows that, and looks for what is over once a second. The diagram
        has no arrow for this: it is the user timeout of RFC 9293, 3.10.8.
        """)
    w.box(w.events(40006))
    w.dropper.keep(BACK, 40006)


def dead_peer(w):
    client, server = w.connect(40007)
    for place in (BACK, BEFORE):
        w.dropper.lose(place, 40007)
    for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1),
                          (socket.TCP_KEEPCNT, 3)):
        server.setsockopt(socket.IPPROTO_TCP, option, value)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    w.reach(40007, "CLOSED", "CLOSED", seconds=15)
    w.section("A peer that is gone", """
        The wire breaks while nobody has anything to send. No segment tells of it, so both ends
        could stay ESTABLISHED for ever. But the server uses keepalives (RFC 9293, 3.8.4): in the
        lab one a second, and three without an answer are enough. A probe has a sequence number that
        was acknowledged already, one below the next, and that makes a living peer answer with an
        ACK. In the end the server gives up: it sends a RST and is CLOSED. synstile, which has seen
        the RST, takes both ends for CLOSED; but the wire is broken, and the client's socket is
        still ESTABLISHED. That is what RFC 9293 calls half-open.
        """)
    w.box(w.events(40007, "--lines", 4), *w.sockets(40007))
    client.close()
    server.close()
    for place in (BACK, BEFORE):
        w.dropper.keep(place, 40007)


def flood(w):
    with w.lab.flood(rate=20_000):
        until(lambda: w.told("--type", "attack_progress"), 10, "event: attack_progress")
        client, server = w.connect(40008)
        client.sendall(b"hello")
        assert clients.receive(server, 5) == b"hello"
        w.reach(40008, "ESTABLISHED", "ESTABLISHED")
        flood_begins(w)
        flood_cookie(w)
        with w.lab.flood("ack", rate=100, seconds=2, seed=2, scale=False):
            until(lambda: len(w.told("--type", "verdict")) > 3, 10, "event: verdict")
        flood_forged(w)
    client.close()
    server.close()
    until(lambda: w.told("--type", "attack_end"), 40, "event: attack_end", every=0.2)
    flood_ends(w)


def flood_begins(w):
    w.section("A SYN flood", f"""
        A third host sends 20,000 SYNs a second from random addresses of 198.19.0.0/16, where nobody
        is. Each takes a place in SYN-RECEIVED until it times out, and the listener has a backlog of
        {BACKLOG}. When half of that is used, the service (port {PORT}) is under attack; a high rate
        of SYNs would do, too.
        """)
    w.box(w.synstile("events", "--type", "attack_start,attack_progress"),
          w.synstile("conns", "--half-open", "--limit", 2))


def flood_cookie(w):
    w.tell("""
        Now a SYN goes neither to the kernel nor into a table. It is answered by a SYN-ACK whose
        sequence number is a cookie, and forgotten. A real client's ACK brings the cookie back, and
        with it what must be known of the SYN. Only then is there a connection to be told of:
        SYN-SENT and SYN-RECEIVED are over already, and one event, marked `cookie`, takes both ends
        to ESTABLISHED. The client, as the kernels see it, is connected as any other.
        """)
    w.box(w.events(40008, "--type", "tcp_state"), w.conns(40008), *w.sockets(40008))


def flood_forged(w):
    w.tell("""
        The attacker also sends ACKs with guessed cookies. They belong to no connection and prove
        nothing, so they are dropped. Events of type `verdict` are samples of what is dropped and
        why; `status` has the counts.
        """)
    w.box(w.synstile("events", "--type", "verdict", "--lines", 3))


def flood_ends(w):
    w.tell("""
        The flood ends. The half-open connections of its beginning time out. When their number and
        the rate of SYNs have been below their lower bounds for 10 s, the attack is over, and SYNs
        go to the kernel again.
        """)
    w.box(w.synstile("events", "--type", "half_open_timeout", "--lines", 1),
          w.synstile("events", "--type", "attack_end"))


def walk(w):
    first = handshake(w)
    for section in (loss, half_close, close):
        section(w, *first)
    for section in (reuse, simultaneous_close, reset, refused, half_open, dead_peer, flood):
        section(w)


def listen(ns):
    s = ns.socket(socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((labs.SERVER4, PORT))
    s.listen(BACKLOG)
    return s


def make():
    """The page's text."""
    with labs.Lab() as lab, contextlib.closing(listen(lab.server)) as listener:
        lab.server.sysctl("net.ipv4.tcp_synack_retries", SYN_ACK_RETRIES)
        lab.server.run("ethtool", "-K", "s0", "tso", "off", "gso", "off")  # a packet is a segment
        with Dropper(lab) as dropper, lab.attached("--cookies", "own"):
            w = Walk(lab, dropper, listener)
            walk(w)
            return w.page()


def main():
    page = pathlib.Path(sys.argv[1]) if len(sys.argv) == 2 else PAGE
    if len(sys.argv) > 2:
        sys.exit("Usage: walk.py [FILE]")
    if os.geteuid() != 0:
        sys.exit("walk: network namespaces need root: sudo make docs")
    os.environ["PATH"] = f"{labs.BUILD}:{os.environ['PATH']}"  # the commands are run as they are shown
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    labs.sweep()
    try:
        text = make()
    except (LabError, AssertionError, OSError) as error:
        sys.exit(f"walk: {error}")
    except KeyboardInterrupt:
        sys.exit("\nwalk: interrupted; everything was removed")
    page.write_text(text)
    print(f"{page}: {len(text.splitlines())} lines")


if __name__ == "__main__":
    main()
