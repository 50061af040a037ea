"""The talk as a live picture on a terminal: the steps with a cursor that moves, and who serves.

The list of steps stands still while the cursor goes through it. What people will want to read
later (a failure, a turn, a grant) is written above it and stays; when the command ends, the last
picture stays, too. A thread draws it a few times a second so that times go on while nothing is
told; it reads values that never change, so nothing has to be locked but the terminal.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Self, TextIO

from orchestrator.core.chronicle import Chronicle
from orchestrator.core.record import Answered, Asked, Closed, Entry, Failed, Granted, Turned
from orchestrator.core.rollout import Rollout
from orchestrator.core.words import joined, sentence
from orchestrator.doors.cli.memory import Memory, believed, progress_in_words
from orchestrator.doors.cli.paper import WIDTH_MAX, WIDTH_MIN, Ink, Paper, harmless
from orchestrator.doors.cli.render_rollout import rollout_heading, since
from orchestrator.doors.cli.render_steps import step_lines

if TYPE_CHECKING:
    from orchestrator.doors.cli.screen import Screen

FRAMES_EACH_S = 8
STAYS = (Failed, Turned, Granted, Asked, Answered)  # records that keep a line of their own


class LiveTalk:
    """Draws on `stream`, a terminal. Begins with the first record of a rollout."""

    def __init__(self, stream: TextIO, paper: Paper, redact: Callable[[str], str] = str) -> None:
        self._stream, self._paper, self._redact = stream, paper, redact
        self._memory = Memory()
        self._progress = ""
        self._last: str | None = None
        self._screen: Screen | None = None
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def know(self, chronicle: Chronicle) -> None:
        self._memory.know(chronicle)

    def tell(self, entry: Entry) -> None:
        said = self._memory.take(entry)
        self._progress = ""
        if self._memory.rollout is None:
            self._line(entry.at_s, said)
            return
        self._begin()
        if isinstance(entry.record, STAYS) and not self._said_already(entry):
            self._line(entry.at_s, said)
        if isinstance(entry.record, Closed):
            self._last = said

    def progress(self, what: str, done: int, total: int) -> None:
        self._progress = progress_in_words(what, done, total)

    def say(self, sentence: str) -> None:
        self._line(time.time(), sentence)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(1.0)
        with self._lock:
            if self._screen is not None:
                if self._answered_here:
                    self._last = ""
                self._draw()
                self._screen.__exit__(None, None, None)
                self._screen = None

    def _said_already(self, entry: Entry) -> bool:
        """A turn whose reason is the failure that has its line above."""
        failed = self._memory.rollout.failed if self._memory.rollout else None
        turn = entry.record
        return isinstance(turn, Turned) and failed is not None and turn.reason == failed.reason

    @property
    def _answered_here(self) -> bool:
        """Whether the answer, which says who serves, comes right below on the same terminal."""
        return sys.stdout.isatty()

    # -- Drawing -------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._screen is not None or self._over.is_set():
            return
        from orchestrator.doors.cli.screen import Screen

        self._screen = Screen(self._stream)
        self._draw()
        self._thread = threading.Thread(target=self._keep_drawing, name="live", daemon=True)
        self._thread.start()

    def _keep_drawing(self) -> None:
        while not self._over.wait(1 / FRAMES_EACH_S):
            self._draw()

    def _draw(self) -> None:
        rollout = self._memory.rollout
        with self._lock:
            if self._screen is None or rollout is None:
                return
            columns = max(WIDTH_MIN, min(self._screen.columns, WIDTH_MAX))
            paper = replace(self._paper, width=columns)
            try:
                text = frame(
                    self._memory.chronicle, rollout, now=time.time(), paper=paper,
                    progress=self._progress, last=self._last,
                )  # fmt: skip
                self._screen.draw(self._redact(text))
            except Exception:  # a picture is never worth the work: whatever is wrong, it goes on
                self._over.set()

    def _line(self, at_s: float, said: str) -> None:
        line = f"{self._paper.clock(at_s)} {harmless(self._redact(said))}".replace("\n", " ")
        with self._lock:
            try:
                if self._screen is not None:
                    self._screen.write(line)
                else:
                    self._stream.write(line + "\n")
                    self._stream.flush()
            except (OSError, ValueError):
                pass


def frame(
    chronicle: Chronicle,
    rollout: Rollout,
    *,
    now: float,
    paper: Paper,
    progress: str = "",
    last: str | None = None,
) -> str:
    """One picture: what is wanted, the steps, and a last line (None: who serves)."""
    passed = "" if progress.endswith(" s") else since(rollout, now)
    note = " · ".join(part for part in (progress, passed) if part)
    said = _who(chronicle, rollout) if last is None else last
    lines = [
        *rollout_heading(rollout, now, paper),
        *step_lines(rollout, paper, note=note),
        *(paper.ink(Ink.STRONG, line) for line in (paper.wrapped(said) if said else ())),
    ]
    return "\n".join(lines)


def _who(chronicle: Chronicle, rollout: Rollout) -> str:
    serving, on_its_way = believed(chronicle, rollout)
    by_color: dict[str, list[str]] = {}
    for s in serving:
        by_color.setdefault(s.color.value, []).append(f"{s.service} {s.release.version}")
    said = " and ".join(
        f"{joined(names)} {'serves' if len(names) == 1 else 'serve'} on {color}"
        for color, names in by_color.items()
    )
    if on_its_way:
        said = f"Traffic is going {on_its_way}"
    return sentence(said or "Nothing serves yet")
