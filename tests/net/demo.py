#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What a SYN flood does to a web server, and what synstile does about it.

Builds three network namespaces (client, attacker, server), starts nginx, and floods it
with SYNs from random spoofed addresses: first without synstile, then with it. On a
terminal the second part is the dashboard, for as long as somebody looks; elsewhere it is
a line a second. Nothing outside these namespaces is touched but a port on the loopback,
and all is removed at the end, also by Ctrl-C, kill or a closed terminal.
"""
import argparse
import contextlib
import os
import re
import select
import signal
import statistics
import subprocess
import sys
import time

import lab as labs
from netns import SLOW, LabError, patience
from traffic import CLIENTS, Clients, Cycles

CALM = 8  # seconds of it before each flood that the dashboard shows
BACKLOG = 128  # nginx's listen() backlog: the half-open connections that the kernel keeps
COLUMNS = ("{:<9}{:<14}{:>9}{:>11}{:>10}  {:<30}{:>9}{:>8}{:>8}{:>16}")


class View:
    """One line a second, and the sum of each phase."""

    def __init__(self, lab):
        self.lab, self.totals = lab, {}
        print(COLUMNS.format("", "mode/state", "SYN/s", "cookies/s", "proven/s", "dropped/s, why",
                             "half-open", "served", "failed", "connect p50/p99"))

    def phase(self, name, seconds, clients, attached=False):
        """Watch for some seconds."""
        times, failed = self.totals.setdefault(name, ([], 0))
        before = self._sample(attached)
        clients.take()
        for _ in range(seconds):
            time.sleep(1)
            now = self._sample(attached)
            new, lost = clients.take()
            self._line(name, before, now, new, lost)
            times, failed, before = times + new, failed + lost, now
            self.totals[name] = (times, failed)

    def _sample(self, attached):
        lab = self.lab
        sample = {"when": time.monotonic(), "packets": lab.server.device("s1")["rx"],
                  "half_open": len(lab.server.ss("-t", "state", "syn-recv"))}
        if attached:
            status, service = lab.status(), lab.service(80)
            sample["state"] = f"{service['mode']}/{service['state']}"
            sample["counters"] = status["counters"]["done"]
            sample["dropped"] = {n: c for n, c in sample["counters"].items() if n in DROPS}
        else:
            sample["state"], sample["counters"] = "no synstile", {}
            sample["dropped"] = {"queue full": lab.server.counters()["TcpExtListenDrops"]}
        return sample

    def _line(self, name, before, now, times, failed):
        seconds = now["when"] - before["when"]

        def rate(value, was):
            return round(max(0, value - was) / seconds)

        def counter(key):
            if key not in now["counters"]:
                return "-"
            return f"{rate(now['counters'][key], before['counters'][key]):,}"

        dropped = [(rate(n, before["dropped"][why]), why) for why, n in now["dropped"].items()]
        dropped = ", ".join(f"{n:,} {why}" for n, why in sorted(dropped, reverse=True) if n)
        print(COLUMNS.format(name, now["state"], f"{rate(now['packets'], before['packets']):,}",
                             counter("syn_cookie"), counter("cookie_valid"), dropped or "-",
                             now["half_open"], len(times), failed, percentiles(times)), flush=True)

    def summary(self, flood):
        print(f"""
Without a flood     {told(self.totals["calm"])}.
Flood of {flood:,} SYN/s from addresses that do not exist:""")
        full = f"its queue of {BACKLOG} half-open connections is always full"
        for name, why in ("without", full), ("with", "a SYN takes no place in any queue"):
            if any(self.totals.get(name, ())):
                print(f"  {name + ' synstile':<16}  {told(self.totals[name])}: {why}.")


def percentiles(times):
    if len(times) < 2:
        return "-"
    cuts = statistics.quantiles(times, n=100)
    return f"{cuts[49] * 1000:.2f}/{cuts[98] * 1000:.2f} ms"


def told(total):
    times, failed = total
    tries = len(times) + failed
    text = f"nginx served {len(times):,} of {tries:,} new clients"
    return text + (f" (connect p50/p99 {percentiles(times)})" if len(times) > 1 else "")


def drop_reasons():
    """The names in verdict.h whose action is DROP."""
    text = (labs.ROOT / "include/synstile/verdict.h").read_text()
    return set(re.findall(r'X\(\w+,\s*DROP,\s*"(\w+)"', text))


DROPS = drop_reasons()


def watch(lab, view, options):
    """The dashboard, while calm and flood take turns; until it is quit."""
    with web(lab) as url:
        print(f"""
The same as a web page: {url}
The dashboard follows: {CALM} s of calm, {options.cycle} s of flood, and so on. q ends it, ? helps.
""", flush=True)
        time.sleep(options.read)
        crowd = Clients(lab.client)
        with Cycles(lab, crowd, options.rate, CALM, options.cycle) as cycles:
            status = on_screen(lab, "top")
        crowd.stop()
    view.totals["with"] = cycles.totals["flood"]
    if cycles.error:
        raise LabError(f"the traffic stopped: {cycles.error}")
    if status:
        raise LabError(f"the dashboard ended with status {status}")


def on_screen(lab, *command):
    """Run a command of synstile that takes the terminal; its exit status."""
    process = subprocess.Popen([labs.SYNSTILE, "-n", lab.server.name, *command])
    try:
        return process.wait()
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):  # it gives back the terminal itself
            process.terminate()
            process.wait(3)
        process.kill()


@contextlib.contextmanager
def web(lab):
    """The web page of the lab's synstile, on a free port of the host's loopback: its address."""
    process = subprocess.Popen(
        [labs.SYNSTILE, "-n", lab.server.name, "web", "--listen", "127.0.0.1:0"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        text = ""
        while select.select([process.stdout], [], [], patience(5))[0]:
            line = process.stdout.readline()
            text += line
            if found := re.search(r"http://\S+", line):
                yield found[0]
                return
            if not line:
                break
        raise LabError(f"synstile web: {text or 'prints no address'}")
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def show(lab, options):
    """The whole demonstration in a lab."""
    server = lab.server
    server.sysctl("net.ipv4.tcp_syncookies", 0)
    lab.nginx(backlog=BACKLOG)
    crowd = Clients(lab.client)
    view = View(lab)
    view.phase("calm", 2, crowd)
    if options.dry:
        crowd.stop()
        print("\nThe lab works: " + told(view.totals["calm"]) + ". Nothing was flooded (--dry).")
        return
    if options.seconds:
        with lab.flood(rate=options.rate, seconds=options.seconds + 10):
            view.phase("without", options.seconds, crowd)
    crowd.stop()

    # The queue would stay full for a minute: a new nginx has an empty one.
    lab.stop_nginx()
    lab.nginx(backlog=BACKLOG)
    print(f"$ synstile -n {server.name} attach s0 s1 --xdp native")
    print(lab.attach().stdout, end="")
    if options.table:
        lines(lab, view, options)
    else:
        watch(lab, view, options)
    lab.detach()
    view.summary(round(options.rate / SLOW))


def lines(lab, view, options):
    """The flood with synstile, a line a second."""
    crowd = Clients(lab.client)
    with lab.flood(rate=options.rate, seconds=options.seconds + 10):
        view.phase("with", options.seconds, crowd, attached=True)
    crowd.stop()


@contextlib.contextmanager
def undisturbed_end():
    """From the end of the block on no signal ends this process: there is something to remove."""
    try:
        yield
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


SIGNALS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


def terminal():
    return (sys.stdin.isatty() and sys.stdout.isatty()
            and os.environ.get("TERM", "dumb") not in ("", "dumb"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=6,
                        help="length of the flood without synstile; 0: leave it out (6)")
    parser.add_argument("--rate", type=int, default=300_000, help="SYN/s (300,000)")
    parser.add_argument("--cycle", type=int, default=20,
                        help="seconds of each flood that the dashboard shows (20)")
    parser.add_argument("--read", type=int, default=5,
                        help="seconds to read what comes before the dashboard (5)")
    parser.add_argument("--table", action="store_true", default=not terminal(),
                        help="no dashboard, but a line a second, as without a terminal")
    parser.add_argument("--dry", action="store_true", help="build the lab, but flood nothing")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("demo: network namespaces need root: sudo make run")
    missing = [] if options.dry else [p for p in (labs.SYNSTILE, labs.FLOOD, labs.XDP_PASS)
                                      if not p.exists()]
    if missing:
        sys.exit(f"demo: not built: {', '.join(map(str, missing))}: run make first")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _: sys.exit(128 + n))
    labs.sweep()
    print(f"""\
Three network namespaces: {CLIENTS} clients (each connection from a new address), an attacker, and
a server with nginx. To make the difference plain, nginx's listen() backlog is {BACKLOG} and the
kernel's own SYN cookies are off (net.ipv4.tcp_syncookies = 0); synstile turns on what it needs.
""")
    try:
        with labs.Lab() as lab, undisturbed_end():
            show(lab, options)
    except KeyboardInterrupt:
        sys.exit("\ndemo: interrupted; everything was removed")
    except LabError as error:
        sys.exit(f"demo: {error}")


if __name__ == "__main__":
    main()
