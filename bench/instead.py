"""What people use instead, under the same load: nginx, HAProxy reloaded; Caddy told by its API.

python -m bench instead [--quick]
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time

from bench.flip_place import Place, color, flip_place, free_ports, why
from bench.reloads import KINDS as RIVALS
from bench.reloads import Rival, found
from bench.table import Row
from e2e.load import Flip, Load
from orchestrator.core.model import Color

RATE = 300.0


def run(quick: bool) -> list[Row]:
    return asyncio.run(_run(10 if quick else 100))


async def _run(flips: int) -> list[Row]:
    async with flip_place() as place:
        await place.wire()
        return await _instead(place, flips)


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
                await rival.flip(place.ports(color(turn)))
                flip = Flip(color(turn).value, began, time.monotonic())
                load.flipped(flip)
                took.append(flip.acknowledged - began)
                await asyncio.sleep(draw.uniform(0.4, 0.8))
    finally:
        await rival.end()
    per_flip = statistics.median(took) * 1000
    note = f"{flips} flips of one service, {load.sent:,} requests;"
    note += f" its command takes {per_flip:.0f} ms"
    note += f"; {why(load)}" if load.lost else ""
    how = {"Caddy": "API"}.get(rival.name, "reload")
    return Row(f"instead: {rival.name} {how}", f"{load.lost} lost, {load.old} old", note=note)
