# SPDX-License-Identifier: GPL-2.0-only
"""scapy as a TCP client on the client's wire: every byte is ours, no kernel helps or resets.

It speaks from addresses that lead to c0 but belong to no one (lab.WIRE4, lab.WIRE6).
"""
import itertools
import logging
import random
import socket
import struct
import time

logging.getLogger("scapy").setLevel(logging.ERROR)

from scapy.layers.inet import IP, TCP  # noqa: E402
from scapy.layers.inet6 import IPv6  # noqa: E402
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether  # noqa: E402
from scapy.packet import Raw  # noqa: E402

import lab as labs  # noqa: E402
from netns import at_last, patience  # noqa: E402

ETH_P_ALL = 3
SOL_PACKET, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING = 263, 8, 23
TP_STATUS_VLAN_VALID, TP_STATUS_VLAN_TPID_VALID, TP_STATUS_CSUMNOTREADY = 1 << 4, 1 << 6, 1 << 3
SO_RCVBUFFORCE = 33  # unlike SO_RCVBUF, beyond rmem_max
MODULO = 1 << 32


class Wire:
    """Raw frames in and out at the client's end (or the attacker's: dev "a0")."""

    def __init__(self, ns, dev="c0", peer="s0"):
        self.smac, self.dmac = labs.MAC[dev], labs.MAC[peer]
        self.socket = ns.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        with ns.inside():  # the interface index is looked up where the caller is
            self.socket.bind((dev, ETH_P_ALL))

    def close(self):
        self.socket.close()

    def send(self, packet):
        self.socket.send(bytes(packet))

    def receive(self, timeout):
        """The next frame with its VLAN tag where it was, or None."""
        self.socket.settimeout(timeout)
        try:
            frame, control, _, _ = self.socket.recvmsg(65536, 256)
        except (TimeoutError, BlockingIOError):
            return None
        return Ether(_put_tag_back(frame, control))

    def expect(self, want, seconds, what):
        """The first frame for which want(frame) is true; others are skipped."""
        end = time.monotonic() + at_last(seconds)
        while (left := end - time.monotonic()) > 0:
            frame = self.receive(left)
            if frame is not None and want(frame):
                return frame
        raise AssertionError(f"not within {at_last(seconds):g} s on the wire: {what}")

    def drain(self, seconds, want=lambda f: True):
        """All frames of the next `seconds` that are wanted, and what has come by then."""
        end, found = time.monotonic() + patience(seconds), []
        while True:
            left = end - time.monotonic()
            frame = self.receive(max(left, 0.001))
            if frame is not None and want(frame):
                found.append(frame)
            if (frame is None and left <= 0) or left < -5:
                return found


def _put_tag_back(frame, control):
    """The kernel moves the outer tag from the frame into the auxiliary data."""
    for level, kind, data in control:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", data[:20])
            if status & TP_STATUS_VLAN_VALID:
                tpid = tpid if status & TP_STATUS_VLAN_TPID_VALID else 0x8100
                return frame[:12] + struct.pack("!HH", tpid, tci) + frame[12:]
    return frame


def checksums_right(frame):
    """Are the IPv4 and TCP checksums of a received frame what they must be?"""
    again = frame.copy()
    ip = again[IP] if IP in again else again[IPv6]
    if IP in again:
        del ip.chksum
    del again[TCP].chksum
    again = Ether(bytes(again))
    return (IP not in frame or frame[IP].chksum == again[IP].chksum) and (
        frame[TCP].chksum == again[TCP].chksum)


_ports = itertools.cycle(range(20000, 60000))
_hosts = itertools.count(1)


class Talk:
    """One TCP conversation from a raw client.

    Keeps seq and ack as the client's next segment has them. options: those of the SYN, as
    scapy writes them; a timestamp that was offered is continued by itself. tags: VLAN tags,
    outermost first, as (ethertype, id). ip: fields of the IP header.
    """

    def __init__(self, wire, dst=labs.SERVER4, dport=80, options=(), tags=(), src=None,
                 sport=None, isn=None, ecn=False, ip=None):
        n = next(_hosts) % 60000 + 1
        if src is None:
            src = labs.WIRE6.format(n) if ":" in dst else labs.WIRE4.format(n % 250 + 1)
        self.wire, self.dst, self.src = wire, dst, src
        self.dport, self.sport = dport, sport or next(_ports)
        self.isn = random.getrandbits(32) if isn is None else isn
        self.seq, self.ack = self.isn, 0
        self.options, self.tags, self.ecn, self.ip = list(options), tags, ecn, ip or {}
        self.offered_ts = next((o[1][0] for o in options if o[0] == "Timestamp"), None)
        self.tsecr = None

    def frame(self, flags, data=b"", seq=None, ack=None, options=(), **tcp):
        """A frame of this conversation."""
        frame = Ether(src=self.wire.smac, dst=self.wire.dmac)
        for kind, vid in self.tags:
            frame /= (Dot1AD if kind == 0x88a8 else Dot1Q)(vlan=vid)
        if ":" in self.dst:
            frame /= IPv6(src=self.src, dst=self.dst, **self.ip)
        else:
            frame /= IP(src=self.src, dst=self.dst, **{"flags": "DF", **self.ip})
        frame /= TCP(sport=self.sport, dport=self.dport, flags=flags, options=list(options),
                     seq=(self.seq if seq is None else seq) % MODULO,
                     ack=(self.ack if ack is None else ack) % MODULO,
                     **{"window": 64240, **tcp})
        return frame / Raw(data) if data else frame

    def syn(self, data=b"", flags=None, **tcp):
        self.wire.send(self.frame(flags or ("SEC" if self.ecn else "S"), data, seq=self.isn, ack=0,
                                  options=self.options, **tcp))

    def mine(self, frame):
        ip = frame.getlayer(IPv6 if ":" in self.dst else IP)
        return (ip is not None and TCP in ip and (ip.src, ip.dst) == (self.dst, self.src)
                and (frame[TCP].sport, frame[TCP].dport) == (self.dport, self.sport))

    def synack(self, seconds=3):
        """Wait for the SYN-ACK and take over its numbers."""
        frame = self.wire.expect(lambda f: self.mine(f) and f[TCP].flags & 0x17 == 0x12, seconds,
                                 "a SYN-ACK")
        self.follow(frame)
        return frame

    def follow(self, synack):
        self.seq, self.ack = (self.isn + 1) % MODULO, (synack[TCP].seq + 1) % MODULO
        ts = dict(o[:2] for o in synack[TCP].options).get("Timestamp")
        self.tsecr = ts[0] if ts else None

    def timestamps(self):
        if self.tsecr is None:
            return []
        self.offered_ts += 1
        return [("NOP", None), ("NOP", None), ("Timestamp", (self.offered_ts % MODULO, self.tsecr))]

    def segment(self, flags="A", data=b"", **kw):
        """A frame with the negotiated options; seq advances behind it unless given."""
        kw.setdefault("options", self.timestamps())
        frame = self.frame(flags, data, **kw)
        if kw.get("seq") is None:
            self.seq = (self.seq + len(data) + ("F" in flags)) % MODULO
        return frame

    def send(self, flags="A", data=b"", **kw):
        self.wire.send(self.segment(flags, data, **kw))

    def handshake(self, seconds=3):
        self.syn()
        reply = self.synack(seconds)
        self.send("A")
        return reply

    def reply(self, seconds=3, what="an answer", want=lambda tcp: True):
        """The next segment for us that is wanted. A RST always ends the wait."""
        frame = self.wire.expect(
            lambda f: self.mine(f) and ("R" in f[TCP].flags or want(f[TCP])), seconds, what)
        assert "R" not in frame[TCP].flags, f"RST instead of {what}"
        return frame

    def data(self, seconds=3, what="data"):
        """The next segment with data, acknowledged: its bytes."""
        frame = self.reply(seconds, what, lambda tcp: payload(tcp))
        self.ack = (frame[TCP].seq + len(payload(frame[TCP]))) % MODULO
        if "F" in frame[TCP].flags:
            self.ack = (self.ack + 1) % MODULO
        ts = dict(o[:2] for o in frame[TCP].options).get("Timestamp")
        if ts and self.tsecr is not None:
            self.tsecr = ts[0]
        self.send("A")
        return payload(frame[TCP])

    def get(self, seconds=3, already_sent=False):
        """Ask nginx for the page; the connection stays open."""
        if not already_sent:
            self.send("PA", GET)
        got = b""
        while not got.endswith(labs.PAGE):
            got += self.data(seconds, f"the page (so far {got[:60]!r})")
        assert got.startswith(b"HTTP/1.1 200"), got[:80]
        return got

    def reset(self):
        """End it, so that nothing is retransmitted to us."""
        self.send("RA")

    def answers(self, seconds):
        """Whatever comes for this conversation within `seconds`."""
        return self.wire.drain(seconds, self.mine)


GET = b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n"


def payload(tcp):
    """The data of a segment, without the padding of short frames."""
    ip = tcp.underlayer
    if isinstance(ip, IP):
        n = ip.len - 4 * ip.ihl - 4 * tcp.dataofs
    else:
        n = ip.plen - 4 * tcp.dataofs
    return bytes(tcp.payload)[:n]


def options_of(tcp):
    """{name or kind: value} without padding."""
    return {o[0]: o[1] for o in tcp.options if o[0] not in ("NOP", "EOL")}
