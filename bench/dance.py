"""One driver that stops time, switches both services, and dies where it is told.

    python -m bench.dance STATE PORT COLOR EPOCH [POINT SIGNAL]

It runs the engine's own dance on the real switch, and sends itself the signal at the point:
`hold before`, `hold after`, `held after`, `send before`, `send after` or `let_go before`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.flip_place import site_of
from orchestrator.core.chronicle import Chronicle
from orchestrator.core.model import Color, Hold, Policy, Share, Site
from orchestrator.core.record import StoodStill
from orchestrator.engine.driver import Driver
from orchestrator.engine.standstill import shift_held
from orchestrator.ports.switch import Switch
from orchestrator.wiring import ready

POINTS = ("hold before", "hold after", "held after", "send before", "send after", "let_go before")
HOLD = Hold(2.0)


@dataclass
class Watched:
    """A switch of which it is known when its verbs were called and had answered."""

    switch: Switch
    point: str = ""
    number: int = signal.SIGKILL
    times: dict[str, float] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self.switch, name)
        if name not in ("hold", "held", "send", "let_go"):
            return verb

        async def watched(*args: Any, **kwargs: Any) -> Any:
            self._passes(f"{name} before")
            result = await verb(*args, **kwargs)
            self._passes(f"{name} after")
            if name == "hold":
                self.times["held from"] = result
            return result

        return watched

    def _passes(self, point: str) -> None:
        self.times[point] = time.time()
        if point == self.point:
            os.kill(os.getpid(), self.number)


def site(state: Path, port: int) -> Site:
    return dataclasses.replace(site_of(state, port), policy=Policy(hold=HOLD))


class Nobody:
    def tell(self, *_: object) -> None:
        """Nothing is told."""


async def dance(described: Site, switch: Watched, color: Color, epoch: int) -> StoodStill:
    """Both services to one color while time stands still. Raises whatever the dance raises."""
    world = dataclasses.replace(ready(described, witness=Nobody()), switch=switch)  # type: ignore[arg-type]
    shares = dict.fromkeys(("web", "api"), Share.all_to(color))
    return await shift_held(Driver(world, epoch, Chronicle(), 0), shares, {}, HOLD)


def main() -> None:
    state, port, color, epoch, *death = sys.argv[1:]
    described = site(Path(state), int(port))
    switch = ready(described, witness=Nobody()).switch  # type: ignore[arg-type]
    point, number = death or ("", "SIGKILL")
    watched = Watched(switch, point, signal.Signals[number])
    asyncio.run(dance(described, watched, Color(color), int(epoch)))


if __name__ == "__main__":
    main()
