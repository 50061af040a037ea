"""A driver that was paused (a suspended machine, SIGSTOP) past its lease, while its successor works
(S3).

It is stopped at points drawn from a seed: between a look and an effect, inside an effect, in the
middle of a write. The next command takes over without anybody's help; the old one wakes up, or
would, and changes nothing.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.load import Load
from e2e.place import Shop
from e2e.story import stopped

SEED = int(os.environ.get("BG_SEED", "1"))
TIMES = 40 if os.environ.get("BG_ALL") else 6
LEASE_S = 1.0

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def shop(tmp_path: Path, free_ports: Callable[[int], int]) -> Iterator[Shop]:
    shop = Shop(tmp_path, free_ports(100), soak="300ms", drain="500ms", lease="1s")
    try:
        first = shop.bg("deploy", "1")
        assert first.code == 0, first
        yield shop
    finally:
        shop.end()


def test_a_driver_that_slept_past_its_lease_changes_nothing_when_it_wakes(shop: Shop) -> None:
    """S3, S2: taken over without a manual unlock, at any point of a deploy."""
    draw = random.Random(SEED)
    counted = shop.bg("deploy", "2", at=0)
    assert counted.code == 0, counted
    assert shop.bg("backout").code == 0
    with Load(shop.url, rate=60, seconds=800) as load:
        for _ in range(TIMES):
            at = draw.randint(1, counted.points)
            _paused_and_taken_over(shop, at)
    assert (load.lost, load.torn) == (0, 0), load.why_lost


def _paused_and_taken_over(shop: Shop, at: int) -> None:
    sleeper = shop.begin("deploy", "2", at=at, number="SIGSTOP")
    try:
        if stopped(sleeper.pid):
            with contextlib.suppress(subprocess.TimeoutExpired):
                sleeper.wait(LEASE_S + 0.5)  # longer than its term
        if shop.status()["rollout"] is None:
            assert shop.bg("deploy", "2").code == 0
        successor = shop.bg("resume")
        assert successor.code in (0, 2), (at, successor)
        before = _truth(shop)
        if sleeper.poll() is None:
            sleeper.send_signal(signal.SIGCONT)
        out, err = sleeper.communicate(timeout=20)
        assert _truth(shop) == before, (at, out, err)
        back = shop.bg("backout")
        assert back.code == 0, (at, back)
    finally:
        if sleeper.poll() is None:
            sleeper.kill()
            sleeper.communicate()


def _truth(shop: Shop) -> tuple[object, ...]:
    """Who serves, what runs under which start number, what is open."""
    status = shop.status()
    processes = {n: (p.running, p.start, p.tag) for n, p in shop.processes().items()}
    served = [(s["service"], s["color"], s["release"]["version"]) for s in status["serving"]]
    rollout = status["rollout"] and (status["rollout"]["id"], status["rollout"]["way"])
    return processes, served, rollout
