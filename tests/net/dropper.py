# SPDX-License-Identifier: GPL-2.0-only
"""Packet loss to order on the client's wire, by tests/tools/dropper.bpf.c.

      client's stack  --BEFORE-->  wire  --synstile (s0)--AFTER-->  server's stack
      client's stack  <--BACK----  wire  <--synstile (s0)--------   server's stack

BEFORE: what the client sends is lost before synstile sees it. AFTER: synstile has seen it, the
server has not. BACK: what the server sends is lost after synstile saw it.

At BACK the program takes the place of xdp_pass, and like it keeps NAPI on.
"""
import ctypes
import os
import platform
import struct

from lab import BUILD
from netns import sh

OBJECT = BUILD / "tools" / "dropper.bpf.o"
BACK, AFTER, BEFORE = range(3)  # enum place
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
ALL = 0xffffffff

KEY, VALUE = struct.Struct("=HH"), struct.Struct("=IIIIIBBH")  # struct rule_key, struct rule
LOOKUP, UPDATE, DELETE, OBJ_GET = 1, 2, 3, 7
SYS_BPF = {"x86_64": 321, "aarch64": 280, "ppc64le": 361, "s390x": 351}
_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, 64)
    done = _libc.syscall(SYS_BPF[platform.machine()], command, buffer, len(buffer))
    if done < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"bpf({command}): {os.strerror(error)}")
    return done


class Dropper:
    """Use as a context manager, inside the lab's."""

    def __init__(self, lab):
        self.lab = lab
        self._rules = set()
        self.pins = f"/sys/fs/bpf/st-{lab.run}-dropper"

    def __enter__(self):
        os.mkdir(self.pins)
        try:
            sh("bpftool", "prog", "loadall", OBJECT, self.pins, "pinmaps", self.pins)
            path = ctypes.create_string_buffer(f"{self.pins}/rules".encode())
            self._map = _bpf(OBJ_GET, struct.pack("=QII", ctypes.addressof(path), 0, 0))
            self._attach()
        except BaseException:
            self._unpin()
            raise
        return self

    def __exit__(self, *exc):
        self.clear()
        os.close(self._map)
        self._unpin()

    def _attach(self):
        client, server = self.lab.client, self.lab.server
        client.run("bpftool", "net", "attach", "xdpdrv", "pinned", f"{self.pins}/dropper_xdp",
                   "dev", "c0", "overwrite")
        for ns, dev, way, name in ((client, "c0", "egress", "dropper_out"),
                                   (server, "s0", "ingress", "dropper_in")):
            ns.run("tc", "qdisc", "add", "dev", dev, "clsact", check=False)
            ns.run("tc", "filter", "add", "dev", dev, way, "pref", 1, "bpf", "direct-action",
                   "object-pinned", f"{self.pins}/{name}")

    def _unpin(self):
        """What is attached lives as long as the interfaces do; with no rule it loses nothing."""
        for name in os.listdir(self.pins):
            os.unlink(f"{self.pins}/{name}")
        os.rmdir(self.pins)

    def _do(self, command, place, port, value=None):
        """One command on the map of rules; the value that it gave or left."""
        key = ctypes.create_string_buffer(KEY.pack(place, port), KEY.size)
        buffer = ctypes.create_string_buffer(value or b"", VALUE.size)
        _bpf(command, struct.pack("=I4xQQ", self._map, ctypes.addressof(key),
                                  0 if command == DELETE else ctypes.addressof(buffer)))
        return buffer.raw

    def lose(self, place, port=0, share=1.0, left=ALL, seed=1, flags=0, without=0, size=0):
        """Lose a share of the packets to or from `port` (0: any) that have all of these TCP flags,
        none of those `without`, and `size` bytes of payload; at most `left` of them.

        The same seed loses the same ones (the first, the third...). One rule for each place and
        port: this one replaces another."""
        share = ALL if share >= 1 else int(share * 2**32)
        self._rules.add((place, port))
        self._do(UPDATE, place, port, VALUE.pack(share, left, seed, 0, 0, flags, without, size))

    def keep(self, place, port=0):
        """No more of that."""
        if (place, port) in self._rules:
            self._do(DELETE, place, port)
            self._rules.remove((place, port))

    def clear(self):
        for rule in list(self._rules):
            self.keep(*rule)

    def lost(self, place, port=0):
        """How many packets a rule has lost, and of how many."""
        rule = VALUE.unpack(self._do(LOOKUP, place, port))
        return rule[4], rule[3]
