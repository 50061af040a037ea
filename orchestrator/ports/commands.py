"""Commands: the steps of the user's own, run on this machine or on hosts.

What a step did is told by its `holds` command; where it has none, by a note that whoever runs it
keeps durably beside it: for this rollout it was begun, done, taken back. So killed in the middle it
is run again, and done it is not. Nothing of it outlives whoever began it.
"""

from __future__ import annotations

from typing import Protocol

from orchestrator.core.sight import RunSeen
from orchestrator.core.steps import Run


class Commands(Protocol):
    async def look(
        self, runs: tuple[Run, ...], rollout: int, epoch: int | None
    ) -> tuple[RunSeen, ...]:
        """Each of them at each of its places. Runs `holds` commands; they change nothing.

        With an epoch: raises the fence of every place that a step of the site may run at, also for
        no runs at all, or `Superseded`. `Unreachable`, `Refused` where one cannot be looked at.
        """
        ...

    async def check(self, run: Run) -> None:
        """`Refused` where running it would be, as far as that can be known before."""
        ...

    async def do(self, run: Run, rollout: int, epoch: int) -> None:
        """Run it at each of its places, side by side, each to its end or its time-out.

        `Unsuccessful`: one ended badly. Where it was done for this rollout (and has no look of its
        own) nothing is run.
        """
        ...

    async def undo(self, run: Run, rollout: int, epoch: int) -> None:
        """Take it back likewise. Where it was never begun for this rollout nothing is run."""
        ...
