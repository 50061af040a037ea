"""Ctrl-C and SIGTERM: once, stop at the next safe place; twice, at once.

While somebody drives, the first one asks the driver to stop; at any other moment it ends the
command, for nothing is half done then. The second ends the process where it stands, which is safe
by construction: it is what a SIGKILL would do, and the next command finds everything in the
journal.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

from orchestrator.doors.cli.exits import Exit

if TYPE_CHECKING:
    from orchestrator.doors.cli.told import Told
    from orchestrator.engine.driver import Driver

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stops:
    def __init__(self) -> None:
        self.asked = False
        self.told: Told | None = None
        self._driver: Driver | None = None
        self._patient = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[object] | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Signals are ours from here on."""
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        before = {number: signal.signal(number, self._heard) for number in SIGNALS}
        try:
            yield
        finally:
            self._task = None  # what is left is only the answer
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def of(self, driver: Driver) -> Iterator[None]:
        """The next one stops this driver."""
        self._driver = driver
        if self.asked:
            driver.stop.set()
        try:
            yield
        finally:
            self._driver = None

    @contextmanager
    def patiently(self) -> Iterator[None]:
        """The next one is only noted in `asked`: whoever waits here looks at it often."""
        self._patient = True
        try:
            yield
        finally:
            self._patient = False

    def _heard(self, number: int, frame: FrameType | None) -> None:
        assert self._loop is not None
        if self.asked:
            self._now()
        self.asked = True
        if self._driver is not None or not self._patient:  # as it is now: who waits may leave soon
            self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        if self._driver is not None:
            if self.told is not None:
                self.told.say("Stopping at the next safe place; once more to stop at once.")
            self._driver.stop.set()
        elif self._task is not None:
            self._task.cancel()

    def _now(self) -> None:
        """In the middle of whatever it was: nothing that could wait, nothing buffered."""
        with suppress(Exception):
            if self.told is not None:
                self.told.end()
        if self._driver is not None:
            os.write(2, b"Stopped at once. `bgctl resume` goes on, `bgctl backout` goes back.\n")
        os._exit(Exit.INTERRUPTED)
