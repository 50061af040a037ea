"""A real Envoy in front of small real services, in a folder that goes away.

Two services, `web` (below `/`) and `api` (below `/api`), two instances of each color; web uses api.
The instances are servers in this very loop, so a test can stop and start any of them at once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.sample import Answering, Identity
from orchestrator.adapters.envoy.switch import EnvoySwitch
from orchestrator.adapters.local.fence import LocalFence
from orchestrator.adapters.local.processes import LocalProcesses
from orchestrator.core.model import (
    Color,
    HttpProbe,
    Pin,
    Placement,
    Recipe,
    Route,
    Service,
    Share,
    Site,
    SwitchSpec,
    Use,
)
from tests.conftest import find_ports

INSTANCES = 2
BLUE, GREEN = Color.BLUE, Color.GREEN
ALL_BLUE, ALL_GREEN, NOBODY = Share(100, 0), Share(0, 100), Share()
WEB_BLUE, WEB_GREEN = Pin("web", BLUE, "api"), Pin("web", GREEN, "api")


def site(state: Path, port: int, **more: Service) -> Site:
    """`port` begins twenty free ones."""
    web = service("web", port + 1, "/", uses=(Use("api"),))
    api = service("api", port + 5, "/api")
    return Site(
        "shop", (web, api, *more.values()), (SwitchSpec("edge", port=port),), state=str(state)
    )


def service(
    name: str, port: int, path: str, *, uses: tuple[Use, ...] = (), host: str | None = None
) -> Service:
    return Service(
        name,
        artifact=f"dist/{name}-{{version}}",
        recipe=Recipe(("true",)),
        placement=Placement(INSTANCES, port, port + INSTANCES),
        probes=(HttpProbe("/healthz"),),
        behind=Route("edge", path, host),
        uses=uses,
    )


@dataclass
class Edge:
    """A switch, and what can be done beside it."""

    site: Site
    processes: LocalProcesses
    switch: EnvoySwitch
    servers: dict[tuple[str, Color, int], asyncio.Server] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return self.site.switches[0].port

    @property
    def runtime(self) -> Path:
        return Path(self.site.state) / "envoy" / "edge" / "runtime" / "runtime.json"

    def another(self, taken_s: float = 5.0) -> EnvoySwitch:
        """As another command would have it."""
        return EnvoySwitch(self.site, fence_of(self.site), self.processes, taken_s=taken_s)

    def pid(self) -> int:
        """Of the Envoy that runs now; 0: none."""
        (seen,) = self.processes.look("envoy/edge")
        return seen.pid or 0 if seen.running else 0

    async def serve(self, name: str, color: Color, instance: int = 0) -> None:
        """Start one instance."""
        me = Identity(name, color.value, "1", instance)
        port = self.site.service(name).placement.port(color, instance)
        server = await asyncio.start_server(Answering(me).serve, "127.0.0.1", port)
        self.servers[name, color, instance] = server

    async def serve_all(self) -> None:
        for described in self.site.services:
            for color in Color:
                for instance in range(INSTANCES):
                    await self.serve(described.name, color, instance)

    def stop(self, name: str, color: Color, instance: int = 0) -> None:
        """Refuse connections from now on. What is kept open stays so."""
        self.servers.pop((name, color, instance)).close()

    async def get(self, path: str, port: int | None = None, host: str = "shop") -> Answer:
        return await get(port or self.port, path, host)


@dataclass(frozen=True)
class Answer:
    status: int
    body: str

    @property
    def said(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.body)
        return data

    @property
    def color(self) -> str:
        """The color that answered; what was said instead where none did."""
        return (
            str(self.said["color"]) if self.status == 200 else f"{self.status} {self.body.strip()}"
        )


async def get(port: int, path: str, host: str = "shop") -> Answer:
    """One request over a connection of its own."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
            body = (await reader.readexactly(length)).decode()
        finally:
            writer.close()
    return Answer(int(head.split(" ", 2)[1]), body)


async def eventually(true: Callable[[], Awaitable[bool]], within_s: float = 10.0) -> None:
    """Poll until it is so."""
    async with asyncio.timeout(within_s):
        while True:
            if await true():
                return
            await asyncio.sleep(0.02)


def fence_of(described: Site) -> LocalFence:
    return LocalFence(str(Path(described.state) / "fence"))


@asynccontextmanager
async def edge_of(described: Site) -> AsyncIterator[Edge]:
    """Nothing runs yet; whatever runs at the end is stopped."""
    processes = LocalProcesses(str(Path(described.state) / "run"))
    switch = EnvoySwitch(described, fence_of(described), processes)
    edge = Edge(described, processes, switch)
    try:
        yield edge
    finally:
        for server in edge.servers.values():
            server.close()
        switch.close()
        for seen in processes.look():
            await processes.stop(seen.name)


@asynccontextmanager
async def new_edge(folder: Path) -> AsyncIterator[Edge]:
    async with edge_of(site(folder / "state", find_ports(20))) as edge:
        yield edge
