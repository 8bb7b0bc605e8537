# SPDX-License-Identifier: GPL-2.0-only
"""Lost packets: what synstile counts as sent again is what the sender's stack says it sent again.

Where a packet is lost decides what can be seen of it (dropper.py has the picture):
BACK and AFTER, synstile has seen all that was sent, so its count is the sender's own.
BEFORE, it has not seen the lost packet, but what follows it; so it recognises the repetition
by the hole that it fills. It misses repetitions that are lost in turn (1 % of them at 1 %
loss) and those at the end of a flight, behind which nothing came: together below 2 %.
"""
import contextlib
import socket
import subprocess
import time

import pytest

import clients
import lab as labs
import observer
import services
from dropper import ACK, AFTER, BACK, BEFORE, SYN, Dropper
from netns import SLOW, patience, until

PORT = 5201
SECONDS = 5


@pytest.fixture
def lossy(lab):
    """Losses are of single segments: no packet holds several. (test_large_packets has those.)"""
    for ns, dev in ((lab.client, "c0"), (lab.server, "s0")):
        ns.run("ip", "link", "set", dev, "gso_max_segs", 1)
        ns.run("ethtool", "-K", dev, "gro", "off")
    with Dropper(lab) as dropper:
        yield lab, dropper


@contextlib.contextmanager
def iperf_server(lab):
    process = lab.server.popen("iperf3", "-s", "-p", PORT, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    until(lambda: lab.server.ss("-tl", "sport", "=", f":{PORT}"), 5, "iperf3 listens")
    yield
    process.terminate()
    process.wait()


@contextlib.contextmanager
def transfer(lab, dst, *args):
    """It lasts longer than the losses: how iperf3 ends, by a RST at times, is not the matter.

    Its rate is such that no queue overflows, and no packets are lost but ours; the number of
    streams, that there are enough of those."""
    process = lab.client.popen("iperf3", "-c", dst, "-p", PORT, "-t", 10 * SECONDS,
                               "-P", 4, "-b", f"{int(100 / SLOW)}M", *args,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    yield
    assert process.poll() is None, "iperf3 ended early"
    process.terminate()
    process.wait()


def counted(lab, sender):
    """Segments that synstile saw sent again, by the "client" or the "server"."""
    return sum(c["tcp"][sender]["retransmissions"]
               for c in observer.conns(lab, "--port", str(PORT)))


def standing_still(read, seconds=0.5):
    """read(), once it has not changed for so long."""
    now, since = read(), time.monotonic()
    while time.monotonic() - since < patience(seconds):
        time.sleep(0.05)
        new = read()
        if new != now:
            now, since = new, time.monotonic()
    return now


def some(dropper, place):
    """1 % for a while."""
    dropper.lose(place, share=0.01, size=1)
    time.sleep(SECONDS)
    return dropper.lost(place)[0]


def runs(dropper, place):
    """Now and then many in a row, which are then sent again as few large packets."""
    lost = 0
    for _ in range(10):
        time.sleep(SECONDS / 10)  # so that enough is under way, or the repetitions are lost as well
        dropper.lose(place, left=20, size=1)
        time.sleep(SECONDS / 10)
        lost += dropper.lost(place)[0]
    return lost


def compare(lab, dropper, sender, place, dst, lose=some):
    """Losses for a while: (what synstile counted, what the sender's stack counted)."""
    def said():
        return getattr(lab, sender).counters()["TcpRetransSegs"]

    with iperf_server(lab), lab.attached():
        before = said()
        with transfer(lab, dst, *(["-R"] if sender == "server" else [])):
            lost = lose(dropper, place)
            dropper.keep(place)
            told = standing_still(said) - before
            assert told >= lost * 0.9 > 50, f"lost {lost}, sent again {told}"
            return counted(lab, sender), told


@pytest.mark.parametrize("sender,place,dst", [
    pytest.param("server", BACK, labs.SERVER4, id="server_sends-v4"),
    pytest.param("server", BACK, labs.SERVER6, id="server_sends-v6"),
    pytest.param("client", AFTER, labs.SERVER4, id="client_sends-lost_after_us"),
    pytest.param("client", BEFORE, labs.SERVER6, id="client_sends-lost_before_us")])
def test_one_percent(lossy, sender, place, dst):
    counted_here, said = compare(*lossy, sender, place, dst)
    assert counted_here == pytest.approx(said, rel=0.02)


@pytest.mark.parametrize("lose", [some, runs])
@pytest.mark.parametrize("sender,place", [
    pytest.param("server", BACK, id="server_sends"),
    pytest.param("client", AFTER, id="client_sends")])
def test_large_packets(lab, sender, place, lose):
    """With segmentation offload, as on any host: synstile sees packets of many segments."""
    with Dropper(lab) as dropper:
        counted_here, said = compare(lab, dropper, sender, place, labs.SERVER4, lose)
    assert counted_here == pytest.approx(said, rel=0.02)


def one(lab, port):
    """The only connection of this client port, or None."""
    found = [c for c in observer.conns(lab) if c["src_port"] == port]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize("lost", [0, 1, 2])
@pytest.mark.parametrize("dst", [labs.SERVER4, labs.SERVER6], ids=["v4", "v6"])
def test_repeated_syns(lossy, dst, lost):
    """SYNs and SYN-ACKs are counted one by one."""
    lab, dropper = lossy
    lab.serve(services.Echo(7000))
    with lab.attached("--mode", "observe"):
        dropper.lose(AFTER, 20001, left=lost, flags=SYN, without=ACK)
        with clients.connect(lab.client, dst, 7000, sport=20001):
            conn = until(lambda: one(lab, 20001), 2, "the connection is shown")
            assert conn["tcp"]["client"]["syns"] == 1 + lost
            assert conn["tcp"]["server"]["syn_acks"] == 1
        before = {ns: ns.counters()["TcpExtTCPSynRetrans"] for ns in (lab.client, lab.server)}
        dropper.lose(BACK, 20002, left=lost, flags=SYN | ACK)
        with clients.connect(lab.client, dst, 7000, sport=20002):
            conn = until(lambda: one(lab, 20002), 2, "the connection is shown")
            again = {ns: ns.counters()["TcpExtTCPSynRetrans"] - n for ns, n in before.items()}
            assert conn["tcp"]["client"]["syns"] == 1 + again[lab.client]
            # an answer to a repeated SYN is not in the kernel's count
            assert conn["tcp"]["server"]["syn_acks"] >= 1 + max(lost, again[lab.server])


@pytest.mark.parametrize("sender", ["client", "server"])
def test_repeated_data(lossy, sender):
    """A few segments, each lost once or twice: the count is TCP_INFO's, and each is an event."""
    lab, dropper = lossy
    held = lab.serve(services.Service(7000))
    place = AFTER if sender == "client" else BACK
    with lab.attached(), observer.Follower(lab) as events:
        with clients.connect(lab.client, labs.SERVER4, 7000, sport=20003) as client:
            server = until(lambda: held.connections, 2, "accepted")[0]
            here, there = (client, server) if sender == "client" else (server, client)
            for losses in (1, 2, 1, 1):
                dropper.lose(place, 20003, left=losses, size=1)
                here.sendall(b"x" * 100)
                there.settimeout(patience(5))
                assert len(clients.receive(there, 100)) == 100
            said = total_retrans(here)
            conn = until(lambda: one(lab, 20003), 2, "the connection is shown")
            assert said >= 5
            assert conn["tcp"][sender]["retransmissions"] == said
            events.beat()
            told = [e for e in events.all("retransmission") if e["src_port"] == 20003]
            assert [e["retransmission"]["side"] for e in told] == [sender] * said
            assert sum(e["retransmission"]["segments"] for e in told) == said
            assert [e["retransmission"]["total"] for e in told] == list(range(1, said + 1))


def total_retrans(s):
    """tcpi_total_retrans of struct tcp_info."""
    info = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return int.from_bytes(info[100:104], "little")
