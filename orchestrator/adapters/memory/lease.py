"""The lease in memory: its holder is a process of the world; it can be dead, alive or far away."""

from __future__ import annotations

from orchestrator.adapters.memory.doing import Doing
from orchestrator.adapters.memory.world import LeaseRow
from orchestrator.ports.lease import Holder
from orchestrator.ports.trouble import Busy, Superseded


class MemoryLease:
    """`ports.lease.Lease` on the row of a world."""

    def __init__(self, doing: Doing) -> None:
        self._doing = doing
        self._world = doing.world

    async def take(self, by: str, doing: str, term_s: float, *, beyond: int = 0) -> int:
        def take() -> int:
            row = self._world.lease
            before, row.epoch = row.epoch, max(row.epoch, beyond)
            try:
                return self._take(by, doing, term_s)
            except Busy:
                row.epoch = before
                raise

        return await self._doing.write("lease.take", doing, take, None)

    async def renew(self, epoch: int, term_s: float) -> None:
        def renew() -> None:
            row = self._world.lease
            if row.epoch != epoch or not row.held:
                raise Superseded(f"epoch {epoch} is over; {row.by} drives since, {row.doing}")
            row.until_s = self._world.clock.now() + term_s

        await self._doing.write("lease.renew", "", renew, epoch)

    async def give_up(self, epoch: int) -> None:
        def give_up() -> None:
            if self._world.lease.epoch == epoch:
                self._world.lease.held = False

        await self._doing.write("lease.give_up", "", give_up, epoch)

    async def holder(self) -> Holder | None:
        self._doing.still_alive()
        row = self._world.lease
        if not row.held:
            return None
        far = row.process in self._world.far
        return Holder(
            epoch=row.epoch,
            by=row.by,
            doing=row.doing,
            since_s=row.since_s,
            until_s=row.until_s,
            pid=None if far else row.process,
            alive=self._there(row),
        )

    def _there(self, row: LeaseRow) -> bool:
        if row.process in self._world.far:
            return self._world.clock.now() <= row.until_s
        return self._world.living.get(row.process, False)

    def _take(self, by: str, doing: str, term_s: float) -> int:
        world, now = self._world, self._world.clock.now()
        row = world.lease
        if row.held and self._there(row):
            if now <= row.until_s:
                raise Busy(f"Somebody else drives: {row.doing}, by {row.by}, pid {row.process}.")
            if row.process not in (self._doing.pid, *world.far):
                world.living[row.process] = False
        world.lease = LeaseRow(row.epoch + 1, True, by, doing, now, now + term_s, self._doing.pid)
        return row.epoch + 1
