# SPDX-License-Identifier: GPL-2.0-only
"""The manual pages: well-formed, and they name every command, option, event and field that there is."""
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SYNSTILE_BUILD", ROOT / "build"))
PAGES = sorted(p.stem for p in (ROOT / "docs").glob("*.scd"))


def source(path):
    return (ROOT / path).read_text(encoding="utf-8")


def help_of(*command):
    return subprocess.run([BUILD / "synstile", "help", *command], check=True, text=True,
                          capture_output=True).stdout


def in_bold(page):
    """Every word of the page that is bold, as the name of something is."""
    return set(re.findall(r"[\w-]+", " ".join(re.findall(r"\*([^*\n]+)\*", source(f"docs/{page}.scd")))))


@pytest.mark.parametrize("page", PAGES)
def test_lint(page):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", BUILD / "man" / page], text=True,
                          capture_output=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_there_are_three():
    assert PAGES == ["synstile-events.5", "synstile.8", "synstile.yaml.5"]


def test_commands_and_options():
    manual = in_bold("synstile.8")
    commands = re.findall(r"^  ([a-z]+) ", help_of().split("\n\n")[1], re.M)
    assert len(commands) > 10 and not set(commands) - manual - {"version"}
    for command in commands:
        options = set(re.findall(r"^  (?:-\w, |    )(--[\w-]+)", help_of(command), re.M))
        assert not options - manual - {"--verbose", "--help"}, command


def x_macro(path, macro):
    body = source(path).split(f"#define {macro}(X)")[1].split("\n\n")[0]
    return set(re.findall(r'X\(\w+, "([^"]+)"', body))


def test_events():
    manual = in_bold("synstile-events.5")
    types = x_macro("include/synstile/event.h", "SYNSTILE_EVENTS")
    headings = re.findall(r"^## (.*)$", source("docs/synstile-events.5.scd"), re.M)
    assert types == set(", ".join(headings).split(", "))
    words = (x_macro("include/synstile/flow.h", "SYNSTILE_ENDS")
             | x_macro("include/synstile/flow.h", "SYNSTILE_ADMISSIONS")) - {"none", "unknown"}
    assert len(words) > 12 and not words - manual
    text = source("docs/synstile-events.5.scd")
    assert not {s for s in x_macro("include/synstile/flow.h", "SYNSTILE_TCP_STATES") if s not in text}
    names = source("user/event_names.c")
    for table in ("lost_names", "reason_names"):
        words = set(re.findall(r'"(\w+)"', names.split(f"{table}[")[1].split("};")[0]))
        assert len(words) > 2 and not words - manual, table


def test_fields_of_events():
    """Every key that the sources write into an event's JSON."""
    manual = in_bold("synstile-events.5")
    fields = set(re.findall(r'put_(?:number|word|name)\(l, "(\w+)"', source("user/event_json.c")))
    fields |= set(re.findall(r'\\"(\w+)\\":', source("user/event_json.c")))
    assert len(fields) > 30
    for path in ("user/attack_json.c", "user/event_stats.c"):
        for pack in re.findall(r"json_pack\((.*?)\);", source(path), re.S):
            # names follow the format and every value
            fields |= set(re.findall(r'"(\w+)"(?=,|\s)', re.sub(r'"\{[^"]*"', "", pack)))
    assert "spoofed_why" in fields and "interval_ms" in fields
    assert not fields - manual - {"attack", "TCP"}
