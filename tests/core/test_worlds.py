"""Worlds: which color of a service each color of its callers reaches, before and after."""

from __future__ import annotations

import pytest

from orchestrator.core.model import Coupling, Pin
from orchestrator.core.record import Kind
from orchestrator.core.steps import (
    Shift,
    Wire,
    Wiring,
)
from tests.core.made import (
    ANY,
    BLUE,
    GREEN,
    NEWER,
    R1,
    R2,
    SAME,
    SHOP,
    kinds,
    planned,
    serving,
    wish,
)
from tests.core.test_plan import shop, step, two_with


def test_new_web_calls_new_api_before_it_starts() -> None:
    """S29"""
    made = planned(shop(), wish(web=R2, api=R2))
    assert kinds(made.steps) == "stage wire start prove gate shift soak"
    assert step(made, Wire).wirings == (Wiring(Pin("web", GREEN, "api"), None, GREEN),)
    assert step(made, Shift).wirings == ()


def test_a_callee_outside_the_wish_is_shared_by_both_worlds() -> None:
    made = planned(shop(), wish(web=R2))
    assert step(made, Wire).wirings == (Wiring(Pin("web", GREEN, "api"), None, BLUE),)


def test_a_caller_outside_the_wish_moves_with_the_shift_and_it_is_said() -> None:
    made = planned(shop(), wish(api=R2))
    assert not any(isinstance(s, Wire) for s in made.steps)
    assert step(made, Shift).wirings == (Wiring(Pin("web", BLUE, "api"), BLUE, GREEN),)
    assert any(remark.startswith("web is not in the wish") for remark in made.remarks)


def test_a_caller_in_the_wish_is_taken_along() -> None:
    """It moves as a whole, and its old color keeps its old world."""
    made = planned(shop(), wish(api=R2, web=R2))
    assert not any("not in the wish" in remark for remark in made.remarks)
    touched = {w.pin.color for s in made.steps if isinstance(s, Wire | Shift) for w in s.wirings}
    assert touched == {GREEN}


def test_with_any_coupling_the_address_follows_the_traffic() -> None:
    """Before the shift new web calls old api; after it, both colors call new api."""
    made = planned(two_with(ANY), wish(web=R2, api=R2))
    assert step(made, Wire).wirings == (Wiring(Pin("web", GREEN, "api"), None, BLUE),)
    assert set(step(made, Shift).wirings) == {
        Wiring(Pin("web", GREEN, "api"), BLUE, GREEN),
        Wiring(Pin("web", BLUE, "api"), BLUE, GREEN),
    }


@pytest.mark.parametrize("coupling", [SAME, NEWER])
def test_with_same_and_newer_coupling_new_web_never_sees_old_api(coupling: Coupling) -> None:
    made = planned(two_with(coupling), wish(web=R2, api=R2))
    assert step(made, Wire).wirings == (Wiring(Pin("web", GREEN, "api"), None, GREEN),)
    assert step(made, Shift).wirings == ()


def test_an_address_that_leads_there_already_is_not_wired_again() -> None:
    scene = shop().pinned("web", GREEN, "api", GREEN)
    assert not any(isinstance(s, Wire) for s in planned(scene, wish(web=R2, api=R2)).steps)


def test_a_callee_that_never_served_is_wired_to_where_it_comes_up() -> None:
    scene = serving("web", at=SHOP)
    made = planned(scene, wish(web=R2, api=R1))
    assert Wiring(Pin("web", GREEN, "api"), None, BLUE) in step(made, Wire).wirings


def test_a_backout_finds_the_addresses_of_the_old_world_as_they_were() -> None:
    scene = serving("web", "api", on=GREEN, release=R2, at=SHOP)
    for name in ("web", "api"):
        scene.runs(name, BLUE, R1)
    scene.pinned("web", BLUE, "api", BLUE)
    made = planned(scene, wish(Kind.BACKOUT, web=R1, api=R1))
    assert kinds(made.steps) == "prove shift"
    assert step(made, Shift).wirings == ()
