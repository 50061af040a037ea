"""What a talk remembers so that it can name things: the chronicle, and the newest rollout.

A record names its step by a number; the plan was in `Opened`. The one rule: a talk never asks the
journal, it only folds what it is told, and what it cannot fold it leaves alone.
"""

from __future__ import annotations

from dataclasses import replace

from orchestrator.core.chronicle import Chronicle, Serving, fold
from orchestrator.core.narrate import narrate
from orchestrator.core.record import Began, Ended, Entry, Opened
from orchestrator.core.rollout import Rollout, evolve
from orchestrator.core.steps import (
    LOOKS,
    Gate,
    Prove,
    Shift,
    Stage,
    Start,
    Step,
    Tidy,
    Wire,
)


class Memory:
    def __init__(self) -> None:
        self.chronicle = Chronicle()
        self.rollout: Rollout | None = None  # the newest one, also once it has closed

    def know(self, chronicle: Chronicle) -> None:
        self.chronicle = chronicle
        self.rollout = chronicle.open or self.rollout

    def take(self, entry: Entry) -> str:
        """Fold it, and say it."""
        sentence = narrate(entry, self._steps(entry))
        try:
            if isinstance(entry.record, Opened):
                self.rollout = evolve(None, entry)
            elif self.chronicle.open is not None and self.rollout is not None:
                self.rollout = evolve(self.rollout, entry)
            self.chronicle = fold(self.chronicle, entry)
        except (ValueError, IndexError):
            pass
        return sentence

    def step_of(self, entry: Entry) -> Step | None:
        index = getattr(entry.record, "step", None)
        steps = self._steps(entry)
        return steps[index] if isinstance(index, int) and index < len(steps) else None

    def _steps(self, entry: Entry) -> tuple[Step, ...]:
        if isinstance(entry.record, Opened):
            return entry.record.plan
        return self.rollout.steps if self.rollout is not None else ()


QUICK = (Wire, Shift, Tidy)  # over before their beginning has been read


def worth_telling(entry: Entry, step: Step | None) -> bool:
    """Whether people want a line for it; not for the beginning of what is over at once."""
    match entry.record:
        case Began(_, _, True):
            return not isinstance(step, (*LOOKS, Tidy, Wire, Stage))
        case Began():
            return not isinstance(step, QUICK)
        case Ended(_, _, True):
            return not isinstance(step, (*LOOKS, Tidy))
        case Ended():
            return not isinstance(step, Gate)
        case _:
            return True


def progress_in_words(what: str, done: int, total: int) -> str:
    """`3 of 4 instances well`; what only counts down (connections left) is not "of" anything."""
    if what.startswith("seconds"):
        return f"{done} of {total} s"
    return f"{done} {what}" if what.endswith("left") else f"{done} of {total} {what}"


def believed(chronicle: Chronicle, rollout: Rollout | None) -> tuple[tuple[Serving, ...], str]:
    """Who serves by the records alone, and what traffic is on its way; nobody looked."""
    serving = {s.service: s for s in chronicle.serving}
    if rollout is None or rollout.outcome is not None or not rollout.shifted:
        return tuple(serving.values()), ""
    shift = rollout.steps[rollout.shift_at]
    assert isinstance(shift, Shift)
    if rollout.done <= rollout.shift_at:
        return tuple(serving.values()), "back" if rollout.backing_out else "over"
    for flip in shift.flips:
        release = next(
            (
                p.release
                for s in rollout.steps
                if isinstance(s, Start | Prove)
                for p in s.parts
                if p.service == flip.service and p.color is flip.after.live
            ),
            None,
        )
        if flip.after.live is not None and release is not None:
            old = serving.get(flip.service)
            new = Serving(flip.service, flip.after.live, release, 0, 0.0, rollout.id)
            serving[flip.service] = replace(old, color=new.color, release=release) if old else new
    return tuple(serving.values()), ""
