"""Processes on this machine that outlive whoever started them.

Each has a name (a path-like text, `web/green/0` or `envoy/edge`), runs under a keeper of its own
that starts it again when it dies, and is known by its pid *with* its start time and the boot id,
never by a pid alone. Callers hold the fence around `start` and `stop`'s signals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run.

    The environment is complete (nothing is inherited) and reaches the keeper through a pipe,
    never a file or argv.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    cwd: str
    stop_s: float = 10.0
    tag: str = ""  # remembered with it, durably; says what it is (a release, as JSON)


@dataclass(frozen=True, slots=True)
class ProcessSeen:
    name: str
    tag: str
    running: bool  # the program itself is there
    kept: bool  # its keeper is there, so it would be started again
    start: int  # number of this start, growing over the life of the name, durable; 0: never started
    pid: int | None = None
    identity: str = ""  # "pid 123, started 4567 of boot 89ab…"
    note: str = ""  # how it last ended and its last log lines; empty while it never ended


class Processes(Protocol):
    def look(self, prefix: str = "") -> tuple[ProcessSeen, ...]:
        """Every name under the prefix that was ever started and not forgotten."""
        ...

    def start(self, name: str, launch: Launch) -> ProcessSeen:
        """Start it under a keeper and return once the program was executed, or its failure to be
        is noted.

        Already running with this tag: nothing happens (but a missing keeper is replaced, and gets
        the launch). Running with another tag: `Refused`.
        """
        ...

    def end(self, name: str, *, hard: bool = False) -> None:
        """What `stop` does under the fence.

        See to it that keeper and program will be gone, without waiting.

        From here on it happens by itself, whatever becomes of the caller. `hard`: SIGKILL, at
        once. Idempotent.
        """
        ...

    async def ended(self, name: str, within_s: float | None = None) -> bool:
        """Wait, without touching anything, until all are gone;

        False where they are not (None: `stop_s` and some).
        """
        ...

    def belongs(self, name: str, pid: int) -> bool:
        """Whether this process is the named program, or was left behind by it."""
        ...

    async def stop(self, name: str) -> None:
        """End keeper and program:

        SIGTERM to the process group, SIGKILL after `stop_s`; return when all are gone.
        Idempotent.
        """
        ...

    def forget(self, name: str) -> None:
        """Delete what is left of a stopped one (its log, its numbers stay as long as the name is
        used).
        """
        ...

    def log(self, name: str, lines: int = 50) -> str:
        """Its last log lines."""
        ...
