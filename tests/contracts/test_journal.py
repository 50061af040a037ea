"""What every journal promises, whatever it is kept in."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import reduce
from pathlib import Path

import pytest

from orchestrator.adapters.memory.clock import SimulatedClock
from orchestrator.adapters.memory.process import Process
from orchestrator.adapters.memory.world import World
from orchestrator.adapters.sqlite.database import Database
from orchestrator.adapters.sqlite.journal import SqliteJournal
from orchestrator.adapters.sqlite.lease import SqliteLease
from orchestrator.core.chronicle import Chronicle, fold
from orchestrator.core.record import Asked, Began, Closed, Ended, Entry, Outcome, Turned, Way, What
from orchestrator.ports.journal import Journal
from orchestrator.ports.lease import Lease
from orchestrator.ports.trouble import Damaged, Raced, Superseded
from tests.contracts.histories import SITE, live, opened

PAUSE = Asked(1, What.PAUSE, "bob", "lunch")
OPENED = opened(Chronicle(), "1")


class Kept:
    """One journal, and as many who use it as a test wants."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.clock = SimulatedClock()
        self._folder = folder
        self._world = World(SITE, self.clock) if kind == "memory" else None
        self._databases: list[Database] = []

    def journal(self) -> Journal:
        if self._world is not None:
            return Process(self._world).journal
        return SqliteJournal(self._database(), self.clock)

    def lease(self) -> Lease:
        """Of another process, so that it can be taken by one after the other."""
        if self._world is not None:
            return Process(self._world).lease
        return SqliteLease(self._database(), self.clock)

    async def take(self) -> int:
        """The next epoch, free again at once."""
        lease = self.lease()
        epoch = await lease.take("ann@box", "deploying", 10.0)
        await lease.give_up(epoch)
        return epoch

    def close(self) -> None:
        for database in self._databases:
            database.drop()

    def _database(self) -> Database:
        self._databases.append(Database(self._folder, "shop"))
        return self._databases[-1]


@pytest.fixture(params=["memory", "sqlite"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(request.param, tmp_path / "state")
    yield kept
    kept.close()


async def test_a_new_journal_is_empty(kept: Kept) -> None:
    journal = kept.journal()
    recalled = await journal.recall()
    assert (recalled.chronicle, recalled.last) == (Chronicle(), 0)
    assert await journal.news(0) == await journal.history() == ()


async def test_what_was_appended_is_there_for_everybody_numbered_timed_and_signed(
    kept: Kept,
) -> None:
    writer, reader, epoch = kept.journal(), kept.journal(), await kept.take()
    first = await writer.append(0, (OPENED,), epoch=epoch)
    kept.clock.pass_by(1.5)
    second = await writer.append(1, (Began(1, 0, False, 1, 7.25), Ended(1, 0, False)), epoch=epoch)
    start = kept.clock.now() - 1.5
    assert first == (Entry(1, start, epoch, OPENED),)
    assert [(e.number, e.at_s, e.epoch) for e in second] == [
        (2, start + 1.5, epoch),
        (3, start + 1.5, epoch),
    ]
    assert await reader.news(0) == (*first, *second)
    assert await reader.news(1) == second
    assert await reader.news(3) == ()


async def test_a_driver_that_has_not_read_the_news_writes_nothing(kept: Kept) -> None:
    driver, epoch = kept.journal(), await kept.take()
    await driver.append(0, (OPENED,), epoch=epoch)
    asked = await kept.journal().ask(PAUSE)
    with pytest.raises(Raced):
        await driver.append(1, (Began(1, 0, False, 1), Ended(1, 0, False)), epoch=epoch)
    assert await driver.news(1) == (asked,)
    (began,) = await driver.append(2, (Began(1, 0, False, 1),), epoch=epoch)
    assert began.number == 3


async def test_a_driver_that_was_superseded_writes_nothing_even_if_it_read_everything(
    kept: Kept,
) -> None:
    """S3: what a woken driver still wants to write is refused."""
    paused, younger = kept.journal(), kept.journal()
    old = await kept.take()
    await paused.append(0, (OPENED,), epoch=old)
    new = await kept.take()
    assert new > old
    with pytest.raises(Superseded):
        await paused.append(1, (Began(1, 0, False, 1),), epoch=old)
    assert len(await younger.news(0)) == 1
    await younger.append(1, (Began(1, 0, False, 1),), epoch=new)


async def test_who_asks_is_never_raced_and_needs_no_epoch(kept: Kept) -> None:
    driver, epoch = kept.journal(), await kept.take()
    await driver.append(0, (OPENED,), epoch=epoch)
    entries = [await kept.journal().ask(PAUSE) for _ in range(3)]
    assert [(e.number, e.epoch, e.record) for e in entries] == [
        (2, 0, PAUSE),
        (3, 0, PAUSE),
        (4, 0, PAUSE),
    ]


async def test_a_request_can_be_the_first_entry(kept: Kept) -> None:
    entry = await kept.journal().ask(Asked(None, What.RETIRE, "bob"))
    recalled = await kept.journal().recall()
    assert (entry.number, recalled.last, recalled.chronicle.asked) == (1, 1, (entry,))


async def test_a_journal_shorter_than_what_was_read_from_it_is_damaged_not_raced(
    kept: Kept,
) -> None:
    """An older copy was put in its place: reading the news again and again would never end."""
    driver, epoch = kept.journal(), await kept.take()
    await driver.append(0, (OPENED,), epoch=epoch)
    with pytest.raises(Damaged):
        await driver.append(2, (PAUSE,), epoch=epoch)


async def test_one_replaces_another_in_one_transaction(kept: Kept) -> None:
    """S12: the close of the one and the opening of the next are never apart."""
    driver, epoch = kept.journal(), await kept.take()
    await driver.append(0, (OPENED,), epoch=epoch)
    await driver.append(1, (Turned(1, Way.BACK, "another wish"),), epoch=epoch)
    after = (await driver.recall()).chronicle
    following = opened(after, "2")
    await driver.append(2, (Closed(1, Outcome.REPLACED), following), epoch=epoch)
    chronicle = (await kept.journal().recall()).chronicle
    assert chronicle.open is not None
    assert (chronicle.open.id, [p.id for p in chronicle.past]) == (2, [1])


async def test_the_history_of_one_rollout_is_told_without_the_others(kept: Kept) -> None:
    driver, epoch = kept.journal(), await kept.take()
    await driver.append(0, (OPENED, Closed(1, Outcome.ABANDONED)), epoch=epoch)
    chronicle = (await driver.recall()).chronicle
    await driver.append(2, (opened(chronicle, "2"), Began(2, 0, False, 1)), epoch=epoch)
    await driver.ask(Asked(1, What.BACK, "bob"))
    assert [e.number for e in await driver.history(rollout=1)] == [1, 2, 5]
    assert [e.number for e in await driver.history(rollout=2)] == [3, 4]
    assert await driver.history(rollout=9) == ()
    assert [e.number for e in await driver.history()] == [1, 2, 3, 4, 5]
    assert [e.number for e in await driver.history(last=2)] == [4, 5]
    assert [e.number for e in await driver.history(rollout=1, last=2)] == [2, 5]


@pytest.mark.parametrize("seed", range(12))
async def test_what_is_recalled_is_the_fold_of_all_entries(kept: Kept, seed: int) -> None:
    """Also by somebody who sees the journal for the first time."""
    chance = random.Random(seed)
    written = await live(kept.journal(), await kept.take(), kept.clock, chance.randrange)
    reader = kept.journal()
    recalled, entries = await reader.recall(), await reader.news(0)
    assert recalled.chronicle == reduce(fold, entries, Chronicle()) == written
    assert recalled.last == len(entries)
