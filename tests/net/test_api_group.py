# SPDX-License-Identifier: GPL-2.0-only
"""Who may ask the agent: the group synstile reads, root alone changes, all others are told what to
do."""
import contextlib
import fcntl
import grp
import json
import os
import pathlib
import pwd
import re
import stat
import subprocess

import pytest

import api
import clients
import lab as labs
from netns import sh, until
from web import Web

GROUP = "synstile"
LOCK = "/run/lock/synstile-test-group"


def exists(find, name):
    try:
        return find(name)
    except KeyError:
        return None


@contextlib.contextmanager
def group():
    """The group, for as long as it is needed, unless the machine has it anyway."""
    with open(LOCK, "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run may be making it
        made = not exists(grp.getgrnam, GROUP)
        if made:
            sh("groupadd", "--system", GROUP)
        try:
            yield
        finally:
            if made:
                sh("groupdel", GROUP, check=False)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(LOCK)


@contextlib.contextmanager
def user(name, *groups):
    sh("useradd", "--system", "--no-create-home", "--shell", "/bin/sh", "--no-user-group",
       "-g", "nogroup", *(("-G", ",".join(groups)) if groups else ()), name)
    try:
        yield name
    finally:
        sh("userdel", name, check=False)


@pytest.fixture(scope="module")
def shared():
    """A lab with an agent that found the group; users in it and not in it."""
    run = os.getpid()
    with group(), user(f"st{run}in", GROUP) as member, user(f"st{run}out") as other, \
            labs.Lab() as lab:
        lab.member, lab.other = member, other
        lab.nginx()
        lab.attach()
        lab.api = api.Api(lab)
        yield lab


def run_as(lab, name, *words, check=True, **kw):
    """A command as this user, with the groups of a login; the build must be readable."""
    done = subprocess.run(["setpriv", "--reuid", name, "--regid", "nogroup", "--init-groups",
                           *map(str, words)], capture_output=True, text=True, timeout=60,
                          cwd="/", check=False, **kw)
    assert not check or done.returncode == 0, done.stderr
    return done


def synstile_as(lab, name, *args, **kw):
    return run_as(lab, name, labs.SYNSTILE, "-n", lab.server.name, *args, **kw)


def test_the_socket(shared):
    found = os.stat(shared.api.path)
    assert stat.S_IMODE(found.st_mode) == 0o660
    assert found.st_uid == 0 and found.st_gid == grp.getgrnam(GROUP).gr_gid
    assert stat.S_IMODE(os.stat("/run/synstile").st_mode) == 0o755


def test_member_reads(shared):
    lab = shared
    with clients.connect(lab.client, labs.SERVER4):
        until(lambda: lab.api.get("/v1/conns")["total"], 5, "it is followed")
        mine = json.loads(synstile_as(lab, lab.member, "status", "-j").stdout)
        api.check("status", mine)
        assert mine["agent"] == lab.status()["agent"]
        assert "ESTABLISHED" in synstile_as(lab, lab.member, "conns").stdout
        assert synstile_as(lab, lab.member, "conns", "--half-open").returncode == 0
    events = synstile_as(lab, lab.member, "events", "-j").stdout.splitlines()
    assert any("ESTABLISHED" in line for line in events)
    assert "signing" in synstile_as(lab, lab.member, "keys", "list").stdout or \
        "no keys" in synstile_as(lab, lab.member, "keys", "list").stdout
    assert "mode: auto" in synstile_as(lab, lab.member, "policy", "show").stdout
    top = synstile_as(lab, lab.member, "top", "--once").stdout
    assert "CALM" in top.upper()
    curl = run_as(lab, lab.member, "curl", "-s", "--unix-socket", lab.api.path,
                  "http://localhost/v1/services")
    assert api.check("services", json.loads(curl.stdout))["services"][0]["service"] == "80"


def test_member_serves_the_page(shared):
    lab = shared
    prefix = ("setpriv", "--reuid", lab.member, "--regid", "nogroup", "--init-groups")
    with Web(lab.server.name, prefix=prefix) as web:
        uids = re.search(r"^Uid:\s+(\d+)", pathlib.Path(f"/proc/{web.pid}/status").read_text(),
                         re.M)
        assert int(uids[1]) == pwd.getpwnam(lab.member).pw_uid
        answer = sh("curl", "-s", f"http://{web.host}:{web.port}/v1/status").stdout
        assert json.loads(answer)["instance"] == f"ns-{lab.server.name}"


def test_member_changes_nothing(shared, tmp_path):
    lab = shared
    before = lab.api.get("/v1/policy")["generation"], lab.api.get("/v1/keys")["keys"][:1]
    for method, path in (("PUT", "/v1/policy"), ("POST", "/v1/keys/rotate"),
                         ("PUT", "/v1/policy?dry_run=1")):
        done = run_as(lab, lab.member, "curl", "-s", "-X", method, "-d", "{}", "-w", "%{http_code}",
                      "--unix-socket", lab.api.path, f"http://localhost{path}")
        assert done.stdout.endswith("403"), done.stdout
        assert "sudo" in api.check("error", json.loads(done.stdout[:-3]))["hint"]
    done = synstile_as(lab, lab.member, "keys", "rotate", check=False)
    assert done.returncode == 1 and "only root" in done.stderr and "sudo" in done.stderr
    # a body that root might send is not even waited for
    big = tmp_path / "big"
    tmp_path.chmod(0o755)
    big.write_bytes(b"x" * 200_000)
    done = run_as(lab, lab.member, "curl", "-s", "-X", "PUT", "-H", "Expect:", "--data-binary",
                  f"@{big}", "--unix-socket", lab.api.path, "http://localhost/v1/policy",
                  check=False)
    assert done.returncode or api.check("error", json.loads(done.stdout))
    after = lab.api.get("/v1/policy")["generation"], lab.api.get("/v1/keys")["keys"][:1]
    assert after[0] == before[0] and [k["id"] for k in after[1]] == [k["id"] for k in before[1]]


@pytest.mark.parametrize("command", [
    ("status",), ("status", "-j"), ("conns",), ("conns", "-j"), ("events",), ("keys", "list"),
    ("policy", "show"), ("top", "--once"), ("web",)])
def test_others_are_told_what_to_do(shared, command):
    lab = shared
    done = synstile_as(lab, lab.other, *command, check=False)
    assert done.returncode == 1, done
    assert f"permission denied: {lab.api.path} is for root and group synstile" in done.stderr
    assert "usermod -aG synstile" in done.stderr and not done.stdout
    curl = run_as(lab, lab.other, "curl", "-s", "--unix-socket", lab.api.path, "http://localhost/",
                  check=False)
    assert curl.returncode == 7


def test_without_agent(shared):
    """Who is not root cannot look into the maps, and is told how the agent comes back."""
    lab = shared
    name = lab.server.name + "x"
    done = run_as(lab, lab.member, labs.SYNSTILE, "-n", name, "status", check=False)
    assert done.returncode == 1 and f'no network namespace "{name}"' in done.stderr
    done = run_as(lab, lab.member, labs.SYNSTILE, "-n", lab.client.name, "status", check=False)
    assert done.returncode == 3 and "agent does not run" in done.stderr
    for command in ("attach", "detach"):
        done = synstile_as(lab, lab.member, command, "s0", check=False)
        assert done.returncode == 1 and "root" in done.stderr
