# SPDX-License-Identifier: GPL-2.0-only
"""The systemd units: `run`, a policy, and `detach` do all of their work within what
synstile@.service allows; stop takes protection off and restart does not."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

import clients
import lab as labs
from netns import patience, sh, until
from sandbox import Sandbox

UNITS = labs.ROOT / "packaging" / "systemd"
POLICY = """version: 1
sources: { deny: [ 203.0.113.0/24 ] }
kernel: { tcp_max_syn_backlog: 16384, somaxconn: 16384 }
"""

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"),
                                   reason="systemd-analyze is not installed")


@pytest.fixture
def made(tmp_path):
    """The units and their script, as `make install` writes them, with the program under test."""
    program = shutil.copy(labs.SYNSTILE, tmp_path / "synstile")  # may be in a home, out of sight
    for path in UNITS.glob("*.in"):
        text = path.read_text(encoding="utf-8")
        text = text.replace("@SBINDIR@", str(tmp_path)).replace("@LIBDIR@", str(tmp_path))
        made = tmp_path / path.stem.replace("@.", "@eth0.")
        made.write_text(text, encoding="utf-8")
        made.chmod(path.stat().st_mode)
    return program, tmp_path


@needs_systemd
@pytest.mark.parametrize("unit,most", [("synstile@eth0.service", 3.0), ("synstile-web.service", 2.0)])
def test_exposure(made, unit, most):
    done = sh("systemd-analyze", "verify", "--man=no", made[1] / unit, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    done = sh("systemd-analyze", "security", "--offline=true", f"--threshold={int(most * 10)}",
              made[1] / unit, check=False)
    assert done.returncode == 0, done.stdout


@needs_systemd
def test_work_is_done_within_the_sandbox(web, made):
    program, scratch = made
    box = Sandbox(scratch / "synstile@eth0.service", scratch)
    before = web.snapshot()
    ns = ["-n", web.server.name]

    # it is one
    for path in ("/etc/x", "/usr/x", "/run/x", "/proc/sys/vm/x", "/sys/kernel/x"):
        done = sh(*box.command("sh", "-c", f": > {path}"), check=False)
        assert done.returncode and not os.path.exists(path), done
    for path in scratch.glob("strace.*"):
        path.unlink()
    # the host's namespace is recognised as it is outside
    outside, inside = (sh(*c, program, "status", check=False)
                       for c in ([], box.command()))
    assert (inside.returncode, inside.stderr) == (outside.returncode, outside.stderr)

    policy = scratch / "policy.yaml"
    policy.write_text(POLICY, encoding="utf-8")
    said = open(scratch / "said", "w+", encoding="utf-8")
    run = subprocess.Popen(box.command(program, *ns, "run", "s0", "s1", "--xdp", "native", "--policy",
                                       policy, "--mode", "always"), stdout=said, stderr=said)
    try:
        until(lambda: run.poll() is not None or web.synstile("status", check=False).returncode == 0
              and web.status()["ready"] and web.status()["agent"]["running"], 20, "it runs")
        assert run.poll() is None, pathlib.Path(said.name).read_text(encoding="utf-8")
        assert web.server.sysctl("net.core.somaxconn") == "16384"
        times, errors = clients.get_many(web.client, labs.SERVER4, 5, src="fresh")
        assert len(times) == 5, errors
        policy.write_text(POLICY.replace("16384", "20000"), encoding="utf-8")
        os.kill(web.status()["agent"]["pid"], signal.SIGHUP)
        until(lambda: "20000" in web.synstile("policy", "show").stdout, 10, "it reloads")
        web.synstile("conns", "--half-open")
        with web.flood(rate=20_000):
            until(lambda: json.loads(web.synstile("status", "-j").stdout), 5, "it answers")
        done = sh(*box.command(program, *ns, "detach", "--all"), check=False)
        assert done.returncode == 0, done.stderr
        assert run.wait(patience(10)) == 0
    finally:
        run.kill()
        said.close()
        for path in ("/run/synstile", "/var/lib/synstile"):
            with contextlib.suppress(OSError):  # that of another test at work
                os.rmdir(path)
    after = web.snapshot()
    assert {k: v for k, v in after.items() if v != before[k]} == {}
    assert not box.refused()
    assert "bpf" in {name for name, _ in box.calls()}  # it was watched


FAKE_SYSTEMCTL = """#!/bin/sh
[ "$1" = list-jobs ] || exit 1
cat <<END
{jobs}
END
"""


@pytest.mark.parametrize("jobs,detached", [
    ("12 nginx.service restart waiting\n13 synstile@eth0.service restart running", False),
    ("13 synstile@eth0.service stop running", True),
    ("13 synstile@eth1.service restart running\n14 synstile@eth0.service stop running", True),
    ("", True),
    (None, True)])
def test_stop_detaches_and_restart_does_not(made, jobs, detached):
    scratch = made[1]
    for name, text in (("systemctl", FAKE_SYSTEMCTL.format(jobs=jobs) if jobs is not None
                        else "#!/bin/sh\nexit 1\n"),
                       ("synstile", '#!/bin/sh\necho "$@" >"${0%/*}/called"\nexit 3\n')):
        (scratch / name).unlink(missing_ok=True)
        (scratch / name).write_text(text, encoding="utf-8")
        (scratch / name).chmod(0o755)
    done = sh(scratch / "service-stop", "synstile@eth0.service", check=False,
              env={**os.environ, "PATH": f"{scratch}:{os.environ['PATH']}"})
    assert done.returncode == 0, done  # also if there is nothing to detach any more
    assert (scratch / "called").exists() == detached
    if detached:
        assert (scratch / "called").read_text() == "detach --all\n"
