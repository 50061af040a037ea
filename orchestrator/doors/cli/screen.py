"""A part of a terminal that is drawn again and again in place, below what was written before.

Rich does the moving and the erasing. What is too high loses its top, because the end of each of
our pictures is what matters most: who serves. When the terminal changes its width, the lines that
stand there are no longer where they were, so the picture begins anew below them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self, TextIO

from orchestrator.doors.cli.paper import size_of

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text


class Screen:
    """Rich would ask the environment and standard input for the size; we ask the stream itself."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        self._stream = stream
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._live: Live | None = None
        self._width = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """The last picture stays where it is."""
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()

    @property
    def columns(self) -> int:
        return size_of(self._stream).columns

    def draw(self, picture: str) -> None:
        """Put this picture in the place of the one before."""
        from rich.console import ConsoleDimensions

        size = size_of(self._stream)
        self._console.size = ConsoleDimensions(size.columns, size.lines)
        if size.columns != self._width:
            self._begin_anew()
            self._width = size.columns
        assert self._live is not None
        self._live.update(self._fitted(picture), refresh=True)

    def write(self, line: str) -> None:
        """A line that stays, above the picture."""
        from rich.text import Text

        self._console.print(Text.from_ansi(line), soft_wrap=True)

    def _begin_anew(self) -> None:
        from rich.live import Live

        if self._live is not None:
            self._live.transient = True
            self._live.stop()
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            vertical_overflow="crop",
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def _fitted(self, picture: str) -> Text:
        from rich.text import Text

        lines = picture.splitlines()
        room = max(self._console.height - 1, 3)
        if len(lines) > room:
            left_out = len(lines) - room + 1
            lines = [f"… {left_out} lines above", *lines[left_out:]]
        text = Text.from_ansi("\n".join(lines))
        text.no_wrap, text.overflow = True, "crop"
        return text


@contextmanager
def pressed_q() -> Iterator[Callable[[], bool]]:
    """Whether `q` was pressed since; never where the keyboard is not ours."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        yield lambda: False
        return
    import os
    import select
    import termios
    import tty

    keyboard = sys.stdin.fileno()
    if os.tcgetpgrp(keyboard) != os.getpgrp():  # in the background, whoever touched it would stop
        yield lambda: False
        return
    before = termios.tcgetattr(keyboard)
    typed = b""

    def pressed() -> bool:
        nonlocal typed
        if b"q" not in typed and select.select([keyboard], [], [], 0)[0]:
            typed = os.read(keyboard, 64)
        return b"q" in typed

    try:
        tty.setcbreak(keyboard)
        yield pressed
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
