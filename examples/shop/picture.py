"""What the demo shows while it runs: a live picture on a terminal, plain lines anywhere else.

Both are told the same: a scene begins, a command says something, a scene ends, and so many times a
second what the visitors of the shop got. The one rule: nothing is shown that was not measured; a
picture invents no progress. Off a terminal, or with NO_COLOR, there is no color and nothing moves.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

INK = {
    "blue": "bold white on blue",
    "green": "bold black on green",
    "bad": "bold white on red",
    "": "dim",
}
STRIP = 60  # beats that are kept in sight
LINES = 4  # of what the command says


@dataclass(frozen=True, slots=True)
class Beat:
    """What visitors got within a fraction of a second."""

    release: str  # the one that answered most, "2"; "." where nothing did, "!" where it was bad
    color: str


@dataclass(frozen=True, slots=True)
class Counts:
    sent: int = 0
    lost: int = 0
    mixed: int = 0


class Picture(Protocol):
    def scene(self, title: str, command: str) -> None: ...

    def line(self, text: str) -> None: ...

    def end(self, result: str, *, good: bool) -> None: ...

    def beat(self, beat: Beat, counts: Counts) -> None: ...

    def beside(self, line: Text) -> None:
        """What else is to be seen now, above the answers."""

    def close(self) -> None: ...


def picture(title: str) -> Picture:
    """The one that fits where stdout leads."""
    return Moving(title) if sys.stdout.isatty() and os.environ.get("TERM") != "dumb" else Lines()


class Lines:
    """One line per thing that happened, for logs and pipes."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    def scene(self, title: str, command: str) -> None:
        typed = f"\n        $ {command}" if command else ""
        print(f"\n{self.clock()}  {title}{typed}", flush=True)

    def line(self, text: str) -> None:
        print(f"        {text}", flush=True)

    def end(self, result: str, *, good: bool) -> None:
        print(f"{self.clock()}  {'ok' if good else 'NOT AS IT SHOULD BE'}: {result}", flush=True)

    def beat(self, beat: Beat, counts: Counts) -> None:
        """The last table says it all."""

    def beside(self, line: Text) -> None:
        """Nothing moves here."""

    def close(self) -> None:
        """Nothing to tidy up."""

    def clock(self) -> str:
        return f"{time.monotonic() - self.began:5.1f} s"


@dataclass
class Scene:
    title: str
    command: str
    began: float = field(default_factory=time.monotonic)
    said: list[str] = field(default_factory=list)
    result: str = ""
    good: bool = True
    took_s: float = 0.0


class Moving:
    """The whole story on one screen: scenes, what the command says, and who answers."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.line_beside: Text | None = None
        self.console = Console(highlight=False)
        self.began = time.monotonic()
        self.scenes: list[Scene] = []
        self.beats: list[Beat] = []
        self.counts = Counts()
        self.live = Live(
            get_renderable=self.drawn, console=self.console, refresh_per_second=8, transient=False
        )
        self.live.start()

    def scene(self, title: str, command: str) -> None:
        self.scenes.append(Scene(title, command))

    def line(self, text: str) -> None:
        self.scenes[-1].said.append(text)

    def end(self, result: str, *, good: bool) -> None:
        scene = self.scenes[-1]
        scene.result, scene.good = result, good
        scene.took_s = time.monotonic() - scene.began

    def beat(self, beat: Beat, counts: Counts) -> None:
        self.beats = [*self.beats, beat][-STRIP:]
        self.counts = counts

    def beside(self, line: Text) -> None:
        self.line_beside = line

    def close(self) -> None:
        self.live.stop()

    # -- How it looks ------------------------------------------------------------------------

    def drawn(self) -> Group:
        """At most twenty lines: each scene in one, and of the last one what was said."""
        seconds = f"{time.monotonic() - self.began:.1f} s"
        table = Table.grid(expand=True, padding=(0, 1))
        table.add_column(width=1)
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column(style="dim", no_wrap=True, width=23)
        table.add_column(justify="right", style="dim", min_width=6, no_wrap=True)
        table.add_row("", Text(self.title, "bold"), "", seconds)
        table.add_row()
        for scene in self.scenes:
            table.add_row(*row(scene))
        return Group(table, *self.said(), Text(), *self.traffic())

    def said(self) -> list[Text]:
        if not self.scenes:
            return []
        scene = self.scenes[-1]
        lines = scene.said[-LINES:] if not scene.result else [scene.result]
        if not scene.good:
            lines = [*scene.said, *lines]
        return [Text(f"  {line}", "dim", no_wrap=True, overflow="ellipsis") for line in lines]

    def traffic(self) -> list[Text]:
        counts = self.counts
        bad = "bold red" if counts.lost or counts.mixed else ""
        numbers = Text.assemble(
            ("requests  ", "bold"),
            f"{counts.sent:,} sent   ",
            (f"{counts.lost} lost   {counts.mixed} mixed old and new", bad),
        )
        beside = [self.line_beside] if self.line_beside else []
        return [*beside, strip(self.beats), numbers]


def row(scene: Scene) -> tuple[Text, Text, str, str]:
    if not scene.result:
        return Text("▸", "bold"), Text(scene.title, "bold"), scene.command, ""
    mark = Text("✓", "green") if scene.good else Text("✗", "bold red")
    return mark, Text(scene.title), scene.command, f"{scene.took_s:.1f} s"


def strip(beats: list[Beat]) -> Text:
    """Who answered, beat by beat: the release as a digit on its color."""
    line = Text("answers   ", "bold", no_wrap=True)
    for beat in beats:
        line.append(beat.release[:1], INK[beat.color])
    return line
