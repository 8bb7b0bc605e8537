# SPDX-License-Identifier: GPL-2.0-only
"""The page of `synstile web`, in a browser, beside a live lab: what it shows is what happens there.

Screenshots are kept in the build directory: web-calm.png, web-attack.png, web-flow.png and others.
"""
import os
import pathlib
import re
import signal
import socket
import time

import pytest

import browser as browsers
import lab as labs
import policies
from dropper import ACK, SYN
from netns import SLOW, at_last
from scripted import Connection
from truth import hosts
from web import Web

pytestmark = [
    pytest.mark.skipif(browsers.missing() is not None, reason=browsers.missing() or ""),
    pytest.mark.skipif(SLOW > 1, reason="no browser on an emulated machine"),
]
# A handshake that nobody completes ends soon; so does an attack.
POLICY = {"defaults": {"syn_timeout": {"calm": "15s", "attack": "3s"}, "hold": "1s"}}
STATE = "() => document.querySelector('#banner').dataset.state"


@pytest.fixture(scope="module")
def lab():
    with labs.Lab() as made:
        made.nginx()
        with hosts(made) as (made.dropper, made.listeners):
            made.attach("-P", policies.write(made, **POLICY))
            yield made


@pytest.fixture(scope="module")
def site(lab):
    with Web(lab.server.name) as web:
        yield web


@pytest.fixture(scope="module")
def driven():
    with browsers.Browser() as one:
        yield one


@pytest.fixture(scope="module")
def dashboard(driven, site):
    """Open while all tests run."""
    driven.open(site.url)
    driven.wait("() => document.querySelector('#banner').dataset.state !== 'wait'", seconds=10)
    return driven


@pytest.fixture
def page(dashboard, site):
    """The dashboard, in light colours and without a filter. It must neither complain nor ask
    anybody else for anything."""
    yield dashboard
    heard = dashboard.order("heard")
    assert not heard["troubles"]
    assert not [r for r in heard["requests"] if not r.startswith(site.url)]
    dashboard.order("scheme", scheme="light")
    dashboard.eval("""() => {
        document.querySelector('#flow').close();
        document.querySelector('#conns-form').reset();
        document.activeElement.blur();
        scrollTo(0, 0);
    }""")


def shot(page, name, **more):
    page.order("shot", path=str(labs.BUILD / f"web-{name}.png"), **more)


# --- the dashboard

TEXTS = """() => [...document.querySelectorAll('%s')].map((e) => e.textContent)"""


def test_it_shows_what_status_says(page, lab, site):
    page.wait("() => document.querySelectorAll('#services tbody tr').length >= 2")
    told = {s["service"] for s in lab.status()["services"]}
    shown = page.eval(TEXTS % "#services tbody th")
    assert {re.sub("^port ", "", s) for s in shown} == told
    assert page.text("#banner-state") == "CALM"
    assert page.eval("() => document.title").startswith("calm")
    assert len(page.eval(TEXTS % ".tile dt")) == 8
    assert f"{site.url}v1/live?services=200&half_open=200" in page.order("heard")["requests"]
    shot(page, "calm")
    page.order("scheme", scheme="dark")
    time.sleep(0.3)
    shot(page, "calm-dark")


def test_charts_begin_with_the_history_and_grow(page):
    points = "() => Number(document.documentElement.dataset.points)"
    first = page.wait(points)
    page.wait(f"(n) => ({points})() >= n + 2", first)
    drawn = """() => [...document.querySelectorAll('.plot canvas')].map((c) =>
        new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size)"""
    assert [n > 2 for n in page.eval(drawn)] == [True] * 3
    assert "now" in page.text(".chart figcaption .unseen")


def test_attack(page, lab):
    """The banner says so soon after attack_start, and says when it is over."""
    page.eval("""() => {
        const banner = document.querySelector('#banner');
        window.changes = [];
        new MutationObserver(() => window.changes.push([banner.dataset.state, Date.now()]))
            .observe(banner, {attributes: true, attributeFilter: ['data-state']});
    }""")
    with lab.flood(rate=20_000):
        page.wait("() => window.changes.some(([s]) => s === 'attack')", seconds=8)
        shown = page.eval("() => window.changes.find(([s]) => s === 'attack')[1]")
        started = next(s for s in (page.eval("""async () => (await (await fetch(
            '/v1/events?follow=0&backlog=100000&type=attack_start')).text()).split('\\n')""")) if s)
        started = page.eval("""(line) => Date.parse(JSON.parse(line).timestamp
            .replace(/(\\.\\d{3})\\d*/, '$1').replace('+0000', 'Z'))""", started)
        assert -100 < shown - started < 1000 * at_last(2)
        assert page.text("#banner-state") == "ATTACK on port 80"
        page.wait("() => /SYNs a second/.test(document.querySelector('#banner-why').textContent)")
        page.wait("() => /cookies/.test(document.querySelector('#half-empty').textContent) || "
                  "/cookies/.test(document.querySelector('#half-note').textContent)")
        page.wait("() => document.querySelector('#services td[data-level=attack]')")
        page.wait("() => [...document.querySelectorAll('#verdicts tbody th')]"
                  ".some((e) => e.textContent === 'syn_cookie')")
        time.sleep(1.5)  # for the picture
        shot(page, "attack")
        page.order("scheme", scheme="dark")
        time.sleep(0.3)
        shot(page, "attack-dark")


# --- one connection

class Followed:
    """A connection that is made step by step, and looked at in the dialog."""

    def __init__(self, lab, page):
        self.page = page
        self.c = Connection(lab, lab.dropper, lab.listeners, "client", socket.AF_INET, False)

    def row(self, table):
        """A selector of its row, once that is there."""
        source = "{}:{}".format(*self.c.ends["opener"])
        self.page.wait("([table, text]) => [...document.querySelectorAll(`${table} tbody tr`)]"
                       ".some((tr) => tr.textContent.includes(text))", [table, source])
        return f"{table} tbody tr:has-text('{source}')"

    def states(self, client, server, seconds=5):
        self.page.wait("""([client, server]) => [['client', client], ['server', server]].every(
            ([side, state]) => document.querySelector(`.${side} .node.present`)?.dataset.state
                === state)""", [client, server], seconds)

    def visited(self, side):
        return set(self.page.eval("""(side) => [...document.querySelectorAll(
            `.${side} .node.present, .${side} .node.visited`)].map((n) => n.dataset.state)""",
                                  side))


def test_half_open_row_appears_and_expires(page, lab):
    one = Followed(lab, page)
    one.c.lose("acceptor", flags=SYN | ACK)
    one.c.open()
    one.row("#half")
    one.c.close("opener")
    bar = "() => parseFloat(document.querySelector('#half .fill').style.width)"
    first = page.eval(bar)
    page.wait(f"(first) => ({bar})() > first + 5", first)
    shot(page, "half-open")
    page.wait("() => !document.querySelector('#half tbody tr')", seconds=20)
    assert not page.eval("() => document.querySelector('#half-empty').hidden")
    one.c.keep("acceptor")


def test_calm_again(page):
    page.wait(f"() => ({STATE})() === 'calm'", seconds=15)
    assert page.text("#banner-state") == "CALM"


def test_diagram_goes_through_all_states(page, lab):
    """By keyboard only: Enter on the half-open row, then the diagram follows to the end; Esc."""
    one = Followed(lab, page)
    one.c.lose("acceptor", flags=SYN | ACK)
    one.c.open()
    page.order("focus", at=one.row("#half"))
    page.order("press", key="Enter")
    page.wait("() => document.querySelector('#flow').open")
    one.states("SYN-SENT", "SYN-RECEIVED")
    one.c.keep("acceptor")
    one.states("ESTABLISHED", "ESTABLISHED", seconds=8)
    one.c.send("opener")
    one.c.receive("acceptor")
    one.c.finish("opener")
    one.states("FIN-WAIT-2", "CLOSE-WAIT")
    shot(page, "flow", full=False)
    one.c.finish("acceptor")
    one.states("TIME-WAIT", "CLOSED")
    assert one.visited("client") >= {"SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2",
                                     "TIME-WAIT"}
    assert one.visited("server") >= {"SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", "LAST-ACK",
                                     "CLOSED"}
    arrows = page.eval(TEXTS % "#flow-diagram .wire text")
    assert arrows.count("FIN") == 2 and {"SYN", "SYN-ACK", "ACK"} <= set(arrows)
    steps = page.eval(TEXTS % "#flow-steps li span:last-child")
    assert any("FIN-WAIT-1 → FIN-WAIT-2" in s for s in steps)
    assert "CLOSED" in page.text("#diagram-title")
    page.order("scheme", scheme="dark")
    time.sleep(0.3)
    shot(page, "flow-dark", full=False)
    page.order("press", key="Escape")
    page.wait("() => !document.querySelector('#flow').open")


def test_connections_are_found_and_chosen(page, lab):
    one = Followed(lab, page)
    one.c.open()
    page.order("fill", at="#conns-form [name=port]", text=str(one.c.ends["opener"][1]))
    page.order("click", at=one.row("#conns"))
    one.states("ESTABLISHED", "ESTABLISHED")
    assert str(one.c.ends["opener"][1]) in page.text("#flow-ends")
    one.c.reset("opener")
    one.states("CLOSED", "CLOSED")
    page.wait("() => /reset by the client/.test(document.querySelector('#flow-now').textContent)")
    page.order("click", at="#flow-close")


# --- for everybody

NAMELESS = """() => [...document.querySelectorAll('button, input, select, [role=region], section, '
        + 'dialog, [role=group], svg[role=img]')].filter((e) => {
    const by = (e.getAttribute('aria-labelledby') || '').split(' ')
        .map((id) => document.getElementById(id)?.textContent || '').join('');
    const label = e.labels?.[0]?.textContent || '';
    return !(e.getAttribute('aria-label') || by || label ||
        (e.tagName === 'BUTTON' && e.textContent)).trim();
}).map((e) => e.outerHTML.slice(0, 100))"""

# WCAG 2.1, 1.4.3: 4.5 to 1, or 3 to 1 where it is large
PALE = """() => {
    const parse = (c) => {
        const n = c.match(/[\\d.]+/g).map(Number);
        return c.startsWith('color(srgb') ? [...n.slice(0, 3).map((x) => x * 255), n[3] ?? 1]
            : [...n.slice(0, 3), n[3] ?? 1];
    };
    const light = (c) => {
        const [r, g, b] = c.map((x) => x / 255).map((x) =>
            x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (e) => {
        for (; e; e = e.parentElement) {
            const c = parse(getComputedStyle(e).backgroundColor);
            if (c[3] > 0.99) return c;
        }
        return [255, 255, 255, 1];
    };
    const bad = [];
    for (const e of document.querySelectorAll('body *')) {
        const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
        const box = e.getBoundingClientRect();
        if (!own || e.closest('svg, .unseen, .skip, [hidden], noscript') || box.width < 2) continue;
        const style = getComputedStyle(e);
        const a = light(parse(style.color).slice(0, 3)), b = light(ground(e).slice(0, 3));
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        const size = parseFloat(style.fontSize), bold = Number(style.fontWeight) >= 700;
        if (ratio < (size >= 24 || (bold && size >= 18.66) ? 3 : 4.5))
            bad.push(`${ratio.toFixed(2)} ${e.outerHTML.slice(0, 80)}`);
    }
    return bad;
}"""


def test_names_headings_and_contrast(page, lab):
    page.wait("() => document.querySelector('#services tbody tr')")
    assert page.eval(NAMELESS) == []
    assert page.eval("() => [...document.querySelectorAll('table')]"
                     ".every((t) => t.caption && t.querySelector('th[scope=col]'))")
    assert page.eval("() => ['header', 'main', 'footer', 'h1'].map((t) => "
                     "document.querySelectorAll(t).length)") == [1, 1, 1, 1]
    assert page.eval("() => document.querySelector('#banner-state').getAttribute('aria-live')") \
        == "polite"
    assert page.eval("() => document.documentElement.lang") == "en"
    for scheme in ("light", "dark"):
        page.order("scheme", scheme=scheme)
        time.sleep(0.5)
        assert page.eval(PALE) == [], scheme


def test_keyboard(page):
    """Tab comes past everything, in order, and what has the focus can be seen."""
    seen = []
    for _ in range(30):
        page.order("press", key="Tab")
        seen.append(page.eval("""() => {
            const e = document.activeElement, s = getComputedStyle(e);
            const shown = s.outlineStyle !== 'none' || e.matches('.choice input, .skip');
            return [e.id || e.getAttribute('name') || e.tagName, shown];
        }"""))
    assert [name for name, shown in seen if not shown and name != "BODY"] == []
    names = [name for name, _ in seen]
    wanted = ["skip", "theme", "span", "services", "half-filter", "host", "port", "state", "sort",
              "conns"]
    assert [n for n in names if n in wanted][:len(wanted)] == wanted


def test_theme_is_kept(page):
    ground = "() => getComputedStyle(document.body).backgroundColor"
    light = page.eval(ground)
    page.order("click", at="#theme")
    page.order("click", at="#theme")
    assert page.text("#theme") == "Theme: dark"
    assert page.eval(ground) != light
    page.eval("() => { document.documentElement.dataset.old = 1; location.reload(); }")
    page.wait("() => !document.documentElement.dataset.old && "
              "document.querySelector('#theme')?.textContent === 'Theme: dark' && "
              "document.querySelector('#banner').dataset.state !== 'wait'", seconds=10)
    assert page.eval(ground) != light
    page.order("click", at="#theme")
    assert page.text("#theme") == "Theme: auto"


def test_every_width(page):
    """From a telephone to 4K nothing sticks out to the side."""
    for width in (360, 768, 3840, 1280):
        page.order("size", width=width, height=900)
        time.sleep(0.3)
        assert page.eval("() => document.documentElement.scrollWidth <= innerWidth"), width
        if width == 360:
            shot(page, "360")


def test_agent_restarts(dashboard, lab):
    """Last. The page says that it has lost it and why, and goes on by itself."""
    pid = int(pathlib.Path(f"/run/synstile/ns-{lab.server.name}.pid").read_text())
    os.kill(pid, signal.SIGTERM)
    dashboard.wait("() => /agent does not run/.test(document.querySelector('#lost').textContent)",
                   seconds=10)
    assert not dashboard.eval("() => document.querySelector('#lost').hidden")
    assert dashboard.text("#banner-state") == "NOT KNOWN"  # rather than what it was last
    shot(dashboard, "lost")
    lab.attach("-P", policies.write(lab, **POLICY))
    dashboard.wait("() => document.querySelector('#lost').hidden", seconds=10)
    dashboard.wait(f"() => ({STATE})() === 'calm'")
