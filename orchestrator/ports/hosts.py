"""Hosts, each by itself: what is on it, whose it is, and whether it belongs to the site now.

Installations and switches are put together from many hosts; here each answers for itself, so that
one can be taken out, taken back, or taken over. The one rule: a look tells of every host, and one
that is wrong hides no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from orchestrator.core.model import Color, Release


class Wrong(Enum):
    """What is wrong with a host, in a word."""

    DOWN = "down"
    KEY = "host-key"  # unknown, changed or revoked
    FOREIGN = "other-journal"
    LOST = "lost"  # it knows nothing of a site that was on it
    GONE = "told-gone"
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True)
class OnHost:
    """One color of one service on one host; only where anything of it is there."""

    service: str
    color: Color
    release: Release | None  # what runs, or what the color points at
    running: bool
    kept: bool = False  # something would start it again
    note: str = ""


@dataclass(frozen=True, slots=True)
class HostSeen:
    name: str
    address: str
    wrong: Wrong | None = None
    why: str = ""  # in a sentence that names the host
    on: tuple[OnHost, ...] = ()
    staged: tuple[tuple[str, Release], ...] = ()  # (service, release) that lie there
    journal: str = ""  # whose it is; empty: nobody's
    youngest: int = 0  # the youngest epoch it has seen
    agent: str = ""
    python: str = ""
    systemd: str = ""
    user: str = ""
    how: str = ""
    free: int | None = None  # bytes
    proxy_of: tuple[str, ...] = ()  # switches it is a proxy of


Kept = frozenset[tuple[str, Color, Release]]
"""(service, color, release) that may run on a host that is taken back."""


class Hosts(Protocol):
    async def look(self, names: tuple[str, ...]) -> tuple[HostSeen, ...]:
        """These hosts, side by side, each within a few seconds. Raises nothing."""
        ...

    async def tell_gone(self, name: str, why: str, epoch: int) -> None:
        """From here on the host refuses everybody. `Unreachable`, `Refused`, `Superseded`."""
        ...

    async def readmit(self, name: str, kept: Kept, epoch: int) -> tuple[OnHost, ...]:
        """Take a host back: what runs there and is not to be kept is stopped; that is returned.

        `Refused` where it belongs to another journal; `Unreachable`, `Superseded`.
        """
        ...

    async def adopt(self, names: tuple[str, ...], epoch: int) -> None:
        """These hosts belong to the journal at hand from here on, whoever they belonged to.

        `Superseded` where the epoch is not younger than all they have seen; `Unreachable`.
        """
        ...
