"""What every lease promises: one holder at a time, and a number that only grows.

Each holder is a process of its own: of a world in memory, or a real one that takes its orders over
a pipe.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from orchestrator.adapters.memory.clock import SimulatedClock
from orchestrator.adapters.memory.fuse import Killed
from orchestrator.adapters.memory.process import Process
from orchestrator.adapters.memory.world import World
from orchestrator.adapters.sqlite.database import Database
from orchestrator.adapters.sqlite.lease import SqliteLease
from orchestrator.core.record import Asked, What
from orchestrator.ports import trouble
from orchestrator.ports.lease import Lease
from orchestrator.ports.trouble import Busy, Superseded
from tests.conftest import ROOT
from tests.contracts.histories import SITE

TERM_S = 60.0


class Someone(Protocol):
    """Another process that may hold the lease."""

    pid: int

    async def take(self, by: str, doing: str, term_s: float) -> int: ...
    async def renew(self, epoch: int, term_s: float) -> None: ...
    async def give_up(self, epoch: int) -> None: ...
    async def write(self, epoch: int) -> None:
        """Append something to the journal."""
        ...

    def stop(self) -> None:
        """SIGSTOP."""
        ...

    def kill(self) -> None:
        """SIGKILL."""
        ...

    def gone(self) -> bool: ...


class InMemory:
    def __init__(self, world: World) -> None:
        self._process = Process(world)
        self.pid = self._process.pid
        self.take = self._process.lease.take
        self.renew = self._process.lease.renew
        self.give_up = self._process.lease.give_up
        self.kill = self._process.kill

    async def write(self, epoch: int) -> None:
        last = (await self._process.journal.recall()).last
        record = Asked(None, What.RETIRE, "holder")
        await self._process.journal.append(last, (record,), epoch=epoch)

    def stop(self) -> None:
        """A process of the memory does nothing by itself anyway."""

    def gone(self) -> bool:
        return not self._process.alive


class Real:
    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.contracts.holder", str(folder), "shop"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.pid = self._process.pid

    async def take(self, by: str, doing: str, term_s: float) -> int:
        return int(await self._ask("take", by, doing, term_s))

    async def renew(self, epoch: int, term_s: float) -> None:
        await self._ask("renew", epoch, term_s)

    async def give_up(self, epoch: int) -> None:
        await self._ask("give_up", epoch)

    async def write(self, epoch: int) -> None:
        await self._ask("write", epoch)

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def gone(self) -> bool:
        return self._process.wait(timeout=10) == -signal.SIGKILL

    def end(self, *, kill: bool = True) -> None:
        """Killed, or in good order: its orders have come to an end."""
        if kill:
            self._process.kill()
        with self._process:
            pass

    async def _ask(self, *words: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        line = await asyncio.to_thread(self._process.stdout.readline)
        how, said = json.loads(line)
        if how != "ok":
            raise getattr(trouble, how)(said)
        return said


class Leased:
    """A lease as we have it, with a clock of ours, and as many others as a test wants."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.clock = SimulatedClock(time.time())
        self._folder = folder
        self._world = World(SITE, self.clock) if kind == "memory" else None
        self._database = Database(folder, "shop")
        self._others: list[Real] = []
        self.ours: Lease = (
            Process(self._world).lease if self._world else SqliteLease(self._database, self.clock)
        )

    def someone(self) -> Someone:
        if self._world is not None:
            return InMemory(self._world)
        self._others.append(Real(self._folder))
        return self._others[-1]

    def close(self) -> None:
        self._database.drop()
        for other in self._others:
            other.end()


@pytest.fixture(params=["memory", "sqlite"])
def leased(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Leased]:
    leased = Leased(request.param, tmp_path / "state")
    yield leased
    leased.close()


async def test_nobody_holds_a_new_lease_and_looking_takes_nothing(leased: Leased) -> None:
    assert await leased.ours.holder() is None
    assert await leased.ours.take("ann@box", "deploying web 2", TERM_S) == 1


async def test_a_held_lease_says_who_holds_it_since_when_and_what_for(leased: Leased) -> None:
    """S4: the second of two people is told."""
    someone = leased.someone()
    epoch = await someone.take("ann@box", "deploying web 2", TERM_S)
    with pytest.raises(Busy) as busy:
        await leased.ours.take("bob@box", "backing out", TERM_S)
    for word in ("deploying web 2", "ann@box", str(someone.pid)):
        assert word in busy.value.why
    holder = await leased.ours.holder()
    assert holder is not None and holder.alive
    assert (holder.epoch, holder.by, holder.pid) == (epoch, "ann@box", someone.pid)
    assert holder.until_s - holder.since_s == pytest.approx(TERM_S)


async def test_the_epoch_grows_with_every_holder_and_never_comes_back(leased: Leased) -> None:
    epochs = []
    for _ in range(3):
        epochs.append(await leased.ours.take("ann@box", "deploying", TERM_S))
        await leased.ours.give_up(epochs[-1])
    assert epochs == [1, 2, 3]
    assert await leased.ours.holder() is None


async def test_an_epoch_that_was_seen_elsewhere_is_older_than_the_next(leased: Leased) -> None:
    """S86: hosts remember the epochs of a journal that is lost."""
    first = await leased.ours.take("ann@box", "adopting", TERM_S, beyond=40)
    assert first == 41
    await leased.ours.give_up(first)
    assert await leased.ours.take("ann@box", "adopting", TERM_S, beyond=3) == 42
    with pytest.raises(Busy):
        await leased.someone().take("bob@box", "deploying", TERM_S)


async def test_the_lease_of_a_killed_holder_is_free_at_once(leased: Leased) -> None:
    """S2: nobody has to unlock anything."""
    someone = leased.someone()
    epoch = await someone.take("ann@box", "deploying", TERM_S)
    someone.kill()
    holder = await leased.ours.holder()
    assert holder is not None and not holder.alive
    assert await leased.ours.take("bob@box", "resuming", TERM_S) == epoch + 1


async def test_a_stopped_holder_keeps_its_lease_until_its_term_is_over(leased: Leased) -> None:
    someone = leased.someone()
    await someone.take("ann@box", "deploying", TERM_S)
    someone.stop()
    leased.clock.pass_by(TERM_S - 5)
    with pytest.raises(Busy):
        await leased.ours.take("bob@box", "resuming", TERM_S)


async def test_a_holder_stopped_past_its_term_is_ended_before_the_epoch_is_raised(
    leased: Leased,
) -> None:
    """S3: it cannot wake between a check and an effect, because it does not wake at all."""
    someone = leased.someone()
    epoch = await someone.take("ann@box", "deploying", TERM_S)
    someone.stop()
    leased.clock.pass_by(TERM_S + 5)
    assert await leased.ours.take("bob@box", "resuming", TERM_S) == epoch + 1
    assert someone.gone()


async def test_a_renewed_lease_runs_on(leased: Leased) -> None:
    someone = leased.someone()
    epoch = await someone.take("ann@box", "deploying", TERM_S)
    await someone.renew(epoch, 10 * TERM_S)
    leased.clock.pass_by(5 * TERM_S)
    with pytest.raises(Busy):
        await leased.ours.take("bob@box", "resuming", TERM_S)


async def test_who_gave_up_or_was_superseded_cannot_renew(leased: Leased) -> None:
    first = await leased.ours.take("ann@box", "deploying", TERM_S)
    await leased.ours.give_up(first)
    with pytest.raises(Superseded):
        await leased.ours.renew(first, TERM_S)
    second = await leased.ours.take("ann@box", "deploying", TERM_S)
    with pytest.raises(Superseded):
        await leased.ours.renew(first, TERM_S)
    await leased.ours.renew(second, TERM_S)


async def test_giving_up_what_is_not_ours_any_more_frees_nothing_and_raises_nothing(
    leased: Leased,
) -> None:
    old = await leased.ours.take("bob@box", "deploying", TERM_S)
    await leased.ours.give_up(old)
    someone = leased.someone()
    await someone.take("ann@box", "deploying", TERM_S)
    await leased.ours.give_up(old)
    await leased.ours.give_up(old + 7)
    with pytest.raises(Busy):
        await leased.ours.take("bob@box", "resuming", TERM_S)


async def test_of_many_who_take_at_the_same_instant_one_gets_it(leased: Leased) -> None:
    """S4."""
    many = [leased.someone() for _ in range(5)]
    taken = await asyncio.gather(
        *(one.take("ann@box", "deploying", TERM_S) for one in many), return_exceptions=True
    )
    assert sum(epoch == 1 for epoch in taken) == 1
    assert sum(isinstance(epoch, Busy) for epoch in taken) == len(many) - 1


async def test_who_was_superseded_writes_nothing_to_the_journal(leased: Leased) -> None:
    """S3: the epoch in the journal's own transaction."""
    someone = leased.someone()
    old = await someone.take("ann@box", "deploying", TERM_S)
    await someone.write(old)
    await someone.give_up(old)
    await leased.ours.take("bob@box", "resuming", TERM_S)
    with pytest.raises(Superseded):
        await someone.write(old)


async def test_a_killed_process_of_the_memory_does_nothing_more() -> None:
    """What the twin adds: a dead driver is dead in all of its tasks."""
    process = Process(World(SITE))
    epoch = await process.lease.take("ann@box", "deploying", TERM_S)
    process.kill()
    with pytest.raises(Killed):
        await process.lease.give_up(epoch)
    with pytest.raises(Killed):
        await process.journal.recall()
