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
    """The history around a flood: (before it, at its beginning, at its end; ms), the answer."""
    until(lambda: len(metrics.history(lab)["rows"]) >= 2, 8, "two rows")
    clients.get_many(lab.client, labs.SERVER4, 5, src="fresh")
    begin = time.time() * 1000
    with lab.flood(rate=RATE, seconds=5) as process:
        arrived = time.time() * 1000
        clients.get_many(lab.client, labs.SERVER4, 10, src="fresh")
        process.wait(patience(10))
    end = time.time() * 1000
    until(lambda: metrics.history(lab)["rows"][-2]["t"] > end + 500, 10, "two rows more")
    return begin, arrived, end, metrics.history(lab)


def check_rows(rows):
    """One a second, oldest first, none twice; seldom one is missing: nobody looked."""
    steps = [b["t"] - a["t"] for a, b in zip(rows, rows[1:])]
    assert min(steps) > 500 and sum(s < 2500 for s in steps) >= 0.7 * len(steps), steps


def in_all(since, column):
    """Of rates a second: how many there were."""
    return sum(row[column] * (row["t"] - before) / 1000 for before, row in since)


def test_flood(lab, flooded):
    begin, arrived, end, answer = flooded
    assert answer["schema"] == 1 and answer["instance"] == f"ns-{lab.server.name}"
    assert answer["step_ms"] == 1000 and len(answer["rows"]) <= 900
    assert answer["columns"] == ["t", "syns", "cookies", "validated", "completed", "dropped",
                                 "half_open", "kernel_half_open", "attacked"]
    rows = answer["rows"]
    check_rows(rows)
    assert abs(rows[-1]["t"] - time.time() * 1000) < patience(5000)
    since = [(a["t"], b) for a, b in zip(rows, rows[1:])]  # a row says what was since the one before
    before = [r for _, r in since if r["t"] < begin]
    during = [r for t, r in since if arrived < t and r["t"] < end]
    after = [r for t, r in since if t > end + 100]
    assert before and during and after
    assert all(r["syns"] < 100 and not r["cookies"] for r in before + after)
    assert all(r["syns"] > 100 and r["cookies"] > 100 and r["attacked"] == 1 for r in during)
    assert all(r["half_open"] <= 256 for r in rows)
    # as many in all as were counted: rates over a whole second
    assert 0.8 < in_all(since, "cookies") / lab.count("syn_cookie") < 1.2
    assert in_all(since, "completed") >= 10
    assert any(r["validated"] for r in rows)


def test_service(lab, flooded):
    """All that came, came to one service; one without traffic has none."""
    answer, web = flooded[-1], metrics.history(lab, "?service=80")
    all_rows = {r["t"]: r for r in answer["rows"]}
    both = [r for r in web["rows"] if r["t"] in all_rows]
    assert len(both) >= 3
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
    stopped = metrics.history(lab)["rows"][-2]["t"]
    os.kill(pid, signal.SIGSTOP)
    try:
        clients.get_many(lab.client, labs.SERVER4, 30, src="fresh")
        time.sleep(3)
    finally:
        os.kill(pid, signal.SIGCONT)

    def behind_the_gap():
        rows = [r for r in metrics.history(lab)["rows"] if r["t"] > stopped]
        return next((b for a, b in zip(rows, rows[1:]) if b["t"] > a["t"] + 2500), None)
    assert 0 < until(behind_the_gap, 5, "a gap")["syns"] <= 12  # 30 in three seconds
