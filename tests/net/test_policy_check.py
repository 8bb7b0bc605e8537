# SPDX-License-Identifier: GPL-2.0-only
"""`synstile policy check` as anybody may run it, and what the policy commands say when nothing runs."""
import json
import pathlib
import pwd
import shutil
import stat
import subprocess
import tempfile

import pytest

import lab as labs

UNIT = pathlib.Path(labs.ROOT) / "tests" / "unit" / "policy"
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def open_dir():
    """A directory that everybody can enter, with the program in it."""
    with tempfile.TemporaryDirectory(prefix="synstile-policy-") as name:
        path = pathlib.Path(name)
        path.chmod(0o755)
        shutil.copy(labs.SYNSTILE, path)
        yield path


def nobody(open_dir, *args, stdin=""):
    return subprocess.run([open_dir / "synstile", "policy", *args], cwd=open_dir, input=stdin,
                          user=NOBODY.pw_uid, group=NOBODY.pw_gid, extra_groups=[],
                          capture_output=True, text=True, timeout=30)


def test_anybody_can_check(open_dir):
    shutil.copytree(UNIT / "good", open_dir / "good")
    done = nobody(open_dir, "check", "good/design.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "good/design.yaml: ok: 2 services, 1 allowed and 2 denied prefixes\n"
    done = nobody(open_dir, "check", "good/everything.yaml", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "file": "good/everything.yaml", "ok": True, "errors": [], "warnings": [],
        "services": 1, "allow": 2, "deny": 5}


def test_all_errors_at_once(open_dir):
    shutil.copy(UNIT / "bad" / "many.yaml", open_dir)
    expected = (UNIT / "bad" / "many.err").read_text()
    done = nobody(open_dir, "check", "many.yaml")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", expected)
    done = nobody(open_dir, "check", "-j", "many.yaml")
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout) == {
        "file": "many.yaml", "ok": False, "errors": expected.splitlines()}


def test_what_cannot_be_read(open_dir):
    done = nobody(open_dir, "check", "nowhere.yaml")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "synstile: nowhere.yaml: No such file or directory\n"
    done = nobody(open_dir, "check", "nowhere.yaml", "-j")
    assert done.returncode == 1
    assert json.loads(done.stdout)["errors"] == ["nowhere.yaml: No such file or directory"]
    secret = open_dir / "secret.yaml"
    secret.write_text("version: 1\n")
    secret.chmod(0o600)
    done = nobody(open_dir, "check", "secret.yaml")
    assert (done.returncode, done.stderr) == (1, "synstile: secret.yaml: Permission denied\n")


def test_a_pipe_can_be_checked(open_dir):
    done = subprocess.run([open_dir / "synstile", "policy", "check", "/dev/stdin"], text=True,
                          input="version: 1\n", capture_output=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")


def test_doubts(open_dir):
    """What is no error, and yet hardly meant."""
    policy = open_dir / "policy.yaml"
    policy.write_text('version: 1\nsources: { allow: [ "::/0", 10.0.0.0/8 ],\n'
                      '  deny: [ 0.0.0.0/0, 10.1.0.0/16, "2001:db8::/32" ] }\n')
    policy.chmod(0o646)
    done = nobody(open_dir, "check", "policy.yaml")
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "synstile: policy.yaml: everybody may write it; chmod o-w",
        "synstile: policy.yaml:3:11: 0.0.0.0/0: every client of this family is denied",
        "synstile: policy.yaml:2:21: ::/0: every client of this family passes, whatever comes",
        "synstile: policy.yaml:3:22: 10.1.0.0/16 is not denied: it lies in 10.0.0.0/8, which is "
        "allowed (policy.yaml:2:29)",
        "synstile: policy.yaml:3:35: 2001:db8::/32 is not denied: it lies in ::/0, which is "
        "allowed (policy.yaml:2:21)"]
    policy.chmod(stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
    assert "everybody" not in nobody(open_dir, "check", "policy.yaml").stderr


@pytest.mark.parametrize("args", [(), ("chekc",), ("check", "a", "b"), ("show", "a"), ("--nope",)])
def test_usage(open_dir, args):
    done = nobody(open_dir, *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert "synstile policy --help" in done.stderr


def test_anybody_may_ask_but_there_is_no_agent(open_dir):
    done = nobody(open_dir, "show")
    assert done.returncode == 1
    assert "the agent does not run" in done.stderr


def test_nothing_runs(lab, tmp_path):
    """The file is judged first; then there is nothing to ask."""
    (tmp_path / "good.yaml").write_text("version: 1\n")
    (tmp_path / "bad.yaml").write_text("version: 1\nmode: auto\n")
    for action in ("diff", "apply"):
        done = lab.synstile("policy", action, tmp_path / "good.yaml", check=False)
        assert (done.returncode, done.stdout) == (3, "")
        done = lab.synstile("policy", action, tmp_path / "bad.yaml", check=False)
        assert done.returncode == 1
        assert done.stderr.startswith(f'{tmp_path}/bad.yaml:2:1: unknown key "mode"')
    assert lab.synstile("policy", "show", check=False).returncode == 3
