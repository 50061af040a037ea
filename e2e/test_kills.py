"""The driver is killed at writes and effects, again and again in one rollout, with real processes
and a real Envoy.

Each cycle brings release 2 up beside 1, switches to it, and goes back, either before or after it
closed. Every command in it may be killed at a point (`e2e.killed`), its successor too, and so on;
then one is left alone and has to finish. Meanwhile requests flow, and none may be lost or mixed
(S1, S2, S11, S13, S20, S23, S29).

All of it once more, with fewer kills, where time stands still for each switch.

`BG_SEED` draws the points, `BG_KILLS` says how many (60); with `BG_ALL` each point of each verb is
taken in turn.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.load import Load
from e2e.place import Shop
from e2e.story import Story

KILLS = int(os.environ.get("BG_KILLS", "60"))
SEED = int(os.environ.get("BG_SEED", "1"))
ALL = bool(os.environ.get("BG_ALL"))

pytestmark = pytest.mark.timeout(3000 if ALL else 600)


@pytest.fixture(params=[None, "2s"], ids=["", "held"])
def hold(request: pytest.FixtureRequest) -> str | None:
    """How long time may stand still for a switch; None: it does not."""
    value: str | None = request.param
    return value


@pytest.fixture
def shop(tmp_path: Path, free_ports: Callable[[int], int], hold: str | None) -> Iterator[Shop]:
    held = {"hold": hold} if hold else {}
    shop = Shop(tmp_path, free_ports(100), soak="300ms", drain="500ms", **held)
    try:
        first = shop.bg("deploy", "1", "--soak", "300ms")
        assert first.code == 0, first
        yield shop
    finally:
        shop.end()


def test_killed_anywhere_again_and_again_it_loses_nothing_and_does_nothing_twice(
    shop: Shop, hold: str | None
) -> None:
    """S1, S2, S13, S23, S29."""
    draw = random.Random(SEED)
    story = Story(shop, draw)
    with Load(shop.url, rate=60, seconds=2900) as load:
        for verb, there in story.verbs():  # one undisturbed cycle, counted
            story.until(there, verb, 0)
        quiet = _what_is_there(shop)
        cycles = 0
        kills = KILLS // 3 if hold else KILLS
        while story.kills < kills if not ALL else cycles < max(story.points.values()):
            cycles += 1
            for verb, there in story.verbs(stop_at_gate=draw.random() < 0.5):
                most = story.points[verb[0]]
                at = min(cycles, most) if ALL else draw.randint(1, most)
                before = shop.starts("blue"), shop.starts("green")
                story.until(there, verb, at)
                _nothing_twice(shop, verb, before, story)
            assert _what_is_there(shop) == quiet, story.told[-12:]
    assert load.sent > 100
    assert (load.lost, load.torn) == (0, 0), (load.why_lost, story.told[-40:])


def _nothing_twice(
    shop: Shop, verb: tuple[str, ...], before: tuple[dict[str, int], dict[str, int]], story: Story
) -> None:
    """Blue, which served all along, was never started again; green at most once for each deploy."""
    blue, green = before
    assert shop.starts("blue") == blue, story.told[-12:]
    most = 1 if verb[0] == "deploy" else 0
    for name, start in shop.starts("green").items():
        assert start - green.get(name, 0) <= most, (name, story.told[-12:])


def _what_is_there(shop: Shop) -> tuple[set[str], list[str]]:
    """Files, and which instances run: the same after each cycle, or something was left over."""
    running = sorted(n for n, p in shop.processes().items() if p.running and "blue" in n)
    return {f for f in shop.files() if "green" not in f}, running
