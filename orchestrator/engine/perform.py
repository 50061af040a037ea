"""From a move to records: write down that it begins, look, act, look, write down how it ended.

The first look makes doing twice harmless, the second makes believing an exit code unnecessary:
whatever an adapter answered, what counts is what is seen afterwards. The epoch goes with every
effect and every look. An effect never branches on policy, and a decision is never made here.
"""

from __future__ import annotations

from typing import assert_never

from orchestrator.core.decide import Answer, Close, Do, Move, Turn, Undo, Wait
from orchestrator.core.record import (
    Answered,
    Began,
    Closed,
    Ended,
    Fact,
    Failed,
    Flipped,
    LeftAsItIs,
    NoStandby,
    Trouble,
    Turned,
)
from orchestrator.core.sight import Sighting, holds, left_of, missing_of, undone
from orchestrator.core.steps import (
    LOOKS,
    Drain,
    Gate,
    Prove,
    Retire,
    Run,
    Shift,
    Soak,
    Start,
    Step,
    can_be_left,
    title,
)
from orchestrator.engine import effects, watch
from orchestrator.engine.driver import Driver
from orchestrator.engine.standstill import GivenUp
from orchestrator.engine.world import survey
from orchestrator.ports.trouble import Refused, Superseded, Unreachable, Unsuccessful

TOLD_MAX = 10  # instances that are named in a reason; the others are counted


async def perform(driver: Driver, move: Move) -> None:
    """Carry out one move. Raises `Raced` (decide again), `Superseded` (stop), `NoRoom` (stop)."""
    rollout = driver.rollout
    match move:
        case Do(index):
            await _do(driver, index)
        case Undo(index):
            await _undo(driver, index)
        case Turn(way, reason, request):
            await driver.write(Turned(rollout.id, way, reason, request))
        case Answer(request, reason):
            await driver.write(Answered(request, reason, rollout.id))
        case Close(outcome, _):
            await driver.write(Closed(rollout.id, outcome, "; ".join(rollout.remarks)))
        case Wait():
            pass
        case _:
            assert_never(move)


# -- Forward -------------------------------------------------------------------------------


async def _do(driver: Driver, index: int) -> None:
    step = driver.rollout.to_do(index)
    match step:
        case Gate():
            await _gate(driver, index)
        case Prove() | Soak() | Drain():
            await _watch(driver, index, step)
        case Shift():
            await _shift(driver, index, step)
        case _:
            await _begin(driver, index)
            await _make(driver, index, step)


async def _gate(driver: Driver, index: int) -> None:
    """The first time, the gate is opened; once it was granted, it ends.

    After a fall it opens again with the time it has left: flapping does not give it more.
    """
    rollout = driver.rollout
    if rollout.gate is not None:
        await driver.write(Ended(rollout.id, index, undoing=False))
        return
    policy = rollout.policy.cutover
    until = rollout.deadline_s
    if until is None and policy is not None:
        until = driver.world.clock.now() + policy.timeout_s
    await driver.write(Began(rollout.id, index, False, rollout.attempt, until))


async def _watch(driver: Driver, index: int, step: Prove | Soak | Drain) -> None:
    await _begin(driver, index)
    since_s = driver.rollout.since_s
    match step:
        case Prove():
            found = await watch.prove(driver, step, since_s)
        case Soak():
            found = await watch.soak(driver, step, since_s)
        case Drain():
            found = await watch.drain(driver, step, since_s)
    match found:
        case watch.Well(facts):
            await _ended(driver, index, facts)
        case watch.Ill() as ill:
            await _disproved(driver, index, ill)
        case None:
            return


async def _shift(driver: Driver, index: int, step: Shift) -> None:
    """A gate can stand open for a day.

    Stale evidence is no evidence, so the proof is made again first.
    """
    again = await watch.prove_again(driver)
    if isinstance(again, watch.Ill):
        await _disproved(driver, index, again)
        return
    proven_s = driver.world.clock.now()
    await _begin(driver, index)
    await _make(driver, index, step, proven_s)


async def _disproved(driver: Driver, index: int, found: watch.Ill) -> None:
    at = index if found.step is None else found.step
    await driver.write(Failed(driver.rollout.id, at, False, found.kind, found.reason))


async def _make(driver: Driver, index: int, step: Step, since_s: float = 0.0) -> None:
    sighting = await _seen(driver, step)
    if holds(step, sighting):
        await _ended(driver, index)
        return
    act = missing_of(step, sighting) if isinstance(step, Run) else step
    if isinstance(step, Shift) and (ill := watch.not_as_found(driver.rollout, sighting)):
        await _disproved(driver, index, ill)  # started again while it was proven again
        return
    trouble, facts = await _tried(driver, act, lambda: effects.do(driver, act))
    sighting = await _seen(driver, step)
    if holds(step, sighting):
        took_s = driver.world.clock.now() - since_s
        took = (Flipped(took_s),) if isinstance(step, Shift) else ()
        await _ended(driver, index, (*took, *facts))
        return
    kind, reason = trouble or (Trouble.DID_NOT_TAKE, _not_taken(step, sighting))
    if (left := can_be_left(step, undoing=False)) and _last_try(driver, kind):
        await _ended(driver, index, (LeftAsItIs(left, reason),))
        return
    await driver.write(Failed(driver.rollout.id, index, False, kind, reason))


# -- Back ----------------------------------------------------------------------------------


async def _undo(driver: Driver, index: int) -> None:
    """Whether anything happened does not matter.

    What is left over is taken away, what was there is put back.
    """
    rollout = driver.rollout
    step = rollout.steps[index]
    await _begin(driver, index, undoing=True)
    if isinstance(step, LOOKS):
        await driver.write(Ended(rollout.id, index, undoing=True))
        return
    sighting = await _seen(driver, step)
    if undone(step, sighting):
        await driver.write(Ended(rollout.id, index, undoing=True))
        return
    act = left_of(step, sighting) if isinstance(step, Run) else step
    trouble, facts = await _tried(driver, act, lambda: effects.undo(driver, act))
    sighting = await _seen(driver, step)
    runs_but_silent = isinstance(step, Retire) and trouble is not None
    if undone(step, sighting) and not runs_but_silent:
        await driver.write(Ended(rollout.id, index, undoing=True, facts=facts))
        return
    kind, reason = trouble or (Trouble.DID_NOT_TAKE, _not_undone(step))
    await _undo_failed(driver, index, kind, reason)


async def _undo_failed(driver: Driver, index: int, kind: Trouble, reason: str) -> None:
    """A standby that cannot be brought back is a remark, not stuck: it has no traffic. So is a step
    of the user's own: the way back hangs on no program of somebody else.
    """
    rollout = driver.rollout
    step = rollout.steps[index]
    last = _last_try(driver, kind)
    if isinstance(step, Retire) and last:
        lost = tuple(NoStandby(p.service, p.color, reason) for p in step.parts)
        await driver.write(Ended(rollout.id, index, undoing=True, facts=lost))
        return
    if last and (left := can_be_left(step, undoing=True)):
        facts = (LeftAsItIs(left, reason),)
        await driver.write(Ended(rollout.id, index, undoing=True, facts=facts))
        return
    await driver.write(Failed(rollout.id, index, True, kind, reason))


# -- Small things --------------------------------------------------------------------------


async def _begin(driver: Driver, index: int, *, undoing: bool = False) -> None:
    """Write down that it begins, once for each driver, attempt and direction.

    A retry is written again.
    """
    rollout = driver.rollout
    key = (rollout.attempt, rollout.failures, index, undoing)
    if rollout.begun == (index, undoing) and key in driver.began:
        return
    await driver.write(Began(rollout.id, index, undoing, rollout.attempt))
    driver.began.add(key)


async def _ended(driver: Driver, index: int, facts: tuple[Fact, ...] = ()) -> None:
    await driver.write(Ended(driver.rollout.id, index, undoing=False, facts=facts))


async def _seen(driver: Driver, step: Step) -> Sighting:
    if not isinstance(step, Run):
        return await driver.look()
    return await survey(driver.world, driver.epoch, runs=(step,), rollout=driver.rollout.id)


def _last_try(driver: Driver, kind: Trouble) -> bool:
    rollout = driver.rollout
    return rollout.failures + 1 >= rollout.policy.tries or kind is Trouble.REFUSED


async def _tried(
    driver: Driver, step: Step, act: effects.Act
) -> tuple[tuple[Trouble, str] | None, tuple[Fact, ...]]:
    """What went wrong, if anything, and what was found on the way.

    Whether it happened all the same, the look afterwards says. A command of the user's own is not
    run again before that look.
    """
    from orchestrator.engine.patience import patiently

    driver.forget()
    try:
        return None, await (act() if isinstance(step, Run) else patiently(driver.world.clock, act))
    except Superseded:
        raise
    except Refused as refused:
        return (Trouble.REFUSED, refused.why), ()
    except effects.NothingAnswers as silent:
        return (Trouble.ILL, silent.why), ()
    except Unsuccessful as unsuccessful:
        return (Trouble.DID_NOT_TAKE, unsuccessful.why), ()
    except GivenUp as given_up:
        return (Trouble.DID_NOT_TAKE, given_up.why), ()
    except Unreachable as unreachable:
        return (Trouble.UNREACHABLE, unreachable.why), ()


def _not_taken(step: Step, sighting: Sighting) -> str:
    """What was seen after an effect that said it worked."""
    if sighting.unreached:
        return "; ".join(sighting.unreached)
    still = [
        (f"{p.service} {p.color.value} #{i.index}", i.note)
        for p in getattr(step, "parts", ())
        for i in sighting.at(p.service, p.color).instances
        if not i.running
    ]
    if notes := [f"{name}: {note}" for name, note in still if note]:
        return _few("; ", notes)
    if isinstance(step, Start) and still:
        return f"{_few(', ', [name for name, _ in still])} did not come up"
    return f"{title(step)} reported success, and a look says otherwise"


def _few(between: str, told: list[str]) -> str:
    """The first of them, and how many more there are."""
    more = len(told) - TOLD_MAX
    return between.join(told[:TOLD_MAX]) + (f" and {more} more" if more > 0 else "")


def _not_undone(step: Step) -> str:
    return f"undoing {title(step)} reported success, and a look says otherwise"
