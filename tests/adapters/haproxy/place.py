"""Real HAProxies on this machine, in folders that go away, in front of small real services.

All proxies of a place listen at the same ports (the kernel spreads connections), so that they are
under one URL as real ones are. Each is driven through the very functions of the agent, in this
process: `Near` is what lies between instead of SSH.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bg_agent import call, trouble, wire
from bg_agent.haproxy import Away, Runtime
from bg_agent.places import Host as AgentHost
from bg_agent.table import VERBS

from e2e.sample import Answering, Identity, Upstream
from orchestrator.adapters.haproxy.fragment import fragment
from orchestrator.adapters.haproxy.switch import HaproxySwitch
from orchestrator.core.model import Color, Host, Pin, ProxySpec, Share, Site
from orchestrator.ports.trouble import Refused, Superseded, Unreachable
from orchestrator.proxies import addresses
from orchestrator.proxies.far import Args
from tests.adapters.envoy import edge
from tests.conftest import find_ports

PROGRAM = shutil.which("haproxy") or "/usr/sbin/haproxy"
DEFAULTS = """\
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout queue 5s

"""
ALL_BLUE, ALL_GREEN, NOBODY = edge.ALL_BLUE, edge.ALL_GREEN, Share()
SOCKET, MAPS = "/run/haproxy/admin.sock", "/etc/haproxy/bg"


def site(state: Path, port: int, proxies: int = 2, name: str = "shop") -> Site:
    """The site of the Envoy tests, behind HAProxies; `port` begins twenty free ones.

    The ports of inner addresses follow from the name.
    """
    described = replace(edge.site(state, port), name=name)
    hosts = tuple(f"proxy{i + 1}" for i in range(proxies))
    return replace(
        described,
        switches=(),
        proxies=(ProxySpec("edge", hosts, f"http://127.0.0.1:{port}"),),
        hosts=tuple(Host(name, "127.0.0.1") for name in hosts),
    )


class Near:
    """`Far`, without a network: what the agent of each host would do, done here.

    `between` is called before each question, and may raise.
    """

    def __init__(self, folder: Path, site_name: str) -> None:
        self._folder, self._site = folder, site_name
        self.between: Callable[[str, str], None] = lambda host, verb: None

    async def ask(self, host: str, verb: str, args: Args, epoch: int | None) -> dict[str, Any]:
        self.between(host, verb)
        here = self._folder / host
        request = {"site": self._site, "journal": "j1", "epoch": epoch, **args}
        text = json.dumps(request).replace(SOCKET, f"{here}/h.sock").replace(MAPS, f"{here}/maps")
        answer = await asyncio.to_thread(self._answer, text, verb, str(here / "agent"))
        told = json.dumps(answer).replace(f"{here}/h.sock", SOCKET).replace(f"{here}/maps", MAPS)
        said: dict[str, Any] = json.loads(told)
        return said

    def _answer(self, text: str, verb: str, base: str) -> dict[str, Any]:
        host = AgentHost("user", base)
        request = wire.decode(text.encode())
        try:
            said = call.answered(VERBS[verb], request, host, lambda *_: None)
        except trouble.Refused as refused:
            raise Refused(refused.why) from None
        except trouble.Superseded as superseded:
            raise Superseded(superseded.why) from None
        except trouble.Unsure as unsure:
            raise Unreachable(unsure.why) from None
        return said


class Fresh(Upstream):
    """A connection for each question, closed whatever becomes of it."""

    async def get(self) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            return await self._ask(reader, writer)
        finally:
            writer.close()


@dataclass
class Place:
    folder: Path
    site: Site
    near: Near
    switch: HaproxySwitch
    programs: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    servers: dict[tuple[str, Color, int], asyncio.Server] = field(default_factory=dict)

    @property
    def hosts(self) -> tuple[str, ...]:
        return self.site.proxies[0].hosts

    @property
    def port(self) -> int:
        return int(self.site.proxies[0].url.rpartition(":")[2])

    def config(self, host: str) -> Path:
        return self.folder / host / "haproxy.cfg"

    def runtime(self, host: str) -> Runtime:
        return Runtime(f"{self.folder / host}/h.sock")

    def map(self, host: str, what: str = "colors") -> Path:
        return self.folder / host / "maps" / f"{self.site.name}.{what}.map"

    def another(self, near: Near | None = None, **more: Any) -> HaproxySwitch:
        """As another command would have it."""
        return HaproxySwitch(self.site, near or self.near, **more)

    def write_config(self, host: str, extra: str = "") -> None:
        spec = self.site.proxies[0]
        here = self.folder / host
        here.mkdir(parents=True, exist_ok=True)
        local = replace(spec, socket=f"{here}/h.sock", maps=f"{here}/maps")
        text = DEFAULTS + fragment(self.site, local).replace("bind :", "bind 127.0.0.1:") + extra
        self.config(host).write_text(text)

    def start(self, host: str) -> None:
        """With a master, as Debian's unit has it."""
        log = (self.folder / host / "log").open("ab")
        with log:
            self.programs[host] = subprocess.Popen(
                [PROGRAM, "-W", "-f", str(self.config(host))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._until(host, lambda pid: pid > 0)

    def reload(self, host: str) -> None:
        before = self.runtime(host).pid()
        self.programs[host].send_signal(signal.SIGUSR2)
        self._until(host, lambda pid: pid not in (0, before))

    def kill(self, host: str) -> None:
        """All of it, at once."""
        program = self.programs.pop(host)
        with suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.wait(10)

    def _until(self, host: str, true: Callable[[int], bool]) -> None:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with suppress(Away):
                if true(self.runtime(host).pid()):
                    return
            time.sleep(0.01)
        raise TimeoutError((self.folder / host / "log").read_text()[-2000:])

    async def begin(self, extra: str = "") -> None:
        """Files laid by bg, lines by hand, HAProxies started: as a user would."""
        for host in self.hosts:
            self.write_config(host, extra)
        with suppress(Refused, Unreachable):
            await self.switch.ensure(1)  # lays the files, and says what is missing: a HAProxy
        for host in self.hosts:
            self.start(host)
        await self.switch.ensure(1)

    async def serve_all(self) -> None:
        for described in self.site.services:
            for color in Color:
                for instance in range(described.placement.count):
                    await self.serve(described.name, color, instance)

    async def serve(self, name: str, color: Color, instance: int = 0) -> None:
        uses = None
        for use in self.site.service(name).uses:
            uses = self.switch.inner_address(Pin(name, color, use.callee))
        me = Identity(name, color.value, "1", instance, uses)
        port = self.site.service(name).placement.port(color, instance)
        answering = Answering(me)
        answering._upstream = Fresh(uses) if uses else None
        server = await asyncio.start_server(answering.serve, "127.0.0.1", port)
        self.servers[name, color, instance] = server

    async def get(self, path: str = "/", port: int | None = None) -> edge.Answer:
        return await edge.get(port or self.port, path)

    async def close(self) -> None:
        self.switch.close()
        for server in self.servers.values():
            server.close()
        for host in tuple(self.programs):
            self.kill(host)
        await asyncio.sleep(0.01)  # everybody notices


@asynccontextmanager
async def place_of(described: Site, folder: Path) -> AsyncIterator[Place]:
    """Nothing runs yet; whatever runs at the end is stopped."""
    near = Near(folder, described.name)
    place = Place(folder, described, near, HaproxySwitch(described, near))
    try:
        yield place
    finally:
        await place.close()


def free_site(state: Path, proxies: int) -> Site:
    """One whose ports, all of them, are free at this moment: other tests run beside these."""
    for turn in range(100):
        port = find_ports(20)
        described = site(state, port, proxies, name=f"shop{port}-{turn}")
        if all(is_free(one) for one in addresses.ports(described).values()):
            return described
    raise RuntimeError("no free ports")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@asynccontextmanager
async def new_place(folder: Path, proxies: int = 2, **more: Any) -> AsyncIterator[Place]:
    described = replace(free_site(folder / "state", proxies), **more)
    async with place_of(described, folder / "hosts") as place:
        await place.begin()
        yield place
