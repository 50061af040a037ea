"""Stopping time, decided: from one look at the switch, the clock, and how often it was quiet."""

from __future__ import annotations

import pytest

from orchestrator.core.model import Hold, Service, Site, Streams
from orchestrator.core.stillness import (
    Flip,
    GiveUp,
    Held,
    Look,
    Next,
    flip_by_s,
    next_of,
    standing_still,
)
from tests.core.made import ANY, SAME, service, site

HOLD = Hold(2.0, waiting=100)
ALSO_STREAMS = Hold(2.0, waiting=100, streams=Streams.WAIT)


@pytest.mark.parametrize(
    ("held", "hold", "age_s", "quiet", "next_"),
    [
        pytest.param(Held(3, 0), HOLD, 0.1, 0, Look(0), id="busy"),
        pytest.param(Held(3, 0), HOLD, 0.1, 1, Look(0), id="busy again after a quiet look"),
        pytest.param(Held(0, 7), HOLD, 0.1, 0, Look(1), id="one quiet look is none"),
        pytest.param(Held(0, 7), HOLD, 0.1, 1, Flip(), id="two in a row"),
        pytest.param(Held(0, 100), HOLD, 0.1, 1, Flip(), id="as many as may wait"),
        pytest.param(Held(0, 7, streams=4), HOLD, 0.1, 1, Flip(), id="streams are left out"),
        pytest.param(Held(0, 7, streams=4), ALSO_STREAMS, 0.1, 1, Look(0), id="or waited for"),
        pytest.param(Held(0, 7), HOLD, 1.79, 1, Flip(), id="just in time"),
    ],
)
def test_time_moves_on_once_nothing_is_in_flight_twice(
    held: Held, hold: Hold, age_s: float, quiet: int, next_: Next
) -> None:
    """S29"""
    assert next_of(held, hold, age_s=age_s, quiet=quiet) == next_


@pytest.mark.parametrize(
    ("held", "age_s", "why"),
    [
        pytest.param(Held(0, 0, restarted=True), 0.1, "started again", id="restarted"),
        pytest.param(Held(0, 5, leaked=2), 0.1, "2 requests got through", id="leaked"),
        pytest.param(Held(0, 101), 0.1, "more than 100", id="too many wait"),
        pytest.param(Held(0, 5), 1.8, "were over", id="quiet, but too late"),
        pytest.param(Held(1, 5), 1.8, "1 request was still in flight", id="one never ends"),
        pytest.param(Held(4, 5), 3.0, "4 requests were still in flight", id="some never end"),
    ],
)
def test_it_is_given_up_in_words_whatever_was_seen_before(
    held: Held, age_s: float, why: str
) -> None:
    for quiet in (0, 1, 9):
        answer = next_of(held, HOLD, age_s=age_s, quiet=quiet)
        assert isinstance(answer, GiveUp)
        assert why in answer.reason


def test_a_stream_that_is_waited_for_and_does_not_end_is_named_as_what_it_is() -> None:
    answer = next_of(Held(0, 5, streams=2), ALSO_STREAMS, age_s=1.9, quiet=0)
    assert isinstance(answer, GiveUp)
    assert "2 requests were still in flight" in answer.reason


def test_what_flips_leaves_time_for_the_flip_itself() -> None:
    assert flip_by_s(HOLD) < HOLD.for_s


def _shop() -> Site:
    services: tuple[Service, ...] = (
        service("web", uses=[("api", SAME)]),
        service("api", uses=[("store", ANY)]),
        service("store", uses=[("api", ANY)]),
        service("static"),
    )
    return site(*services)


@pytest.mark.parametrize(
    ("flips", "stand_still"),
    [
        (("static",), {"static"}),
        (("web",), {"web"}),
        (("api",), {"api", "web", "store"}),
        (("store",), {"store", "api", "web"}),
        (("web", "api"), {"web", "api", "store"}),
    ],
)
def test_whoever_calls_what_flips_stands_still_with_it(
    flips: tuple[str, ...], stand_still: set[str]
) -> None:
    """A caller that is still at work could see both worlds in one request."""
    found = standing_still(_shop(), flips)
    assert set(found) == stand_still
    assert len(found) == len(stand_still)
