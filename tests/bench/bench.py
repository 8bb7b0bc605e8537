#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What a packet costs: synstile beside the least programs that could stand in its place. And what
the agent costs (agent.py; --agent: only that).

Two ways to measure, since each has a blind spot:
  ns per run   of each program, from the kernel's own statistics (kernel.bpf_stats_enabled, which
               adds about 20 ns to every program: compare, do not quote).
  packets/s    that one core sends, has answered and takes back, flat out, without statistics;
               runs of the two programs alternate, so that noise hits both.
All in network namespaces (see tests/net/lab.py), which are removed at the end. Needs a quiet
machine. Exit status 1 only if something could not be measured.
"""
import argparse
import contextlib
import itertools
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "net"))

import lab as labs  # noqa: E402
from agent import AgentBench  # noqa: E402
from clients import connect  # noqa: E402
from netns import LabError, sh  # noqa: E402

SWAP = labs.BUILD / "tools" / "xdp_swap.bpf.o"
EMPTY = labs.BUILD / "tools" / "empty.bpf.o"
STATS = "kernel.bpf_stats_enabled"
SINK_PORT = 80  # discards what it reads, or writes without end
HANDSHAKES = 2000
SYNACK_WAIT = 5  # seconds
DISTINCT = 10_000_000
SO_RCVBUFFORCE = 33  # which Python does not name
GROWTH = 16 << 20  # bytes that MemAvailable may move by itself
TARGET_NS, TARGET_RATIO, TARGET_DATA_NS = 60, 0.85, 35  # what we aim at: ns, share, ns


# --- programs and their statistics

def bpftool(*args):
    return json.loads(sh("bpftool", "-j", *args).stdout or "{}")


class Pins:
    """The yardstick programs, loaded; removed with the bench."""

    def __init__(self):
        self.dir = pathlib.Path(f"/sys/fs/bpf/st-bench-{os.getpid()}")
        self.dir.mkdir()
        sh("bpftool", "prog", "load", SWAP, self.dir / "xdp_swap", "type", "xdp.frags")
        for copy in ("", "egress"):  # each with statistics of its own
            sh("bpftool", "prog", "loadall", EMPTY, self.dir / copy)

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def ids(self, *names):
        return [bpftool("prog", "show", "pinned", self.dir / n)["id"] for n in names]


@contextlib.contextmanager
def xdp_attached(lab, pins, dev, name):
    lab.server.run("ip", "link", "set", "dev", dev, "xdpdrv", "pinned", pins.dir / name)
    try:
        yield
    finally:
        lab.server.run("ip", "link", "set", "dev", dev, "xdpdrv", "off")


@contextlib.contextmanager
def empties_attached(lab, pins, dev):
    """Empty programs in all three places of synstile's; their ids: XDP, TC ingress, TC egress."""
    with xdp_attached(lab, pins, dev, "xdp_empty"):
        lab.server.run("tc", "qdisc", "add", "dev", dev, "clsact")
        for way, pin in (("ingress", "tc_empty"), ("egress", "egress/tc_empty")):
            lab.server.run("tc", "filter", "add", "dev", dev, way, "bpf", "da", "pinned",
                           pins.dir / pin)
        try:
            yield pins.ids("xdp_empty", "tc_empty", "egress/tc_empty")
        finally:
            lab.server.run("tc", "qdisc", "del", "dev", dev, "clsact")


def synstile_ids(lab, dev):
    """XDP (or libxdp's dispatcher around it), TC ingress and egress as attached to dev."""
    link = json.loads(lab.server.run("ip", "-j", "-d", "link", "show", dev).stdout)[0]
    found = [link["xdp"]["prog"]["id"]]
    for way in ("ingress", "egress"):
        pin = pathlib.Path(f"/sys/fs/bpf/synstile/ns-{lab.server.name}/{dev}/tc_{way}_link")
        if pin.exists():
            found.append(bpftool("link", "show", "pinned", pin)["prog_id"])
        else:
            text = lab.server.run("tc", "filter", "show", "dev", dev, way).stdout
            found.append(int(re.search(r"synstile_tc_\w+.* id (\d+)", text)[1]))
    return found


class Costs:
    """ns per run of some programs while the block runs: [ns or None] in .ns, runs in .runs."""

    def __init__(self, ids):
        self.ids, self.ns, self.runs = ids, [], []

    def _read(self):
        shown = [bpftool("prog", "show", "id", i) for i in self.ids]
        return [(p.get("run_time_ns", 0), p.get("run_cnt", 0)) for p in shown]

    def __enter__(self):
        sysctl(STATS, 1)
        self.before = self._read()
        return self

    def __exit__(self, *exc):
        sysctl(STATS, 0)
        for (t0, n0), (t1, n1) in zip(self.before, self._read()):
            self.runs.append(n1 - n0)
            self.ns.append((t1 - t0) / (n1 - n0) if n1 - n0 > 100 else None)


def lowest(rows):
    """The least of each column, None aside."""
    columns = [[ns for ns in column if ns is not None] for column in zip(*rows)]
    return [min(c) if c else None for c in columns]


def sysctl(key, value=None):
    path = pathlib.Path("/proc/sys", key.replace(".", "/"))
    was = path.read_text().strip()
    if value is not None:
        path.write_text(str(value))
    return was


# --- loads

class Flood:
    """The generator, on one core, from the far end of s0 or s1; options go to flood(1)."""

    def __init__(self, lab, cpu):
        self.lab, self.cpu, self.seed = lab, cpu, 0

    def run(self, dev, seconds=None, count=None, dst=labs.SERVER4, kind="syn"):
        ns, far = {"s0": (self.lab.client, "c0"), "s1": (self.lab.attacker, "a0")}[dev]
        self.seed += 1
        limit = ("--count", count) if count else ("--duration", seconds)
        done = sh(labs.FLOOD, "-j", "-n", ns.name, "--dst", dst, "--dport", 80,
                  "--dmac", labs.MAC[dev], "--type", kind, "--seed", self.seed, "--cpu", self.cpu,
                  "--src", labs.SPOOFED6 if ":" in dst else labs.SPOOFED4, *limit, far, timeout=200)
        result = json.loads(done.stdout)
        if result["delivered"] < 0.9 * result["sent"]:
            raise LabError(f"only {result['delivered']} of {result['sent']} frames arrived")
        return result["delivered"] / result["seconds"]


class Sink:
    """A TCP server in the server namespace: reads all; sends all the time if told so."""

    def __init__(self, lab):
        self.listener = lab.server.socket(socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("", SINK_PORT))
        self.listener.listen(4096)
        self.stop = False

    def close(self):
        self.listener.close()

    def accept(self):
        self.listener.settimeout(10)
        return self.listener.accept()[0]


def pump(sender, receiver, seconds):
    """Bytes as fast as they go, in segments of a full MSS, for some seconds."""
    block, end = bytes(1 << 16), time.monotonic() + seconds

    def drain():
        buffer = bytearray(1 << 18)
        with contextlib.suppress(OSError):
            while time.monotonic() < end + 0.2:
                if select.select([receiver], [], [], 0.1)[0] and not receiver.recv_into(buffer):
                    return

    reader = threading.Thread(target=drain)
    reader.start()
    sender.settimeout(5)
    while time.monotonic() < end:
        sender.send(block)
    reader.join()


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xffff) + (total >> 16)
    return ~((total & 0xffff) + (total >> 16)) & 0xffff


class Handshakes:
    """Half a client: SYNs by the thousand, then the ACKs, each as fast as Python sends."""
    hosts = itertools.count(2)
    OPTIONS = bytes.fromhex("020405b40402080a000000010000000001030307")  # as Linux sends them

    def __init__(self, lab):
        with lab.client.inside():
            self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
            self.wire.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
            self.wire.bind(("c0", 0x0800))
        self.wire.settimeout(0.2)
        self.eth = (bytes.fromhex(labs.MAC["s0"].replace(":", "")) +
                    bytes.fromhex(labs.MAC["c0"].replace(":", "")) + b"\x08\x00")

    def close(self):
        self.wire.close()

    def _frame(self, port, seq, ack, flags, options):
        src = self.src
        dst = socket.inet_aton(labs.SERVER4)
        size = 20 + len(options)
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + size, 0, 0x4000, 64, 6, 0, src, dst)
        ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
        tcp = struct.pack("!HHIIBBHHH", port, SINK_PORT, seq, ack, size // 4 << 4, flags, 64240,
                          0, 0) + options
        tcp_sum = checksum(src + dst + struct.pack("!HH", 6, size) + tcp)
        return self.eth + ip + tcp[:16] + struct.pack("!H", tcp_sum) + tcp[18:]

    def syns(self, n, first=10000):
        """Send n SYNs from an address not used before; the ACKs that complete them."""
        self.src = socket.inet_aton(labs.WIRE4.format(next(self.hosts)))
        for port in range(first, first + n):
            self.wire.send(self._frame(port, port * 7919, 0, 2, self.OPTIONS))
        acks, end = {}, time.monotonic() + SYNACK_WAIT
        while len(acks) < n and time.monotonic() < end:
            try:
                frame = self.wire.recv(2048)
            except TimeoutError:
                continue
            tcp = frame[34:]
            if len(tcp) < 20 or tcp[13] & 0x12 != 0x12:
                continue
            port, isn = struct.unpack("!2xHI", tcp[:8])
            if first <= port < first + n:
                acks[port] = self._ack(port, isn, tcp)
        return list(acks.values())

    def _ack(self, port, isn, tcp):
        options, at = tcp[20:(tcp[12] >> 4) * 4], 0
        ours = b""
        while at < len(options) and options[at]:  # the timestamp is echoed, if there is one
            if options[at] == 1:
                at += 1
                continue
            if options[at] == 8:
                ours = struct.pack("!BBBBI4s", 1, 1, 8, 10, 2, options[at + 2:at + 6])
            at += options[at + 1]
        return self._frame(port, port * 7919 + 1, isn + 1 & 0xffffffff, 16, ours)

    def send(self, frames):
        for frame in frames:
            self.wire.send(frame)


# --- what is measured

class Bench:
    def __init__(self, lab, pins, cpu, options):
        self.lab, self.pins, self.options = lab, pins, options
        self.flood = Flood(lab, cpu)
        self.sink = Sink(lab)
        self.ns, self.pps, self.memory = {}, {}, {}
        self.segments = {}  # in a packet at TC egress

    def _lowest(self, ids, load):
        """ns of each program in the best of some runs: whatever disturbs a run only adds."""
        found = []
        for _ in range(self.options.runs):
            with Costs(ids) as costs:
                load()
            found.append(costs.ns)
        return lowest(found)

    def _put(self, row, values):
        self.ns[row] = values
        cells = "".join(f"{'-' if v is None else format(v, '.1f'):>10}" for v in values)
        print(f"{row:<44}{cells}", flush=True)

    def yardsticks(self):
        seconds = self.options.seconds / 2
        for name in ("xdp_empty", "xdp_swap"):
            with xdp_attached(self.lab, self.pins, "s1", name):
                self._put(f"{name}, SYN", self._lowest(
                    self.pins.ids(name), lambda: self.flood.run("s1", seconds)) + [None, None])

    def cookies(self, kind):
        """SYN, blind ACK and valid ACK with one back end."""
        seconds = self.options.seconds / 2
        with self.lab.attached("--mode", "always", "--cookies", kind):
            s1, s0 = synstile_ids(self.lab, "s1"), synstile_ids(self.lab, "s0")
            self._put(f"{kind} cookies, SYN",
                      self._lowest(s1, lambda: self.flood.run("s1", seconds)))
            self._put(f"{kind} cookies, blind ACK",
                      self._lowest(s1, lambda: self.flood.run("s1", seconds, kind="ack")))
            if kind == self.options.kinds[0]:
                self._data("synstile", s0)
                self._flat_out(kind, "ack")
            self._valid_acks(kind, synstile_ids(self.lab, "s0"))
            self._flat_out(kind, "syn")

    def _valid_acks(self, kind, ids):
        client, found = Handshakes(self.lab), []
        before = self.lab.count("cookie_valid")
        try:
            for _ in range(self.options.runs):
                acks = client.syns(HANDSHAKES)
                if len(acks) < 0.95 * HANDSHAKES:
                    raise LabError(f"{len(acks)} SYN-ACKs for {HANDSHAKES} SYNs")
                with Costs(ids) as costs:
                    client.send(acks)
                    time.sleep(0.1)
                found.append(costs.ns)
                while select.select([self.sink.listener], [], [], 0)[0]:
                    self.sink.listener.accept()[0].close()
        finally:
            client.close()
        valid = self.lab.count("cookie_valid") - before
        if valid < 0.95 * HANDSHAKES * self.options.runs:
            raise LabError(f"only {valid} ACKs were valid")
        self._put(f"{kind} cookies, valid ACK", lowest(found))

    def _data(self, name, ids):
        """A connection's data, one way (ingress) and the other (egress)."""
        client = connect(self.lab.client, labs.SERVER4, SINK_PORT)
        server = self.sink.accept()
        seconds = self.options.seconds / 2
        time.sleep(1.2)  # for a second after a handshake TC has work to do
        try:
            # of each way what carries the data: the other way there are only ACKs
            into = self._lowest(ids, lambda: pump(client, server, seconds))
            out = self._lowest(ids, lambda: pump(server, client, seconds))
            sent = self.lab.server.counters()["TcpOutSegs"]
            with Costs(ids) as costs:
                pump(server, client, seconds)
            sent = self.lab.server.counters()["TcpOutSegs"] - sent
            if out[2] is not None:  # TC egress comes before segmentation
                self.segments[name] = sent / costs.runs[2]
        finally:
            client.close()
            server.close()
        self._put(f"{name}, data segment in", into)
        self._put(f"{name}, data packet out", out)
        if name in self.segments:
            print(f"{'  segments in a packet at TC egress':<64}{self.segments[name]:>10.1f}")

    def data_empty(self):
        for ns, dev in ((self.lab.client, "c0"), (self.lab.server, "s0")):
            ns.run("ethtool", "-K", dev, "tso", "off", "gso", "off")  # one segment, one run
        with empties_attached(self.lab, self.pins, "s0") as ids:
            self._data("empty", ids)

    def _flat_out(self, kind, what):
        """Packets/s on s1 of swap and of synstile, turn by turn. No statistics."""
        self.lab.synstile("detach", "s1")
        runs = {"swap": [], "synstile": []}
        for _ in range(5):
            with xdp_attached(self.lab, self.pins, "s1", "xdp_swap"):
                runs["swap"].append(self.flood.run("s1", self.options.seconds, kind=what))
            self.lab.attach("--mode", "always", "--cookies", kind, ifaces=("s1",))
            runs["synstile"].append(self.flood.run("s1", self.options.seconds, kind=what))
            self.lab.synstile("detach", "s1")
        self.lab.attach("--mode", "always", "--cookies", kind, ifaces=("s1",))
        self.pps[kind, what] = runs

    def distinct_sources(self):
        """Memory before and after a flood from as many addresses as it has SYNs."""
        with self.lab.attached("--mode", "always"):
            self.flood.run("s1", 0.5, dst=labs.SERVER6)
            before = self._memory()
            began = time.monotonic()
            self.flood.run("s1", count=self.options.distinct, dst=labs.SERVER6)
            took = time.monotonic() - began
            after = self._memory()
        self.memory = {"syns": self.options.distinct, "seconds": took, "before": before, "after": after}

    def _memory(self):
        maps = pathlib.Path(f"/sys/fs/bpf/synstile/ns-{self.lab.server.name}")
        locked, flows = 0, self.lab.status()["flows"]["total"]
        for pin in maps.rglob("*"):
            shown = sh("bpftool", "-j", "map", "show", "pinned", pin, check=False)
            if pin.is_file() and shown.returncode == 0:
                locked += int(json.loads(shown.stdout).get("bytes_memlock", 0))
        available = re.search(r"MemAvailable:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
        return {"maps": locked, "flows": flows, "available": int(available[1]) * 1024}


# --- the report

def above(ns, row, base, column=0):
    values = ns.get(row), ns.get(base)
    if not all(values) or values[0][column] is None or values[1][column] is None:
        return None
    return values[0][column] - values[1][column]


def report_pps(bench):
    print(f"\n{'flat out on one core, median of 5':<32}{'swap':>10}{'synstile':>10}{'ratio':>8}"
          f"{'more':>10}   (lowest to highest)")
    for (kind, what), runs in bench.pps.items():
        swap, ours = statistics.median(runs["swap"]), statistics.median(runs["synstile"])
        spread = "  ".join(f"{min(r) / 1e6:.2f}-{max(r) / 1e6:.2f}" for r in runs.values())
        name = f"{kind} cookies, {'blind ACK (dropped)' if what == 'ack' else 'SYN'}"
        print(f"{name:<32}{swap / 1e6:>8.2f} M{ours / 1e6:>8.2f} M{ours / swap:>8.2f}"
              f"{1e9 / ours - 1e9 / swap:>7.0f} ns   {spread}")


def report_memory(bench):
    if not bench.memory:
        return
    m, before, after = bench.memory, bench.memory["before"], bench.memory["after"]
    print(f"\n{m['syns']:,} SYNs from as many addresses, {m['seconds']:.0f} s: maps "
          f"{before['maps'] >> 10:,} -> {after['maps'] >> 10:,} KiB, flows {before['flows']} -> "
          f"{after['flows']}, MemAvailable {(after['available'] - before['available']) / 2**20:+.1f} MiB")


def verdicts(bench):
    """(what, measured, target, held) for each target."""
    ns, out = bench.ns, []

    def cost(what, row, base, column, target):
        value = above(ns, row, base, column)
        if value is not None:
            out.append((what, f"{value:+.0f} ns", f"at most +{target} ns", value <= target))

    for kind in bench.options.kinds:
        cost(f"{kind} cookies, SYN, above swap", f"{kind} cookies, SYN", "xdp_swap, SYN", 0, TARGET_NS)
        runs = bench.pps.get((kind, "syn"))
        if runs:
            ratio = statistics.median(runs["synstile"]) / statistics.median(runs["swap"])
            out.append((f"{kind} cookies, SYN, packets/s of swap's", f"{ratio:.2f}",
                        f"at least {TARGET_RATIO}", ratio >= TARGET_RATIO))
    for column, where in ((0, "XDP"), (1, "TC ingress"), (2, "TC egress (its ACK)")):
        cost(f"data segment in, {where}, above empty", "synstile, data segment in",
             "empty, data segment in", column, TARGET_DATA_NS)
    ours, none = ((ns[f"{n}, data packet out"][2] or 0) / bench.segments.get(n, 1)
                  for n in ("synstile", "empty"))
    out.append(("data segment out, TC egress, above empty", f"{ours - none:+.0f} ns",
                f"at most +{TARGET_DATA_NS} ns", ours - none <= TARGET_DATA_NS))
    if bench.memory:
        before, after = bench.memory["before"], bench.memory["after"]
        held = (after["maps"] <= before["maps"] and after["flows"] <= before["flows"]
                and before["available"] - after["available"] < GROWTH)
        out.append(("memory after the distinct sources",
                    f"{(after['maps'] - before['maps']) >> 10:+} KiB in maps", "no growth", held))
    return out


def report_targets(held):
    print()
    for what, measured, target, ok in held:
        print(f"{'PASS' if ok else 'FAIL'}  {what:<42}{measured:>14}   ({target})")


def report(bench, agent):
    report_pps(bench)
    report_memory(bench)
    held = verdicts(bench) + agent.targets()
    report_targets(held)
    if bench.options.json:
        pathlib.Path(bench.options.json).write_text(json.dumps({
            "kernel": os.uname().release,
            "ns": {row: dict(zip(("xdp", "tc_ingress", "tc_egress"), v)) for row, v in bench.ns.items()},
            "packets_per_second": {f"{kind} {what}": r for (kind, what), r in bench.pps.items()},
            "memory": bench.memory,
            "agent": {row: {"percent": each, "syns_per_second": syns}
                      for row, (_, each, syns) in agent.rows.items()},
            "targets": [dict(zip(("what", "measured", "target", "held"), v)) for v in held],
        }, indent=1) + "\n")


def measure_agent(lab, cpu):
    print()
    agent = AgentBench(lab, cpu)
    agent.run()
    return agent


def measure(lab, options):
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) > 1:  # the bench itself, and the agent, stay off the generator's core
        os.sched_setaffinity(0, cpus[:-1])
    if options.agent:
        report_targets(measure_agent(lab, cpus[-1]).targets())
        return
    pins = Pins()
    try:
        bench = Bench(lab, pins, cpus[-1], options)
        print(f"{'ns per run, statistics on (best of ' + str(options.runs) + ')':<44}"
              f"{'XDP':>10}{'TC in':>10}{'TC out':>10}", flush=True)
        bench.yardsticks()
        bench.data_empty()
        for kind in options.kinds:
            bench.cookies(kind)
        if options.distinct:
            bench.distinct_sources()
        bench.sink.close()
        report(bench, measure_agent(lab, cpus[-1]))
    finally:
        pins.close()


def has_own_cookies():
    major, minor = re.match(r"(\d+)\.(\d+)", os.uname().release).groups()
    return (int(major), int(minor)) >= (6, 9)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=1, help="length of a flat-out run (1)")
    parser.add_argument("--runs", type=int, default=3, help="runs for each ns figure (3)")
    parser.add_argument("--distinct", type=int, default=DISTINCT,
                        help=f"SYNs of the memory test ({DISTINCT:,}; 0: leave it out)")
    parser.add_argument("--cookies", choices=["own", "kernel"], help="only this back end")
    parser.add_argument("--agent", action="store_true", help="only what the agent costs")
    parser.add_argument("--json", metavar="FILE", help="all figures, every run")
    options = parser.parse_args()
    options.kinds = [options.cookies] if options.cookies else \
        ["own", "kernel"] if has_own_cookies() else ["kernel"]
    if os.geteuid() != 0:
        sys.exit("bench: network namespaces need root: sudo make bench")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    labs.sweep()
    was = sysctl(STATS)
    try:
        sysctl(STATS, 0)
        with labs.Lab() as lab:
            lab.server.sysctl("net.core.somaxconn", 4096)
            measure(lab, options)
    except KeyboardInterrupt:
        sys.exit("\nbench: interrupted; everything was removed")
    except (LabError, AssertionError, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"bench: {error}")
    finally:
        sysctl(STATS, was)


if __name__ == "__main__":
    main()
