"""The fold: what the journal of one plan adds up to, case by case."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.core.health import Verdict
from orchestrator.core.record import (
    Answered,
    Asked,
    Began,
    Closed,
    Ended,
    Failed,
    Flipped,
    FoundWell,
    Granted,
    NoStandby,
    Outcome,
    Record,
    Trouble,
    Turned,
    Way,
    What,
)
from orchestrator.core.rollout import FALLS_MAX, Rollout, evolve
from orchestrator.core.steps import Drain, Retire
from tests.core.made import (
    BLUE,
    GREEN,
    NOW,
    QUICK,
    R2,
    R3,
    folded,
    kinds,
    opened,
    serving,
    story,
    wish,
    with_policy,
)

OPENED = opened(serving(), wish(web=R2), policy=with_policy(QUICK, soak_s=60.0))
STAGE, START, PROVE, GATE, SHIFT, SOAK = range(6)
WELL = FoundWell("web", GREEN, 0, 1)


def began(step: int, attempt: int = 1, until: float | None = None) -> Began:
    return Began(1, step, False, attempt, until)


def ended(step: int, *facts: FoundWell) -> Ended:
    return Ended(1, step, False, facts)


def failed(step: int, kind: Trouble = Trouble.DID_NOT_TAKE) -> Failed:
    return Failed(1, step, False, kind, "why")


def undo_began(step: int) -> Began:
    return Began(1, step, True, 2)


def undone(step: int) -> Ended:
    return Ended(1, step, True)


def undo_failed(step: int, kind: Trouble = Trouble.DID_NOT_TAKE) -> Failed:
    return Failed(1, step, True, kind, "why")


def asked(what: What, target: str = "") -> Asked:
    return Asked(1, what, "ann", target=target)


def done(*steps: int) -> tuple[Record, ...]:
    """These steps began and ended; a proof with its evidence."""
    facts = {PROVE: (WELL,)}
    return tuple(r for s in steps for r in (began(s), ended(s, *facts.get(s, ()))))


BACK, FORWARD = Turned(1, Way.BACK, "why"), Turned(1, Way.FORWARD, "why")
TO_GATE = (*done(STAGE, START, PROVE), began(GATE, until=NOW + 100))
GRANT = Granted(1, "cutover", 1, "ann")
THROUGH = (*TO_GATE, GRANT, ended(GATE))
SHIFTED = (*THROUGH, *done(SHIFT))

CASES: dict[str, tuple[tuple[Record, ...], dict[str, Any]]] = {
    "nothing happened yet": ((), {"done": 0, "touched": 0, "attempt": 1, "backing_out": False}),
    "a step began": ((began(0),), {"done": 0, "touched": 1, "begun": (0, False)}),
    "a step ended": (done(0), {"done": 1, "touched": 1, "begun": None}),
    "a step failed": (
        (began(0), failed(0)),
        {"done": 0, "touched": 1, "failures": 1, "begun": None, "hopeless": False},
    ),
    "failures are counted": ((began(0), failed(0), began(0), failed(0)), {"failures": 2}),
    "an ending forgets the failures": (
        (began(0), failed(0), began(0), ended(0)),
        {"failures": 0, "failed": None, "done": 1},
    ),
    "a refusal is hopeless": ((began(0), failed(0, Trouble.REFUSED)), {"hopeless": True}),
    "an illness is hopeless": ((began(0), failed(0, Trouble.ILL)), {"hopeless": True}),
    "no answer is not hopeless": ((began(0), failed(0, Trouble.UNREACHABLE)), {"hopeless": False}),
    "touched is a maximum": ((*done(0, 1), began(0)), {"touched": 2}),
    "evidence is kept with its step": (done(0, 1, 2), {"facts": ((PROVE, WELL),)}),
    "a fall lowers what is done": (
        (*done(0, 1, 2), failed(START, Trouble.ILL)),
        {"done": START, "touched": 3, "falls": 1, "failures": 0, "hopeless": False},
    ),
    "a fall voids the facts from there on": (
        (*done(0, 1, 2), failed(START, Trouble.ILL)),
        {"facts": ()},
    ),
    "a fall keeps the grant": (
        (*THROUGH, failed(PROVE, Trouble.ILL)),
        {"granted": (GRANT,), "done": PROVE},
    ),
    "a turn starts from what was touched": (
        (*done(0), began(1), failed(1), BACK),
        {"backing_out": True, "touched": 2, "failures": 0, "attempt": 2, "turned": "why"},
    ),
    "a turn voids grants and facts": ((*THROUGH, BACK), {"granted": (), "facts": ()}),
    "an undo that began leaves what is done": (
        (*done(0, 1), BACK, undo_began(1)),
        {"done": 1, "touched": 2, "begun": (1, True)},
    ),
    "an undo that ended lowers what was touched": (
        (*done(0, 1), BACK, undo_began(1), undone(1)),
        {"done": 1, "touched": 1, "begun": None},
    ),
    "an undo that failed lowers nothing": (
        (*done(0, 1), BACK, undo_began(1), undo_failed(1)),
        {"touched": 2, "failures": 1},
    ),
    "an illness while undoing is not hopeless": (
        (*done(0), BACK, undo_began(0), undo_failed(0, Trouble.ILL)),
        {"hopeless": False},
    ),
    "forward again looks at every step anew": (
        (*done(0, 1, 2), BACK, undo_began(2), FORWARD),
        {"done": 0, "touched": 3, "backing_out": False, "attempt": 3, "facts": ()},
    ),
    "a grant counts while its gate stands open": ((*TO_GATE, GRANT), {"granted": (GRANT,)}),
    "a grant before its gate waits for an answer": ((*done(0), GRANT), {"granted": ()}),
    "a grant of another attempt waits for an answer": (
        (*TO_GATE, replace(GRANT, attempt=7)),
        {"granted": ()},
    ),
    "a grant of another gate waits for an answer": (
        (*TO_GATE, replace(GRANT, gate="other")),
        {"granted": ()},
    ),
    "a pause": ((began(0), asked(What.PAUSE)), {"paused": True, "asked": ()}),
    "going on": (
        (began(0), asked(What.PAUSE), asked(What.GO_ON)),
        {"paused": False, "asked": (), "begun": None},
    ),
    "going on leaves a gate open": (
        (*TO_GATE, asked(What.PAUSE), asked(What.GO_ON)),
        {"begun": (GATE, False), "until_s": NOW + 100},
    ),
    "a turn ends a pause": ((began(0), asked(What.PAUSE), BACK), {"paused": False}),
    "a retry at a gate proves again": (
        (*TO_GATE, asked(What.RETRY)),
        {"done": PROVE, "attempt": 2, "facts": (), "granted": (), "begun": None},
    ),
    "a retry that overtook the ending of the gate": (
        (*TO_GATE, GRANT, asked(What.RETRY), ended(GATE)),
        {"done": PROVE, "attempt": 2, "facts": (), "granted": ()},
    ),
    "a retry where stuck is a new attempt": (
        (
            *done(0, 1),
            BACK,
            undo_began(1),
            undo_failed(1, Trouble.REFUSED),
            asked(What.RETRY),
        ),
        {"attempt": 3, "failures": 0, "hopeless": False, "touched": 2, "asked": ()},
    ),
    "closed": (
        (*done(0), BACK, undo_began(0), undone(0), Closed(1, Outcome.BACKED_OUT)),
        {"outcome": Outcome.BACKED_OUT, "begun": None, "touched": 0},
    ),
}


@pytest.mark.parametrize(("records", "expected"), CASES.values(), ids=CASES)
def test_the_fold(records: tuple[Record, ...], expected: dict[str, Any]) -> None:
    rollout = folded(OPENED, *records)
    assert {name: getattr(rollout, name) for name in expected} == expected


def test_the_plan_of_these_cases_is_the_plain_one() -> None:
    assert kinds(OPENED.plan) == "stage start prove gate shift soak"


# -- Requests ------------------------------------------------------------------------------


@pytest.mark.parametrize("what", [w for w in What if w is not What.PAUSE])
def test_a_request_waits_for_its_answer(what: What) -> None:
    rollout = folded(OPENED, began(0), asked(what, "cutover"))
    assert [e.record for e in rollout.asked] == [asked(what, "cutover")]


def test_an_answer_ends_the_waiting_of_that_request_alone() -> None:
    entries = story(OPENED, asked(What.RETRY), asked(What.FORWARD), Answered(2, "no", 1))
    rollout: Rollout | None = None
    for entry in entries:
        rollout = evolve(rollout, entry)
    assert rollout is not None
    assert [e.number for e in rollout.asked] == [3]


def test_a_turn_meets_the_request_it_names() -> None:
    rollout = folded(OPENED, asked(What.BACK), Turned(1, Way.BACK, "ann asked to", 2))
    assert rollout.asked == ()
    assert rollout.backing_out and not rollout.replaced


def test_a_turn_for_another_wish_makes_place_for_it() -> None:
    another = Asked(1, What.WISH, "ben", wish=wish(web=R3))
    rollout = folded(OPENED, another, Turned(1, Way.BACK, "ben wants something else", 2))
    assert rollout.replaced
    assert not folded(OPENED, another, Turned(1, Way.BACK, "by itself")).replaced


def test_rule_11_a_grant_is_judged_by_its_own_time() -> None:
    """S44: it was given in time, whenever somebody reads it."""
    entries = story(OPENED, *TO_GATE)
    rollout: Rollout | None = None
    for entry in entries:
        rollout = evolve(rollout, entry)
    last = entries[-1].number
    for at_s, counts in ((NOW + 100, True), (NOW + 100.001, False)):
        entry = replace(entries[-1], number=last + 1, at_s=at_s, epoch=0, record=GRANT)
        after = evolve(rollout, entry)
        assert after.has_grant("cutover") is counts
        assert bool(after.asked) is not counts


def test_rule_11_a_gate_keeps_its_deadline_through_falls() -> None:
    """S43: flapping gives it no more time; a retry by a person does."""
    rollout = folded(OPENED, *TO_GATE, failed(START, Trouble.ILL))
    assert rollout.gate is None
    assert rollout.deadline_s == NOW + 100
    assert folded(OPENED, *TO_GATE, asked(What.RETRY)).deadline_s is None
    assert folded(OPENED, *TO_GATE, BACK, FORWARD).deadline_s is None


# -- What is derived -----------------------------------------------------------------------


def test_traffic_may_have_moved_from_the_shifts_began_until_it_is_undone() -> None:
    assert not folded(OPENED, *THROUGH).shifted
    assert folded(OPENED, *THROUGH, began(SHIFT)).shifted
    assert folded(OPENED, *SHIFTED, BACK, undo_began(SHIFT)).shifted
    assert not folded(OPENED, *SHIFTED, BACK, undo_began(SHIFT), undone(SHIFT)).shifted


def test_rule_10_it_turns_by_itself_only_to_what_was_well_or_before_the_shift() -> None:
    ill = opened(serving(), wish(web=R2), was=Verdict.ILL)
    unsure = opened(serving(), wish(web=R2), was=Verdict.UNSURE)
    assert folded(OPENED, *SHIFTED).turns_by_itself
    for record in (ill, unsure):
        assert folded(record, *THROUGH).turns_by_itself
        assert not folded(record, *THROUGH, began(SHIFT)).turns_by_itself


def test_where_nothing_served_before_it_turns_by_itself() -> None:
    from tests.core.made import R1, Scene

    first = opened(Scene(), wish(web=R1))
    assert folded(first).was_well


@pytest.mark.parametrize(
    ("records", "stuck"),
    [
        ((began(0), failed(0), began(0), failed(0)), False),
        ((began(0), failed(0, Trouble.REFUSED)), False),
        ((*done(0), BACK, undo_began(0), undo_failed(0)), False),
        ((*done(0), BACK, undo_began(0), undo_failed(0), undo_began(0), undo_failed(0)), True),
        ((*done(0), BACK, undo_began(0), undo_failed(0, Trouble.REFUSED)), True),
        (
            (*done(0), BACK, undo_began(0), undo_failed(0, Trouble.REFUSED), FORWARD),
            False,
        ),
        (
            (
                *done(0),
                BACK,
                undo_began(0),
                undo_failed(0, Trouble.REFUSED),
                Closed(1, Outcome.ABANDONED),
            ),
            False,
        ),
    ],
)
def test_it_is_stuck_where_only_a_person_can_say_how_it_goes_on(
    records: tuple[Record, ...], stuck: bool
) -> None:
    """S6"""
    assert folded(OPENED, *records).stuck is stuck


def test_ill_after_the_shift_is_stuck_where_the_old_color_was_not_well() -> None:
    """S22"""
    ill = opened(serving(), wish(web=R2), was=Verdict.ILL, policy=with_policy(QUICK, soak_s=60.0))
    gone_wrong = (*SHIFTED, began(SOAK), failed(SOAK, Trouble.ILL))
    assert folded(ill, *gone_wrong).stuck
    assert not folded(OPENED, *gone_wrong).stuck


def test_too_many_falls_are_given_up() -> None:
    flapping: tuple[Record, ...] = done(0, 1, 2)
    for _ in range(FALLS_MAX):
        flapping = (*flapping, failed(PROVE, Trouble.ILL), *done(PROVE))
        assert not folded(OPENED, *flapping).gave_up
    assert folded(OPENED, *flapping, failed(PROVE, Trouble.ILL)).gave_up


def test_evidence_names_the_start_that_was_found_well() -> None:
    """Rule 2"""
    other = replace(WELL, instance=1, start=4)
    rollout = folded(OPENED, *done(0, 1), began(PROVE), ended(PROVE, WELL, other))
    assert rollout.found_well() == {("web", "green", 0): 1, ("web", "green", 1): 4}


def test_a_lost_standby_is_a_remark() -> None:
    lost = NoStandby("web", GREEN, "it does not answer")
    rollout = folded(OPENED, *done(0), BACK, undo_began(0), Ended(1, 0, True, (lost,)))
    assert rollout.lost == (lost,)
    assert rollout.remarks == ("no standby: web green: it does not answer",)


def test_what_the_plan_started_again_is_no_leftover_when_it_goes_forward_a_second_time() -> None:
    record = opened(serving().runs("web", GREEN, R2, count=1), wish(web=R2), policy=QUICK)
    drain, retire, start = 0, 1, 2
    assert kinds(record.plan).startswith("drain retire start")
    steps = (*done(drain, retire), began(start))
    assert folded(record).to_do(retire) == record.plan[retire]
    assert folded(record, *steps).to_do(retire) == Retire(())
    assert folded(record, *steps).to_do(drain) == Drain(())
    back = (*steps, BACK, undo_began(start))
    assert folded(record, *back, FORWARD).to_do(retire) == Retire(())
    assert folded(record, *back, undone(start), FORWARD).to_do(retire) == record.plan[retire]


def test_what_another_release_left_over_goes_also_the_second_time() -> None:
    record = opened(serving().runs("web", GREEN, R3), wish(web=R2), policy=QUICK)
    retire = next(i for i, s in enumerate(record.plan) if isinstance(s, Retire))
    steps = tuple(r for s in range(retire + 2) for r in (began(s),))
    assert folded(record, *steps, BACK, FORWARD).to_do(retire) == record.plan[retire]


def test_a_record_before_any_opened_is_refused() -> None:
    with pytest.raises(ValueError, match="before any Opened"):
        folded(began(0))


def test_other_facts_are_kept_as_well() -> None:
    shifted = folded(OPENED, *THROUGH, began(SHIFT), Ended(1, SHIFT, False, (Flipped(0.001),)))
    assert (SHIFT, Flipped(0.001)) in shifted.facts
    assert BLUE is not GREEN
