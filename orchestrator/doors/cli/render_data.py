"""Values to JSON-ready dicts, for `-o json`. A documented contract: names here change only with a note."""

from __future__ import annotations

from typing import Any

from orchestrator.core.chronicle import Chronicle
from orchestrator.core.record import Entry
from orchestrator.doors.cli.picture import Picture
from orchestrator.engine.opening import Considered

Data = dict[str, Any]


def result_data(picture: Picture, *, outcome: str, exit_code: int, problem: str = "") -> Data:
    """What every verb that drives or asks answers with: outcome, serving, next_steps, rollout."""
    raise NotImplementedError


def status_data(picture: Picture) -> Data:
    raise NotImplementedError


def plan_data(considered: Considered) -> Data:
    raise NotImplementedError


def history_data(chronicle: Chronicle) -> Data:
    raise NotImplementedError


def story_data(entries: tuple[Entry, ...]) -> Data:
    raise NotImplementedError


def releases_data(picture: Picture) -> Data:
    raise NotImplementedError
