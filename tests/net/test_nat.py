# SPDX-License-Identifier: GPL-2.0-only
"""NAT in the namespace: one chain of it, and the stack drops what own cookies hand over."""
import pytest

import clients
import lab as labs
from conftest import COOKIES
from netns import until
from test_attach import fails

# As a host with containers has; it need not match anything.
NAT = """table {} nat {{
	chain postrouting {{
		type nat hook postrouting priority 100;
		oifname "none" masquerade
	}}
}}
"""
OWN = COOKIES[0]  # skipped where the kernel has none
FAMILY = pytest.mark.parametrize("family, dst", [("ip", labs.SERVER4), ("ip6", labs.SERVER6)])


def nft(lab, text):
    (lab.tmp / "nat.nft").write_text(text)
    lab.server.run("nft", "-f", lab.tmp / "nat.nft")


@pytest.fixture
def nat(web):
    """A function that loads the NAT; it is gone afterwards."""
    yield lambda family: nft(web, NAT.format(family))
    web.server.run("nft", "flush", "ruleset")


def all_served(lab, n=30):
    for dst in (labs.SERVER4, labs.SERVER6):
        times, errors = clients.get_many(lab.client, dst, n, src="fresh")
        assert len(times) == n, errors[:3]


@pytest.mark.parametrize("loose", [1, 0])
@FAMILY
def test_kernel_cookies_are_chosen(web, nat, family, dst, loose):
    nat(family)
    web.server.sysctl("net.netfilter.nf_conntrack_tcp_loose", loose)
    try:
        with web.attached("--mode", "always"):
            status = web.status()
            assert status["cookies"] == "kernel" and not status["held_by_nat"]
            all_served(web)
            assert web.count("cookie_valid") >= 30
    finally:
        web.server.sysctl("net.netfilter.nf_conntrack_tcp_loose", 1)


@FAMILY
@pytest.mark.parametrize("cookies", [OWN])
def test_own_cookies_are_refused(web, nat, cookies, family, dst):
    nat(family)
    fails(web, "--mode", "always", "--cookies", cookies,
          words=["--cookies own", "netfilter", "--cookies kernel"])
    with web.attached("--mode", "observe"):  # which answers nothing
        all_served(web)


@FAMILY
@pytest.mark.parametrize("cookies", [OWN])
def test_nat_comes_and_goes(web, nat, cookies, family, dst):
    """Docker is started after synstile: nobody may be worse off than without."""
    with web.attached("--mode", "always", "--cookies", cookies):
        all_served(web)
        sent = web.count("syn_cookie")
        assert sent >= 30
        nat(family)
        until(lambda: web.service(80)["mode"] == "observe", 5, "the port is only observed")
        assert web.status()["held_by_nat"]
        assert "Netfilter" in web.synstile("status").stdout
        sent = web.count("syn_cookie")
        all_served(web)
        assert web.count("syn_cookie") == sent
        web.server.run("nft", "flush", "ruleset")
        until(lambda: web.service(80)["mode"] == "always", 5, "the port is protected again")
        all_served(web)
        assert web.count("syn_cookie") > sent
