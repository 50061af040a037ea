"""Gates fail closed: an owner, a deadline, a default; a grant is judged by its own time."""

from __future__ import annotations

from orchestrator.core.decide import (
    Answer,
    Do,
    For,
    Turn,
    Wait,
    decide,
)
from orchestrator.core.record import (
    Ended,
    Entry,
    Granted,
    Trouble,
    Way,
)
from orchestrator.core.rollout import Rollout, evolve
from tests.core.made import NOW, story
from tests.core.test_decide import ILL_BEFORE, move, staying
from tests.core.test_rollout import (
    BACK,
    FORWARD,
    GATE,
    GRANT,
    OPENED,
    PROVE,
    SHIFT,
    SHIFTED,
    STAGE,
    START,
    THROUGH,
    TO_GATE,
    began,
    done,
    failed,
    undo_began,
    undo_failed,
)


def after(*entries: Entry) -> Rollout:
    rollout: Rollout | None = None
    for entry in entries:
        rollout = evolve(rollout, entry)
    assert rollout is not None
    return rollout


def test_rule_11_a_gate_that_nobody_granted_in_time_goes_back() -> None:
    """S44"""
    assert move(*TO_GATE, after_s=100.0) == Wait(For.GRANT, NOW + 100)
    late = move(*TO_GATE, after_s=100.1)
    assert late == Turn(Way.BACK, "nobody granted cutover in time")


def test_rule_11_a_gate_that_is_told_to_stay_waits_for_a_person() -> None:
    assert move(*TO_GATE, after_s=100.1, of=staying()) == Wait(For.PERSON)


def test_rule_11_a_late_grant_does_not_pass() -> None:
    entries = story(OPENED, *TO_GATE)
    late = Entry(len(entries) + 1, NOW + 100.1, 0, GRANT)
    rollout = after(*entries, late)
    assert decide(rollout, NOW + 101) == Answer(
        late.number, "this grant does not count: it came too late: the gate's time was over"
    )


def test_rule_11_a_grant_in_time_passes_however_late_it_is_read() -> None:
    assert move(*TO_GATE, GRANT, after_s=1e6) == Do(GATE)


def test_rule_11_a_grant_does_not_survive_a_turn() -> None:
    again = (*THROUGH, BACK, FORWARD, *done(STAGE, START, PROVE))
    assert move(*again) == Do(GATE)
    reopened = (*again, began(GATE, attempt=3, until=NOW + 200))
    assert move(*reopened) == Wait(For.GRANT, NOW + 200)


def test_rule_11_a_grant_survives_a_fall() -> None:
    fallen = (*THROUGH, failed(START, Trouble.ILL), *done(START, PROVE), began(GATE, until=NOW + 1))
    assert move(*fallen) == Do(GATE)


def test_rule_10_a_gate_that_ran_out_after_the_shift_waits_where_the_old_color_was_ill() -> None:
    """Taken back, stuck at undoing the shift, turned forward again: traffic has moved."""
    stuck = (*SHIFTED, BACK, undo_began(SHIFT), undo_failed(SHIFT, Trouble.REFUSED), FORWARD)
    at_gate = (*stuck, *done(STAGE, START, PROVE), began(GATE, attempt=3, until=NOW + 30))
    assert move(*at_gate, of=ILL_BEFORE) == Wait(For.PERSON)
    assert isinstance(move(*at_gate), Turn)


def test_granting_twice_passes_once() -> None:
    """S44"""
    twice = (*TO_GATE, GRANT, Granted(1, "cutover", 1, "ben"), Ended(1, GATE, False))
    assert move(*twice) == Do(SHIFT)
