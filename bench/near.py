"""What requests near a flip feel of it: their latency, against the same windows without a flip.

    python -m bench near [--quick]

Taken in pairs by turns, because no machine is ever quiet.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import suppress
from pathlib import Path

from bench.flip_place import Place, color, flip_place
from bench.table import Row
from e2e.load import Load

RATE = 300.0
SLOW_KINDS = (2, 4)  # of e2e.load.KINDS: they take long on purpose
NEAR_S = 0.1  # a request sent this long before a flip or after it is near
NEAR_MOST = 1.2


def run(quick: bool) -> list[Row]:
    return asyncio.run(_run(1 if quick else 5, 3.0 if quick else 12.0))


async def _run(pairs: int, seconds: float) -> list[Row]:
    async with flip_place() as place:
        await place.wire()
        return [await _near(place, pairs, seconds)]


async def _near(place: Place, pairs: int, seconds: float) -> Row:
    ratios, told = [], []
    for turn in range(pairs):
        both = {}
        for flipping in (turn % 2 == 0, turn % 2 == 1):
            both[flipping] = await _p99_ms(place, seconds, flipping=flipping)
        ratios.append(both[True] / both[False])
        told.append(f"{both[True]:.1f}/{both[False]:.1f}")
    ratio = statistics.median(ratios)
    note = f"median of {pairs} pairs, ms with/without: {', '.join(told)}"
    return Row(
        "p99 of requests near a flip, against none",
        f"{ratio:.2f} ×",
        f"≤ {NEAR_MOST} ×",
        ratio <= NEAR_MOST,
        note,
    )


async def _p99_ms(place: Place, seconds: float, *, flipping: bool) -> float:
    """Of requests within 100 ms of a flip every half second; without, of the same windows."""
    file = place.folder / "samples"
    moments, turn = [], 0
    with Load(place.url, rate=RATE, samples=file) as load:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            moments.append(time.monotonic())
            if flipping:
                await place.flip(color(turn), pinned=True)
                turn += 1
            await asyncio.sleep(0.5)
    took = [
        1000 * row[1]
        for row in load.rows
        if row[2] not in SLOW_KINDS and any(abs(row[0] - moment) <= NEAR_S for moment in moments)
    ]
    _forget(file)
    return statistics.quantiles(took, n=100)[98]


def _forget(file: Path) -> None:
    with suppress(FileNotFoundError):
        file.unlink()
