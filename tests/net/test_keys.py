# SPDX-License-Identifier: GPL-2.0-only
"""Cookie keys: listed, replaced by time and when asked, and no handshake fails because of it.

A cookie bears a count (64 s), and a new key signs from the next count on (user/keys.h): the test of
rotations under load waits for the end of a count. It rotates every second for SYNSTILE_KEYS_SECONDS.
"""
import contextlib
import ctypes
import json
import os
import pathlib
import signal
import socket
import struct
import threading
import time

import pytest
from conftest import COOKIE_KINDS

import clients
import lab as labs
from netns import SLOW, patience, sh, until
from wire import Talk, Wire

SECONDS = int(os.environ.get("SYNSTILE_KEYS_SECONDS", "18"))
BEFORE = 15  # of them before a count ends; a key that is asked for 9 s before it signs then
FAMILIES = [labs.SERVER4, labs.SERVER6]
LINUX = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (5000, 0)), ("NOP", None), ("WScale", 7)]
BARE = [("MSS", 1460), ("SAckOK", b""), ("NOP", None), ("WScale", 7)]

SO_ATTACH_FILTER = 26

own = pytest.mark.skipif("own" not in COOKIE_KINDS, reason="own cookies need Linux 6.9")


def count(ns):
    """cookie_count() of bpf/cookie.h."""
    return (ns >> 26) * 4398 >> 22


def next_count():
    """When the next count begins (monotonic, s)."""
    begin = count(time.monotonic_ns()) + 1
    return (-(-(begin << 22) // 4398) << 26) / 1e9


def keys(lab, action="list"):
    return json.loads(lab.synstile("keys", action, "-j").stdout)


def states(answer):
    return [(k["id"], k["state"]) for k in answer["keys"]]


def signing(answer):
    return next(k["id"] for k in answer["keys"] if k["state"] == "signing")


def state_file(lab):
    return pathlib.Path(f"/var/lib/synstile/ns-{lab.server.name}.json")


# --- the commands, one after the other in one lab

@pytest.fixture(scope="module")
def shared():
    with labs.Lab() as lab:
        lab.nginx()
        lab.attach("--mode", "always", "--key-life", "20m")
        yield lab


def serves(lab):
    assert len(clients.get_many(lab.client, labs.SERVER4, 10, src="fresh")[0]) == 10


@own
def test_list_and_rotate(shared):
    first = keys(shared)
    assert first["life_s"] == 1200 and first["cookies"] == "own"
    assert states(first) == [(1, "signing")]
    assert 0 <= first["keys"][0]["age_ms"] < patience(10_000)
    assert first["keys"][0]["signs_in_ms"] == 0

    second = keys(shared, "rotate")
    assert states(second) == [(2, "next"), (1, "signing")]
    assert second["keys"][0]["age_ms"] < 1000
    due = next_count() - time.monotonic()  # in this count, or in the next if it is near
    assert abs(second["keys"][0]["signs_in_ms"] / 1000 - due) < 3 or due < 12 + patience(1)
    # it takes the place of the one that has not signed anything
    assert states(keys(shared, "rotate"))[0] == (3, "next")

    plain = shared.synstile("keys", "list").stdout
    assert "3  next" in plain and "1  signing" in plain and "20m00s" in plain, plain
    assert "4  next" in shared.synstile("keys", "rotate").stdout
    serves(shared)


def secrets(lab):
    """The key material in the map, as hexadecimal text: key, previous, next, that of sources."""
    pin = next(pathlib.Path("/sys/fs/bpf/synstile").glob(f"*{lab.server.name}*/settings"))
    entry = json.loads(sh("bpftool", "-j", "map", "dump", "pinned", pin).stdout)[0]
    raw = bytes(int(b, 16) for b in entry["value"])
    assert len(raw) == 400, "struct settings"
    return {raw[at:at + 16].hex() for at in (16, 48, 352, 384)} - {"0" * 32}


@own
def test_the_secret_stays_in_the_map(shared):
    known = secrets(shared)
    said = ""
    for args in (["keys", "rotate", "-j"], ["keys", "rotate"], ["keys", "list"],
                 ["keys", "list", "-j"], ["status", "-j"], ["conns", "--half-open", "-j"]):
        done = shared.synstile(*args, "-v")
        said += done.stdout + done.stderr
        known |= secrets(shared)
    assert len(known) >= 5, "key, previous, two new ones, and that of sources"
    said += state_file(shared).read_text()
    for half in (text[at:at + 16] for text in known for at in (0, 16)):
        for form in (half, bytes.fromhex(half)[::-1].hex()):
            assert form not in said and str(int(form, 16)) not in said


@own
def test_api(shared):
    """Methods and answers, as other programs meet them."""
    sock = f"/run/synstile/ns-{shared.server.name}.sock"

    def curl(method, path):
        text = sh("curl", "-sS", "-X", method, "--unix-socket", sock, "-w", "\n%{http_code}",
                  f"http://localhost{path}").stdout
        body, _, code = text.rpartition("\n")
        return int(code), json.loads(body)

    code, before = curl("GET", "/v1/keys")
    assert code == 200 and before["life_s"] == 1200
    assert curl("POST", "/v1/keys")[0] == 405
    assert curl("GET", "/v1/keys/rotate")[0] == 405
    code, after = curl("POST", "/v1/keys/rotate")
    assert code == 200 and after["keys"][0]["id"] == before["keys"][0]["id"] + 1
    routes = {r["path"]: r["method"] for r in curl("GET", "/v1/")[1]["routes"]}
    assert routes["/v1/keys"] == "GET" and routes["/v1/keys/rotate"] == "POST"


@own
def test_agent_is_killed(shared):
    """Keys and their ages are in the map: another agent goes on with them."""
    before = keys(shared, "rotate")
    os.kill(shared.status()["agent"]["pid"], signal.SIGKILL)
    until(lambda: not shared.status()["agent"]["running"], 5, "the agent is gone")
    done = shared.synstile("keys", "rotate", check=False)
    assert done.returncode == 1 and "agent" in done.stderr, done.stderr
    serves(shared)
    shared.attach()  # starts it again
    after = keys(shared)
    assert after["life_s"] == 1200
    found = {k["id"]: k for k in after["keys"]}
    for was in before["keys"]:
        if was["state"] != "previous":  # it may have expired
            assert found[was["id"]]["age_ms"] > was["age_ms"]
    serves(shared)


@own
def test_by_time(shared):
    """No one asks: the agent makes a key when the newest has lived its life."""
    path, before = state_file(shared), keys(shared)["keys"][0]["id"]
    state = json.loads(path.read_text())
    assert state["key_life_s"] == 1200
    os.kill(shared.status()["agent"]["pid"], signal.SIGKILL)
    until(lambda: not shared.status()["agent"]["running"], 5, "the agent is gone")
    path.with_suffix(".test").write_text(json.dumps({**state, "key_life_s": 1}))
    path.with_suffix(".test").rename(path)
    shared.attach()  # starts it again, with that
    until(lambda: keys(shared)["keys"][0]["id"] > before + 1, 10, "keys are made")
    serves(shared)


# --- commands in other circumstances

@own
def test_a_second_interface_shares_the_keys(web):
    web.attach("--key-life", "1h", ifaces=["s0"])
    done = web.attach("--key-life", "2h", ifaces=["s1"], check=False)
    assert done.returncode == 1 and "--key-life" in done.stderr and "3600 s" in done.stderr
    rotated = keys(web, "rotate")
    web.attach(ifaces=["s1"])
    assert states(keys(web)) == states(rotated) and keys(web)["life_s"] == 3600


def test_kernel_cookies_have_no_keys(web):
    done = web.attach("--cookies", "kernel", "--key-life", "15m", check=False)
    assert done.returncode == 1 and "--key-life" in done.stderr, done.stderr
    web.attach("--cookies", "kernel")
    found = keys(web)
    assert found | {"cookies": "kernel", "life_s": None, "keys": []} == found
    assert "kernel" in web.synstile("keys", "list").stdout
    done = web.synstile("keys", "rotate", check=False)
    assert done.returncode == 1 and "kernel" in done.stderr, done.stderr


def test_usage_and_not_running(lab):
    for args in (["keys"], ["keys", "lst"], ["keys", "list", "1"], ["keys", "--nonsense"],
                 *(["attach", "s0", "--key-life", life] for life in ("15", "1m", "25h", ""))):
        done = lab.synstile(*args, check=False)
        assert done.returncode == 2 and done.stderr and not done.stdout, (args, done)
    assert 'did you mean "list"' in lab.synstile("keys", "lst", check=False).stderr
    for action in ("list", "rotate"):
        assert lab.synstile("keys", action, check=False).returncode == 3
    assert "rotate" in lab.synstile("keys", "--help").stdout


# --- under load

class Load:
    """Clients from new addresses, as fast as they can, until stopped."""

    def __init__(self, ns):
        self.served, self.errors, self._stop = {dst: 0 for dst in FAMILIES}, [], False
        self._threads = [threading.Thread(target=self._run, args=(ns, dst)) for dst in FAMILIES]

    def _run(self, ns, dst):
        while not self._stop and len(self.errors) < 10:
            times, errors = clients.get_many(ns, dst, 1, src="fresh")
            self.served[dst] += len(times)
            self.errors += errors

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc):
        self._stop = True
        for thread in self._threads:
            thread.join()


def quiet(wire):
    """Only what is sent to lab.WIRE4 and WIRE6: the load's frames are too many for scapy.

    Classic BPF: (code, jump if true, jump if false, constant)."""
    load_half, load_word, mask, equal, end = 0x28, 0x20, 0x54, 0x15, 0x06
    program = [(load_half, 0, 0, 12),
               (equal, 0, 3, 0x0800), (load_word, 0, 0, 30), (mask, 0, 0, 0xffffff00),
               (equal, 5, 6, 0xc6120300),  # 198.18.3.0/24
               (equal, 0, 5, 0x86dd), (load_word, 0, 0, 38), (equal, 0, 3, 0x20010db8),
               (load_word, 0, 0, 42), (equal, 0, 1, 0x00030000),  # 2001:db8:3:0::/64
               (end, 0, 0, 0xffff), (end, 0, 0, 0)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *p) for p in program))
    wire.socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER,
                           struct.pack("HL", len(program), ctypes.addressof(code)))
    return wire


def plant(ns):
    """Cookies on their way to slow clients: with timestamps and without, of both families."""
    with contextlib.closing(quiet(Wire(ns))) as wire:
        talks = [Talk(wire, dst, options=options) for dst in FAMILIES for options in (LINUX, BARE)]
        for talk in talks:
            talk.syn()
            talk.synack()
    return talks


def use(ns, talks):
    """They answer at last."""
    with contextlib.closing(quiet(Wire(ns))) as wire:
        for talk in talks:
            talk.wire = wire
            talk.get()
            talk.reset()


@own
def test_rotation_under_load(make_lab):
    """Every second a new key is asked for, and a count ends meanwhile."""
    lab = make_lab(offload=False)
    lab.nginx()
    lab.attach("--mode", "always")
    wait = next_count() - BEFORE - time.monotonic()
    time.sleep(wait if wait > 0 else wait + 64)
    begin = next_count()
    planted, answers = [], []
    with lab.flood(rate=20_000, seconds=60):
        with Load(lab.client) as load:
            started = time.monotonic()
            for second in range(SECONDS):
                answers.append(keys(lab, "rotate"))
                planted += plant(lab.client)
                time.sleep(max(0, started + second + 1 - time.monotonic()))
        assert time.monotonic() > begin + 2, "no count has ended"
        use(lab.client, planted)  # all are younger than 64 s
    assert not load.errors, load.errors[:3]
    assert min(load.served.values()) > 10 * SECONDS / SLOW, load.served
    assert lab.count("cookie_invalid") == 0
    # an address may come again with the port that it had, and is known then
    assert lab.count("cookie_valid") >= 0.99 * sum(load.served.values()) + len(planted)
    # one of them has taken over, and all that waited are gone
    after = keys(lab)
    assert answers[-1]["keys"][0]["id"] == SECONDS + 1
    assert 1 < signing(after) <= SECONDS + 1 and len(after["keys"]) <= 3, states(after)
    assert (1, "previous") in states(after)
