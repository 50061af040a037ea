"""The site as a tree: services, colors, instances; the open rollout as a list with a cursor; who serves."""

from __future__ import annotations

from orchestrator.doors.cli.paper import Paper
from orchestrator.doors.cli.picture import Picture


def status(picture: Picture, paper: Paper) -> str:
    """The whole picture; its last line is `serving_line`."""
    raise NotImplementedError
