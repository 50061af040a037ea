"""Whoever drives.

Holds the lease, keeps the fold up to date, and is the only one that writes decisions.

A *decision* that was raced raises `Raced`: read the news, and decide again. A *fact* is appended
again, unchanged, after the news; if these carry a younger epoch, `Superseded` says that somebody
else drives now. The lease is renewed in the background; once it is lost nothing more is written,
and every effect is refused by the fence of whatever it would have changed.

What was seen after one step is what the next one begins with: looking at many hosts takes longer
than most of what is done there. The one rule of that: nothing was done, read or waited for since.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from orchestrator.core.chronicle import Chronicle, fold
from orchestrator.core.record import FACTS, Entry, Record
from orchestrator.core.rollout import Rollout
from orchestrator.core.sight import Sighting, SwitchSeen
from orchestrator.engine.world import World, survey
from orchestrator.ports.trouble import NoRoom, Raced, Superseded, Trouble

FRESH_S = 1.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen at `at_s`. It is as good as new for as long again as it took to look."""

    sighting: Sighting
    at_s: float
    until_s: float

    def fresh(self, now: float) -> bool:
        return self.at_s <= now < self.until_s and not self.sighting.unreached


class Driver:
    """The state of one drive. `stop` asks it to stop at the next safe place."""

    def __init__(self, world: World, epoch: int, chronicle: Chronicle, last: int) -> None:
        self.world = world
        self.epoch = epoch
        self.chronicle = chronicle
        self.last = last
        self.stop = asyncio.Event()
        self.began: set[tuple[int, int, int, bool]] = set()  # what this driver itself began
        self.seen: Seen | None = None  # None: something was done since

    @property
    def rollout(self) -> Rollout:
        """The open rollout. Only asked for where one is open."""
        assert self.chronicle.open is not None
        return self.chronicle.open

    async def catch_up(self) -> bool:
        """Read what others wrote; whether there was any."""
        entries = await self.world.journal.news(self.last)
        self._fold(entries)
        if entries:
            self.forget()
        return bool(entries)

    async def news(self) -> bool:
        """Whether it is time to decide again: somebody wrote, or asked us to stop."""
        return self.stop.is_set() or bool(await self.world.journal.news(self.last))

    async def look(self, *, anew: bool = False) -> Sighting:
        """Everything, under this epoch; what was seen just now is not looked at again, but `anew`.

        What did not answer is named in `unreached`. Raises `Superseded`.
        """
        began = self.world.clock.now()
        if self.seen is not None and self.seen.fresh(began) and not anew:
            return self.seen.sighting
        sighting = await survey(self.world, self.epoch)
        now = self.world.clock.now()
        self.seen = Seen(sighting, now, now + max(FRESH_S, now - began))
        return sighting

    def forget(self) -> None:
        """What was seen is over: something is done, or asked of somebody, or waited for."""
        self.seen = None

    def saw_switch(self, switch: SwitchSeen) -> None:
        """The switch alone was looked at once more."""
        if self.seen is not None:
            sighting = replace(self.seen.sighting, switch=switch)
            self.seen = replace(self.seen, sighting=sighting)

    async def write(self, *records: Record) -> None:
        """Append and fold. A lone fact survives a race; everything else raises `Raced`."""
        while True:
            try:
                entries = await self.world.journal.append(self.last, records, epoch=self.epoch)
            except Raced:
                if not all(isinstance(record, FACTS) for record in records):
                    raise
                await self.catch_up()
                continue
            self._fold(entries)
            return

    def _fold(self, entries: tuple[Entry, ...]) -> None:
        for entry in entries:
            if entry.epoch > self.epoch:
                raise Superseded("somebody else drives this site now")
            self.chronicle = fold(self.chronicle, entry)
            self.last = entry.number
            self.world.witness.tell(entry)


@asynccontextmanager
async def driving(world: World, *, by: str, doing: str, beyond: int = 0) -> AsyncIterator[Driver]:
    """Take the lease, recall everything, and give the lease up at the end. `beyond`: an epoch that
    was seen elsewhere, and has to be older.

    Raises `Busy`, `NoRoom`, `Damaged`.
    """
    term_s = world.site.policy.lease_s
    epoch = await world.lease.take(by, doing, term_s, beyond=beyond)
    renewal: asyncio.Task[None] | None = None
    try:
        recalled = await world.journal.recall()
        driver = Driver(world, epoch, recalled.chronicle, recalled.last)
        renewal = asyncio.create_task(_renew(driver, term_s))
        yield driver
    finally:
        if renewal is not None:
            renewal.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewal
        with contextlib.suppress(Trouble):
            await world.lease.give_up(epoch)


async def _renew(driver: Driver, term_s: float) -> None:
    """Keep the lease while we live. A full disk is borne: the next try may find room."""
    while True:
        await driver.world.clock.sleep(term_s / 3)
        try:
            await driver.world.lease.renew(driver.epoch, term_s)
        except NoRoom:
            continue
        except Superseded:
            driver.stop.set()
            return
