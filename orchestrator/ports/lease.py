"""The lease.

Who drives. Its number, the epoch, goes with every effect and every look a decision rests on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Holder:
    epoch: int
    by: str  # user@machine
    doing: str  # "deploying web 2"
    since_s: float  # seconds since 1970
    until_s: float
    pid: int | None  # on this machine
    alive: bool  # its process is there, as far as this machine can tell


class Lease(Protocol):
    async def take(self, by: str, doing: str, term_s: float, *, beyond: int = 0) -> int:
        """The next epoch, durable; one after `beyond`, which others have seen of another journal.

        `Busy` where another holder's term runs and its process lives; the message says who, since
        when, doing what.

        A holder whose process is gone (this machine) is free at once. One that is alive past its
        term (it was paused) is ended first: SIGKILL to pid *with* its start time, and only then
        the epoch is raised. `NoRoom`.
        """
        ...

    async def renew(self, epoch: int, term_s: float) -> None:
        """`Superseded` where a younger epoch was taken."""
        ...

    async def give_up(self, epoch: int) -> None:
        """Free it, if it is still ours. Never raises for what is already gone."""
        ...

    async def holder(self) -> Holder | None:
        """Who drives now, as seen without taking anything; None: nobody."""
        ...
