# SPDX-License-Identifier: GPL-2.0-only
"""500 different policies in a row, under a flood and with clients: each packet meets a whole one."""
import contextlib
import random

import pytest
from conftest import COOKIE_KINDS

import clients
import lab as labs
import policies
from netns import SLOW, until
from wire import Talk, Wire

LINUX = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (5000, 0)), ("NOP", None), ("WScale", 7)]
N = max(50, int(500 / SLOW))


def some_policy(pick, n):
    """Names, how services are cut, modes, bounds, sources: all of it changes. In none of them
    a client may fail: nobody who comes is denied or over a limit."""
    names = pick.sample([f"web{i}" for i in range(40)], 3)
    mode = {"mode": pick.choice(["auto", "always"])}
    cut = pick.choice([
        [], [("*:80", {})], [("0.0.0.0:80", {}), ("[::]:80", {})], [("198.18.0.1:80-90", {})],
        [("*:80", {"interfaces": ["s0"]}), ("*:80", {})], [("*:80", {"interfaces": ["s1"]})]])
    above = pick.randrange(20, 400)
    rate = pick.randrange(1000, 6000)
    deny = [f"203.0.{pick.randrange(113, 114)}.{i}/32" for i in range(pick.randrange(5))]
    allow = ["198.18.80.0/24"] if pick.random() < 0.3 else []
    return {
        "services": [(name, listen, {**mode, **more})
                     for name, (listen, more) in zip(names, cut, strict=False)],
        "defaults": {"mode": pick.choice(["auto", "always"]), "hold": f"{pick.randrange(1, 20)}s",
                     "half_open": {"attack_above": above, "calm_below": above // 3},
                     "syn_rate": {"attack_above": f"{rate}/s", "calm_below": f"{rate // 4}/s"},
                     "synack": {"mss": 1200 + n % 200}},
        "sources": {"deny": deny, "allow": allow,
                    "verified_for": pick.choice(["0s", "5m"]),
                    "syn_limit": {"per_ipv4": f"{pick.randrange(5000, 9000)}/s"}}}


@pytest.mark.parametrize("cookies", COOKIE_KINDS[:1])
def test_500_policies_in_a_row(lab, cookies):
    lab.server.sysctl("net.ipv4.tcp_syncookies", 0)
    lab.server.sysctl("net.core.somaxconn", 4096)
    lab.nginx(backlog=4096)
    lab.attach("--cookies", cookies)
    seed = random.randrange(1 << 32)
    pick = random.Random(seed)
    with (contextlib.closing(Wire(lab.client)) as wire, lab.flood(seconds=120, rate=50_000),
          clients.Load(lab.client, labs.SERVER4) as four,
          clients.Load(lab.client, labs.SERVER6) as six):
        until(lambda: lab.service(80)["state"] == "attack", 3, "attack")
        for n in range(N):
            # one whose SYN is answered under one policy, and whose ACK comes under the next
            slow = Talk(wire, pick.choice([labs.SERVER4, labs.SERVER6]), options=LINUX)
            slow.syn()
            slow.synack()
            done = policies.apply(lab, **some_policy(pick, n), check=False)
            assert done.returncode == 0, (seed, n, done.stderr)
            slow.send("A")
            slow.get()
            slow.reset()
            assert not four.errors + six.errors, (seed, n, four.errors, six.errors)
    assert not four.errors + six.errors, (seed, four.errors, six.errors)
    assert policies.generation(lab) == N + 1
    assert four.done > N / 2 and six.done > N / 2, (four.done, six.done)
    assert lab.count("syn_cookie") > 10_000
