"""Flips under load: what is lost, what is late, what is torn, how long they take, what they cost.

    python -m bench flips [--quick]

Two services change color together, 3,000 times, under mixed load: kept and new connections, 300 ms
requests, streams, bodies. Beside it, in the same run: the same not pinned, and what people use
instead. Latency and CPU are compared in pairs taken by turns, because this machine is never quiet.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import time
from contextlib import suppress
from pathlib import Path

from bench import cost
from bench.flip_place import Place, flip_place, free_ports
from bench.reloads import KINDS as RIVALS
from bench.reloads import Rival, found
from bench.table import Row
from e2e.load import Flip, Load
from orchestrator.core.model import Color

RATE = 300.0
SLOW_KINDS = (2, 4)  # of e2e.load.KINDS: they take long on purpose
NEAR_S = 0.1  # a request sent this long before a flip or after it is near
TAKES_P50_MS, TAKES_P99_MS = 10.0, 60.0
NEAR_MOST = 1.2


def run(quick: bool, flips: int = 3000) -> list[Row]:
    return asyncio.run(_run(quick, 100 if quick else flips))


async def _run(quick: bool, flips: int) -> list[Row]:
    rows: list[Row] = []
    async with flip_place() as place:
        rows += _told(await _pinned(place, flips))
        rows += _told([await _not_pinned(place, 40 if quick else 300)])
        await place.wire()
        rows += _told(await _instead(place, 10 if quick else 100))
        rows += _told([await _near(place, 1 if quick else 5, 3.0 if quick else 12.0)])
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
    lost = f"{load.lost}" + (f" ({_why(load)})" if load.lost else "")
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
        flip = await place.flip(_color(turn), pinned=pinned)
        load.flipped(flip)
        took.append(flip.acknowledged - flip.began)
        await asyncio.sleep(draw.uniform(0.03, 0.2))
    return took


def _why(load: Load) -> str:
    """What was lost, most first."""
    most = sorted(load.why_lost.items(), key=lambda item: -item[1])[:3]
    return ", ".join(f"{count} {why}" for why, count in most)


def _color(turn: int) -> Color:
    return (Color.GREEN, Color.BLUE)[turn % 2]


# -- What people use instead ---------------------------------------------------------------


async def _instead(place: Place, flips: int) -> list[Row]:
    rows = []
    for name, kind in RIVALS:
        program = found(name)
        if program is None:
            rows.append(Row(f"instead: {name}", "not installed here"))
            continue
        folder = place.folder / name
        folder.mkdir()
        try:
            rows.append(await _rival(place, kind(folder, free_ports(2), program), flips))
        except (RuntimeError, OSError) as error:
            rows.append(Row(f"instead: {name}", "gave up", note=str(error)[:200]))
    return rows


async def _rival(place: Place, rival: Rival, flips: int) -> Row:
    url = f"http://127.0.0.1:{rival.port}"
    draw, took = random.Random(4), []
    try:
        await rival.begin(place.ports(Color.BLUE))
        with Load(url, rate=RATE) as load:
            for turn in range(flips):
                began = time.monotonic()
                await rival.flip(place.ports(_color(turn)))
                flip = Flip(_color(turn).value, began, time.monotonic())
                load.flipped(flip)
                took.append(flip.acknowledged - began)
                await asyncio.sleep(draw.uniform(0.4, 0.8))
    finally:
        await rival.end()
    per_flip = statistics.median(took) * 1000
    note = f"{flips} flips of one service, {load.sent:,} requests;"
    note += f" its command takes {per_flip:.0f} ms"
    note += f"; {_why(load)}" if load.lost else ""
    how = {"Caddy": "API"}.get(rival.name, "reload")
    return Row(f"instead: {rival.name} {how}", f"{load.lost} lost, {load.old} old", note=note)


# -- Latency near a flip -------------------------------------------------------------------


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
                await place.flip(_color(turn), pinned=True)
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
