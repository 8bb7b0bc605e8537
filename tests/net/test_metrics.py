# SPDX-License-Identifier: GPL-2.0-only
"""/metrics: what Prometheus reads is what was sent; the alerts and the dashboard go by what is there."""
import contextlib
import json
import re
import time

import pytest

import clients
import lab as labs
import metrics
from netns import SLOW, at_last, sh, until
from wire import Talk, Wire

PORT = 80
RULES = labs.ROOT / "packaging/prometheus/synstile.rules.yml"
RULES_TEST = labs.ROOT / "tests/prometheus/rules_test.yml"
DASHBOARD = labs.ROOT / "packaging/grafana/synstile.json"


@pytest.fixture(scope="module")
def lab():
    with labs.Lab() as made:
        made.server.sysctl("net.ipv4.tcp_synack_retries", 2)  # gives up after 7 s
        made.nginx()
        with made.attached("--mode", "auto"):
            until(lambda: metrics.Metrics(made).get("synstile_syns_total") is not None, 5,
                  "the agent has looked twice")
            yield made


def settled(lab, condition, what):
    """The first answer for which it holds: rates are looked at once a second."""
    return until(lambda: (m := metrics.Metrics(lab)) and condition(m) and m, 5, what, every=0.2)


def test_without_traffic(lab):
    """Every family has its samples, or says at least what it is; the content type is exact."""
    m = metrics.Metrics(lab)
    m.check()
    head = metrics.ask(lab, "/metrics", "-o", "/dev/null", "-w", "%{content_type} %{http_code}")
    assert head == "text/plain; version=0.0.4; charset=utf-8 200"
    assert m.text == "".join(f"{line}\n" for line in m.text.splitlines())
    version = lab.synstile("version").stdout.split()[1]
    assert m.get("synstile_build_info", version=version) == 1
    assert abs(m.get("synstile_agent_start_time_seconds") - time.time()) < 60 * SLOW
    assert m.get("synstile_services") == 1
    assert m.get("synstile_service_mode", service="80", mode="auto") == 1
    assert m.get("synstile_service_attack", service="80") == 0
    assert m.get("synstile_half_open_bound", service="80") == 255
    assert m.get("synstile_syn_timeout_seconds", service="80") == 7
    assert m.get("synstile_flows_max") == lab.status()["max_flows"]
    for interface in ("s0", "s1"):
        assert m.get("synstile_interface_info", interface=interface, xdp="native") == 1
    assert m.buckets("synstile_handshake_rtt_seconds") == {}
    again = metrics.Metrics(lab)
    assert list(m.samples) == list(again.samples), "another order"


def test_handshakes(lab):
    """N handshakes are N everywhere, and the counters are those of `status -j`."""
    n, before = 40, metrics.Metrics(lab)
    times, errors = clients.get_many(lab.client, labs.SERVER4, n, src="fresh")
    assert len(times) == n and not errors
    m = settled(lab, lambda m: m.get("synstile_handshakes_completed_total")
                == before.get("synstile_handshakes_completed_total") + n, f"{n} handshakes")
    m.check()
    assert m.get("synstile_syns_total", service="80") == before.get("synstile_syns_total") + n
    assert m.get("synstile_half_open_duration_seconds_count", service="80", outcome="completed") == n
    assert m.get("synstile_handshake_rtt_seconds_count", service="80") == n
    assert 0 < m.get("synstile_handshake_rtt_seconds_sum") < sum(times) + 1
    assert sum(m.buckets("synstile_half_open_duration_seconds", service="80").values()) == n
    check_against_status(lab)


def check_against_status(lab):
    """Between two answers of /metrics in which nothing has changed."""
    m = metrics.Metrics(lab)
    for _ in range(10):
        before, status, m = m, lab.status(), metrics.Metrics(lab)
        if before.samples == m.samples:
            break
    assert before.samples == m.samples
    for interface in status["interfaces"]:
        for bank, counters in interface["counters"].items():
            for verdict, count in counters.items():
                served = m.get("synstile_packets_total", interface=interface["name"],
                               verdict=verdict, bank=bank)
                assert served == count or (bank == "observed" and served is None and not count)
    for kind, count in status["oddities"].items():
        assert m.get("synstile_oddities_total", kind=kind) == count
    for kind, stages in status["lost"].items():
        for stage, count in stages.items():
            assert m.get("synstile_events_lost_total", type=kind, stage=stage) == count
    assert m.get("synstile_flows") == status["flows"]["total"]


@contextlib.contextmanager
def speaking(lab):
    with contextlib.closing(Wire(lab.client)) as wire:
        yield wire


def only_new(m, before, name, **labels):
    """The one duration that has been counted since: it is in its bucket, and in the sum."""
    was = before.buckets(name, **labels)
    new = [le for le, n in m.buckets(name, **labels).items() if n > was.get(le, 0)]
    assert len(new) == 1
    took = m.get(f"{name}_sum", **labels) - (before.get(f"{name}_sum", **labels) or 0)
    below = [float(le) for le in m.buckets(name, **labels) if float(le) < float(new[0])]
    assert max(below, default=0) < took <= float(new[0])
    return took


def counted(lab, before, name, **labels):
    """The answer that has one more."""
    wanted = (before.get(f"{name}_count", **labels) or 0) + 1
    return until(lambda: (m := metrics.Metrics(lab)).get(f"{name}_count", **labels) == wanted and m,
                 10, f"one more {name}")


@pytest.mark.parametrize("dst", [labs.SERVER4, labs.SERVER6], ids=["v4", "v6"])
def test_far_client(lab, dst):
    """A client 60 ms away: in the bucket of such a round trip."""
    before = metrics.Metrics(lab)
    with speaking(lab) as wire:
        talk = Talk(wire, dst, PORT, options=[("MSS", 1400)])
        began = time.monotonic()
        talk.syn()
        talk.synack()
        time.sleep(0.06)
        talk.send("A")
        m = counted(lab, before, "synstile_handshake_rtt_seconds", service="80")
        most = time.monotonic() - began
        talk.send("R")
    assert 0.06 <= only_new(m, before, "synstile_handshake_rtt_seconds", service="80") < most
    assert 0.06 <= only_new(m, before, "synstile_half_open_duration_seconds", service="80",
                            outcome="completed") < most


def test_expired_and_reset(lab):
    """One client vanishes, another one resets: both ends are told apart, and how long it took."""
    name = "synstile_half_open_duration_seconds"
    before = metrics.Metrics(lab)
    with speaking(lab) as wire:
        gone, reset = (Talk(wire, labs.SERVER4, PORT, options=[("MSS", 1400)]) for _ in range(2))
        for talk in (gone, reset):
            talk.syn()
            talk.synack()
        m = settled(lab, lambda m: m.get("synstile_half_open", service="80") == 2
                    and m.get("synstile_kernel_half_open", service="80") == 2, "two half-open")
        assert m.get("synstile_flows", phase="half_open") == 2
        began = time.monotonic()
        reset.send("R")
        m = counted(lab, before, name, outcome="reset")
        assert only_new(m, before, name, outcome="reset") < 7 + time.monotonic() - began
        m = counted(lab, before, name, outcome="expired")
    m.check()
    assert 7 <= only_new(m, before, name, outcome="expired") < 7 + at_last(2)


def test_attack(lab):
    """Under a flood the counters are those of `status -j`, and real clients are among them."""
    before = metrics.Metrics(lab)
    with lab.flood(rate=20_000, seconds=6):
        m = settled(lab, lambda m: m.get("synstile_service_attack", service="80") == 1, "attack")
        times, errors = clients.get_many(lab.client, labs.SERVER4, 20, src="fresh")
        assert len(times) == 20 and not errors
    m = settled(lab, lambda m: m.get("synstile_cookies_total") == lab.count("syn_cookie"),
                "all cookies are counted")
    m.check()
    assert m.get("synstile_cookies_validated_total") >= 20
    assert m.get("synstile_service_attacks_total") == 1
    cookies = m.get("synstile_cookies_total", service="80")
    assert cookies > 1000
    assert cookies == m.get("synstile_packets_total", verdict="syn_cookie", bank="done")
    assert m.get("synstile_syns_total") >= before.get("synstile_syns_total") + cookies
    # of a cookie's handshake no duration is known: all others are in the histogram
    made = "synstile_handshakes_completed_total"
    ended = "synstile_half_open_duration_seconds_count"
    assert (m.get(made) - m.get("synstile_cookies_validated_total")
            == m.get(ended, outcome="completed"))


# --- what is made for Prometheus and Grafana

NAME = re.compile(r"\bsynstile_[a-z_]+\b")


def expressions(node):
    """All PromQL of a dashboard, with its variables filled in."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("expr", "definition") and isinstance(value, str):
                yield value
            yield from expressions(value)
    elif isinstance(node, list):
        for value in node:
            yield from expressions(value)


def served(m):
    """All names that a query may ask for."""
    names = set()
    for name, kind in m.types.items():
        names |= {f"{name}{s}" for s in ("_bucket", "_sum", "_count")} if kind == "histogram" \
            else {name}
    return names


def test_rules():
    sh("promtool", "check", "rules", RULES)
    sh("promtool", "test", "rules", RULES_TEST)


def test_names_are_served(lab):
    """Nothing in the rules or the dashboard asks for what does not exist."""
    names = served(metrics.Metrics(lab))
    dashboard = "\n".join(expressions(json.loads(DASHBOARD.read_text())))
    for path, text in ((RULES, RULES.read_text()), (RULES_TEST, RULES_TEST.read_text()),
                       (DASHBOARD, dashboard)):
        asked = set(NAME.findall(text))
        assert len(asked) > 5 and asked <= names, (path.name, asked - names)


def test_documented(lab):
    """docs/api.md has every metric that there is, and no other."""
    text = (labs.ROOT / "docs/api.md").read_text().partition("### GET /metrics")[2]
    documented = set(NAME.findall(text.partition("\n## ")[0]))
    assert documented == set(metrics.Metrics(lab).types)


def test_labels_are_served(lab):
    """The same of labels and of the values that they are compared with."""
    m = metrics.Metrics(lab)
    has = {}
    for name, labels in m.samples:
        has.setdefault(name, {"job": {"synstile"}, "instance": set()})
        for key, value in labels:
            has[name].setdefault(key, set()).add(value)
    for text in (RULES.read_text(), *expressions(json.loads(DASHBOARD.read_text()))):
        for name, labels in re.findall(r"\b(synstile_[a-z_]+)\{([^}]*)\}", text):
            for key, _, value in re.findall(r'(\w+)(=~|=)"([^"]*)"', labels):
                assert key in has[name], (name, key)
                if not value.startswith("$") and key not in ("mode", "xdp", "tc"):
                    assert value in has[name][key], (name, key, value)


def test_dashboard(tmp_path):
    """Its queries are PromQL, its panels have data sources and places of their own."""
    dashboard = json.loads(DASHBOARD.read_text())
    queries = [q for q in expressions(dashboard) if not q.startswith("label_values(")]
    assert len(queries) > 20
    rules = [{"record": f"q:{i}", "expr": re.sub(r"\$__rate_interval", "1m", q)}
             for i, q in enumerate(queries)]
    path = tmp_path / "queries.json"  # JSON is YAML
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    sh("promtool", "check", "rules", path)
    places = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"])
                 for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24 and not cells & places, panel["title"]
        places |= cells
        assert panel["type"] == "row" or panel["datasource"]["uid"] == "${datasource}"
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    variables = [v["name"] for v in dashboard["templating"]["list"]]
    assert variables == ["datasource", "instance", "service"]
