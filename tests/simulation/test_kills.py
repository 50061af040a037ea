"""S1: the driver is killed at every write, every effect and every look, once and in pairs.

Whoever comes next ends where an undisturbed run ends, and each effect happened once. The runs of
the fast tests are drawn by `BG_SEED`; `-m slow` leaves none out.
"""

from __future__ import annotations

import itertools
import os
import random
from functools import cache

import pytest

from orchestrator.adapters.memory.fuse import Fuse
from orchestrator.core.record import What
from tests.simulation.life import Life
from tests.simulation.promises import Broken, story
from tests.simulation.scenes import SCENES, opened, scene

SEED = os.environ.get("BG_SEED", "1")
AT_GATE = (None, What.BACK)
DRAWN_ONCE, DRAWN_TWICE = 6, 3  # of each scene, in each direction


def drawn(what: str) -> random.Random:
    return random.Random(f"{SEED} {what}")


def lived(name: str, *at: int, at_gate: What | None = None) -> Life:
    return Life(opened(name), Fuse.blowing_at(*at), at_gate=at_gate).live()


@cache
def undisturbed(name: str, at_gate: What | None) -> Life:
    return lived(name, at_gate=at_gate)


def dies(name: str, *at: int, at_gate: What | None = None) -> None:
    """This life ends like the undisturbed one, with the same effects, each as often."""
    quiet, life = undisturbed(name, at_gate), lived(name, *at, at_gate=at_gate)
    where = f"{name}, killed at {at}"
    if life.outcome is not quiet.outcome:
        raise Broken(f"{where}: {life.outcome} instead of {quiet.outcome}\n{story(life.world)}")
    if life.effects != quiet.effects:
        raise Broken(f"{where}: other effects than undisturbed\n{story(life.world)}")


def points(name: str, at_gate: What | None) -> range:
    return range(1, len(undisturbed(name, at_gate).ticks) + 1)


@pytest.mark.parametrize("name", SCENES)
def test_a_life_without_trouble_ends_as_it_should(name: str) -> None:
    life = Life(scene(name)).live()
    assert life.outcome is scene(name).ends
    assert len(set(life.effects)) == len(life.effects)


@pytest.mark.parametrize("at_gate", AT_GATE, ids=["forward", "back"])
@pytest.mark.parametrize("name", SCENES)
def test_a_driver_killed_anywhere_is_followed_by_one_that_ends_as_undisturbed(
    name: str, at_gate: What | None
) -> None:
    """S1"""
    all_ = points(name, at_gate)
    for at in drawn(f"once {name}").sample(all_, min(DRAWN_ONCE, len(all_))):
        dies(name, at, at_gate=at_gate)


@pytest.mark.parametrize("name", SCENES)
def test_a_driver_killed_anywhere_twice_is_followed_by_one_that_ends_as_undisturbed(
    name: str,
) -> None:
    """S1: also during recovery."""
    lots, at_gate = drawn(f"twice {name}"), drawn(name).choice(AT_GATE)
    for _ in range(DRAWN_TWICE):
        one, two = sorted(lots.sample(points(name, at_gate), 2))
        dies(name, one, two, at_gate=at_gate)


@pytest.mark.parametrize("name", ["first", "second"])
def test_a_driver_killed_while_it_plans_leaves_nothing_or_a_rollout(name: str) -> None:
    """Before `Opened` nothing was touched; after it, the next one goes on."""
    quiet = Life(scene(name)).live()
    at_opening = next(n for n, t in enumerate(quiet.ticks, 1) if t.what == "Opened")
    for at in range(1, at_opening + 2):
        life = Life(scene(name), Fuse.blowing_at(at)).live()
        assert life.outcome is quiet.outcome
        assert life.effects == quiet.effects


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("at_gate", AT_GATE, ids=["forward", "back"])
@pytest.mark.parametrize("name", SCENES)
def test_every_single_death(name: str, at_gate: What | None) -> None:
    """S1"""
    for at in points(name, at_gate):
        dies(name, at, at_gate=at_gate)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("at_gate", AT_GATE, ids=["forward", "back"])
@pytest.mark.parametrize("name", SCENES)
def test_every_pair_of_deaths(name: str, at_gate: What | None) -> None:
    """S1"""
    for one, two in itertools.combinations(points(name, at_gate), 2):
        dies(name, one, two, at_gate=at_gate)
