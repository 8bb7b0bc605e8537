# SPDX-License-Identifier: GPL-2.0-only
"""Completion in bash and zsh: everything that the program knows, and what the host has."""
import os
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("SYNSTILE_BUILD", ROOT / "build")) / "synstile"
COMPLETIONS = ROOT / "packaging" / "completions"
INTERFACES = set(os.listdir("/sys/class/net"))


def run(*args, **kw):
    return subprocess.run([str(a) for a in args], check=True, text=True, capture_output=True, **kw).stdout


def table(header, macro):
    """The names in an X-macro of include/synstile."""
    text = (ROOT / "include" / "synstile" / header).read_text(encoding="utf-8")
    body = text[text.index(f"#define {macro}(X)"):].split("\n\n")[0]
    return re.findall(r'X\(\w+, "([^"]+)"', body)


COMMANDS = re.findall(r"^  ([a-z]+) ", run(PROGRAM, "help").split("\n\n")[1], re.M)
EVENTS = table("event.h", "SYNSTILE_EVENTS")
STATES = [s for s in table("flow.h", "SYNSTILE_TCP_STATES") if s != "UNKNOWN"]


def options(command):
    """By the help: {option: what it takes, or None}."""
    found = {}
    for line in run(PROGRAM, "help", command).splitlines():
        match = re.match(r"  (?:(-\w), |    )(--[\w-]+)(?: (\S+))?(?:  |$)", line)
        if match:
            found.update({o: match[3] for o in match.groups()[:2] if o})
    return found


def bash(*words, env=None):
    script = (f"source {COMPLETIONS}/synstile.bash; COMP_WORDS=({shlex.join(words)}); "
              f"COMP_CWORD={len(words) - 1}; _synstile {PROGRAM}; "
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script], text=True, capture_output=True, check=True, env=env)
    assert not done.stderr
    return done.stdout.split()


def test_help_has_every_option():
    """... that the sources know: else neither people nor completion would."""
    for path in (ROOT / "user").glob("cmd_*.c"):
        names = re.findall(r'\{"([a-z-]+)", (?:required|no)_argument', path.read_text(encoding="utf-8"))
        for command in re.findall(r"^int cmd_(\w+)\(", path.read_text(encoding="utf-8"), re.M):
            if command in COMMANDS:
                assert {f"--{n}" for n in names} <= set(options(command)), command


def test_commands_and_options():
    assert len(COMMANDS) > 10 and bash("synstile", "") == COMMANDS
    assert bash("synstile", "help", "") == COMMANDS
    assert bash("synstile", "at") == ["attach"]
    for command in COMMANDS:
        assert set(bash("synstile", command, "-")) == set(options(command)), command


def test_values():
    for command in COMMANDS:
        for option, takes in options(command).items():
            if takes and re.fullmatch(r"[a-z]+(\|[a-z]+)+", takes):
                assert bash("synstile", command, option, "") == takes.split("|")
                if option.startswith("--"):
                    assert bash("synstile", command, option, "=", "") == takes.split("|")
    assert bash("synstile", "events", "--type", "") == EVENTS
    assert bash("synstile", "events", "-t", "lost,ret") == ["lost,retransmission"]
    assert bash("synstile", "conns", "--state", "") == STATES
    assert bash("synstile", "policy", "") == ["check", "show", "diff", "apply"]
    assert bash("synstile", "keys", "ro") == ["rotate"]


def test_what_the_host_has(tmp_path):
    for command in ("attach", "run", "detach", "doctor"):
        assert set(bash("synstile", command, "")) == INTERFACES, command
    assert set(bash("synstile", "attach", "x0", "--mode", "always", "")) == INTERFACES
    (tmp_path / "a policy.yaml").touch()
    assert " ".join(bash("synstile", "policy", "check", f"{tmp_path}/a")) == f"{tmp_path}/a policy.yaml"
    # without permission, or with nothing attached: nothing, and silently
    assert bash("synstile", "-n", "no-such", "conns", "--port", "") == []


def test_ports_of_services(tmp_path):
    """... are those that `status -j` shows."""
    fake = tmp_path / "synstile"
    fake.write_text('#!/bin/sh\ncase "$*" in\n'
                    '"-n blue status -j") echo \'{"services":[{"service":"web","port":80},'
                    '{"service": "ssh", "port": 22}, {"service": "many", "port": 0}]}\' ;;\n'
                    f'*) exec {PROGRAM} "$@" ;;\nesac\n', encoding="utf-8")
    fake.chmod(0o755)
    script = (f"source {COMPLETIONS}/synstile.bash; COMP_WORDS=(synstile -n blue conns -p ''); "
              f"COMP_CWORD=5; _synstile {fake}; echo ${{COMPREPLY[@]}}")
    assert run("bash", "-c", script).split() == ["80", "22"]


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh(tmp_path):
    run("zsh", "-n", COMPLETIONS / "synstile.zsh")
    shutil.copy(COMPLETIONS / "synstile.zsh", tmp_path / "_synstile")
    lines = ["synstile ", "synstile conns --", "synstile attach lo --mode ", "synstile events -t ",
             "synstile conns --state ", "synstile policy ", "synstile attach "]
    said = run("zsh", "-f", pathlib.Path(__file__).parent / "complete.zsh", tmp_path, PROGRAM, *lines)
    offered = dict(zip(lines, (part.split("\n", 1)[1] for part in said.split("== ")[1:])))

    def offers(line, words):
        missing = {w for w in words if not re.search(rf"(^|\s){re.escape(w)}(\s|$)", offered[line])}
        assert not missing, offered[line]

    offers("synstile ", COMMANDS)
    offers("synstile conns --", [o for o in options("conns") if o.startswith("--")])
    offers("synstile attach lo --mode ", ["observe", "auto", "always"])
    offers("synstile events -t ", EVENTS)
    offers("synstile conns --state ", STATES)
    offers("synstile policy ", ["check", "show", "diff", "apply"])
    offers("synstile attach ", INTERFACES)
