# SPDX-License-Identifier: GPL-2.0-only
"""Cookies that nobody was given: forged, altered, replayed elsewhere, too old.

All are dropped by name (cookie_invalid) and nothing comes back: no RST, so that a blind
sender learns nothing and the host reflects nothing.
"""
import random
import time

import pytest
from conftest import COOKIES

import lab as labs
from netns import until
from planted import BARE, LINUX
from wire import Talk, Wire

OPTIONS = pytest.mark.parametrize("options", [LINUX, BARE], ids=["timestamps", "bare"])
FAMILY = pytest.mark.parametrize("dst", [labs.SERVER4, labs.SERVER6], ids=["v4", "v6"])


@pytest.fixture(scope="module", params=COOKIES)
def always(request):
    with labs.Lab(offload=False) as lab:
        lab.nginx()
        lab.wire = Wire(lab.client)
        lab.cookies = request.param
        with lab.attached("--mode", "always", "--cookies", request.param):
            yield lab
        lab.wire.close()


def dropped(lab, talk, frames, seconds=0.3):
    """Send the frames: each is dropped as cookie_invalid, and nothing is answered."""
    before, finished = lab.count("cookie_invalid"), lab.count("finished")
    resets = lab.server.counters()["TcpOutRsts"]
    for frame in frames:
        lab.wire.send(frame)
    until(lambda: lab.count("cookie_invalid") - before >= len(frames), 3,
               f"{len(frames)} times cookie_invalid")
    assert not talk.answers(seconds)
    assert lab.count("cookie_invalid") - before == len(frames)
    assert lab.count("finished") == finished
    assert lab.server.counters()["TcpOutRsts"] == resets


@FAMILY
@OPTIONS
def test_forged(always, dst, options):
    """ACKs out of the blue, with and without data, keepalives, FINs."""
    rng = random.Random(4)
    talk = Talk(always.wire, dst, options=options)
    frames = []
    for n in range(100):
        ts = [("NOP", None), ("NOP", None),
              ("Timestamp", (rng.getrandbits(32), rng.getrandbits(32)))]
        frames.append(talk.frame(("A", "PA", "FA")[n % 3], b"GET" if n % 3 == 1 else b"",
                                 seq=rng.getrandbits(32), ack=rng.getrandbits(32),
                                 options=ts if n % 2 else []))
    dropped(always, talk, frames)


@FAMILY
@OPTIONS
def test_every_flipped_bit(always, dst, options):
    """One bit of the cookie wrong, or one of the client's own number (but for the low ones,
    which make it a keepalive or a later segment): refused. All right: accepted."""
    # The kernel's cookie has its MSS in the clear: four neighbours are all valid.
    lowest = 2 if always.cookies == "kernel" else 0
    talk = Talk(always.wire, dst, options=options)
    talk.syn()
    talk.synack()
    frames = [talk.segment("A", ack=talk.ack ^ 1 << bit) for bit in range(lowest, 32)]
    frames += [talk.segment("A", seq=talk.seq ^ 1 << bit) for bit in range(20, 32)]
    dropped(always, talk, frames)
    talk.send("A")
    talk.get()
    talk.reset()


@FAMILY
@OPTIONS
def test_replayed_elsewhere(always, dst, options):
    """A cookie is for one address, port and service only."""
    talk = Talk(always.wire, dst, options=options)
    talk.syn()
    talk.synack()
    host = int(talk.src.rsplit(":" if ":" in dst else ".", 1)[1], 16 if ":" in dst else 10)
    far = labs.WIRE6 if ":" in dst else labs.WIRE4
    for changed in ({"src": far.format(host % 200 + 20)}, {"sport": talk.sport + 1}):
        other = Talk(always.wire, dst, isn=talk.isn, options=options,
                     **{"src": talk.src, "sport": talk.sport, **changed})
        other.seq, other.ack, other.tsecr = talk.seq, talk.ack, talk.tsecr
        dropped(always, other, [other.segment("A"), other.segment("PA", b"GET")])
    talk.get()
    talk.reset()


@pytest.mark.parametrize("cookies", COOKIES)
def test_a_cookie_of_almost_a_minute_is_good(planted, cookies):
    plant = planted[cookies]
    until(lambda: len(plant.result) == len(plant.young), plant.LEAST + 20, "their turn", 0.5)
    assert plant.result == ["served"] * len(plant.young)


@pytest.mark.parametrize("cookies", COOKIES)
def test_an_expired_cookie_is_refused(planted, cookies):
    """Kernel cookies may live up to two of the kernel's 60 s counts, ours up to 130 s."""
    plant = planted[cookies]
    plant.lab.wire = plant.wires[1]
    time.sleep(max(0, plant.MOST - plant.age()))
    for talk in plant.old:
        dropped(plant.lab, talk, [talk.segment("A"), talk.segment("PA", b"GET")])
