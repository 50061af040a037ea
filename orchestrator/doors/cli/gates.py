"""`switch`, `grant`, `deny`: what a person says at a gate.

`switch` is `grant cutover` with a shorter name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.doors.cli.stillness import HoldTime, NoHold, hold_s

if TYPE_CHECKING:
    from orchestrator.core.record import Request
    from orchestrator.core.rollout import Rollout
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.visit import Visit

Why = Annotated[str, typer.Option(metavar="TEXT", help="Why; it is recorded.")]
GateName = Annotated[str, typer.Argument(metavar="GATE", help="The gate, e.g. cutover.")]


def switch(
    ctx: typer.Context, why: Why = "", hold: HoldTime = None, no_hold: NoHold = False
) -> None:
    """Grant the cutover of the open rollout, then drive it and the soak.

    All services of the wish change color in one instant; the old color stays warm, and `bgctl
    backout` goes back.
    """
    from orchestrator.doors.cli.visit import run

    run(ctx, lambda visit: _granted(visit, "cutover", why, "switch", hold=hold, no_hold=no_hold))


def grant(ctx: typer.Context, gate: GateName, why: Why = "") -> None:
    """Grant a gate of the open rollout, and drive on."""
    from orchestrator.doors.cli.visit import run

    run(ctx, lambda visit: _granted(visit, gate, why))


def deny(ctx: typer.Context, gate: GateName, why: Why = "") -> None:
    """Deny a gate: the rollout goes back, and everything is as it was."""
    from orchestrator.doors.cli.visit import run

    run(ctx, lambda visit: _denied(visit, gate, why), needs_file=False)


async def _granted(
    visit: Visit, gate: str, why: str, verb: str = "grant", *, hold: str | None = None,
    no_hold: bool = False,
) -> Answer:  # fmt: skip
    from orchestrator.core.record import Granted

    rollout = _open(visit, verb)
    asked_s = hold_s(rollout.policy, hold, no_hold)
    if _passed(rollout, gate):
        _must_be_said_then(asked_s)
        visit.say(f"{gate!r} was granted before; going on with rollout {rollout.id}.")
        return await _driven(visit, rollout, None)
    _must_stand_open(rollout, gate, verb)
    granted = Granted(rollout.id, gate, rollout.attempt, visit.by, why, asked_s)
    return await _driven(visit, rollout, granted)


async def _denied(visit: Visit, gate: str, why: str) -> Answer:
    from orchestrator.core.record import Asked, What

    rollout = _open(visit, "deny")
    _must_stand_open(rollout, gate, "deny")
    asked = Asked(rollout.id, What.DENY, visit.by, why, target=gate)
    return await _driven(visit, rollout, asked, back=True)


async def _driven(
    visit: Visit, rollout: Rollout, request: Request | None, *, back: bool = False
) -> Answer:
    from orchestrator.core.record import Outcome
    from orchestrator.doors.cli import drive
    from orchestrator.doors.cli.answer import refused
    from orchestrator.doors.cli.endings import ended
    from orchestrator.doors.cli.exits import Exit

    asked = await drive.ask(visit, request) if request else None
    standing = await drive.carry_on(visit, rollout.id, doing=f"switching rollout {rollout.id}")
    wanted = Outcome.BACKED_OUT if back else Outcome.ROLLED_OUT
    answer = await ended(visit, standing, rollout.id, wanted=wanted)
    reason = await drive.answer_to(visit, asked) if asked else ""
    goes_on = standing.chronicle.open is not None and not standing.chronicle.open.backing_out
    if reason and back and goes_on:
        raise refused(f"It does not go back: {reason}.", code=Exit.FORBIDDEN)
    if reason and answer.exit is not Exit.DONE:  # somebody may have asked for the same before
        raise refused(f"It was not done: {reason}.")
    return answer


def _open(visit: Visit, verb: str) -> Rollout:
    from orchestrator.doors.cli.answer import refused

    if visit.chronicle.open is None:
        raise refused(
            f"There is nothing to {verb}: no rollout is open.",
            ("bgctl deploy WISH", "brings a release up"),
            ("bgctl history", "what was done so far"),
            outcome=f"nothing-to-{verb}",
        )
    return visit.chronicle.open


def _passed(rollout: Rollout, gate: str) -> bool:
    """Whether this gate was granted, and the rollout goes on forward."""
    from orchestrator.core.steps import Gate

    if rollout.backing_out or rollout.stuck:
        return False
    gates = [i for i, s in enumerate(rollout.steps) if isinstance(s, Gate) and s.name == gate]
    return rollout.has_grant(gate) or any(rollout.done > index for index in gates)


def _must_be_said_then(asked_s: float | None) -> None:
    from orchestrator.doors.cli.answer import refused

    if asked_s is not None:
        raise refused("The cutover was granted before; how long to hold was said then.")


def _must_stand_open(rollout: Rollout, gate: str, verb: str) -> None:
    from orchestrator.config.mistakes import choice
    from orchestrator.core.steps import Gate
    from orchestrator.doors.cli.answer import refused

    gates = tuple(step.name for step in rollout.steps if isinstance(step, Gate))
    if gate not in gates:
        there = f"there is {choice(gates)}" if gates else "it has none"
        raise refused(f"Rollout {rollout.id} has no gate {gate!r}: {there}.")
    if rollout.gate is not None and rollout.gate.name == gate:
        return
    if rollout.stuck:
        why = "it is stuck"
    elif rollout.backing_out:
        why = "it is going back"
    elif rollout.gate is not None:
        why = f"it waits at {rollout.gate.name!r}"
    elif _passed(rollout, gate):
        why = f"{gate!r} was granted before"
    else:
        why = f"it has not come to {gate!r} yet"
    raise refused(
        f"There is nothing to {verb}: rollout {rollout.id} is open, but {why}.",
        outcome=f"nothing-to-{verb}",
    )
