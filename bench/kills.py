"""The driver is killed, or stopped past its lease, around the flip, under load, on real processes
and Envoy.

Each time release 2 waits at its gate; `bgctl switch` sends itself a signal at a point drawn; the
next command takes over and goes on. Then back, undisturbed. What is counted: requests lost,
requests that saw both worlds, and answers of the old color after a command said that the new one
serves.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.table import Row
from e2e.load import Flip, Load
from e2e.place import Shop
from tests.conftest import find_ports

TIMES, QUICK_TIMES = 20, 3
LEASE_S = 1.0
RATE = 100.0


def run(quick: bool) -> list[Row]:
    with _shop() as shop:
        return [
            _row(shop, number, QUICK_TIMES if quick else TIMES) for number in ("SIGKILL", "SIGSTOP")
        ]


@contextlib.contextmanager
def _shop() -> Iterator[Shop]:
    with tempfile.TemporaryDirectory(prefix="bg-bench-") as folder:
        shop = Shop(Path(folder), find_ports(100), soak="200ms", drain="300ms", lease="1s")
        try:
            _right(shop, "deploy", "1")
            yield shop
        finally:
            shop.end()


def _row(shop: Shop, number: str, times: int) -> Row:
    draw = random.Random(times)
    _right(shop, "deploy", "2")
    points = shop.bg("switch", at=0).points
    _right(shop, "backout")
    with Load(shop.url, rate=RATE, seconds=1800) as load:
        for _ in range(times):
            _right(shop, "deploy", "2")
            began = time.monotonic()
            _disturbed(shop, number, draw.randint(1, points))
            _served_by(shop, "2")
            load.flipped(Flip("green", began, time.monotonic()))
            began = time.monotonic()
            _right(shop, "backout")
            load.flipped(Flip("blue", began, time.monotonic()))
    counts = (load.lost, load.torn, load.old)
    return Row(
        f"driver gets {number} around the flip, {times} times: lost, torn, old answers",
        ", ".join(map(str, counts)),
        "0, 0, 0",
        counts == (0, 0, 0),
        f"{load.sent} requests at {RATE:g}/s; each time the next command takes over",
    )


def _disturbed(shop: Shop, number: str, at: int) -> None:
    switch = shop.begin("switch", at=at, number=number)
    try:
        os.waitid(os.P_PID, switch.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            switch.wait(LEASE_S + 0.3)
    finally:
        if switch.poll() is None and number == "SIGKILL":
            switch.kill()
    if shop.status()["rollout"] is not None:
        waits = (shop.status()["rollout"]["waits"] or {}).get("for")
        _right(shop, "switch" if waits == "grant" else "resume")
    if switch.poll() is None:
        switch.kill()
    switch.communicate()


def _served_by(shop: Shop, version: str) -> None:
    served = {s["release"]["version"] for s in shop.status()["serving"]}
    if served != {version}:
        raise RuntimeError(f"{served} serves, and {version} should")


def _right(shop: Shop, *arguments: str) -> None:
    finished = shop.bg(*arguments)
    if finished.code != 0:
        raise RuntimeError(f"{' '.join(arguments)}: {finished}")
