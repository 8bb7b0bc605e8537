# SPDX-License-Identifier: GPL-2.0-only
"""`synstile web`: who may ask it what, what it may do itself, and how it bears bad company.

The page in a browser is in test_web_page.py. Here an agent of the lab answers, or one that is
played, where the real one would never do what is asked of it.
"""
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

import lab as labs
from netns import patience, until
from web import Web

PATHS = ["/v1/status", "/v1/services", "/v1/conns", "/v1/half-open", "/v1/sources/top",
         "/v1/history", "/v1/events?follow=0", "/v1/live?follow=0", "/metrics"]
CSP = ("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
       "img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; form-action 'none'")
TOKEN = "3f9c0a5d7be24168a1c2d3e4f5061728"


@pytest.fixture(scope="module")
def lab():
    with labs.Lab() as made:
        made.nginx()
        made.attach()
        yield made


@pytest.fixture(scope="module")
def web(lab):
    with Web(lab.server.name) as running:
        yield running


@pytest.fixture(scope="module")
def slow(web):
    """Those who send a request bit by bit: begun early, looked at in the last test."""
    begun = time.monotonic()
    many = []
    for _ in range(3):
        s = socket.create_connection(("127.0.0.1", web.port))
        s.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1")
        many.append(s)
    yield begun, many
    for s in many:
        s.close()


@pytest.fixture(autouse=True)
def others_are_slow(slow):
    """In every test."""


# --- what there is

def test_what_is_answered(web):
    """The page with all it names, and the agent's answers; each with the fields that protect."""
    status, fields, page = web.get("/")
    assert status == 200
    named = set(re.findall(rb'(?:href|src)="(/assets/[^"]+)"', page))
    assert len(named) > 3
    for path in list(named):
        status, fields, body = web.get(path.decode())
        assert status == 200 and body, path
        if path.endswith(b".js"):
            named |= set(re.findall(rb'from "(?:\.|(?=/assets/))(/[^"]+)"', body))
    for path in ["/", "/assets/verdicts.json", "/assets/vendor/LICENSE", *PATHS, "/v1/nothing"]:
        status, fields, body = web.get(path)
        assert status == (404 if path == "/v1/nothing" else 200), path
        assert fields["content-security-policy"] == CSP
        assert fields["x-content-type-options"] == "nosniff"
        assert fields["referrer-policy"] == "no-referrer"
        assert fields["cross-origin-resource-policy"] == "same-origin"
        own = path == "/" or path.startswith("/assets/")
        assert fields["cache-control"] == ("no-cache" if own else "no-store")
        if "content-length" in fields:
            assert int(fields["content-length"]) == len(body)
    assert not re.search(rb"<script(?![^>]*src=)|<style| style=| on\w+=", page)


def test_modules_are_all_there_and_parse(web):
    """Every module that one imports, and node reads each."""
    todo, done = ["/assets/app.js", "/assets/theme.js"], set()
    while todo:
        path = todo.pop()
        status, fields, body = web.get(path)
        assert status == 200 and fields["content-type"].startswith("text/javascript"), path
        done.add(path)
        for name in re.findall(rb'from "([^"]+)"', body):
            target = os.path.normpath(os.path.join("/assets", name.decode()))
            todo += [target] if target not in done else []
    assert {"/assets/charts.js", "/assets/vendor/uPlot.esm.js"} <= done
    if not shutil.which("node"):
        pytest.skip("no node")
    kinds = {path: "commonjs" if path.endswith("theme.js") else "module" for path in done}
    checks = {path: subprocess.Popen(["node", f"--input-type={kind}", "--check"], text=True,
                                     stdin=subprocess.PIPE, stderr=subprocess.PIPE)
              for path, kind in kinds.items()}
    for path, check in checks.items():
        text = (labs.ROOT / "user/web" / path.removeprefix("/assets/")).read_text()
        assert check.communicate(text)[1] == "" and check.returncode == 0, path


def test_vendor_is_what_its_readme_says():
    vendor = labs.ROOT / "user/web/vendor"
    sums = re.findall(r"sha256 of dist/(\S+) +([0-9a-f]{64})", (vendor / "README").read_text())
    assert len(sums) == 2
    for name, want in sums:
        got = subprocess.run(["sha256sum", vendor / name], text=True, capture_output=True).stdout
        assert got.split()[0] == want


def test_cache_and_head(web):
    tag = web.get("/assets/app.js")[1]["etag"]
    assert web.get("/assets/app.js", {"If-None-Match": tag})[0] == 304
    assert web.get("/assets/app.js", {"If-None-Match": '"else"'})[0] == 200
    assert web.get("/assets/style.css")[1]["etag"] != tag
    for path in ("/", "/v1/status", "/v1/events", "/nothing"):
        status, fields, body = web.ask("HEAD", path)
        assert (status, body) == (404 if path == "/nothing" else 200, b"")


def test_the_agents_answers_are_passed_on(web, lab):
    status, fields, body = web.get("/metrics")
    assert fields["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b"synstile_build_info" in body
    assert json.loads(web.get("/v1/status")[2])["services"][0]["port"] == 80
    assert json.loads(web.get("/v1/live?follow=0")[2])["instance"] == f"ns-{lab.server.name}"
    status, fields, body = web.get("/v1/conns?limit=some")  # the agent's own words
    assert status == 400 and json.loads(body)["hint"]


def test_a_stream_is_passed_on_as_it_comes(web):
    with web.stream("/v1/live", {"Accept": "text/event-stream"}) as answer:
        assert answer.status == 200
        assert answer.getheader("content-type").startswith("text/event-stream")
        assert web.event(answer)["event"] == "frame"
        first, second = (json.loads(web.event(answer)["data"])["seq"] for _ in range(2))
        assert second == first + 1


# --- who may ask

def test_host_must_be_ours(web):
    port = web.port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LocalHost:{port}", f"[::1]:{port}"):
        assert web.get("/v1/status", {"Host": host})[0] == 200, host
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}", "",
                 f"127.0.0.1:{port}.evil.example", f"localhost:{port}@evil.example", "localhost:",
                 f"x127.0.0.1:{port}", f"10.0.0.1:{port}"):
        status, _, body = web.get("/v1/status", {"Host": host})
        assert status == 403, host
        assert "--host" in json.loads(body)["hint"]
    assert web.raw(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 403")
    twice = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nhost: evil.example\r\n\r\n"
    assert web.raw(twice.encode()).startswith(b"HTTP/1.1 400")


def test_other_origins_are_refused(web):
    own = f"http://127.0.0.1:{web.port}"
    for origin, want in ((own, 200), ("http://evil.example", 403), ("null", 403),
                         (own + ".evil.example", 403), (f"http://localhost:{web.port}", 403)):
        assert web.get("/v1/status", {"Origin": origin})[0] == want, origin
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    for path, fields, want in (
            ("/v1/live?follow=0", {"Sec-Fetch-Site": "same-origin"}, 200),
            ("/v1/live?follow=0", {"Sec-Fetch-Site": "none"}, 200),
            ("/v1/live?follow=0", {"Sec-Fetch-Site": "cross-site"}, 403),
            ("/v1/live?follow=0", {"Sec-Fetch-Site": "same-site"}, 403),
            ("/v1/status", {**link, "Sec-Fetch-Dest": "document"}, 403),
            ("/assets/app.js", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "script"}, 403),
            ("/", {**link, "Sec-Fetch-Dest": "document"}, 200),
            ("/", {**link, "Sec-Fetch-Dest": "iframe"}, 403)):
        assert web.get(path, fields)[0] == want, (path, fields)


def test_only_reading_and_only_these_paths(web):
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "BREW"):
        status, fields, _ = web.ask(method, "/v1/status")
        assert (status, fields["allow"]) == (405, "GET, HEAD"), method
    for path in ("/v1/policy", "/v1/keys", "/v1/keys/rotate", "/v1/", "/v1/timeouts", "/assets/",
                 "/v1/detection", "/../etc/passwd", "/assets/../v1/keys", "//v1/keys",
                 "/v1/status/../keys", "/v1/%6beys", "/assets/index.html", "/v1/status%00"):
        assert web.get(path)[0] == 404, path


def test_what_is_no_request(web):
    host = f"Host: 127.0.0.1:{web.port}\r\n".encode()
    for head, want in ((b"\r\n\r\n", 400), (b"GET\r\n\r\n", 400), (b"GET / HTTP/2\r\n\r\n", 400),
                       (b"GET http://evil/ HTTP/1.1\r\n" + host + b"\r\n", 400),
                       (b"GET / HTTP/1.1\r\n" + host + b" folded: 1\r\n\r\n", 400),
                       (b"GET / HTTP/1.1\r\n" + host + b"no colon\r\n\r\n", 400),
                       (b"GET /\x01 HTTP/1.1\r\n" + host + b"\r\n", 400),
                       (b"GET / HTTP/1.1\r\nX: \x00\r\n" + host + b"\r\n", 400),
                       (b"\x16\x03\x01\x02\x00" + bytes(600), None),
                       (b"GET / HTTP/1.1\r\n" + host + b"X: " + b"a" * 20000 + b"\r\n\r\n", 431),
                       (b"GET /v1/conns?host=" + b"a" * 9000 + b" HTTP/1.1\r\n" + host + b"\r\n",
                        400)):
        answer = web.raw(head, seconds=0.3 if want is None else 5)
        assert answer == b"" if want is None else answer.split(b" ")[1] == str(want).encode(), head


# --- from other hosts

def test_other_hosts_need_permission_and_a_token(lab, tmp_path):
    def refused(*args):
        done = lab.synstile("web", *args, check=False, timeout=5)
        assert done.stdout == ""
        return done.returncode, done.stderr

    token = tmp_path / "token"
    for listen in ("0.0.0.0:0", "198.18.0.1:0", "[::]:0", "[2001:db8::1]:0"):
        code, words = refused("--listen", listen)
        assert code == 2 and "--allow-remote" in words and "ssh -L" in words
        code, words = refused("--listen", listen, "--allow-remote")
        assert code == 2 and "--token-file" in words
    for text, why in (("", "no token"), ("short", "too easy"), ("a" * 40, "too easy"),
                      ("0123456789abcdef" * 1, "too easy"), ("with space " * 4, "letters")):
        token.write_text(text)
        token.chmod(0o600)
        code, words = refused("--listen", "127.0.0.1:0", "--token-file", token)
        assert code == 1 and why in words and "openssl rand" in words, text
    token.write_text(TOKEN + "\n")
    token.chmod(0o644)
    code, words = refused("--listen", "127.0.0.1:0", "--token-file", token)
    assert code == 1 and "chmod 600" in words
    assert refused("--listen", "127.0.0.1:0", "--token-file", tmp_path / "none")[0] == 1


def test_token(lab, tmp_path):
    """From another host, to an address that is not loopback."""
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o600)
    with Web(lab.server.name, "--allow-remote", "--token-file", token, "--host", "dash.example",
             listen=f"{labs.CLIENT4}:0", inside=lab.client, asked_from=lab.server) as web:
        assert "plain HTTP" in web.errors() and "TLS" in web.errors()
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        for path in ("/", "/v1/status", "/assets/app.js", "/metrics", "/v1/keys"):
            status, fields, body = web.get(path)
            assert (status, fields["www-authenticate"]) == (401, "Bearer"), path
            assert b"/login?token=" in body
        status, _, body = web.get("/v1/status", bearer)
        assert status == 200, body
        assert web.get("/v1/keys", bearer)[0] == 404
        for wrong in (TOKEN[:-1], TOKEN + "0", TOKEN[:-1] + "9", "", " " + TOKEN):
            assert web.get("/v1/status", {"Authorization": f"Bearer {wrong}"})[0] == 401
            status, fields, _ = web.get(f"/login?token={wrong.replace(' ', '%20')}")
            assert status == 403 and "set-cookie" not in fields
        status, fields, _ = web.get(f"/login?token={TOKEN}")
        assert status == 200
        cookie, *flags = fields["set-cookie"].split("; ")
        assert set(flags) == {"Path=/", "HttpOnly", "SameSite=Strict"}
        assert TOKEN not in cookie
        assert web.get("/v1/status", {"Cookie": f"a=b; {cookie}; c=d"})[0] == 200
        assert web.get("/v1/status", {"Cookie": cookie + "0"})[0] == 401
        assert web.get("/v1/status", {"Cookie": cookie[:-1]})[0] == 401
        for host, want in (("dash.example", 200), ("dash.example:443", 200), ("evil.example", 403),
                           ("xdash.example", 403),
                           (f"{labs.CLIENT4}:{web.port}", 200)):
            assert web.get("/v1/status", {**bearer, "Host": host})[0] == want, host
        fields = {**bearer, "Host": "dash.example", "Origin": "https://dash.example"}
        assert web.get("/v1/status", fields)[0] == 200


# --- what it may do itself

def test_privileges_are_gone(web):
    status = dict(line.split(":\t", 1) for line in
                  pathlib.Path(f"/proc/{web.pid}/status").read_text().splitlines())
    ids = {"nobody", "synstile"}
    uid = status["Uid"].split()
    assert len(set(uid)) == 1 and int(uid[0]) > 0
    assert subprocess.run(["id", "-nu", uid[0]], text=True,
                          capture_output=True).stdout.strip() in ids
    assert len(set(status["Gid"].split())) == 1 and int(status["Gid"].split()[0]) > 0
    group = os.stat(web.socket).st_gid
    assert [int(g) for g in status["Groups"].split()] == [group]
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"].strip() == "1"


def test_without_root(lab):
    """Who may use the socket needs no root; who may not is told what to do."""
    group = os.stat(f"/run/synstile/ns-{lab.server.name}.sock").st_gid
    plain = ["setpriv", "--reuid", "nobody", "--regid", "nogroup"]
    with Web(lab.server.name, prefix=[*plain, "--groups", str(group)]) as web:
        assert web.get("/v1/status")[0] == 200
    done = subprocess.run([*plain, "--clear-groups", labs.SYNSTILE, "-n", lab.server.name, "web",
                           "--listen", "127.0.0.1:0"], text=True, capture_output=True, timeout=5)
    assert done.returncode == 1 and done.stdout == ""
    assert "permission denied" in done.stderr and "usermod -aG synstile" in done.stderr


def test_exit_statuses_and_words(lab, web):
    done = lab.synstile("web", "--listen", f"127.0.0.1:{web.port}", check=False)
    assert done.returncode == 1 and "ss -tlnp" in done.stderr
    for args in (["--listen", "8437"], ["--listen", "host:80"], ["--listen", "127.0.0.1:x"],
                 ["--listen", "127.0.0.1:65536"], ["--host", "a b"], ["--host", "a:80"], ["word"],
                 ["--none"]):
        done = lab.synstile("web", *args, check=False)
        assert done.returncode == 2 and "--help" in done.stderr, args
    assert "--token-file" in lab.synstile("web", "--help").stdout
    for sign in (signal.SIGTERM, signal.SIGINT):
        with Web(lab.server.name) as other, other.stream("/v1/live", {}):
            assert other.end(sign) == 0


# --- bad company

def test_too_many_connections(web):
    """200 who connect and stay: the first 128 keep their place, the others hear why not."""
    at = ("127.0.0.1", web.port)
    with contextlib.ExitStack() as stack:
        many = [stack.enter_context(socket.create_connection(at)) for _ in range(200)]
        time.sleep(0.2)
        with contextlib.suppress(ConnectionError):
            many[-1].settimeout(3)
            answer = many[-1].recv(4000)
            assert not answer or answer.startswith(b"HTTP/1.1 503")
        with contextlib.suppress(ConnectionError, http.client.HTTPException):
            assert web.get("/")[0] == 503
        head = f"GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\n\r\n".encode()
        for s in many[:50]:
            s.settimeout(5)
            s.sendall(head)
            assert s.recv(4000).startswith(b"HTTP/1.1 200")
    until(lambda: web.get("/")[0] == 200, 3, "there is room again")


class Agent:
    """Plays the agent at its socket: what it answers to a path is said by a function."""

    def __init__(self, name, answer):
        pathlib.Path("/run/synstile").mkdir(exist_ok=True)
        self.path = pathlib.Path(f"/run/synstile/ns-{name}.sock")
        self.path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self.path.chmod(0o660)
        self._listener.listen(50)
        self._answer = answer
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                s, _ = self._listener.accept()
                threading.Thread(target=self._one, args=(s,), daemon=True).start()

    def _one(self, s):
        with s, contextlib.suppress(OSError):
            head = s.recv(4096)
            if head:  # else somebody only wanted to know whether we are there
                self._answer(s, head)

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.path.unlink(missing_ok=True)


@pytest.fixture
def played(lab):
    """A factory: `synstile web` for a namespace whose agent is played by a function."""
    stack = contextlib.ExitStack()

    def make(answer):
        stack.callback(Agent(lab.client.name, answer).close)
        return stack.enter_context(Web(lab.client.name))

    with stack:
        yield make


def memory(pid):
    """Resident, kB."""
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def ask_slowly(web, path):
    s = socket.create_connection(("127.0.0.1", web.port))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
    s.settimeout(patience(10))
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\n\r\n".encode())
    return s


def test_who_reads_slowly_costs_little(played):
    """A stream that is not read is ended; an answer waits for its reader. Memory stays bounded."""
    size = 30 << 20
    sent, ended = [0], threading.Event()

    def answer(s, head):
        if b"/v1/live" in head:
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            try:
                while True:
                    s.sendall(b"data: " + b"x" * 8000 + b"\n\n")
            except OSError:
                ended.set()
                return
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")  # up to its end
        while sent[0] < size:
            sent[0] += s.send(b"y" * 65536)

    web = played(answer)
    before = memory(web.pid)
    with ask_slowly(web, "/v1/live"):
        assert ended.wait(patience(10)), "the stream goes on without a reader"
    with ask_slowly(web, "/v1/conns?limit=10000") as s:
        time.sleep(0.5)
        assert sent[0] < 12 << 20, "read faster than the browser takes it"
        assert memory(web.pid) - before < 8 << 10
        got = 0
        while data := s.recv(1 << 20):
            got += len(data)
        assert got > size
    assert memory(web.pid) - before < 8 << 10


def test_what_an_agent_may_do_wrong(played):
    def answer(s, head):
        path = head.split(b" ")[1]
        if path == b"/v1/status":
            return  # closes without a word
        if path == b"/v1/conns":
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
            return
        s.sendall(b"nonsense\r\n\r\n")

    web = played(answer)
    for path in ("/v1/status", "/v1/history"):
        status, _, body = web.get(path)
        assert status == 503 and json.loads(body)["hint"], path
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        web.get("/v1/conns")


def test_agent_ends_and_comes_back(lab):
    """Streams end with it; then there are words; then all is as before."""
    name = lab.client.name
    go_on = threading.Event()

    def answer(s, head):
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        go_on.wait(patience(10))

    with Web(name) as web:
        assert "no agent runs" in web.errors()
        status, _, body = web.get("/v1/status")
        assert status == 503 and "synstile attach" in json.loads(body)["hint"]
        agent = Agent(name, answer)
        with web.stream("/v1/live", {}) as stream:
            assert stream.fp.readline() == b"data: 1\n"
            agent.close()
            go_on.set()
            assert stream.fp.read() == b"\n"
        assert web.get("/v1/status")[0] == 503
        agent = Agent(name, lambda s, head: s.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
        assert web.get("/v1/status")[::2] == (200, b"{}")
        agent.close()


def test_browser_that_goes_away_frees_the_agent(played):
    """Also when the other side is reset in the middle."""
    open_streams = []

    def answer(s, head):
        open_streams.append(s)
        try:
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
            while s.recv(100):
                pass
        finally:
            open_streams.remove(s)

    web = played(answer)
    for _ in range(20):
        s = ask_slowly(web, "/v1/live")
        assert s.recv(100)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    until(lambda: not open_streams, 3, "the agent's streams end, too")
    assert len(os.listdir(f"/proc/{web.pid}/fd")) < 20


def test_slow_requests_are_ended(slow):
    """Last: it waits for what the others began. A bit each second does not make it longer."""
    begun, many = slow
    while time.monotonic() - begun < 11:
        with contextlib.suppress(OSError):
            many[0].sendall(b"0")
        time.sleep(0.5)
    for s in many[1:]:
        s.settimeout(patience(3))
        assert s.recv(4000).startswith(b"HTTP/1.1 408")
    with contextlib.suppress(ConnectionError):
        many[0].settimeout(patience(3))
        assert many[0].recv(4000).startswith(b"HTTP/1.1 408")
