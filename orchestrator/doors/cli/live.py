"""The talk while something is being done, on stderr: plain lines, a live picture on a terminal, or JSON.

Each is a `Witness`: it is told what was written, and how far something long has come. It remembers the
rollout it is told about, so it can name the steps; `know` tells it of one that was open before. A talk is
entered (`with talk:`) for as long as somebody drives.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Protocol, Self, TextIO

from orchestrator.core.chronicle import Chronicle
from orchestrator.core.record import Entry
from orchestrator.doors.cli.paper import Paper
from orchestrator.ports.witness import Witness


class Talk(Witness, Protocol):
    def know(self, chronicle: Chronicle) -> None:
        """What was there before: call it once after the journal was recalled."""
        ...

    def say(self, sentence: str) -> None:
        """Something for people that is no record: a warning, a hint."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def talk_for(
    stream: TextIO, site: str, *, log_format: str, redact: Callable[[str], str], paper: Paper
) -> Talk:
    """The talk that fits: JSON where asked for (`log_format` "json"), live on a terminal, else plain lines."""
    raise NotImplementedError


async def watch(
    render_once: Callable[[], Awaitable[str]], every_s: float, *, stream: TextIO
) -> None:
    """Draw again and again until cancelled: in place on a terminal, one after another elsewhere."""
    raise NotImplementedError
