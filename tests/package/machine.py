# SPDX-License-Identifier: GPL-2.0-only
"""A machine to install packages on: this one's files, seen through an overlay that is thrown away. It
has a /run and a record of what is attached of its own; kernel, processes and network are this machine's,
so synstile is attached in namespaces that a test made."""
import os
import pathlib
import subprocess

SETUP = """set -e
mount -t tmpfs tmpfs {top}
mkdir {top}/upper {top}/work {top}/root
mount -t overlay overlay -o lowerdir=/,upperdir={top}/upper,workdir={top}/work {top}/root
cd {top}/root
for dir in dev proc sys; do mount --rbind /$dir $dir; done
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir -p run/netns
mount --rbind /run/netns run/netns
# what others have attached is none of its business
rm -rf var/lib/synstile etc/synstile
echo ready
exec sleep infinity
"""


class Machine:
    def __init__(self, top):
        self.top = pathlib.Path(top)
        self.top.mkdir()
        self.root = f"{self.top}/root"
        self.keeper = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "slave", "sh", "-c", SETUP.format(top=self.top)],
            stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        assert self.keeper.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *exc):
        self.keeper.kill()
        self.keeper.wait()
        self.keeper.stdout.close()

    def command(self, *args):
        return ["nsenter", f"--mount=/proc/{self.keeper.pid}/ns/mnt", "chroot", self.root,
                *map(str, args)]

    def run(self, *args, check=True):
        done = subprocess.run(self.command(*args), text=True, capture_output=True, timeout=120, env={
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"})
        assert not check or done.returncode == 0, f"{args}: {done.stdout}{done.stderr}"
        return done

    def read(self, path):
        return self.run("cat", path).stdout

    def copy(self, path):
        """Brings a file in; where it is then."""
        inside = f"/root/{os.path.basename(path)}"
        subprocess.run(self.command("sh", "-c", f"mkdir -p /root && cat >{inside}"), check=True,
                       input=pathlib.Path(path).read_bytes())
        return inside

    def find(self, *words):
        """Paths below the usual places (not /proc, /sys, /dev) for which find(1) has these words."""
        places = ["/bin", "/boot", "/etc", "/home", "/lib", "/opt", "/root", "/run", "/srv", "/usr", "/var"]
        return self.run("find", *places, "-xdev", *words, check=False).stdout.split("\n")[:-1]
