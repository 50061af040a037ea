"""`resume`, `pause`, `abandon`: what a person says to an open rollout as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestrator.core.record import What
    from orchestrator.core.rollout import Rollout
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.visit import Visit

Why = Annotated[str, typer.Option(metavar="TEXT", help="Why; it is recorded.")]


def resume(
    ctx: typer.Context,
    forward: Annotated[
        bool, typer.Option("--forward", help="Turn forward again a rollout that goes back.")
    ] = False,
    why: Why = "",
) -> None:
    """Go on with an open rollout that was interrupted, paused, or is stuck.

    It goes on with the site as it was read when it was opened; what the file says otherwise by now
    is named.
    """
    from orchestrator.doors.cli.visit import run

    run(ctx, lambda visit: _resumed(visit, why, forward=forward), needs_file=False)


def pause(ctx: typer.Context, why: Why = "") -> None:
    """Stand still after the step at hand, until `bgctl resume`."""
    from orchestrator.doors.cli.visit import run

    run(ctx, lambda visit: _paused(visit, why), needs_file=False)


def abandon(ctx: typer.Context, why: Why = "") -> None:
    """Close the open rollout and leave everything as it stands, whoever serves now."""
    from orchestrator.doors.cli.visit import run

    run(ctx, lambda visit: _abandoned(visit, why), needs_file=False)


async def _resumed(visit: Visit, why: str, *, forward: bool) -> Answer:
    from orchestrator.core.record import Asked, Outcome
    from orchestrator.doors.cli import drive
    from orchestrator.doors.cli.answer import Answer, refused
    from orchestrator.doors.cli.endings import ended
    from orchestrator.doors.cli.exits import Exit

    rollout = visit.chronicle.open
    if rollout is None:
        return Answer(Exit.DONE, "nothing-to-do", text="Nothing to resume: no rollout is open.")
    name_differences(visit, rollout)
    what = _what_resumes(visit, rollout, forward=forward)
    asked = await drive.ask(visit, Asked(rollout.id, what, visit.by, why)) if what else None
    standing = await drive.carry_on(visit, rollout.id, doing=f"resuming rollout {rollout.id}")
    goes_back = rollout.backing_out and not forward
    wanted = Outcome.BACKED_OUT if goes_back else Outcome.ROLLED_OUT
    answer = await ended(visit, standing, rollout.id, wanted=wanted)
    reason = await drive.answer_to(visit, asked) if asked else ""
    if reason and answer.exit is not Exit.DONE:  # somebody may have asked for the same before
        raise refused(f"It was not done: {reason}.")
    return answer


def _what_resumes(visit: Visit, rollout: Rollout, *, forward: bool) -> What | None:
    """What has to be asked for; None where it was only interrupted."""
    from orchestrator.core.decide import For, Wait, decide
    from orchestrator.core.record import What

    if forward:
        return What.FORWARD
    move = decide(rollout, visit.world.clock.now())
    if isinstance(move, Wait) and move.what is For.PAUSED:
        return What.GO_ON
    if isinstance(move, Wait) and move.what is For.PERSON:
        return What.RETRY
    return None


def name_differences(visit: Visit, rollout: Rollout) -> None:
    """Say what the site file says otherwise by now; the rollout goes on with what it said then."""
    from orchestrator.config.differences import differences

    for sentence in differences(rollout.site, visit.next_site):
        visit.say(f"bg.yaml has changed: {sentence}.")


async def _paused(visit: Visit, why: str) -> Answer:
    from orchestrator.core.record import Asked, What
    from orchestrator.doors.cli import drive
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit

    rollout = _open(visit, "pause")
    if not rollout.paused:
        await drive.ask(visit, Asked(rollout.id, What.PAUSE, visit.by, why))
    text = f"Rollout {rollout.id} stands still after the step at hand."
    return Answer(
        Exit.DONE,
        "paused",
        text=text,
        rollout=rollout.id,
        records=await visit.records(),
    )


async def _abandoned(visit: Visit, why: str) -> Answer:
    from orchestrator.core.record import Asked, Outcome, What
    from orchestrator.doors.cli import drive
    from orchestrator.doors.cli.answer import refused
    from orchestrator.doors.cli.endings import ended
    from orchestrator.doors.cli.exits import Exit

    rollout = _open(visit, "abandon")
    if not why and (split := await _may_be_split(visit, rollout)):
        raise refused(
            f"{split}. Leaving it so needs a reason.",
            ("bgctl abandon --why TEXT", "leave it so"),
            ("bgctl backout", "go back instead"),
            code=Exit.FORBIDDEN,
            outcome="needs-why",
        )
    asked = await drive.ask(visit, Asked(rollout.id, What.ABANDON, visit.by, why))
    standing = await drive.carry_on(visit, rollout.id, doing=f"abandoning rollout {rollout.id}")
    if reason := await drive.answer_to(visit, asked):
        raise refused(f"It was not done: {reason}.")
    return await ended(visit, standing, rollout.id, wanted=Outcome.ABANDONED)


async def _may_be_split(visit: Visit, rollout: Rollout) -> str:
    """Why traffic may go to both colors, or to nobody knows which; empty where it does not."""
    from orchestrator.core.steps import Shift
    from orchestrator.engine.world import survey

    if not rollout.shifted:
        return ""
    sighting = await survey(visit.world, None)
    if sighting.unreached or not sighting.switch.up:
        return "Nobody can say where the traffic goes now"
    flips = [f for step in rollout.steps if isinstance(step, Shift) for f in step.flips]
    split = [f.service for f in flips if sighting.share(f.service).split]
    if split:
        return f"The traffic of {', '.join(split)} goes to both colors"
    if len({sighting.share(f.service) == f.after for f in flips}) > 1:
        return "Some services were switched, and others were not"
    return ""


def _open(visit: Visit, verb: str) -> Rollout:
    from orchestrator.doors.cli.answer import refused

    if visit.chronicle.open is None:
        raise refused(
            f"There is nothing to {verb}: no rollout is open.",
            ("bgctl history", "what was done so far"),
            outcome=f"nothing-to-{verb}",
        )
    return visit.chronicle.open
