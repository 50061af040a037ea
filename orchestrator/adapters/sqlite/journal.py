"""The journal on SQLite: records as lines of JSON, numbered without gaps, never changed.

`append` compares in the transaction that writes: the newest number against the one the driver has
read, and the epoch of the lease's row against the driver's. The fold of all entries is kept beside
them as a cache, written in the transaction of each `Closed`; the records are the truth, and where
the cache is absent, of another version or unreadable it is folded anew. An entry that this version
does not understand stops it: nothing is guessed.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator

from orchestrator import __version__
from orchestrator.adapters.sqlite import schema
from orchestrator.adapters.sqlite.database import Database
from orchestrator.core.chronicle import Chronicle, fold
from orchestrator.core.record import (
    VERSION,
    Closed,
    Entry,
    Missing,
    Record,
    Request,
    Unknown,
    from_json,
    plain,
    read,
    to_json,
)
from orchestrator.ports.clock import Clock
from orchestrator.ports.journal import Recalled
from orchestrator.ports.trouble import Damaged, NoRoom, Raced, Superseded

FOLDED_BY = f"bg {__version__}, records {VERSION}"
"""What a cache was folded by. Another version may fold otherwise, so it folds anew."""


class SqliteJournal:
    """`ports.journal.Journal` in `journal.db` of the site's state folder."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def recall(self) -> Recalled:
        recalled, cached = await self._database.read(_recall, (Recalled(Chronicle(), 0), True))
        if not cached:
            await self._keep_fold()
        return recalled

    async def news(self, after: int) -> tuple[Entry, ...]:
        return await self._database.read(lambda c: tuple(_entries_after(c, after)), ())

    async def append(
        self, after: int, records: tuple[Record, ...], *, epoch: int
    ) -> tuple[Entry, ...]:
        entries = _numbered(records, after, self._clock.now(), epoch)

        def compare_and_append(connection: sqlite3.Connection) -> None:
            _refuse_older(connection, epoch)
            _refuse_raced(connection, after)
            _insert(connection, entries)
            if any(isinstance(record, Closed) for record in records):
                _fold_anew(connection)

        await self._database.write(compare_and_append)
        if any(isinstance(record, Closed) for record in records):
            self._database.tidy()
        return entries

    async def ask(self, request: Request) -> Entry:
        at_s = self._clock.now()

        def append(connection: sqlite3.Connection) -> Entry:
            entries = _numbered((request,), _last(connection), at_s, 0)
            _insert(connection, entries)
            return entries[0]

        return await self._database.write_once(append)

    async def history(self, *, rollout: int | None = None, last: int = 1000) -> tuple[Entry, ...]:
        def newest(connection: sqlite3.Connection) -> tuple[Entry, ...]:
            rows = (
                connection.execute(f"{_SELECT} ORDER BY number DESC LIMIT ?", (last,))
                if rollout is None
                else _of_rollout(connection, rollout, last)
            )
            return tuple(reversed([_from_row(row) for row in rows]))

        return await self._database.read(newest, ())

    async def identity(self) -> str:
        """The random name that this journal got when it was made; empty where there is none yet."""
        return await self._database.read(schema.identity, "")

    async def close(self) -> None:
        self._database.drop()

    async def _keep_fold(self) -> None:
        """Save a fold that had to be made from all records. Only a cache: where it cannot be
        written, it is not.
        """
        try:
            await self._database.write_once(_fold_anew)
        except NoRoom:
            return


# -- Comparing -----------------------------------------------------------------------------


def _refuse_older(connection: sqlite3.Connection, epoch: int) -> None:
    (youngest,) = connection.execute("SELECT epoch FROM lease").fetchone()
    if youngest > epoch:
        raise Superseded(
            f"Somebody else took over (epoch {youngest}; ours was {epoch}). Nothing was written."
        )


def _refuse_raced(connection: sqlite3.Connection, after: int) -> None:
    last = _last(connection)
    if last > after:
        raise Raced(f"The journal has {last - after} entries after number {after}.")
    if last < after:
        raise Damaged(
            f"The journal ends at number {last}, but number {after} was read from it:"
            " it was replaced by an older one. Nothing was written. Put the right one back."
        )


def _last(connection: sqlite3.Connection) -> int:
    (last,) = connection.execute("SELECT max(number) FROM entries").fetchone()
    return last or 0


# -- Rows ----------------------------------------------------------------------------------

_SELECT = "SELECT number, at_s, epoch, line, sum FROM entries"
_NO_STEP = "kind NOT IN ('Began', 'Ended', 'Failed')"  # as the index has it, word for word


def _numbered(records: Iterable[Record], after: int, at_s: float, epoch: int) -> tuple[Entry, ...]:
    return tuple(Entry(n, at_s, epoch, record) for n, record in enumerate(records, after + 1))


def _insert(connection: sqlite3.Connection, entries: tuple[Entry, ...]) -> None:
    connection.executemany(
        "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)",
        [_to_row(entry) for entry in entries],
    )


def _to_row(entry: Entry) -> tuple[int, float, int, int | None, str, str, int]:
    record, line = entry.record, to_json(entry.record)
    number, at_s, epoch = entry.number, float(entry.at_s), entry.epoch
    kept = _sum(number, at_s, epoch, line)
    return number, at_s, epoch, record.rollout, type(record).__name__, line, kept


def _sum(number: int, at_s: float, epoch: int, line: str) -> int:
    return zlib.crc32(f"{number} {at_s!r} {epoch} {line}".encode())


def _from_row(row: tuple[int, float, int, str, int]) -> Entry:
    number, at_s, epoch, line, kept = row
    if _sum(number, at_s, epoch, line) != kept:
        raise Damaged(
            f"Entry {number} of the journal is damaged: its checksum does not fit."
            " Nothing was touched. Put a copy of the journal back."
        )
    try:
        return Entry(number, at_s, epoch, from_json(line))
    except Unknown as error:
        age = "older" if isinstance(error, Missing) else "newer"
        raise Damaged(
            f"Entry {number} of the journal is {age} than this version of bg ({__version__}) can"
            f" read: {error}. Nothing was touched. Use the bg that wrote it."
        ) from error


def _of_rollout(connection: sqlite3.Connection, rollout: int, last: int) -> sqlite3.Cursor:
    """The newest rows of a rollout, newest first: those within it, and requests from outside."""
    found = f"SELECT min(number) FROM entries WHERE rollout = ? AND kind = ? AND {_NO_STEP}"
    (opened,) = connection.execute(found, (rollout, "Opened")).fetchone()
    (closed,) = connection.execute(found, (rollout, "Closed")).fetchone()
    within = (opened or 0, closed or _last(connection)) if opened else (0, 0)
    return connection.execute(
        f"{_SELECT} WHERE number BETWEEN ? AND ? AND rollout = ? UNION ALL "
        f"{_SELECT} WHERE number NOT BETWEEN ? AND ? AND rollout = ? AND {_NO_STEP} "
        "ORDER BY number DESC LIMIT ?",
        (*within, rollout, *within, rollout, last),
    )


def _entries_after(connection: sqlite3.Connection, after: int) -> Iterator[Entry]:
    rows = connection.execute(f"{_SELECT} WHERE number > ? ORDER BY number", (after,))
    for expected, row in enumerate(rows, after + 1):
        if row[0] != expected:
            raise Damaged(
                f"The journal has no entry {expected}, but an entry {row[0]}. Nothing was touched."
                " Put a copy of it back."
            )
        yield _from_row(row)


# -- The fold, kept ------------------------------------------------------------------------


def _recall(connection: sqlite3.Connection) -> tuple[Recalled, bool]:
    """The chronicle, and whether the cache was up to date."""
    chronicle, last = _kept_fold(connection) or (Chronicle(), 0)
    cached = True
    for entry in _entries_after(connection, last):
        chronicle = _folded(chronicle, entry)
        last = entry.number
        cached = cached and not isinstance(entry.record, Closed)
    return Recalled(chronicle, last), cached


def _folded(chronicle: Chronicle, entry: Entry) -> Chronicle:
    try:
        return fold(chronicle, entry)
    except ValueError as error:
        raise Damaged(
            f"Entry {entry.number} of the journal cannot follow those before it: {error}."
            " Nothing was touched. Put a copy of the journal back."
        ) from error


def _kept_fold(connection: sqlite3.Connection) -> tuple[Chronicle, int] | None:
    row = connection.execute("SELECT version, last, folded FROM chronicle").fetchone()
    if row is None or row[0] != FOLDED_BY:
        return None
    try:
        return read(Chronicle, json.loads(row[2])), row[1]
    except ValueError:
        return None


def _fold_anew(connection: sqlite3.Connection) -> None:
    """Fold up to the newest `Closed`, and keep that."""
    chronicle, last = _kept_fold(connection) or (Chronicle(), 0)
    kept = None
    for entry in _entries_after(connection, last):
        chronicle = _folded(chronicle, entry)
        if isinstance(entry.record, Closed):
            kept = (entry.number, chronicle)
    if kept is not None:
        folded = json.dumps(plain(kept[1]), ensure_ascii=False, separators=(",", ":"))
        connection.execute(
            "INSERT OR REPLACE INTO chronicle VALUES (1, ?, ?, ?)", (FOLDED_BY, kept[0], folded)
        )
