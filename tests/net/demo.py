#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What a SYN flood does to a web server, and what synstile does about it.

Builds three network namespaces (client, attacker, server), starts nginx, and floods it
with SYNs from random spoofed addresses: first without synstile, then with it. Nothing
outside these namespaces is touched, and all is removed at the end, also by Ctrl-C.
"""
import argparse
import os
import re
import signal
import statistics
import sys
import threading
import time

import clients
import lab as labs
from netns import SLOW, LabError

CLIENTS = 8
PAUSE = 0.02  # seconds between two connections of one client
TIMEOUT = 1  # seconds after which a client gives up
BACKLOG = 128  # nginx's listen() backlog: the half-open connections that the kernel keeps
COLUMNS = ("{:<9}{:<14}{:>9}{:>11}{:>10}  {:<30}{:>9}{:>8}{:>8}{:>16}")


class Clients:
    """Some clients that connect from a new address each time, fetch a page, and so on."""

    def __init__(self, ns):
        self.ns, self.lock, self.stopping = ns, threading.Lock(), threading.Event()
        self.served, self.failed = [], 0
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        while not self.stopping.is_set():
            times, errors = clients.get_many(self.ns, labs.SERVER4, 1, src="fresh", timeout=TIMEOUT)
            with self.lock:
                self.served += times
                self.failed += len(errors)
            self.stopping.wait(PAUSE)

    def take(self):
        """Connect times and failures since the last call."""
        with self.lock:
            taken = self.served, self.failed
            self.served, self.failed = [], 0
        return taken

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


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
        calm, without, with_it = (self.totals[n] for n in ("calm", "without", "with"))
        print(f"""
Without a flood     {told(calm)}.
Flood of {flood:,} SYN/s from addresses that do not exist:
  without synstile  {told(without)}: its queue of {BACKLOG} half-open connections is always full.
  with synstile     {told(with_it)}: a SYN takes no place in any queue.""")


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
    with lab.flood(rate=options.rate, seconds=options.seconds + 10):
        view.phase("without", options.seconds, crowd)
    crowd.stop()

    # The queue would stay full for a minute: a new nginx has an empty one.
    lab.stop_nginx()
    lab.nginx(backlog=BACKLOG)
    print(f"$ synstile -n {server.name} attach s0 s1 --xdp native")
    print(lab.attach().stdout, end="")
    crowd = Clients(lab.client)
    with lab.flood(rate=options.rate, seconds=options.seconds + 10):
        view.phase("with", options.seconds, crowd, attached=True)
    crowd.stop()
    lab.detach()
    view.summary(round(options.rate / SLOW))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=6, help="length of each flood (6)")
    parser.add_argument("--rate", type=int, default=300_000, help="SYN/s (300,000)")
    parser.add_argument("--dry", action="store_true", help="build the lab, but flood nothing")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("demo: network namespaces need root: sudo make run")
    missing = [] if options.dry else [p for p in (labs.SYNSTILE, labs.FLOOD, labs.XDP_PASS)
                                      if not p.exists()]
    if missing:
        sys.exit(f"demo: not built: {', '.join(map(str, missing))}: run make first")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    labs.sweep()
    print(f"""\
Three network namespaces: {CLIENTS} clients (each connection from a new address), an attacker, and
a server with nginx. To make the difference plain, nginx's listen() backlog is {BACKLOG} and the
kernel's own SYN cookies are off (net.ipv4.tcp_syncookies = 0); synstile turns on what it needs.
""")
    try:
        with labs.Lab() as lab:
            show(lab, options)
    except KeyboardInterrupt:
        sys.exit("\ndemo: interrupted; everything was removed")
    except LabError as error:
        sys.exit(f"demo: {error}")


if __name__ == "__main__":
    main()
