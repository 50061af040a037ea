"""What was: the rollouts of a site in short, one of them as a story, and the releases there are."""

from __future__ import annotations

from orchestrator.core.chronicle import Chronicle
from orchestrator.core.record import Entry
from orchestrator.doors.cli.paper import Paper
from orchestrator.doors.cli.picture import Picture


def history(chronicle: Chronicle, now: float, paper: Paper) -> str:
    """The rollouts, newest last: when, who, what, how it ended and why."""
    raise NotImplementedError


def rollout_story(entries: tuple[Entry, ...], paper: Paper) -> str:
    """Each entry as one sentence with its time. The entries of one rollout, `Opened` first."""
    raise NotImplementedError


def releases(picture: Picture, paper: Paper) -> str:
    """For each service the releases that lie staged or served lately, and where they run."""
    raise NotImplementedError
