# SPDX-License-Identifier: GPL-2.0-only
"""The agent's streams, as a dashboard reads them: /v1/events by server-sent events, with readers that
are slow, that come back, or that want little; and /v1/live."""
import collections
import contextlib
import json
import pathlib
import re
import time

import pytest

import clients
import lab as labs
import policies
import services
import sse
from netns import SLOW, at_last, sh, until
from wire import Talk, Wire

SUBSCRIBERS, STALLED, SERVICE_ONLY, PORT_ONLY = 200, 20, 15, 15
CONNECTIONS, PER_SECOND = int(2600 / SLOW), 250 / SLOW
QUEUE = 4 << 20  # user/subscribers.h: QUEUE_MAX
MEMORY = 64 << 20  # MEMORY_MAX
KEPT = 4096  # user/backlog.h: BACKLOG_MAX
MIB = 1 << 20
SSH = 2222


@pytest.fixture(scope="module")
def site():
    """nginx as "web", with a SYN timeout of 8 s, and a server on another port."""
    with labs.Lab() as lab:
        lab.nginx()
        lab.serve(services.Banner(SSH))
        policy = policies.write(lab, [("web", "*:80", {"syn_timeout": {"calm": "8s"}}),
                                      ("ssh", f"*:{SSH}", {})], defaults={"hold": "2s"})
        with lab.attached("--policy", str(policy)):
            yield lab


@pytest.fixture(scope="module")
def idle(site):
    """A subscriber that wants what never happens."""
    with sse.Reader(site, "/v1/events?type=keepalive") as reader:
        yield reader


def get(lab, path, *args):
    return sh("curl", "-sN", "--unix-socket", f"/run/synstile/ns-{lab.server.name}.sock", *args,
              f"http://x{path}", check=False, timeout=30).stdout


def agent_rss(lab, field="VmRSS"):
    """Bytes."""
    status = pathlib.Path(f"/proc/{lab.status()['agent']['pid']}/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+) kB", status)[1]) << 10


def visit(lab, n=1, port=80):
    for _ in range(n):
        if port == 80:
            clients.http_get(lab.client, labs.SERVER4, src="fresh")
        else:
            clients.connect(lab.client, labs.SERVER4, port).close()


def quiet(lab):
    """Wait until nothing happens any more; the last id."""
    last = [sse.last_id(lab)]

    def same():
        time.sleep(1.2)  # what expires is told of once a second
        last.append(sse.last_id(lab))
        return last[-1] == last[-2]
    until(same, 20, "a moment without events")
    return last[-1]


def together(lab, paths):
    """Readers that all begin at the same id; some of them keep what they read."""
    for _ in range(5):
        readers = []
        try:
            for path, keep in paths:
                readers.append(sse.Reader(lab, path, keep=keep))
            for reader in readers:
                while not reader.first:
                    reader.more()
            if len({r.first for r in readers}) == 1:
                return readers
        except AssertionError:
            pass  # something happened meanwhile
        for reader in readers:
            reader.close()
        quiet(lab)
    raise AssertionError("no moment without events")


def traffic(lab):
    began = time.monotonic()
    for i in range(CONNECTIONS):
        visit(lab, port=SSH if i % 20 == 0 else 80)
        time.sleep(max(0, began + i / PER_SECOND - time.monotonic()))


def of_filter(events, want):
    return [e.id for e in events if e.data and e.id and want(e.data)]


def test_many_subscribers(site, idle):
    """200 of them, of which 20 never read: the others get every event once and in order, the agent's
    memory is bounded, and who stalled is told exactly how many it missed."""
    quiet(site)
    stalled = [sse.Reader(site) for _ in range(STALLED)]
    everything, service, port = "/v1/events", "/v1/events?service=web", f"/v1/events?port={SSH}"
    n = SUBSCRIBERS - STALLED - SERVICE_ONLY - PORT_ONLY
    paths = ([(everything, True), (service, True), (port, True)] + [(everything, False)] * (n - 1) +
             [(service, False)] * (SERVICE_ONLY - 1) + [(port, False)] * (PORT_ONLY - 1))
    readers = together(site, paths)
    assert len(stalled) + len(readers) == SUBSCRIBERS and idle
    kept, counted = readers[:3], readers[3:]
    before = agent_rss(site)
    with sse.Crowd(readers) as crowd:
        traffic(site)
        last = quiet(site)
        crowd.until(lambda: sse.number(kept[0].events[-1].id or "-0") >= sse.number(last), 20,
                    "the reference has everything")
        groups = collections.defaultdict(set)

        def even():
            groups.clear()
            for (path, _), reader in zip(paths[3:], counted):
                groups[path].add((reader.length, reader.crc))
            return all(len(g) == 1 for g in groups.values())
        crowd.until(even, 20, lambda: f"all of a group have read the same: {groups}")
    peak = agent_rss(site, "VmHWM")
    print(f"the agent: {before >> 20} MiB, at its worst {peak >> 20} MiB")
    assert peak - before < MEMORY, f"{before >> 20} MiB, at its worst {peak >> 20} MiB"

    check_reference(kept, groups, last)
    check_stalled(site, stalled, last)
    for reader in readers + stalled:
        reader.close()


def check_reference(kept, groups, last):
    """Those that keep what they read have it all, and the counters have the same."""
    everything, service, port = (r.events for r in kept)
    first = sse.number(kept[0].first)
    assert sse.ids(everything) == list(range(first + 1, sse.number(last) + 1))
    assert len(sse.ids(everything)) > 5 * CONNECTIONS
    assert not [e for e in everything if e.type == "lost"]
    web = of_filter(everything, lambda e: e["synstile"].get("service") == "web")
    ssh = of_filter(everything, lambda e: SSH in (e.get("dest_port"), e.get("src_port")))
    assert len(web) > 5 * CONNECTIONS * 0.9 and len(ssh) >= 5 * CONNECTIONS // 20
    assert of_filter(service, lambda e: True) == web
    assert of_filter(port, lambda e: True) == ssh
    # what is read behind the first id: much in the group that wants everything
    lengths = [next(iter(g))[0] for g in groups.values()]
    assert min(lengths) > 100 * len(ssh) and max(lengths) > QUEUE


def check_stalled(lab, stalled, last):
    """They now read what waited for them, then how many they missed, then go on."""
    reader = stalled[0]
    reader.until(lambda events: any(e.type == "lost" for e in events), 20, "a lost event")
    visit(lab)
    end = quiet(lab)
    reader.until_id(end)
    had = sse.ids(reader.events)
    lost = [e for e in reader.events if e.type == "lost"]
    assert len(lost) == 1
    missed = sum(stages.get("subscriber", 0) for stages in lost[0].data["lost"].values())
    gaps = [(a, b) for a, b in zip(had, had[1:]) if b != a + 1]
    assert len(gaps) == 1 and gaps[0][1] - gaps[0][0] - 1 == missed > 1000
    assert had[0] == sse.number(reader.first) + 1 and had[-1] == sse.number(end)
    assert sse.number(end) > sse.number(last)


def test_resume(site):
    """A reader that comes back goes on where it was: nothing is missing, nothing comes twice."""
    quiet(site)
    with sse.Reader(site) as reader:
        visit(site, 20)
        seen = list(reader.until(lambda events: len(sse.ids(events)) > 20 and events, 5, "events"))
    visit(site, 20)
    last = quiet(site)
    before = [e for e in seen if e.id][-1].id
    for path, header in (("/v1/events", before), (f"/v1/events?after={before}", None),
                         ("/v1/events?backlog=7&after=000000000000-1", before)):
        with sse.Reader(site, path, last=header) as reader:
            reader.until_id(last)
            again = [n for n in sse.ids(reader.events) if n <= sse.number(last)]
        assert again == list(range(sse.number(before) + 1, sse.number(last) + 1)), path
        assert not [e for e in reader.events if e.type == "lost"]
    # one that wanted none of it can resume too
    with sse.Reader(site, "/v1/events?type=keepalive") as reader:
        reader.until_id(last)
    # as lines of JSON, which have no ids, it is the same
    lines = get(site, f"/v1/events?follow=0&after={before}").splitlines()[:len(again)]
    assert [json.loads(line) for line in lines] == [
        e.data for e in resumed(site, before).events if e.data][:len(again)]


def resumed(lab, last, path="/v1/events"):
    """All that is told to one who comes back with this id."""
    with sse.Reader(lab, path, last=last) as reader:
        reader.until_id(sse.last_id(lab))
    return reader


def test_resume_beyond_the_backlog(site):
    """What is not kept any more is told as lost; so is what another agent told."""
    first = quiet(site)
    while sse.number(sse.last_id(site)) - sse.number(first) < KEPT + 500:
        visit(site, 100)
    last = quiet(site)
    events = resumed(site, first).events
    lost = [e for e in events if e.type == "lost" and not e.id]
    assert len(lost) == 1 and events.index(lost[0]) == 0
    told, missed = sse.ids(events), lost[0].data["lost"]["any"]["backlog"]
    assert missed > 0 and lost[0].data["synstile"]["after"] == first
    assert told[-1] >= sse.number(last) and len(told) >= KEPT
    assert missed + len(told) == told[-1] - sse.number(first)
    # another agent's id, and no id at all: nobody knows how many; all that is kept comes
    for other in ("0123456789ab-7", "nonsense"):
        events = resumed(site, other).events
        lost = [e for e in events if e.type == "lost" and not e.id]
        assert [e.data["lost"] for e in lost] == [{"any": {"backlog": None}}]
        assert sse.ids(events)[-1] >= sse.number(last) and len(sse.ids(events)) >= KEPT


def test_filters(site):
    """One connection's events, one service's; and what is wrong is said."""
    quiet(site)
    visit(site, 3)
    visit(site, port=SSH)
    with clients.connect(site.client, labs.SERVER4) as s:
        port = s.getsockname()[1]
    quiet(site)
    everything = [json.loads(line) for line in get(
        site, "/v1/events?follow=0&backlog=1000&type=tcp_state").splitlines()]
    of_web = [e for e in everything if e["synstile"].get("service") == "web"]
    flow = next(e["flow_id"] for e in reversed(of_web) if port in (e["src_port"], e["dest_port"]))
    mine = [e for e in everything if e.get("flow_id") == flow]
    assert 4 <= len(mine) < len(of_web)

    def answers(query):
        return [json.loads(line) for line in
                get(site, f"/v1/events?follow=0&backlog=1000&{query}").splitlines()]
    assert answers(f"flow={flow}&type=tcp_state") == mine
    answer = answers("service=web&type=tcp_state")
    begin = answer.index(of_web[0])
    assert answer[begin:begin + len(of_web)] == of_web
    assert {e["synstile"].get("service") for e in answers("service=ssh&type=tcp_state")} == {"ssh"}
    assert answers("service=web&port=1") == [] == answers("service=nobody&type=tcp_state")
    for query, word in (("flow=x", "flow_id"), ("service=a%26b", "service"), ("after=1", "after=1"),
                        ("format=xml&what=1", "what"), ("follow=2", "0 or 1")):
        assert word in json.loads(get(site, f"/v1/events?{query}"))["error"]
    shown = site.synstile("events", "-j", "--flow", flow, "--type", "tcp_state").stdout
    assert [json.loads(line) for line in shown.splitlines()] == mine
    shown = site.synstile("events", "-j", "--service", "ssh", "--lines", "3").stdout
    assert {json.loads(line)["synstile"]["service"] for line in shown.splitlines()} == {"ssh"}


# --- the live view

class Live:
    """Frames, one a second."""

    def __init__(self, lab, query=""):
        self.reader = sse.Reader(lab, f"/v1/live?{query}")

    def next(self, want=lambda frame: True, seconds=6, what="a frame"):
        """The next frame, or the next that is wanted."""
        begin = len(self.reader.events)
        return self.reader.until(
            lambda events: next((e.data for e in events[begin:] if want(e.data)), None),
            seconds, what)


@contextlib.contextmanager
def live(lab, query=""):
    follower = Live(lab, query)
    try:
        yield follower
    finally:
        follower.reader.close()


def until_first_frame(lab):
    """How long it takes (s). The agent has other work at times; frames come once a second."""
    began = time.monotonic()
    with live(lab) as one:
        one.next()
    return time.monotonic() - began


def test_live_frames(site):
    """The first at once, then one a second, with what `status` says."""
    until(lambda: until_first_frame(site) < 0.5, 20, "the first frame comes at once")
    with live(site) as one, live(site) as same, live(site, "services=1&half_open=0") as less:
        first = one.next()
        visit(site, 20)
        for _ in range(3):
            one.next(seconds=3)
        frames = [e.data for e in one.reader.events]
        assert [f["seq"] for f in frames] == list(range(first["seq"], first["seq"] + len(frames)))
        assert sum(f["totals"]["syn_rate"] or 0 for f in frames) >= 10  # each is rounded
        same.next(lambda f: f["seq"] == frames[-1]["seq"])
        assert same.reader.events[-1].data == frames[-1] or \
            [e.data for e in same.reader.events if e.data["seq"] == frames[-1]["seq"]] == [frames[-1]]
        assert len(less.next(lambda f: f["seq"] >= frames[-1]["seq"])["services"]) == 1
    assert {e.type for e in one.reader.events} == {"frame"}
    check_against_status(json.loads(get(site, "/v1/live?follow=0")), site.status())


def check_against_status(frame, status):
    assert frame["schema"] == 1 and frame["version"] and frame["hostname"]
    for key in ("instance", "mode", "cookies", "ready"):
        assert frame[key] == status[key], key
    assert frame["state"] == "calm" and frame["why"] == [] == frame["attacked"]
    assert [(i["name"], i["xdp"], i["tc"]) for i in frame["interfaces"]] == \
        [(i["name"], i["xdp"], i["tc"]) for i in status["interfaces"]]
    assert frame["totals"]["flows"] == status["flows"]["total"]
    assert frame["policy"]["generation"] == status["policy"]["generation"]
    assert frame["services_total"] == len(status["services"])
    theirs = {s["service"]: s for s in status["services"]}
    for s in frame["services"]:
        for key in ("ports", "mode", "state", "half_open_bound", "syn_timeout_ms", "attacks"):
            assert s[key] == theirs[s["service"]][key], key
    verdicts = {v["verdict"]: v["total"] for v in frame["verdicts"] if v["what"] == "done"}
    assert verdicts == {k: v for k, v in status["counters"]["done"].items() if v}


def test_half_open_rows(site):
    """They appear, grow old, and go when their time is over; the oldest come first."""
    wire = Wire(site.client)
    try:
        with live(site) as view:
            talks = [Talk(wire) for _ in range(3)]
            for talk in talks:
                talk.syn()
                time.sleep(0.05)
            ports = [t.sport for t in talks]

            def rows(frame):
                return [h for h in frame["half_open"]["connections"] if h["src_port"] in ports]
            ids = {c["flow_id"] for c in json.loads(
                site.synstile("conns", "--half-open", "-j").stdout)["connections"]}
            frame = view.next(lambda f: len(rows(f)) == 3, 3, "three half-open connections")
            found = rows(frame)
            assert [h["src_port"] for h in found] == ports
            assert frame["half_open"]["total"] >= 3 and frame["half_open"]["listed_ms_ago"] < 1000
            for talk, h in zip(talks, found):
                assert (h["src_ip"], h["dest_ip"], h["dest_port"]) == (talk.src, labs.SERVER4, 80)
                assert (h["service"], h["host_is"], h["syns"]) == ("web", "server", 1)
                assert h["syn_acks"] >= 1 and abs(h["age_ms"] + h["left_ms"] - 8000) < 20
            assert {h["flow_id"] for h in found} <= ids
            older = rows(view.next(seconds=3))
            assert older[0]["age_ms"] > found[0]["age_ms"]
            view.next(lambda f: not rows(f), 10, "they are over")
    finally:
        wire.close()


def test_attack_in_the_live_view(site):
    """What it is, since when and where from, as long as it lasts; then calm since then."""
    with live(site) as view:
        with site.flood(rate=20_000, src="198.19.7.0/24", seconds=30):
            frame = view.next(lambda f: f["state"] == "attack" and f["spoofed"] is not None
                              and f["for_ms"] > 2500
                              and f["totals"]["syn_rate"] > 0.5 * 20_000 / SLOW, 10, "an attack")
            assert frame["attacked"] == ["web"] and "syn_rate" in frame["why"]
            assert "too many SYNs a second" in frame["why_words"]
            assert len(frame["why"]) == len(frame["why_words"])
            web = frame["services"][0]
            assert (web["service"], web["state"], web["attack"]["reasons"]) == \
                ("web", "attack", frame["why"])
            top = frame["top_sources"]["sources"][0]
            assert top["prefix"] == "198.19.7.0/24" and top["percent"] > 80
            answer = json.loads(get(site, "/v1/sources/top?service=web&limit=1"))
            assert [t["prefix"] for t in answer["sources"]] == ["198.19.7.0/24"]
            assert 0 < answer["over_ms"] <= 30_000 and answer["samples"] > 100
            assert json.loads(get(site, "/v1/sources/top?service=ssh"))["sources"] == []
            assert "no service" in json.loads(get(site, "/v1/sources/top?service=x"))["error"]
            since = frame["since"]
            assert view.next(seconds=3)["since"] == since
        ended = view.next(lambda f: f["state"] == "calm", 25, "calm again")
        assert ended["attacked"] == [] and ended["since"] > since
        assert ended["for_ms"] < 1000 * at_last(2.5) and ended["spoofed"] is None


def test_live_questions(site):
    for query, word in (("services=x", "services=x"), ("half_open=-1", "half_open=-1"),
                        ("what=1", "what"), ("follow=5", "0 or 1")):
        assert word in json.loads(get(site, f"/v1/live?{query}"))["error"]
    with contextlib.ExitStack() as stack:
        for n in range(16):
            stack.enter_context(live(site, f"services={n}")).next()
        assert "different live views" in get(site, "/v1/live?services=17")
        assert json.loads(get(site, "/v1/live?services=17&follow=0"))["seq"]
        stack.enter_context(live(site, "services=3")).next()  # there is one like it


def test_heartbeat(site, idle):
    """One that wanted nothing of all that happened here knows the last id all the same."""
    idle.until(lambda events: len(events) > 1 and sse.number(events[-1].id) > 0, 20, "a heartbeat")
    assert "\r\nContent-Type: text/event-stream\r\n" in idle.head
    assert not [e for e in idle.events if e.data and e.type != "lost"]
