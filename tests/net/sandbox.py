# SPDX-License-Identifier: GPL-2.0-only
"""What a systemd unit lets its processes do, made without systemd: capabilities, no_new_privs, and
read-only file systems for real; system calls, address families and namespaces by looking at what a
program asked for (strace). Only what synstile's units use is understood; the rest is an error."""
import pathlib
import re
import shlex
import subprocess

# Harmless here, or checked elsewhere (systemd-analyze verify, security).
ELSEWHERE = """Type ExecStart ExecReload ExecStop Restart RestartSec WatchdogSec TimeoutStopSec LimitMEMLOCK
RuntimeDirectoryMode RuntimeDirectoryPreserve StateDirectoryMode AmbientCapabilities
SystemCallArchitectures SystemCallErrorNumber RestrictRealtime RestrictSUIDSGID LockPersonality
PrivateDevices DevicePolicy ProtectClock ProtectControlGroups ProtectHostname ProtectKernelLogs
ProtectKernelModules PrivateMounts PrivateTmp KeyringMode IPAddressDeny""".split()


def read(path):
    """The settings of [Service]: {name: [value, ...]}."""
    found, section = {}, None
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and line and line[0] != "#":
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def syscall_group(name):
    """The system calls of a group such as @file-system, as this systemd knows them."""
    if not name.startswith("@"):
        return {name}
    lines = subprocess.run(["systemd-analyze", "syscall-filter", name], check=True, text=True,
                           capture_output=True).stdout.splitlines()
    names = (line.strip() for line in lines[1:])
    return set().union(*(syscall_group(n) for n in names if n and n[0] != "#"))


class Sandbox:
    def __init__(self, unit, scratch):
        self.unit, self.scratch = read(unit), scratch
        self.trace = scratch / "strace"

    def words(self, name):
        return [w for value in self.unit.pop(name, []) for w in value.split()]

    def script(self):
        """Mounts, then "$@" with the unit's privileges, traced."""
        one = lambda name, default="no": (self.words(name) or [default])[-1]  # noqa: E731
        writable = [str(self.scratch)]
        writable += [f"/run/{d}" for d in self.words("RuntimeDirectory")]
        writable += [f"/var/lib/{d}" for d in self.words("StateDirectory")]
        lines = ["set -e", "mkdir -p " + shlex.join(writable), f"umask {one('UMask', '0022')}"]
        if one("ProtectProc") == "invisible":
            lines.append("mount -t proc -o hidepid=invisible proc /proc")
        # what stays writable below what does not must be a mount of its own
        writable += self.words("ReadWritePaths")
        below = ["/"] if one("ProtectSystem") == "strict" else []
        spared = ["/dev", "/proc", "/sys"]
        readonly = self.words("ReadOnlyPaths")
        lines += [f"mount --rbind {p} {p}" for p in readonly + writable]
        if one("ProtectHome") == "yes":
            lines.append("mount -t tmpfs -o mode=000 tmpfs /home; mount -t tmpfs -o mode=000 tmpfs /root")
        for path in self.words("InaccessiblePaths"):
            path = path.lstrip("-")
            lines.append(f"if test -d {path}; then mount -t tmpfs -o mode=000,ro tmpfs {path}; "
                         f"elif test -e {path}; then mount --bind /dev/null {path}; fi")
        lines.append(READ_ONLY.format(below=" ".join(below + readonly), spared=" ".join(spared),
                                      readonly=" ".join(readonly), writable=" ".join(writable)))
        caps = ",".join("+" + c.removeprefix("CAP_").lower()
                        for c in self.words("CapabilityBoundingSet"))
        drop = ["setpriv", "--bounding-set", f"-all,{caps}", "--inh-caps", "-all"]
        if one("NoNewPrivileges") == "yes":
            drop.append("--no-new-privs")
        lines.append("exec " + shlex.join(drop) + f" strace -f -qq -o {self.trace}.$$ \"$@\"")
        self.filter = self.unit.pop("SystemCallFilter", [])
        self.families = self.words("RestrictAddressFamilies")
        self.namespaces = self.words("RestrictNamespaces")
        self.no_exec = one("MemoryDenyWriteExecute") == "yes"
        unknown = set(self.unit) - set(ELSEWHERE)
        assert not unknown, f"the sandbox does not know {unknown}"
        return "\n".join(lines)

    def command(self, *args):
        if not hasattr(self, "made"):
            self.made = self.script()
        return ["unshare", "--mount", "--propagation", "slave", "sh", "-c", self.made, "sandbox",
                *map(str, args)]

    # --- what was asked for

    def calls(self):
        for path in self.scratch.glob("strace.*"):
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                call = re.match(r"\d+ +(\w+)\((.*)", line)
                if call:
                    yield call.groups()

    def allowed(self):
        allowed = syscall_group("@default")
        for line in self.filter:  # a ~ is for all of its line
            named = set().union(*map(syscall_group, line.lstrip("~").split()))
            allowed = allowed - named if line.startswith("~") else allowed | named
        return allowed

    def refused(self):
        """What the unit would not have let the traced programs do."""
        allowed, seen = self.allowed(), set()
        for name, args in self.calls():
            family = args.split(",")[0]
            if name not in allowed:
                seen.add(name)
            if name in ("socket", "socketpair") and family not in self.families:
                seen.add(f"{name}({family})")
            if name == "setns" and "CLONE_NEW" + self.namespaces[0].upper() not in args:
                seen.add(f"{name}({args}")
            if self.no_exec and name in ("mmap", "mprotect") and re.search(
                    r"PROT_WRITE\|PROT_EXEC", args):
                seen.add(f"{name}({args}")
        return seen


READ_ONLY = r"""
# deepest last: what is mounted below what, and may it be written?
for at in $(cut -d' ' -f5 /proc/self/mountinfo | sort -u); do
	mode=
	for p in {below}; do case "$at/" in "${{p%/}}"/*) mode=ro;; esac; done
	for p in {spared}; do case "$at/" in "$p"/*) mode=;; esac; done
	for p in {readonly}; do case "$at/" in "$p"/*) mode=ro;; esac; done
	for p in {writable}; do case "$at/" in "$p"/*) mode=;; esac; done
	# others' mounts, such as namespaces of other tests, may go meanwhile
	if test -n "$mode" && ! said=$(mount -o remount,bind,ro "$at" 2>&1) &&
		cut -d' ' -f5 /proc/self/mountinfo | grep -qxF "$at"; then
		echo "$said" >&2; exit 1
	fi
done
"""
