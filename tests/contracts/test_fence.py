"""What every `Fence` promises: check and effect under one lock, and the youngest epoch wins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.adapters.local.fence import LocalFence
from orchestrator.ports.fence import Fence
from orchestrator.ports.trouble import Superseded

FENCES: dict[str, Callable[[Path], Callable[[], Fence]]] = {
    # name -> (a place) -> (another driver's fence around the same thing)
    "local": lambda place: lambda: LocalFence(str(place / "state" / "fence")),
}


@pytest.fixture(params=FENCES)
def a_fence(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Fence]:
    return FENCES[request.param](tmp_path)


def test_a_new_fence_has_seen_no_epoch(a_fence: Callable[[], Fence]) -> None:
    assert a_fence().youngest() == 0


def test_the_youngest_epoch_is_kept_for_every_later_driver(a_fence: Callable[[], Fence]) -> None:
    with a_fence().holding(7):
        pass
    assert a_fence().youngest() == 7


def test_an_older_epoch_is_refused_before_its_effect(a_fence: Callable[[], Fence]) -> None:
    """S3"""
    happened = []
    with a_fence().holding(2):
        happened.append("young")
    with pytest.raises(Superseded, match="epoch 2"), a_fence().holding(1):
        happened.append("old")
    assert happened == ["young"]
    assert a_fence().youngest() == 2


def test_a_younger_epoch_is_written_down_before_its_effect(a_fence: Callable[[], Fence]) -> None:
    with a_fence().holding(3):
        assert a_fence().youngest() == 3


def test_an_effect_that_fails_leaves_the_fence_open(a_fence: Callable[[], Fence]) -> None:
    with pytest.raises(ZeroDivisionError), a_fence().holding(1):
        raise ZeroDivisionError
    with a_fence().holding(1):
        pass


def test_a_look_that_no_decision_rests_on_raises_nothing(a_fence: Callable[[], Fence]) -> None:
    with a_fence().holding(5), a_fence().holding(None):
        pass
    assert a_fence().youngest() == 5


def test_one_driver_may_enter_again_what_it_is_inside_of(a_fence: Callable[[], Fence]) -> None:
    mine = a_fence()
    with mine.holding(4), mine.holding(4), a_fence().holding(4):
        assert mine.youngest() == 4
    with mine.holding(4):
        pass


def test_entering_again_is_checked_again(a_fence: Callable[[], Fence]) -> None:
    mine = a_fence()
    with mine.holding(1), a_fence().holding(2), pytest.raises(Superseded), mine.holding(1):
        pass
