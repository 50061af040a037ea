"""What a sighting says about a step: whether it holds, and whether nothing of it is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from orchestrator.core.model import Pin, Share
from orchestrator.core.sight import InstanceSeen, Sighting, SwitchSeen, holds, undone
from orchestrator.core.steps import (
    LOOKS,
    Before,
    Drain,
    Flip,
    Gate,
    Part,
    Prove,
    Retire,
    Shift,
    Soak,
    Stage,
    Start,
    Step,
    Tidy,
    Wire,
    Wiring,
)
from tests.core.made import BLUE, GREEN, R1, R2, R3, SHOP, Scene, serving

NEW = Part("web", GREEN, 2, R2)
REUSED = Part("web", GREEN, 2, R2, Before(R3, 0, False))
OLD = Part("web", GREEN, 2, R3, Before(R3, 2, True))
PIN = Pin("web", GREEN, "api")

STAGE, START = Stage((NEW,)), Start((NEW,))
RETIRE = Retire((OLD,))
WIRE = Wire((Wiring(PIN, BLUE, GREEN),))
WIRE_ANEW = Wire((Wiring(PIN, None, GREEN),))
SHIFT = Shift((Flip("web", Share.all_to(BLUE), Share.all_to(GREEN)),), (Wiring(PIN, BLUE, GREEN),))
TIDY = Tidy((("web", R3),))


def old() -> Scene:
    return serving("web", "api", at=SHOP)


def new() -> Scene:
    return old().runs("web", GREEN, R2)


def moved() -> Scene:
    return new().serves("web", GREEN).pinned("web", GREEN, "api", GREEN)


Case = tuple[Step, Callable[[], Scene], bool]

HOLDS: dict[str, Case] = {
    "nothing is staged": (STAGE, old, False),
    "it lies there": (STAGE, lambda: old().lies("web", R2), True),
    "only one of two lies there": (
        Stage((NEW, replace(NEW, service="api"))),
        lambda: old().lies("web", R2),
        False,
    ),
    "other bytes under its name lie there": (
        STAGE,
        lambda: old().lies("web", replace(R2, digest="other")),
        False,
    ),
    "nothing runs": (START, old, False),
    "all of it runs": (START, new, True),
    "some of it runs": (START, lambda: old().runs("web", GREEN, R2, count=1), False),
    "more of it runs": (START, lambda: old().runs("web", GREEN, R2, count=3), True),
    "other bytes under its name run": (
        START,
        lambda: old().runs("web", GREEN, replace(R2, digest="other")),
        False,
    ),
    "it runs and the color points elsewhere": (
        START,
        lambda: old().runs("web", GREEN, R2).runs("web", GREEN, R1, count=0),
        False,
    ),
    "the color points at it and nothing runs": (
        START,
        lambda: old().runs("web", GREEN, R2, count=0),
        False,
    ),
    "the leftover runs": (RETIRE, lambda: old().runs("web", GREEN, R3), False),
    "one of the leftovers runs": (RETIRE, lambda: old().runs("web", GREEN, R3, count=1), False),
    "the leftover is down and would be started again": (
        RETIRE,
        lambda: old().seen("web", GREEN, InstanceSeen(0, R3, False, 4, kept=True)),
        False,
    ),
    "the leftover is gone": (
        RETIRE,
        lambda: old().seen("web", GREEN, InstanceSeen(0, R3, False, 4)),
        True,
    ),
    "another release runs where the leftover did": (RETIRE, new, True),
    "the address leads to the old world": (
        WIRE,
        lambda: old().pinned("web", GREEN, "api", BLUE),
        False,
    ),
    "the address leads to the new world": (WIRE, moved, True),
    "the address leads nowhere": (WIRE, old, False),
    "the traffic and the addresses moved": (SHIFT, moved, True),
    "only the traffic moved": (SHIFT, lambda: new().serves("web", GREEN), False),
    "only the addresses moved": (SHIFT, lambda: moved().serves("web", BLUE), False),
    "nothing moved": (SHIFT, new, False),
    "the old release still lies there": (TIDY, lambda: old().lies("web", R3), False),
    "the old release is gone": (TIDY, old, True),
}

UNDONE: dict[str, Case] = {
    "it still lies there": (STAGE, lambda: old().lies("web", R2), False),
    "it is gone": (STAGE, old, True),
    "it lay there before": (
        Stage((replace(NEW, before=Before(staged=True)),)),
        lambda: old().lies("web", R2),
        True,
    ),
    "it still runs": (START, new, False),
    "one of it still runs": (START, lambda: old().runs("web", GREEN, R2, count=1), False),
    "it is stopped and the color still points at it": (
        START,
        lambda: old().runs("web", GREEN, R2, count=0),
        False,
    ),
    "it is down and would be started again": (
        START,
        lambda: old().seen("web", GREEN, InstanceSeen(0, R2, False, 4, kept=True)),
        False,
    ),
    "it is stopped and the color points at nothing, as before": (START, old, True),
    "it is stopped and the color points at nothing, unlike before": (
        Start((REUSED,)),
        lambda: old().lies("web", R3),
        False,
    ),
    "it is stopped and what the color pointed at lies nowhere any more": (
        Start((REUSED,)),
        old,
        True,
    ),
    "it is stopped and the color points at what it did before": (
        Start((REUSED,)),
        lambda: old().runs("web", GREEN, R3, count=0),
        True,
    ),
    "as many run as did before": (RETIRE, lambda: old().runs("web", GREEN, R3), True),
    "fewer run than did before": (RETIRE, lambda: old().runs("web", GREEN, R3, count=1), False),
    "none ran before either": (
        Retire((replace(OLD, before=Before(R3, 0, True)),)),
        old,
        True,
    ),
    "the address leads where it did": (
        WIRE,
        lambda: old().pinned("web", GREEN, "api", BLUE),
        True,
    ),
    "the address leads elsewhere": (WIRE, moved, False),
    "the address was never wired before, and leads anywhere": (WIRE_ANEW, moved, True),
    "the traffic is where it was": (
        SHIFT,
        lambda: new().pinned("web", GREEN, "api", BLUE),
        True,
    ),
    "the traffic is not where it was": (SHIFT, moved, False),
    "the traffic is back and an address is not": (
        SHIFT,
        lambda: moved().serves("web", BLUE),
        False,
    ),
    "the traffic stopped half-way": (SHIFT, lambda: halfway(moved()), False),
}


def halfway(scene: Scene) -> Scene:
    scene.shares["web"] = Share(50, 50)
    return scene


@pytest.mark.parametrize(("step", "scene", "expected"), HOLDS.values(), ids=HOLDS)
def test_a_step_holds_where(step: Step, scene: Callable[[], Scene], expected: bool) -> None:
    assert holds(step, scene().sighting()) is expected


@pytest.mark.parametrize(("step", "scene", "expected"), UNDONE.values(), ids=UNDONE)
def test_nothing_of_a_step_is_left_where(
    step: Step, scene: Callable[[], Scene], expected: bool
) -> None:
    assert undone(step, scene().sighting()) is expected


@pytest.mark.parametrize(
    "step", [Drain((NEW,)), Prove((NEW,)), Gate("cutover"), Soak((NEW,))], ids=str
)
def test_looks_are_never_true_beforehand_and_leave_nothing(step: Step) -> None:
    assert isinstance(step, LOOKS)
    for scene in (old(), new(), moved()):
        assert not holds(step, scene.sighting())
        assert undone(step, scene.sighting())


def test_what_was_tidied_needs_no_undo() -> None:
    assert undone(TIDY, old().sighting())


# -- What was not seen ---------------------------------------------------------------------

ACTING: tuple[Step, ...] = (
    STAGE,
    RETIRE,
    WIRE,
    WIRE_ANEW,
    START,
    SHIFT,
    TIDY,
    Shift((Flip("web", Share(), Share.all_to(BLUE)),)),
)
NOTHING_SEEN = {
    "nothing answered": Sighting((), SwitchSeen(up=False), ("nobody is there",)),
    "installations did not answer": replace(
        old().sighting(), installations=(), unreached=("installations",)
    ),
    "the switch did not answer": replace(old().sighting(), switch=SwitchSeen(up=False)),
}


@pytest.mark.parametrize("step", ACTING, ids=str)
def test_where_nothing_was_seen_nothing_holds_and_nothing_is_undone(step: Step) -> None:
    """Rule 2: what could not be looked at is not known."""
    blind = NOTHING_SEEN["nothing answered"]
    assert not holds(step, blind)
    assert not undone(step, blind) or step == TIDY


def test_a_color_that_did_not_answer_is_not_an_empty_one() -> None:
    blind = NOTHING_SEEN["installations did not answer"]
    for step in (STAGE, START, RETIRE, TIDY):
        assert not holds(step, blind)
    for step in (STAGE, START):
        assert not undone(step, blind)


def test_a_switch_that_did_not_answer_is_not_one_without_traffic() -> None:
    blind = NOTHING_SEEN["the switch did not answer"]
    first = Shift((Flip("web", Share(), Share.all_to(BLUE)),))
    assert not undone(first, blind)
    assert not undone(WIRE_ANEW, blind)
    assert not holds(Shift((Flip("web", Share.all_to(BLUE), Share()),)), blind)


def test_a_silent_switch_hides_nothing_about_installations_and_the_reverse() -> None:
    assert holds(START, replace(new().sighting(), switch=SwitchSeen(up=False)))
    assert holds(SHIFT, replace(moved().sighting(), installations=(), unreached=("hosts",)))


# -- Reading a sighting --------------------------------------------------------------------


def test_connections_are_counted_by_color() -> None:
    scene = old()
    scene.connections = {("web", BLUE): 3, ("web", GREEN): 1, ("api", BLUE): 9}
    assert scene.sighting().switch.open_connections("web", BLUE) == 3
    assert scene.sighting().switch.open_connections("api", GREEN) == 0


def test_an_installation_counts_by_release() -> None:
    scene = old().runs("web", GREEN, R2).seen("web", GREEN, InstanceSeen(1, R3, True, 2))
    seen = scene.sighting().at("web", GREEN)
    assert (seen.running(), seen.running(R2), seen.running(R1)) == (2, 1, 0)
    assert not seen.empty
    assert scene.sighting().at("api", GREEN).empty
