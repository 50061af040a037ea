"""Values to text: everything the verbs print on stdout. Pure; `paper` is what it is written on.

Each function takes values of the core and a `Paper`, and returns text without a trailing newline.
The modules behind it hold one picture each; verbs import this one only, and what a verb does not
draw is not imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.doors.cli.paper import Ink, Paper, harmless, paper_for
    from orchestrator.doors.cli.picture import NextStep, Picture, next_steps, serving_line
    from orchestrator.doors.cli.render_data import (
        history_data,
        plan_data,
        releases_data,
        result_data,
        status_data,
        story_data,
    )
    from orchestrator.doors.cli.render_history import history, releases, rollout_story
    from orchestrator.doors.cli.render_plan import plan
    from orchestrator.doors.cli.render_status import status
    from orchestrator.doors.cli.render_trouble import trouble

__all__ = [
    "Ink",
    "NextStep",
    "Paper",
    "Picture",
    "harmless",
    "history",
    "history_data",
    "next_steps",
    "paper_for",
    "plan",
    "plan_data",
    "releases",
    "releases_data",
    "result_data",
    "rollout_story",
    "serving_line",
    "status",
    "status_data",
    "story_data",
    "trouble",
]

HOME = {
    "paper": ("Ink", "Paper", "harmless", "paper_for"),
    "picture": ("NextStep", "Picture", "next_steps", "serving_line"),
    "render_history": ("history", "releases", "rollout_story"),
    "render_plan": ("plan",),
    "render_status": ("status",),
    "render_trouble": ("trouble",),
}
"""Where each lives; the data for programs in `render_data`."""

if not TYPE_CHECKING:  # so that a name that is not there stays a mistake

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(name)
        home = next((module for module, names in HOME.items() if name in names), "render_data")
        return getattr(import_module(f"orchestrator.doors.cli.{home}"), name)
