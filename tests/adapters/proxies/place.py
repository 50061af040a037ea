"""Real proxies on this machine, in folders that go away, in front of small real services.

All proxies of a place listen at the same ports (the kernel spreads connections), so that they are
under one URL as real ones are. Each is driven through the very functions of the agent, in this
process: `Near` is what lies between instead of SSH. What program they are is a subclass's to say.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from bg_agent import call, trouble, wire
from bg_agent.places import Host as AgentHost
from bg_agent.table import VERBS

from e2e.sample import Answering, Identity, Upstream
from orchestrator.core.model import Color, Host, Pin, ProxySpec, Share, Site
from orchestrator.ports.trouble import Refused, Superseded, Unreachable
from orchestrator.proxies import addresses
from orchestrator.proxies.far import Args, Far
from orchestrator.proxies.switch import ProxySwitch
from tests.adapters.envoy import edge
from tests.conftest import find_ports, is_free

ALL_BLUE, ALL_GREEN, NOBODY = edge.ALL_BLUE, edge.ALL_GREEN, Share()


class Place(ABC):
    """Proxies of one program, their switch, and what can be done beside it."""

    verbs: ClassVar[str]  # what the agent's verbs for this program begin with
    away: ClassVar[str]  # what is said of one that is not there
    unreachable: ClassVar[type[Exception]]  # what the agent's own client raises then
    reloads: ClassVar[signal.Signals]

    def __init__(self, described: Site, folder: Path) -> None:
        self.site, self.folder = described, folder
        self.near = Near(self)
        self.switch = self.another()
        self.programs: dict[str, subprocess.Popen[bytes]] = {}
        self.servers: dict[tuple[str, Color, int], asyncio.Server] = {}

    @staticmethod
    @abstractmethod
    def spec(hosts: tuple[str, ...], url: str) -> ProxySpec: ...

    @classmethod
    def described(cls, state: Path, port: int, proxies: int = 2, name: str = "shop") -> Site:
        """The site of the Envoy tests, behind such proxies; `port` begins twenty free ones.

        The ports of inner addresses follow from the name.
        """
        hosts = tuple(f"proxy{i + 1}" for i in range(proxies))
        return replace(
            edge.site(state, port),
            name=name,
            switches=(),
            proxies=(cls.spec(hosts, f"http://127.0.0.1:{port}"),),
            hosts=tuple(Host(name, "127.0.0.1") for name in hosts),
        )

    @property
    def hosts(self) -> tuple[str, ...]:
        return self.site.proxies[0].hosts

    @property
    def port(self) -> int:
        return int(self.site.proxies[0].url.rpartition(":")[2])

    @abstractmethod
    def another(self, far: Far | None = None, **more: Any) -> ProxySwitch[Any]:
        """As another command would have it."""

    # -- Files -------------------------------------------------------------------------------

    @abstractmethod
    def here(self, host: str) -> dict[str, str]:
        """What bg names there, and where it is on this machine."""

    def on_this_machine(self, host: str, text: str) -> str:
        for there, here in self.here(host).items():
            text = text.replace(there, here)
        return text

    def as_there(self, host: str, text: str) -> str:
        for there, here in self.here(host).items():
            text = text.replace(here, there)
        return text

    @abstractmethod
    def write_config(self, host: str, extra: str = "") -> None: ...

    @abstractmethod
    def lines(self, host: str) -> Path:
        """The file that the user put bg's lines in."""

    def take_line(self, host: str, words: str) -> str:
        """The user takes away the first of bg's lines with these words."""
        lines = self.lines(host).read_text().splitlines(keepends=True)
        taken = next(line for line in lines if words in line)
        lines.remove(taken)
        self.lines(host).write_text("".join(lines))
        return taken.strip()

    @abstractmethod
    def file(self, host: str) -> Path:
        """The file that says the colors."""

    @abstractmethod
    def edit(self, host: str) -> None:
        """By hand: web from green to blue, in that file."""

    # -- Programs ----------------------------------------------------------------------------

    @abstractmethod
    def argv(self, host: str) -> list[str]: ...

    @abstractmethod
    def processes(self, host: str) -> set[int]:
        """Those that take requests."""

    @abstractmethod
    def colors(self, host: str) -> dict[str, str]:
        """What a proxy itself says, by key."""

    @abstractmethod
    def flip_by_hand(self, host: str) -> None:
        """Web from green to blue, at one that runs."""

    def start(self, host: str) -> None:
        with (self.folder / host / "log").open("ab") as log:
            self.programs[host] = subprocess.Popen(
                self.argv(host),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._until(host, lambda: bool(self.processes(host)))

    def reload(self, host: str) -> None:
        before = self.processes(host)
        self.programs[host].send_signal(self.reloads)
        self._until(host, lambda: bool(now := self.processes(host)) and not before & now)

    def kill(self, host: str) -> None:
        """All of it, at once."""
        program = self.programs.pop(host)
        with suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.wait(10)

    def _until(self, host: str, true: Callable[[], bool]) -> None:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with suppress(self.unreachable):
                if true():
                    return
            time.sleep(0.01)
        raise TimeoutError((self.folder / host / "log").read_text()[-2000:])

    async def begin(self, extra: str = "") -> None:
        """Files laid by bg, lines by hand, proxies started: as a user would.

        `extra`: lines of the user's own.
        """
        for host in self.hosts:
            self.write_config(host, extra)
        with suppress(Refused, Unreachable):
            await self.switch.ensure(1)  # lays the files, and says what is missing: a proxy
        for host in self.hosts:
            self.start(host)
        await self.switch.ensure(1)

    # -- Services ----------------------------------------------------------------------------

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


class Near:
    """`Far`, without a network: what the agent of each host would do, done here.

    `between` is called before each question, beside the loop, and may raise.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self.between: Callable[[str, str], None] = lambda host, verb: None

    async def ask(self, host: str, verb: str, args: Args, epoch: int | None) -> dict[str, Any]:
        request = {"site": self._place.site.name, "journal": "j1", "epoch": epoch, **args}
        text = self._place.on_this_machine(host, json.dumps(request))
        answer = await asyncio.to_thread(self._answer, host, verb, text)
        said: dict[str, Any] = json.loads(self._place.as_there(host, json.dumps(answer)))
        return said

    def _answer(self, host: str, verb: str, text: str) -> dict[str, Any]:
        self.between(host, verb)
        at = AgentHost("user", str(self._place.folder / host / "agent"))
        try:
            said = call.answered(VERBS[verb], wire.decode(text.encode()), at, lambda *_: None)
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


P = TypeVar("P", bound=Place)


@asynccontextmanager
async def new_place(
    kind: type[P], folder: Path, proxies: int = 2, *, extra: str = "", **more: Any
) -> AsyncIterator[P]:
    """The proxies run. `extra`: lines of the user's own; `more` of the site."""
    described = replace(free_site(kind, folder / "state", proxies), **more)
    async with place_of(kind, described, folder / "hosts") as place:
        await place.begin(extra)
        yield place


@asynccontextmanager
async def place_of(kind: type[P], described: Site, folder: Path) -> AsyncIterator[P]:
    """Nothing runs yet; whatever runs at the end is stopped."""
    place = kind(described, folder)
    try:
        yield place
    finally:
        await place.close()


def free_site(kind: type[Place], state: Path, proxies: int) -> Site:
    """One whose ports, all of them, are free at this moment, with one more for each proxy."""
    for turn in range(100):
        port = find_ports(20 + proxies)
        described = kind.described(state, port, proxies, name=f"shop{port}-{turn}")
        if all(is_free(one) for one in addresses.ports(described).values()):
            return described
    raise RuntimeError("no free ports")
