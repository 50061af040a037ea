"""The kept fold is a cache: quick, and never anything but what the records say."""

from __future__ import annotations

import sqlite3
import tempfile
from functools import reduce
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.core.chronicle import Chronicle, fold
from orchestrator.core.record import Began, Closed, Ended, Outcome
from orchestrator.ports.trouble import Damaged
from tests.adapters.sqlite.kept import OPENED, Kept, by_hand, kept
from tests.contracts.histories import live, opened


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(choices=st.lists(st.integers(0, 10_000), min_size=1, max_size=120))
async def test_the_kept_fold_equals_the_fold_of_all_records_whatever_happened(
    choices: list[int],
) -> None:
    def choose(below: int) -> int:
        choices.append(choices.pop(0))  # round and round
        return choices[-1] % below

    with tempfile.TemporaryDirectory() as folder, kept(Path(folder)) as there:
        epoch = await there.lease.take("ann@box", "deploying", 10.0)
        written = await live(there.journal, epoch, there.clock, choose)
        with kept(Path(folder)) as reader:
            recalled, entries = await reader.journal.recall(), await reader.journal.news(0)
        assert recalled.chronicle == reduce(fold, entries, Chronicle()) == written
        closed = [e.number for e in entries if isinstance(e.record, Closed)]
        assert await _kept_until(there) == (closed[-1] if closed else 0)


async def _kept_until(there: Kept) -> int:
    """The number of the last entry in the kept fold; 0 where nothing is kept."""

    def last(connection: sqlite3.Connection) -> int:
        row = connection.execute("SELECT last FROM chronicle").fetchone()
        return int(row[0]) if row else 0

    return await there.database.read(last, 0)


async def two_rollouts(there: Kept) -> None:
    """One that has closed (entries 1 to 4) and one that is open (5 and 6)."""
    epoch = await there.begin()
    began = (Began(1, 0, False, 1), Ended(1, 0, False), Closed(1, Outcome.ABANDONED))
    await there.journal.append(1, began, epoch=epoch)
    chronicle = (await there.journal.recall()).chronicle
    await there.journal.append(4, (opened(chronicle, "2"), Began(2, 0, False, 1)), epoch=epoch)


async def test_only_what_came_since_the_last_close_is_read(tmp_path: Path) -> None:
    """A rollout of long ago may even have become unreadable: it is noticed when asked for."""
    with kept(tmp_path) as there:
        await two_rollouts(there)
        with by_hand(there.path) as connection:
            connection.execute("UPDATE entries SET line = 'torn' WHERE number = 2")
        recalled = await there.journal.recall()
        assert recalled.last == 6 and recalled.chronicle.open is not None
        assert len(await there.journal.history(rollout=2)) == 2
        with pytest.raises(Damaged, match="Entry 2"):
            await there.journal.history(rollout=1)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM chronicle",
        "UPDATE chronicle SET version = 'bg 0.0.0'",
        "UPDATE chronicle SET folded = 'torn'",
        'UPDATE chronicle SET folded = \'{"is":"Chronicle","later":1}\'',
    ],
)
async def test_a_fold_of_another_version_or_none_is_made_anew_and_kept(
    tmp_path: Path, change: str
) -> None:
    with kept(tmp_path) as there:
        await two_rollouts(there)
        before = await there.journal.recall()
        with by_hand(there.path) as connection:
            connection.execute(change)
        assert await there.journal.recall() == before
        assert await _kept_until(there) == 4


async def test_a_fold_that_is_older_than_the_last_close_is_caught_up_with(tmp_path: Path) -> None:
    """Another version closed a rollout and kept its own fold; ours is put back from a copy."""
    with kept(tmp_path) as there:
        await two_rollouts(there)
        with by_hand(there.path) as connection:
            connection.execute("CREATE TABLE copy AS SELECT * FROM chronicle")
        await there.journal.append(6, (Closed(2, Outcome.ABANDONED),), epoch=1)
        before = await there.journal.recall()
        with by_hand(there.path) as connection:
            connection.execute("INSERT OR REPLACE INTO chronicle SELECT * FROM copy")
        assert await there.journal.recall() == before
        assert await _kept_until(there) == 7


async def test_records_that_cannot_follow_each_other_are_damage(tmp_path: Path) -> None:
    with kept(tmp_path) as there:
        epoch = await there.begin()
        await there.journal.append(1, (OPENED,), epoch=epoch)
        with by_hand(there.path) as connection:
            connection.execute("DELETE FROM entries WHERE number = 1")
        with pytest.raises(Damaged, match="no entry 1"):
            await there.journal.recall()
