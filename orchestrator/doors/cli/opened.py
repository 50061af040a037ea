"""What came of opening a rollout, as an answer: nothing to do, no plan, a broken promise, or where
the drive ended.
"""

from __future__ import annotations

from orchestrator.core.plan import Unplannable
from orchestrator.core.prove import Broken
from orchestrator.core.record import Outcome
from orchestrator.core.rollout import Rollout
from orchestrator.doors.cli import drive
from orchestrator.doors.cli.answer import Answer, Done, refused
from orchestrator.doors.cli.endings import ended
from orchestrator.doors.cli.exits import Exit
from orchestrator.doors.cli.visit import Visit
from orchestrator.engine.advance import Standing
from orchestrator.engine.opening import Considered


async def answer_for(
    visit: Visit, opened: tuple[Considered, Standing | None] | drive.Other
) -> Answer:
    if isinstance(opened, drive.Other):
        raise await stays(visit, opened.rollout)
    considered, standing = opened
    if standing is None or considered.opened is None:
        return not_opened(considered)
    return await ended(visit, standing, considered.opened.rollout, wanted=Outcome.ROLLED_OUT)


def not_opened(considered: Considered) -> Answer:
    """Why a plan was not opened. Nothing was touched."""
    planned, proof = considered.plan, considered.proof
    if isinstance(planned, Unplannable):
        return Answer(Exit.FORBIDDEN, "no-plan", problem=f"{planned.reason}\n{planned.advice}")
    if isinstance(proof, Broken):
        story = "\n".join(f"  {number}. {line}" for number, line in enumerate(proof.story, 1))
        problem = f"This plan could break a promise: {proof.promise}. It was not opened.\n{story}"
        return Answer(Exit.FORBIDDEN, "broken-promise", problem=problem)
    return Answer(Exit.DONE, "nothing-to-do", text="Nothing to do: it is so already.")


async def stays(visit: Visit, rollout: Rollout, why: str = "") -> Done:
    """Another rollout is open and stays. Who opened it, when, and whether somebody drives it."""
    from orchestrator.doors.cli.wishes import spoken

    holder = await visit.world.lease.holder()
    drives = f"{holder.by} drives it" if holder and holder.alive else "nobody drives it now"
    since = _clock(rollout.opened_s)
    problem = (
        f"Rollout {rollout.id} is open: {rollout.wish.kind.value} of {spoken(rollout.wish)},"
        f" by {rollout.by}, since {since}; {drives}. It stays{f': {why}' if why else ''}."
    )
    return refused(
        problem,
        code=Exit.SOMEBODY_ELSE,
        outcome="another-is-open",
    )


def _clock(at_s: float) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(at_s, UTC).astimezone():%Y-%m-%d %H:%M:%S}"
