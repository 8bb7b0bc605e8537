# SPDX-License-Identifier: GPL-2.0-only
"""The server's interface is a port of a bridge, as on hosts of virtual machines: on its way to the
stack a packet loses there what own cookies hand over."""
import pytest

import clients
import lab as labs
from conftest import COOKIES
from netns import until
from test_attach import fails

OWN = COOKIES[0]  # skipped where the kernel has none
MAC_PORT = "02:00:00:00:01:77"


def enslave(lab):
    """s0 becomes a port of br0, which takes over its address and MAC."""
    lab.server.batch(f"""
link set s0 address {MAC_PORT}
link add br0 address {labs.MAC['s0']} type bridge
link set br0 up
link set s0 master br0
addr del 198.18.1.1/24 dev s0
addr add 198.18.1.1/24 dev br0
neigh add {labs.CLIENT4} lladdr {labs.MAC['c0']} dev br0
route add 198.18.64.0/18 via {labs.CLIENT4}
""")


@pytest.fixture
def bridge(web):
    enslave(web)
    return web


def all_served(lab, n=20):
    times, errors = clients.get_many(lab.client, labs.SERVER4, n, src="fresh")
    assert len(times) == n, errors[:3]


@pytest.mark.parametrize("xdp", ["native", "skb"])
def test_kernel_cookies_are_chosen(bridge, xdp):
    with bridge.attached("--mode", "always", "--xdp", xdp, ifaces=["s0"]):
        status = bridge.status()
        assert status["cookies"] == "kernel"
        all_served(bridge)
        assert bridge.count("cookie_valid") >= 20


@pytest.mark.parametrize("cookies", [OWN])
def test_own_cookies_are_refused(bridge, cookies):
    fails(bridge, "--mode", "always", "--cookies", cookies, ifaces=["s0"],
          words=["s0", "port of a bridge", "--cookies kernel"])


@pytest.mark.parametrize("cookies", [OWN])
def test_the_bridge_itself_takes_own_cookies(bridge, cookies):
    with bridge.attached("--mode", "always", "--cookies", cookies, "--xdp", "skb",
                         ifaces=["br0"]):
        all_served(bridge)
        assert bridge.count("cookie_valid") >= 20


@pytest.mark.parametrize("cookies", [OWN])
def test_not_beside_own_cookies(bridge, cookies):
    with bridge.attached("--mode", "always", "--cookies", cookies, ifaces=["s1"]):
        done = bridge.synstile("attach", "s0", check=False)
        assert done.returncode == 1 and "port of a bridge" in done.stderr
        assert [i["name"] for i in bridge.status()["interfaces"]] == ["s1"]


@pytest.mark.parametrize("cookies", [OWN])
def test_enslaved_later(web, cookies):
    """Nobody may be worse off than without synstile."""
    with web.attached("--mode", "always", "--cookies", cookies, ifaces=["s0"]):
        all_served(web)
        enslave(web)
        until(lambda: web.service(80)["mode"] == "observe", 5, "the port is only observed")
        assert "bridge" in web.service(80)["observed_because"]
        all_served(web)
        web.server.batch("link set s0 nomaster\n")
        until(lambda: web.service(80)["mode"] == "always", 5, "the port is protected again")


def test_doctor_says_so(bridge):
    found = bridge.synstile("doctor", "s0", check=False).stdout
    assert "port of a bridge" in found
