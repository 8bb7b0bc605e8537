# SPDX-License-Identifier: GPL-2.0-only
"""kill -9 at random moments of every command that changes something, of its whole process group and
often of the agent too. The next command finds the machine whole: protected by one whole policy, or
as it was before. Meanwhile clients come and go, and not one of them fails.

SYNSTILE_KILLS moments (100), from SYNSTILE_SEED; a failure tells both.
"""
import contextlib
import fcntl
import json
import os
import pathlib
import random
import signal
import subprocess
import time

from conftest import COOKIE_KINDS
from test_attach import same

import clients
import lab as labs
from netns import SLOW, patience, until

KILLS = int(os.environ.get("SYNSTILE_KILLS", max(10, int(100 / SLOW))))
SEED = int(os.environ.get("SYNSTILE_SEED", random.randrange(1 << 32)))
BOUNDS = (111, 222)
POLICY = """version: 1
defaults: {{ half_open: {{ attack_above: {n}, calm_below: 10 }} }}
services: [ {{ name: web, listen: [ "*:80" ], half_open: {{ attack_above: {n}, calm_below: 11 }} }} ]
"""


class Torture:
    def __init__(self, lab):
        self.lab, self.random, self.told = lab, random.Random(SEED), []
        self.before = lab.snapshot()
        self.policies = {n: lab.tmp / f"{n}.yaml" for n in BOUNDS}
        for n, path in self.policies.items():
            path.write_text(POLICY.format(n=n))
        self.took = {kind: self.measure(kind) for kind in
                     ("attach", "detach", "run", "apply", *self.rotate)}

    rotate = ["rotate"] if "own" in COOKIE_KINDS else []

    # --- the commands

    def kind(self):
        """One that has work to do as things are: to attach takes longest, and is not always first."""
        if not self.attached():
            return self.random.choice(("attach", "attach", "run"))
        if not self.status()["agent"]["running"]:
            self.attach()
        rotate = ["rotate"] if self.status()["cookies"] == "own" else []  # the kernel's have no key
        return self.random.choice(("apply", *rotate, "detach"))

    def command(self, kind):
        r = self.random
        if kind in ("attach", "run"):
            ifaces = r.choice((["s0"], ["s0"], ["s0", "s1"]))
            return [kind, *ifaces, "--xdp", "native", "--cookies", r.choice(COOKIE_KINDS)]
        return {"rotate": ["keys", "rotate"], "detach": ["detach", "--all"],
                "apply": ["policy", "apply", self.policies[r.choice(BOUNDS)]]}[kind]

    def attach(self, *words, check=True):
        """Native, always: by itself a veth gets generic XDP, and what is adopted keeps its mode."""
        return self.lab.synstile("attach", "s0", "--xdp", "native", *words, check=check)

    def start(self, words):
        return subprocess.Popen([str(w) for w in (labs.SYNSTILE, "-n", self.lab.server.name, *words)],
                                start_new_session=True, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True)

    def measure(self, kind):
        """How long it takes, undisturbed."""
        if kind == "apply":
            self.attach(check=False)
        if kind == "rotate":
            self.lab.synstile("detach", "--all", check=False)
            self.attach("--cookies", "own")
        began = time.monotonic()
        process = self.start(self.command(kind))
        if kind == "run":
            sock = pathlib.Path(f"/run/synstile/ns-{self.lab.server.name}.sock")
            until(sock.exists, 10, "run listens")
        else:
            assert process.wait(patience(10)) == 0, process.stderr.read()
        took = time.monotonic() - began
        if kind == "run":
            process.kill()
        process.wait()
        return took

    # --- the moments

    def milestones(self, kind):
        """What a command changes on its way: right after each are the moments that matter most, and
        they are few in all of the time that the verifier takes."""
        ns = self.lab.server

        def linked():
            pins = labs.below(f"/sys/fs/bpf/synstile/ns-{ns.name}")
            return any(path.endswith("_link") for path in pins)

        def changed():
            return ns.sysctl("net.ipv4.tcp_syncookies") != "1"

        if kind in ("attach", "run"):
            return {"the record": self.attached, "the sysctl": changed, "a link": linked}
        if kind == "detach":
            return {"no link": lambda: not linked(), "the sysctl": lambda: not changed(),
                    "no record": lambda: not self.attached()}
        return {}

    def moment(self, kind, process):
        """Waits until then: any time, or a little after a milestone."""
        r, milestones = self.random, self.milestones(kind)
        choice = r.choice([None, *milestones])
        delay = r.uniform(0, 0.03 if choice else 1.2 * self.took[kind])
        end = time.monotonic() + 3 * self.took[kind]  # some leave the sysctl as it is
        while (choice and process.poll() is None and not milestones[choice]()
               and time.monotonic() < end):
            time.sleep(0.001)
        time.sleep(delay)
        return f"{delay * 1000:.1f} ms after {choice or 'its start'}"

    def kill(self, kind):
        process = self.start(self.command(kind))
        also_agent = self.random.random() < 0.5
        self.told.append(" ".join(process.args[3:]))
        self.told[-1] += f": {self.moment(kind, process)}{', and the agent' * also_agent}"
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()
        for pid in self.lab.synstile_pids() if also_agent else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def next_command(self, kind):
        """Whoever comes next, and what the machine must be after that."""
        rather = 0.8 if kind in ("apply", "rotate") else 0.4
        command = "attach" if self.random.random() < rather else "detach"
        self.told.append(f"  then {command}")
        if command == "attach":
            done = self.attach(check=False)
            assert done.returncode == 0 or "attached already" in done.stderr, done.stderr
            self.whole()
        else:
            done = self.lab.synstile("detach", "--all", check=False)
            assert done.returncode in (0, 3), done.stderr
            self.as_before()

    # --- what must be so

    def status(self):
        return self.lab.status()

    def attached(self):
        return pathlib.Path(f"/var/lib/synstile/ns-{self.lab.server.name}.json").exists()

    def whole(self):
        status = self.status()
        assert status["ready"] and status["agent"]["running"], status
        assert "s0" in [i["name"] for i in status["interfaces"]]
        for iface in status["interfaces"]:
            assert iface["xdp"] == "native" and iface["tc"] != "missing", iface
        assert [s["port"] for s in status["services"]] == [80]
        syncookies = self.lab.server.sysctl("net.ipv4.tcp_syncookies")
        assert syncookies == {"own": "1", "kernel": "2"}[status["cookies"]]
        if status["cookies"] == "own":
            keys = json.loads(self.lab.synstile("keys", "list", "-j").stdout)["keys"]
            assert [k["state"] for k in keys].count("signing") == 1, keys
        self.one_policy(status)

    def one_policy(self, status):
        """One of both, or what is built in; and the datapath has the same."""
        shown = json.loads(self.lab.synstile("policy", "show", "-j").stdout)["policy"]
        bounds = [part["half_open"]["attack_above"]["value"]
                  for part in (shown["defaults"], *shown["services"])]
        bounds.append(status["services"][0]["half_open_bound"])
        # built in: half of nginx' backlog
        assert bounds in ([256, 255], *([n, n, n] for n in BOUNDS)), (bounds, shown)

    def as_before(self):
        lab, name = self.lab, self.lab.server.name
        links = json.loads(lab.server.run("ip", "-j", "-d", "link").stdout)
        assert not [x["ifname"] for x in links if "xdp" in x]
        for top in ("/run/synstile", "/var/lib/synstile", "/sys/fs/bpf/synstile"):
            assert not labs.named(top, name)
        # who killed a detach killed who waited for the agent's end
        until(lambda: not lab.synstile_pids(), 3, "no process")
        was, now = self.before["sysctls"], lab.server.sysctls("net.ipv4", "net.core")
        assert not {k: (was[k], v) for k, v in now.items() if was[k] != v}


def test_kill_at_any_moment(make_lab):
    lab = make_lab()
    lab.nginx()
    torture, n = Torture(lab), 0
    try:
        with clients.Load(lab.client, labs.SERVER4, pause=0.05) as load:
            for n in range(KILLS):
                kind = torture.kind()
                torture.kill(kind)
                torture.next_command(kind)
                assert not load.errors, load.errors
        assert load.done > KILLS
        lab.synstile("detach", "--all", check=False)
        same(torture.before, lab.snapshot())
    except BaseException:
        print(f"SYNSTILE_SEED={SEED}, {n + 1} of SYNSTILE_KILLS={KILLS}:",
              *torture.told[-6:], sep="\n  ")
        raise


def test_killed_while_the_agent_starts(make_lab):
    """The agent has its programs and maps, but nobody can see it yet: its process id is not written.
    Who comes next waits for it; else it would come up after a detach, and stay."""
    lab = make_lab()
    before = lab.snapshot()
    pid_file = pathlib.Path(f"/run/synstile/ns-{lab.server.name}.pid")
    pid_file.parent.mkdir(mode=0o755, exist_ok=True)
    with open(pid_file, "w", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_SH)  # here the agent waits for a moment, and then gives up
        attach = None

        def starting():
            nonlocal attach
            if not attach or attach.poll() is not None:
                attach = subprocess.Popen([labs.SYNSTILE, "-n", lab.server.name, "attach", "s0"],
                                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            return next((p for p in lab.synstile_pids() if p != attach.pid
                         and pid_file in opened(p)), None)
        agent = until(starting, 10, "the agent opens it", 0.005)
        os.kill(agent, signal.SIGSTOP)
    attach.kill()
    attach.wait()
    detach = subprocess.Popen([labs.SYNSTILE, "-n", lab.server.name, "detach", "--all"])
    try:
        time.sleep(0.5)
        assert detach.poll() is None, "detach does not wait for an agent that starts"
    finally:
        os.kill(agent, signal.SIGCONT)
    assert detach.wait(patience(10)) == 0
    assert not lab.synstile_pids()
    same(before, lab.snapshot())


def opened(pid):
    """The files that a process has open."""
    found = []
    with contextlib.suppress(OSError):
        for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            found.append(pathlib.Path(os.readlink(fd)))
    return found
