"""Flips under load: what is lost, what is late, what is torn, how long they take, what they cost.

    python -m bench flips [--quick]

Two services change color together, 3,000 times, under mixed load: kept and new connections, 300 ms
requests, streams, bodies. Beside it, in the same run: the same not pinned. CPU is compared in pairs
taken by turns, because no machine is ever quiet.
"""

from __future__ import annotations

import asyncio
import random
import sys

from bench import cost
from bench.flip_place import Place, color, flip_place, why
from bench.table import Row
from e2e.load import Load

RATE = 300.0
TAKES_P50_MS, TAKES_P99_MS = 10.0, 60.0


def run(quick: bool, flips: int = 3000) -> list[Row]:
    return asyncio.run(_run(quick, 100 if quick else flips))


async def _run(quick: bool, flips: int) -> list[Row]:
    rows: list[Row] = []
    async with flip_place() as place:
        rows += _told(await _pinned(place, flips))
        rows += _told([await _not_pinned(place, 40 if quick else 300)])
    return rows + _told([await cost.measured(3 if quick else 15)])


def _told(rows: list[Row]) -> list[Row]:
    """Said as they come, for it takes a quarter of an hour."""
    for row in rows:
        print(f"  {row.name}: {row.value}", file=sys.stderr, flush=True)
    return rows


# -- Lost, late, torn ----------------------------------------------------------------------


async def _pinned(place: Place, flips: int) -> list[Row]:
    with Load(place.url, rate=RATE) as load:
        took = await _flipping(place, load, flips, pinned=True)
    took_ms = sorted(1000 * seconds for seconds in took)
    p50, p99 = took_ms[len(took_ms) // 2], took_ms[int(len(took_ms) * 0.99)]
    what = f"{flips:,} flips of two services, {load.sent:,} requests"
    lost = f"{load.lost}" + (f" ({why(load)})" if load.lost else "")
    return [
        Row("requests lost", lost, "0", load.lost == 0, what),
        Row("old answers after the acknowledgement", f"{load.old}", "0", load.old == 0, what),
        Row("new web with old api or reverse, pinned", f"{load.torn}", "0", load.torn == 0, what),
        Row(
            "a flip, from the call to every worker verified",
            f"p50 {p50:.1f} ms, p99 {p99:.1f} ms",
            f"p50 ≤ {TAKES_P50_MS:g} ms, p99 ≤ {TAKES_P99_MS:g} ms",
            p50 <= TAKES_P50_MS and p99 <= TAKES_P99_MS,
            f"at {RATE:g} requests a second",
        ),
    ]


async def _not_pinned(place: Place, flips: int) -> Row:
    with Load(place.url, rate=RATE) as load:
        await _flipping(place, load, flips, pinned=False)
    what = f"{flips} flips, {load.sent:,} requests, {load.lost} lost; inner calls follow who serves"
    return Row("the same, not pinned", f"{load.torn} torn", note=what)


async def _flipping(place: Place, load: Load, flips: int, *, pinned: bool) -> list[float]:
    """Flip to and fro at odd moments. How long each took."""
    draw, took = random.Random(4), []
    for turn in range(flips):
        flip = await place.flip(color(turn), pinned=pinned)
        load.flipped(flip)
        took.append(flip.acknowledged - flip.began)
        await asyncio.sleep(draw.uniform(0.03, 0.2))
    return took
