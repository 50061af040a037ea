"""Where a drive ended, as an answer: the exit code, the word, and a sentence for people.

The one rule: the code says how the wish of *this* command fared. Going back is a success for
`backout` and a failure for `deploy`.
"""

from __future__ import annotations

from typing import assert_never

from orchestrator.core.chronicle import Past
from orchestrator.core.decide import For, why_gave_up
from orchestrator.core.record import Kind, Outcome
from orchestrator.core.rollout import Rollout
from orchestrator.core.words import sentence
from orchestrator.doors.cli.answer import Answer
from orchestrator.doors.cli.exits import Exit
from orchestrator.doors.cli.paper import capital
from orchestrator.doors.cli.visit import Visit
from orchestrator.doors.cli.wishes import spoken
from orchestrator.engine.advance import Standing


async def ended(
    visit: Visit, standing: Standing, rollout: int, *, wanted: Outcome = Outcome.ROLLED_OUT
) -> Answer:
    """The answer of a verb that wanted this rollout to end so."""
    from dataclasses import replace

    is_open = standing.chronicle.open
    if is_open is not None and is_open.id == rollout:
        answer = _waiting(standing, is_open)
    else:
        past = next((p for p in standing.chronicle.past if p.id == rollout), None)
        answer = _closed(past, rollout, wanted)
        if past is not None and past.kind is not Kind.RETIRE:
            answer = _with_remarks(answer, visit)
    return replace(answer, rollout=rollout, records=await visit.records())


# -- Closed --------------------------------------------------------------------------------


def _closed(past: Past | None, rollout: int, wanted: Outcome) -> Answer:
    if past is None:
        return Answer(Exit.SOMEBODY_ELSE, "closed", problem=f"Rollout {rollout} closed long ago.")
    said = "\n".join(sentence(capital(remark)) for remark in past.remarks)
    if past.outcome is wanted:
        return Answer(Exit.DONE, past.outcome.value, text=said)
    why = f": {past.reason}" if past.reason else ""
    match past.outcome:
        case Outcome.ROLLED_OUT:
            problem = f"Rollout {rollout} was rolled out."
            return Answer(Exit.DONE, past.outcome.value, text=said, problem=problem)
        case Outcome.BACKED_OUT:
            problem = f"Rollout {rollout} went back, and everything is as it was before{why}."
            if said:
                lost = sentence("; ".join(past.remarks))
                problem = f"Rollout {rollout} went back{why}.\nNot as it was before: {lost}"
            return Answer(Exit.WENT_BACK, past.outcome.value, problem=problem)
        case Outcome.REPLACED:
            problem = f"Rollout {rollout} went back to make room for another wish{why}."
            return Answer(Exit.SOMEBODY_ELSE, past.outcome.value, text=said, problem=problem)
        case Outcome.ABANDONED:
            problem = f"Rollout {rollout} was abandoned: everything stands as it stood."
            return Answer(Exit.STUCK, past.outcome.value, text=said, problem=problem)
        case _:
            assert_never(past.outcome)


def _with_remarks(answer: Answer, visit: Visit) -> Answer:
    """With what the switch cannot promise, as counted up to now."""
    from dataclasses import replace

    remarks = (sentence(capital(remark)) for remark in visit.world.switch.remarks())
    return replace(answer, text="\n".join(line for line in (answer.text, *remarks) if line))


# -- Open ----------------------------------------------------------------------------------


def _waiting(standing: Standing, rollout: Rollout) -> Answer:
    if standing.stopped or standing.wait is None:
        way = "back" if rollout.backing_out else "forward"
        return Answer(
            Exit.INTERRUPTED,
            "interrupted",
            problem=f"Rollout {rollout.id} was interrupted on its way {way}; it stays open.",
        )
    match standing.wait.what:
        case For.GRANT:
            return _at_gate(rollout)
        case For.PAUSED:
            text = f"Rollout {rollout.id} is paused: it stands still until `bgctl resume`."
            return Answer(Exit.DONE, "paused", text=text)
        case For.PERSON:
            return _needs_person(rollout)
        case For.RETRY:
            text = f"Rollout {rollout.id} tries again in a moment."
            return Answer(Exit.TIMED_OUT, "retrying", text=text)
        case _:
            assert_never(standing.wait.what)


def _at_gate(rollout: Rollout) -> Answer:
    assert rollout.gate is not None
    several = len(rollout.wish.wanted) > 1
    runs = "run, are proven, and wait" if several else "runs, is proven, and waits"
    owner = rollout.policy.cutover.owner if rollout.policy.cutover else None
    waits = f" for {owner}" if owner else ""
    text = f"{spoken(rollout.wish)} {runs}{waits} at the gate {rollout.gate.name!r}."
    return Answer(Exit.DONE, "at-the-gate", text=text)


def _needs_person(rollout: Rollout) -> Answer:
    if rollout.gate is not None and not rollout.stuck:
        problem = f"Nobody granted {rollout.gate.name!r} in time. It still waits."
        return Answer(Exit.TIMED_OUT, "gate-timed-out", problem=problem)
    problem = f"Rollout {rollout.id} is stuck: {why_gave_up(rollout)}."
    return Answer(Exit.STUCK, "stuck", problem=problem)
