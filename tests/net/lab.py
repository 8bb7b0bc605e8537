# SPDX-License-Identifier: GPL-2.0-only
"""The lab: three network namespaces, real servers, a flood, and synstile in between.

          client ns                server ns                attacker ns
    c0 198.18.1.2 ---------- s0 198.18.1.1
       198.18.64.0/18           lo 198.18.0.1
       2001:db8:c::/64             2001:db8::1
                             s1 198.18.2.1 ---------- a0 198.18.2.2
                                                         198.19.0.0/16 (spoofed)
                                                         2001:db8:f::/48

All of 198.18.64.0/18 and 2001:db8:c::/64 is the client's, so that every connection can
come from an address that the server never saw. 198.18.3.0/24 and 2001:db8:3::/64 lead
to c0 too but belong to no one: scapy speaks from there and no kernel interferes.
The spoofed prefixes lead to a0, so that replies to the flood take the attacker's wire.

Names are st-<pid>x<n>-<role>: two runs never collide, and what a killed run left is
recognised by its dead pid and swept. The flood generator accepts only such names.

Nothing here needs pytest: demo.py uses the same library.
"""
import contextlib
import itertools
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import tempfile

from netns import SLOW, LabError, Namespace, patience, remove_namespace, sh, until

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SYNSTILE_BUILD", ROOT / "build"))
SYNSTILE = BUILD / "synstile"
FLOOD = BUILD / "tools" / "flood"
XDP_PASS = BUILD / "tools" / "xdp_pass.bpf.o"

SERVER4, SERVER6 = "198.18.0.1", "2001:db8::1"
CLIENT4, CLIENT6 = "198.18.1.2", "2001:db8:1::2"
WIRE4, WIRE6 = "198.18.3.{}", "2001:db8:3::{:x}"
SPOOFED4, SPOOFED6 = "198.19.0.0/16", "2001:db8:f::/48"
MAC = {"s0": "02:00:00:00:01:01", "c0": "02:00:00:00:01:02",
       "s1": "02:00:00:00:02:01", "a0": "02:00:00:00:02:02"}
PAGE = b"turnstile\n" * 20

# --- the lab

def detach_all(name):
    """For clean-ups: never raises."""
    if SYNSTILE.exists():
        sh(SYNSTILE, "-n", name, "detach", "--all", check=False)


def sweep():
    """Remove what runs that no longer exist have left behind."""
    def dead(name, pattern):
        owner = re.match(pattern, name)
        return owner and not os.path.exists(f"/proc/{owner[1]}")

    for path in pathlib.Path("/run/netns").glob("st-*"):
        if dead(path.name, r"st-(\d+)x\d+-"):
            detach_all(path.name)
            remove_namespace(path.name)
    for path in pathlib.Path(tempfile.gettempdir()).glob("synstile-lab-*"):
        if dead(path.name, r"synstile-lab-(\d+)-"):
            shutil.rmtree(path, ignore_errors=True)
    for path in pathlib.Path("/sys/fs/bpf").glob("st-*-dropper"):
        if dead(path.name, r"st-(\d+)x\d+-"):
            shutil.rmtree(path, ignore_errors=True)


def below(top):
    """All files and directories there; those of other tests may come and go meanwhile."""
    return sorted(os.path.join(path, name) for path, dirs, files in os.walk(top)
                  for name in (*dirs, *files))


def named(top, name):
    """What a directory has whose name contains this; the directory itself may come and go."""
    try:
        return [os.path.join(top, found) for found in sorted(os.listdir(top)) if name in found]
    except FileNotFoundError:
        return []


_runs = itertools.count()

SETUP_SYSCTLS = {
    # No neighbour discovery, no duplicate address detection: addresses work at once.
    "net.ipv6.conf.all.accept_dad": 0,
    "net.ipv6.conf.default.accept_dad": 0,
    "net.ipv6.conf.default.dad_transmits": 0,
    "net.ipv6.conf.default.accept_ra": 0,
    "net.ipv6.conf.default.router_solicitations": 0,
    "net.ipv4.conf.all.rp_filter": 0,
    "net.ipv4.conf.default.rp_filter": 0,
    "net.ipv6.ip_nonlocal_bind": 1,  # IPv6 has no other way to bind inside a local prefix
    # Tail loss probes fire after two ticks; on a busy machine they would count as
    # retransmissions that nobody's packet loss has caused.
    "net.ipv4.tcp_early_retrans": 0,
    # A path's history (RTT, ssthresh) must not leak from one test's connection to the next.
    "net.ipv4.tcp_no_metrics_save": 1,
}


class Lab:
    """Use as a context manager; see the picture at the top.

    mtu: of all wires. offload: leave the TX checksum offload of veth on, as real containers
    do (packets then arrive with partial checksums); scapy tests turn it off so that what
    the server sends can be checked byte by byte.
    """

    def __init__(self, mtu=1500, offload=True):
        self.mtu, self.offload = mtu, offload
        self.run = f"{os.getpid()}x{next(_runs)}"
        self.tmp = None
        self._stack = contextlib.ExitStack()

    living = []

    def __enter__(self):
        self.living.append(self)
        self._stack.callback(self.living.remove, self)
        try:
            self.tmp = self._stack.enter_context(_temporary())
            self.client = self._namespace("client")
            self.attacker = self._namespace("attacker")
            self.server = self._namespace("server")
            self._stack.callback(detach_all, self.server.name)
            self._wire()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *exc):
        self._stack.close()

    def _namespace(self, role):
        ns = Namespace(f"st-{self.run}-{role}")
        self._stack.callback(ns.close)
        for key, value in SETUP_SYSCTLS.items():
            ns.sysctl(key, value)
        return ns

    def _wire(self):
        for here, ns, there in (("c0", self.client, "s0"), ("a0", self.attacker, "s1")):
            sh("ip", "link", "add", here, "mtu", self.mtu, "address", MAC[here], "netns", ns.name,
               "type", "veth", "peer", "name", there, "mtu", self.mtu, "address", MAC[there],
               "netns", self.server.name)
        self.server.batch(f"""
link set lo up
link set s0 up
link set s1 up
addr add {SERVER4}/32 dev lo
addr add {SERVER6}/128 dev lo nodad
addr add 198.18.1.1/24 dev s0
addr add 2001:db8:1::1/64 dev s0 nodad
addr add 198.18.2.1/24 dev s1
addr add 2001:db8:2::1/64 dev s1 nodad
neigh add {CLIENT4} lladdr {MAC['c0']} dev s0
neigh add {CLIENT6} lladdr {MAC['c0']} dev s0
neigh add 198.18.2.2 lladdr {MAC['a0']} dev s1
neigh add 2001:db8:2::2 lladdr {MAC['a0']} dev s1
route add 198.18.3.0/24 via {CLIENT4}
route add 198.18.64.0/18 via {CLIENT4}
route add {SPOOFED4} via 198.18.2.2
route add 2001:db8:3::/64 via {CLIENT6}
route add 2001:db8:c::/64 via {CLIENT6}
route add {SPOOFED6} via 2001:db8:2::2
""")
        for ns, dev, there, n in ((self.client, "c0", "s0", 1), (self.attacker, "a0", "s1", 2)):
            ns.batch(f"""
link set lo up
link set {dev} up
addr add 198.18.{n}.2/24 dev {dev}
addr add 2001:db8:{n}::2/64 dev {dev} nodad
neigh add 198.18.{n}.1 lladdr {MAC[there]} dev {dev}
neigh add 2001:db8:{n}::1 lladdr {MAC[there]} dev {dev}
route add default via 198.18.{n}.1
route add ::/0 via 2001:db8:{n}::1
""")
            if XDP_PASS.exists():
                attach_xdp_pass(ns, dev)
        self.client.batch("route add local 198.18.64.0/18 dev lo\n"
                          "route add local 2001:db8:c::/64 dev lo\n")
        # The flood is redirected into the wire, which only a far end with NAPI takes: without an
        # XDP program on it, veth has NAPI only for GRO.
        self.server.run("ethtool", "-K", "s1", "gro", "on")
        if not self.offload:
            for ns, dev in ((self.server, "s0"), (self.server, "s1"), (self.client, "c0")):
                ns.run("ethtool", "-K", dev, "tx", "off")

    # --- servers

    def nginx(self, backlog=511, listen="", workers=1, connections=4096):
        """A real nginx on port 80 of every address, IPv4 and IPv6; its access log's path.

        listen: more words for the listen directive. connections: at once."""
        conf, log = self.tmp / "nginx.conf", self.tmp / "access.log"
        files = min(2 * connections + 1024,  # a page is one too
                    resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        (self.tmp / "www").mkdir(exist_ok=True)
        (self.tmp / "www" / "index.html").write_bytes(PAGE)
        conf.write_text(NGINX_CONF.format(tmp=self.tmp, workers=workers, connections=connections,
                                          files=files,
                                          listen=f"backlog={backlog} {listen}"))
        process = self.server.popen(shutil.which("nginx") or "/usr/sbin/nginx", "-c", conf,
                                    "-p", self.tmp, stderr=subprocess.DEVNULL)
        until(lambda: process.poll() is not None or self.server.ss("-tl", "sport", "=", ":80"),
              10, "nginx listens")
        if process.poll() is not None:
            raise LabError(f"nginx: {(self.tmp / 'error.log').read_text()}")
        self._nginx = process
        return log

    def stop_nginx(self):
        self._nginx.terminate()
        self._nginx.wait()

    def serve(self, service):
        """Run a service (below) until the lab ends."""
        service.start(self.server)
        self._stack.callback(service.stop)
        return service

    # --- synstile

    def synstile(self, *args, check=True, timeout=30):
        """Run a command of synstile on the server."""
        if not SYNSTILE.exists():
            raise LabError(f"no {SYNSTILE}: run make first")
        return sh(SYNSTILE, "-n", self.server.name, *args, check=check, timeout=timeout)

    def attach(self, *args, ifaces=("s0", "s1"), check=True):
        """Native XDP unless told otherwise: left alone, synstile chooses generic XDP on veth,
        because it cannot know that the far end has NAPI on."""
        if "--xdp" not in args:
            args = (*args, "--xdp", "native")
        return self.synstile("attach", *ifaces, *args, check=check)

    def detach(self):
        return self.synstile("detach", "--all")

    @contextlib.contextmanager
    def attached(self, *args, ifaces=("s0", "s1")):
        self.attach(*args, ifaces=ifaces)
        try:
            yield self
        finally:
            self.synstile("detach", "--all", check=False)

    def status(self):
        return json.loads(self.synstile("status", "-j").stdout)

    def count(self, name, bank="done"):
        """One of the counters of verdict.h, summed over interfaces."""
        return self.status()["counters"][bank].get(name, 0)

    def service(self, port):
        """The entry of status for a port, or None."""
        return next((s for s in self.status()["services"] if s["port"] == port), None)

    def describe(self):
        """What to know about the lab when a test has failed in it."""
        text = "\n".join(self.server.ss("-tane"))
        if SYNSTILE.exists():
            done = self.synstile("status", check=False)
            text = done.stdout + done.stderr + text
        counters = self.server.counters()
        return "\n".join([text, *(f"{k} {v}" for k, v in counters.items() if v and "Tcp" in k)])

    def synstile_pids(self):
        """Processes of synstile that serve this lab."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if os.path.basename(words[0]) != "synstile":
                    continue
                if (self.server.name in words
                        or os.stat(path / "ns/net").st_ino == self.server.inode):
                    found.append(int(path.name))
        return found

    def snapshot(self):
        """Everything that attach may change and detach must give back."""
        ns = self.server
        pins = [p for p in below("/sys/fs/bpf")
                if ns.name in p or "dispatch" in p]  # the latter are libxdp's
        sysctls = ns.sysctls("net.ipv4", "net.ipv6", "net.core", "net.netfilter")
        return {
            "bpftool net": ns.run("bpftool", "net", check=False).stdout,
            "links": [(x["ifname"], x.get("xdp"), x["mtu"], x.get("gso_max_size"))
                      for x in json.loads(ns.run("ip", "-j", "-d", "link").stdout)],
            "features": {d: ns.run("ethtool", "-k", d, check=False).stdout for d in ("s0", "s1")},
            "qdiscs": ns.run("tc", "qdisc").stdout,
            "filters": [ns.run("tc", "filter", "show", "dev", d, way, check=False).stdout
                        for d in ("s0", "s1") for way in ("ingress", "egress")],
            "nft": ns.run("nft", "list", "ruleset", check=False).stdout,
            "pins": pins,
            "sysctls": {k: v for k, v in sysctls.items() if not k.endswith("conntrack_count")},
            "processes": self.synstile_pids(),
            "files": [p for top in ("/run/synstile", "/var/lib/synstile") for p in below(top)
                      if ns.name in p],
        }

    # --- the flood

    @contextlib.contextmanager
    def flood(self, kind="syn", **options):
        """Flood from the attacker's wire while the block runs; see flood_start()."""
        process = self.flood_start(kind, **options)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(patience(5))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def flood_start(self, kind="syn", rate=300_000, dst=SERVER4, port=80, src=None, seconds=20,
                    seed=1, scale=True, **options):
        """Start a flood of at most `seconds`, wait until it arrives, return its process.

        scale: a slow machine gets a slower and longer flood. options: more words for flood(1).
        """
        if scale:
            rate, seconds = max(1000, int(rate / SLOW)), min(120, int(patience(seconds)))
        if src is None:
            src = SPOOFED6 if ":" in dst else SPOOFED4
        more = itertools.chain.from_iterable((f"--{k}", v) for k, v in options.items())
        before = self.server.device("s1")["rx"]
        process = self.attacker.popen(
            FLOOD, "-n", self.attacker.name, "--dst", dst, "--dport", port, "--dmac", MAC["s1"],
            "--src", src, "--type", kind, "--rate", rate, "--duration", seconds, "--seed", seed,
            *more, "a0", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        # XDP_TX and XDP_DROP count in the device's packets on veth too
        until(lambda: process.poll() is not None
              or self.server.device("s1")["rx"] - before > min(rate, 1000) // 4,
              5, "the flood arrives")
        if process.poll():
            raise LabError(f"flood: {process.stderr.read()}")
        return process


def attach_xdp_pass(ns, dev):
    """Turn on NAPI at this end of a veth, so that the far end's XDP_TX arrives."""
    done = ns.run("ip", "link", "set", "dev", dev, "xdpdrv", "obj", XDP_PASS, "sec", "xdp.frags",
                  check=False)
    if done.returncode == 0:
        return
    pin = f"/sys/fs/bpf/st-pass-{ns.name}"
    sh("bpftool", "prog", "load", XDP_PASS, pin, "type", "xdp.frags")
    try:
        ns.run("bpftool", "net", "attach", "xdpdrv", "pinned", pin, "dev", dev)
    finally:
        os.unlink(pin)


@contextlib.contextmanager
def _temporary():
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"synstile-lab-{os.getpid()}-"))
    path.chmod(0o755)  # nginx's workers are not root
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


NGINX_CONF = """
daemon off;
worker_processes {workers};
user nobody nogroup;
pid {tmp}/nginx.pid;
error_log {tmp}/error.log warn;
worker_rlimit_nofile {files};
events {{ worker_connections {connections}; }}
http {{
	log_format done '$msec $status';
	access_log {tmp}/access.log done;
	client_header_timeout 600s; # connections that tests hold open without a word
	client_body_temp_path {tmp}/body;
	proxy_temp_path {tmp}/proxy;
	fastcgi_temp_path {tmp}/fastcgi;
	uwsgi_temp_path {tmp}/uwsgi;
	scgi_temp_path {tmp}/scgi;
	server {{
		listen 80 {listen};
		listen [::]:80 {listen} ipv6only=on;
		root {tmp}/www;
	}}
}}
"""
