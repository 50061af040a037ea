"""Installations.

Where releases lie and run. Every verb is idempotent and carries the driver's epoch.

`look` is the read twin of all of them. A verb returns None when the technology reports success;
the engine looks again and believes only that.
"""

from __future__ import annotations

from typing import Protocol

from orchestrator.core.model import Color, Release, Service
from orchestrator.core.sight import InstallationSeen
from orchestrator.core.steps import Part
from orchestrator.ports.trouble import Unreachable


class PartlySeen(Unreachable):
    """A look that did not reach everything.

    `seen`: the installations of which all was reached; nothing is said of the others.
    """

    def __init__(self, why: str, seen: tuple[InstallationSeen, ...]) -> None:
        super().__init__(why)
        self.seen = seen


class Installation(Protocol):
    async def look(self, epoch: int | None) -> tuple[InstallationSeen, ...]:
        """Both colors of every service of the site.

        With an epoch: raises the fence, or `Superseded`. `PartlySeen` where a host did not answer.
        """
        ...

    async def check(self, part: Part) -> None:
        """`Refused` where starting this part would be, as far as that can be known before."""
        ...

    async def stage(self, part: Part, source: str | None, epoch: int) -> None:
        """Lay release, recipe and probes down by digest; point at nothing.

        `source` is the folder or archive the release was read from at planning; its bytes must
        still give the part's digest, else `Refused`. Nothing half-staged is ever visible.
        """
        ...

    async def start(self, part: Part, epoch: int) -> None:
        """Point the color at the part's (staged) release, and start those of its instances that
        do not run it.
        """
        ...

    async def stop(self, part: Part, epoch: int) -> None:
        """Stop the instances of this color that run the part's release. Never another release."""
        ...

    async def point(self, service: str, color: Color, release: Release | None, epoch: int) -> None:
        """Point the color at a staged release, or at nothing. Starts and stops nothing."""
        ...

    async def remove(self, service: str, release: Release, epoch: int) -> None:
        """Delete a staged release. `Refused` where a color points at it or an instance runs it."""
        ...

    async def service_as_staged(self, service: str, release: Release) -> Service | None:
        """The service as the site described it when this release was staged (recipe, probes,
        probing); None: not staged.
        """
        ...

    def address(self, service: str, color: Color, instance: int) -> tuple[str, int]:
        """Host and port of the instance itself, for probes."""
        ...

    async def surroundings(self, part: Part, instance: int) -> tuple[dict[str, str], str]:
        """Environment (secrets resolved, in memory only) and working folder of an instance, for
        exec probes.
        """
        ...

    async def log(self, service: str, color: Color, instance: int, lines: int) -> str:
        """The last log lines of an instance."""
        ...
