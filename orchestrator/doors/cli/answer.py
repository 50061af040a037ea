"""What a verb has to say when it is done, and how it is said: text and the talk, or one JSON
object.

stdout is the answer, stderr the talk. The last line on stdout says who serves and the way back,
whatever happened before. The one rule: the same answer goes to people and to programs; nothing is
worked out here that one of them would not get.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.core.record import Entry, plain
from orchestrator.doors.cli.exits import Exit
from orchestrator.doors.cli.paper import Ink, Paper, paper_for
from orchestrator.doors.cli.picture import NextStep, Picture, next_steps, serving_line
from orchestrator.doors.cli.render_trouble import next_lines, trouble

Steps = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    exit: Exit
    outcome: str  # a word for programs: "rolled-out", "at-the-gate" …
    text: str = ""  # for people, on stdout
    problem: str = ""  # what went wrong, for people: on stderr
    next: Steps = ()  # (command, what it does); where none is named, what the site has to offer
    rollout: int | None = None
    records: tuple[Entry, ...] = ()  # written since the command began
    more: dict[str, Any] = field(default_factory=dict)  # the verb's own keys in JSON
    whole: bool = False  # `text` says already who serves, or nothing does


class Done(Exception):
    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.outcome)
        self.answer = answer


def refused(
    problem: str, *next_: tuple[str, str], code: Exit = Exit.BAD_INPUT, outcome: str = ""
) -> Done:
    """The end of a verb that touched nothing."""
    word = outcome or code.name.lower().replace("_", "-")
    return Done(Answer(code, word, problem=problem, next=next_))


def tell(answer: Answer, picture: Picture | None, *, as_json: bool, color: bool) -> None:
    """Write the answer. `picture`: as it is now; None where nothing could be known."""
    if as_json:
        import json

        print(json.dumps(data(answer, picture), ensure_ascii=False))
        return
    out, talk = _paper(sys.stdout, color), _paper(sys.stderr, color)
    steps = _steps(answer, picture)
    if answer.text:
        print(answer.text)
    if answer.problem:
        sys.stdout.flush()
        lines = next_lines(steps, talk)
        problem = trouble(answer.problem, paper=talk)
        print("\n".join((problem, *lines)), file=sys.stderr, flush=True)
    elif steps:
        print("\n".join(next_lines(steps, out)))
    if picture is not None and not answer.whole:
        line = _serving(picture)  # one line for whoever reads the last one; people see it fitted
        lines = out.wrapped(line) if sys.stdout.isatty() else [line]
        print("\n".join(out.ink(Ink.STRONG, part) for part in lines))


def _steps(answer: Answer, picture: Picture | None) -> tuple[NextStep, ...]:
    """What to say next: the verb's own word, else what an open rollout has to offer."""
    if answer.next or picture is None or answer.whole or picture.chronicle.open is None:
        return tuple(NextStep(command, does) for command, does in answer.next)
    return next_steps(picture.chronicle, picture.now, picture.sighting, driven=picture.driven)


def data(answer: Answer, picture: Picture | None) -> dict[str, Any]:
    """The answer as one JSON object; see docs/exit-codes.md."""
    common: dict[str, Any] = {
        "outcome": answer.outcome,
        "exit": answer.exit.value,
        "problem": answer.problem,
        "serving": [],
        "rollout": None,
        "next_steps": [],
    }
    if picture is not None:
        from orchestrator.doors.cli.render_data import result_data

        common = result_data(
            picture, outcome=answer.outcome, exit_code=answer.exit.value, problem=answer.problem
        )
    if answer.rollout is not None:
        common["rollout"] = answer.rollout
    if answer.next:
        common["next_steps"] = [{"command": c, "does": d} for c, d in answer.next]
    common["records"] = [entry_data(entry) for entry in answer.records]
    return common | answer.more


def entry_data(entry: Entry) -> dict[str, Any]:
    record = plain(entry.record)
    return {"number": entry.number, "at": entry.at_s, "epoch": entry.epoch, "record": record}


def _serving(picture: Picture) -> str:
    return serving_line(picture.chronicle, picture.sighting, picture.now)


def _paper(stream: Any, color: bool) -> Paper:
    paper = paper_for(stream)
    return paper if color else replace(paper, color=False)
