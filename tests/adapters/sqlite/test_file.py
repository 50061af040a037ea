"""What the file `journal.db` is, and what is done where it is something else."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.ports.trouble import Damaged, NoRoom
from tests.adapters.sqlite.kept import OPENED, PAUSE, by_hand, everything_in, kept


async def test_looking_at_a_site_without_a_journal_makes_nothing(tmp_path: Path) -> None:
    with kept(tmp_path / "state") as there:
        assert (await there.journal.recall()).last == 0
        assert await there.journal.news(0) == await there.journal.history() == ()
        assert await there.lease.holder() is None
    assert everything_in(tmp_path) == {}
    assert not (tmp_path / "state").exists()


async def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """S91: it may hold anything private."""
    with kept(tmp_path / "deep" / "state") as there:
        await there.begin()
        assert there.path.parent.stat().st_mode & 0o777 == 0o700
        modes = {p.name: p.stat().st_mode & 0o777 for p in there.path.parent.iterdir()}
    assert modes == {"journal.db": 0o600, "journal.db-wal": 0o600, "journal.db-shm": 0o600}


async def test_every_commit_is_synced(tmp_path: Path) -> None:
    """S11: WAL with synchronous=FULL, on the steady connection."""

    def settings(connection: sqlite3.Connection) -> list[object]:
        names = ("journal_mode", "synchronous")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    with kept(tmp_path) as there:
        await there.begin()
        nothing: list[object] = []
        assert await there.database.read(settings, nothing) == ["wal", 2]


async def test_each_journal_has_a_name_of_its_own_for_life(tmp_path: Path) -> None:
    names = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        with kept(folder) as there:
            assert await there.journal.identity() == ""
            await there.begin()
            names.append(await there.journal.identity())
        with kept(folder) as again:
            assert await again.journal.identity() == names[-1]
    assert all(names) and len(set(names)) == 2


# -- Not ours, or not ours to understand -----------------------------------------------------


def _of_another_site(path: Path) -> None:
    with by_hand(path) as connection:
        connection.execute("UPDATE meta SET value = 'bakery' WHERE key = 'site'")


def _newer(path: Path) -> None:
    with by_hand(path) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
        connection.execute("UPDATE meta SET value = '9.9' WHERE key = 'bg'")
        connection.execute("ALTER TABLE entries ADD COLUMN later TEXT")


def _of_another_program(path: Path) -> None:
    path.unlink()
    with by_hand(path) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")


def _garbage(path: Path) -> None:
    path.write_bytes(b"\x00garbage\xff" * 1000)


def _short_garbage(path: Path) -> None:
    path.write_bytes(b"hello")


def _cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _scribbled_over(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xaa" * (len(data) - 4096)
    path.write_bytes(data)


def _a_bit_flipped_in_a_record(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data.replace(b"lunch", b"lunck"))


def _an_entry_lost(path: Path) -> None:
    with by_hand(path) as connection:
        connection.execute("DELETE FROM entries WHERE number = 1")


def _an_unknown_kind(path: Path) -> None:
    _replace_line(path, '"is":"Asked"', '"is":"Foretold"')


def _an_unknown_field(path: Path) -> None:
    _replace_line(path, '"why":"lunch"', '"why":"lunch","urgency":3')


def _a_newer_record(path: Path) -> None:
    _replace_line(path, '{"v":1', '{"v":2')


def _replace_line(path: Path, old: str, new: str) -> None:
    from orchestrator.adapters.sqlite.journal import _sum

    with by_hand(path) as connection:
        (line, at_s) = connection.execute(
            "SELECT line, at_s FROM entries WHERE number = 2"
        ).fetchone()
        assert old in line
        line = line.replace(old, new)
        kept_sum = _sum(2, at_s, 0, line)
        connection.execute(
            "UPDATE entries SET line = ?, sum = ? WHERE number = 2", (line, kept_sum)
        )


WRONG: dict[Callable[[Path], None], str] = {
    _of_another_site: "belongs to the site 'bakery'",
    _newer: "newer than this version of bg",
    _of_another_program: "not a journal of bg",
    _garbage: "not a journal of bg",
    _short_garbage: "not a journal of bg",
    _cut_in_half: "damaged",
    _scribbled_over: "damaged",
    _a_bit_flipped_in_a_record: "Entry 2 of the journal is damaged",
    _an_entry_lost: "no entry 1",
    _an_unknown_kind: "newer than this version of bg",
    _an_unknown_field: "newer than this version of bg",
    _a_newer_record: "newer than this version of bg",
}


@pytest.mark.parametrize("spoil", WRONG, ids=lambda spoil: spoil.__name__.strip("_"))
async def test_what_is_not_ours_to_understand_is_named_and_left_as_it_is(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    """S9: it refuses with a clear sentence; it never guesses."""
    with kept(tmp_path) as there:
        await there.begin()
        await there.journal.ask(PAUSE)
    spoil(tmp_path / "journal.db")
    before = everything_in(tmp_path)
    with kept(tmp_path) as there, pytest.raises(Damaged) as damaged:
        await there.journal.recall()
    assert WRONG[spoil] in damaged.value.why
    assert "Nothing was touched" in damaged.value.why
    assert everything_in(tmp_path)["journal.db"] == before["journal.db"]


@pytest.mark.parametrize(
    "spoil",
    [_of_another_site, _newer, _of_another_program, _garbage, _short_garbage],
    ids=lambda spoil: spoil.__name__.strip("_"),
)
async def test_nobody_writes_to_what_is_not_ours(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    with kept(tmp_path) as there:
        await there.begin()
    spoil(tmp_path / "journal.db")
    before = everything_in(tmp_path)["journal.db"]
    with kept(tmp_path) as there:
        for attempt in (
            there.journal.ask(PAUSE),
            there.journal.append(0, (OPENED,), epoch=1),
            there.lease.take("bob@box", "deploying", 10.0),
        ):
            with pytest.raises(Damaged):
                await attempt
    assert everything_in(tmp_path)["journal.db"] == before


async def test_a_journal_whose_making_was_cut_short_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "journal.db").touch(0o600)
    with kept(tmp_path) as there:
        assert (await there.journal.recall()).last == 0
        await there.begin()
        assert (await there.journal.recall()).last == 1


async def test_a_journal_that_was_replaced_underneath_is_not_written_to_as_if_it_were_there(
    tmp_path: Path,
) -> None:
    with kept(tmp_path / "old") as there, kept(tmp_path / "new") as other:
        epoch = await there.begin()
        await there.journal.append(1, (PAUSE,), epoch=epoch)
        await other.begin()
        other.database.drop()
        for name in ("journal.db-wal", "journal.db-shm"):
            (tmp_path / "old" / name).unlink()
        other.path.replace(there.path)
        with pytest.raises(Damaged):
            await there.journal.append(2, (PAUSE,), epoch=epoch)


async def test_a_journal_that_stays_locked_is_given_up_on_after_a_while(tmp_path: Path) -> None:
    with kept(tmp_path, patience_s=0.1) as there:
        epoch = await there.begin()
        with by_hand(there.path) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(NoRoom, match="another program keeps it locked"):
                await there.journal.append(1, (PAUSE,), epoch=epoch)
            assert (await there.journal.recall()).last == 1, "reading goes on"
            other.execute("COMMIT")
        await there.journal.append(1, (PAUSE,), epoch=epoch)


def test_sqlite_is_new_enough() -> None:
    """WAL with readers on read-only files, and `WITHOUT ROWID`."""
    assert sqlite3.sqlite_version_info >= (3, 22)
