"""What flips are measured on: web and api in two colors as processes of their own, an Envoy, free
ports.

The switch is the real one, with its real fence and keepers; the services are `e2e.sample`.
Everything lies in a folder that goes away, and everything that was started is stopped.
"""

from __future__ import annotations

import asyncio
import random
import socket
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from e2e.load import Flip, Load
from orchestrator.adapters.envoy.switch import EnvoySwitch
from orchestrator.adapters.local.fence import LocalFence
from orchestrator.adapters.local.processes import LocalProcesses
from orchestrator.core.model import (
    Color,
    HttpProbe,
    Pin,
    Placement,
    Policy,
    Recipe,
    Route,
    Service,
    Share,
    Site,
    SwitchSpec,
    Use,
)

ROOT = Path(__file__).resolve().parent.parent
INSTANCES = 2
EPOCH = 1


@dataclass
class Place:
    folder: Path
    site: Site
    switch: EnvoySwitch
    processes: LocalProcesses

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.site.switches[0].port}"

    def ports(self, color: Color) -> list[int]:
        """Where web's instances of a color listen."""
        placement = self.site.service("web").placement
        return [placement.port(color, i) for i in range(placement.count)]

    async def wire(self) -> None:
        """Each color of web reaches its own color of api; blue serves."""
        pins = {Pin("web", color, "api"): color for color in Color}
        await self.switch.send(dict.fromkeys(("web", "api"), Share(100, 0)), pins, EPOCH)

    async def flip(self, color: Color, *, pinned: bool) -> Flip:
        """Both services to one color; not pinned: the inner addresses follow in the same write."""
        shares = dict.fromkeys(("web", "api"), Share.all_to(color))
        pins = {} if pinned else {Pin("web", each, "api"): color for each in Color}
        began = time.monotonic()
        await self.switch.send(shares, pins, EPOCH)
        return Flip(color.value, began, time.monotonic())


@asynccontextmanager
async def flip_place(policy: Policy = Policy()) -> AsyncIterator[Place]:  # noqa: B008 - frozen
    """With a hold in the policy, time can be stopped."""
    with tempfile.TemporaryDirectory(prefix="bg-bench-") as name:
        folder = Path(name)
        place = _place(folder, free_ports(20), policy)
        instances: list[Process] = []
        try:
            await place.switch.ensure(EPOCH)
            await place.wire()
            instances = [await one for one in _instances(place)]
            yield place
        finally:
            for instance in instances:
                await ended(instance)
            place.switch.close()
            for seen in place.processes.look():
                await place.processes.stop(seen.name)


def _place(folder: Path, port: int, policy: Policy) -> Place:
    site = replace(site_of(folder / "state", port), policy=policy)
    processes = LocalProcesses(f"{site.state}/run")
    switch = EnvoySwitch(site, LocalFence(f"{site.state}/fence"), processes)
    return Place(folder, site, switch, processes)


def site_of(state: Path, port: int, count: int = INSTANCES) -> Site:
    """`port` begins twenty free ones."""
    web = _service("web", Placement(count, port + 1, port + 1 + count), "/", (Use("api"),))
    api = _service("api", Placement(count, port + 1 + 2 * count, port + 1 + 3 * count), "/api")
    return Site("bench", (web, api), (SwitchSpec("edge", port=port),), state=str(state))


def _service(name: str, placement: Placement, path: str, uses: tuple[Use, ...] = ()) -> Service:
    probes = (HttpProbe("/healthz"),)
    behind = Route("edge", path)
    return Service(name, name, Recipe(("true",)), placement, probes, behind=behind, uses=uses)


def _instances(place: Place) -> list[asyncio.Future[Process]]:
    return [
        asyncio.ensure_future(_instance(place, service, color, index))
        for service in place.site.services
        for color in Color
        for index in range(service.placement.count)
    ]


async def _instance(place: Place, service: Service, color: Color, index: int) -> Process:
    port = service.placement.port(color, index)
    more: list[str] = []
    for use in service.uses:
        host, inner = place.switch.inner_address(Pin(service.name, color, use.callee))
        more = ["--uses", f"http://{host}:{inner}"]
    argv = ["-m", "e2e.sample", service.name, "--port", str(port), "--color", color.value, *more]
    argv += ["--note", str(place.folder / f"note-{service.name}-{color.value}-{index}")]
    started = await begun([sys.executable, *argv], ROOT)
    await answering(port)
    return started


# -- Programs and ports --------------------------------------------------------------------


async def begun(argv: list[str], folder: Path, env: dict[str, str] | None = None) -> Process:
    return await asyncio.create_subprocess_exec(
        *argv, cwd=folder, env=env, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
    )


async def ended(process: Process) -> None:
    """SIGTERM, and SIGKILL where that does not do."""
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(3):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def output(argv: list[str], folder: Path) -> str:
    """What a command says, both streams; it has to end well."""
    process = await asyncio.create_subprocess_exec(*argv, cwd=folder, stdout=PIPE, stderr=PIPE)
    out, err = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{argv[0]} ended with {process.returncode}: {err.decode()[-500:]}")
    return out.decode() + err.decode()


async def answering(port: int, within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return


def free_ports(count: int) -> int:
    """The first of so many in a row that nobody listens at."""
    for _ in range(200):
        first = random.randrange(20000, 32000 - count)
        if all(_free(port) for port in range(first, first + count)):
            return first
    raise RuntimeError("no free ports")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def why(load: Load) -> str:
    """What was lost, most first."""
    most = sorted(load.why_lost.items(), key=lambda item: -item[1])[:3]
    return ", ".join(f"{count} {why}" for why, count in most)


def color(turn: int) -> Color:
    return (Color.GREEN, Color.BLUE)[turn % 2]
