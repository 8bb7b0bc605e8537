# SPDX-License-Identifier: GPL-2.0-only
"""Nonsense to the agent's API: one that was built with ASan and UBSan lives on, its memory is
bounded, and whatever can be understood as HTTP is answered with an error that says why.

The seed is printed; SYNSTILE_FUZZ_SEED repeats a run, SYNSTILE_FUZZ_CASES makes it longer.
"""
import contextlib
import json
import os
import pathlib
import random
import re
import select
import socket
import subprocess
import threading
import time

import pytest

import api
import clients
import lab as labs
from netns import at_last, patience, until

ASAN = labs.BUILD / "asan" / "synstile"
SEED = int(os.environ.get("SYNSTILE_FUZZ_SEED", str(random.randrange(1 << 32))))
CASES = int(os.environ.get("SYNSTILE_FUZZ_CASES", "2000"))
GROWTH = 30 << 20  # bytes: AddressSanitizer keeps what is freed for a while

PATHS = ["/v1/", "/v1/status", "/v1/services", "/v1/conns", "/v1/conns?limit=3&sort=age",
         "/v1/conns?cursor=t0&limit=1", "/v1/half-open", "/v1/half-open?list=1", "/v1/keys",
         "/v1/sources/top?limit=3", "/v1/history?since=0", "/v1/live?follow=0", "/v1/timeouts",
         "/v1/events?follow=0&backlog=9", "/v1/detection", "/v1/policy", "/metrics", "/v1/nonsense"]
QUERIES = ["", "?", "?&", "?=", "?a", "?limit=-1", "?limit=99999999999999999999", "?limit=1e3",
           "?cursor=a", "?cursor=" + "f" * 3000, "?host=%00", "?host=::ffff:1.2.3.4", "?port=65536",
           "?state=%ff%fe", "?sort=%2e", "?service=" + "s" * 300, "?flow_id=0", "?type=,,",
           "?after=1-1",
           "?follow=2", "?since=-9223372036854775808", "?half_open=1&half_open=2", "?x=1#y", "?%"]
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get",
           "",
           "BREW", "G" * 300]
VERSIONS = ["HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.1 x", "http/1.1", "",
            "HTTP/1." + "9" * 20]
HEADERS = ["Host: x", "Connection: close", "Connection: keep-alive", "Content-Length: 0",
           "Content-Length: 5", "Content-Length: 99999999999999999999", "Content-Length: x",
           "Transfer-Encoding: chunked", "Transfer-Encoding: x", "Expect: 100-continue",
           "Expect: x", "Accept: text/event-stream", "Last-Event-ID: 1-1", "Last-Event-ID: \x00",
           "Range: bytes=0-1", "no colon", ": empty", " folded", "X: " + "y" * 9000, "\x80\xff: z"]
BODIES = [b"", b"{", b"[]", b"null", b'{"files":[]}',
          b'{"files":[{"name":"a","text":"version: 1"}]}',
          b'{"files":[{"name":"a","text":"\xff"}]}', b"[" * 5000, b"5\r\nhello\r\n0\r\n\r\n",
          b"ffffffffffffffff\r\nx", b"-1\r\n", b"\x00" * 64, b'{"files":{"a":' + b"9" * 400 + b"}}"]


@pytest.fixture(scope="module")
def agent():
    """A lab whose agent is in the foreground, with sanitizers."""
    if not ASAN.exists():
        pytest.skip(f"no {ASAN}: run make asan first")
    with labs.Lab() as lab, open(lab.tmp / "said", "w+", encoding="utf-8") as said:
        lab.nginx()
        # stripped of capabilities it cannot be traced, which the search for leaks takes
        env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1:quarantine_size_mb=8",
               "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1"}
        process = subprocess.Popen([ASAN, "-n", lab.server.name, "run", "s0", "s1", "--xdp",
                                    "native"], stdout=said, stderr=said, env=env)
        lab.api, lab.process = api.Api(lab), process
        lab.said = lambda: pathlib.Path(said.name).read_text(encoding="utf-8")
        try:
            until(lambda: process.poll() is not None or os.path.exists(lab.api.path), 30,
                  "the agent listens")
            until(lambda: process.poll() is not None or lab.status()["ready"], 10, "it is at work")
            clients.get_many(lab.client, labs.SERVER4, 20)
            yield lab
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience(10))
            process.kill()
            process.wait()


def memory(agent):
    text = pathlib.Path(f"/proc/{agent.process.pid}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) << 10


def lives(agent):
    """It answers, and has nothing to report."""
    said = agent.said()
    assert agent.process.poll() is None, said[-4000:]
    assert "Sanitizer" not in said and "runtime error" not in said, said[-4000:]
    agent.api.get("/v1/keys", "keys")


@pytest.fixture(autouse=True)
def at_the_end(agent):
    yield
    lives(agent)


def request(rng):
    """One that may be right, wrong in one place, or in many."""
    line = " ".join((rng.choice(METHODS[:4] if rng.random() < 0.7 else METHODS),
                     rng.choice(PATHS) + (rng.choice(QUERIES) if rng.random() < 0.4 else ""),
                     rng.choice(VERSIONS) if rng.random() < 0.2 else "HTTP/1.1"))
    headers = rng.sample(HEADERS, rng.choice((0, 0, 1, 1, 2, 4)))
    data = "\r\n".join([line, *headers, "", ""]).encode("latin-1") + rng.choice(BODIES)
    return mutate(rng, data) if rng.random() < 0.4 else data


def mutate(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at, n = rng.randrange(len(data) + 1), rng.choice((1, 1, 2, 40))
        how = rng.randrange(4)
        if how == 0:
            data[at:at + n] = rng.randbytes(n)
        elif how == 1:
            del data[at:at + n]
        elif how == 2:
            data[at:at] = data[at:at + n] * rng.choice((1, 2, 30))
        else:
            del data[at:]
    return bytes(data)


def check_first(data, got):
    """The first answer is right, or an error with a reason."""
    # the version is the question's
    assert re.match(rb"HTTP/-?\d+\.-?\d+ \d", got), (data, got[:100])
    head, _, body = got.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    assert status in (100, 200, 400, 403, 404, 405, 408, 409, 413, 417, 500, 501, 503), (data, head)
    if status < 400 or data.startswith(b"HEAD"):
        return status
    assert b"Content-Type: application/json" in head, (data, head)
    body, _ = json.JSONDecoder().raw_decode(body.decode())
    api.check("error", body)
    assert status not in (500, 503), (data, body)
    return status


def exchange(path, data):
    """What comes back, until the other side closes or is silent."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(patience(5))
        s.connect(path)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
        return api.receive(s)


def test_mutations(agent):
    print(f"SYNSTILE_FUZZ_SEED={SEED}")
    rng, seen, before = random.Random(SEED), {}, memory(agent)
    end = time.monotonic() + patience(15)
    for _ in range(CASES):
        data = request(rng)
        if not data:
            continue
        got = exchange(agent.api.path, data)
        if got:
            status = check_first(data, got)
            seen[status] = seen.get(status, 0) + 1
        if "SYNSTILE_FUZZ_CASES" not in os.environ and time.monotonic() > end:
            break  # the machine is busy: what was tried counts
    assert agent.process.poll() is None, (data, agent.said()[-4000:])
    assert {200, 400, 404, 405} <= set(seen), seen
    assert memory(agent) - before < GROWTH


def test_pipelined_garbage(agent):
    """Behind right questions, and behind one whose answer takes a while."""
    rng = random.Random(SEED)
    for path in ("/v1/keys", "/v1/conns", "/v1/half-open?list=1", "/v1/events?follow=0&backlog=5",
                 "/v1/live?follow=0"):
        good = b"GET %s HTTP/1.1\r\n\r\n" % path.encode()
        for more in (b"\x00" * 5000, good * 50, rng.randbytes(9000), b"GET", b"\r\n\r\n"):
            got = exchange(agent.api.path, good + more)
            check_first(good, got)


def test_many_at_once(agent):
    """Big bodies that never end, slow headers, answers that nobody reads: told, or closed, in time;
    and the agent answers others meanwhile."""
    before, sockets = memory(agent), []
    begun = {"slow": b"GET /v1/keys HT", "body": b"PUT /v1/policy HTTP/1.1\r\nContent-Length: "
             b"30000000\r\n\r\n" + b"x" * 100_000,
             "greedy": b"GET /v1/status HTTP/1.1\r\n\r\n" * 2000, "silent": b""}

    def slowly(s):
        with contextlib.suppress(OSError):
            for _ in range(40):
                time.sleep(patience(0.5))
                s.send(b"x")

    threads = []
    for kind, data in begun.items():
        for _ in range(20):
            s = socket.socket(socket.AF_UNIX)
            s.setblocking(False)
            s.connect(agent.api.path)
            with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                s.send(data)
            if kind == "slow":
                s.setblocking(True)
                threads.append(threading.Thread(target=slowly, args=(s,), daemon=True))
                threads[-1].start()
            sockets.append((kind, s))
    try:
        deadline, answers = time.monotonic() + patience(20), {}
        worst = 0
        while time.monotonic() < deadline:
            start = time.monotonic()
            agent.api.get("/v1/keys")
            worst = max(worst, time.monotonic() - start)
            assert memory(agent) - before < 5 * GROWTH
            waiting = [s for kind, s in sockets if (kind, s) not in answers and kind != "greedy"]
            if not waiting:
                break
            for s in select.select(waiting, [], [], 0.5)[0]:
                kind = next(k for k, other in sockets if other is s)
                s.setblocking(True)
                s.settimeout(patience(5))
                answers[kind, s] = api.receive(s)
        for kind in ("slow", "body"):
            got = [a for (k, _), a in answers.items() if k == kind]
            assert len(got) == 20, f"{kind}: {len(got)}"
            assert all(a.startswith(b"HTTP/1.1 408 ") for a in got), got[0]
            api.check("error", json.loads(got[0].partition(b"\r\n\r\n")[2]))
        silent = [a for (k, _), a in answers.items() if k == "silent"]
        assert silent == [b""] * 20
        assert worst < at_last(3), "the agent was busy with them"
    finally:
        for _, s in sockets:
            s.close()
        for thread in threads:
            thread.join()
    until(lambda: memory(agent) - before < 2 * GROWTH, 5, "the memory is given back")
