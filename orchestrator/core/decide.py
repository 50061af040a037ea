"""The one thing to do next.

`decide` reads a rollout and the clock and names a move. It does nothing itself, and it never
looks at the world: what the world said is in the rollout, because it was written down. Whoever
asks twice gets the same answer twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from orchestrator.core.model import Meanwhile, Otherwise
from orchestrator.core.record import Asked, Entry, Granted, Outcome, Trouble, Way, What
from orchestrator.core.rollout import FALLS_MAX, Rollout, why_no_grant, why_not_without
from orchestrator.core.steps import Gate, title


class For(Enum):
    """What a rollout waits for."""

    GRANT = "grant"
    RETRY = "retry"
    PAUSED = "paused"
    PERSON = "person"  # stuck


@dataclass(frozen=True, slots=True)
class Do:
    step: int


@dataclass(frozen=True, slots=True)
class Undo:
    step: int


@dataclass(frozen=True, slots=True)
class Wait:
    what: For
    until_s: float | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    way: Way
    reason: str
    request: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    request: int
    reason: str


@dataclass(frozen=True, slots=True)
class Close:
    outcome: Outcome
    request: int | None = None


Move = Do | Undo | Wait | Turn | Answer | Close


def decide(rollout: Rollout, now: float) -> Move | None:
    """The next move; None where the rollout has closed."""
    if rollout.outcome is not None:
        return None
    if rollout.asked:
        return _respond(rollout, rollout.asked[0])
    if rollout.paused:
        return Wait(For.PAUSED)
    if rollout.stuck:
        return Wait(For.PERSON)
    if rollout.gave_up:
        return Turn(Way.BACK, why_gave_up(rollout))
    if rollout.failures and now < (until := rollout.failed_s + pause_s(rollout.failures)):
        return Wait(For.RETRY, until)
    if rollout.backing_out:
        return Undo(rollout.touched - 1) if rollout.touched else Close(_back(rollout))
    if rollout.done == len(rollout.steps):
        return Close(Outcome.ROLLED_OUT)
    if gate := rollout.gate:
        return _at_gate(rollout, gate, now)
    return Do(rollout.done)


def pause_s(failures: int) -> float:
    """How long to let the world settle after so many failures of a step, in seconds."""
    return float(min(0.25 * 4.0 ** (failures - 1), 15.0))


def why_gave_up(rollout: Rollout) -> str:
    reason = rollout.failed.reason if rollout.failed else "unknown"
    step = title(rollout.steps[rollout.failed.step]) if rollout.failed else "a step"
    if rollout.falls > FALLS_MAX:
        return f"{step} did not last: {reason}"
    if rollout.failed and rollout.failed.kind is Trouble.ILL:
        return reason
    if rollout.hopeless:
        return f"{step} was refused: {reason}"
    times = "" if rollout.failures == 1 else f" {rollout.failures} times"
    return f"{step} failed{times}: {reason}"


def why_no_return(rollout: Rollout) -> str:
    """Why nothing turns it back any more."""
    step = rollout.no_return
    what = f": {title(step)} was begun, and nothing takes it back" if step else ""
    return f"it is past the point of no return{what}"


def _back(rollout: Rollout) -> Outcome:
    return Outcome.REPLACED if rollout.replaced else Outcome.BACKED_OUT


def _at_gate(rollout: Rollout, gate: Gate, now: float) -> Move:
    if rollout.has_grant(gate.name):
        return Do(rollout.done)
    if rollout.until_s is None or now <= rollout.until_s:
        return Wait(For.GRANT, rollout.until_s)
    policy = rollout.policy.cutover
    if rollout.turns_by_itself and (policy is None or policy.otherwise is Otherwise.BACK_OUT):
        return Turn(Way.BACK, f"nobody granted {gate.name} in time")
    return Wait(For.PERSON)


def _respond(rollout: Rollout, entry: Entry) -> Move:
    """Each request leads to a record: what was asked for, or an answer that says why not."""
    request = entry.record
    if isinstance(request, Granted):
        why = why_no_grant(rollout, request, entry.at_s) or "it was given before"
        return Answer(entry.number, f"this grant does not count: {why}")
    assert isinstance(request, Asked)
    who = f"{request.by} asked to" + (f": {request.why}" if request.why else "")
    match request.what:
        case What.BACK if rollout.may_turn_back:
            return Turn(Way.BACK, who, entry.number)
        case What.BACK if rollout.backing_out:
            return Answer(entry.number, "it is going back already")
        case What.BACK:
            return Answer(entry.number, why_no_return(rollout))
        case What.FORWARD if rollout.backing_out and not rollout.replaced:
            return Turn(Way.FORWARD, who, entry.number)
        case What.FORWARD:
            return Answer(entry.number, "it is not going back, or another wish takes its place")
        case What.DENY if (gate := rollout.gate) and gate.name == request.target:
            if not rollout.may_turn_back:
                return Answer(entry.number, why_no_return(rollout))
            return Turn(Way.BACK, f"{request.by} denied {gate.name}: {request.why}", entry.number)
        case What.DENY:
            return Answer(entry.number, f"no gate {request.target!r} stands open")
        case What.ABANDON:
            return Close(Outcome.ABANDONED, entry.number)
        case What.RETRY:
            return Answer(entry.number, "it is not stuck: there is nothing to retry")
        case What.GO_ON:
            return Answer(entry.number, "it is not paused")
        case What.WISH:
            return _another_wish(rollout, entry, request)
        case What.WITHOUT:
            return Answer(entry.number, why_not_without(rollout, request.target))
        case _:
            return Answer(
                entry.number, f"{request.what.value} has to wait until this rollout has closed"
            )


def _another_wish(rollout: Rollout, entry: Entry, request: Asked) -> Move:
    if rollout.policy.meanwhile is Meanwhile.REPLACE and rollout.may_turn_back:
        return Turn(Way.BACK, f"{request.by} wants something else", entry.number)
    if rollout.policy.meanwhile is Meanwhile.REPLACE and rollout.backing_out:
        return Answer(entry.number, "it is going back already; ask again once it has closed")
    return Answer(
        entry.number, f"rollout {rollout.id} is open, and the site says `meanwhile: refuse`"
    )
