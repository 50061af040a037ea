"""The talk while something is being done, on stderr, and `status -w`.

A talk is a `Witness`: it is told what was written, and how far something long has come. There are
three: plain lines, a live picture for a terminal, and JSON. Each remembers the rollout it is told
about, so it can name the steps; `know` tells it of one that was open before. A talk is entered
(`with talk:`) for as long as a command works; nothing is drawn before something was told.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, Self, TextIO

from orchestrator.core.chronicle import Chronicle
from orchestrator.doors.cli.paper import Paper, paper_for
from orchestrator.doors.cli.talk_plain import PlainTalk
from orchestrator.ports.witness import Witness

REDRAW_MIN_S = 0.1  # ten pictures a second are enough for anybody
STOP_LOOK_S = 0.05  # how soon a picture that nobody wants any more is left
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

    def __exit__(self, *_: object) -> None: ...


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
    render_once: Callable[[], Awaitable[str]],
    every_s: float,
    *,
    stream: TextIO,
    ended: Callable[[], bool] = lambda: False,
) -> None:
    """Draw again and again until `ended`: in place on a terminal, one after another elsewhere.

    `render_once` is asked at most ten times a second. What is too high loses its top.
    """
    pictures = _pictures(render_once, max(every_s, REDRAW_MIN_S), ended)
    if stream.isatty():
        await _in_place(pictures, stream)
    else:
        await _one_after_another(pictures, stream)


async def _pictures(
    render_once: Callable[[], Awaitable[str]], every_s: float, ended: Callable[[], bool]
) -> AsyncIterator[str]:
    """Also a look that takes long is ended at once."""
    import asyncio

    while not ended():
        drawing, begun_s = asyncio.ensure_future(render_once()), time.monotonic()
        try:
            while not drawing.done() and not ended():
                await asyncio.wait((drawing,), timeout=STOP_LOOK_S)
            if not drawing.done():
                return
            yield drawing.result()
        finally:
            drawing.cancel()
        while not ended() and time.monotonic() - begun_s < every_s:  # noqa: ASYNC110 - no event
            await asyncio.sleep(STOP_LOOK_S)


async def _in_place(pictures: AsyncIterator[str], stream: TextIO) -> None:
    from orchestrator.doors.cli.screen import Screen

    with Screen(stream) as screen:
        async for picture in pictures:
            screen.draw(picture)


async def _one_after_another(pictures: AsyncIterator[str], stream: TextIO) -> None:
    before, written_s = "", 0.0
    async for text in pictures:
        now_s = time.monotonic()
        if TIMES.sub("", text) != before or now_s - written_s >= REPEAT_S:
            stream.write(text + "\n\n")
            stream.flush()
            before, written_s = TIMES.sub("", text), now_s
