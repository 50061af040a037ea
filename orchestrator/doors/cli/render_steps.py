"""The steps of an open rollout as a list with a cursor. The list stands still; the cursor moves.

Each line says what is true of its step: done, at hand, to come, or, on the way back, taken back.
The mark in front says the same in one character, so the list is read from the left edge alone.
"""

from __future__ import annotations

from orchestrator.core.rollout import Rollout
from orchestrator.core.step_words import doing, done, sentence_of, taking_back
from orchestrator.core.steps import Gate, Soak, Step
from orchestrator.core.words import span
from orchestrator.doors.cli.paper import Ink, Paper, harmless

DONE, AT_HAND, GOING_BACK, FAILED, TO_COME, GONE = "✓", "▸", "◂", "✗", " ", "·"
INKS = {DONE: Ink.GOOD, AT_HAND: Ink.STRONG, GOING_BACK: Ink.CARE, FAILED: Ink.BAD}


def step_state(rollout: Rollout, index: int) -> str:
    """One word for programs: `done`, `at hand`, `to come`, `going back`, `failed`, `gone`."""
    words = {
        DONE: "done",
        AT_HAND: "at-hand",
        GOING_BACK: "going-back",
        FAILED: "failed",
        TO_COME: "to-come",
        GONE: "gone",
    }
    return words[mark_of(rollout, index)]


def mark_of(rollout: Rollout, index: int) -> str:
    if rollout.backing_out:
        return _mark_back(rollout, index)
    if index < rollout.done:
        return DONE
    if index == rollout.done and rollout.outcome is None:
        failed = rollout.failed is not None and rollout.failures and rollout.begun is None
        return FAILED if failed else AT_HAND
    return TO_COME


def _mark_back(rollout: Rollout, index: int) -> str:
    if index == rollout.touched - 1 and rollout.outcome is None:
        return FAILED if rollout.stuck else GOING_BACK
    return DONE if index < rollout.touched else GONE


def cursor(rollout: Rollout) -> int:
    """The index of the step at hand; beyond either end where there is none."""
    return rollout.touched - 1 if rollout.backing_out else rollout.done


def step_lines(rollout: Rollout, paper: Paper, *, note: str = "") -> list[str]:
    """A line (or more, wrapped) for each step; `note` is added to the one at hand."""
    lines = []
    for index, step in enumerate(rollout.steps):
        mark = mark_of(rollout, index)
        at_hand = index == cursor(rollout) and rollout.outcome is None
        said = _said(rollout, step, mark, at_hand)
        if note and at_hand:
            said += f" · {note}"
        lines += _line(mark, index, said, paper)
    return lines


def _line(mark: str, index: int, said: str, paper: Paper) -> list[str]:
    wrapped = paper.wrapped(harmless(said), first=f" {mark} {index + 1:>2}  ")
    if mark in (TO_COME, GONE):
        return [paper.ink(Ink.FAINT, line) for line in wrapped] if mark == GONE else wrapped
    first = wrapped[0]
    rest = wrapped[1:]
    if mark in (AT_HAND, GOING_BACK):
        return [paper.ink(INKS[mark], line) for line in wrapped]
    return [first[:1] + paper.ink(INKS[mark], first[1:2]) + first[2:], *rest]


def _said(rollout: Rollout, step: Step, mark: str, at_hand: bool) -> str:
    if mark == DONE:
        return done(step)
    if mark == AT_HAND:
        return doing(step)
    if at_hand and rollout.backing_out:
        return taking_back(step)
    return sentence_of(step) + about(rollout, step)


def about(rollout: Rollout, step: Step) -> str:
    """What the policy says about a step, in brackets."""
    policy = rollout.policy
    if isinstance(step, Soak):
        return f" for {span(policy.soak_s)}"
    if isinstance(step, Gate) and policy.cutover and policy.cutover.owner:
        return f" (owner: {policy.cutover.owner})"
    return ""
