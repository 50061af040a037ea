"""What every prober promises: a sample in time, and GOOD only where all is as expected."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import pytest

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.http.prober import NetworkProber
from orchestrator.adapters.memory.process import Process
from orchestrator.adapters.memory.world import (
    FLAPPING,
    HANGING,
    ILL,
    WELL,
    Health,
    Instance,
    World,
)
from orchestrator.core.health import Found
from orchestrator.core.model import HttpProbe, Probe, TcpProbe
from orchestrator.ports.clock import Clock
from orchestrator.ports.prober import Prober, Target
from tests.contracts.histories import BLUE, SITE

TIMEOUT_S = 0.3
PROBE = HttpProbe("/healthz", json=(("version", "{version}"),))


class Asked(Protocol):
    """A prober, and targets that behave as a test wants."""

    prober: Prober
    clock: Clock

    async def target(self, health: Health | None, version: str = "1") -> Target:
        """Something of this health that runs this version; None: nobody listens."""
        ...


class InMemory:
    def __init__(self) -> None:
        self._world = World(SITE)
        self.prober: Prober = Process(self._world).prober
        self.clock: Clock = self._world.clock

    async def target(self, health: Health | None, version: str = "1") -> Target:
        instance = self._world.cell("web", BLUE).instances.setdefault(0, Instance())
        if health is not None:
            self._world.begin(instance, self._world.offer("web", version, health))
        return Target("127.0.0.1", SITE.service("web").placement.port(BLUE, 0), words())


class Real:
    def __init__(self, free_port: int) -> None:
        self.prober: Prober = NetworkProber(SystemClock())
        self.clock: Clock = SystemClock()
        self.port = free_port
        self.stack = contextlib.AsyncExitStack()

    async def target(self, health: Health | None, version: str = "1") -> Target:
        if health is not None:
            program = _Program(health, version)
            server = await asyncio.start_server(program.answer, "127.0.0.1", self.port)
            self.stack.callback(server.close)
            self.stack.callback(program.let_go)
        return Target("127.0.0.1", self.port, words())


class _Program:
    """What a release of this health does when it is asked."""

    def __init__(self, health: Health, version: str) -> None:
        self._health = health
        self._version = version
        self._asked = 0
        self._end = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._asked += 1
        health = self._health
        flapped = health.flaps and self._asked % 2 == 0
        status = 503 if health.ill or flapped or self._asked <= health.slow else 200
        try:
            await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:  # whoever only tries the port asks nothing
            writer.close()
            return
        if health.hangs:
            await self._end.wait()
        body = b'{"version": "%s"}' % self._version.encode()
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
        writer.close()

    def let_go(self) -> None:
        self._end.set()


def words() -> dict[str, str]:
    return {"version": "1", "color": "blue", "instance": "0", "release": "d", "port": "20000"}


@pytest.fixture(params=["memory", "network"])
async def asked(
    request: pytest.FixtureRequest, free_ports: Callable[[int], int]
) -> AsyncIterator[Asked]:
    if request.param == "memory":
        yield InMemory()
        return
    real = Real(free_ports(1))
    async with real.stack:
        yield real


async def one_sample(asked: Asked, target: Target, *probes: Probe) -> Found:
    began_s = asked.clock.now()
    sample = await asked.prober.sample(target, probes or (PROBE,), TIMEOUT_S)
    assert began_s <= sample.at_s <= began_s + TIMEOUT_S + 1.0
    assert (sample.found is Found.GOOD) == (sample.why == "")
    return sample.found


async def test_what_answers_as_expected_is_good(asked: Asked) -> None:
    target = await asked.target(WELL)
    assert await one_sample(asked, target) is Found.GOOD
    assert await one_sample(asked, target, PROBE, TcpProbe()) is Found.GOOD


async def test_what_answers_badly_is_bad(asked: Asked) -> None:
    assert await one_sample(asked, await asked.target(ILL)) is Found.BAD


async def test_where_nobody_listens_is_bad(asked: Asked) -> None:
    target = await asked.target(None)
    assert await one_sample(asked, target) is Found.BAD
    assert await one_sample(asked, target, TcpProbe()) is Found.BAD


async def test_a_good_answer_of_the_wrong_version_is_bad(asked: Asked) -> None:
    """S40."""
    assert await one_sample(asked, await asked.target(WELL, version="0")) is Found.BAD


async def test_what_hangs_is_bad_when_the_time_is_over(asked: Asked) -> None:
    """S41."""
    assert await one_sample(asked, await asked.target(HANGING)) is Found.BAD


async def test_what_flaps_is_seen_as_it_is_each_time(asked: Asked) -> None:
    """S41: no sample remembers the one before."""
    target = await asked.target(FLAPPING)
    found = [await one_sample(asked, target) for _ in range(4)]
    assert found == [Found.GOOD, Found.BAD, Found.GOOD, Found.BAD]


async def test_a_slow_start_is_bad_until_it_is_good(asked: Asked) -> None:
    """S41."""
    target = await asked.target(Health(slow=2))
    found = [await one_sample(asked, target) for _ in range(3)]
    assert found == [Found.BAD, Found.BAD, Found.GOOD]


async def test_one_probe_of_several_that_is_bad_makes_the_sample_bad(asked: Asked) -> None:
    target = await asked.target(ILL)
    assert await one_sample(asked, target, TcpProbe(), PROBE) is Found.BAD


async def test_without_a_probe_nothing_is_found_out(asked: Asked) -> None:
    """S42: UNKNOWN is not GOOD."""
    target = await asked.target(WELL)
    sample = await asked.prober.sample(target, (), TIMEOUT_S)
    assert sample.found is Found.UNKNOWN
