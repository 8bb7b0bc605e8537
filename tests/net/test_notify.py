# SPDX-License-Identifier: GPL-2.0-only
"""What `run` tells a service manager (sd_notify(3)), seen by a socket such as systemd's."""
import contextlib
import os
import signal
import socket
import subprocess
import time

import pytest

import clients
import lab as labs
from netns import patience, until

WATCHDOG_S = 4


class Manager:
    """Starts `synstile run` as systemd does, and keeps what it is told: [(seconds, {key: value})]."""

    def __init__(self, lab, *args, watchdog=True):
        self.lab, self.told = lab, []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = str(lab.tmp / "notify")
        self.socket.bind(path)
        self.socket.settimeout(0.05)
        env = {**os.environ, "NOTIFY_SOCKET": path}
        if watchdog:
            env["WATCHDOG_USEC"] = str(WATCHDOG_S * 1_000_000)
        self.process = subprocess.Popen(
            [labs.SYNSTILE, "-n", lab.server.name, "run", "s0", "s1", "--xdp", "native", *args],
            env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listen(self):
        with contextlib.suppress(TimeoutError):
            while True:
                lines = self.socket.recv(4096).decode().splitlines()
                self.told.append((time.monotonic(), dict(x.split("=", 1) for x in lines)))

    def values(self, key):
        self.listen()
        return [said[key] for _, said in self.told if key in said]

    def hears(self, key, value, seconds=10):
        until(lambda: value in self.values(key), seconds, lambda: f"{key}={value} of {self.told}")

    def says_like(self, words, seconds=10):
        until(lambda: any(words in x for x in self.values("STATUS")), seconds,
              f"STATUS=...{words}... of {self.told}")

    def close(self):
        self.process.kill()
        self.process.wait()
        self.socket.close()
        os.unlink(self.lab.tmp / "notify")
        self.lab.synstile("detach", "--all", check=False)


@pytest.fixture(scope="module")
def one_lab():
    with labs.Lab() as made:
        made.nginx()
        yield made


@pytest.fixture
def manage(one_lab):
    made = []

    def make(*args, **kw):
        made.append(Manager(one_lab, *args, **kw))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_ready_when_protection_is_on(one_lab, manage):
    manager = manage("--mode", "always")
    manager.hears("READY", "1")
    # nothing more to wait for: the very next client gets a cookie
    before = one_lab.count("syn_cookie")
    times, errors = clients.get_many(one_lab.client, labs.SERVER4, 3, src="fresh")
    assert len(times) == 3, errors
    assert one_lab.count("syn_cookie") >= before + 3
    manager.says_like("protecting s0, s1 (mode always); ")

    manager.process.send_signal(signal.SIGHUP)
    manager.hears("RELOADING", "1")
    until(lambda: manager.values("READY") == ["1", "1"], 5, "READY once more")
    order = [k for _, said in manager.told for k in said if k in ("READY", "RELOADING")]
    assert order == ["READY", "RELOADING", "READY"]
    assert int(manager.values("MONOTONIC_USEC")[0]) == pytest.approx(
        time.monotonic() * 1e6, abs=patience(10) * 1e6)

    assert "1" not in manager.values("STOPPING")
    manager.process.terminate()
    manager.hears("STOPPING", "1")
    assert manager.process.wait(patience(10)) == 0


def test_watchdog_beats_and_stops_when_it_hangs(manage):
    manager = manage()
    manager.hears("WATCHDOG", "1")
    until(lambda: len(manager.values("WATCHDOG")) >= 3, 10, "it goes on")
    beats = [at for at, said in manager.told if "WATCHDOG" in said]
    assert max(b - a for a, b in zip(beats, beats[1:])) < patience(WATCHDOG_S)
    manager.process.send_signal(signal.SIGSTOP)
    manager.listen()
    n = len(manager.values("WATCHDOG"))
    time.sleep(1.5)
    assert len(manager.values("WATCHDOG")) == n
    manager.process.send_signal(signal.SIGCONT)
    until(lambda: len(manager.values("WATCHDOG")) > n, 5, "it beats again")


def test_attack_is_in_the_status(one_lab, manage):
    """... and without a watchdog there are no beats."""
    manager = manage(watchdog=False)
    manager.hears("READY", "1")
    manager.says_like("; calm")
    with one_lab.flood(rate=50_000):
        manager.says_like("; under attack: 80")
    assert not manager.values("WATCHDOG")


def test_silent_agent_of_attach(one_lab, tmp_path):
    """Who waits for the command `attach` must not take its agent for the service."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(1.5)
        subprocess.run([labs.SYNSTILE, "-n", one_lab.server.name, "attach", "s0"], check=True,
                       stdout=subprocess.DEVNULL,
                       env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")})
        with pytest.raises(TimeoutError):
            print(manager.recv(4096))
    one_lab.detach()
