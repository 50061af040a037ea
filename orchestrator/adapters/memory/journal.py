"""The journal in memory."""

from __future__ import annotations

from orchestrator.adapters.memory.doing import Doing
from orchestrator.core.chronicle import fold
from orchestrator.core.record import Entry, Record, Request
from orchestrator.ports.journal import Recalled
from orchestrator.ports.trouble import Damaged, Raced, Superseded


class MemoryJournal:
    """`ports.journal.Journal` on the entries of a world."""

    def __init__(self, doing: Doing) -> None:
        self._doing = doing
        self._world = doing.world

    async def recall(self) -> Recalled:
        self._doing.still_alive()
        return Recalled(self._world.chronicle, len(self._world.entries))

    async def news(self, after: int) -> tuple[Entry, ...]:
        self._doing.still_alive()
        return tuple(self._world.entries[after:])

    async def append(
        self, after: int, records: tuple[Record, ...], *, epoch: int
    ) -> tuple[Entry, ...]:
        what = " ".join(type(record).__name__ for record in records)
        return await self._doing.write(
            "journal.append", what, lambda: self._compare_and_append(after, records, epoch), epoch
        )

    async def ask(self, request: Request) -> Entry:
        what = type(request).__name__
        (entry,) = await self._doing.write(
            "journal.ask", what, lambda: self._append((request,), 0), None
        )
        return entry

    async def history(self, *, rollout: int | None = None, last: int = 1000) -> tuple[Entry, ...]:
        self._doing.still_alive()
        entries = (e for e in self._world.entries if rollout in (None, e.record.rollout))
        return tuple(entries)[-last:] if last > 0 else ()

    async def close(self) -> None:
        return

    def _compare_and_append(
        self, after: int, records: tuple[Record, ...], epoch: int
    ) -> tuple[Entry, ...]:
        last = len(self._world.entries)
        if self._world.lease.epoch > epoch:
            raise Superseded(f"epoch {self._world.lease.epoch} drives now; this was {epoch}")
        if last > after:
            raise Raced(f"there are {last - after} entries after number {after}")
        if last < after:
            raise Damaged(f"the journal ends at number {last}, but {after} was read from it")
        return self._append(records, epoch)

    def _append(self, records: tuple[Record, ...], epoch: int) -> tuple[Entry, ...]:
        world, at_s = self._world, self._world.clock.now()
        first = len(world.entries) + 1
        entries = tuple(Entry(n, at_s, epoch, record) for n, record in enumerate(records, first))
        chronicle = world.chronicle
        for entry in entries:
            chronicle = fold(chronicle, entry)
        world.chronicle = chronicle
        world.entries += entries
        return entries
