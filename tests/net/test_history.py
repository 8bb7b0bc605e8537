# SPDX-License-Identifier: GPL-2.0-only
"""/v1/history: what a flood leaves behind it, second by second; all of it, and by service."""
import json
import os
import signal
import time

import pytest

import clients
import lab as labs
import metrics
import policies
import services
from netns import LabError, patience, until

RATE = 20_000


@pytest.fixture(scope="module")
def lab():
    """nginx on port 80; on 81 a service that nobody uses but for one test."""
    with labs.Lab() as made:
        made.nginx()
        made.serve(services.Echo(81))
        with made.attached("--mode", "auto"):
            yield made


@pytest.fixture(scope="module")
def flooded(lab):
    """The history around a flood: (its begin, its end; ms, with a second to spare), the answer."""
    until(lambda: len(metrics.history(lab)["rows"]) >= 2, 8, "two rows")
    clients.get_many(lab.client, labs.SERVER4, 5, src="fresh")
    begin = time.time() * 1000
    with lab.flood(rate=RATE, seconds=3) as process:
        clients.get_many(lab.client, labs.SERVER4, 10, src="fresh")
        process.wait(patience(10))
    end = time.time() * 1000
    until(lambda: metrics.history(lab)["rows"][-1]["t"] > end + 1500, 10, "two rows more")
    return begin, end, metrics.history(lab)


def check_rows(rows):
    """One a second, oldest first, none twice."""
    for a, b in zip(rows, rows[1:]):
        assert 500 < b["t"] - a["t"] < patience(2500), (a, b)


def test_flood(lab, flooded):
    begin, end, answer = flooded
    assert answer["schema"] == 1 and answer["instance"] == f"ns-{lab.server.name}"
    assert answer["step_ms"] == 1000 and len(answer["rows"]) <= 900
    assert answer["columns"] == ["t", "syns", "cookies", "validated", "completed", "dropped",
                                 "half_open", "kernel_half_open", "attacked"]
    rows = answer["rows"]
    check_rows(rows)
    assert abs(rows[-1]["t"] - time.time() * 1000) < patience(5000)
    before = [r for r in rows if r["t"] < begin]
    during = [r for r in rows if begin + 1100 < r["t"] < end]
    after = [r for r in rows if r["t"] > end + 1100]
    assert before and during and after
    assert all(r["syns"] < 100 and not r["cookies"] for r in before + after)
    assert all(r["syns"] > 100 and r["cookies"] > 100 and r["attacked"] == 1 for r in during)
    assert all(r["half_open"] <= 256 for r in rows)
    # as many in all as were counted: rates over a whole second
    assert 0.8 < sum(r["cookies"] for r in rows) / lab.count("syn_cookie") < 1.2
    assert sum(r["completed"] for r in rows) >= 10
    assert any(r["validated"] for r in rows)


def test_service(lab, flooded):
    """All that came, came to one service; one without traffic has none."""
    answer, web = flooded[2], metrics.history(lab, "?service=80")
    all_rows = {r["t"]: r for r in answer["rows"]}
    both = [r for r in web["rows"] if r["t"] in all_rows]
    assert len(both) > 4
    for row in both:
        for column in ("syns", "cookies", "validated", "completed", "half_open", "attacked"):
            assert row[column] == all_rows[row["t"]][column]
    with pytest.raises(LabError, match="has no history"):
        metrics.history(lab, "?service=81")
    clients.connect(lab.client, labs.SERVER4, 81).close()
    rows = until(lambda: json.loads(metrics.ask(lab, "/v1/history?service=81")).get("rows"), 5,
                 "it has one now")
    assert len(rows) < len(both)  # of before, nothing is invented


def test_since(lab, flooded):
    """Whoever asks each time for what is behind the last row misses nothing and sees nothing twice."""
    got = metrics.history(lab)["rows"]
    first = got[0]["t"]
    end = time.monotonic() + patience(3.2)
    while time.monotonic() < end:
        more = metrics.history(lab, f"?since={got[-1]['t']}")["rows"]
        assert len(more) <= 2
        got += more
        time.sleep(0.2)
    assert len(got) >= 3
    check_rows(got)
    now = metrics.history(lab, f"?since={first - 1}")["rows"]
    assert got == now[:len(got)]
    assert not metrics.history(lab, f"?since={now[-1]['t'] + 3600_000}")["rows"]


@pytest.mark.parametrize("query, error", [
    ("?since=yesterday", "since= is not a time"), ("?since=-1", "since= is not a time"),
    ("?since=", "since= is not a time"), ("?since=99999999999999999999", "since= is not a time"),
    ("?service=nobody", "there is no service of this name")])
def test_refused(lab, query, error):
    answer = json.loads(metrics.ask(lab, f"/v1/history{query}"))
    assert answer["error"] == error and answer["hint"]


def test_policy_applied(lab, flooded):
    """A service that a policy gives a name, and bounds, keeps its past under that name."""
    past = metrics.history(lab, "?service=80")["rows"]
    policies.apply(lab, [("web", "*:80", {"half_open": {"attack_above": 100}})])

    def renamed():
        answer = json.loads(metrics.ask(lab, "/v1/history?service=web"))
        return [dict(zip(answer["columns"], row)) for row in answer.get("rows", [])]
    rows = until(renamed, 5, "its history under the new name")
    assert rows[:len(past)] == past
    with pytest.raises(LabError, match="no service"):
        metrics.history(lab, "?service=80")
    check_rows(metrics.history(lab)["rows"])


def test_agent_that_stood_still(lab, flooded):
    """Seconds in which nobody looked are missing, not zero; what came meanwhile is no peak."""
    pid = lab.status()["agent"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        clients.get_many(lab.client, labs.SERVER4, 30, src="fresh")
        time.sleep(3)
    finally:
        os.kill(pid, signal.SIGCONT)
    rows = until(lambda: (r := metrics.history(lab)["rows"]) and r[-2]["t"] > r[-3]["t"] + 2500
                 and r, 5, "a gap")
    assert 0 < rows[-2]["syns"] <= 12  # 30 in three seconds
