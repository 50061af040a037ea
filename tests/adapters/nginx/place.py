"""Real nginxes on this machine, in folders that go away, in front of small real services.

All proxies of a place listen at the same ports (the kernel spreads connections), so that they are
under one URL as real ones are; only where bg asks, each has a port of its own. Each is driven
through the very functions of the agent, in this process: `Near` is what lies between instead of
SSH.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bg_agent import call, nginx, trouble, wire
from bg_agent.places import Host as AgentHost
from bg_agent.table import VERBS

from e2e.sample import Answering, Identity
from orchestrator.adapters.nginx import names
from orchestrator.adapters.nginx.fragment import fragment
from orchestrator.adapters.nginx.switch import NginxSwitch
from orchestrator.core.model import Color, Host, Pin, ProxyKind, ProxySpec, Share, Site
from orchestrator.ports.trouble import Refused, Superseded, Unreachable
from orchestrator.proxies import addresses
from orchestrator.proxies.far import Args
from tests.adapters.envoy import edge
from tests.adapters.haproxy.place import Fresh, is_free
from tests.conftest import find_ports

PROGRAM = shutil.which("nginx") or "/usr/sbin/nginx"
MAPS, CONFIG = "/etc/nginx/bg", "/etc/nginx/nginx.conf"
ALL_BLUE, ALL_GREEN, NOBODY = edge.ALL_BLUE, edge.ALL_GREEN, Share()
HEAD = """\
{user}worker_processes 2;
pid {here}/pid;
error_log {here}/log;
worker_shutdown_timeout 10s;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {here}/body;
    proxy_temp_path {here}/proxy;
    fastcgi_temp_path {here}/fastcgi;
    uwsgi_temp_path {here}/uwsgi;
    scgi_temp_path {here}/scgi;
    include {here}/conf.d/*.conf;
}}
"""


def head(here: Path) -> str:
    """As root, workers would be of another user, who may write nothing there."""
    return HEAD.format(here=here, user="user root;\n" if os.geteuid() == 0 else "")


def site(state: Path, port: int, proxies: int = 2, name: str = "shop") -> Site:
    """The site of the Envoy tests, behind nginxes; `port` begins twenty free ones.

    The ports of inner addresses follow from the name.
    """
    described = replace(edge.site(state, port), name=name)
    hosts = tuple(f"proxy{i + 1}" for i in range(proxies))
    url = f"http://127.0.0.1:{port}"
    spec = ProxySpec("edge", hosts, url, maps=MAPS, kind=ProxyKind.NGINX, config=CONFIG)
    return replace(
        described,
        switches=(),
        proxies=(spec,),
        hosts=tuple(Host(name, "127.0.0.1") for name in hosts),
    )


class Near:
    """`Far`, without a network: what the agent of each host would do, done here.

    `between` is called before each question, and may raise.
    """

    def __init__(self, folder: Path, site_name: str, asked: dict[str, int]) -> None:
        self._folder, self._site, self._asked = folder, site_name, asked
        self.between: Callable[[str, str], None] = lambda host, verb: None

    async def ask(self, host: str, verb: str, args: Args, epoch: int | None) -> dict[str, Any]:
        await asyncio.to_thread(self.between, host, verb)
        here = self._folder / host
        own = {"port": self._asked[host], "config": f"{here}/nginx.conf", "maps": f"{here}/bg"}
        request = {"site": self._site, "journal": "j1", "epoch": epoch, **args, **own}
        text = json.dumps(request)
        answer = await asyncio.to_thread(self._answer, text, verb, str(here / "agent"))
        told = json.dumps(answer).replace(f"{here}/bg", MAPS)
        told = told.replace(f"127.0.0.1:{self._asked[host]}", f"127.0.0.1:{args['port']}")
        said: dict[str, Any] = json.loads(told.replace(f"{here}/nginx.conf", CONFIG))
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


@dataclass
class Place:
    folder: Path
    site: Site
    near: Near
    switch: NginxSwitch
    asked: dict[str, int]
    programs: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    servers: dict[tuple[str, Color, int], asyncio.Server] = field(default_factory=dict)

    @property
    def hosts(self) -> tuple[str, ...]:
        return self.site.proxies[0].hosts

    @property
    def port(self) -> int:
        return int(self.site.proxies[0].url.rpartition(":")[2])

    def lines(self, host: str) -> Path:
        """The file that the user put bg's lines in."""
        return self.folder / host / "conf.d" / "bg.conf"

    def colors(self, host: str) -> Path:
        return self.folder / host / "bg" / f"{self.site.name}.colors.conf"

    def said(self, host: str) -> dict[str, str]:
        """What the workers of one nginx say, all of them."""
        return nginx.agreed(self.asked[host], self.site.name, 5.0).colors

    def another(self, near: Near | None = None, **more: Any) -> NginxSwitch:
        """As another command would have it."""
        return NginxSwitch(self.site, near or self.near, **more)

    def write_config(self, host: str) -> None:
        here = self.folder / host
        (here / "conf.d").mkdir(parents=True, exist_ok=True)
        (here / "nginx.conf").write_text(head(here))
        spec = replace(self.site.proxies[0], maps=f"{here}/bg")
        port = names.asked_port(self.site, spec)
        text = fragment(self.site, spec).replace(
            f"127.0.0.1:{port} ", f"127.0.0.1:{self.asked[host]} "
        )
        text = re.sub(r"listen (\d+);", r"listen 127.0.0.1:\1 reuseport;", text)
        self.lines(host).write_text(text)

    def command(self, host: str, *words: str) -> list[str]:
        here = self.folder / host
        return [PROGRAM, "-c", f"{here}/nginx.conf", "-e", f"{here}/log", *words]

    def start(self, host: str) -> None:
        self.programs[host] = subprocess.Popen(
            self.command(host, "-g", "daemon off;"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._until(host, lambda: bool(self.said(host)))

    def reload(self, host: str) -> None:
        before = self.workers(host).serving
        self.programs[host].send_signal(signal.SIGHUP)
        self._until(host, lambda: not before & self.workers(host).serving)

    def workers(self, host: str) -> nginx.Workers:
        return nginx.agreed(self.asked[host], self.site.name, 5.0).workers

    def kill(self, host: str) -> None:
        """All of it, at once."""
        program = self.programs.pop(host)
        with suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.wait(10)

    def _until(self, host: str, true: Callable[[], bool]) -> None:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with suppress(nginx.Away):
                if true():
                    return
            time.sleep(0.01)
        raise TimeoutError((self.folder / host / "log").read_text()[-2000:])

    async def begin(self) -> None:
        """The file laid by bg, lines by hand, nginxes started: as a user would."""
        for host in self.hosts:
            self.write_config(host)
        with suppress(Refused, Unreachable):
            await self.switch.ensure(1)  # lays the file, and says what is missing: an nginx
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
        for server in self.servers.values():
            server.close()
        for host in tuple(self.programs):
            self.kill(host)
        await asyncio.sleep(0.01)  # everybody notices


def free_site(state: Path, proxies: int) -> tuple[Site, dict[str, int]]:
    """One whose ports, all of them, are free at this moment, and where each proxy is asked."""
    for turn in range(100):
        port = find_ports(20 + proxies)
        described = site(state, port, proxies, name=f"shop{port}-{turn}")
        asked = {f"proxy{i + 1}": port + 20 + i for i in range(proxies)}
        if all(is_free(one) for one in addresses.ports(described).values()):
            return described, asked
    raise RuntimeError("no free ports")


@asynccontextmanager
async def new_place(folder: Path, proxies: int = 2, **more: Any) -> AsyncIterator[Place]:
    """Whatever runs at the end is stopped."""
    described, asked = free_site(folder / "state", proxies)
    described = replace(described, **more)
    hosts = folder / "hosts"
    near = Near(hosts, described.name, asked)
    place = Place(hosts, described, near, NginxSwitch(described, near), asked)
    try:
        await place.begin()
        yield place
    finally:
        await place.close()
