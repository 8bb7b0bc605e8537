# SPDX-License-Identifier: GPL-2.0-only
"""Every route of the agent's API: its answers are what docs/api.schema.json says, also under a
flood; cursors show each connection once; errors say what to do; commands work with and without an
agent."""
import contextlib
import datetime
import json
import os
import re
import signal
import socket
import threading

import pytest
from conftest import COOKIE_KINDS, COOKIES

import api
import clients
import lab as labs
from netns import patience, until
from wire import Talk, Wire

EVENTS = {"tcp_state", "half_open_timeout", "retransmission", "keepalive", "attack_start",
          "attack_progress", "attack_end", "verdict", "stats", "lost"}
POLICY = """version: 1
defaults:
  hold: 1s
  syn_timeout: {{ calm: 5s, attack: 3s }}
services:
  - name: web
    listen: [ "*:80" ]
    syn_rate: {{ attack_above: {above}/s, calm_below: 500/s }}
"""
ROUTES = [(route, name) for route, name in (
    (k.removeprefix("GET "), v.removeprefix("#/$defs/"))
    for k, v in api.schema()["x-routes"].items() if k.startswith("GET "))
    if route not in ("/v1/events", "/v1/live")]


@pytest.fixture(scope="module")
def shared():
    """A lab with nginx and an agent with a policy."""
    with labs.Lab() as lab:
        lab.nginx()
        lab.policy = lab.tmp / "policy.yaml"
        lab.policy.write_text(POLICY.format(above=2000))
        lab.attach("--policy", lab.policy)
        lab.api = api.Api(lab)
        yield lab


def everything(lab):
    """Asks each route, and checks each answer."""
    found = {route: lab.api.get(route, name) for route, name in ROUTES}
    frame, = lab.api.lines("/v1/live?follow=0", "live_frame")
    metrics = lab.api.ask("/metrics")
    assert metrics.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {**found, "/v1/live": frame}


class Events(threading.Thread):
    """All events of a lab, each checked against the schema as it comes."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        self.types, self.wrong = {}, []
        self.connection = api.Connection(lab.api.path, 60)
        self.connection.request("GET", "/v1/events?type=" + ",".join(EVENTS))
        self.answer = self.connection.getresponse()
        self.start()

    def run(self):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            for line in self.answer:
                event = json.loads(line)
                kind = event["event_type"]
                self.types[kind] = self.types.get(kind, 0) + 1
                try:
                    api.check(f"event_{kind}", event)
                except AssertionError as error:
                    self.wrong.append(str(error))

    def close(self):
        self.connection.sock.shutdown(socket.SHUT_RDWR)
        self.join(patience(5))


def keepalives(lab):
    """A connection whose ends have nothing to say, but ask."""
    s = clients.connect(lab.client, labs.SERVER4)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
    return s


def provoke(lab, wire):
    """A handshake that is not completed, a SYN sent twice, a packet that no stack would send."""
    talk = Talk(wire, labs.SERVER4)
    talk.syn()
    talk.synack()
    talk.syn()
    bad = Talk(wire, labs.SERVER4)
    wire.send(bad.frame("SF"))


def lose(lab, events):
    """Drops more packets than are told of, see EVENT_LIMIT; in an attack."""
    with lab.flood("ack", rate=20_000):
        until(lambda: "lost" in events.types, 5, lambda: f"lost, not {events.types}")


def is_attacked(answers):
    service = answers["/v1/services"]["services"][0]
    return service["attack"] and (service["syn_rate"] or 0) > 5000 < service["attack"]["syns"]


def test_answers_and_events(shared):
    lab = shared
    events, wire = Events(lab), Wire(lab.client)
    try:
        clients.get_many(lab.client, labs.SERVER4, 5)
        with keepalives(lab), clients.connect(lab.client, labs.SERVER6):
            provoke(lab, wire)
            calm = until(lambda: (all_ := everything(lab))["/v1/services"]["services"][0]
                         ["syn_rate"] is not None and all_, 5, "rates are known")
            assert calm["/v1/live"]["state"] == "calm" and calm["/v1/conns"]["total"] >= 2
            with lab.flood(rate=20_000):
                attacked = until(lambda: is_attacked(all_ := everything(lab)) and all_, 5,
                                 "an attack, and its rate")
                lose(lab, events)
        until(lambda: EVENTS <= set(events.types), 15, lambda: f"all types, not {events.types}")
    finally:
        wire.close()
        events.close()
    assert not events.wrong, events.wrong[:5]
    frame, service = attacked["/v1/live"], attacked["/v1/services"]["services"][0]
    assert frame["state"] == "attack" and frame["attacked"] == ["web"]
    assert "syn_rate" in frame["why"]
    assert service["state"] == "attack" and service["service"] == "web" and service["ports"] == [80]
    assert attacked["/v1/status"]["attacks"][0]["service"] == "web"
    kept = lab.api.lines("/v1/events?follow=0&backlog=4000", "event")
    assert {e["event_type"] for e in kept} >= {"tcp_state", "attack_start", "attack_end"}


@pytest.mark.skipif("own" not in COOKIE_KINDS, reason="the kernel's cookies are the only ones")
def test_kernel_cookies(lab):
    lab.nginx()
    lab.attach("--cookies", "kernel", "--mode", "always")
    lab.api = api.Api(lab)
    clients.get_many(lab.client, labs.SERVER4, 3, src="fresh")
    found = everything(lab)
    assert found["/v1/keys"] | {"timestamp": 0} == {
        "schema": 1, "instance": f"ns-{lab.server.name}", "timestamp": 0, "cookies": "kernel",
        "life_s": None, "keys": []}
    assert "kernel" in lab.api.error(409, "/v1/keys/rotate", "POST")["error"]
    assert found["/v1/services"]["services"][0]["state"] == "always"


def test_routes_are_documented(shared):
    """Each of GET /v1/ is in the manual and in the schema, and these have no others."""
    routes = {f"{r['method']} {r['path']}" for r in shared.api.get("/v1/", "routes")["routes"]}
    manual = (api.DOCS / "api.md").read_text(encoding="utf-8")
    headings = set(re.findall(r"^### ((?:GET|PUT|POST) \S+)$", manual, re.M))
    assert headings == routes
    in_schema = {k.split("?")[0] for k in api.schema()["x-routes"]}
    assert in_schema - {"GET /v1/"} == routes - {"GET /metrics"}
    for method in ("GET", "PUT", "POST"):
        assert f"{method} /v1/nonsense" not in routes


@pytest.fixture(scope="module")
def many(shared):
    """Some thousand connections that stay in the table for a minute (TIME-WAIT)."""
    n = 3000
    shared.client.run(labs.BUILD / "tools" / "many", labs.SERVER4, 80, n, 16, "198.18.64.1", 16000,
                      0, check=False, timeout=60)
    return n


def pages(lab, query, limit):
    """All connections of a list, page by page."""
    cursor, found = "", []
    while True:
        page = lab.api.get(f"/v1/conns?limit={limit}{query}{cursor}", "conns")
        assert page["shown"] == len(page["connections"]) <= limit
        found += page["connections"]
        if not page["cursor"]:
            return found
        assert page["connections"], "a page that ends without having shown anything"
        cursor = "&cursor=" + page["cursor"]


@pytest.mark.parametrize("sort", ["", "&sort=age", "&sort=bytes", "&sort=rtx", "&sort=newest"])
def test_cursor(shared, many, sort):
    """Each connection that is there all the time is shown exactly once, whatever comes and goes."""
    before = {c["flow_id"] for c in shared.api.get("/v1/conns?limit=10000", "conns")["connections"]}
    assert len(before) >= many
    with clients.Load(shared.client, labs.SERVER4):
        found = [c["flow_id"] for c in pages(shared, sort, 331)]
    after = {c["flow_id"] for c in shared.api.get("/v1/conns?limit=10000")["connections"]}
    assert len(found) == len(set(found)), "shown twice"
    assert not (before & after) - set(found), "missed"


def test_sorted(shared, many):
    # not age_ms, which grows from page to page
    opened = [datetime.datetime.fromisoformat(c["synstile"]["opened"])
              for c in pages(shared, "&sort=age", 1000)]
    some = datetime.timedelta(milliseconds=200)  # the clocks' distance is measured for each page
    assert len(opened) >= many and all(a <= b + some for a, b in zip(opened, opened[1:]))
    newest = shared.api.get("/v1/conns?sort=newest&limit=5")["connections"]
    oldest = shared.api.get("/v1/conns?sort=age&limit=5")["connections"]
    assert newest[0]["synstile"]["opened"] > oldest[0]["synstile"]["opened"]


def test_filters(shared, many):
    with clients.connect(shared.client, labs.SERVER6) as s:
        port = s.getsockname()[1]
        one, = until(lambda: shared.api.get(
            f"/v1/conns?port={port}&host={labs.CLIENT6}&state=established&service=web",
            "conns")["connections"], 5, "it is listed")
        again = shared.api.get(f"/v1/conns?flow_id={one['flow_id']}", "conns")
        assert [c["src_port"] for c in again["connections"]] == [port] and again["total"] == 1
    assert shared.api.get("/v1/conns?half_open=1")["total"] == 0


def test_command_pages(shared, many):
    """`conns -j` shows what it did when it read the maps."""
    lines = shared.synstile("conns", "-j").stdout.splitlines()
    whole = json.loads("\n".join(lines))
    assert len(lines) == len(whole["connections"]) + 2
    assert whole["total"] >= many and whole["shown"] == len(whole["connections"]) >= many
    for conn in whole["connections"][:50]:
        api.check("connection", conn)
    shown = shared.synstile("conns", "--sort", "age", "--limit", "10").stdout.splitlines()
    assert len(shown) == 12 and "more: --limit 0" in shown[-1]


@pytest.mark.parametrize("path,status,words", [
    ("/v1/conns?state=ESTABLISHD", 400, "ESTABLISHED"),
    ("/v1/conns?limit=0", 400, "1 to 10000"),
    ("/v1/conns?limit=10001", 400, "10000"),
    ("/v1/conns?cursor=x", 400, "cursor"),
    ("/v1/conns?sort=age&cursor=t5", 400, "another order"),
    ("/v1/conns?host=nowhere", 400, "nowhere"),
    ("/v1/conns?service=nonsense", 404, "nonsense"),
    ("/v1/conns?nonsense=1", 400, "nonsense"),
    ("/v1/half-open?list=1&cursor=t1", 400, "cursor"),
    ("/v1/history?service=nonsense", 404, "no service"),
    ("/v1/events?type=nonsense", 400, "nonsense"),
    ("/v1/live?services=x", 400, "services"),
    ("/v1/sources/top?service=nonsense", 404, "nonsense"),
    ("/v1/conns?=", 400, "query"),
    ("/v1/nonsense", 404, "path"),
    ("/", 404, "path"),
])
def test_bad_questions(shared, path, status, words):
    error = shared.api.error(status, path)
    assert words in error["error"], error


def test_bad_requests(shared):
    """libevent answers some of them by itself, in HTML: not here."""
    for data, status in [(b"NONSENSE\r\n\r\n", 400), (b"GET / HTTP/9.9\r\n\r\n", 400),
                         (b"NONSENSE /v1/ HTTP/1.1\r\n\r\n", 501),
                         (b"GET /v1/ HTTP/1.1\r\nno colon\r\n\r\n", 400),
                         (b"GET /v1/ HTTP/1.1\r\n" + b"A: b\r\n" * 6000 + b"\r\n", 400),
                         (b"PUT /v1/policy HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
                         (b"PUT /v1/policy HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
                         (b"PUT /v1/policy HTTP/1.1\r\nExpect: x\r\n"
                          b"Content-Length: 1\r\n\r\n", 417)]:
        head, _, body = shared.api.raw(data).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status), (data[:60], head)
        assert b"Content-Type: application/json" in head
        api.check("error", json.loads(body))
    for method in ("DELETE", "PATCH", "OPTIONS", "POST", "PUT"):
        assert shared.api.error(405, "/v1/keys", method)["hint"] == "use GET"
    assert shared.api.error(405, "/v1/keys/rotate")["hint"] == "use POST"
    shared.api.error(400, "/v1/policy", "PUT", "{")
    shared.api.error(400, "/v1/policy", "PUT", "[]")
    shared.api.error(413, "/v1/keys/rotate", "POST", "x" * 70000)


def test_policy(shared):
    text = POLICY.format(above=3000)
    body = json.dumps({"files": [{"name": str(shared.policy), "text": text}]})
    api.check("policy_bundle", json.loads(body))
    answer = shared.api.ask("/v1/policy?dry_run=1", "PUT", body)
    changes = api.check("policy_applied", json.loads(answer.text))["changes"]
    assert [c["path"] for c in changes] == ["services.web.syn_rate.attack_above"]
    assert "3000" not in json.dumps(shared.api.get("/v1/policy", "policy")["policy"]["services"])
    answer = shared.api.ask("/v1/policy", "PUT", body)
    assert api.check("policy_applied", json.loads(answer.text))["generation"] == 2
    wrong = shared.api.error(400, "/v1/policy", "PUT", body.replace("hold", "hodl"))
    assert "policy.yaml:3:" in wrong["error"]


def test_keys(shared):
    answer = shared.api.ask("/v1/keys/rotate", "POST")
    if "own" in COOKIE_KINDS:
        assert len(api.check("keys", json.loads(answer.text))["keys"]) >= 2


def test_head(shared):
    for path in ("/v1/status", "/v1/conns", "/v1/events", "/v1/live", "/metrics"):
        answer = shared.api.ask(path, "HEAD")
        assert answer.status == 200 and not answer.text
    assert shared.api.ask("/v1/nonsense", "HEAD").status == 404


def test_one_connection_many_questions(shared):
    """Pipelined, too: answers come in order, also those that are made piece by piece."""
    paths = ["/v1/keys", "/v1/conns?limit=3", "/v1/status", "/v1/half-open?list=1", "/v1/"] * 4
    data = b"".join(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % p.encode() for p in paths)
    got = shared.api.raw(data + b"GET /v1/timeouts HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert got.count(b"HTTP/1.1 200 OK") == len(paths) + 1 and b'"reaping"' in got
    connection = api.Connection(shared.api.path)
    for path in paths:
        connection.request("GET", path)
        json.loads(connection.getresponse().read())
    connection.close()


def test_too_many_connections(shared):
    """Beyond 512 one is told so; when they are gone, all is as before."""
    most = 512
    with contextlib.ExitStack() as stack:
        for i in range(most + 5):
            s = stack.enter_context(socket.socket(socket.AF_UNIX))
            s.settimeout(patience(5))
            s.connect(shared.api.path)
            if i % 32 == 0:  # not more than listen() lets wait
                until(lambda: shared.server.ss("-xl", "src", shared.api.path)[0].split()[2] == "0",
                      5, "connections are accepted")
        answer = api.receive(s)
        assert answer.startswith(b"HTTP/1.1 503 "), answer
        api.check("error", json.loads(answer.partition(b"\r\n\r\n")[2]))
    until(lambda: shared.api.ask("/v1/keys").status == 200, 5, "it answers again")


@pytest.mark.parametrize("cookies", COOKIES)
def test_without_agent(lab, cookies):
    """The commands read the maps, and say the same but for what only an agent knows."""
    lab.nginx()
    lab.attach("--cookies", cookies)
    with clients.connect(lab.client, labs.SERVER4):
        until(lambda: lab.status()["flows"]["open"] == 1, 5, "it is followed")
        with_agent = lab.status()
        os.kill(with_agent["agent"]["pid"], signal.SIGKILL)
        until(lambda: not lab.status()["agent"]["running"], 5, "the agent is gone")
        alone = api.check("status", lab.status())
        same = ("instance", "mode", "cookies", "interfaces", "flows", "max_flows", "policy")
        assert {k: alone[k] for k in same} == {k: with_agent[k] for k in same}
        assert alone["uptime_ms"] is None and alone["half_open"] is None
        conns = json.loads(lab.synstile("conns", "-j").stdout)
        assert conns["total"] == conns["shown"] == 1
        api.check("connection", conns["connections"][0])
        done = lab.synstile("conns")
        assert "the agent does not run" in done.stderr and "ESTABLISHED" in done.stdout
        half_open = json.loads(lab.synstile("conns", "--half-open", "-j").stdout)
        assert half_open["connections"] == [] and half_open["over_time"] is None
