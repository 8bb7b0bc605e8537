# SPDX-License-Identifier: GPL-2.0-only
"""The agent's life: `run` in the foreground, kill -9, upgrades, what it keeps of its privileges, and
what is on disk."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess

import pytest
from conftest import COOKIE_KINDS
from test_attach import same

import clients
import lab as labs
from netns import patience, sh, until

CAP_NET_ADMIN, CAP_BPF = 12, 39
STATE = pathlib.Path("/var/lib/synstile")


def record(lab):
    return STATE / f"ns-{lab.server.name}.json"


@contextlib.contextmanager
def running(lab, *args, program=labs.SYNSTILE, ifaces=("s0", "s1"), verb="run"):
    """`synstile run`, once it is at work. stdout and stderr go to one file, self.said."""
    said = open(lab.tmp / "run.out", "w+", encoding="utf-8")
    process = subprocess.Popen([program, "-n", lab.server.name, verb, *ifaces, "--xdp", "native",
                                *args], stdout=said, stderr=subprocess.STDOUT)
    process.said = lambda: pathlib.Path(said.name).read_text(encoding="utf-8")
    try:
        # the agent's own answer: of the maps, it is ready before that
        until(lambda: process.poll() is not None or agent(lab).get("pid") == process.pid
              and (s := lab.status())["ready"] and s["half_open"] is not None, 10, "run is at work")
        assert process.poll() is None, process.said()
        yield process
    finally:
        process.kill()
        process.wait()
        said.close()


def agent(lab):
    done = lab.synstile("status", "-j", check=False)
    return json.loads(done.stdout)["agent"] if done.returncode == 0 else {}


def ends(process, code=0):
    assert process.wait(patience(10)) == code, process.said()
    return process.said()


def serves(lab, n=10):
    times, errors = clients.get_many(lab.client, labs.SERVER4, n, src="fresh")
    assert len(times) == n, errors


def xdp_ids(lab):
    return [x["xdp"]["prog"]["id"] for x in
            json.loads(lab.server.run("ip", "-j", "-d", "link").stdout) if "xdp" in x]


def test_sigterm_leaves_protection_on(web):
    before = web.snapshot()
    with running(web, "--mode", "always") as process:
        assert web.status()["agent"] == {"running": True, "pid": process.pid}
        serves(web)
        process.terminate()
        said = ends(process)
    assert "protection stays on" in said and f"synstile -n {web.server.name} run s0" in said, said
    sent = web.count("syn_cookie")
    serves(web)
    assert web.count("syn_cookie") >= sent + 10
    text = web.synstile("status").stdout
    assert "not running" in text and f"synstile -n {web.server.name} attach s0 s1" in text, text
    web.detach()
    same(before, web.snapshot())


def test_a_second_agent_is_refused(web):
    with running(web) as process:
        for verb in ("run", "attach"):
            done = web.synstile(verb, "s0", check=False)
            assert done.returncode == 1 and "s0" in done.stderr, done.stderr
        done = web.synstile("run", "s0", check=False)
        for words in (f"PID {process.pid}", f"kill {process.pid}", "protection stays on", "status"):
            assert words in done.stderr, done.stderr
        assert process.poll() is None and len(xdp_ids(web)) == 2
    web.detach()
    web.attach(ifaces=["s0"])
    pid = web.status()["agent"]["pid"]
    assert str(pid) in web.synstile("run", "s0", check=False).stderr
    done = web.synstile("run", "s1", check=False)
    assert done.returncode == 1 and "attach s1" in done.stderr, done.stderr
    assert [i["name"] for i in web.status()["interfaces"]] == ["s0"]
    assert web.status()["agent"]["pid"] == pid


def test_no_interface(lab):
    done = lab.synstile("run", check=False)
    assert done.returncode == 2 and "synstile run --help" in done.stderr, done.stderr


def test_detach_elsewhere_ends_it(web):
    before = web.snapshot()
    with running(web) as process:
        web.detach()
        assert "detached" in ends(process)
    same(before, web.snapshot())


def upgraded(lab):
    """The program, as the next version would be: another file."""
    return shutil.copy(labs.SYNSTILE, lab.tmp / "synstile-next")


@pytest.mark.parametrize("first,then", [("run", "run"), ("run", "attach"), ("attach", "run")])
def test_kill_and_adopt(web, first, then):
    """kill -9; the next agent, of a new binary, finds everything; no client notices."""
    before = web.snapshot()
    args = ["--mode", "always"]

    def keys():
        if "own" in COOKIE_KINDS:
            answer = json.loads(web.synstile("keys", "list", "-j").stdout)["keys"]
            return [k["id"] for k in answer]
        return []

    with contextlib.ExitStack() as stack:
        if first == "run":
            old = stack.enter_context(running(web, *args)).pid
        else:
            web.attach(*args)
            old = web.status()["agent"]["pid"]
        if "own" in COOKIE_KINDS:
            web.synstile("keys", "rotate")
        known, programs = keys(), xdp_ids(web)
        held = clients.connect(web.client, labs.SERVER4, 80)
        flow = web.status()["flows"]["open"]
        os.kill(old, signal.SIGKILL)
        until(lambda: not agent(web)["running"], 5, "it is dead")
        serves(web)
        new = upgraded(web)
        if then == "run":
            process = stack.enter_context(running(web, program=new))
            assert "attached already" in process.said()
        else:
            assert "attached already" in sh(new, "-n", web.server.name, "attach", "s0", "s1").stdout
        pid = web.status()["agent"]["pid"]
        assert pid != old and os.readlink(f"/proc/{pid}/exe") == str(new)
        assert xdp_ids(web) == programs and keys() == known and web.status()["flows"]["open"] >= flow
        assert web.status()["mode"] == "always"
        held.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")
        assert clients.receive(held, 12) == b"HTTP/1.1 200"
        held.close()
        serves(web)
        web.detach()
    same(before, web.snapshot())


def test_upgrade_under_load(web):
    """SIGTERM to the old, start of the new: no connection fails meanwhile."""
    with running(web, "--mode", "always") as old:
        with clients.Load(web.client, labs.SERVER4) as load:
            old.terminate()
            ends(old)
            with running(web, program=upgraded(web)):
                until(lambda: load.done > 50, 10, "connections")
        assert not load.errors and load.done > 50, load.errors
    web.detach()


# --- privileges

def privileges(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    found = dict(line.split(":\t") for line in lines if line.startswith(("Cap", "NoNew")))
    assert found.pop("NoNewPrivs") == "1"
    return {k: int(v, 16) for k, v in found.items()}


@pytest.mark.parametrize("verb", ["run", "attach"])
def test_capabilities(web, verb):
    with contextlib.ExitStack() as stack:
        if verb == "run":
            pid = stack.enter_context(running(web)).pid
        else:
            web.attach()
            pid = web.status()["agent"]["pid"]
        few = 1 << CAP_NET_ADMIN | 1 << CAP_BPF
        assert privileges(pid) == {"CapInh": 0, "CapPrm": few, "CapEff": few, "CapBnd": 0,
                                   "CapAmb": 0}
        web.detach()


def test_it_cleans_up_with_what_it_kept(web):
    """The last interface vanishes: sysctls, pins and files go, though nobody ran detach."""
    web.server.sysctl("net.ipv4.tcp_syncookies", 0)
    before = web.snapshot()
    with running(web, "--cookies", "kernel") as process:
        assert web.server.sysctl("net.ipv4.tcp_syncookies") == "2"
        web.server.run("ip", "link", "del", "s1")
        until(lambda: len(web.status()["interfaces"]) == 1, 5, "s1 is off the list")
        web.server.run("ip", "link", "del", "s0")
        said = ends(process, code=1)
    assert "no interface is left" in said, said
    after = web.snapshot()
    assert not [p for p in after["pins"] if web.server.name in p]  # libxdp leaves its dispatchers
    for key in ("files", "processes"):
        assert after[key] == before[key]
    for key in ("tcp_syncookies", "tcp_timestamps"):
        assert web.server.sysctl(f"net.ipv4.{key}") == before["sysctls"][f"net/ipv4/{key}"]


# --- what is on disk

def test_modes_of_the_record(web):
    web.attach()
    assert stat.S_IMODE(STATE.stat().st_mode) == 0o700
    assert stat.S_IMODE(record(web).stat().st_mode) == 0o600
    assert json.loads(record(web).read_text())["boot_id"] == \
        pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_record_of_another_boot(web):
    """Nothing in it is true any more; its sysctls are not given back."""
    web.server.sysctl("net.ipv4.tcp_syncookies", 1)
    before = web.snapshot()
    web.attach("--cookies", "kernel")
    state = json.loads(record(web).read_text())
    web.detach()
    state["boot_id"] = "00000000-0000-0000-0000-000000000000"
    web.server.sysctl("net.ipv4.tcp_syncookies", 2)  # what the next boot made it, as it happens
    for command, code in (("status", 3), ("detach", 3), ("attach", 0)):
        args = {"status": [], "detach": ["--all"], "attach": ["s0", "--xdp", "native"]}[command]

        def told(words=(command, *args, "-v"), code=code):
            """An attach of another test may clear the record away before this command sees it."""
            STATE.mkdir(mode=0o700, exist_ok=True)
            record(web).write_text(json.dumps(state))
            done = web.synstile(*words, check=False)
            assert done.returncode == code, done.stderr
            if "before the machine was booted" in done.stderr:
                return True
            web.synstile("detach", "--all", check=False)
            return False
        until(told, 5, f"{command} says so")
    web.detach()
    assert web.server.sysctl("net.ipv4.tcp_syncookies") == "2"
    web.server.sysctl("net.ipv4.tcp_syncookies", 1)
    same(before, web.snapshot())


@pytest.mark.parametrize("found,given_back", [("set", True), ("before", True), ("other", False)])
def test_sysctl_of_a_change_that_was_cut_short(web, found, given_back):
    """Recorded, and perhaps not written any more."""
    web.server.sysctl("net.ipv4.tcp_syncookies", 0)
    web.attach("--cookies", "kernel")
    os.kill(web.status()["agent"]["pid"], signal.SIGKILL)
    state = json.loads(record(web).read_text())
    entry = next(s for s in state["sysctls"] if s["name"].endswith("syncookies"))
    assert (entry["was"], entry["before"], entry["set"]) == (0, 0, 2)
    # as if it had been changed a second time, from 2 to 1
    entry["before"], entry["set"] = 2, 1
    record(web).write_text(json.dumps(state))
    web.server.sysctl("net.ipv4.tcp_syncookies", {"set": 1, "before": 2, "other": 3}[found])
    done = web.detach()
    left = web.server.sysctl("net.ipv4.tcp_syncookies")
    assert left == ("0" if given_back else "3") and ("somebody else" in done.stderr) != given_back


def test_records_of_vanished_namespaces(web, make_lab):
    other = make_lab()
    other.attach(ifaces=["s0"])
    web.attach(ifaces=["s0"])
    name = other.server.name
    os.kill(other.status()["agent"]["pid"], signal.SIGKILL)
    left = [path for top in (STATE, "/run/synstile", "/sys/fs/bpf/synstile")
            for path in labs.named(top, name)]
    assert len(left) >= 3, left
    sh("ip", "netns", "delete", name)
    web.attach(ifaces=["s1"])
    assert not any(os.path.exists(path) for path in left), left
    assert len(web.status()["interfaces"]) == 2
