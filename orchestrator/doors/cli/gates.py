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

    run(ctx, lambda visit: _granted(visit, "cutover", why, hold=hold, no_hold=no_hold))


def grant(ctx: typer.Context, gate: GateName, why: Why = "") -> None:
    """Grant a gate of the open rollout, and drive on."""
    from orchestrator.doors.cli.visit import run

    run(ctx, lambda visit: _granted(visit, gate, why))


def deny(ctx: typer.Context, gate: GateName, why: Why = "") -> None:
    """Deny a gate: the rollout goes back, and everything is as it was."""
    from orchestrator.doors.cli.visit import run

    run(ctx, lambda visit: _denied(visit, gate, why))


async def _granted(
    visit: Visit, gate: str, why: str, *, hold: str | None = None, no_hold: bool = False
) -> Answer:
    from orchestrator.core.record import Granted

    rollout = _open(visit)
    asked_s = hold_s(rollout.policy, hold, no_hold)
    if _passed(rollout, gate):
        _must_be_said_then(asked_s)
        visit.say(f"{gate!r} was granted before; going on with rollout {rollout.id}.")
        return await _driven(visit, rollout, None)
    _must_stand_open(rollout, gate)
    granted = Granted(rollout.id, gate, rollout.attempt, visit.by, why, asked_s)
    return await _driven(visit, rollout, granted)


async def _denied(visit: Visit, gate: str, why: str) -> Answer:
    from orchestrator.core.record import Asked, What

    rollout = _open(visit)
    _must_stand_open(rollout, gate)
    asked = Asked(rollout.id, What.DENY, visit.by, why, target=gate)
    return await _driven(visit, rollout, asked, back=True)


async def _driven(
    visit: Visit, rollout: Rollout, request: Request | None, *, back: bool = False
) -> Answer:
    from orchestrator.core.record import Outcome
    from orchestrator.doors.cli import drive
    from orchestrator.doors.cli.answer import refused
    from orchestrator.doors.cli.endings import ended

    asked = await drive.ask(visit, request) if request else None
    standing = await drive.carry_on(visit, rollout.id, doing=f"switching rollout {rollout.id}")
    if asked and (reason := await drive.answer_to(visit, asked)):
        raise refused(f"It was not done: {reason}.")
    wanted = Outcome.BACKED_OUT if back else Outcome.ROLLED_OUT
    return await ended(visit, standing, rollout.id, wanted=wanted)


def _open(visit: Visit) -> Rollout:
    from orchestrator.doors.cli.answer import refused

    if visit.chronicle.open is None:
        raise refused(
            "There is nothing to switch: no rollout is open.",
            ("bgctl deploy WISH", "brings a release up"),
            ("bgctl history", "what was done so far"),
            outcome="nothing-to-switch",
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


def _must_stand_open(rollout: Rollout, gate: str) -> None:
    from orchestrator.doors.cli.answer import refused

    if rollout.gate is not None and rollout.gate.name == gate:
        return
    if rollout.stuck:
        why = "it is stuck"
    elif rollout.backing_out:
        why = "it is going back"
    elif rollout.gate is not None:
        why = f"it waits at {rollout.gate.name!r}"
    else:
        why = f"it has not come to a gate {gate!r}"
    raise refused(
        f"There is nothing to grant: rollout {rollout.id} is open, but {why}.",
        outcome="nothing-to-switch",
    )
