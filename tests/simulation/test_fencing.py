"""S3: a driver paused past its lease wakes at any point while its successor works.

It changes nothing, anywhere: each effect and each look carries the epoch, and whoever took over has
raised it everywhere with its first survey. On the same machine the successor ends it first; here it
is on another one, so that nothing but the fence stands between the two.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

import pytest

from orchestrator.adapters.memory.fuse import GO_ON, Answer, Killed, Tick, all_of
from orchestrator.adapters.memory.process import Process
from orchestrator.core.record import Asked, What
from orchestrator.ports.trouble import Trouble
from tests.engine.driven import Came, visit
from tests.simulation.life import Life
from tests.simulation.promises import Broken
from tests.simulation.scenes import SCENES, opened
from tests.simulation.test_kills import drawn, undisturbed

WAKINGS = 8


@dataclass
class Stopped:
    """SIGSTOP at a tick: everything that this process does waits until it is woken."""

    at: int
    count: int = 0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, tick: Tick) -> Answer:
        self.count += 1
        if self.count >= self.at and not self.woken.is_set():
            self.stopped.set()
            await self.woken.wait()
        return GO_ON


@dataclass
class Wakes:
    """At a tick of the successor the sleeper wakes. `whole`: it does all it can before we go on."""

    at: int
    sleeper: Stopped
    sleeping: asyncio.Task[Came]
    whole: bool
    count: int = 0

    async def __call__(self, tick: Tick) -> Answer:
        self.count += 1
        if self.count == self.at:
            self.sleeper.woken.set()
            if self.whole:
                await asyncio.wait([self.sleeping])
        return GO_ON


async def two_drivers(life: Life, stops_at: int, wakes_at: int, *, whole: bool) -> None:
    """The first is stopped, its lease runs out, the second drives to the end."""
    stopped = Stopped(stops_at)
    first = Process(life.world, all_of(life.promises, stopped), far=True)
    sleeping = asyncio.ensure_future(visit(first))
    stop = asyncio.ensure_future(stopped.stopped.wait())
    try:
        await asyncio.wait([sleeping, stop], return_when=asyncio.FIRST_COMPLETED)
        life.world.clock.pass_by(life.world.site.policy.lease_s + 1)
        life.hook = Wakes(wakes_at, stopped, sleeping, whole)
        await life.lived()
        stopped.woken.set()
        with contextlib.suppress(Killed, Trouble):
            await sleeping
    finally:
        stop.cancel()
        sleeping.cancel()
        await asyncio.gather(stop, sleeping, return_exceptions=True)


def wakes(
    name: str, stops_at: int, wakes_at: int, *, whole: bool, what: What | None = None
) -> Life:
    life = Life(opened(name), at_gate=what)
    life.promises.all_answer = True
    where = f"{name}: stopped at {stops_at}, woken at {wakes_at}, whole={whole}"
    try:
        asyncio.run(two_drivers(life, stops_at, wakes_at, whole=whole))
        return life.check()
    except AssertionError as broken:
        raise Broken(f"{where}: {broken}") from broken


@pytest.mark.parametrize("name", SCENES)
def test_a_driver_that_wakes_while_its_successor_works_changes_nothing(name: str) -> None:
    """S3"""
    lots = drawn(f"fencing {name}")
    ticks = len(undisturbed(name, None).ticks)
    for n in range(WAKINGS):
        stops_at, wakes_at = lots.randint(1, ticks), lots.randint(1, ticks + 10)
        what = lots.choice((None, What.BACK))
        life = wakes(name, stops_at, wakes_at, whole=n % 2 == 0, what=what)
        assert life.outcome is undisturbed(name, what).outcome


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("whole", [True, False], ids=["at a stroke", "side by side"])
@pytest.mark.parametrize("name", ["first", "second", "half_started", "caller_outside", "backout"])
def test_every_stop_and_every_waking(name: str, whole: bool) -> None:
    """S3"""
    ticks = len(undisturbed(name, None).ticks)
    for stops_at in range(1, ticks + 1):
        for wakes_at in range(1, ticks + 1):
            wakes(name, stops_at, wakes_at, whole=whole)


def test_on_the_same_machine_a_successor_ends_the_sleeper_first() -> None:
    """S3: a check followed by an effect is no fence against a driver stopped between the two."""

    async def both(life: Life) -> bool:
        stopped = Stopped(30)
        first = Process(life.world, all_of(life.promises, stopped))
        sleeping = asyncio.ensure_future(visit(first))
        await stopped.stopped.wait()
        life.world.clock.pass_by(life.world.site.policy.lease_s + 1)
        await life.lived()
        stopped.woken.set()
        with pytest.raises(Killed):
            await sleeping
        return first.alive

    life = Life(opened("second"))
    assert not asyncio.run(both(life))
    assert life.check().outcome is life.scene.ends


def test_while_a_lease_runs_nobody_else_takes_it() -> None:
    """S4"""
    from orchestrator.ports.trouble import Busy

    async def both(life: Life) -> None:
        stopped = Stopped(30)
        first = Process(life.world, all_of(life.promises, stopped))
        sleeping = asyncio.ensure_future(visit(first))
        await stopped.stopped.wait()
        with pytest.raises(Busy, match="testing, by ann"):
            await visit(Process(life.world))
        stopped.woken.set()
        await sleeping

    asyncio.run(both(Life(opened("second"))))


def test_who_asks_needs_no_lease() -> None:
    """Rule 8: one driver, many who ask."""

    async def asking(life: Life) -> None:
        stopped = Stopped(30)
        first = Process(life.world, all_of(life.promises, stopped))
        sleeping = asyncio.ensure_future(visit(first))
        await stopped.stopped.wait()
        await Process(life.world).journal.ask(Asked(life.number, What.BACK, "ben"))
        stopped.woken.set()
        await sleeping

    life = Life(opened("second"))
    asyncio.run(asking(life))
    assert life.check().outcome is not life.scene.ends
