# SPDX-License-Identifier: GPL-2.0-only
"""Published ports: netfilter leads connections to a port of this host to a container, while a program
of the host (as docker-proxy) listens there too. A cookie would be answered for the wrong stack."""
import shutil

import pytest
from test_run import agent, ends, running

import clients
import lab as labs
import services
from netns import until

PORT, CONTAINER = 8080, "198.18.2.2"  # the attacker's namespace plays the container


class Named(services.Service):
    """Says who it is, once it is asked."""

    def __init__(self, port, name):
        super().__init__(port)
        self.name = name

    def talk(self, connection):
        connection.recv(100)
        connection.sendall(self.name)
        connection.close()


@pytest.fixture
def docker(web):
    """nginx on port 80; on port 8080 a proxy here, and the container's server there."""
    web.serve(Named(PORT, b"proxy"))
    web.server.sysctl("net.ipv4.conf.all.forwarding", 1)
    container = Named(PORT, b"container")
    container.start(web.attacker)
    yield web
    container.stop()


def publish(lab, how):
    """A function that makes rules as `docker run -p 8080:8080`, one that takes them away."""
    rule = ["PREROUTING", "-p", "tcp", "-m", "addrtype", "--dst-type", "LOCAL", "-m", "tcp", "--dport",
            PORT, "-j", "DNAT", "--to-destination", f"{CONTAINER}:{PORT}"]
    if how != "nft":
        if not shutil.which(how) or lab.server.run(how, "-t", "nat", "-S", check=False).returncode:
            pytest.skip(f"no {how} here")
        return (lambda: lab.server.run(how, "-t", "nat", "-A", *rule),
                lambda: lab.server.run(how, "-t", "nat", "-D", *rule))
    script = lab.tmp / "docker.nft"
    script.write_text(f"""table ip docker {{
        chain pre {{
            type nat hook prerouting priority -100
            fib daddr type local jump published
        }}
        chain published {{
            tcp dport {PORT} dnat to {CONTAINER}:{PORT}
        }}
        chain own {{
            type nat hook output priority -100
            tcp dport 80 redirect to :{PORT}
        }}
    }}""")
    return (lambda: lab.server.run("nft", "-f", script),
            lambda: lab.server.run("nft", "delete table ip docker"))


def who(lab):
    with clients.connect(lab.client, labs.SERVER4, PORT, src="fresh") as s:
        s.sendall(b"?")
        return clients.receive(s, 5)


def held(lab):
    return lab.service(PORT)["mode"] == "observe"


def protected(lab):
    """Port 80 is another matter."""
    sent = lab.count("syn_cookie")
    assert len(clients.get_many(lab.client, labs.SERVER4, 5, src="fresh")[0]) == 5
    return lab.service(80)["mode"] == "always" and lab.count("syn_cookie") >= sent + 5


@pytest.mark.parametrize("how", ["nft", "iptables-nft", "iptables-legacy"])
def test_published_while_attached(docker, how):
    """Seen, said once, left alone; and protected again when it is over."""
    begin, end = publish(docker, how)
    with running(docker, "--mode", "always", "--cookies", "kernel") as process:
        assert who(docker) == b"proxy" and not held(docker)
        begin()
        # of legacy iptables nobody is told: its rules are read every 10 s
        until(lambda: held(docker), 15, "it is observed")
        assert [who(docker) for _ in range(5)] == [b"conta"] * 5
        assert protected(docker)
        text = docker.synstile("status").stdout
        assert "published" in text or "DNAT" in text, text
        end()
        until(lambda: not held(docker), 15, "it is protected again")
        assert who(docker) == b"proxy" and protected(docker)
        docker.detach()
        said = ends(process)
    assert said.count(f"port {PORT} ") == 1 and "DNAT" in said, said


@pytest.mark.parametrize("how", ["nft", "iptables-legacy"])
def test_published_before(docker, how):
    """From the first packet on, also when no agent has looked yet."""
    publish(docker, how)[0]()
    docker.attach("--mode", "always")
    assert held(docker) and [who(docker) for _ in range(3)] == [b"conta"] * 3
    assert docker.status()["cookies"] == "kernel" and protected(docker)
    assert agent(docker)["running"]
