# SPDX-License-Identifier: GPL-2.0-only
"""What the documents say of each other and of the source, and the pictures in them."""
import collections
import re
import subprocess
import sys
import xml.etree.ElementTree as xml

import pytest

import ansi_svg
import lab as labs

PAGES = [labs.ROOT / "README.md", *sorted(labs.ROOT.glob("docs/*.md"))]
GENERATOR = labs.ROOT / "docs/operations.py"


def heading_id(line):
    """As the forges make it."""
    words = re.sub(r"[^\w\- ]", "", re.sub(r"`|\*", "", line.lstrip("# ").lower()))
    return words.replace(" ", "-")


def headings(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.S | re.M)
    return {heading_id(line) for line in re.findall(r"^#+ .*", text, re.M)}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links(page):
    """Every link to a file or a heading of ours leads somewhere."""
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"\w+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or anchor and anchor not in headings(path):
            dead.append(target)
    assert not dead


def operations(*args):
    return subprocess.run([sys.executable, GENERATOR, *args], text=True, capture_output=True)


def test_tables_are_those_of_the_source():
    """docs/operations.md has every verdict, oddity and event as the headers have them."""
    done = operations("--check")
    assert done.returncode == 0, done.stderr
    text = (labs.ROOT / "docs/operations.md").read_text()
    for header in ("verdict", "oddity", "event"):
        source = (labs.ROOT / f"include/synstile/{header}.h").read_text()
        names = re.findall(r'^\tX\(\w+, (?:\w+, )?"(\w+)"', source, re.M)
        assert len(names) > 5 and all(f"\n| `{name}` | " in text for name in names)


def test_a_verdict_without_advice_is_an_error(tmp_path):
    """In a copy of the tree: one more verdict, and one that is no more."""
    for name in ("docs", "include/synstile"):
        (tmp_path / name).mkdir(parents=True)
    for path in [GENERATOR, labs.ROOT / "docs/operations.md",
                 *(labs.ROOT / "include/synstile").glob("*.h")]:
        (tmp_path / path.relative_to(labs.ROOT)).write_text(path.read_text())
    header, copy = tmp_path / "include/synstile/verdict.h", tmp_path / "docs/operations.py"
    text = header.read_text()

    def generator():
        done = subprocess.run([sys.executable, copy, "--check"], text=True, capture_output=True)
        return done.returncode, done.stderr

    assert generator() == (0, "")
    header.write_text(text.replace("X(OTHER,", 'X(NEWS, DROP, "news", "new") X(OTHER,'))
    assert generator()[0] == 1 and 'verdict "news": say in' in generator()[1]
    header.write_text(text.replace('"rst_held"', '"held"').replace("RST_HELD", "HELD"))
    assert generator()[0] == 1
    header.write_text(text.replace("not TCP over IPv4 or IPv6", "neither"))
    assert generator()[0] == 1 and "+| `other` | passed | neither |" in generator()[1]


SCREEN = """\
\x1b[1;37;41m ATTACK \x1b[0m since \x1b[38;5;208m12 s\x1b[39m <&>
┌─⣿▄╌┐\x1b[7mreverse
still\x1b[0m  gap   here\x0elqk\x0f
"""


def test_terminal_to_picture():
    """Letters stay letters, at the place of their cells; the rest is drawn; colours are kept."""
    root = xml.fromstring(ansi_svg.svg(SCREEN, 30, 3, "a title"))
    space = "{http://www.w3.org/2000/svg}"
    letters = {t.text: t for t in root.iter(f"{space}text")}
    assert set(letters) == {"ATTACK", "since", "12 s", "<&>", "reverse", "still", "gap", "here"}
    assert letters["ATTACK"].get("fill") == ansi_svg.PALETTE[7]
    assert letters["ATTACK"].get("font-weight") == "bold"
    assert letters["12 s"].get("fill") == "#ff8700"
    assert letters["still"].get("fill") == ansi_svg.BACKGROUND  # reversed, over the line's end
    assert letters["gap"].get("fill") == ansi_svg.FOREGROUND
    column = (float(letters["here"].get("x")) - ansi_svg.PAD) / ansi_svg.WIDTH
    assert column == pytest.approx(len("still  gap   "), abs=0.01)
    paths = collections.Counter()
    for path in root.iter(f"{space}path"):
        paths[path.get("fill")] += path.get("d").count("M")
    assert ansi_svg.PALETTE[1] in paths  # behind ATTACK
    boxes = 2 + 2 + 8 + 1 + 2 + 2 + 2 + 2 + 2  # ┌ ─ ⣿ ▄ ╌ ┐, and ┌ ─ ┐ of the alternate characters
    assert paths[ansi_svg.FOREGROUND] == boxes + 2  # and behind what is reversed


def test_pictures_are_small():
    for picture in labs.ROOT.glob("docs/*.[sp][vn]g"):
        assert picture.stat().st_size < 200_000, picture


def test_every_alert_is_explained():
    rules = (labs.ROOT / "packaging/prometheus/synstile.rules.yml").read_text()
    text = (labs.ROOT / "docs/operations.md").read_text()
    alerts = set(re.findall(r"alert: (\w+)", rules))
    assert alerts and set(re.findall(r"`(Synstile\w+)`", text)) == alerts


def test_every_metric_exists():
    """That the documents name."""
    source = "".join(p.read_text() for p in (labs.ROOT / "user").glob("metrics*.c"))
    for page in PAGES:
        for name in re.findall(r"`(synstile_[a-z_]+)", page.read_text()):
            assert f'"{name}"' in source, f"{page.name}: {name}"
