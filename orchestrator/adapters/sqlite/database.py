"""The file `journal.db`: opened, read and written with a patience of our own.

The one rule: a transaction happened whole and is synced, or it did not happen and a sentence says
why. SQLite runs in WAL mode with synchronous=FULL, so each commit costs one sync of one file. Its
own back-off is off: a busy file is tried again every 3 ms, because SQLite's growing pauses can
stall one writer among many for seconds. The driver keeps one *steady* connection; whoever only asks
opens one, writes and closes it.

It knows nothing of records or leases. All work is short and done in the caller's thread: a commit
takes less time than handing it to another.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from orchestrator.adapters.sqlite import schema
from orchestrator.ports.trouble import Damaged, NoRoom, Trouble
from orchestrator.releases.disk import sync_folder

FILE = "journal.db"
PAGE = 1024
"""A record is a few hundred bytes, and a commit writes whole pages: small ones cost less."""
RESERVED = 256 * 1024
"""Bytes of WAL; a step is about two thousand. It begins anew before it has grown beyond them."""
PAUSE_S = 0.003
PATIENCE_S = 10.0


class Locked(NoRoom):
    """Another program has been writing all the time, or was stopped while it wrote."""


T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class Database:
    def __init__(self, folder: str | Path, site: str, *, patience_s: float = PATIENCE_S) -> None:
        self.path = Path(folder).absolute() / FILE
        self._site = site
        self._patience_s = patience_s
        self._steady: sqlite3.Connection | None = None
        self._inode = (0, 0)
        self._made = False  # the tables are known to be there

    async def read(self, work: Work[T], absent: T) -> T:
        """What `work` finds in one consistent view; `absent` where there is no journal yet. Creates
        nothing.
        """
        return await self._patiently(lambda: self._read(work, absent))

    async def write(self, work: Work[T]) -> T:
        """One IMMEDIATE transaction on the steady connection, synced. Makes the journal where there
        is none.
        """
        return await self._patiently(lambda: self._write(work))

    async def write_once(self, work: Work[T]) -> T:
        """The same on a connection of its own, closed again: for whoever only asks."""
        return await self._patiently(lambda: self._write_once(work))

    def reserve(self) -> None:
        """Inside a write: take the room for a rollout's records now, so that it is there for them.

        It also makes each of them cheaper: only its bytes are synced, not a new size of the file.
        Zeroes at the end of a WAL are to SQLite what is left there of its last round: not valid,
        never read. No other writer can be there meanwhile. Raises OSError where there is no room.
        """
        with self._wal().open("r+b", buffering=0) as file:
            missing = RESERVED - file.seek(0, os.SEEK_END)
            while missing > 0:
                missing -= file.write(bytes(missing))

    def tidy(self) -> None:
        """Move what was committed from the WAL into the file, so that the WAL begins anew. Never
        waits, never raises.
        """
        try:
            if self._steady is not None:
                self._steady.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error:
            self.drop()

    def drop(self) -> None:
        """Close the steady connection; the next call opens a new one."""
        connection, self._steady, self._made = self._steady, None, False
        if connection is not None:
            connection.close()

    # -- Patience --------------------------------------------------------------------------

    async def _patiently(self, attempt: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience_s
        while True:
            try:
                return attempt()
            except sqlite3.Error as error:
                if not _is_busy(error) or loop.time() >= until:
                    self.drop()
                    if trouble := _trouble(error, self.path):
                        raise trouble from error
                    raise
            except OSError as error:
                raise _no_room(self.path, error.strerror or str(error)) from error
            await asyncio.sleep(PAUSE_S)

    # -- Transactions ----------------------------------------------------------------------

    def _read(self, work: Work[T], absent: T) -> T:
        if not self.path.exists():
            self.drop()
            return absent
        try:
            connection = self._connection()
            self._made = self._made or not schema.is_new(connection)
            return _within("BEGIN", connection, work) if self._made else absent
        except sqlite3.Error as error:
            if _is_busy(error) or not _cannot_write(error) or self._has_wal():
                raise
            self.drop()
            return self._read_as_it_lies(work, absent)

    def _read_as_it_lies(self, work: Work[T], absent: T) -> T:
        """On a full or read-only disk not even an empty WAL can be made; without one the file is
        all there is.
        """
        connection = _connect(self.path, "mode=ro&immutable=1")
        try:
            if schema.is_new(connection):
                return absent
            schema.check(connection, self._site, str(self.path))
            return work(connection)
        finally:
            connection.close()

    def _has_wal(self) -> bool:
        return self._wal().exists() and self._wal().stat().st_size > 0

    def _wal(self) -> Path:
        return self.path.with_name(FILE + "-wal")

    def _write(self, work: Work[T]) -> T:
        self._make_file()
        connection = self._connection()
        if not self._made:
            self._make_tables(connection)
            self._made = True
        return _within("BEGIN IMMEDIATE", connection, work)

    def _write_once(self, work: Work[T]) -> T:
        self._make_file()
        connection = self._open()
        try:
            self._make_tables(connection)
            return _within("BEGIN IMMEDIATE", connection, work)
        finally:
            connection.close()

    # -- Opening ---------------------------------------------------------------------------

    def _connection(self) -> sqlite3.Connection:
        """The steady connection, to the file that is there now: one that was replaced is not
        written to any more.
        """
        if self._steady is not None and self._inode != _inode(self.path):
            self.drop()
        if self._steady is None:
            self._inode = _inode(self.path)
            self._steady = self._open()
        return self._steady

    def _open(self) -> sqlite3.Connection:
        connection = _connect(self.path, "mode=rw")
        try:
            if not schema.is_new(connection):
                schema.check(connection, self._site, str(self.path))
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {RESERVED // PAGE * 3 // 4}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_file(self) -> None:
        if self.path.exists():
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            return  # somebody else was quicker
        for folder in (self.path.parent, self.path.parent.parent):
            sync_folder(folder)

    def _make_tables(self, connection: sqlite3.Connection) -> None:
        if not schema.is_new(connection):
            return
        connection.execute(f"PRAGMA page_size = {PAGE}")
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        _within("BEGIN IMMEDIATE", connection, self._create_unless_done)
        schema.check(connection, self._site, str(self.path))

    def _create_unless_done(self, connection: sqlite3.Connection) -> None:
        if schema.is_new(connection):
            schema.create(connection, self._site)


def _connect(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.as_uri()}?{how}",
        uri=True,
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
    )


def _within(begin: str, connection: sqlite3.Connection, work: Work[T]) -> T:
    connection.execute(begin)
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def _inode(path: Path) -> tuple[int, int]:
    seen = path.stat()
    return seen.st_dev, seen.st_ino


# -- What went wrong, in words -------------------------------------------------------------


def _code(error: sqlite3.Error) -> int | None:
    """The primary result code; None where the error is Python's own (text that is not UTF-8)."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF


def _is_busy(error: sqlite3.Error) -> bool:
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PROTOCOL)


_UNWRITABLE = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_IOERR: "the disk does not take it",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_PERM: "it may not be opened",
}


def _cannot_write(error: sqlite3.Error) -> bool:
    return _code(error) in _UNWRITABLE


def _trouble(error: sqlite3.Error, path: Path) -> Trouble | None:
    """The trouble behind an error of SQLite; None: a mistake of ours."""
    if _is_busy(error):
        return Locked(_unusable(path, "another program keeps it locked", "End that program"))
    if _cannot_write(error):
        return _no_room(path, f"{_UNWRITABLE[_code(error) or 0]} ({error})")
    if _code(error) in (None, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT):
        return Damaged(
            f"The journal {path} is damaged or not a journal of bg: {error}. Nothing was touched."
            " Put a copy of it back, or move it away and take the site over as it runs."
        )
    return None


def _no_room(path: Path, why: str) -> NoRoom:
    return NoRoom(_unusable(path, why, "Make room or make it writable"))


def _unusable(path: Path, why: str, advice: str) -> str:
    return (
        f"The journal {path} cannot be used: {why}. Nothing was written."
        f" {advice}, then run the command again."
    )
