"""Simulated time: it passes in order, only when everybody waits, and the same way every time."""

from __future__ import annotations

import asyncio
import time

from orchestrator.adapters.memory.clock import SimulatedClock


async def test_sleepers_wake_in_the_order_of_their_time() -> None:
    clock, woken = SimulatedClock(0.0), []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((seconds, clock.now()))

    await asyncio.gather(*(sleeper(s) for s in (3.0, 1.0, 2.0, 1.0, 0.0, -1.0)))
    assert woken == [(0.0, 0.0), (-1.0, 0.0), (1.0, 1.0), (1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]


async def test_a_day_takes_no_time() -> None:
    clock, began_s = SimulatedClock(0.0), time.monotonic()
    for _ in range(1000):
        await clock.sleep(86.4)
    assert round(clock.now()) == 86400
    assert time.monotonic() - began_s < 5.0


async def test_time_stands_still_while_anybody_works() -> None:
    clock, seen = SimulatedClock(0.0), []

    async def worker() -> None:
        for _ in range(100):
            await asyncio.sleep(0)
            seen.append(clock.now())

    await asyncio.gather(clock.sleep(5.0), worker())
    assert set(seen) == {0.0} and clock.now() == 5.0


async def test_who_stops_sleeping_moves_no_time() -> None:
    clock = SimulatedClock(0.0)
    cancelled = asyncio.create_task(clock.sleep(1000.0))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    await clock.sleep(1.0)
    assert clock.now() == 1.0


async def test_two_clocks_in_one_program_do_not_wait_for_each_other() -> None:
    first, second = SimulatedClock(0.0), SimulatedClock(0.0)
    left = asyncio.create_task(first.sleep(1.0))
    await asyncio.sleep(0)
    left.cancel()

    async def walk(clock: SimulatedClock) -> None:
        for _ in range(10):
            await clock.sleep(1.0)

    async with asyncio.timeout(10):
        await asyncio.gather(walk(first), walk(second))
    assert (first.now(), second.now()) == (10.0, 10.0)


async def test_time_can_pass_while_nobody_looks() -> None:
    clock = SimulatedClock(0.0)
    sleeping = asyncio.create_task(clock.sleep(5.0))
    await asyncio.sleep(0)
    clock.pass_by(100.0)
    await sleeping
    assert clock.now() == 100.0
