# SPDX-License-Identifier: GPL-2.0-only
"""attach is all or nothing, detach gives everything back, and listeners are followed."""
import json
import os
import pathlib
import re
import shutil
import signal

import pytest
from conftest import COOKIES
from scapy.layers.inet import TCP

import clients
import lab as labs
import services
from netns import sh, until
from wire import Talk, Wire

LINUX = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (5000, 0)), ("NOP", None), ("WScale", 7)]


def same(before, after):
    """Snapshots, compared entry by entry so that a difference is readable."""
    for key, was in before.items():
        now = after[key]
        if isinstance(was, dict):
            changed = {k: (was.get(k), now.get(k)) for k in {*was, *now}
                       if was.get(k) != now.get(k)}
            assert not changed, f"{key}: {changed}"
        assert now == was, key


@pytest.mark.parametrize("cookies", COOKIES)
@pytest.mark.parametrize("mode,xdp", [("observe", "native"), ("auto", "native"), ("auto", "skb"),
                                      ("always", "native"), ("always", "skb")])
def test_detach_gives_everything_back(web, mode, xdp, cookies):
    web.server.sysctl("net.ipv4.tcp_syncookies", 0)
    before = web.snapshot()
    web.attach("--mode", mode, "--xdp", xdp, "--cookies", cookies)
    assert web.snapshot() != before
    times, errors = clients.get_many(web.client, labs.SERVER4, 5)
    assert len(times) == 5, errors
    web.detach()
    same(before, web.snapshot())
    assert web.synstile("status", check=False).returncode == 3


def test_detach_while_connections_and_cookies_are_in_flight(web):
    """A detach between SYN-ACK and ACK must not leave anything behind or break others."""
    before = web.snapshot()
    wire = Wire(web.client)
    web.attach("--mode", "always")
    talk = Talk(wire, options=LINUX)
    talk.syn()
    talk.synack()
    held = [clients.connect(web.client, labs.SERVER4, 80) for _ in range(5)]
    web.detach()
    same(before, web.snapshot())
    for s in held:
        s.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")
        assert clients.receive(s, 12) == b"HTTP/1.1 200"
        s.close()
    wire.close()


def test_detach_one_of_two_interfaces(web):
    """The other interface stays protected."""
    before = web.snapshot()
    web.attach("--mode", "always")
    web.synstile("detach", "s1")
    assert [i["name"] for i in web.status()["interfaces"]] == ["s0"]
    sent = web.count("syn_cookie")
    assert len(clients.get_many(web.client, labs.SERVER4, 10, src="fresh")[0]) == 10
    assert web.count("syn_cookie") >= sent + 10
    assert len(clients.get_many(web.attacker, labs.SERVER4, 10)[0]) == 10
    web.synstile("detach", "s0")
    same(before, web.snapshot())
    assert web.synstile("status", check=False).returncode == 3


def test_attach_a_second_interface_later(web):
    """One instance; what it was told first holds for both."""
    before = web.snapshot()
    web.attach("--mode", "always", ifaces=["s0"])
    held = clients.connect(web.client, labs.SERVER4, 80)
    web.attach("--mode", "always", ifaces=["s1"])
    assert [i["name"] for i in web.status()["interfaces"]] == ["s0", "s1"]
    sent = web.count("syn_cookie")
    for ns in (web.client, web.attacker):
        assert len(clients.get_many(ns, labs.SERVER4, 10)[0]) == 10
    assert web.count("syn_cookie") > sent + 10  # a port may be used again
    held.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")
    assert clients.receive(held, 12) == b"HTTP/1.1 200"
    held.close()
    web.detach()
    same(before, web.snapshot())


def test_attach_twice(web):
    """Whatever the second attach answers, it takes nothing away."""
    before = web.snapshot()
    web.attach("--mode", "always")
    web.attach("--mode", "always", check=False)
    assert [i["name"] for i in web.status()["interfaces"]] == ["s0", "s1"]
    assert len(clients.get_many(web.client, labs.SERVER4, 10, src="fresh")[0]) == 10
    assert web.count("syn_cookie") >= 10
    web.detach()
    same(before, web.snapshot())


def occupy(lab, dev):
    """Put another XDP program in the way."""
    if not labs.XDP_PASS.exists():
        pytest.skip("build/tools/xdp_pass.bpf.o is not built")
    labs.attach_xdp_pass(lab.server, dev)


def fails(lab, *args, words=(), code=1, **kw):
    """attach fails with `code`, says all the words, and leaves the machine as it was."""
    before = lab.snapshot()
    done = lab.attach(*args, check=False, **kw)
    assert done.returncode == code, done.stderr
    assert done.stderr.strip(), "no word about why"
    for word in words:
        assert word in done.stderr, done.stderr
    same(before, lab.snapshot())
    return done


def test_without_standard_error(web):
    """A caller closed it: messages are lost then, and no file of ours gets them."""
    name = web.server.name
    with web.attached(ifaces=["s0"]):
        agent = web.status()["agent"]["pid"]
        os.kill(agent, signal.SIGSTOP)  # it writes into the lock too
        try:
            sh("sh", "-c", f"{labs.SYNSTILE} -v -n {name} attach s1 2>&-")
            lock = pathlib.Path(f"/run/synstile/ns-{name}.lock").read_text(encoding="utf-8")
        finally:
            os.kill(agent, signal.SIGCONT)
        assert re.fullmatch(r"\d+ attach\n", lock), lock
        assert [i["name"] for i in web.status()["interfaces"]] == ["s0", "s1"]


def test_no_such_interface(web):
    fails(web, ifaces=["nosuch0"], words=["nosuch0"])


def test_no_ethernet(web):
    """A tunnel's packets begin with their IP header, and would be read as something else."""
    web.server.run("ip", "tuntap", "add", "t0", "mode", "tun")
    web.server.run("ip", "link", "set", "t0", "up")
    fails(web, ifaces=["t0"], words=["t0", "Ethernet"])


def test_second_interface_does_not_exist(web):
    fails(web, ifaces=["s0", "nosuch0"], words=["nosuch0"])


def test_another_xdp_program(web):
    occupy(web, "s0")
    if web.attach(ifaces=["s0"], check=False).returncode == 0:
        assert web.status()["interfaces"][0]["via"] == "libxdp"
        pytest.skip("this kernel has libxdp's dispatcher, which lets both programs run")
    fails(web, ifaces=["s0"], words=["s0", "xdp_pass"])


def test_second_interface_has_another_xdp_program(web):
    """The first was attached already when the second failed."""
    occupy(web, "s1")
    if web.attach(check=False).returncode == 0:
        pytest.skip("this kernel has libxdp's dispatcher, which lets both programs run")
    fails(web, words=["s1", "xdp_pass"])
    # and nobody is worse off
    assert len(clients.get_many(web.client, labs.SERVER4, 10, src="fresh")[0]) == 10


def test_not_root(web):
    before = web.snapshot()
    binary = shutil.copy(labs.SYNSTILE, web.tmp / "synstile")
    os.chmod(binary, 0o755)
    done = sh("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", binary,
                   "-n", web.server.name, "attach", "s0", check=False)
    assert done.returncode == 1, done.stderr
    assert "root" in done.stderr, done.stderr
    same(before, web.snapshot())


def test_no_such_namespace(web):
    done = sh(labs.SYNSTILE, "-n", "st-nowhere", "attach", "s0", check=False)
    assert done.returncode == 1 and "st-nowhere" in done.stderr


def test_inside_ip_netns_exec(web):
    """ip netns exec hides the host's bpffs: synstile says to use -n."""
    before = web.snapshot()
    done = sh("ip", "netns", "exec", web.server.name, labs.SYNSTILE, "attach", "s0",
                   check=False)
    assert done.returncode == 1, done.stderr
    assert "-n" in done.stderr, done.stderr
    same(before, web.snapshot())


@pytest.mark.parametrize("args", [
    ["attach"], ["attach", "s0", "--mode", "sometimes"], ["attach", "s0", "--ports", "80,x"],
    ["attach", "s0", "--ports", "0"], ["attach", "s0", "--ports", "65536"],
    ["attach", "s0", "--ports", "90-80"], ["attach", "s0", "--ports", ""],
    ["attach", "s0", "--xdp", "offload"], ["attach", "s0", "--cookies", "chocolate"],
    ["attach", "s0", "--max-flows", "0"], ["attach", "s0", "--max-flows", "-1"],
    ["attach", "s0", "--nonsense"], ["detach"], ["frobnicate"], []],
    ids=lambda args: "_".join(args).replace("-", "") or "nothing")
def test_usage(idle, args):
    """Wrong words: exit 2, a message on stderr, and nothing done."""
    before = idle.snapshot()
    done = idle.synstile(*args, check=False)
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert done.stderr.strip() and not done.stdout.strip()
    same(before, idle.snapshot())


@pytest.fixture(scope="module")
def idle():
    """One lab for tests that are not supposed to change anything."""
    with labs.Lab() as lab:
        yield lab


def test_not_running(idle):
    """status and detach of what was never attached: exit 3."""
    for args in (["status"], ["status", "-j"], ["detach", "--all"], ["detach", "s0"]):
        assert idle.synstile(*args, check=False).returncode == 3, args


def test_status(web):
    """The JSON as scripts rely on it, and the plain form for people."""
    web.attach("--mode", "auto")
    status = web.status()
    assert status["instance"] == f"ns-{web.server.name}"
    assert status["mode"] == "auto" and status["cookies"] in ("own", "kernel")
    assert status["agent"]["running"] and status["agent"]["pid"] in web.synstile_pids()
    for interface, name in zip(status["interfaces"], ("s0", "s1")):
        assert interface["name"] == name
        assert interface["xdp"] in ("native", "skb")
        assert interface["via"] in ("link", "libxdp", "netlink")
        assert interface["tc"] in ("tcx", "clsact")
        assert set(interface["counters"]) == {"done", "observed"}
    service = web.service(80)
    assert service["mode"] == "auto" and service["state"] == "calm"
    assert {labs.SERVER4, labs.SERVER6, "198.18.1.1"} <= set(service["addresses"])
    flows = status["flows"]
    assert flows["total"] == sum(flows[k] for k in ("half_open", "proven", "open", "closing",
                                                    "closed"))
    plain = web.synstile("status").stdout
    assert "s0" in plain and "80" in plain and "auto" in plain


def test_two_instances(web):
    """Namespaces do not know of each other."""
    other = services.Echo(7000)
    other.start(web.client)
    try:
        web.attach("--mode", "always")
        sh(labs.SYNSTILE, "-n", web.client.name, "attach", "c0", "--xdp", "skb", "--mode",
                "observe", check=False)  # c0 has the lab's own program: may be refused
        status = web.status()
        assert not any(s["port"] == 7000 for s in status["services"])
        sh(labs.SYNSTILE, "-n", web.client.name, "detach", "--all", check=False)
        assert web.status()["services"] == status["services"]
    finally:
        other.stop()


def answered_by_cookie(lab, wire, port, dst=labs.SERVER4):
    """Send one SYN; did synstile answer it?"""
    before = lab.count("syn_cookie")
    talk = Talk(wire, dst, port, options=LINUX)
    talk.syn()
    reply = wire.expect(talk.mine, 3, f"an answer from port {port}")
    if "R" in reply[TCP].flags:
        return False
    talk.follow(reply)
    talk.reset()
    return lab.count("syn_cookie") > before


def test_new_listener_is_protected_and_a_closed_one_is_not(make_lab):
    lab = make_lab(offload=False)
    wire = Wire(lab.client)
    with lab.attached("--mode", "always"):
        for port in (9001, 9002):
            assert not answered_by_cookie(lab, wire, port)  # nobody listens: the kernel resets
            service = services.Echo(port)
            service.start(lab.server)
            until(lambda: answered_by_cookie(lab, wire, port), 1, "the listener is protected")
            until(lambda: lab.service(port), 1, "status shows the listener")
            for dst in (labs.SERVER4, labs.SERVER6):
                with clients.connect(lab.client, dst, port) as s:
                    s.sendall(b"hello")
                    assert clients.receive(s, 5) == b"hello"
            service.stop()
            until(lambda: not answered_by_cookie(lab, wire, port), 2,
                       "the closed listener is left alone")
            # the service is kept for as long as there are flows of it
            until(lambda: not (lab.service(port) or {}).get("addresses"), 1,
                  "status forgets the listener")
    wire.close()


def test_new_address_is_protected(make_lab):
    """A wildcard listener takes connections on an address that was added later."""
    lab = make_lab(offload=False)
    lab.serve(services.Echo(7000))
    wire = Wire(lab.client)
    with lab.attached("--mode", "always"):
        assert answered_by_cookie(lab, wire, 7000)
        lab.server.batch("addr add 198.18.0.9/32 dev lo\naddr add 2001:db8::9/128 dev lo nodad\n")
        for dst in ("198.18.0.9", "2001:db8::9"):
            until(lambda: answered_by_cookie(lab, wire, 7000, dst), 2, f"{dst} is protected")
            with clients.connect(lab.client, dst, 7000) as s:
                s.sendall(b"hello")
                assert clients.receive(s, 5) == b"hello"
    wire.close()


def test_listener_on_one_address(make_lab):
    """The same port of another address is none of the listener's."""
    lab = make_lab(offload=False)
    lab.serve(services.Echo(7000, address=f"::ffff:{labs.SERVER4}"))
    lab.serve(services.Echo(7001, address=labs.SERVER6))
    wire = Wire(lab.client)
    with lab.attached("--mode", "always"):
        assert answered_by_cookie(lab, wire, 7000, labs.SERVER4)
        assert answered_by_cookie(lab, wire, 7001, labs.SERVER6)
        for port, dst in ((7000, "198.18.1.1"), (7000, labs.SERVER6), (7001, labs.SERVER4),
                          (7001, "2001:db8:1::1")):
            assert not answered_by_cookie(lab, wire, port, dst)
        assert lab.service(7000)["addresses"] == [labs.SERVER4]
    wire.close()


def test_ports(make_lab):
    """--ports: these and no others."""
    lab = make_lab(offload=False)
    for port in (7000, 7001, 7005, 7010):
        lab.serve(services.Echo(port))
    wire = Wire(lab.client)
    with lab.attached("--mode", "always", "--ports", "7000,7004-7006"):
        found = {port: answered_by_cookie(lab, wire, port) for port in (7000, 7001, 7005, 7010)}
        assert found == {7000: True, 7001: False, 7005: True, 7010: False}
        for port in found:
            with clients.connect(lab.client, labs.SERVER4, port) as s:
                s.sendall(b"hello")
                assert clients.receive(s, 5) == b"hello"
    wire.close()


def test_snapshot_is_steady(web):
    """The comparison itself: two snapshots of an idle lab are equal."""
    assert json.dumps(web.snapshot()) == json.dumps(web.snapshot())
