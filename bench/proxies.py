"""Flips over HAProxies: what is lost over two under load, and how far a hundred are apart.

    python -m bench proxies [--quick]

The proxies are real ones on this machine, driven by the very code of the agent in this process;
what SSH adds on a network is not in here. All listen at the same ports, and the kernel spreads who
comes.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any

from bench.flip_place import answering, begun, ended
from bench.table import Row
from e2e.load import Flip, Load
from orchestrator.core.model import Color, Pin, Share
from orchestrator.proxies.far import Args, Far

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "agents"))  # the modules of the agent, as they find each other

from tests.adapters.haproxy.place import HaproxyPlace  # noqa: E402
from tests.adapters.proxies.place import new_place  # noqa: E402

RATE = 300.0
APART_MOST_MS = 250.0
SMALL = "\nglobal\n    nbthread 1\n    maxconn 200\n"


def run(quick: bool) -> list[Row]:
    return asyncio.run(_run(quick))


async def _run(quick: bool) -> list[Row]:
    return [*await _two(30 if quick else 300), await _hundred(20 if quick else 100)]


# -- Two, under load -----------------------------------------------------------------------


async def _two(flips: int) -> list[Row]:
    async with _place(2) as place, _instances(place):
        await place.switch.send(_both(Color.BLUE), {_pin(c): c for c in Color}, 1)
        url = place.site.proxies[0].url
        with Load(url, rate=RATE) as load:
            took = await _flipping(place, load, flips)
    what = f"{flips} flips of two services at two HAProxies, {load.sent:,} requests"
    lost = str(load.lost) + (f" ({load.why_lost})" if load.lost else "")
    ms = sorted(1000 * seconds for seconds in took)
    return [
        Row("HAProxy: requests lost", lost, "0", load.lost == 0, what),
        Row(
            "HAProxy: old answers after the acknowledgement", f"{load.old}", "0", not load.old, what
        ),
        Row("HAProxy: new web with old api or reverse", f"{load.torn}", "0", not load.torn, what),
        Row(
            "HAProxy: a flip, from the call to both verified",
            f"p50 {statistics.median(ms):.1f} ms, p99 {ms[int(len(ms) * 0.99)]:.1f} ms",
            note=f"at {RATE:g} requests a second",
        ),
    ]


async def _flipping(place: HaproxyPlace, load: Load, flips: int) -> list[float]:
    draw, took = random.Random(4), []
    for turn in range(flips):
        color = (Color.GREEN, Color.BLUE)[turn % 2]
        began = time.monotonic()
        await place.switch.send(_both(color), {}, 1)
        flip = Flip(color.value, began, time.monotonic())
        load.flipped(flip)
        took.append(flip.acknowledged - flip.began)
        await asyncio.sleep(draw.uniform(0.03, 0.2))
    return took


# -- A hundred -----------------------------------------------------------------------------


class Watched:
    """Notes when the first flip was asked for, and when the last was verified."""

    def __init__(self, far: Far) -> None:
        self._far = far
        self.first = self.last = 0.0

    async def ask(self, host: str, verb: str, args: Args, epoch: int | None) -> dict[str, Any]:
        if verb == "proxy_send" and not self.first:
            self.first = time.monotonic()
        answer = await self._far.ask(host, verb, args, epoch)
        if verb == "proxy_send":
            self.last = time.monotonic()
        return answer


async def _hundred(count: int) -> Row:
    apart, whole = [], []
    async with _place(count, SMALL) as place:
        for turn in range(10):
            far = Watched(place.near)
            began = time.monotonic()
            color = (Color.GREEN, Color.BLUE)[turn % 2]
            await place.another(far).send(_both(color), {}, 1)
            whole.append(1000 * (time.monotonic() - began))
            apart.append(1000 * (far.last - far.first))
    worst, half = max(apart), statistics.median(apart)
    return Row(
        f"HAProxy: {count} proxies, from the first flip to the last verified",
        f"p50 {half:.0f} ms, worst {worst:.0f} ms",
        f"≤ {APART_MOST_MS:g} ms",
        half <= APART_MOST_MS,
        f"10 flips; with preparing all before: p50 {statistics.median(whole):.0f} ms",
    )


# -- What it is measured on ----------------------------------------------------------------


@asynccontextmanager
async def _place(proxies: int, extra: str = "") -> AsyncIterator[HaproxyPlace]:
    with tempfile.TemporaryDirectory(prefix="bg-bench-") as name:
        async with new_place(HaproxyPlace, Path(name), proxies, extra=extra) as place:
            yield place


@asynccontextmanager
async def _instances(place: HaproxyPlace) -> AsyncIterator[None]:
    started: list[Process] = []
    try:
        for service, color, index in product(place.site.services, Color, range(2)):
            port = service.placement.port(color, index)
            started.append(await _instance(place, service.name, color, port))
        yield
    finally:
        for one in started:
            await ended(one)


async def _instance(place: HaproxyPlace, service: str, color: Color, port: int) -> Process:
    argv = ["-m", "e2e.sample", service, "--port", str(port), "--color", color.value]
    if place.site.service(service).uses:
        host, inner = place.switch.inner_address(_pin(color))
        argv += ["--uses", f"http://{host}:{inner}"]
    started = await begun([sys.executable, *argv], ROOT)
    await answering(port)
    return started


def _pin(color: Color) -> Pin:
    return Pin("web", color, "api")


def _both(color: Color) -> dict[str, Share]:
    return dict.fromkeys(("web", "api"), Share.all_to(color))
