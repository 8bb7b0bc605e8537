# SPDX-License-Identifier: GPL-2.0-only
"""Network namespaces from Python, and the two ways to wait: sh() and until().

A thread may be in another namespace than its process, and a socket stays where it was made:
so one process can hold both ends of a connection.
"""
import contextlib
import ctypes
import os
import pathlib
import signal
import socket
import subprocess
import time

SLOW = float(os.environ.get("SYNSTILE_SLOW", "1"))


def patience(seconds):
    """A deadline of `seconds` on an idle machine, scaled for slow ones (SYNSTILE_SLOW)."""
    return seconds * SLOW


def at_last(seconds):
    """How long to wait for what takes less than `seconds` on an idle machine: it may be a busy one.
    How fast something is shows the bench."""
    return 3 * patience(seconds)


class LabError(Exception):
    """The lab itself failed (not what is tested in it)."""


def sh(*args, check=True, timeout=60, **kw):
    """Run a command to its end; its output as text. Raises LabError with its stderr."""
    args = [str(a) for a in args]
    done = subprocess.run(args, text=True, capture_output=True, timeout=patience(timeout), **kw)
    if check and done.returncode:
        raise LabError(f"{' '.join(args)}: exit {done.returncode}: {done.stderr or done.stdout}")
    return done


def until(condition, seconds, what, every=0.02):
    """Wait until condition() is true and return its value; after the deadline, fail by name.

    what: text, or a function that makes it then: of what was found instead, for example.
    """
    end = time.monotonic() + at_last(seconds)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            text = what() if callable(what) else what
            raise AssertionError(f"not within {at_last(seconds):g} s: {text}")
        time.sleep(every)


_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Namespace:
    """A named network namespace. Sockets and commands made `inside()` live there."""

    def __init__(self, name):
        self.name = name
        sh("ip", "netns", "add", name)
        self._fd = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
        self.inode = os.fstat(self._fd).st_ino
        self._processes = []

    @contextlib.contextmanager
    def inside(self):
        """Move the calling thread into the namespace for a while (its mounts stay)."""
        back = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(self._fd)
            yield
        finally:
            _setns(back)
            os.close(back)

    def run(self, *args, **kw):
        with self.inside():
            return sh(*args, **kw)

    def popen(self, *args, **kw):
        """Start a process that dies with the namespace at the latest."""
        with self.inside():
            process = subprocess.Popen([str(a) for a in args], **kw)
        self._processes.append(process)
        return process

    def batch(self, text):
        """Run lines of ip(8) arguments."""
        self.run("ip", "-batch", "-", input=text)

    def socket(self, family, kind=socket.SOCK_STREAM, proto=0):
        with self.inside():
            return socket.socket(family, kind, proto)

    def sysctl(self, key, value=None):
        """Read, or write and return the former value. Dots in `key` as in sysctl(8)."""
        path = "/proc/sys/" + key.replace(".", "/")
        with self.inside():
            with open(path) as f:
                was = f.read().strip()
            if value is not None:
                with open(path, "w") as f:
                    f.write(str(value))
        return was

    def sysctls(self, *prefixes):
        """All readable values below the given prefixes (such as "net.ipv4")."""
        found = {}
        with self.inside():
            for prefix in prefixes:
                for path in pathlib.Path("/proc/sys/" + prefix.replace(".", "/")).rglob("*"):
                    with contextlib.suppress(OSError):
                        if path.is_file():
                            found[str(path)[10:]] = path.read_text().strip()
        return found

    def counters(self):
        """What nstat(8) shows: {"TcpRetransSegs": n, "TcpExtListenDrops": n, ...}."""
        found = {}
        with self.inside():
            for name in ("snmp", "netstat"):
                lines = pathlib.Path("/proc/thread-self/net", name).read_text().splitlines()
                for keys, values in zip(lines[::2], lines[1::2]):
                    group = keys.split(":")[0]
                    for k, v in zip(keys.split()[1:], values.split()[1:]):
                        found[group + k] = int(v)
        return found

    def device(self, dev):
        """Received and sent packets and drops of an interface."""
        with self.inside():
            for line in pathlib.Path("/proc/thread-self/net/dev").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name.strip() == dev:
                    n = [int(x) for x in rest.split()]
                    return {"rx": n[1], "rx_dropped": n[3], "tx": n[9], "tx_dropped": n[11]}
        raise LabError(f"no interface {dev} in {self.name}")

    def ss(self, *args):
        """ss(8) without header, one line a socket."""
        return self.run("ss", "-HnO", *args).stdout.splitlines()

    def pids(self):
        return [int(p) for p in sh("ip", "netns", "pids", self.name, check=False).stdout.split()]

    def close(self):
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
        os.close(self._fd)
        remove_namespace(self.name)


def remove_namespace(name):
    """Kill who is inside, delete. Never raises: it runs in clean-ups."""
    own = {os.getpid(), os.getppid()}
    for pid in sh("ip", "netns", "pids", name, check=False).stdout.split():
        if int(pid) not in own:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    sh("ip", "netns", "delete", name, check=False)
