# SPDX-License-Identifier: GPL-2.0-only
"""`make deb`: lintian has nothing against the package; installing it attaches nothing; an upgrade
leaves protection on; removing it takes everything off, and a purge leaves nothing."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "net"))

import clients  # noqa: E402
import lab as labs  # noqa: E402
from machine import Machine  # noqa: E402
from netns import sh, until  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can install a package")


@pytest.fixture(scope="module")
def deb():
    made = subprocess.run(["make", "-C", ROOT, "--no-print-directory", f"BUILD={labs.BUILD}", "deb"],
                          text=True, capture_output=True,
                          env={**os.environ, "DEB_BUILD_OPTIONS": "noautodbgsym"})
    assert made.returncode == 0, made.stdout + made.stderr
    return made.stdout.split()[-1]


@pytest.fixture(scope="module")
def next_deb(deb, tmp_path_factory):
    """The same, as a later version."""
    tmp = tmp_path_factory.mktemp("next")
    sh("dpkg-deb", "-R", deb, tmp / "tree")
    control = tmp / "tree" / "DEBIAN" / "control"
    text = control.read_text(encoding="utf-8")
    version = next(x for x in text.splitlines() if x.startswith("Version:"))
    control.write_text(text.replace(version, version + "+next"), encoding="utf-8")
    sh("dpkg-deb", "--root-owner-group", "-b", tmp / "tree", tmp / "next.deb")
    shutil.rmtree(tmp / "tree")
    return tmp / "next.deb"


@pytest.fixture
def web():
    with labs.Lab() as made:
        made.nginx()
        yield made


def test_lintian(deb):
    done = sh("lintian", "--fail-on", "error,warning", deb, check=False)
    assert done.returncode == 0, done.stdout
    overrides = sh("dpkg", "-c", deb).stdout
    assert "lintian/overrides" not in overrides


class Clients(threading.Thread):
    """One after the other until stop(); self.failed."""

    def __init__(self, lab):
        super().__init__()
        self.lab, self.over, self.served, self.failed = lab, threading.Event(), 0, []
        self.start()

    def run(self):
        while not self.over.is_set():
            times, errors = clients.get_many(self.lab.client, labs.SERVER4, 5, src="fresh")
            self.served += len(times)
            self.failed += errors

    def stop(self):
        self.over.set()
        self.join()


def status(machine, ns):
    return json.loads(machine.run("synstile", *ns, "status", "-j").stdout)


def programs(lab):
    return [x["xdp"]["prog"]["id"] for x in
            json.loads(lab.server.run("ip", "-j", "-d", "link").stdout) if "xdp" in x]


def test_life_of_the_package(deb, next_deb, web, tmp_path):
    ns, pins = ["-n", web.server.name], pathlib.Path(f"/sys/fs/bpf/synstile/ns-{web.server.name}")
    before = web.snapshot()
    with Machine(tmp_path / "machine") as machine:
        clean = set(machine.find("-name", "*synstile*"))
        machine.run("dpkg", "--no-triggers", "-i", machine.copy(deb))
        assert not pins.exists() and not web.synstile_pids() and not programs(web)
        assert machine.run("getent", "group", "synstile").returncode == 0
        assert machine.run("synstile", "policy", "check").returncode == 0
        assert machine.run("stat", "-c%a %U", "/run/synstile", "/var/lib/synstile").stdout == \
            "755 root\n700 root\n"

        machine.run("synstile", *ns, "attach", "s0", "s1", "--mode", "always", "--xdp", "native")
        agent, ids = status(machine, ns)["agent"]["pid"], programs(web)
        assert machine.run("stat", "-c%a %G", f"/run/synstile/ns-{web.server.name}.sock").stdout == \
            "660 synstile\n"
        held = clients.connect(web.client, labs.SERVER4, 80)
        flow = [c["flow_id"] for c in status_conns(machine, ns)]
        crowd = Clients(web)
        try:
            until(lambda: crowd.served >= 5, 10, "clients are served")
            machine.run("dpkg", "--no-triggers", "-i", machine.copy(next_deb))
            served = crowd.served
            until(lambda: crowd.served >= served + 10, 10, "they go on being served")
        finally:
            crowd.stop()
        assert not crowd.failed
        now = status(machine, ns)["agent"]
        assert now["running"] and now["pid"] != agent
        assert os.readlink(f"/proc/{now['pid']}/exe").endswith("/usr/sbin/synstile")
        assert programs(web) == ids and len(ids) == 2  # never off
        assert set(flow) <= {c["flow_id"] for c in status_conns(machine, ns)}
        held.close()

        # a policy that was edited stays when the package is removed, and goes with a purge
        machine.run("sh", "-c", "echo '# mine' >>/etc/synstile/policy.yaml")
        machine.run("dpkg", "--no-triggers", "-r", "synstile")
        until(lambda: not web.synstile_pids(), 5, "the agent ends")
        assert not pins.exists() and not programs(web)
        assert "# mine" in machine.read("/etc/synstile/policy.yaml")
        machine.run("dpkg", "--no-triggers", "-P", "synstile")
        left = set(machine.find("-name", "*synstile*")) - clean
        assert {p for p in left if not p.startswith("/root/")} == set()
    after = web.snapshot()
    assert {k: v for k, v in after.items() if v != before[k]} == {}
    times, errors = clients.get_many(web.client, labs.SERVER4, 3, src="fresh")
    assert len(times) == 3, errors


def status_conns(machine, ns):
    return json.loads(machine.run("synstile", *ns, "conns", "-j").stdout)["connections"]
