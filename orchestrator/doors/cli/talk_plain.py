"""The talk as plain lines, for logs and pipes: a time and a sentence each.

What is over at once has no line for its beginning. How far something long has come is said every
few seconds, not more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self, TextIO

from orchestrator.core.chronicle import Chronicle
from orchestrator.core.record import Entry
from orchestrator.doors.cli.memory import Memory, progress_in_words, worth_telling
from orchestrator.doors.cli.paper import Paper, harmless

PROGRESS_S = 5.0


class PlainTalk:
    """Writes to `stream`. A stream that is gone is borne: the work goes on."""

    def __init__(
        self,
        stream: TextIO,
        paper: Paper,
        redact: Callable[[str], str] = str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream, self._paper, self._redact = stream, paper, redact
        self._memory = Memory()
        self._monotonic = monotonic
        self._told_s = monotonic()
        self._progress = ""

    def know(self, chronicle: Chronicle) -> None:
        self._memory.know(chronicle)

    def tell(self, entry: Entry) -> None:
        step = self._memory.step_of(entry)
        sentence = self._memory.take(entry)
        if worth_telling(entry, step):
            self._write(entry.at_s, sentence)
        self._told_s = self._monotonic()

    def progress(self, what: str, done: int, total: int) -> None:
        said = progress_in_words(what, done, total)
        if said == self._progress or self._monotonic() - self._told_s < PROGRESS_S:
            return
        self._progress, self._told_s = said, self._monotonic()
        self._write(time.time(), f"{said}.")

    def say(self, sentence: str) -> None:
        self._write(time.time(), sentence)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _write(self, at_s: float, sentence: str) -> None:
        line = harmless(self._redact(sentence)).replace("\n", " ")
        try:
            self._stream.write(f"{self._paper.clock(at_s)} {line}\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass
