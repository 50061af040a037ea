"""The talk while something is being done, on stderr, and `status -w`.

A talk is a `Witness`: it is told what was written, and how far something long has come. There are
three: plain lines, a live picture for a terminal, and JSON. Each remembers the rollout it is told
about, so it can name the steps; `know` tells it of one that was open before. A talk is entered
(`with talk:`) for as long as a command works; nothing is drawn before something was told.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Protocol, Self, TextIO

from orchestrator.core.chronicle import Chronicle
from orchestrator.doors.cli.paper import Paper, paper_for
from orchestrator.doors.cli.talk_plain import PlainTalk
from orchestrator.ports.witness import Witness

REDRAW_MIN_S = 0.1  # ten pictures a second are enough for anybody
REPEAT_S = 30.0  # off a terminal: how often a picture is repeated in which only times changed
TIMES = re.compile(r"\d\d:\d\d:\d\d|\d+(\.\d+)? (ms|s|min|h|d)\b")


class Talk(Witness, Protocol):
    def know(self, chronicle: Chronicle) -> None:
        """What was there before: call it once after the journal was recalled."""
        ...

    def say(self, sentence: str) -> None:
        """Something for people that is no record: a warning, a hint."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def talk_for(
    stream: TextIO, site: str, *, log_format: str, redact: Callable[[str], str], paper: Paper
) -> Talk:
    """The talk that fits: JSON for `log_format` "json", live on a terminal, else plain lines."""
    if log_format == "json":
        from orchestrator.doors.cli.talk_json import JsonTalk

        return JsonTalk(stream, site, redact)
    if stream.isatty() and paper_for(stream).width >= 40 and _can_move(paper):
        from orchestrator.doors.cli.talk_live import LiveTalk

        return LiveTalk(stream, paper, redact)
    return PlainTalk(stream, paper, redact)


def _can_move(paper: Paper) -> bool:
    import os

    return os.environ.get("TERM", "dumb") != "dumb"


# -- status -w -----------------------------------------------------------------------------


async def watch(
    render_once: Callable[[], Awaitable[str]], every_s: float, *, stream: TextIO
) -> None:
    """Draw again and again until cancelled: in place on a terminal, one after another elsewhere.

    `render_once` is asked at most ten times a second. What is too high loses its top.
    """
    every_s = max(every_s, REDRAW_MIN_S)
    if stream.isatty():
        await _in_place(render_once, every_s, stream)
    else:
        await _one_after_another(render_once, every_s, stream)


async def _in_place(
    render_once: Callable[[], Awaitable[str]], every_s: float, stream: TextIO
) -> None:
    import asyncio

    from orchestrator.doors.cli.screen import Screen

    with Screen(stream) as screen:
        while True:
            screen.draw(await render_once())
            await asyncio.sleep(every_s)


async def _one_after_another(
    render_once: Callable[[], Awaitable[str]], every_s: float, stream: TextIO
) -> None:
    import asyncio

    before, written_s = "", 0.0
    while True:
        text = await render_once()
        now_s = time.monotonic()
        if TIMES.sub("", text) != before or now_s - written_s >= REPEAT_S:
            stream.write(text + "\n\n")
            stream.flush()
            before, written_s = TIMES.sub("", text), now_s
        await asyncio.sleep(every_s)
