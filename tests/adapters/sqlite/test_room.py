"""S10: no room, at any write: a clear sentence, nothing written, and all is well again when there
is room.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.core.record import Asked, Ended, What
from orchestrator.ports.trouble import NoRoom
from tests.adapters.sqlite import disks
from tests.adapters.sqlite.kept import OPENED, PAUSE, kept
from tests.contracts.test_lease import Real

LONG = Asked(1, What.PAUSE, "bob", "x" * 10_000)


@pytest.fixture(params=disks.FULL)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, disks.Room]]:
    folder = tmp_path / "state"
    with disks.FULL[request.param](folder) as room:
        yield folder, room


async def test_a_full_disk_stops_the_driver_and_nothing_half_written_is_left(
    disk: tuple[Path, disks.Room],
) -> None:
    folder, room = disk
    with kept(folder) as there:
        epoch = await there.begin()
        room(False)
        written = 1
        with pytest.raises(NoRoom, match="Nothing was written"):
            for _ in range(200):
                await there.journal.append(written, (LONG, LONG), epoch=epoch)
                written += 2
        assert (await there.journal.recall()).last == written, "who serves can still be said"
        room(True)
        await there.journal.append(written, (LONG,), epoch=epoch)
        assert len(await there.journal.news(0)) == written + 1


async def test_the_room_for_a_rollout_is_taken_before_it_begins(
    disk: tuple[Path, disks.Room],
) -> None:
    """A disk that fills up while it runs does not stop it: it can write down what it did."""
    folder, room = disk
    with kept(folder) as there:
        epoch = await there.begin()
        room(False)
        for number in range(1, 101):
            await there.journal.append(number, (Ended(1, number, False),), epoch=epoch)
        assert (await there.journal.recall()).last == 101


async def test_on_a_full_disk_nothing_begins_and_what_is_known_can_still_be_told(
    disk: tuple[Path, disks.Room],
) -> None:
    """A new process, after the last one ended in good order."""
    folder, room = disk
    with kept(folder) as there:
        epoch = await there.begin()
        await there.lease.give_up(epoch)
    room(False)
    with kept(folder) as there:
        assert (await there.journal.recall()).chronicle.open is not None
        for attempt in (
            there.lease.take("bob@box", "resuming", 10.0),
            there.journal.ask(PAUSE),
            there.journal.append(1, (PAUSE,), epoch=epoch),
        ):
            with pytest.raises(NoRoom):
                await attempt
        room(True)
        assert await there.lease.take("bob@box", "resuming", 10.0) == epoch + 1
        assert (await there.journal.ask(PAUSE)).number == 2


async def test_on_a_full_disk_a_first_journal_is_not_begun(
    disk: tuple[Path, disks.Room],
) -> None:
    folder, room = disk
    room(False)
    with kept(folder) as there:
        with pytest.raises(NoRoom):
            await there.begin()
        assert (await there.journal.recall()).last == 0
        room(True)
        await there.begin()


@pytest.mark.parametrize("ending", ["in good order", "killed"])
async def test_on_a_read_only_disk_all_can_be_told_and_nothing_is_written(
    tmp_path: Path, ending: str
) -> None:
    folder = tmp_path / "state"
    with disks.read_only(folder) as close:
        driver = Real(folder)
        epoch = await driver.take("ann@box", "deploying", 60.0)
        await driver.write(epoch)
        if ending == "killed":
            driver.kill()
        driver.end(kill=ending == "killed")
        close()
        with kept(folder) as there:
            assert (await there.journal.recall()).last == 1
            assert len(await there.journal.history()) == 1
            for attempt in (
                there.lease.take("bob@box", "resuming", 10.0),
                there.journal.ask(PAUSE),
                there.journal.append(1, (OPENED,), epoch=epoch),
            ):
                with pytest.raises(NoRoom, match="Nothing was written"):
                    await attempt


async def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        kept(tmp_path / "file" / "state") as there,
        pytest.raises(NoRoom, match="Nothing was written"),
    ):
        await there.begin()
