#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Writes the tables of docs/operations.md: what each verdict, oddity and event means.

Names and meanings come from the X-macros in include/synstile, read by the C preprocessor; what an
operator does about each one stands here. One without advice, or advice for what does not exist, is
an error. The rest of the page is written by hand: only what is between the markers is replaced.

Usage: operations.py [--check]
"""
import difflib
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/operations.md"

NOTHING = "Nothing."
SENDER = "Nothing: no working client sends this. `synstile events -t verdict` shows samples."

VERDICTS = {
    "other": NOTHING,
    "fragment": NOTHING,
    "routed": NOTHING,
    "not_service": "Nothing; if it should have been protected, see *A service is not protected*.",
    "known": NOTHING,
    "syn_known": "Nothing. Many: clients do not hear the SYN-ACKs (`conns --half-open`), or reuse"
                 " their ports quickly.",
    "half_open": NOTHING,
    "handshake": NOTHING,
    "adopted": "Nothing. Growing all the time: the flow table is full (`unfollowed` below), or"
               " packets of one connection come in by interfaces with and without synstile.",
    "syn_calm": NOTHING,
    "syn_allowed": NOTHING,
    "stray_calm": "Nothing: the stack resets them, as it would without synstile.",
    "syn_verified": NOTHING,
    "syn_cookie": "Nothing: this is the defence at work. No `cookie_valid` beside many of them, and"
                  " clients complain: see *Cookies go out, nothing comes back*.",
    "cookie_valid": "Nothing: real clients, let in.",
    "cookie_probe": NOTHING,
    "cookie_again": "A few: nothing. Many: the server does not accept fast enough; see"
                    " `finish_queue_full`.",
    "cookie_invalid": "Nothing in a flood of ACKs, or for a while after attaching with"
                      " `mode: always`. With real clients among them: their"
                      " SYN was answered by another host, more than 64 to 128 s ago, or a device"
                      " on the way changes sequence numbers.",
    "rst_stray": "Nothing.",
    "synack_stray": "Nothing: answers to SYNs that somebody sent in this host's name.",
    "syn_denied": "Nothing: your deny list at work.",
    "syn_limit": "Check that it hits no carrier's or office's shared address; raise"
                 " `sources.syn_limit`, or put that one into `sources.allow`.",
    "eth_truncated": SENDER,
    "vlan_depth": "Nothing; what is inside of such frames is not protected.",
    "ipv4_malformed": SENDER,
    "ipv6_malformed": SENDER,
    "ipv6_ext_chain": SENDER,
    "tcp_malformed": SENDER,
    "tcp_flags": SENDER,
    "tcp_options": SENDER,
    "syn_fragment": SENDER,
    "syn_source": SENDER,
    "finished": NOTHING,
    "finish_no_listener": "Was the server stopped or restarted? Then nothing.",
    "finish_queue_full": "The server does not call accept() fast enough, or its backlog is too"
                         " small: raise it (`synstile doctor` shows backlogs), add workers. No"
                         " defence mends this.",
    "finish_refused": "Should not be. `sysctl net.ipv4.tcp_syncookies` must not be 0 while"
                      " attached; if it is not, please report it.",
    "rst_held": "As `finish_queue_full`: the client is kept waiting and not reset.",
    "reply_failed": "Should not be: please report it, with the driver's name.",
}

ODDITIES = {
    "out_of_window": "A few: late segments. Many: somebody guesses, or packets come twice.",
    "ack_unsent": "The same; also if this host's packets leave by an interface without synstile.",
    "rst_ignored": "Somebody tries to end connections blindly; the stack does not believe it"
                   " either.",
    "syn_ignored": "The same; or clients that lost their state after a restart.",
    "fin_ignored": "A few: late segments.",
    "unfollowed": "Raise `tables.flows` (`--max-flows`): detach, attach. Connections are served all"
                  " the same, each packet with a look-up in the stack.",
}

EVENTS = {
    "tcp_state": "",
    "half_open_timeout": "Calm, and many from many sources: scanners, or a return path that is"
                         " broken.",
    "retransmission": "Many by the server: loss towards the clients.",
    "keepalive": "",
    "attack_start": "See [During an attack](guide.md#during-an-attack).",
    "attack_progress": "",
    "attack_end": "Read `peak_syn_rate` and `top_sources`; compare the bounds with what is normal.",
    "verdict": "See the verdicts above.",
    "stats": "",
    "lost": "Stage `ring`: the agent was too slow or absent. `subscriber`: that reader was."
            " `limited`: intended, under a flood.",
}

ACTIONS = {"PASS": "passed", "DROP": "**dropped**", "REPLY": "*answered*"}


def table(header, macro, fields):
    """The rows of an X-macro, as the compiler sees them: lists of strings."""
    source = (f'#include "synstile/{header}.h"\n'
              f"#define X({', '.join(fields)}) [{', '.join('#' + f for f in fields)}]\n"
              f"#define ROWS ROWS_BEGIN {macro}(X) ROWS_END\nROWS\n")
    done = subprocess.run(["cc", "-E", "-P", f"-I{ROOT / 'include'}", "-"], input=source, text=True,
                          capture_output=True)
    if done.returncode:
        sys.exit(f"operations: cc -E synstile/{header}.h: {done.stderr}")
    text = done.stdout.split("ROWS_BEGIN", 1)[1].split("ROWS_END")[0]
    rows, decoder = [], json.JSONDecoder()
    while text := text.strip():
        row, end = decoder.raw_decode(text)
        # "#" has turned a string into its source text: undo that
        rows.append([json.loads(f) if f.startswith('"') else f for f in row])
        text = text[end:]
    return rows


def with_advice(rows, advice, name_at, what):
    """The rows with advice behind each; both must know the same names."""
    names = [row[name_at] for row in rows]
    for name in names:
        if name not in advice:
            sys.exit(f"operations: {what} \"{name}\": say in docs/operations.py what an operator"
                     " does about it")
    for name in advice:
        if name not in names:
            sys.exit(f"operations: docs/operations.py has advice for the {what} \"{name}\", which"
                     " does not exist")
    return [row + [advice[row[name_at]]] for row in rows]


def markdown(head, rows):
    def line(cells):
        return "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"
    return "\n".join([line(head), line(["---"] * len(head)), *map(line, rows)])


def sections():
    """{name: its text}"""
    verdicts = with_advice(table("verdict", "SYNSTILE_VERDICTS", ["id", "action", "name", "help"]),
                           VERDICTS, 2, "verdict")
    oddities = with_advice(table("oddity", "SYNSTILE_ODDITIES", ["id", "name", "help"]),
                           ODDITIES, 1, "oddity")
    events = with_advice(table("event", "SYNSTILE_EVENTS", ["id", "name", "help"]),
                         EVENTS, 1, "event")
    return {
        "verdicts": markdown(["Verdict", "The packet is", "It is", "What to do"],
                             [[f"`{r[2]}`", ACTIONS[r[1]], r[3], r[4]] for r in verdicts]),
        "oddities": markdown(["Oddity", "It counts", "What to do"],
                             [[f"`{r[1]}`", r[2], r[3]] for r in oddities]),
        "events": markdown(["Event", "It tells", "What to do"],
                           [[f"`{r[1]}`", r[2], r[3]] for r in events]),
    }


def renewed(page):
    """The page with the tables as they are now."""
    for name, text in sections().items():
        begin, end = f"<!-- {name}: made by `make docs` -->\n", f"\n<!-- end of {name} -->"
        page, n = re.subn(re.escape(begin) + ".*?" + re.escape(end),
                          lambda _, b=begin, t=text, e=end: b + t + e, page, flags=re.S)
        if n != 1:
            sys.exit(f"operations: {PAGE.name} has {n} pairs of markers for {name}; one is needed")
    return page


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__.strip().split("\n")[-1])
    page = PAGE.read_text()
    text = renewed(page)
    if not sys.argv[1:]:
        PAGE.write_text(text)
        return
    changes = list(difflib.unified_diff(page.splitlines(), text.splitlines(), "as it is",
                                        "as it should be", lineterm=""))
    if changes:
        sys.exit("\n".join(changes) + f"\noperations: {PAGE} is not up to date: run `make docs`")


if __name__ == "__main__":
    main()
