# SPDX-License-Identifier: GPL-2.0-only
"""libxdp's dispatcher: xdp-filter (of xdp-tools) and synstile on one interface.

Needs a kernel with freplace: run by test-vm.sh, or where such a kernel runs, by
sudo /usr/bin/python3 -m pytest tests/vm
"""
import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "net"))

import clients  # noqa: E402
import lab as labs  # noqa: E402
import services  # noqa: E402

FILTERED = 81

pytestmark = pytest.mark.skipif(not shutil.which("xdp-filter", path="/usr/sbin:/sbin:/usr/bin"),
                                reason="needs xdp-tools")


class Filter:
    """xdp-filter on s0, dropping what goes to a port."""

    def __init__(self, lab):
        self.server = lab.server

    def attach(self):
        done = self.server.run("xdp-filter", "load", "--mode", "native", "--features", "tcp", "s0",
                               check=False)
        if "freplace" in done.stderr or "dispatcher" in done.stderr:
            pytest.skip("this kernel refuses libxdp's dispatcher: " + done.stderr.splitlines()[0])
        assert done.returncode == 0, done.stderr
        self.server.run("xdp-filter", "port", "--mode", "dst", "--proto", "tcp", FILTERED)

    def detach(self):
        self.server.run("xdp-filter", "unload", "s0")


class Synstile:
    def __init__(self, lab):
        self.lab = lab

    def attach(self):
        self.lab.attach("--mode", "always", "--ports", "80", ifaces=("s0",))
        assert self.lab.status()["interfaces"][0]["via"] == "libxdp"

    def detach(self):
        self.lab.synstile("detach", "s0")


def filtered(lab):
    with pytest.raises(TimeoutError):
        clients.connect(lab.client, labs.SERVER4, FILTERED, timeout=0.3).close()


def not_filtered(lab):
    clients.connect(lab.client, labs.SERVER4, FILTERED).close()


def answered(lab, n=5):
    before = lab.count("syn_cookie")
    times, errors = clients.get_many(lab.client, labs.SERVER4, n)
    assert len(times) == n, errors
    assert lab.count("syn_cookie") - before >= n


def served(lab, n=5):
    times, errors = clients.get_many(lab.client, labs.SERVER4, n)
    assert len(times) == n, errors


@pytest.fixture
def lab():
    with labs.Lab() as made:
        made.nginx()
        made.serve(services.Echo(FILTERED))
        try:
            yield made
        finally:
            made.server.run("xdp-filter", "unload", "--all", check=False)


@pytest.mark.parametrize("last_out", ["filter", "synstile"])
@pytest.mark.parametrize("first_in", ["filter", "synstile"])
def test_both_on_one_interface(lab, first_in, last_out):
    parts = {"filter": Filter(lab), "synstile": Synstile(lab)}
    order = sorted(parts, key=lambda name: name != first_in)
    not_filtered(lab)
    for name in order:
        parts[name].attach()
    filtered(lab)
    answered(lab)

    first_out = next(name for name in parts if name != last_out)
    parts[first_out].detach()
    if last_out == "synstile":
        answered(lab)
        not_filtered(lab)
    else:
        filtered(lab)
        served(lab)

    parts[last_out].detach()
    served(lab)
    not_filtered(lab)
    assert "xdp" not in lab.server.run("ip", "link", "show", "s0").stdout
