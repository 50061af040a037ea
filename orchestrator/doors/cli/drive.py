"""Driving a rollout from the command line, or following along while somebody else does.

Every verb that changes something is a record and one call here. The one rule: whoever asked stays
until what it asked for is there, or is waited for, or cannot be: where nobody drives (any more),
the command takes the lease and does it itself. No policy is in here; that is in the rollout, and
`decide` reads it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from orchestrator.core.decide import For, Wait, decide
from orchestrator.core.model import Policy
from orchestrator.core.record import Answered, Entry, Granted, Request, Wish
from orchestrator.core.rollout import Rollout
from orchestrator.doors.cli.answer import Answer, Done
from orchestrator.doors.cli.exits import Exit
from orchestrator.doors.cli.visit import Visit
from orchestrator.engine.advance import Standing, advance
from orchestrator.engine.driver import Driver, driving
from orchestrator.engine.opening import Considered, open_rollout
from orchestrator.ports.trouble import Busy, Raced, Superseded

LOOK_S = 0.15  # how often whoever follows looks for news
RETRIES: tuple[For, ...] = (For.RETRY,)


@dataclass(frozen=True, slots=True)
class Other:
    """Another rollout is open: nothing was opened."""

    rollout: Rollout


async def carry_on(
    visit: Visit, rollout: int, *, doing: str, wait_for: tuple[For, ...] = RETRIES
) -> Standing:
    """Drive this rollout to its end or next wait; while somebody else drives it, follow along."""
    while True:
        try:
            return await drive_once(visit, rollout, doing=doing, wait_for=wait_for)
        except Busy as busy:
            visit.say(f"{busy.why} Following along.")
        if (standing := await _follow(visit, rollout, wait_for)) is not None:
            return standing


async def drive_once(
    visit: Visit, rollout: int, *, doing: str, wait_for: tuple[For, ...] = RETRIES
) -> Standing:
    """Drive this rollout, if it is still open. Raises `Busy`."""
    while True:
        async with driving(visit.world, by=visit.by, doing=doing) as driver:
            await visit.catch_up()
            _know(visit, driver)
            await answer_strays(driver)
            is_open = driver.chronicle.open
            if is_open is None or is_open.id != rollout:
                return Standing(driver.chronicle)
            if is_open.site == visit.world.site:
                standing = await _advance(visit, driver, wait_for)
                if not standing.elsewhere:
                    return standing
        await visit.recall()  # the world is made ready for the site that it was opened with


async def _advance(visit: Visit, driver: Driver, wait_for: tuple[For, ...]) -> Standing:
    with visit.stops.of(driver):
        standing = await advance(driver, wait_for=wait_for)
    visit.chronicle, visit.last, visit.seen = driver.chronicle, driver.last, driver.seen
    if standing.stopped and not visit.stops.asked:
        raise Superseded("its lease was lost")
    return standing


async def _follow(visit: Visit, rollout: int, wait_for: tuple[For, ...]) -> Standing | None:
    """Look on until it closes or waits; None once nobody drives it any more."""
    world = visit.world
    with visit.stops.patiently():
        while True:
            await visit.catch_up()
            is_open = visit.chronicle.open
            if visit.stops.asked:
                raise await _looked_on(visit, rollout)
            if is_open is None or is_open.id != rollout:
                return Standing(visit.chronicle)
            move = decide(is_open, world.clock.now())
            if isinstance(move, Wait) and move.what not in wait_for:
                return Standing(visit.chronicle, move)
            holder = await world.lease.holder()
            if holder is None or not holder.alive or world.clock.now() > holder.until_s:
                return None  # gone, or asleep past its term: whoever asked takes over
            await world.clock.sleep(LOOK_S)


async def _looked_on(visit: Visit, rollout: int) -> Done:
    """Whoever followed along has gone; whoever drives goes on."""
    holder = await visit.world.lease.holder()
    who = f"{holder.by} goes on driving" if holder and holder.alive else "nobody drives"
    problem = f"Stopped looking on; {who} rollout {rollout}. What was asked for stays asked for."
    return Done(
        Answer(
            Exit.INTERRUPTED,
            "looked-on",
            problem=problem,
            next=(("bgctl status -w", "look on again"), ("bgctl backout", "go back")),
            rollout=rollout,
            records=await visit.records(),
        )
    )


# -- Asking --------------------------------------------------------------------------------


async def ask(visit: Visit, request: Request) -> Entry:
    """Append a request and read on up to it."""
    entry = await visit.world.journal.ask(request)
    await visit.catch_up()
    return entry


async def answer_to(visit: Visit, request: Entry) -> str:
    """Why a request could not be met; empty where it was, or nobody has answered yet."""
    for entry in await visit.world.journal.news(request.number):
        if isinstance(entry.record, Answered) and entry.record.request == request.number:
            return entry.record.reason
    return ""


async def answer_strays(driver: Driver) -> None:
    """Requests that name a rollout which has closed get their answer; they are never applied to the
    next.
    """
    for entry in driver.chronicle.asked:
        if entry.record.rollout is not None:
            why = f"rollout {entry.record.rollout} has closed"
            await answer(driver, entry.number, why, entry.record.rollout)


async def answer(driver: Driver, request: int, why: str, rollout: int | None = None) -> None:
    """Write the answer to a request that no rollout answers; once."""
    while any(e.number == request for e in driver.chronicle.asked):
        try:
            await driver.write(Answered(request, why, rollout))
        except Raced:
            await driver.catch_up()


# -- Opening -------------------------------------------------------------------------------


async def open_and_drive(
    visit: Visit, wish: Wish, *, policy: Policy, doing: str, grant: bool = False,
    wait_for: tuple[For, ...] = RETRIES,
) -> tuple[Considered, Standing | None] | Other:  # fmt: skip
    """Plan, prove, open, drive: under one lease. `grant`: go on at the gate.

    No standing where nothing was opened. Raises `Busy`, `Refused`.
    """
    async with at_site(visit, doing) as driver:
        if driver.chronicle.open is not None:
            return Other(driver.chronicle.open)
        with visit.stops.of(driver):
            considered = await _opened(visit, driver, wish, policy)
        if not _is_open(driver):
            return considered, None
        standing = await _advance(visit, driver, wait_for)
        if grant and (granted := granting(standing, visit.by)):
            await visit.world.journal.ask(granted)
            await driver.catch_up()
            standing = await _advance(visit, driver, wait_for)
    if standing.elsewhere:
        assert considered.opened is not None
        number = considered.opened.rollout
        standing = await carry_on(visit, number, doing=doing, wait_for=wait_for)
        if grant and (granted := granting(standing, visit.by)):
            await ask(visit, granted)
            standing = await carry_on(visit, number, doing=doing, wait_for=wait_for)
    return considered, standing


@asynccontextmanager
async def at_site(visit: Visit, doing: str) -> AsyncIterator[Driver]:
    """Drive the site as it is now: as its file says, without the hosts that were taken out."""
    while True:
        visit.use(visit.site)
        async with driving(visit.world, by=visit.by, doing=doing) as driver:
            await visit.catch_up()
            _know(visit, driver)
            await answer_strays(driver)
            if driver.chronicle.open is not None or visit.site == visit.world.site:
                yield driver
                return


async def _opened(visit: Visit, driver: Driver, wish: Wish, policy: Policy) -> Considered:
    visit.accept()
    while True:
        try:
            return await open_rollout(driver, wish, policy=policy, by=visit.by)
        except Raced:
            await driver.catch_up()


def _is_open(driver: Driver) -> bool:
    return driver.chronicle.open is not None


def granting(standing: Standing, by: str, why: str = "") -> Granted | None:
    """The grant for the gate that a rollout waits at; None where it waits for something else."""
    rollout = standing.chronicle.open
    if rollout is None or rollout.gate is None or standing.stopped:
        return None
    return Granted(rollout.id, rollout.gate.name, rollout.attempt, by, why)


def _know(visit: Visit, driver: Driver) -> None:
    """What the driver recalled is what we know; nobody is told what was there before."""
    visit.chronicle, visit.last = driver.chronicle, driver.last
    visit.told.know(driver.chronicle, driver.last)
