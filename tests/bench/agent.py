# SPDX-License-Identifier: GPL-2.0-only
"""What the agent costs: its share of one core, while calm, in a flood, and with somebody watching.

Of the flood the agent sees counters and samples only, whatever its rate; it must not matter to it
how many SYNs come. The kernel's accounting has a grain of a tick (10 ms), which is little against
the seconds of a run; time in the sweep of the flow table, a BPF program, is the agent's too.
"""
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import threading
import time

import lab as labs
from clients import http_get
from netns import LabError, until

SECONDS = 10
TARGET = 5.0  # percent of a core, the flood and a dashboard included
TICK = os.sysconf("SC_CLK_TCK")
RATE = 1_000_000  # SYN/s: the flood that the target is for


def cpu_seconds(pid):
    """utime + stime of a process, all its threads: what getrusage(2) says."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


class Reader:
    """Reads a path of the agent's all the while the block runs."""

    def __init__(self, lab, path):
        self.frames = self.bytes = 0
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(f"/run/synstile/ns-{lab.server.name}.sock")
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n"
                             "Accept: text/event-stream\r\n\r\n".encode())
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _run(self):
        with contextlib.suppress(OSError):
            while data := self._socket.recv(1 << 18):
                self.frames += data.count(b"event: frame\n")
                self.bytes += len(data)


class AgentBench:
    def __init__(self, lab, cpu, runs=2):
        self.lab, self.cpu, self.runs = lab, cpu, runs
        self.rows = {}  # name: (percent of a core, [of each run], SYN/s)

    def _one(self, rate):
        """(percent of a core, SYN/s) in the next seconds."""
        pid = self.lab.status()["agent"]["pid"]
        syns, began, used = self._syns(), time.monotonic(), cpu_seconds(pid)
        time.sleep(SECONDS)
        took = time.monotonic() - began
        return 100 * (cpu_seconds(pid) - used) / took, (self._syns() - syns) / took if rate else 0

    def _syns(self):
        counters = self.lab.status()["counters"]["done"]
        return sum(counters[name] for name in ("syn_cookie", "syn_calm", "syn_verified"))

    def _put(self, name, rate):
        found = [self._one(rate) for _ in range(self.runs)]
        percents = [p for p, _ in found]
        syn_rate = max(r for _, r in found)
        self.rows[name] = (min(percents), percents, syn_rate)
        print(f"{name:<44}{min(percents):>9.1f}%{syn_rate / 1e6:>13.2f} M   "
              f"{' '.join(format(p, '.1f') for p in percents)}", flush=True)

    @contextlib.contextmanager
    def _flood(self):
        seconds = (self.runs * SECONDS + 10) * 3
        process = self.lab.attacker.popen(
            labs.FLOOD, "-n", self.lab.attacker.name, "--dst", labs.SERVER4, "--dport", 80, "--dmac",
            labs.MAC["s1"], "--src", labs.SPOOFED4, "--type", "syn", "--duration", min(120, seconds),
            "--cpu", self.cpu, "a0", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            until(lambda: process.poll() is not None or self.lab.service(80)["state"] == "attack",
                  10, "an attack")
            if process.poll() is not None:
                raise LabError(f"flood: {process.stderr.read()}")
            time.sleep(3)  # what was half-open before it is over
            yield
        finally:
            process.terminate()
            process.wait()

    def _flow(self):
        """The flow_id of some connection."""
        http_get(self.lab.client, labs.SERVER4, src="fresh")
        shown = json.loads(self.lab.synstile("conns", "-j", "--limit", "1").stdout)
        return shown["connections"][0]["flow_id"]

    def run(self):
        print(f"{'the agent (best of ' + str(self.runs) + ', ' + str(SECONDS) + ' s each)':<44}"
              f"{'CPU':>10}{'SYN/s':>15}", flush=True)
        self.lab.nginx()
        with self.lab.attached():
            watched = f"/v1/events?flow={self._flow()}"
            time.sleep(2)
            self._put("calm", 0)
            with Reader(self.lab, "/v1/live") as live, Reader(self.lab, watched):
                self._put("calm, somebody watches", 0)
                with self._flood():
                    before = live.frames
                    self._put("flood, somebody watches", RATE)
                    frames = live.frames - before
            with self._flood():
                self._put("flood", RATE)
                with Reader(self.lab, "/v1/events"):
                    self._put("flood, somebody reads all events", RATE)
        if frames < 0.8 * self.runs * SECONDS:
            raise LabError(f"only {frames} frames of the live view in {self.runs * SECONDS} s")

    def targets(self):
        """(what, measured, target, held), as bench.py has them."""
        return [(f"agent, {name}", f"{self.rows[name][0]:.1f} %", f"below {TARGET:g} % of a core",
                 self.rows[name][0] < TARGET)
                for name in ("flood", "flood, somebody watches")]
