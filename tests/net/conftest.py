# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of the network tests. Each test gets namespaces of its own.

Run by `sudo make test`, or: sudo /usr/bin/python3 -m pytest tests/net [-k NAME]
On a slow machine (an emulated kernel) set SYNSTILE_SLOW to the factor.
"""
import logging
import os
import pathlib
import platform
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
logging.getLogger("scapy").setLevel(logging.ERROR)

import lab as labs  # noqa: E402


def pytest_sessionstart(session):
    if os.geteuid() != 0:
        pytest.exit("tests/net builds network namespaces: run as root (sudo make test)", 1)
    missing = [str(p) for p in (labs.SYNSTILE, labs.FLOOD, labs.XDP_PASS) if not p.exists()]
    if missing and not os.environ.get("SYNSTILE_LAB_ONLY"):
        pytest.exit(f"not built: {', '.join(missing)}: run make first", 1)
    labs.sweep()


def kernel():
    """(major, minor) of the running kernel."""
    return tuple(int(n) for n in re.match(r"(\d+)\.(\d+)", platform.release()).groups())


COOKIE_KINDS = ["own", "kernel"] if kernel() >= (6, 9) else ["kernel"]
COOKIES = [pytest.param("own", marks=pytest.mark.skipif(
    "own" not in COOKIE_KINDS, reason="own cookies need bpf_sk_assign_tcp_reqsk (Linux 6.9)")),
    "kernel"]


@pytest.fixture
def lab():
    with labs.Lab() as made:
        yield made


@pytest.fixture
def make_lab():
    """A factory, for tests that need a special one: make_lab(mtu=9000)."""
    made = []

    def make(**kw):
        made.append(labs.Lab(**kw).__enter__())
        return made[-1]

    yield make
    for one in made:
        one.__exit__(None, None, None)


@pytest.fixture
def web(lab):
    """A lab with nginx on port 80."""
    lab.nginx()
    return lab


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """What synstile and the kernel counted, beside the failure."""
    report = (yield).get_result()
    if report.failed and call.when == "call":
        for one in labs.Lab.living:
            try:
                report.sections.append((f"lab {one.run}", one.describe()))
            except Exception as error:  # the report itself matters more
                report.sections.append((f"lab {one.run}", repr(error)))


def pytest_collection_modifyitems(items):
    """Tests that wait for cookies to grow old come last, so that the wait costs nothing."""
    items.sort(key=lambda item: "planted" in item.fixturenames)


@pytest.fixture(scope="session")
def planted():
    """{cookies: Planted} for each back end that this kernel has."""
    from planted import Planted
    made = {}
    try:
        for cookies in COOKIE_KINDS:
            made[cookies] = Planted(cookies)
        yield made
    finally:
        for one in made.values():
            one.close()


@pytest.fixture(scope="session", autouse=True)
def plant_early(request):
    if any("planted" in item.fixturenames for item in request.session.items):
        request.getfixturevalue("planted")
