"""A journal on SQLite in a folder of the test, and what can be done to its file."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from orchestrator.adapters.memory.clock import SimulatedClock
from orchestrator.adapters.sqlite.database import Database
from orchestrator.adapters.sqlite.journal import SqliteJournal
from orchestrator.adapters.sqlite.lease import SqliteLease
from orchestrator.core.chronicle import Chronicle
from orchestrator.core.record import Asked, What
from tests.contracts.histories import opened

OPENED = opened(Chronicle(), "1")
PAUSE = Asked(1, What.PAUSE, "bob", "lunch")


class Kept:
    """Journal and lease on one database, as one process has them."""

    def __init__(self, folder: Path, site: str = "shop", patience_s: float = 10.0) -> None:
        self.clock = SimulatedClock()
        self.database = Database(folder, site, patience_s=patience_s)
        self.path = self.database.path
        self.journal = SqliteJournal(self.database, self.clock)
        self.lease = SqliteLease(self.database, self.clock)

    async def begin(self) -> int:
        """Take the lease and open a rollout. The epoch."""
        epoch = await self.lease.take("ann@box", "deploying", 10.0)
        await self.journal.append(0, (OPENED,), epoch=epoch)
        return epoch


@contextlib.contextmanager
def kept(folder: Path, site: str = "shop", patience_s: float = 10.0) -> Iterator[Kept]:
    there = Kept(folder, site, patience_s)
    try:
        yield there
    finally:
        there.database.drop()


@contextlib.contextmanager
def by_hand(path: Path) -> Iterator[sqlite3.Connection]:
    """The file, as somebody with another program changes it."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def everything_in(folder: Path) -> dict[str, bytes]:
    """All files with their bytes; what SQLite makes only to look (and takes away) included."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
