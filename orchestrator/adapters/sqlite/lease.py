"""Who drives: one row beside the journal, and the number that goes with everything the driver does.

The one rule: the epoch only grows, and grows in the transaction that found the lease free. A holder
whose process is gone, on this machine, leaves it free at once. One that is alive past its term was
stopped or is stuck: it is ended first, then the epoch is raised, so that it cannot wake between a
check and an effect. Of a holder on another machine nothing can be told but its term.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator import __version__
from orchestrator.adapters.sqlite import machine
from orchestrator.adapters.sqlite.database import Database, Locked
from orchestrator.adapters.sqlite.machine import Process
from orchestrator.ports.clock import Clock
from orchestrator.ports.lease import Holder
from orchestrator.ports.trouble import Busy, Superseded

END_S = 5.0
"""How long a killed holder may take to go away. One that hangs in the kernel may take longer."""


@dataclass(frozen=True, slots=True)
class _Row:
    epoch: int
    held: bool
    who: str
    doing: str
    since_s: float
    until_s: float
    process: Process

    @property
    def there(self) -> bool:
        """Held, and its process lives, or may live on another machine."""
        return self.held and (not self.process.here or self.process.alive())


class SqliteLease:
    """`ports.lease.Lease` in `journal.db` of the site's state folder."""

    def __init__(
        self, database: Database, clock: Clock, *, beyond: Callable[[], int] = lambda: 0
    ) -> None:
        """`beyond`: the youngest epoch that anything else has seen.

        A journal that was begun anew goes on after it.
        """
        self._database = database
        self._clock = clock
        self._beyond = beyond

    async def take(self, by: str, doing: str, term_s: float, *, beyond: int = 0) -> int:
        ended: Process | None = None
        while True:
            taken = await self._taken(by, doing, term_s, beyond)
            if isinstance(taken, int):
                return taken
            if ended == taken.process or not await machine.end(taken.process, END_S):
                raise Busy(f"{_told(taken)}; its time is over, and its process cannot be ended")
            ended = taken.process

    async def renew(self, epoch: int, term_s: float) -> None:
        now = self._clock.now()

        def renew(connection: sqlite3.Connection) -> None:
            row = _row(connection)
            if row.epoch != epoch or not row.held:
                raise Superseded(f"Epoch {epoch} is over: {_told(row)}.")
            connection.execute("UPDATE lease SET until_s = ?", (now + term_s,))

        await self._database.write(renew)

    async def give_up(self, epoch: int) -> None:
        def give_up(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE lease SET held = 0 WHERE epoch = ?", (epoch,))

        await self._database.write(give_up)

    async def holder(self) -> Holder | None:
        row = await self._database.read(_row, None)
        if row is None or not row.held:
            return None
        here = row.process.here
        return Holder(
            epoch=row.epoch,
            by=row.who,
            doing=row.doing,
            since_s=row.since_s,
            until_s=row.until_s,
            pid=row.process.pid if here else None,
            alive=row.process.alive() if here else self._clock.now() <= row.until_s,
        )

    async def _taken(self, by: str, doing: str, term_s: float, beyond: int) -> int | _Row:
        """As `_take`; a holder that was stopped while it wrote keeps all others from writing, but
        not from reading who it is.
        """
        try:
            return await self._database.write(lambda c: self._take(c, by, doing, term_s, beyond))
        except Locked:
            row = await self._database.read(_row, None)
            if row is None or not row.there or row.process.ours:
                raise
            if self._clock.now() <= row.until_s:
                raise Busy(f"{_told(row)}.") from None
            if not row.process.here:
                raise
            return row

    def _take(
        self, connection: sqlite3.Connection, by: str, doing: str, term_s: float, beyond: int
    ) -> int | _Row:
        """The next epoch; or the holder that has to be ended before."""
        now = self._clock.now()
        row = _row(connection)
        if row.there and now <= row.until_s:
            raise Busy(f"{_told(row)}.")
        if row.there and row.process.here and not row.process.ours:
            return row
        me = machine.me()
        epoch = max(row.epoch, self._beyond(), beyond) + 1
        connection.execute(
            "UPDATE lease SET epoch = ?, held = 1, who = ?, doing = ?, since_s = ?, until_s = ?,"
            " machine = ?, boot = ?, pid = ?, started = ?",
            (epoch, by, doing, now, now + term_s, me.machine, me.boot, me.pid, me.started),
        )
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('bg', ?)", (__version__,))
        self._database.reserve()
        return epoch


def _row(connection: sqlite3.Connection) -> _Row:
    found = connection.execute(
        "SELECT epoch, held, who, doing, since_s, until_s, machine, boot, pid, started FROM lease"
    ).fetchone()
    epoch, held, who, doing, since_s, until_s, *process = found
    return _Row(epoch, bool(held), who, doing, since_s, until_s, Process(*process))


def _told(row: _Row) -> str:
    """Who drives: `Somebody else drives: deploying web 2, by ann@box, since 14:03:11, pid 123`."""
    if not row.held:
        return "nobody drives now"
    since = dt.datetime.fromtimestamp(row.since_s, tz=dt.UTC).astimezone()
    where = f", pid {row.process.pid}"
    if not row.process.here:
        where += f" on {row.process.machine.split()[0]}"
    return f"Somebody else drives: {row.doing}, by {row.who}, since {since:%H:%M:%S}{where}"
