# SPDX-License-Identifier: GPL-2.0-only
"""doctor says what is in the way, and what it says is so: rules that it calls bad refuse or miss
clients that come by cookie, and the commands that it gives mend that."""
import ctypes
import json
import os
import shlex
import shutil
import socket
import struct

import pytest
from conftest import COOKIE_KINDS

import clients
import lab as labs
import services
from netns import sh, until

GROUPS = ["kernel", "bpffs", "interface", "sysctl", "listener", "firewall"]


def doctor(lab, *args, code=0):
    """The findings."""
    done = lab.synstile("doctor", "-j", *args, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert all(set(f) == {"check", "subject", "verdict", "text", "mend"} for f in found)
    order = [GROUPS.index(f["check"]) for f in found]
    assert order == sorted(order) and set(order) == set(range(len(GROUPS)))
    assert bool(code) == any(f["verdict"] == "fail" for f in found)
    return found


def of(found, check, *words, verdict=None):
    """The findings of a group that have all these words."""
    return [f for f in found if f["check"] == check and verdict in (None, f["verdict"])
            and all(w in f["subject"] + ": " + f["text"] for w in words)]


def bad(found):
    """Warnings and failures that are not the lab's own: veth, and this kernel's lack of freplace."""
    return [f for f in found if f["verdict"] != "ok" and f["subject"] != "freplace"
            and "veth" not in f["text"] and "bpf_sk_assign" not in f["subject"]]


def mend(lab, finding, *more):
    """Do as it says."""
    words = shlex.split(finding["mend"], comments=True)
    if words[0] == "synstile":
        words[0] = labs.SYNSTILE
    return sh(*words, *more)


def nft(lab, text):
    lab.server.run("nft", "-f", "-", input=text)


def served(lab, n=2, server=labs.SERVER4, timeout=3):
    """How many of n new clients get the page; addresses are fresh, so nobody is known. timeout:
    less where nobody is expected to."""
    return len(clients.get_many(lab.client, server, n, src="fresh", timeout=timeout)[0])


@pytest.fixture(scope="module")
def shared():
    """One lab with nginx for tests that leave it as it was."""
    with labs.Lab() as lab:
        lab.nginx()
        yield lab


@pytest.fixture(scope="module")
def guarded():
    """One with mode always."""
    with labs.Lab() as lab:
        lab.nginx()
        lab.attach("--mode", "always", ifaces=["s0"])
        yield lab


@pytest.fixture
def ruled(guarded):
    """The same; afterwards there are no rules again."""
    yield guarded
    guarded.server.run("nft", "flush", "ruleset")


# --- the host

def test_healthy_host_and_nothing_changed(shared):
    before = shared.snapshot()
    found = doctor(shared)
    assert not bad(found), bad(found)
    assert {f["subject"] for f in of(found, "interface")} == {"s0", "s1"}
    assert of(found, "kernel", "BTF", verdict="ok")
    assert of(found, "interface", "s0", "driver veth: generic XDP", verdict="warn")
    assert of(found, "interface", "s0", "MTU 1500", verdict="ok")
    assert of(found, "listener", "128 or more", verdict="ok")
    assert of(found, "firewall", "no rule", verdict="ok")
    assert shared.snapshot() == before


def test_text_says_what_json_says(shared):
    for args in ([], ["s0", "s9"]):
        found = json.loads(shared.synstile("doctor", "-j", *args, check=False).stdout)
        lines = shared.synstile("doctor", *args, check=False).stdout.splitlines()
        assert len(lines) == len(found)
        for line, f in zip(lines, found):
            assert line.split()[:2] == [f["verdict"], f["check"]] and f["subject"] in line
            assert line.endswith(f" -> {f['mend']}" if f["mend"] else f["text"])


def test_named_interfaces(shared):
    assert {f["subject"] for f in of(doctor(shared, "s1"), "interface")} == {"s1"}
    found = doctor(shared, "s0", "s9", "lo", code=1)
    assert of(found, "interface", "no interface \"s9\"", "did you mean", verdict="fail")
    assert of(found, "interface", "loopback", verdict="fail")
    # as attach says it
    said = shared.attach(ifaces=["s9"], check=False).stderr
    assert of(found, "interface", "s9")[0]["text"] in said


def test_not_root(shared):
    binary = shutil.copy(labs.SYNSTILE, shared.tmp / "synstile")
    os.chmod(binary, 0o755)
    done = sh("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", binary, "doctor",
              check=False)
    assert done.returncode == 1 and "root" in done.stderr and not done.stdout


def test_inside_ip_netns_exec(shared):
    done = sh("ip", "netns", "exec", shared.server.name, labs.SYNSTILE, "doctor", check=False)
    assert done.returncode == 1
    assert f"synstile -n {shared.server.name}" in done.stdout


def test_usage(shared):
    assert shared.synstile("doctor", "--nonsense", check=False).returncode == 2
    assert "doctor" in shared.synstile("doctor", "--help").stdout


def test_link_down(shared):
    shared.server.batch("link set s1 down")
    try:
        assert {f["subject"] for f in of(doctor(shared), "interface")} == {"s0"}
        down = of(doctor(shared, "s1"), "interface", "is down", verdict="warn")
        mend(shared, down[0])
        assert not of(doctor(shared, "s1"), "interface", "is down")
    finally:
        shared.server.batch("link set s1 up")


def test_sysctls(shared):
    for name, value in (("net.ipv4.tcp_timestamps", 0), ("net.ipv4.tcp_synack_retries", 0),
                        ("net.core.somaxconn", 128)):
        was = shared.server.sysctl(name, value)
        try:
            finding = of(doctor(shared), "sysctl", name, verdict="warn")[0]
            mend(shared, finding)
            assert not of(doctor(shared), "sysctl", name, verdict="warn")
        finally:
            shared.server.sysctl(name, was)


def tcx_link(lab, pin, dev):
    """Hold a pinned program at TCX ingress; a descriptor, or None where there is no TCX."""
    number = {"x86_64": 321, "aarch64": 280}.get(os.uname().machine)
    libc = ctypes.CDLL(None, use_errno=True)
    path = ctypes.create_string_buffer(pin.encode())

    def bpf(command, *words):
        attr = struct.pack(f"{len(words)}I", *words).ljust(64, b"\0")
        return libc.syscall(number, command, attr, 64)

    if not number:
        return None
    program = bpf(7, *struct.unpack("2I", struct.pack("Q", ctypes.addressof(path))))  # OBJ_GET
    with lab.server.inside():
        fd = bpf(28, program, socket.if_nametoindex(dev), 46)  # LINK_CREATE, BPF_TCX_INGRESS
    os.close(program)
    return fd if fd >= 0 else None


def test_others_at_the_hooks(make_lab):
    lab = make_lab()
    labs.attach_xdp_pass(lab.server, "s0")
    pin = f"/sys/fs/bpf/st-tc-{lab.server.name}"
    sh("bpftool", "prog", "loadall", labs.BUILD / "tools/empty.bpf.o", pin)
    try:
        lab.server.run("tc", "qdisc", "add", "dev", "s0", "clsact")
        lab.server.run("tc", "filter", "add", "dev", "s0", "egress", "protocol", "ip", "prio", "7",
                       "bpf", "bytecode", "1,6 0 0 0")
        held = tcx_link(lab, f"{pin}/tc_empty", "s0")
        found = json.loads(lab.synstile("doctor", "-j", "s0", check=False).stdout)
        egress = of(found, "interface", "s0", "TC egress: bpf", "runs too", verdict="warn")
        assert "pref 7" in mend(lab, egress[0]).stdout
        ingress = of(found, "interface", "TC ingress: TCX program tc_empty", verdict="warn")
        assert len(ingress) == (held is not None)
        if held is not None:
            os.close(held)
    finally:
        shutil.rmtree(pin)
    there = of(found, "interface", "another XDP program", "xdp_pass", verdict="fail")
    if not there:
        assert of(found, "interface", "dispatcher", verdict="ok")
        return
    assert there[0]["text"] in lab.attach(ifaces=["s0"], check=False).stderr
    mend(lab, there[0])
    assert of(doctor(lab, "s0"), "interface", "no other XDP program", verdict="ok")


def test_attached(make_lab):
    lab = make_lab()
    lab.nginx()
    with lab.attached("--mode", "always", "--cookies", "own" if "own" in COOKIE_KINDS else "kernel"):
        found = doctor(lab)
        assert of(found, "interface", "s0", "synstile is attached: native XDP", verdict="ok")
        assert not of(found, "interface", "TC ingress") and not bad(found)
        # somebody turns cookies off: the kernel refuses those who come by them
        lab.server.sysctl("net.ipv4.tcp_syncookies", 0)
        finding = of(doctor(lab, code=1), "sysctl", "tcp_syncookies", verdict="fail")[0]
        mend(lab, finding)
        assert not bad(doctor(lab))
        # and takes a program off
        lab.server.run("ip", "link", "set", "dev", "s0", "xdp", "off", check=False)
        sh("rm", f"/sys/fs/bpf/synstile/ns-{lab.server.name}/s0/xdp_link", check=False)
        if of(json.loads(lab.synstile("doctor", "-j", check=False).stdout), "interface", "removed"):
            finding = of(doctor(lab, code=1), "interface", "s0", "removed", verdict="fail")[0]
            assert finding["mend"].endswith("attach s0")


# --- listeners

def test_listeners(make_lab):
    lab = make_lab()
    lab.serve(services.Echo(7000, backlog=5))
    lab.serve(services.Echo(7001, backlog=64, address=labs.SERVER6))
    lab.serve(services.Echo(7002, backlog=5, address="::ffff:127.0.0.1"))
    lab.serve(services.Echo(7003, backlog=500))
    found = doctor(lab)
    small = of(found, "listener", "backlog", verdict="warn")
    assert len(small) == 2
    with open("/proc/self/comm") as f:
        program = f.read().strip()
    assert of(small, "listener", f"*:7000 ({program}): backlog 5 ", "raise it in the program")
    assert of(small, "listener", f"[{labs.SERVER6}]:7001 ({program}): backlog 64 ")
    # what the kernel bounds is raised there
    lab.server.sysctl("net.core.somaxconn", 100)
    lab.serve(services.Echo(7004, backlog=4000))
    finding = of(doctor(lab), "listener", "*:7004", "backlog 100 ", verdict="warn")[0]
    assert finding["mend"].endswith("sysctl net.core.somaxconn=4096")
    # a program that does not accept
    lab.serve(services.Echo(7005, backlog=1, accept=False))
    held = [clients.connect(lab.client, labs.SERVER4, 7005) for _ in range(2)]
    assert of(doctor(lab), "listener", "*:7005", "wait for accept()", verdict="warn")
    for s in held:
        s.close()


def test_listener_of_multipath_tcp(make_lab):
    lab = make_lab()
    lab.server.sysctl("net.mptcp.enabled", 1)
    lab.serve(services.Echo(7000, protocol=262))
    if "own" in COOKIE_KINDS:
        assert of(doctor(lab), "listener", "*:7000", "Multipath", verdict="warn")


# --- rules: what doctor says, what clients meet, what its command does

def table(*rules, policy="accept", hook="input", more=""):
    body = "\n".join(rules)
    return f"""table inet t {{
        {more}
        chain c {{
            type filter hook {hook} priority 0; policy {policy};
            {body}
        }}
    }}"""


ESTABLISHED = "ct state established,related accept"


@pytest.mark.parametrize("rules,policy,words", [
    ([ESTABLISHED, "tcp dport 80 tcp flags & (fin|syn|rst|ack) == syn accept"], "drop",
     ["only SYNs to port 80 are accepted"]),
    ([ESTABLISHED, "tcp flags syn limit rate 1000/second accept", "drop"], "accept",
     ["only SYNs are accepted"]),
    ([ESTABLISHED, "tcp flags & (fin|syn|rst|ack) != syn ct state new drop"], "accept",
     ["whose first packet is no SYN"]),
], ids=["accept", "limit", "new-not-syn"])
def test_rule_that_refuses(ruled, rules, policy, words):
    """fail: nobody is served; after the mend everybody is."""
    nft(ruled, table(*rules, policy=policy))
    finding = of(doctor(ruled, code=1), "firewall", *words, verdict="fail")
    assert len(finding) == 1 and served(ruled, timeout=0.5) == 0
    mend(ruled, finding[0])
    assert not of(doctor(ruled), "firewall", verdict="fail")
    assert served(ruled) == 2


@pytest.mark.parametrize("rule", [
    "tcp flags syn limit rate over 1/day burst 1 packets drop",
    "tcp dport 80 tcp flags & (fin|syn|rst|ack) == syn meter m { ip daddr "
    "limit rate over 1/day burst 1 packets } drop",
    "tcp flags == syn ct count over 0 drop",
    "tcp flags syn drop"], ids=["limit", "meter", "count", "drop"])
def test_rule_that_misses(ruled, rule):
    """warn: it is meant to hold off clients, and does not hold off those that come by cookie."""
    nft(ruled, table(ESTABLISHED, rule))
    finding = of(doctor(ruled), "firewall", "only SYNs", verdict="warn")
    assert len(finding) == 1 and served(ruled) == 2
    shown = mend(ruled, finding[0]).stdout
    if "meter" in rule:  # which nft cannot replace
        assert "meter m" in shown
        return
    assert not of(doctor(ruled), "firewall", "only SYNs")
    assert served(ruled, timeout=0.5) < 2


@pytest.mark.parametrize("loose", [0, 1])
def test_invalid_is_dropped(ruled, loose):
    """The common ruleset: fine, for synstile makes conntrack's entries if need be."""
    nft(ruled, table(ESTABLISHED, "ct state invalid drop", "tcp dport 80 ct state new accept",
                     policy="drop"))
    ruled.server.sysctl("net.netfilter.nf_conntrack_tcp_loose", loose)
    found = doctor(ruled)
    assert not of(found, "firewall", verdict="warn"), found
    assert bool(of(found, "firewall", "synstile makes the entries", verdict="ok")) == (not loose)
    # the agent looks once a second
    until(lambda: served(ruled, timeout=0.5) == 2, 3, "both are served")


def test_rules_in_other_chains(ruled):
    """Where rules look at something else, there is nothing to say; below a jump there is."""
    nft(ruled, """table ip t {
        set seen { type ipv4_addr; flags dynamic; size 100; }
        map ways { type inet_service : verdict; elements = { 22 : jump flood } }
        chain flood { limit rate 10/second return; drop; }
        chain input { type filter hook input priority 0; policy accept;
            iifname "lo" tcp flags syn drop
            ct state established,related accept
            tcp flags & (fin|syn) == fin|syn drop
            tcp flags & (fin|syn|rst|psh|ack|urg) == 0 drop
            meta l4proto udp limit rate 3/second accept
            tcp dport 9999 tcp flags syn log prefix "look "
            tcp flags syn jump flood
        }
        chain out { type filter hook output priority 0; tcp flags syn limit rate 3/second accept; }
        chain on { type filter hook forward priority 0; tcp flags syn drop; }
    }""")
    found = of(doctor(ruled), "firewall", verdict="warn")
    assert [f["subject"].split(" handle")[0] for f in found] == ["ip t flood"] * 2, found


def test_published_ports(make_lab):
    lab = make_lab()
    lab.nginx()
    for port in (22, 8080):
        lab.serve(services.Echo(port))
    nft(lab, """table ip nat { chain pre { type nat hook prerouting priority -100;
        tcp dport { 8080, 8081 } dnat to 198.18.1.2:80
        udp dport 53 dnat to 198.18.1.2
        tcp dport 8443 dnat to 198.18.1.2:443 } }""".replace("; ", ";\n").replace(" } }", "\n}\n}"))
    found = of(doctor(lab), "firewall", "DNAT")
    assert [f["verdict"] for f in found] == ["warn", "warn"]
    assert "8080-8081" in found[0]["text"] and "8443" in found[1]["text"]
    assert "a program of this host listens there" in found[0]["text"]
    assert "not protected" in found[1]["text"]
    assert found[0]["mend"].startswith("synstile -n NAMESPACE attach")
    lab.attach("--ports", "22,80")
    assert of(doctor(lab), "firewall", "8080-8081", "--ports leaves them out", verdict="ok")


@pytest.mark.skipif("own" not in COOKIE_KINDS, reason="only own cookies meet it")
def test_nat(make_lab):
    """The stack's NAT and own cookies."""
    lab = make_lab()
    lab.nginx()

    def nat(found, verdict):
        return [of(found, "firewall", f"{f} n: NAT", verdict=verdict) for f in ("ip", "ip6")]

    assert not any(nat(doctor(lab, "s0"), "ok"))
    lab.attach("--mode", "always", "--cookies", "own", ifaces=["s0"])
    for family in ("ip", "ip6"):
        nft(lab, f"""table {family} n {{ chain post {{ type nat hook postrouting priority 100;
            oifname "elsewhere" masquerade
        }}
        }}""")
    findings = nat(doctor(lab, "s0", code=1), "fail")
    assert all(findings)
    mend(lab, findings[0][0])
    assert all(nat(doctor(lab, "s0"), "ok"))
    lab.attach("--mode", "always", ifaces=["s0"])
    assert all(nat(doctor(lab, "s0"), "ok"))
    assert served(lab) == served(lab, 2, labs.SERVER6) == 2


# --- rules of iptables

@pytest.mark.skipif(not shutil.which("iptables-nft"), reason="no iptables-nft")
def test_iptables(ruled):
    def rule(*words, table="filter"):
        ruled.server.run("iptables-nft", "-t", table, "-A", *words)

    rule("INPUT", "-p", "tcp", "--syn", "--dport", "80", "-m", "connlimit", "--connlimit-above",
         "0", "-j", "DROP")
    rule("INPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP")
    found = of(doctor(ruled), "firewall", verdict="warn")
    assert of(found, "firewall", "only SYNs to port 80 are limited (connlimit)")
    opaque = of(found, "firewall", "extensions of iptables (conntrack) whose arguments cannot be read")
    assert len(found) == 2 and served(ruled) == 2
    assert "--ctstate INVALID" in mend(ruled, opaque[0]).stdout
    rule("PREROUTING", "-p", "tcp", "--dport", "88", "-j", "DNAT", "--to", "198.18.1.2:80",
         table="nat")
    assert of(doctor(ruled, code="own" in COOKIE_KINDS), "firewall", "port 88", "DNAT")


@pytest.mark.skipif(not shutil.which("iptables-legacy"), reason="no iptables-legacy")
def test_legacy_iptables(make_lab):
    lab = make_lab()
    done = lab.server.run("iptables-legacy", "-A", "INPUT", "-p", "tcp", "--syn", "-j", "ACCEPT",
                          check=False)
    if done.returncode:
        pytest.skip(done.stderr)
    finding = of(doctor(lab), "firewall", "legacy iptables (filter)", verdict="warn")[0]
    assert "--tcp-flags" in mend(lab, finding).stdout
    lab.serve(services.Echo(8080))
    lab.server.run("iptables-legacy", "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "--dport", "8080",
                   "-j", "DNAT", "--to", "198.18.1.2:80")
    assert of(doctor(lab), "firewall", "legacy iptables", "port 8080", "only observed", verdict="warn")
