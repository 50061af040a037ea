"""What came of opening a rollout, as an answer: nothing to do, no plan, a broken promise, or where
the drive ended.
"""

from __future__ import annotations

from orchestrator.core.chronicle import Chronicle
from orchestrator.core.drift import Drift, drift
from orchestrator.core.plan import Unplannable
from orchestrator.core.prove import Broken
from orchestrator.core.record import Kind, Outcome, Wish
from orchestrator.core.rollout import Rollout
from orchestrator.core.words import sentence
from orchestrator.doors.cli import drive
from orchestrator.doors.cli.answer import Answer, Done, refused
from orchestrator.doors.cli.endings import ended
from orchestrator.doors.cli.exits import Exit
from orchestrator.doors.cli.paper import briefly
from orchestrator.doors.cli.visit import Visit
from orchestrator.engine.advance import Standing
from orchestrator.engine.opening import Considered


async def answer_for(
    visit: Visit, opened: tuple[Considered, Standing | None] | drive.Other, wish: Wish
) -> Answer:
    if isinstance(opened, drive.Other):
        raise await stays(visit, opened.rollout)
    considered, standing = opened
    if standing is None or considered.opened is None:
        return not_opened(considered, visit.chronicle, wish)
    return await ended(visit, standing, considered.opened.rollout, wanted=Outcome.ROLLED_OUT)


def not_opened(considered: Considered, chronicle: Chronicle, wish: Wish) -> Answer:
    """Why a plan was not opened. Nothing was touched."""
    planned, proof = considered.plan, considered.proof
    if isinstance(planned, Unplannable):
        return Answer(Exit.FORBIDDEN, "no-plan", problem=f"{planned.reason}\n{planned.advice}")
    if isinstance(proof, Broken):
        story = "\n".join(f"  {number}. {line}" for number, line in enumerate(proof.story, 1))
        problem = f"This plan could break a promise: {proof.promise}. It was not opened.\n{story}"
        return Answer(Exit.FORBIDDEN, "broken-promise", problem=problem)
    return _nothing_to_do(drift(chronicle, considered.sighting), wish)


def _nothing_to_do(drifts: tuple[Drift, ...], wish: Wish) -> Answer:
    """No steps; that is not to say that all is as it should be."""
    if wish.kind is Kind.MEND and drifts:
        text = "What is left is not put back by itself: a backout starts a standby again."
        next_ = (("bgctl reconcile --accept", "leave it as it is"),)
        return Answer(Exit.DONE, "nothing-to-do", text=text, next=next_)
    names = {wanted.service for wanted in wish.wanted}
    of_ours = [d for d in drifts if can_be_put_back(d) and d.service in ("", *names)]
    if of_ours and wish.kind is not Kind.RETIRE:
        problem = "\n".join(sentence(briefly(d.what)) for d in of_ours)
        return Answer(
            Exit.FORBIDDEN,
            "drift",
            problem=f"It should be so already, but something was changed:\n{problem}",
            next=(
                ("bgctl reconcile", "put back what was changed"),
                ("bgctl deploy --again WISH", "bring the same release up anew, on the other color"),
            ),
        )
    return Answer(Exit.DONE, "nothing-to-do", text="Nothing to do: it is so already.")


def can_be_put_back(drift: Drift) -> bool:
    """Whether it can be put back unasked; a standby is started by a backout only, and who shut a
    host out may have meant it.
    """
    return drift.of_what_serves or bool(drift.files or drift.out)


async def stays(visit: Visit, rollout: Rollout, why: str = "") -> Done:
    """Another rollout is open and stays. Who opened it, when, and whether somebody drives it."""
    from orchestrator.doors.cli.wishes import spoken

    holder = await visit.world.lease.holder()
    drives = f"{holder.by} drives it" if holder and holder.alive else "nobody drives it now"
    if holder and holder.alive and visit.world.clock.now() > holder.until_s:
        drives = f"{holder.by} drove it, and nothing was heard of it since its term ran out"
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
