"""What it takes to make a step true, and to take it back: calls on ports, and nothing else.

Every effect is idempotent and carries the epoch. The guards here are the last line: a color that
has traffic is never stopped, and no traffic goes to a color of which nothing answers while the
other one answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any

from orchestrator.core.model import Color, Hold, Pin, Share
from orchestrator.core.record import Fact, Kind, NoStandby
from orchestrator.core.rollout import Rollout
from orchestrator.core.sight import Sighting
from orchestrator.core.steps import Part, Retire, Run, Shift, Stage, Start, Step, Tidy, Wire
from orchestrator.engine.driver import Driver
from orchestrator.engine.sampling import any_answers, described
from orchestrator.engine.standstill import GivenUp, shift_held
from orchestrator.engine.world import look_at_switch, survey
from orchestrator.ports.trouble import Refused, Superseded, Trouble, Unreachable

Act = Callable[[], Awaitable[tuple[Fact, ...]]]

BACK_LOOK_S = 0.1


class NothingAnswers(Trouble):
    """Nothing of the color that should get the traffic back answers."""


async def do(driver: Driver, step: Step) -> tuple[Fact, ...]:
    """Make the step true."""
    world, epoch = driver.world, driver.epoch
    match step:
        case Stage(parts):
            sources = {w.service: w.source for w in driver.rollout.wish.wanted}
            await _side_by_side(
                world.installation.stage(p, sources.get(p.service), epoch) for p in parts
            )
        case Retire(parts):
            await _stop(driver, parts)
        case Wire(wirings):
            await world.switch.send({}, {w.pin: w.after for w in wirings}, epoch)
        case Start(parts):
            await _side_by_side(world.installation.start(p, epoch) for p in parts)
        case Shift(flips, wirings):
            shares = {f.service: f.after for f in flips}
            return await _send(driver, shares, {w.pin: w.after for w in wirings}, step)
        case Tidy(releases):
            await _side_by_side(
                world.installation.remove(service, release, epoch) for service, release in releases
            )
        case Run():
            await world.commands.do(step, driver.rollout.id, epoch)
        case _:
            raise AssertionError(f"{step} is a look")
    return ()


async def undo(driver: Driver, step: Step) -> tuple[Fact, ...]:
    """Take the step back: what was there at the opening is there again."""
    world, epoch = driver.world, driver.epoch
    match step:
        case Stage(parts):
            await _side_by_side(
                world.installation.remove(p.service, p.release, epoch)
                for p in parts
                if not p.before.staged
            )
        case Retire(parts):
            await _bring_back_standby(driver, parts)
        case Wire(wirings):
            pins = {w.pin: w.before for w in wirings if w.before is not None}
            await world.switch.send({}, pins, epoch)
        case Start(parts):
            await _stop(driver, tuple(p for p in parts if not p.before.running))
            return await _point_back(driver, parts)
        case Shift():
            return await _traffic_back(driver, step)
        case Run():
            await world.commands.undo(step, driver.rollout.id, epoch)
        case _:
            raise AssertionError(f"{step} cannot be undone")
    return ()


async def _stop(driver: Driver, parts: tuple[Part, ...]) -> None:
    """Stop these, after one more look at who serves."""
    switch = await look_at_switch(driver.world, driver.epoch)
    if not switch.up:
        raise Unreachable(f"nobody can say who serves: {switch.note or 'no answer'}")
    for part in parts:
        if switch.share(part.service).of(part.color):
            who = f"{part.service} {part.color.value}"
            raise Refused(f"{who} has traffic, and what has traffic is never stopped")
    await _side_by_side(driver.world.installation.stop(p, driver.epoch) for p in parts)


async def _point_back(driver: Driver, parts: tuple[Part, ...]) -> tuple[Fact, ...]:
    """Each color to what it pointed at before; to nothing where the files of that are gone."""
    sighting = await survey(driver.world, driver.epoch)
    lost = tuple(p for p in parts if _is_lost(p, sighting))
    await _side_by_side(
        driver.world.installation.point(
            p.service, p.color, None if p in lost else p.before.current, driver.epoch
        )
        for p in parts
    )
    return tuple(NoStandby(p.service, p.color, _lost(p)) for p in lost)


def _is_lost(part: Part, sighting: Sighting) -> bool:
    before, seen = part.before.current, sighting.at(part.service, part.color)
    return before is not None and sighting.saw(part.service, part.color) and not seen.lies(before)


def _lost(part: Part) -> str:
    assert part.before.current is not None
    return f"the files of {part.before.current.label} are gone"


async def _bring_back_standby(driver: Driver, parts: tuple[Part, ...]) -> None:
    """As many as ran before, of the release that ran before; and prove that any of it answers."""
    installation, epoch = driver.world.installation, driver.epoch
    ran = tuple(replace(p, count=p.before.running) for p in parts if p.before.running)
    await _side_by_side(installation.start(p, epoch) for p in ran)
    # Starting points the color at what it starts; it may have pointed elsewhere before.
    elsewhere = (p for p in ran if p.before.current != p.release)
    await _side_by_side(
        installation.point(p.service, p.color, p.before.current, epoch) for p in elsewhere
    )
    for part in ran:
        await _until_any_answers(driver, part)


async def _traffic_back(driver: Driver, step: Shift) -> tuple[Fact, ...]:
    """The old color gets the traffic as soon as any of it answers.

    It never depends on the color it comes from.

    Where none of it answers and the other color does, nothing is moved.
    """
    backs = tuple(f.back for f in step.flips if f.back is not None and f.before.live is not None)
    await _side_by_side(_revive(driver, back) for back in backs)
    shares = {f.service: f.before for f in step.flips}
    pins = {w.pin: w.before for w in step.wirings if w.before is not None}
    return await _send(driver, shares, pins, step, back=True)


async def _send(
    driver: Driver,
    shares: dict[str, Share],
    pins: dict[Pin, Color],
    step: Shift,
    *,
    back: bool = False,
) -> tuple[Fact, ...]:
    """One write; time stands still for it where the step says so.

    Going back never waits for what it leaves: where time cannot be stopped, traffic goes back all
    the same.
    """
    hold = _bound(driver.rollout, step.hold)
    if hold is None:
        await driver.world.switch.send(shares, pins, driver.epoch)
        return ()
    try:
        return (await shift_held(driver, shares, pins, hold),)
    except (GivenUp, Refused, Unreachable):
        if not back and driver.rollout.wish.kind is not Kind.BACKOUT:
            raise
    await driver.world.switch.send(shares, pins, driver.epoch)
    return ()


def _bound(rollout: Rollout, hold: Hold | None) -> Hold | None:
    """What the plan says, shortened by the grant: it can never be longer. Zero: no hold."""
    asked = [g.hold for g in rollout.granted if g.hold is not None]
    if hold is None or 0.0 in asked:
        return None
    return replace(hold, for_s=min([hold.for_s, *asked]))


async def _revive(driver: Driver, back: Part) -> None:
    if await any_answers(driver.world, back):
        return
    await driver.world.installation.start(back, driver.epoch)
    try:
        await _until_any_answers(driver, back)
    except NothingAnswers:
        if await _other_color_answers(driver, back):
            raise


async def _other_color_answers(driver: Driver, back: Part) -> bool:
    wanted = driver.rollout.wish.of(back.service)
    if wanted is None:
        return True
    other = Part(back.service, back.color.other, back.count, wanted.release)
    return await any_answers(driver.world, other)


async def _until_any_answers(driver: Driver, part: Part) -> None:
    clock = driver.world.clock
    service = await described(driver.world, part.service, part.release)
    give_up_s = clock.now() + service.probing.within_s
    while not await any_answers(driver.world, part):
        if clock.now() >= give_up_s or driver.stop.is_set():
            raise NothingAnswers(f"nothing of {part.service} {part.color.value} answers")
        await clock.sleep(BACK_LOOK_S)


async def _side_by_side(effects: Any) -> None:
    """All of them at once, to the end; then the gravest trouble, if there was any."""
    running: list[Coroutine[Any, Any, None]] = list(effects)
    results = await asyncio.gather(*running, return_exceptions=True)
    troubles = [r for r in results if isinstance(r, BaseException)]
    for gravest in (Superseded, Refused, Trouble, BaseException):
        for trouble in troubles:
            if isinstance(trouble, gravest):
                raise trouble
