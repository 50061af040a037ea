"""How a process does anything: tell the hook, do it at one instant, tell the hook."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from orchestrator.adapters.memory.fuse import LIE, Answer, Hook, Killed, Kind, Tick, When
from orchestrator.adapters.memory.world import Effect, World

T = TypeVar("T")
Change = Callable[[], bool]
"""Makes something true; answers whether it was otherwise before."""


class Doing:
    """The hands of one process. What it is given to do must not wait."""

    def __init__(self, world: World, pid: int, hook: Hook) -> None:
        self.world = world
        self.pid = pid
        self._hook = hook

    async def effect(
        self, verb: str, what: str, change: Change, *, epoch: int, target: str
    ) -> None:
        """Only what was otherwise before goes into the log."""
        answer = await self._tell(When.BEFORE, Kind.EFFECT, verb, what, epoch)
        self.world.fence(target, epoch)
        if answer is not LIE and change():
            self.world.effects.append(Effect(verb, what, epoch, self.pid))
        await self._tell(When.AFTER, Kind.EFFECT, verb, what, epoch)

    async def look(
        self, verb: str, what: str, see: Callable[[], T], *, epoch: int | None, target: str
    ) -> T:
        await self._tell(When.BEFORE, Kind.LOOK, verb, what, epoch)
        self.world.fence(target, epoch)
        seen = see()
        await self._tell(When.AFTER, Kind.LOOK, verb, what, epoch)
        return seen

    async def write(self, verb: str, what: str, keep: Callable[[], T], epoch: int | None) -> T:
        """To journal or lease: these compare for themselves."""
        await self._tell(When.BEFORE, Kind.WRITE, verb, what, epoch)
        kept = keep()
        await self._tell(When.AFTER, Kind.WRITE, verb, what, epoch)
        return kept

    def still_alive(self) -> None:
        if not self.world.living[self.pid]:
            raise Killed(f"process {self.pid} is dead")

    async def _tell(
        self, when: When, kind: Kind, verb: str, what: str, epoch: int | None
    ) -> Answer:
        self.still_alive()
        try:
            answer = self._hook(Tick(when, kind, verb, what, epoch, self.pid))
            if not isinstance(answer, Answer):
                answer = await answer
        except Killed:
            self.world.living[self.pid] = False
            raise
        self.still_alive()  # it may have been ended while it was paused in the hook
        return answer
