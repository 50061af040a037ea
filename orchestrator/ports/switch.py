"""The switch: what decides which color gets traffic. Every verb carries the driver's epoch."""

from __future__ import annotations

from typing import Protocol

from orchestrator.core.model import Color, Pin, Share
from orchestrator.core.sight import SwitchSeen


class Switch(Protocol):
    async def look(self, epoch: int | None) -> SwitchSeen:
        """Shares, pins and open connections as the running switch has them (every worker asked),
        not as a file says.
        """
        ...

    async def ensure(self, epoch: int) -> None:
        """Every switch of the site runs with the site's routes.

        Changes no share and no pin. `Refused`: cannot be had here.
        """
        ...

    async def send(self, shares: dict[str, Share], pins: dict[Pin, Color], epoch: int) -> None:
        """One write, one instant.

        These services and inner addresses change, all others stay. Returns when every worker has
        it.
        """
        ...

    async def hold(self, services: tuple[str, ...], bound_s: float, epoch: int) -> None:
        """Stop time for new requests. Not kept by this version of any adapter: `Refused`."""
        ...

    async def let_go(self, epoch: int) -> None:
        """Let waiting requests go on. Always harmless."""
        ...

    async def remove(self, epoch: int) -> None:
        """Take the switch away. `Refused` while any service is served."""
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
