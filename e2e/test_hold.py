"""Time stands still for a switch, under load, with real processes and a real Envoy (S29).

No request is lost, none sees two worlds, and there is an instant between the last answer of the old
world and the first request of the new one. Where the driver dies or is stopped while it holds,
requests flow again by themselves, and the next command goes on from there.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.load import Load
from e2e.place import Shop

SEED = int(os.environ.get("BG_SEED", "1"))
SWITCHES = 4
DEATHS = 6

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def shop(tmp_path: Path, free_ports: Callable[[int], int]) -> Iterator[Shop]:
    shop = Shop(tmp_path, free_ports(100), soak="300ms", drain="500ms", hold="2s", lease="1s")
    try:
        first = shop.bg("deploy", "1")
        assert first.code == 0, first
        yield shop
    finally:
        shop.end()


def stood_still(shop: Shop) -> list[dict[str, Any]]:
    """Each time that time stood still, oldest first."""
    records = []
    for rollout in range(1, 99):
        said = shop.bg("-o", "json", "history", str(rollout))
        if said.code != 0:
            break
        records += [entry["record"] for entry in json.loads(said.out)["records"]]
    facts = [fact for record in records for fact in record.get("facts", ())]
    return [fact for fact in facts if "waited" in fact]


def test_nothing_is_lost_nothing_is_torn_and_no_two_worlds_work_at_once(
    shop: Shop, tmp_path: Path
) -> None:
    """S29"""
    with Load(shop.url, rate=80, samples=tmp_path / "samples") as load:
        for _ in range(SWITCHES // 2):
            assert shop.bg("deploy", "2", "--switch").code == 0
            assert shop.bg("backout").code == 0
    assert (load.lost, load.torn, load.old) == (0, 0, 0), load.why_lost
    stood = stood_still(shop)
    assert len(stood) == SWITCHES
    assert sum(fact["waited"] for fact in stood) > 0
    assert all(fact["from_s"] <= fact["to_s"] for fact in stood)


def test_where_the_driver_is_killed_while_it_holds_requests_flow_and_the_next_one_goes_on(
    shop: Shop,
) -> None:
    """S1, S29"""
    draw = random.Random(SEED)
    with Load(shop.url, rate=80) as load:
        for turn in range(DEATHS):
            number = signal.SIGSTOP if turn % 3 == 2 else signal.SIGKILL
            _dies_while_it_holds(shop, draw, number)
            assert shop.bg("resume").code == 0
            assert shop.bg("backout").code == 0
    assert (load.lost, load.torn) == (0, 0), load.why_lost


def _dies_while_it_holds(shop: Shop, draw: random.Random, number: signal.Signals) -> None:
    assert shop.bg("deploy", "2").code == 0
    switching = shop.begin("switch", at=0, number="SIGKILL")
    runtime = next(shop.state.glob("envoy/*/runtime/runtime.json"))
    try:
        until(lambda: '.hold"' in runtime.read_text() or switching.poll() is not None)
        time.sleep(draw.uniform(0.0, 0.2))  # an instant of the dance, drawn
        os.kill(switching.pid, number)
        if number is signal.SIGSTOP:
            flows_within(shop, 3.0)
        else:
            switching.wait(5)
            flows_within(shop, 1.0)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(switching.pid, signal.SIGKILL)
        switching.communicate()


def flows_within(shop: Shop, seconds: float) -> None:
    """A new request is answered by then."""
    asked = subprocess.run(
        ["curl", "-sf", "-m", str(seconds), shop.url + "/"],
        capture_output=True,
        check=False,
        timeout=seconds + 5,
    )
    assert asked.returncode == 0, asked


def until(true: Callable[[], bool], within_s: float = 20.0) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.002)
