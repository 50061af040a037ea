"""Time standing still for a flip: whether both worlds ever worked at once, what it costs, who dies.

    python -m bench hold [--quick]

Two services change color together under mixed load, with a hold and without, and each of them
notes when it worked on a request: that says for how long the old world was still at work after the
new one had begun. Then the mechanism alone, where nobody is slow; drivers that die or are stopped
at each point of the dance; and what the gate costs while nobody holds.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import struct
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench import hold_cost
from bench.dance import HOLD, POINTS, Watched, dance
from bench.flip_place import ROOT, Place, flip_place
from bench.table import Row
from e2e.load import KINDS, Flip, Load
from orchestrator.core.model import Color, Policy, Share
from orchestrator.core.record import StoodStill
from orchestrator.engine.standstill import GivenUp

RATE = 300.0
QUICK_KINDS = ("kept", "new", "post")
OWN_P50_MS, OWN_P99_MS, FLOWS_MS = 20.0, 100.0, 250.0


def run(quick: bool, flips: int = 300) -> list[Row]:
    return asyncio.run(_run(20 if quick else flips, 1 if quick else 20, 3 if quick else 15))


async def _run(flips: int, deaths: int, pairs: int) -> list[Row]:
    rows: list[Row] = []
    async with flip_place(Policy(hold=HOLD)) as place:
        rows += _told(await _flips(place, flips))
        rows += _told([await _own_time(place, flips)])
        for number in (signal.SIGKILL, signal.SIGSTOP):
            rows += _told([await _deaths(place, number, deaths)])
        rows += _told([await _many(place)])
    return rows + _told([await hold_cost.measured(pairs)])


def _told(rows: list[Row]) -> list[Row]:
    for row in rows:
        print(f"  {row.name}: {row.value}", file=sys.stderr, flush=True)
    return rows


def _color(turn: int) -> Color:
    return (Color.GREEN, Color.BLUE)[turn % 2]


# -- Both worlds at once -------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """One flip under a hold. Times by the monotonic clock."""

    flip: Flip
    stood: StoodStill
    own_s: float  # from the write that holds until the gate opens


async def _flips(place: Place, flips: int) -> list[Row]:
    held, load, given_up = await _holding(place, flips, only=())
    both, streams = _overlaps(place, [h.flip for h in held], time.monotonic())
    without, free = await _not_holding(place, flips)
    both_free, _ = _overlaps(place, without, time.monotonic())
    what = f"{len(held)} flips of two services, {load.sent:,} requests"
    what += f", {sum(h.stood.waited for h in held):,} waited"
    what += f", {given_up} holds given up" if given_up else ""
    counts = (sum(ms > 0 for ms in both), load.lost, load.torn)
    at_once = sum(ms > 0 for ms in both_free)
    return [
        Row(
            "with a hold: both worlds at work at once, lost, torn",
            ", ".join(map(str, counts)),
            "0, 0, 0",
            counts == (0, 0, 0),
            what,
        ),
        Row("streams that went on in the old world", f"{streams}", note="apart, as the site says"),
        Row(
            "the same without a hold",
            f"{at_once} of {len(without)} flips",
            note=f"the old world at work after the new one began: p50 {_p(both_free, 0.5):.0f} ms,"
            f" most {max(both_free):.0f} ms; {free.lost} lost, {free.torn} torn",
        ),
        Row(
            "the longest wait of a flip, with 300 ms requests in flight",
            f"p50 {_p([1000 * h.stood.longest_s for h in held], 0.5):.0f} ms",
            note=f"most {1000 * max(h.stood.longest_s for h in held):.0f} ms",
        ),
    ]


async def _holding(place: Place, flips: int, only: tuple[str, ...]) -> tuple[list[Held], Load, int]:
    draw, held, given_up = random.Random(4), [], 0
    with Load(place.url, rate=RATE, only=only) as load:
        for turn in range(flips):
            try:
                held.append(await _held(place, _color(turn)))
                load.flipped(held[-1].flip)
            except GivenUp as why:
                print(f"  given up: {why}", file=sys.stderr, flush=True)
                given_up += 1
            await asyncio.sleep(draw.uniform(0.1, 0.4))
    return held, load, given_up


async def _held(place: Place, color: Color) -> Held:
    began = time.monotonic()
    watched = Watched(place.switch)
    stood = await dance(place.site, watched, color, 1)
    times = watched.times
    own_s = times["let_go before"] - times["held from"]
    return Held(Flip(color.value, began, time.monotonic()), stood, own_s)


async def _not_holding(place: Place, flips: int) -> tuple[list[Flip], Load]:
    draw, done = random.Random(4), []
    with Load(place.url, rate=RATE) as load:
        for turn in range(flips):
            done.append(await place.flip(_color(turn + 1), pinned=True))
            load.flipped(done[-1])
            await asyncio.sleep(draw.uniform(0.4, 0.7))
    return done, load


def _overlaps(place: Place, flips: list[Flip], until: float) -> tuple[list[float], int]:
    """For each flip, ms for which the old world worked on after the new one began; and how many
    streams did.
    """
    notes = {color: _notes(place, color) for color in Color}
    ends = [*(flip.began for flip in flips[1:]), until]
    found, streams = [], 0
    for flip, end in zip(flips, ends, strict=True):
        color = Color(flip.color)
        new = [b for b, _, lasts in notes[color] if flip.began <= b < end and not lasts]
        old = [n for n in notes[color.other] if n[0] < end and n[1] > flip.began]
        if not new:
            continue
        streams += sum(lasts and stop > min(new) for _, stop, lasts in old)
        last = max((stop for _, stop, lasts in old if not lasts), default=0.0)
        found.append(max(0.0, 1000 * (last - min(new))))
    return found, streams


def _notes(place: Place, color: Color) -> list[tuple[float, float, bool]]:
    """When each request was worked on by a color, and whether it lasted."""
    found = []
    for file in sorted(place.folder.glob(f"note-*-{color.value}-*")):
        found += [(b, e, bool(s)) for b, e, s in struct.iter_unpack("ddd", file.read_bytes())]
    return found


def _p(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


# -- The mechanism alone -------------------------------------------------------------------


async def _own_time(place: Place, flips: int) -> Row:
    held, load, given_up = await _holding(place, flips, only=QUICK_KINDS)
    took_ms = [1000 * h.own_s for h in held]
    p50, p99 = _p(took_ms, 0.5), _p(took_ms, 0.99)
    return Row(
        "the mechanism's own time, nobody slow",
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms",
        f"p50 ≤ {OWN_P50_MS:g} ms, p99 ≤ {OWN_P99_MS:g} ms",
        p50 <= OWN_P50_MS and p99 <= OWN_P99_MS,
        f"{len(held)} flips, from the write that holds until the gate opens; {load.lost} lost,"
        f" {load.torn} torn, {given_up} given up; {_waits(held)}",
    )


def _waits(held: list[Held]) -> str:
    waited = [1000 * h.stood.longest_s for h in held if h.stood.waited]
    if not waited:
        return "nobody waited"
    return f"longest wait of a flip: p50 {_p(waited, 0.5):.0f} ms, most {max(waited):.0f} ms"


# -- Drivers that die ----------------------------------------------------------------------


async def _deaths(place: Place, number: signal.Signals, times: int) -> Row:
    """Each point of the dance, so many times; then a successor holds and flips."""
    samples = place.folder / f"samples-{number.name}"
    with Load(place.url, rate=RATE / 2, samples=samples) as load:
        killed, wrong = [], 0
        for turn, point in enumerate(POINTS * times):
            color = _color(turn)
            at, half = await _dies(place, color, _EPOCHS(), point=point, number=number)
            killed.append(at)
            wrong += half
    late = [_flows(load.rows, at) for at in killed if at]
    samples.unlink()
    bound_ms = FLOWS_MS if number is signal.SIGKILL else 1000 * HOLD.for_s + FLOWS_MS
    counts = (load.lost, load.torn, wrong)
    return Row(
        f"driver gets {number.name} while holding, {len(killed)} times: lost, torn, half flipped",
        ", ".join(map(str, counts)),
        "0, 0, 0",
        counts == (0, 0, 0) and max(late) <= bound_ms,
        f"{times} at each of {len(POINTS)} points, {load.sent:,} requests; who waited went on after"
        f" p50 {_p(late, 0.5):.0f} ms, at most {max(late):.0f} ms (bound {bound_ms:.0f} ms)",
    )


_COUNT = itertools.count(2)


def _EPOCHS() -> int:  # noqa: N802 - reads like the value it is
    return next(_COUNT)


async def _dies(
    place: Place, color: Color, epoch: int, *, point: str, number: signal.Signals
) -> tuple[float, bool]:
    """When it died, and whether what it left was half flipped. Afterwards all is on `color`."""
    driver = await _begun(place, color, epoch, point, number.name)
    try:
        at = await _over(driver.pid)
        await asyncio.sleep(0.3 if number is signal.SIGKILL else 1.0)
        half = await _half_flipped(place, next(_COUNT))
        await asyncio.sleep(0.1)
        await dance(place.site, Watched(place.switch), color, next(_COUNT))
        with suppress(ProcessLookupError):
            os.kill(driver.pid, signal.SIGCONT)
        await asyncio.sleep(0.1)
        half |= not await _all_on(place, color)
    finally:
        with suppress(ProcessLookupError):
            driver.kill()
        await driver.wait()
    return at, half


async def _begun(place: Place, color: Color, epoch: int, point: str, number: str) -> Process:
    port = str(place.site.switches[0].port)
    argv = ["-m", "bench.dance", place.site.state, port, color.value, str(epoch), point, number]
    return await asyncio.create_subprocess_exec(
        sys.executable, *argv, cwd=ROOT, stdout=DEVNULL, stderr=DEVNULL
    )


async def _over(pid: int) -> float:
    """When it was dead or stopped."""
    while _works(pid):  # noqa: ASYNC110 - another process gives no event
        await asyncio.sleep(0.002)
    return time.monotonic()


def _works(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "TZ"
    except OSError:
        return False


async def _half_flipped(place: Place, epoch: int) -> bool:
    look = await place.switch.look(epoch)
    shares = dict(look.shares)
    return not look.up or shares["web"] != shares["api"]


async def _all_on(place: Place, color: Color) -> bool:
    look = await place.switch.look(None)
    return look.up and {share for _, share in look.shares} == {Share.all_to(color)}


def _flows(rows: list[tuple[float, ...]], at: float) -> float:
    """How long after a death somebody was still waiting who had come before or came within 0.2 s,
    in ms; who is slow on purpose is left out.
    """
    slow = {list(KINDS).index(kind) for kind in ("slow", "stream")}
    late = [
        sent + took - max(sent, at)
        for sent, took, kind, _ in rows
        if kind not in slow and sent < at + 0.2 and sent + took > at
    ]
    return 1000 * max(late, default=0.0)


# -- Many ----------------------------------------------------------------------------------


async def _many(place: Place, count: int = 4000) -> Row:
    """So many wait at once, then all go on; in which order, and what the driver needs for it."""
    before = _memory_kib()
    await place.switch.hold(("web", "api"), HOLD, next(_COUNT) + 10_000)
    epoch = next(_COUNT) + 10_000
    lines = [await asyncio.open_connection("127.0.0.1", place.site.switches[0].port)
             for _ in range(count)]  # fmt: skip
    for _, writer in lines:
        writer.write(b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n")
    began = time.monotonic()
    while (waiting := (await place.switch.held(epoch)).waiting) < count:
        if time.monotonic() - began > 1.5:
            break
        await asyncio.sleep(0.01)
    memory = _memory_kib() - before
    waits = await place.switch.let_go(epoch)
    heads = await asyncio.gather(*(_head(reader) for reader, _ in lines))
    for _, writer in lines:
        writer.close()
    good = sum(b" 200 " in head for head in heads)
    return Row(
        f"{count:,} requests waiting at once: answered",
        f"{good:,}",
        f"{count:,}",
        good == count,
        f"{waiting:,} waited at once, {len(waits):,} let go; {memory / 1024:.0f} MiB more in the"
        " driver, which here is the client of all of them, too",
    )


async def _head(reader: asyncio.StreamReader) -> bytes:
    with suppress(OSError, EOFError):
        async with asyncio.timeout(30):
            return await reader.readuntil(b"\r\n")
    return b""


def _memory_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])
