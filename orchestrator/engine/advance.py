"""Advance a rollout until it closes or has to wait: the one call behind every door.

Each turn: read the news, decide, perform. Nothing is remembered between turns but the journal.
Where a rollout was left by somebody else, its done steps are looked at first: one that does not
hold any more is a fall to it, written down, and done again.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from orchestrator.core.chronicle import Chronicle
from orchestrator.core.decide import For, Wait, decide
from orchestrator.core.drift import fallen
from orchestrator.core.record import Failed, Trouble
from orchestrator.core.rollout import Rollout
from orchestrator.core.steps import title
from orchestrator.engine.driver import Driver
from orchestrator.engine.perform import perform
from orchestrator.ports.trouble import Raced, Refused, Unreachable

FOLLOW_S = 0.2  # how often a wait looks for news


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an advance ended.

    Closed (no wait), at a wait, or stopped on the way because somebody asked us to. `elsewhere`:
    a host was taken out, and the rollout goes on in a world without it.
    """

    chronicle: Chronicle
    wait: Wait | None = None
    stopped: bool = False
    elsewhere: bool = False


async def advance(driver: Driver, *, wait_for: tuple[For, ...] = (For.RETRY,)) -> Standing:
    """Drive the open rollout.

    Waits named in `wait_for` are waited out here; the first other one ends the call.

    Raises `Superseded` (somebody else drives), `NoRoom` (the journal cannot be written).
    """
    await _look_back(driver)
    while (rollout := await _read_on(driver)) is not None:
        if driver.stop.is_set():
            return Standing(driver.chronicle, stopped=True)
        if rollout.site != driver.world.site:
            return Standing(driver.chronicle, elsewhere=True)
        move = decide(rollout, driver.world.clock.now())
        assert move is not None
        if isinstance(move, Wait):
            if move.what not in wait_for:
                return Standing(driver.chronicle, move)
            await _wait(driver, move)
            continue
        with contextlib.suppress(Raced):  # there is news: decide again
            await perform(driver, move)
    return Standing(driver.chronicle)


async def _read_on(driver: Driver) -> Rollout | None:
    """The open rollout, with everything that anybody has asked of it up to now."""
    await driver.catch_up()
    return driver.chronicle.open


async def _wait(driver: Driver, wait: Wait) -> None:
    """Sleep until the wait is over, there is news, or somebody asks us to stop."""
    clock = driver.world.clock
    driver.forget()
    while not driver.stop.is_set() and not await driver.catch_up():
        now = clock.now()
        if wait.until_s is not None and now >= wait.until_s:
            return
        left = FOLLOW_S if wait.until_s is None else wait.until_s - now
        await clock.sleep(min(FOLLOW_S, max(left, 0.001)))


async def _look_back(driver: Driver) -> None:
    """The first look of this drive: it raises the epoch everywhere before anything is decided."""
    sighting = await driver.look()
    rollout = driver.chronicle.open
    if rollout is not None and any(s.placement.away for s in rollout.site.services):
        with contextlib.suppress(Refused, Unreachable):  # a switch sends nobody to who is away
            await driver.world.switch.ensure(driver.epoch)
    if rollout is None or sighting.unreached:
        return
    if not sighting.switch.up:  # after a reboot, say: nobody else would start it
        with contextlib.suppress(Refused, Unreachable):
            await driver.world.switch.ensure(driver.epoch)
        sighting = await driver.look(anew=True)
    if not sighting.switch.up:
        return
    index = fallen(rollout, sighting)
    if index is None:
        return
    reason = (
        f"{title(rollout.steps[index])} was done and does not hold any more: somebody changed it"
    )
    try:
        await driver.write(Failed(rollout.id, index, False, Trouble.DID_NOT_TAKE, reason))
    except Raced:
        await driver.catch_up()
