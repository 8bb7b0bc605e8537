# SPDX-License-Identifier: GPL-2.0-only
"""scapy as client: the SYN-ACK that synstile makes, byte by byte, and what comes of it.

The measure is the kernel: every SYN is first sent without synstile, and what the kernel
answered and negotiated is what synstile has to answer and negotiate.
"""
import itertools

import pytest
from conftest import COOKIES
from scapy.layers.inet import IP, TCP, IPOption_NOP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1AD, Dot1Q

import clients
import lab as labs
from wire import GET, Talk, Wire, checksums_right, options_of, payload

MSS4, MSS6 = ("MSS", 1460), ("MSS", 1440)
SACK, TS, WS = ("SAckOK", b""), ("Timestamp", (77_000, 0)), ("WScale", 7)
NOP = ("NOP", None)
UNKNOWN = (200, b"\xab\xcd")
EXPERIMENT = (254, b"\xf9\x89\x01\x02")
TFO_REQUEST = (34, b"")
MPTCP = (30, b"\x01\x81")  # MP_CAPABLE, version 1, as in a SYN


def _layouts():
    """Name to (options, ecn): every subset, then what else is seen on the Internet."""
    named = {"mss": MSS4, "sack": SACK, "ts": TS, "ws": WS}
    found = {}
    for n in range(5):
        for chosen in itertools.combinations(named, n):
            for ecn in (False, True):
                name = "+".join(chosen) + ("+ecn" if ecn else "")
                found[name.strip("+") or "none"] = ([named[c] for c in chosen], ecn)
    found |= {
        "linux": ([MSS4, SACK, TS, NOP, WS], False),
        "windows": ([MSS4, NOP, ("WScale", 8), NOP, NOP, SACK], False),
        "macos": ([MSS4, NOP, ("WScale", 6), NOP, NOP, TS, SACK, ("EOL", None)], False),
        "nmap": ([("WScale", 10), NOP, ("MSS", 1460), TS, SACK], False),
        "unknown": ([MSS4, UNKNOWN, SACK, TS, NOP, WS], False),
        "experiment": ([MSS4, EXPERIMENT, SACK, WS], False),
        "unknown-only": ([UNKNOWN], False),
        "tfo": ([MSS4, SACK, TS, NOP, WS, TFO_REQUEST], False),
        "mptcp": ([MSS4, SACK, TS, NOP, WS, MPTCP], False),
        "ws0": ([MSS4, SACK, ("WScale", 0)], False),
        "ws14": ([MSS4, SACK, TS, ("WScale", 14)], True),
        "ts0": ([MSS4, ("Timestamp", (0, 0)), SACK], False),
        "ts-high": ([MSS4, ("Timestamp", (0xffffffff, 0)), SACK, WS], False),
        "long": ([MSS4, SACK, TS, WS, (253, b"0123456789abcd")], False),
    }
    return found


LAYOUTS = _layouts()

# Clients without timestamps whose offer has no row of its own in COOKIE_CODES (bpf/cookie.h:
# 26 bits of MAC leave room for 32 combinations). They get less than they offered, never more.
REDUCED = {"ecn", "mss+ecn", "sack+ecn", "ws+ecn", "mss+sack+ecn", "mss+ws", "mss+ws+ecn",
           "sack+ws+ecn", "ws", "ws0"}
ADDRESSES = {"v4": labs.SERVER4, "v6": labs.SERVER6}


def talk_for(wire, family, name, **kw):
    options, ecn = LAYOUTS[name]
    if family == "v6":
        options = [MSS6 if o is MSS4 else o for o in options]
    return Talk(wire, ADDRESSES[family], options=options, ecn=ecn, **kw)


def converse(lab, talk):
    """Handshake and one request: the SYN-ACK, and what ss shows of the connection."""
    synack = talk.handshake()
    talk.get()
    info, = clients.tcp_options(lab.server, "sport", "=", f":{talk.dport}",
                             "dport", "=", f":{talk.sport}")
    talk.reset()
    return synack, info


@pytest.fixture(scope="module", params=COOKIES)
def always(request):
    """A lab in mode always, and the kernel's own answers made before attaching."""
    with labs.Lab(offload=False) as lab:
        lab.nginx()
        lab.cookies = request.param
        lab.wire = Wire(lab.client)
        lab.kernel = {(f, n): converse(lab, talk_for(lab.wire, f, n))
                      for f in ADDRESSES for n in LAYOUTS}
        with lab.attached("--mode", "always", "--cookies", request.param):
            yield lab
        lab.wire.close()


def check_headers(reply, talk, kernel):
    """What every SYN-ACK must have, whatever its options."""
    tcp = reply[TCP]
    assert checksums_right(reply)
    assert tcp.ack == (talk.isn + 1) % (1 << 32)
    assert tcp.urgptr == 0 and tcp.reserved == 0 and not payload(tcp)
    assert tcp.window > 0  # 0 would stall the client for a probe interval
    if IP in reply:
        ip = reply[IP]
        assert (ip.ttl, ip.id, ip.flags, ip.frag) == (kernel[IP].ttl, 0, "DF", 0)
        assert ip.tos & 3 == 0 and ip.ihl == 5
    else:
        assert reply[IPv6].hlim == kernel[IPv6].hlim
        assert reply[IPv6].tc & 3 == 0


def promised(tcp):
    """What a SYN-ACK says that the connection will have, in the words of ss."""
    options = options_of(tcp)
    return {"ts": "Timestamp" in options, "sack": "SAckOK" in options,
            "wscale": "WScale" in options, "ecn": "E" in tcp.flags}


def check_options(reply, kernel, offered):
    """Nothing is promised that the client did not offer, or with another value than the
    kernel's (timestamps only echo). MSS needs no offer (RFC 9293 3.7.1)."""
    ours, theirs = options_of(reply), options_of(kernel)
    assert set(ours) <= offered | {"MSS"}
    if "Timestamp" in ours:
        assert ours["Timestamp"][0] != 0
        assert ours.pop("Timestamp")[1] == theirs.pop("Timestamp")[1]
    assert ours.items() <= theirs.items()
    assert reply.flags in (kernel.flags, kernel.flags & ~0x40)


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("family", ADDRESSES)
def test_options(always, family, name):
    kernel_reply, kernel_info = always.kernel[family, name]
    cookies, valid = always.count("syn_cookie"), always.count("cookie_valid")
    talk = talk_for(always.wire, family, name)
    reply, info = converse(always, talk)

    assert always.count("syn_cookie") == cookies + 1
    assert always.count("cookie_valid") == valid + 1
    check_headers(reply, talk, kernel_reply)
    offered = {o[0] for o in talk.options if o[0] not in ("NOP", "EOL")}
    check_options(reply[TCP], kernel_reply[TCP], offered)
    # what the SYN-ACK promised is what the accepted socket does
    assert {k: bool(info[k]) for k in ("ts", "sack", "wscale", "ecn")} == promised(reply[TCP])
    assert int(info["mss"]) <= int(kernel_info["mss"])
    if always.cookies == "own" and name not in REDUCED:
        assert promised(reply[TCP]) == promised(kernel_reply[TCP])
        assert ("MSS" in options_of(reply[TCP])) or "MSS" not in offered
        assert reply[TCP].flags == kernel_reply[TCP].flags
        assert info == kernel_info


@pytest.mark.parametrize("family", ADDRESSES)
def test_mss_never_above_the_offer(always, family):
    """A cookie keeps one of a few MSS values: the next lower one, never a higher."""
    if always.cookies == "kernel":
        pytest.skip("the kernel's four values are given")
    for mss in (536, 1220, 1240, 1280, 1300, 1360, 1400, 1420, 1440, 1452, 1459, 1460, 8960):
        talk = Talk(always.wire, ADDRESSES[family], options=[("MSS", mss)])
        _, info = converse(always, talk)
        used, best = int(info["mss"]), min(mss, 1500 - (60 if family == "v6" else 40))
        # the kernel takes no request socket below 1220 for IPv6, whose least MTU is 1280
        assert used <= (max(mss, 1220) if family == "v6" else mss)
        assert used >= best * 4 // 5 or mss < 1220, f"{mss} became {used}"


@pytest.mark.parametrize("ecn", [0, 1, 2])
def test_tcp_ecn_is_respected(lab, ecn):
    """net.ipv4.tcp_ecn = 0: the server does not want ECN; the SYN-ACK must not promise it."""
    lab.nginx()
    lab.server.sysctl("net.ipv4.tcp_ecn", ecn)
    wire = Wire(lab.client)
    with lab.attached("--mode", "always"):
        talk = Talk(wire, options=[MSS4, SACK, TS, NOP, WS], ecn=True)
        talk.syn()
        assert ("E" in talk.synack()[TCP].flags) == (ecn != 0)


@pytest.mark.parametrize("family", ADDRESSES)
def test_repeated_syn(always, family):
    """A SYN sent again (its answer was slow): the client may use either answer."""
    for use in (0, 1):
        talk = talk_for(always.wire, family, "linux")
        replies = []
        for _ in range(2):
            talk.syn()
            replies.append(talk.synack())
        talk.follow(replies[use])
        talk.send("A")
        talk.get()
        talk.reset()


@pytest.mark.parametrize("family", ADDRESSES)
@pytest.mark.parametrize("size", [1, 100, 1200])
def test_syn_with_payload(always, family, size):
    """The answer to a SYN with data carries none of it and does not acknowledge it."""
    talk = talk_for(always.wire, family, "linux")
    data = (GET + b"x" * size)[:size]
    talk.syn(data)
    reply = talk.synack()
    check_headers(reply, talk, always.kernel[family, "linux"][0])
    behind = len(reply[IP] if IP in reply else reply[IPv6]) - (
        reply[IP].len if IP in reply else 40 + reply[IPv6].plen)
    assert not any(bytes(reply)[len(reply) - behind:]), "something lies behind the packet"
    talk.send("A")
    talk.get()
    talk.reset()


@pytest.mark.parametrize("family", ADDRESSES)
def test_timestamps_go_on(always, family):
    """The connection's timestamps never go back behind the one in the SYN-ACK (RFC 7323)."""
    talk = talk_for(always.wire, family, "linux")
    first = options_of(talk.handshake()[TCP]).get("Timestamp")
    if first is None:
        assert always.cookies == "kernel"
        return
    talk.send("PA", GET)
    answer = talk.reply(what="the answer", want=lambda tcp: payload(tcp))
    later = options_of(answer[TCP])["Timestamp"][0]
    assert (later - first[0]) % (1 << 32) < 1 << 31
    talk.reset()


def test_client_without_df(always):
    """Packets that may be fragmented are legal (facts: non-DF packets must not be dropped)."""
    talk = talk_for(always.wire, "v4", "linux", ip={"flags": 0, "id": 4711})
    reply = talk.handshake()
    assert reply[IP].flags == "DF" and reply[IP].id == 0  # RFC 6864: atomic
    talk.get()
    talk.reset()


def test_ipv4_options(always):
    """IPv4 options in front of TCP are legal."""
    talk = talk_for(always.wire, "v4", "linux", ip={"options": [IPOption_NOP()] * 4})
    talk.syn()
    check_headers(talk.synack(), talk, always.kernel["v4", "linux"][0])
    talk.send("A")
    talk.get()
    talk.reset()


Q, AD = 0x8100, 0x88a8


@pytest.mark.parametrize("family", ADDRESSES)
@pytest.mark.parametrize("xdp", ["native", "skb"])
@pytest.mark.parametrize("tags", [(), ((Q, 5),), ((AD, 9),), ((AD, 9), (Q, 5)), ((Q, 9), (Q, 5))],
                         ids=["untagged", "q", "ad", "ad-q", "q-q"])
def test_vlan(vlan_labs, xdp, family, tags):
    """The answer to a tagged SYN carries the same tags.

    Only the answer: this kernel has no VLAN devices that could take the connection.
    """
    lab = vlan_labs(xdp)
    cookies = lab.count("syn_cookie")
    talk = Talk(lab.wire, ADDRESSES[family], options=[MSS4, SACK, TS, NOP, WS], tags=tags)
    talk.syn()
    reply = talk.synack()
    assert checksums_right(reply)
    assert reply[TCP].ack == (talk.isn + 1) % (1 << 32)
    layers = [(layer.__class__, layer.vlan) for layer in _tags(reply)]
    assert layers == [(Dot1AD if kind == AD else Dot1Q, vid) for kind, vid in tags]
    assert lab.count("syn_cookie") == cookies + 1


def _tags(frame):
    layer = frame.payload
    while isinstance(layer, (Dot1Q, Dot1AD)):
        yield layer
        layer = layer.payload


@pytest.fixture(scope="module")
def vlan_labs():
    """One lab for each way of attaching, made when first asked for."""
    made = {}

    def get(xdp):
        if xdp not in made:
            made[xdp] = lab = labs.Lab(offload=False).__enter__()
            lab.nginx()
            lab.wire = Wire(lab.client)
            lab.attach("--mode", "always", "--xdp", xdp)
        return made[xdp]

    yield get
    for lab in made.values():
        lab.wire.close()
        lab.__exit__(None, None, None)
