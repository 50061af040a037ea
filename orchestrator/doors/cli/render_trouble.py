"""A problem, in three parts: what happened, what is true now, what to do next."""

from __future__ import annotations

from orchestrator.doors.cli.paper import Paper


def trouble(what: str, *, now: str = "", next: tuple[str, ...] = (), paper: Paper) -> str:  # noqa: A002
    """Lines for stderr. `now`: what is true (usually the serving line); `next`: what to do, a line each."""
    raise NotImplementedError
