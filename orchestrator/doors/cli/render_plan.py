"""The plan as a picture: the steps numbered, the way back drawn beside each, and where it ends."""

from __future__ import annotations

from orchestrator.doors.cli.paper import Paper
from orchestrator.engine.opening import Considered


def plan(considered: Considered, paper: Paper) -> str:
    """What would be done, or that there is nothing to do, or why it cannot be planned."""
    raise NotImplementedError
