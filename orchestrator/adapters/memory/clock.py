"""Time that passes only when everybody waits.

A sleeper is woken in the order of its time, then of its call. Time moves on to the next sleeper
when the event loop has nothing else to run, so the same program sees the same times on every run,
and a day takes no time. Not meant for programs that wait for real things as well: while they do,
virtual time would run away.
"""

from __future__ import annotations

import asyncio
import heapq
from weakref import WeakKeyDictionary

MORNING_S = 1_700_000_000.0
"""When a simulated world begins, in seconds since 1970."""


class SimulatedClock:
    """`ports.clock.Clock` without waiting."""

    def __init__(self, start_s: float = MORNING_S) -> None:
        self._now_s = start_s
        self._count = 0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now_s

    def pass_by(self, seconds: float) -> None:
        """Let time pass while nobody looks. Sleepers whose time is over wake next."""
        self._now_s += seconds

    async def sleep(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        wake: asyncio.Future[None] = loop.create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._now_s + max(seconds, 0.0), self._count, wake))
        _watch(loop, self)
        await wake

    def wake_next(self) -> bool:
        """Move on to the next sleeper; whether there are more. A cancelled one moves no time."""
        while self._sleepers:
            at_s, _, wake = heapq.heappop(self._sleepers)
            if not wake.done():
                self._now_s = max(self._now_s, at_s)
                wake.set_result(None)
                break
        return bool(self._sleepers)


# -- When nobody runs ----------------------------------------------------------------------

_WATCHED: WeakKeyDictionary[asyncio.AbstractEventLoop, list[SimulatedClock]] = WeakKeyDictionary()
"""The clocks with sleepers, by loop. One watch for all: two would each take the other for work."""


def _watch(loop: asyncio.AbstractEventLoop, clock: SimulatedClock) -> None:
    clocks = _WATCHED.setdefault(loop, [])
    if not clocks:
        loop.call_soon(_turn, loop)
    if clock not in clocks:
        clocks.append(clock)


def _turn(loop: asyncio.AbstractEventLoop) -> None:
    clocks = _WATCHED[loop]
    if not loop._ready:  # type: ignore[attr-defined]  # nobody else runs; there is no public way to ask
        clocks[:] = [clock for clock in clocks if clock.wake_next()]
    if clocks:
        loop.call_soon(_turn, loop)
