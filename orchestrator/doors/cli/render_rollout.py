"""The open rollout: what is wanted and by whom, the steps, what it waits for, and who drives.

A rollout that is stuck says four things: what happened, who serves as last seen, what could not be
done, and what may be asked for.
"""

from __future__ import annotations

from orchestrator.core.decide import For, Wait
from orchestrator.core.model import Otherwise
from orchestrator.core.narrate import wish_in_words
from orchestrator.core.rollout import Rollout
from orchestrator.core.step_words import doing, taking_back
from orchestrator.core.words import counted, sentence, span
from orchestrator.doors.cli.paper import Ink, Paper, harmless
from orchestrator.doors.cli.picture import Picture, waits_for, who_serves_in_words
from orchestrator.doors.cli.render_steps import step_lines

NOBODY_TENDS = (
    "Nobody tends: a time that is over takes effect at the next command, or with `bgctl tend`."
)


def rollout_lines(picture: Picture, paper: Paper, *, dense: bool = False) -> list[str]:
    """Empty where none is open. `dense`: without advice."""
    rollout = picture.chronicle.open
    if rollout is None:
        return []
    return [
        *rollout_heading(rollout, picture.now, paper),
        *step_lines(rollout, paper, note=since(rollout, picture.now)),
        "",
        *_state(rollout, picture, paper),
        *_driver(picture, paper, dense),
    ]


def rollout_heading(rollout: Rollout, now: float, paper: Paper) -> list[str]:
    what = f"Rollout {rollout.id}: {wish_in_words(rollout.wish)}"
    passed_s = int(max(now - rollout.opened_s, 0))
    by = f"by {rollout.by}, {f'{span(passed_s)} ago' if passed_s else 'just now'}"
    lines = paper.wrapped(what if rollout.outcome else f"{what} ({by})")
    if rollout.backing_out and not rollout.outcome:
        why = f"going back: {rollout.turned}"
        lines += [paper.ink(Ink.CARE, line) for line in paper.wrapped(sentence(why))]
    return [paper.ink(Ink.STRONG, lines[0]), *lines[1:]]


def since(rollout: Rollout, now: float) -> str:
    """How long the step at hand takes already; empty where it has not begun."""
    if rollout.begun is None or now - rollout.since_s < 1:
        return ""
    return span(int(now - rollout.since_s))


def _state(rollout: Rollout, picture: Picture, paper: Paper) -> list[str]:
    wait = waits_for(rollout, picture.now)
    match wait:
        case Wait(For.GRANT, until_s):
            return _gate(rollout, until_s, picture, paper)
        case Wait(For.PERSON):
            return _stuck(rollout, picture, paper)
        case Wait(For.PAUSED):
            return paper.wrapped("It is paused, and stands still until `bgctl resume`.")
        case Wait(For.RETRY, until_s) if until_s is not None:
            why = rollout.failed.reason if rollout.failed else "it did not work"
            tried = f"Tried {counted(rollout.failures, 'time')}"
            again = f"again in {span(until_s - picture.now)}"
            return paper.wrapped(sentence(f"{tried}, {again}: {why}"))
        case _ if rollout.failures and rollout.failed is not None:
            return paper.wrapped(sentence(f"The last try failed: {rollout.failed.reason}"))
        case _:
            return []


def _gate(rollout: Rollout, until_s: float | None, picture: Picture, paper: Paper) -> list[str]:
    gate = rollout.gate
    policy = rollout.policy.cutover
    name = gate.name if gate else "the gate"
    until = ""
    if until_s is not None:
        otherwise = "goes back" if not policy or policy.otherwise is Otherwise.BACK_OUT else "stays"
        clock = paper.clock(until_s, picture.now)
        left = span(until_s - picture.now)
        until = f" until {clock}, {left} from now; then it {otherwise}"
    owner = f" (owner: {policy.owner})" if policy and policy.owner else ""
    said = f"It waits for somebody to grant {name}{owner}{until}."
    return [paper.ink(Ink.STRONG, line) for line in paper.wrapped(said)]


def _stuck(rollout: Rollout, picture: Picture, paper: Paper) -> list[str]:
    failed = rollout.failed
    lines = [paper.ink(Ink.BAD, "STUCK: it needs a person.")]
    if failed is not None and failed.step < len(rollout.steps):
        step = rollout.steps[failed.step]
        act = taking_back(step) if failed.undoing else doing(step)
        tries = f", tried {counted(rollout.failures, 'time')}" if rollout.failures else ""
        lines += _told("could not be done", f"step {failed.step + 1}, {act}{tries}", paper)
        lines += _told("because", failed.reason, paper)
    elif rollout.gate is not None:
        lines += _told("because", f"nobody granted {rollout.gate.name} in time", paper)
    if rollout.backing_out and rollout.turned:
        lines += _told("it went back because", rollout.turned, paper)
    if not rollout.was_well and rollout.shifted:
        lines += _told("not turned back", "what served before was not well at the opening", paper)
    seen = f"at {paper.clock(picture.now)}"
    serving = who_serves_in_words(picture.chronicle, picture.sighting)
    return [*lines, *_told("who serves", f"{serving} ({seen})", paper)]


def _told(what: str, said: str, paper: Paper) -> list[str]:
    return paper.wrapped(harmless(said).rstrip("."), first=f"  {what}: ".ljust(24), later=" " * 24)


def _driver(picture: Picture, paper: Paper, dense: bool) -> list[str]:
    holder = picture.holder
    if holder is not None and holder.alive:
        pid = f", pid {holder.pid}" if holder.pid else ""
        if picture.overdue:
            silent = span(int(picture.now - holder.until_s + picture.site.policy.lease_s))
            return paper.wrapped(
                f"{holder.by} drives it{pid}: {holder.doing}. No sign of it for {silent}; the next"
                " command takes over."
            )
        clock = paper.clock(holder.since_s, picture.now)
        return paper.wrapped(f"{holder.by} drives it{pid}, since {clock}: {holder.doing}.")
    wait = waits_for(picture.chronicle.open, picture.now) if picture.chronicle.open else None
    if wait is None:
        return paper.wrapped("Nobody drives it: it was interrupted, and `bgctl resume` goes on.")
    if wait.until_s is None or dense:
        return []
    return paper.wrapped(NOBODY_TENDS)
