"""The switch: what decides which color gets traffic. Every verb carries the driver's epoch."""

from __future__ import annotations

from typing import Protocol

from orchestrator.core.model import Color, Hold, Pin, Share
from orchestrator.core.sight import SwitchSeen
from orchestrator.core.stillness import Held


class Switch(Protocol):
    async def look(self, epoch: int | None) -> SwitchSeen:
        """Shares, pins and open connections as the running switch has them (every worker asked),
        not as a file says.
        """
        ...

    async def ensure(self, epoch: int) -> None:
        """Every switch of the site runs with the site's routes, and sends no new request to hosts
        that were taken out.

        Changes no share and no pin. `Refused`: cannot be had here.
        """
        ...

    async def admit(self, hosts: tuple[str, ...], epoch: int) -> None:
        """New requests go to these hosts as to all others, whoever shut them out.

        Those that the site goes on without stay out.
        """
        ...

    async def send(
        self,
        shares: dict[str, Share],
        pins: dict[Pin, Color],
        epoch: int,
        *,
        not_after_s: float | None = None,
    ) -> None:
        """One write, one instant: these services and inner addresses change, all others stay.

        Returns when every worker has it. With `not_after_s` (seconds since 1970) nothing is written
        later than that, and `TooLate` says so. Where a hold is on, the same write ends it.
        """
        ...

    async def hold(self, services: tuple[str, ...], hold: Hold, epoch: int) -> float:
        """Stop time for new requests to these services, at the edge; returns when every worker
        holds. The instant before which nobody waited, in seconds since 1970.

        Inner calls get through. It ends by itself within the bound of the site, and soon after
        whoever asked for it died. What a dead driver left of one, the next verb of a driver ends.
        `Refused`: this switch cannot hold.
        """
        ...

    async def held(self, epoch: int) -> Held:
        """One look at what is in flight at the services that are held, and what waits.

        Only while this driver holds; `Refused` where it does not.
        """
        ...

    async def let_go(self, epoch: int) -> tuple[float, ...]:
        """Let waiting requests go on; how long each of them waited, in seconds.

        Always harmless, whoever drives: who was superseded ends what it held itself, and no more.
        """
        ...

    async def remove(self, epoch: int) -> None:
        """Take the switch away. `Refused` while any service is served."""
        ...

    def remarks(self) -> tuple[str, ...]:
        """What it cannot promise, each a sentence without its full stop; mostly nothing.

        With what was counted of it, where it was looked at before.
        """
        ...

    def inner_address(self, pin: Pin) -> tuple[str, int]:
        """Host and port of an inner address. Chosen once, the same for the site's life."""
        ...

    def outer_address(self, service: str) -> str | None:
        """The URL people reach the service at; None where it is behind no switch."""
        ...

    def preview_address(self, service: str, color: Color) -> str | None:
        """The URL at which one color of the service is reached through the switch."""
        ...
