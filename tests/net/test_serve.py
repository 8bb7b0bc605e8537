# SPDX-License-Identifier: GPL-2.0-only
"""Real clients and real servers behind synstile: everything works, and nothing stalls."""
import contextlib
import shutil
import socket
import struct

import pytest
from conftest import COOKIES

import clients
import lab as labs
import observer
import services
from netns import at_last, patience

XDP = pytest.mark.parametrize("xdp", ["native", "skb"])
WITH_COOKIES = pytest.mark.parametrize("cookies", COOKIES)
FAMILY = pytest.mark.parametrize("dst", [labs.SERVER4, labs.SERVER6], ids=["v4", "v6"])


@contextlib.contextmanager
def no_retransmission(lab):
    """Neither side may have sent anything twice: a hidden stall is a failure too."""
    before = [ns.counters() for ns in (lab.client, lab.server)]
    yield
    after = [ns.counters() for ns in (lab.client, lab.server)]
    again = [a["TcpRetransSegs"] - b["TcpRetransSegs"] for a, b in zip(after, before)]
    assert again == [0, 0], f"TcpRetransSegs of client and server: {again}"


@contextlib.contextmanager
def by_cookie(lab, n):
    """At least n connections are made, by cookie; but for the odd one whose port is used again
    and whose TIME-WAIT the stack still has: that one is the stack's."""
    def done():
        counters = lab.status()["counters"]["done"]
        return counters["cookie_valid"], counters["syn_known"]

    before = done()
    yield
    valid, known = (a - b for a, b in zip(done(), before))
    assert valid + known >= n and known <= n // 10, f"{valid} by cookie, {known} SYNs known"


def all_work(lab, dst, n, **kw):
    times, errors = clients.get_many(lab.client, dst, n, **kw)
    assert len(times) == n, f"{len(errors)} of {n} failed, first: {errors[:3]}"


def echo(lab, dst, port, size):
    """Send `size` bytes and get them back: full-sized segments in both directions."""
    block = bytes(range(256)) * 64
    got = 0
    with clients.connect(lab.client, dst, port) as s:
        for _ in range(size // len(block)):
            s.sendall(block)
            assert clients.receive(s, len(block)) == block
            got += len(block)
    assert got == size


@WITH_COOKIES
@XDP
@pytest.mark.parametrize("mtu", [1500, 9000])
def test_every_connection_by_cookie(make_lab, mtu, xdp, cookies):
    """200 connections for each IP version, some by curl, and a megabyte both ways."""
    lab = make_lab(mtu=mtu)
    lab.nginx()
    lab.serve(services.Echo(7000))
    with lab.attached("--mode", "always", "--xdp", xdp, "--cookies", cookies):
        status = lab.status()
        assert status["cookies"] == cookies
        assert [i["xdp"] for i in status["interfaces"]] == [xdp, xdp]
        for dst in (labs.SERVER4, labs.SERVER6):
            with no_retransmission(lab), by_cookie(lab, 200):
                all_work(lab, dst, 100)  # one address
                all_work(lab, dst, 90, src="fresh")
                for _ in range(10):
                    curl(lab, dst)
                echo(lab, dst, 7000, 1 << 20)


def curl(lab, dst):
    host = f"[{dst}]" if ":" in dst else dst
    done = lab.client.run("curl", "-sS", "--max-time", patience(10), f"http://{host}/")
    assert done.stdout.encode() == labs.PAGE


@WITH_COOKIES
@XDP
def test_vlan_device(web, xdp, cookies):
    """Clients in a VLAN, for kernels that have VLAN devices (test_synack.py has the frames)."""
    for ns, dev, host in ((web.client, "c0", 2), (web.server, "s0", 1)):
        done = ns.run("ip", "link", "add", "link", dev, "name", "v5", "type", "vlan", "id", "5",
                      check=False)
        if done.returncode:
            pytest.skip(f"this kernel has no VLAN devices: {done.stderr.strip()}")
        # with these on, the tag is beside the frame, where XDP does not see it
        ns.run("ethtool", "-K", dev, "txvlan", "off", "rxvlan", "off")
        ns.batch(f"addr add 198.18.5.{host}/24 dev v5\n"
                 f"addr add 2001:db8:5::{host}/64 dev v5 nodad\n"
                 "link set v5 up\n")
    with web.attached("--mode", "always", "--xdp", xdp, "--cookies", cookies):
        with no_retransmission(web), by_cookie(web, 200):
            all_work(web, "198.18.5.1", 100)
            all_work(web, "2001:db8:5::1", 100)


@FAMILY
def test_bare_clients(web, dst):
    """Clients without timestamps, window scaling and SACK."""
    for key in ("timestamps", "window_scaling", "sack"):
        web.client.sysctl(f"net.ipv4.tcp_{key}", 0)
    with web.attached("--mode", "always"), no_retransmission(web):
        all_work(web, dst, 50, src="fresh")


@pytest.mark.parametrize("key,value", [("timestamps", 0), ("timestamps", 2), ("window_scaling", 0),
                                       ("sack", 0), ("ecn", 1), ("ecn", 0)])
def test_server_sysctls(web, key, value):
    """What the server does not want is not promised to the client."""
    web.server.sysctl(f"net.ipv4.tcp_{key}", value)
    web.client.sysctl("net.ipv4.tcp_ecn", 1)
    web.serve(services.Banner(2222))
    plain = negotiated(web, labs.SERVER4)
    with web.attached("--mode", "always"), no_retransmission(web):
        all_work(web, labs.SERVER4, 20, src="fresh")
        if web.status()["cookies"] == "own":
            assert negotiated(web, labs.SERVER4) == plain


def negotiated(lab, dst):
    """What `ss -ti` shows of a connection of a real client: on the client, on the server."""
    with clients.connect(lab.client, dst, 2222, src="fresh") as s:
        assert clients.receive(s, len(services.Banner.TEXT)) == services.Banner.TEXT
        s.sendall(b"x" * 500)
        assert clients.receive(s, 500) == b"x" * 500
        port = s.getsockname()[1]
        return (clients.tcp_options(lab.client, "sport", "=", f":{port}"),
                clients.tcp_options(lab.server, "dport", "=", f":{port}"))


@FAMILY
@pytest.mark.parametrize("mtu", [1500, 9000])
@pytest.mark.parametrize("cookies", COOKIES[:1])
def test_same_options_as_without(make_lab, mtu, dst, cookies):
    """MSS, window scale, SACK and timestamps of the accepted socket, and of the client's."""
    lab = make_lab(mtu=mtu)
    lab.serve(services.Banner(2222))
    plain = negotiated(lab, dst)
    assert plain[1][0]["ts"] and plain[1][0]["sack"] and plain[1][0]["wscale"]
    with lab.attached("--mode", "always", "--cookies", cookies):
        valid = lab.count("cookie_valid")
        assert negotiated(lab, dst) == plain
        assert lab.count("cookie_valid") == valid + 1


@WITH_COOKIES
def test_reuseport(lab, cookies):
    """Several listening sockets on one port, as nginx's `reuseport` makes them."""
    lab.nginx(listen="reuseport", workers=3)
    with lab.attached("--mode", "always", "--cookies", cookies), no_retransmission(lab):
        for dst in (labs.SERVER4, labs.SERVER6):
            all_work(lab, dst, 100, src="fresh")
        assert lab.count("cookie_valid") >= 200


IPPROTO_MPTCP = 262


@WITH_COOKIES
@pytest.mark.parametrize("client", ["tcp", "mptcp"])
def test_mptcp_listener(lab, client, cookies):
    """A listener that would speak MPTCP (the default of Go's): by a kernel cookie it speaks plain
    TCP; own cookies cannot serve it, so it is left alone and attach says so."""
    try:
        lab.serve(services.Echo(7000, protocol=IPPROTO_MPTCP))
    except OSError as error:
        pytest.skip(f"this kernel has no MPTCP: {error}")
    said = lab.attach("--mode", "always", "--cookies", cookies).stderr
    with no_retransmission(lab), by_cookie(lab, 0 if cookies == "own" else 40):
        for dst in (labs.SERVER4, labs.SERVER6):
            for _ in range(20):
                with lab.client.socket(clients.family_of(dst),
                                       proto=IPPROTO_MPTCP if client == "mptcp" else 0) as s:
                    s.settimeout(patience(5))
                    s.connect((dst, 7000))
                    s.sendall(b"hello")
                    assert clients.receive(s, 5) == b"hello"
    if cookies == "own":
        assert "MPTCP" in said and "7000" in said, said
        assert lab.count("syn_cookie") == 0


@WITH_COOKIES
def test_fast_open(lab, cookies):
    """Clients that send data in their SYN are answered without it, and send it again."""
    lab.server.sysctl("net.ipv4.tcp_fastopen", 0x3 | 0x400)  # every listener takes it
    lab.client.sysctl("net.ipv4.tcp_fastopen", 1)
    lab.serve(services.Echo(7000))
    hello = b"hello" * 50

    def fast_open():
        with lab.client.socket(socket.AF_INET) as s:
            # a time-out of Python's would make sendto return before the handshake
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO,
                         struct.pack("ll", int(patience(5)), 0))
            s.sendto(hello, socket.MSG_FASTOPEN, (labs.SERVER4, 7000))
            assert clients.receive(s, len(hello)) == hello

    for _ in range(3):
        fast_open()
    assert lab.server.counters()["TcpExtTCPFastOpenPassive"] > 0  # the client has its TFO cookie
    with lab.attached("--mode", "always", "--cookies", cookies):
        for _ in range(5):
            fast_open()
        assert lab.count("cookie_valid") >= 5


@WITH_COOKIES
@pytest.mark.parametrize("mode", ["observe", "auto", "always"])
def test_server_speaks_first(lab, mode, cookies):
    lab.serve(services.Banner(2222))
    with lab.attached("--mode", mode, "--cookies", cookies), no_retransmission(lab):
        for dst in [labs.SERVER4, labs.SERVER6] * 20:
            with clients.connect(lab.client, dst, 2222, src="fresh") as s:
                assert clients.receive(s, len(services.Banner.TEXT)) == services.Banner.TEXT
                s.sendall(b"hello")
                assert clients.receive(s, 5) == b"hello"


@WITH_COOKIES
def test_wrk_from_one_address(lab, cookies):
    """A benchmark client that closes and reuses its ports as fast as it can: TIME-WAIT sockets
    by the ten thousand. No error, and requests completed all the time."""
    wrk = shutil.which("wrk")
    if not wrk:
        pytest.skip("wrk is not installed")
    seconds = {"own": 10, "kernel": 5}[cookies]
    log = lab.nginx()
    with lab.attached("--mode", "always", "--cookies", cookies):
        out = lab.client.run(wrk, "-t1", "-c8", f"-d{seconds}s", "--timeout", int(patience(5)),
                             "-H", "Connection: close", f"http://{labs.SERVER4}/",
                             timeout=60).stdout
    assert "Socket errors" not in out and "Non-2xx" not in out, out
    done = sorted(float(line.split()[0]) for line in log.read_text().splitlines())
    done.append(done[0] + seconds)
    assert max(b - a for a, b in zip(done, done[1:])) < at_last(1), out


# facts.md, "The host's firewall"
FIREWALL = """
table inet host {
	chain input {
		type filter hook input priority 0; policy drop;
		iif lo accept
		ct state established accept
		ct state invalid drop
		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
		tcp dport { 80, 2222 } ct state new accept
	}
}
"""


@WITH_COOKIES
@pytest.mark.parametrize("loose", [1, 0])
def test_stateful_firewall(web, loose, cookies):
    """Behind connection tracking everything works in `always`, or attach says why it does not."""
    web.serve(services.Banner(2222))
    load_firewall(web, loose)
    all_work(web, labs.SERVER4, 5)  # the rules themselves are right
    before = web.snapshot()
    done = web.attach("--mode", "always", "--cookies", cookies, check=False)
    if done.returncode:
        assert done.returncode == 1
        assert "conntrack" in done.stderr and "tcp_loose" in done.stderr, done.stderr
        assert web.snapshot() == before
        return
    try:
        works_behind_firewall(web)
    finally:
        web.detach()
    assert web.snapshot() == before


def load_firewall(lab, loose):
    done = lab.server.run("nft", "-f", "-", input=FIREWALL, check=False)
    if done.returncode:
        pytest.skip(f"this kernel has no stateful nftables: {done.stderr}")
    lab.server.sysctl("net.netfilter.nf_conntrack_tcp_loose", loose)


def works_behind_firewall(lab):
    for dst in (labs.SERVER4, labs.SERVER6):
        with no_retransmission(lab), by_cookie(lab, 105):
            all_work(lab, dst, 50)
            all_work(lab, dst, 50, src="fresh")
            for _ in range(5):
                with clients.connect(lab.client, dst, 2222) as s:
                    assert clients.receive(s, len(services.Banner.TEXT)) == services.Banner.TEXT


@pytest.mark.parametrize("loose", [1, 0])
def test_firewall_loaded_after_attach(web, loose):
    """An administrator who loads rules later must not cut off every client either."""
    web.serve(services.Banner(2222))
    with web.attached("--mode", "always"):
        load_firewall(web, loose)
        with observer.Follower(web) as events:
            events.beat(2)  # once a second the agent looks
        works_behind_firewall(web)


def test_modes_change_nothing_when_calm(web):
    """observe and auto, without an attack: the stack answers, no cookie is sent."""
    for mode in ("observe", "auto"):
        with web.attached("--mode", mode), no_retransmission(web):
            all_work(web, labs.SERVER4, 50, src="fresh")
            all_work(web, labs.SERVER6, 50, src="fresh")
            assert web.count("syn_cookie") == 0
            assert web.count("syn_calm") >= 100
            assert not any(web.status()["counters"]["observed"].values())


def test_bulk_transfer_across_attach_and_detach(lab):
    """A running transfer notices neither attach nor detach."""
    lab.serve(services.Echo(7000))
    with clients.connect(lab.client, labs.SERVER4, 7000) as s:
        block = b"0123456789abcdef" * 4096

        def turn(n):
            for _ in range(n):
                s.sendall(block)
                assert clients.receive(s, len(block)) == block

        turn(10)
        for xdp in ("native", "skb"):
            with lab.attached("--mode", "always", "--xdp", xdp):
                turn(20)
            turn(20)
