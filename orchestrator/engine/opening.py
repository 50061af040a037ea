"""Before a rollout: look, plan, prove, make sure of the switch, and only then write `Opened`.

`consider` decides nothing and changes nothing; `open_rollout` does it again under the lease, with
the epoch on the look, so that a plan never rests on what somebody younger changed since. A
refused plan starts nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from orchestrator.core.adopt import plan_adopt
from orchestrator.core.chronicle import Chronicle
from orchestrator.core.drift import drift, known, mendable
from orchestrator.core.mend import plan_mend
from orchestrator.core.model import Policy
from orchestrator.core.plan import Plan, Unplannable, plan, plan_retire
from orchestrator.core.prove import Broken, Proof, prove
from orchestrator.core.record import Kind, Opened, Wish
from orchestrator.core.sight import Sighting
from orchestrator.core.steps import Run, Shift, Start
from orchestrator.engine.driver import Driver
from orchestrator.engine.sampling import who_serves
from orchestrator.engine.world import World, look_at_switch, survey, with_runs
from orchestrator.ports.trouble import Refused


@dataclass(frozen=True, slots=True)
class Considered:
    """A plan with everything it rests on.

    `opened` is what would be written; None where there is nothing to do.
    """

    plan: Plan | Unplannable
    sighting: Sighting
    proof: Proof | Broken | None = None
    opened: Opened | None = None


async def consider(
    world: World,
    wish: Wish,
    chronicle: Chronicle,
    *,
    policy: Policy,
    by: str,
    driver: Driver | None = None,
) -> Considered:
    """What would be done for this wish, and the proof of it. Reads only; under the epoch of whoever
    drives, if somebody does.
    """
    epoch = driver.epoch if driver else None
    seen = await (driver.look(anew=True) if driver else survey(world, None))
    sighting = known(chronicle, seen)
    planned = _plan(world, wish, sighting, policy=policy, chronicle=chronicle)
    if runs := _that_can_be_looked_at(planned):
        sighting = await with_runs(world, epoch, sighting, runs)
        planned = _plan(world, wish, sighting, policy=policy, chronicle=chronicle)
    if isinstance(planned, Unplannable) or not planned.steps:
        return Considered(planned, sighting)
    if any(isinstance(step, Shift) for step in planned.steps):
        planned = replace(planned, remarks=(*planned.remarks, *_unpromised(world)))
    services = tuple(dict.fromkeys(w.service for w in wish.wanted))
    opened = Opened(
        rollout=chronicle.rollouts + 1,
        plan=planned.steps,
        site=world.site,
        policy=policy,
        wish=wish,
        before=await who_serves(world, services, sighting),
        by=by,
    )
    proof = prove(opened, sighting)
    if isinstance(proof, Proof):
        proof = replace(proof, no_return=planned.no_return)
    return Considered(planned, sighting, proof, opened)


def _unpromised(world: World) -> tuple[str, ...]:
    """What the switch cannot promise, as remarks of a plan that sends traffic elsewhere."""
    return tuple(f"{remark}." for remark in world.switch.remarks())


def _that_can_be_looked_at(planned: Plan | Unplannable) -> tuple[Run, ...]:
    """The steps of the user's own whose look may say that they hold already: then they go."""
    steps = planned.steps if isinstance(planned, Plan) else ()
    return tuple(step for step in steps if isinstance(step, Run) and step.command.holds)


def _plan(
    world: World, wish: Wish, sighting: Sighting, *, policy: Policy, chronicle: Chronicle
) -> Plan | Unplannable:
    services = tuple(w.service for w in wish.wanted)
    match wish.kind:
        case Kind.RETIRE:
            return plan_retire(world.site, services, sighting)
        case Kind.MEND:
            return plan_mend(mendable(drift(chronicle, sighting)), sighting, policy.hold)
        case Kind.ADOPT:
            return plan_adopt(world.site, wish, sighting)
        case Kind.DEPLOY | Kind.BACKOUT:
            return plan(world.site, wish, sighting, policy=policy, chronicle=chronicle)


async def open_rollout(driver: Driver, wish: Wish, *, policy: Policy, by: str) -> Considered:
    """Plan and prove under the lease, make sure of the switch, write `Opened`.

    Nothing is written where the plan is empty, impossible or broken, or where the switch cannot
    be had (`Refused`). Raises `Raced` where somebody asked for something meanwhile: catch up, and
    open again.
    """
    world = driver.world
    if driver.chronicle.open is not None:
        raise ValueError(f"rollout {driver.chronicle.open.id} is open: there is never a second one")
    considered = await _consider_again(driver, wish, policy, by)
    if considered.opened is None or not isinstance(considered.proof, Proof):
        return considered
    for step in considered.opened.plan:
        if isinstance(step, Start):
            for part in step.parts:
                await world.installation.check(part)  # before anything is stopped to make room
        if isinstance(step, Run):
            await world.commands.check(step)
    await _see_to_switch(driver, wish, considered.sighting)
    switch = await look_at_switch(world, driver.epoch)
    driver.saw_switch(switch)
    if switch.shares != considered.sighting.switch.shares:
        considered = await _consider_again(driver, wish, policy, by)
    if considered.opened is not None and isinstance(considered.proof, Proof):
        await driver.write(considered.opened)
    return considered


async def _see_to_switch(driver: Driver, wish: Wish, sighting: Sighting) -> None:
    """Going back asks no more of a switch than that it answers: whatever it lacks, who serves now
    lacks it too. `Refused`: it cannot be had.
    """
    try:
        await driver.world.switch.ensure(driver.epoch)
    except Refused:
        if wish.kind is not Kind.BACKOUT or not sighting.switch.up:
            raise


async def _consider_again(driver: Driver, wish: Wish, policy: Policy, by: str) -> Considered:
    """The look carries the epoch: it raises the fence before anything is decided."""
    return await consider(driver.world, wish, driver.chronicle, policy=policy, by=by, driver=driver)
