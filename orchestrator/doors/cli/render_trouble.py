"""A problem, in three parts: what happened, what is true now, what to do next."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.doors.cli.paper import Ink, Paper
from orchestrator.doors.cli.picture import NextStep


def trouble(
    what: str,
    *,
    now: str = "",
    next: Iterable[str] = (),  # noqa: A002 - the word people know from `-o json`
    paper: Paper,
) -> str:
    """Lines for stderr. `now`: what is true, usually the serving line; `next`: what to do."""
    lines = [line for part in what.splitlines() for line in paper.wrapped(part)]
    lines = [paper.ink(Ink.BAD, line) for line in lines]
    if now:
        lines += paper.wrapped(now, first="Now:  ")
    steps = [step for step in next if step.strip()]
    for index, step in enumerate(steps):
        lines += paper.wrapped(step, first="      " if index else "Next: ", later=" " * 8)
    return "\n".join(lines)


def next_lines(steps: tuple[NextStep, ...], paper: Paper) -> list[str]:
    """Commands and what they do, in two columns."""
    room = max((len(s.command) for s in steps), default=0)
    return [
        line
        for s in steps
        for line in paper.wrapped(
            s.does, first=f"  {s.command.ljust(room)}  ", later=" " * (room + 4)
        )
    ]
