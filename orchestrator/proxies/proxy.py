"""One proxy of a switch, whatever program it is: what it says, and what it is asked to do.

The one rule: what one says is believed about itself alone. Whether several agree is `seen`'s to
say, and what to do where one does not follow `flips`' to decide.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.core.model import Color, ProxySpec, Site


@dataclass(frozen=True, slots=True)
class Looked:
    """What one proxy serves (`running`; None: it is not to be had), and what its file says."""

    running: dict[str, str] | None
    file: dict[str, str] | None
    whole: bool  # the file is as bg wrote it
    why: str = ""  # why it is not running
    older: int = 0  # processes of before a reload that still serve old connections
    remark: str = ""  # what is worth a word and changes nothing
    counts: Mapping[tuple[str, Color], int] = field(default_factory=dict)  # requests, where known
    astray: frozenset[tuple[str, Color, str]] = frozenset()
    """(service, color, host) that get new requests and should not, or should and get none."""
    lingering: Mapping[str, int] = field(default_factory=dict)  # requests, by host that is out


@dataclass(frozen=True, slots=True)
class Prepared:
    """A change that lies ready, of which nobody knows yet."""

    before: dict[str, str]
    wanted: dict[str, str]
    process: str  # which it was prepared at; empty: the proxy is away, only its file can change
    why: str  # it is away
    clock_s: float  # of the host, when it was prepared
    heard_s: float  # of this machine, when that was heard
    version: int = 0

    def until_s(self, within_s: float) -> float:
        """So long from now, by the clock of the host."""
        return max(self.clock_s + time.monotonic() - self.heard_s + within_s, 0.001)


@dataclass(frozen=True, slots=True)
class Sent:
    flipped: bool
    laid: bool  # the proxy being away, its file says so
    late: bool  # its time was over, or a hold did not stand any more
    why: str


class Proxy(Protocol):
    """Each verb raises `Refused`, `Unreachable`, `Superseded`, and bounds its time."""

    @property
    def site(self) -> Site: ...
    @property
    def spec(self) -> ProxySpec: ...
    @property
    def host(self) -> str: ...

    async def look(self, epoch: int | None, *, ends_holds: bool = False) -> Looked: ...

    async def prepare(self, changes: Mapping[str, str], epoch: int) -> Prepared:
        """Changes nothing that anybody is sent by."""
        ...

    async def send(
        self, what: Prepared, epoch: int, held: Iterable[str] = (), *, within_s: float
    ) -> Sent:
        """What arrives at the host later than that changes nothing there."""
        ...

    async def ensure(self, epoch: int) -> None:
        """`Refused`: what its configuration lacks."""
        ...

    async def wrong(self, epoch: int | None, *, shown: int | None = None) -> str:
        """What its configuration lacks, and what to do; empty where nothing. Changes nothing.

        `shown`: so many of the lines that are missing are named; None: all.
        """
        ...
