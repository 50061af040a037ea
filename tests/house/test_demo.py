"""The demo's own reckoning: what it counts it counts right, and it stands in nobody's way."""

from __future__ import annotations

import socket
import time
from array import array
from pathlib import Path
from typing import Any

import pytest

from e2e.load import older
from examples.shop import place
from examples.shop.visitors import switchings
from orchestrator.config.load import load
from orchestrator.core.model import Color


def test_the_ports_it_asks_for_are_those_of_the_site() -> None:
    site = load(place.HERE / "bg.yaml")
    used = {site.switches[0].port}
    for service in site.services:
        for color in Color:
            used |= {service.placement.port(color, i) for i in range(service.placement.count)}
    assert used <= set(place.ports((place.HERE / "bg.yaml").read_text()))


def test_where_a_stranger_has_its_ports_it_plays_on_others(tmp_path: Path) -> None:
    (tmp_path / "bg.yaml").write_text((place.HERE / "bg.yaml").read_text())
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if place.free(18080):
            stranger.bind(("127.0.0.1", 18080))
            stranger.listen()
        site = place.site_file(tmp_path)
    assert site != tmp_path / "bg.yaml"
    assert load(site).switches[0].port != 18080
    assert load(site).state != load(tmp_path / "bg.yaml").state
    assert place.url(site) == f"http://127.0.0.1:{load(site).switches[0].port}"


def test_every_switch_in_the_journal_is_found_with_its_color_and_its_time() -> None:
    now = time.time()
    first, second = list(switchings(ROLLOUTS, records(now)))
    assert (first.what, first.flip.color) == ("deploy, 1 → 2", "green")
    assert (second.what, second.flip.color) == ("deploy, 1 → 2", "blue")  # it was taken back
    assert first.flip.acknowledged - first.flip.began == pytest.approx(0.02, abs=1e-3)
    assert first.flip.acknowledged == pytest.approx(time.monotonic() - 10 + 0.02, abs=1)


def test_an_answer_by_the_old_color_after_a_switch_would_be_found() -> None:
    flips = [one.flip for one in switchings(ROLLOUTS, records(time.time()))]
    sent, blue = flips[0].acknowledged + 1, 0.0

    assert older(array("d", (sent, 0.01, 0.0, blue)), flips) == 1
    assert older(array("d", (sent, 0.01, 0.0, 1.0)), flips) == 0


ROLLOUTS: list[dict[str, Any]] = [
    {
        "id": 7,
        "kind": "deploy",
        "changes": [{"before": {"version": "1"}, "after": {"version": "2"}}],
    }
]


def records(now: float) -> list[dict[str, Any]]:
    """What `bgctl -o json history 7` has of a switch to green, and of the way back."""
    share = {"before": {"is": "Share", "blue": 100, "green": 0}}
    share["after"] = {"is": "Share", "blue": 0, "green": 100}
    told: list[tuple[float, dict[str, Any]]] = [
        (now - 11, {"is": "Opened", "plan": [{"is": "Shift", "flips": [share]}]})
    ]
    for at, undoing in ((now - 10, False), (now - 5, True)):
        step = {"rollout": 7, "step": 0, "undoing": undoing}
        told.append((at, {"is": "Began", **step}))
        told.append((at + 0.02, {"is": "Ended", **step, "facts": [{"is": "Flipped"}]}))
    return [{"at": at, "record": record} for at, record in told]
