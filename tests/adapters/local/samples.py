"""Small programs to run, sites to run them in, and what is left of them afterwards."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.adapters.local.artifacts import LocalArtifacts
from orchestrator.adapters.local.fence import LocalFence
from orchestrator.adapters.local.installation import LocalInstallation
from orchestrator.adapters.local.keeper import living
from orchestrator.adapters.local.keeper.note import read_note
from orchestrator.adapters.local.processes import LocalProcesses
from orchestrator.core.model import (
    Color,
    HttpProbe,
    Pin,
    Placement,
    Recipe,
    Release,
    Secret,
    Service,
    Site,
    Use,
)
from orchestrator.core.sight import InstallationSeen
from orchestrator.core.steps import Part
from orchestrator.ports.processes import Launch
from tests.conftest import find_ports

ROOT = Path(__file__).parents[3]

SERVER = """
import http.server, os, sys

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{os.environ['WHO']} {os.getpid()}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

print("listening", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""

WAITING = ("sleep", "1000")
"""The smallest program: it waits to be ended."""


def launch(*argv: str, tag: str = "t", stop_s: float = 2.0, cwd: str = "/", **env: str) -> Launch:
    path = {"PATH": os.environ["PATH"]}
    return Launch(argv or WAITING, path | env, cwd, stop_s=stop_s, tag=tag)


def python(text: str, *arguments: str, tag: str = "t", stop_s: float = 2.0, **env: str) -> Launch:
    return launch(sys.executable, "-I", "-S", "-c", text, *arguments, tag=tag, stop_s=stop_s, **env)


# -- Waiting, always with a deadline ---------------------------------------------------------


async def until(what: Callable[[], object], within_s: float = 10.0) -> None:
    end = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < end, "it did not come to pass in time"
        await asyncio.sleep(0.005)


def wait_until(what: Callable[[], object], within_s: float = 10.0) -> None:
    end = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < end, "it did not come to pass in time"
        time.sleep(0.005)


# -- Who is there ---------------------------------------------------------------------------


def pids_with(text: str) -> set[int]:
    """The living processes whose command line has this text in it."""
    found = set()
    for name in os.listdir("/proc"):
        try:
            line = Path("/proc", name, "cmdline").read_bytes() if name.isdigit() else b""
        except OSError:
            continue
        seen = living.process(int(name)) if text.encode() in line else None
        if seen is not None and not seen.dead:
            found.add(int(name))
    return found


def keeper_pid(processes: LocalProcesses, name: str) -> int:
    pid = read_note(os.path.join(processes._names_folder, name))["keeper"]["pid"]
    assert isinstance(pid, int)
    return pid


@asynccontextmanager
async def kept_in(folder: Path) -> AsyncIterator[LocalProcesses]:
    """Processes below this folder; all of them are ended afterwards, and none may be left."""
    processes = LocalProcesses(str(folder))
    try:
        yield processes
    finally:
        await asyncio.gather(*(processes.stop(seen.name) for seen in processes.look()))
        await until(lambda: not pids_with(str(folder)))


# -- Sites ----------------------------------------------------------------------------------


@dataclass
class Shop:
    """A site of two services on this machine, and drivers of it."""

    folder: Path
    processes: LocalProcesses
    site: Site

    def driver(self) -> LocalInstallation:
        """Another driver, with nothing in its memory."""
        fence = LocalFence(os.path.join(self.site.state, "fence"))
        processes = LocalProcesses(self.processes._folder)
        return LocalInstallation(self.site, fence, processes, inner=inner)

    @property
    def artifacts(self) -> LocalArtifacts:
        return LocalArtifacts(self.site)

    def make(self, version: str, **files: str) -> str:
        """An artifact of `web`; the path of its folder."""
        folder = self.folder / "dist" / f"web-{version}"
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in {"who": version, **files}.items():
            (folder / name).write_text(text)
        return str(folder)

    def release(self, version: str) -> tuple[Release, str]:
        """Made, found: a release of `web` and where it comes from."""
        self.make(version)
        found = self.artifacts.find(self.site.service("web"), version)
        assert found.source is not None
        return found.release, found.source

    def describe(self, **changes: object) -> None:
        """From now on the site file says something else of `web`."""
        services = tuple(
            replace(service, **changes) if service.name == "web" else service  # type: ignore[arg-type]
            for service in self.site.services
        )
        self.site = replace(self.site, services=services)


def inner(pin: Pin) -> tuple[str, int]:
    return "127.0.0.1", 19000 + (pin.color is Color.GREEN)


def site(
    folder: Path,
    run: tuple[str, ...] = WAITING,
    *,
    env: tuple[tuple[str, str | Secret], ...] = (),
    count: int = 2,
    stop_s: float = 2.0,
) -> Site:
    """Two services, `web` and `api`; web uses api."""
    first = find_ports(4 * count)
    services = tuple(
        Service(
            name,
            f"dist/{name}-{{version}}",
            Recipe(run, env, stop_s),
            Placement(count, first + n * 2 * count, first + (n * 2 + 1) * count),
            (HttpProbe("/"),),
            uses=(Use("api"),) if name == "web" else (),
        )
        for n, name in enumerate(("web", "api"))
    )
    return Site("shop", services, folder=str(folder), state=str(folder / "state"))


@asynccontextmanager
async def shop_in(folder: Path, described: Site | None = None) -> AsyncIterator[Shop]:
    """A site in this folder; everything it started is ended afterwards."""
    async with kept_in(folder / "state" / "processes") as processes:
        yield Shop(folder, processes, described or site(folder))


def at(seen: tuple[InstallationSeen, ...], color: Color, service: str = "web") -> InstallationSeen:
    return next(one for one in seen if (one.service, one.color) == (service, color))


def part(release: Release, color: Color = Color.BLUE, count: int = 2, service: str = "web") -> Part:
    return Part(service, color, count, release)


def paths_below(folder: str | Path) -> list[str]:
    return [str(path) for path in Path(folder).rglob("*")]


def bytes_below(folder: str | Path) -> dict[str, bytes]:
    """Every file, with all of its bytes."""
    return {str(path): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def files_below(folder: str | Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in Path(folder).rglob("*")}
