"""The twelve rules: each is kept by tests that name it; those that fit nowhere else are here."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from orchestrator.core.imagined import doing, imagine, sighting_of, undoing
from orchestrator.core.model import At, Command, Share
from orchestrator.core.sight import holds, undone
from orchestrator.core.steps import (
    LOOKS,
    Before,
    Drain,
    Gate,
    Prove,
    Retire,
    Run,
    Shift,
    Soak,
    Stage,
    Start,
    Step,
    Tidy,
    Wire,
    undoable,
)
from tests.core.made import (
    BLUE,
    GREEN,
    R1,
    R2,
    R3,
    R4,
    R5,
    SHOP,
    Scene,
    planned,
    serving,
    wish,
    with_policy,
)

RULES = range(1, 13)


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_has_a_test_that_names_it(rule: int, root: Path) -> None:
    named = [
        name
        for folder in ("core", "engine", "simulation")
        for path in sorted((root / "tests" / folder).glob("test_*.py"))
        for name in re.findall(r"def (test_rule_\d+_\w+)", path.read_text())
        if name.startswith(f"test_rule_{rule}_")
    ]
    assert named


# -- Rule 7 --------------------------------------------------------------------------------


def busy() -> Scene:
    """Leftovers, a wired address and old releases: a plan with every kind of step in it."""
    own = Command("warm", At.AFTER_CUTOVER, ("do",), ("undo",))
    scene = serving("web", "api", at=replace(SHOP, steps=(own,)))
    scene.lies("web", R4, R5).lies("api", R4, R5)
    scene.runs("web", GREEN, R3).runs("api", GREEN, R3, count=1)
    return scene.pinned("web", GREEN, "api", BLUE)


EVERYTHING = planned(busy(), wish(web=R2, api=R2), policy=with_policy(keep=1, soak_s=1.0))


def test_rule_7_this_plan_has_every_kind_of_step() -> None:
    assert {type(step) for step in EVERYTHING.steps} == set(get_args(Step))


def test_rule_7_undoing_every_step_in_reverse_restores_what_was_there() -> None:
    world = start = imagine(busy().sighting(), EVERYTHING.steps)
    for step in EVERYTHING.steps:
        *_, world = doing(step, world)
        assert isinstance(step, LOOKS) or holds(step, sighting_of(world))
    for step in reversed(EVERYTHING.steps):
        *_, world = undoing(step, world)
        assert undone(step, sighting_of(world))
    was, now = sighting_of(start), sighting_of(world)
    assert now.switch == was.switch
    for before, after in zip(was.installations, now.installations, strict=True):
        assert (before.current, before.running()) == (after.current, after.running())


@pytest.mark.parametrize("many", range(len(EVERYTHING.steps)))
def test_rule_7_a_backout_from_any_prefix_restores_what_was_there(many: int) -> None:
    world = start = imagine(busy().sighting(), EVERYTHING.steps)
    for step in EVERYTHING.steps[:many]:
        *_, world = doing(step, world)
    for step in reversed(EVERYTHING.steps[:many]):
        *_, world = undoing(step, world)
    assert sighting_of(world).switch == sighting_of(start).switch


def test_rule_7_the_shift_goes_back_to_the_shares_of_the_opening() -> None:
    shift = next(s for s in EVERYTHING.steps if isinstance(s, Shift))
    assert {f.before for f in shift.flips} == {Share.all_to(BLUE)}


def test_rule_7_staging_points_at_nothing_and_starting_points_the_color() -> None:
    world = imagine(serving().sighting(), planned(serving(), wish(web=R2)).steps)
    stage, start = planned(serving(), wish(web=R2)).steps[:2]
    *_, staged = doing(stage, world)
    assert staged.cell("web", GREEN).current is None
    *_, started = doing(start, staged)
    assert started.cell("web", GREEN).current == R2
    *_, back = undoing(start, started)
    assert back.cell("web", GREEN).current is None


def test_rule_7_nothing_that_cannot_be_undone_shares_a_step_with_anything_that_can() -> None:
    assert all(undoable(step) for step in EVERYTHING.steps)
    assert EVERYTHING.no_return is None


def test_rule_7_each_part_knows_what_was_there_before() -> None:
    (retire,) = (s for s in EVERYTHING.steps if isinstance(s, Retire))
    assert {(p.service, p.before.running) for p in retire.parts} == {("web", 2), ("api", 1)}
    assert all(p.before != Before() for p in retire.parts)


# -- Rule 12 -------------------------------------------------------------------------------


def test_rule_12_no_step_takes_anything_away_but_what_the_plan_brought_or_nobody_needs() -> None:
    """Additive changes stay: there is no step yet that adds to a schema, and none that takes from
    one. Whoever adds one says here what stays when it is taken back. What the user's own steps do
    stays where the site file says `undo: leave`.
    """
    assert set(get_args(Step)) == {
        Stage,
        Drain,
        Retire,
        Wire,
        Start,
        Prove,
        Gate,
        Shift,
        Soak,
        Tidy,
        Run,
    }


def test_rule_12_taking_back_a_stage_leaves_what_lay_there() -> None:
    world = imagine(serving().lies("web", R3).sighting(), planned(serving(), wish(web=R2)).steps)
    (stage, *_) = planned(serving().lies("web", R3), wish(web=R2)).steps
    *_, staged = doing(stage, world)
    *_, back = undoing(stage, staged)
    assert back.cell("web", GREEN).staged == {R1, R3}
