"""Who is told what happens: the talk, made when there is first something to say.

The one rule: each entry is told once, whoever read it first: the driver that wrote it, or the one
who follows along. Whoever only looks at a site never says anything, and pays for no talk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from orchestrator.core.chronicle import Chronicle
from orchestrator.core.record import Entry

if TYPE_CHECKING:
    from orchestrator.doors.cli.live import Talk


class Told:
    """A witness in front of the talk.

    `last`: the newest entry that was told, or was there before.
    """

    def __init__(self, make: Callable[[], Talk]) -> None:
        self.last = 0
        self._make = make
        self._talk: Talk | None = None
        self._chronicle: Chronicle | None = None

    def know(self, chronicle: Chronicle, last: int) -> None:
        """What was there before: nobody is told of it."""
        self.last = max(self.last, last)
        self._chronicle = chronicle
        if self._talk is not None:
            self._talk.know(chronicle)

    def tell(self, entry: Entry) -> None:
        if entry.number > self.last:
            self.last = entry.number
            self._at_work().tell(entry)

    def progress(self, what: str, done: int, total: int) -> None:
        self._at_work().progress(what, done, total)

    def say(self, sentence: str) -> None:
        self._at_work().say(sentence)

    def end(self) -> None:
        """The terminal is as it was."""
        talk, self._talk = self._talk, None
        if talk is not None:
            talk.__exit__(None, None, None)

    def _at_work(self) -> Talk:
        if self._talk is None:
            self._talk = self._make().__enter__()
            if self._chronicle is not None:
                self._talk.know(self._chronicle)
        return self._talk
