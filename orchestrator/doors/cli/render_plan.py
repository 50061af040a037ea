"""The plan as a picture: the steps numbered, the way back drawn beside them, and where it ends.

The way back is a line that goes up on the right; beside it stands what taking a step back does. The
instant way back to an older release, and the point of no return, are ruled across.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.core.model import Otherwise, Policy
from orchestrator.core.narrate import wish_in_words
from orchestrator.core.plan import Plan, Unplannable
from orchestrator.core.prove import Broken, Proof
from orchestrator.core.record import Opened, Served
from orchestrator.core.step_words import sentence_of, undo_of
from orchestrator.core.steps import Gate, Part, Retire, Shift, Soak, Step
from orchestrator.core.words import counted, joined, releases_of, sentence, share_of, span
from orchestrator.doors.cli.paper import Ink, Paper, harmless

if TYPE_CHECKING:
    from orchestrator.engine.opening import Considered

SIDE = 26  # characters for what is said beside the way back
NARROW = 64  # below that, what is said of the way back stands under each step


def plan(considered: Considered, paper: Paper) -> str:
    """What would be done, or that there is nothing to do, or why it cannot be planned."""
    planned = considered.plan
    if isinstance(planned, Unplannable):
        return _said(paper, f"No plan: {sentence(planned.reason)}", planned.advice)
    if considered.opened is None:
        return "Nothing to do: it is as wished already."
    opened = considered.opened
    lines = [
        *_heading(opened, paper),
        "",
        *_steps(planned, opened, paper),
        *_afterwards(planned, opened, paper),
        *_remarks(planned, paper),
        *_proof(considered.proof, paper),
    ]
    return "\n".join(lines)


def _said(paper: Paper, *paragraphs: str) -> str:
    return "\n".join(line for text in paragraphs for line in paper.wrapped(text))


def _heading(opened: Opened, paper: Paper) -> list[str]:
    what = wish_in_words(opened.wish)
    title = harmless(f"{opened.site.name}, rollout {opened.rollout}: {what}")
    return [
        paper.ink(Ink.STRONG, line)
        for line in paper.wrapped(f"{title} ({counted(len(opened.plan), 'step')})")
    ]


# -- The steps, and the way back beside them -----------------------------------------------


def _steps(planned: Plan, opened: Opened, paper: Paper) -> list[str]:
    lines = [_row("", f"▲ {_now(opened.before)}", paper)] if paper.width >= NARROW else []
    no_return, ends = planned.no_return, planned.reuses_standby
    for index, step in enumerate(planned.steps):
        if index == no_return:
            lines.append(paper.ink(Ink.BAD, paper.rule("POINT OF NO RETURN", "═")))
        if index == ends and isinstance(step, Retire) and opened.wish.wanted:
            mark = f"the instant way back to {_standby(step.parts)} ends here"
            lines.append(paper.ink(Ink.CARE, paper.rule(mark, "╌")))
        open_still = no_return is None or index < no_return
        lines += _step(index, step, opened.policy, open_still, paper)
    if no_return is None:
        lines.append(paper.rule("no point of no return"))
    return lines


def _step(index: int, step: Step, policy: Policy, open_still: bool, paper: Paper) -> list[str]:
    said = f"{index + 1:>2}  {sentence_of(step)}{_careful(step, policy)}"
    undo = undo_of(step) if open_still else ""
    if paper.width < NARROW:
        return [
            *paper.wrapped(said, first="", later="    "),
            *(paper.wrapped(f"↑ {undo}", first="    ", later="      ") if undo else ()),
        ]
    room = paper.width - SIDE - 3
    left = replace(paper, width=room).wrapped(said, later="    ")
    right = replace(paper, width=SIDE - 2).wrapped(undo) if undo else []
    rows = max(len(left), len(right))
    left, right = left + [""] * (rows - len(left)), right + [""] * (rows - len(right))
    line = "│" if open_still else " "
    return [_row(said, f"{line} {beside}", paper) for said, beside in zip(left, right, strict=True)]


def _row(left: str, right: str, paper: Paper) -> str:
    room = paper.width - SIDE - 2
    return f"{left.ljust(room)}{paper.ink(Ink.FAINT, right.rstrip())}".rstrip()


def _careful(step: Step, policy: Policy) -> str:
    """What the policy says about it."""
    if isinstance(step, Soak):
        return f" for {span(policy.soak_s)}"
    if isinstance(step, Gate) and policy.cutover:
        gate = policy.cutover
        otherwise = "else back" if gate.otherwise is Otherwise.BACK_OUT else "else stay"
        owner = f"{gate.owner}, " if gate.owner else ""
        return f" ({owner}within {span(gate.timeout_s)}, {otherwise})"
    return ""


def _now(before: tuple[Served, ...]) -> str:
    """Where the way back leads."""
    colors = joined(dict.fromkeys(share_of(s.share) for s in before if s.release is not None))
    return f"{colors} serves, as now" if colors else "nothing serves, as now"


def _standby(parts: tuple[Part, ...]) -> str:
    return releases_of(parts)


# -- What else there is to know ------------------------------------------------------------


def _afterwards(planned: Plan, opened: Opened, paper: Paper) -> list[str]:
    backs = tuple(
        f.back for s in planned.steps if isinstance(s, Shift) for f in s.flips if f.back is not None
    )
    if not backs:
        return []
    keep_s = opened.policy.standby_s
    how_long = "until the next deploy needs its place" if keep_s is None else f"for {span(keep_s)}"
    colors = joined(part.color.value for part in backs)
    said = f"Afterwards {colors} ({releases_of(backs)}) stands by {how_long}: an instant way back."
    return ["", *paper.wrapped(said)]


def _remarks(planned: Plan, paper: Paper) -> list[str]:
    ends = planned.reuses_standby is not None
    told = [r for r in planned.remarks if not (ends and "the instant way back to it ends" in r)]
    if not told:
        return []
    return ["", *(line for r in told for line in paper.wrapped(r, first="Note: ", later="      "))]


def _proof(proof: Proof | Broken | None, paper: Paper) -> list[str]:
    match proof:
        case Proof(steps, states, stuck, _):
            said = (
                f"Proven: {counted(steps, 'step')}, {states:,} states: every one reaches an ending"
            )
            said += f" ({stuck:,}, each behind a failure, with a person's help)" if stuck else ""
            return ["", *paper.wrapped(said + ".")]
        case Broken(promise, story):
            told = [line for event in story for line in paper.wrapped(event, first="  · ")]
            head = paper.wrapped(f"This plan breaks a promise, so it is not opened: {promise}.")
            return [
                "",
                *(paper.ink(Ink.BAD, line) for line in head),
                "How it comes to that:",
                *told,
            ]
        case _:
            return []
