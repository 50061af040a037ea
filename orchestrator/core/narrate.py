"""Records and steps as plain sentences."""

from __future__ import annotations

from orchestrator.core.record import Entry
from orchestrator.core.steps import Step


def narrate(entry: Entry, steps: tuple[Step, ...]) -> str:
    """One plain sentence for what this entry says. `steps`: the plan it belongs to, as far as it is known."""
    raise NotImplementedError


def sentence_of(step: Step) -> str:
    """What the step will do: "stage web 2"."""
    raise NotImplementedError


def undo_of(step: Step) -> str:
    """What taking the step back does; empty where there is nothing to take back."""
    raise NotImplementedError
