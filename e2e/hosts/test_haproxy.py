"""HAProxy on real hosts: two proxies, driven over SSH through the agent."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from e2e.hosts.fleet import Fleet
from e2e.hosts.host import Host as Machine
from orchestrator.adapters.haproxy.fragment import fragment
from orchestrator.adapters.haproxy.switch import HaproxySwitch
from orchestrator.adapters.ssh.agents import Agents
from orchestrator.adapters.ssh.shell import Shell
from orchestrator.core.model import (
    Hold,
    Host,
    HttpProbe,
    Placement,
    Policy,
    ProxySpec,
    Recipe,
    Route,
    Service,
    Share,
    Site,
)
from orchestrator.ports.trouble import Refused, Unreachable
from orchestrator.proxies.far import Args

PORT = 8080
BLUE, GREEN = Share(100, 0), Share(0, 100)
DEFAULTS = """\
global
    user haproxy
    group haproxy
    hard-stop-after 5s
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s

"""
WEB = """\
import http.server, json, sys
class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = json.dumps({"service": "web", "color": sys.argv[2], "version": "1"}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Web).serve_forever()
"""


class OverAgents:
    """`Far` through the agents of the hosts."""

    def __init__(self, site: Site, agents: Agents) -> None:
        self._site, self._agents = site, agents
        self._hosts = {host.name: host for host in site.hosts}

    async def ask(self, host: str, verb: str, args: Args, epoch: int | None) -> dict[str, Any]:
        fields = {"site": self._site.name, "journal": "j1", "epoch": epoch, **args}
        return await self._agents.ask(self._hosts[host], verb, fields)


@pytest.fixture
def fleet(hosting: None, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(tmp_path, 3, proxies=2) as made:
        yield made


def site_of(fleet: Fleet) -> Site:
    web = Service(
        "web",
        artifact="web",
        recipe=Recipe(("true",)),
        placement=Placement(1, 8110, 8120, ("web1",)),
        probes=(HttpProbe("/"),),
        behind=Route("edge"),
    )
    url = f"http://{fleet['proxy1'].address}:{PORT}"
    return Site(
        "shop",
        (web,),
        policy=Policy(hold=Hold()),
        proxies=(ProxySpec("edge", ("proxy1", "proxy2"), url),),
        hosts=tuple(Host(h.name, h.address, user="deploy") for h in fleet.hosts),
    )


@asynccontextmanager
async def switch_of(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HaproxySwitch]:
    home = fleet.folder / "home"
    (home / ".ssh").mkdir(parents=True, exist_ok=True)
    (home / ".ssh" / "config").write_text(fleet.ssh_config.read_text())
    monkeypatch.setenv("HOME", str(home))
    site = site_of(fleet)
    agents = Agents(Shell())
    switch = HaproxySwitch(site, OverAgents(site, agents))
    try:
        yield switch
    finally:
        switch.close()
        await agents.close()


def ready(fleet: Fleet) -> None:
    """What an operator does once on each proxy, and two colors of web."""
    for proxy in fleet.proxies:
        proxy.run(["install", "-d", "-o", "deploy", "/etc/haproxy/bg"])
        proxy.run(["usermod", "-aG", "haproxy", "deploy"])
    web = fleet["web1"]
    web.write("/srv/web.py", WEB)
    for color, port in (("blue", 8110), ("green", 8120)):
        argv = ["python3", "/srv/web.py", str(port), color]
        web.run(["systemd-run", "--quiet", "--collect", f"--unit=web-{color}", *argv])


def configure(fleet: Fleet, proxy: Machine) -> None:
    site = site_of(fleet)
    text = DEFAULTS + fragment(site, site.proxies[0]).replace(
        "mode 660 level", "user root group haproxy mode 660 level"
    )
    proxy.write("/etc/haproxy/haproxy.cfg", text)
    proxy.run(["systemctl", "restart", "haproxy"])


def color_at(proxy: Machine) -> str:
    with urllib.request.urlopen(f"http://{proxy.address}:{PORT}/", timeout=5) as answer:
        return str(json.loads(answer.read())["color"])


@pytest.mark.timeout(180)
async def test_two_proxies_flip_together_and_survive_what_befalls_them(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S24, S25, S26, S29: missing lines, flip, hold, reload, kill -9, a flip by hand, a cut."""
    ready(fleet)
    async with switch_of(fleet, monkeypatch) as switch:
        with pytest.raises(Refused, match=r"proxy1: /etc/haproxy/haproxy.cfg lacks"):
            await switch.ensure(1)
        for proxy in fleet.proxies:
            configure(fleet, proxy)
        await until_ensured(switch)
        await switch.send({"web": BLUE}, {}, 1)
        assert {color_at(proxy) for proxy in fleet.proxies} == {"blue"}
        await switch.send({"web": GREEN}, {}, 1)
        assert {color_at(proxy) for proxy in fleet.proxies} == {"green"}
        await time_stands_still(fleet, switch)
        await what_is_done_by_hand(fleet, switch)
        await nothing_flips_while_one_is_cut_off(fleet, switch)


async def time_stands_still(fleet: Fleet, switch: HaproxySwitch) -> None:
    began_s = await switch.hold(("web",), Hold(2.0), 1)
    waiting = asyncio.create_task(asyncio.to_thread(color_at, fleet["proxy2"]))
    await until_waiting(switch)
    await switch.send({"web": BLUE}, {}, 1, not_after_s=began_s + 1.8)
    assert await waiting == "blue"
    assert len(await switch.let_go(1)) == 1


async def what_is_done_by_hand(fleet: Fleet, switch: HaproxySwitch) -> None:
    """A reload, a kill, a flip."""
    one, two = fleet.proxies
    one.run(["systemctl", "reload", "haproxy"])
    two.run(["systemctl", "kill", "-s", "KILL", "haproxy"])
    two.run(["systemctl", "restart", "haproxy"])
    assert {color_at(proxy) for proxy in fleet.proxies} == {"blue"}
    two.run(["python3", "-c", SAY, "set map /etc/haproxy/bg/shop.colors.map web green"])
    look = await switch.look(None)
    assert not look.up
    assert "proxy2: it serves web from green, its file says blue" in look.note
    await switch.send({"web": BLUE}, {}, 1)
    assert (await switch.look(None)).up


async def nothing_flips_while_one_is_cut_off(fleet: Fleet, switch: HaproxySwitch) -> None:
    one, two = fleet.proxies
    two.blackhole()
    with pytest.raises(Unreachable, match="proxy2"):
        async with asyncio.timeout(60):
            await switch.send({"web": GREEN}, {}, 1)
    assert color_at(one) == "blue"
    two.heal()


SAY = """\
import socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect("/run/haproxy/admin.sock")
line.sendall(sys.argv[1].encode() + b"\\n")
line.recv(100)
"""


async def until_ensured(switch: HaproxySwitch) -> None:
    """HAProxy is just being started."""
    async with asyncio.timeout(15):
        while True:
            try:
                return await switch.ensure(1)
            except Unreachable:
                await asyncio.sleep(0.1)


async def until_waiting(switch: HaproxySwitch) -> None:
    async with asyncio.timeout(5):
        while True:
            if (await switch.held(1)).waiting:
                return
            await asyncio.sleep(0.01)
