# SPDX-License-Identifier: GPL-2.0-only
"""`make install` and `make uninstall`."""
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = os.environ.get("SYNSTILE_BUILD", ROOT / "build")


def make(*words):
    subprocess.run(["make", "-C", ROOT, "--no-print-directory", f"BUILD={BUILD}", *words], check=True,
                   stdout=subprocess.DEVNULL)


def files(top):
    return {str(p.relative_to(top)) for p in top.rglob("*") if not p.is_dir()}


def test_install_and_uninstall(tmp_path):
    where = [f"DESTDIR={tmp_path}", "PREFIX=/opt/s", "SYSTEMD=yes"]
    make("install", *where)
    there = files(tmp_path)
    assert {f"opt/s/{p}" for p in (
        "sbin/synstile", "lib/synstile/service-stop", "lib/synstile/instances",
        "lib/systemd/system/synstile@.service", "lib/systemd/system/synstile-web.service",
        "lib/sysusers.d/synstile.conf", "lib/tmpfiles.d/synstile.conf",
        "share/man/man8/synstile.8", "share/man/man5/synstile.yaml.5",
        "share/man/man5/synstile-events.5", "share/bash-completion/completions/synstile",
        "share/zsh/site-functions/_synstile", "share/doc/synstile/examples/policy.yaml")} <= there
    assert all(p.startswith("opt/s/") for p in there)
    unit = (tmp_path / "opt/s/lib/systemd/system/synstile@.service").read_text(encoding="utf-8")
    assert "ExecStart=/opt/s/sbin/synstile run" in unit and "=/opt/s/lib/synstile/service-stop" in unit
    for path in there:
        assert b"@SBINDIR@" not in (tmp_path / path).read_bytes(), path
    for name in ("sbin/synstile", "lib/synstile/instances", "lib/synstile/service-stop"):
        assert os.access(tmp_path / "opt/s" / name, os.X_OK), name
    program = tmp_path / "opt/s/sbin/synstile"
    assert subprocess.run([program, "version"], check=True).returncode == 0

    foreign = tmp_path / "opt/s/share/doc/synstile/mine"
    foreign.touch()
    make("uninstall", *where)
    assert files(tmp_path) == {str(foreign.relative_to(tmp_path))}
    foreign.unlink()
    make("uninstall", *where)  # once more harms nothing
    assert not [p for p in tmp_path.rglob("*synstile*")]


def test_without_systemd(tmp_path):
    where = [f"DESTDIR={tmp_path}", "SYSTEMD="]
    make("install", *where)
    assert "usr/local/sbin/synstile" in files(tmp_path)
    assert not [p for p in files(tmp_path) if "systemd" in p or ".d/" in p or "service" in p]
    make("uninstall", *where)
    assert not files(tmp_path)
