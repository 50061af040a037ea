"""Decisions: a rollout and the clock go in, one move comes out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.core.decide import (
    Answer,
    Close,
    Do,
    For,
    Move,
    Turn,
    Undo,
    Wait,
    decide,
    pause_s,
    why_gave_up,
)
from orchestrator.core.health import Verdict
from orchestrator.core.model import Meanwhile, Otherwise, Policy
from orchestrator.core.record import (
    Asked,
    Closed,
    Opened,
    Outcome,
    Record,
    Trouble,
    Turned,
    Way,
    What,
)
from tests.core.made import NOW, QUICK, R2, R3, folded, opened, serving, wish, with_policy
from tests.core.test_rollout import (
    BACK,
    FORWARD,
    GATE,
    GRANT,
    OPENED,
    PROVE,
    SHIFT,
    SHIFTED,
    SOAK,
    STAGE,
    START,
    THROUGH,
    TO_GATE,
    asked,
    began,
    done,
    failed,
    undo_began,
    undo_failed,
    undone,
)

ILL_BEFORE = replace(OPENED, before=tuple(replace(s, verdict=Verdict.ILL) for s in OPENED.before))
REPLACING = replace(OPENED, policy=replace(OPENED.policy, meanwhile=Meanwhile.REPLACE))
ANOTHER = Asked(1, What.WISH, "ben", wish=wish(web=R3))
UNDONE_BUT_STAGE = (*done(STAGE), BACK, undo_began(STAGE))


def staying() -> Opened:
    gate = OPENED.policy.cutover
    assert gate is not None
    return replace(
        OPENED, policy=replace(OPENED.policy, cutover=replace(gate, otherwise=Otherwise.STAY))
    )


def move(*records: Record, after_s: float = 50.0, of: Opened = OPENED) -> Move | None:
    """What comes next, so many seconds after the opening."""
    return decide(folded(of, *records), NOW + after_s)


PLAIN: dict[str, tuple[tuple[Record, ...], Move | None]] = {
    "the first step": ((), Do(STAGE)),
    "the step that began": ((began(STAGE),), Do(STAGE)),
    "the next step": (done(STAGE), Do(START)),
    "a step that failed, again": ((began(STAGE), failed(STAGE)), Do(STAGE)),
    "a step that was refused: back": (
        (began(STAGE), failed(STAGE, Trouble.REFUSED)),
        Turn(Way.BACK, "stage was refused: why"),
    ),
    "a step that failed as often as it may: back": (
        (began(STAGE), failed(STAGE), began(STAGE), failed(STAGE)),
        Turn(Way.BACK, "stage failed 2 times: why"),
    ),
    "an illness: back, with its reason": (
        (*done(STAGE, START), began(PROVE), failed(PROVE, Trouble.ILL)),
        Turn(Way.BACK, "why"),
    ),
    "a fall: the step below again": (
        (*done(STAGE, START, PROVE), failed(START, Trouble.ILL)),
        Do(START),
    ),
    "a gate is opened first": (done(STAGE, START, PROVE), Do(GATE)),
    "an open gate is waited at": (TO_GATE, Wait(For.GRANT, NOW + 100)),
    "a granted gate ends": ((*TO_GATE, GRANT), Do(GATE)),
    "after the gate, the shift": (THROUGH, Do(SHIFT)),
    "all done": ((*SHIFTED, *done(SOAK)), Close(Outcome.ROLLED_OUT)),
    "going back, the newest that was touched": (
        (*done(STAGE, START), began(PROVE), BACK),
        Undo(PROVE),
    ),
    "going back, the one before": (
        (*done(STAGE, START), BACK, undo_began(START), undone(START)),
        Undo(STAGE),
    ),
    "nothing left to undo": (
        (*done(STAGE), BACK, undo_began(STAGE), undone(STAGE)),
        Close(Outcome.BACKED_OUT),
    ),
    "an undo that failed, again": (
        (*UNDONE_BUT_STAGE, undo_failed(STAGE)),
        Undo(STAGE),
    ),
    "an undo that was refused: a person": (
        (*UNDONE_BUT_STAGE, undo_failed(STAGE, Trouble.REFUSED)),
        Wait(For.PERSON),
    ),
    "forward again, from the first step": ((*done(STAGE, START), BACK, FORWARD), Do(STAGE)),
    "paused": ((began(STAGE), asked(What.PAUSE)), Wait(For.PAUSED)),
    "paused while going back": ((*UNDONE_BUT_STAGE, asked(What.PAUSE)), Wait(For.PAUSED)),
    "going on": ((began(STAGE), asked(What.PAUSE), asked(What.GO_ON)), Do(STAGE)),
    "closed: nothing": ((*UNDONE_BUT_STAGE, Closed(1, Outcome.ABANDONED)), None),
}


@pytest.mark.parametrize(("records", "expected"), PLAIN.values(), ids=PLAIN)
def test_the_next_move(records: tuple[Record, ...], expected: Move | None) -> None:
    assert move(*records) == expected


# -- Requests ------------------------------------------------------------------------------

FIRST = 2  # the number of the first record after Opened

REQUESTS: dict[str, tuple[Opened, tuple[Record, ...], Record, Move]] = {
    "back": (OPENED, (), asked(What.BACK), Turn(Way.BACK, "ann asked to", FIRST)),
    "back, after the shift": (
        OPENED,
        SHIFTED,
        asked(What.BACK),
        Turn(Way.BACK, "ann asked to", FIRST + len(SHIFTED)),
    ),
    "back, to what was ill: a person may": (
        ILL_BEFORE,
        SHIFTED,
        asked(What.BACK),
        Turn(Way.BACK, "ann asked to", FIRST + len(SHIFTED)),
    ),
    "back, with a reason": (
        OPENED,
        (),
        Asked(1, What.BACK, "ann", "too slow"),
        Turn(Way.BACK, "ann asked to: too slow", FIRST),
    ),
    "back, while paused": (
        OPENED,
        (asked(What.PAUSE),),
        asked(What.BACK),
        Turn(Way.BACK, "ann asked to", FIRST + 1),
    ),
    "back, while it goes back": (
        OPENED,
        UNDONE_BUT_STAGE,
        asked(What.BACK),
        Answer(FIRST + len(UNDONE_BUT_STAGE), "it is going back already"),
    ),
    "forward, while it goes back": (
        OPENED,
        UNDONE_BUT_STAGE,
        asked(What.FORWARD),
        Turn(Way.FORWARD, "ann asked to", FIRST + len(UNDONE_BUT_STAGE)),
    ),
    "forward, while it goes forward": (
        OPENED,
        (),
        asked(What.FORWARD),
        Answer(FIRST, "it is not going back, or another wish takes its place"),
    ),
    "deny the gate that stands open": (
        OPENED,
        TO_GATE,
        Asked(1, What.DENY, "ann", "no", "cutover"),
        Turn(Way.BACK, "ann denied cutover: no", FIRST + len(TO_GATE)),
    ),
    "deny another gate": (
        OPENED,
        TO_GATE,
        Asked(1, What.DENY, "ann", "no", "lunch"),
        Answer(FIRST + len(TO_GATE), "no gate 'lunch' stands open"),
    ),
    "deny before the gate": (
        OPENED,
        (),
        Asked(1, What.DENY, "ann", "no", "cutover"),
        Answer(FIRST, "no gate 'cutover' stands open"),
    ),
    "abandon": (OPENED, SHIFTED, asked(What.ABANDON), Close(Outcome.ABANDONED, 2 + len(SHIFTED))),
    "retry where nothing is stuck": (
        OPENED,
        (),
        asked(What.RETRY),
        Answer(FIRST, "it is not stuck: there is nothing to retry"),
    ),
    "go on where nothing is paused": (
        OPENED,
        (),
        asked(What.GO_ON),
        Answer(FIRST, "it is not paused"),
    ),
    "another wish, refused": (
        OPENED,
        (),
        ANOTHER,
        Answer(FIRST, "rollout 1 is open, and the site says `meanwhile: refuse`"),
    ),
    "another wish that replaces": (
        REPLACING,
        (),
        ANOTHER,
        Turn(Way.BACK, "ben wants something else", FIRST),
    ),
    "another wish while it goes back": (
        REPLACING,
        UNDONE_BUT_STAGE,
        ANOTHER,
        Answer(
            FIRST + len(UNDONE_BUT_STAGE), "it is going back already; ask again once it has closed"
        ),
    ),
    **{
        f"{what.value} while a rollout is open": (
            OPENED,
            (),
            asked(what),
            Answer(FIRST, f"{what.value} has to wait until this rollout has closed"),
        )
        for what in (What.RETIRE, What.MEND, What.ACCEPT, What.READMIT)
    },
    "without a host that it does not have": (
        OPENED,
        (),
        replace(asked(What.WITHOUT), target="web9"),
        Answer(FIRST, "the site has no host 'web9'"),
    ),
    "a grant for no gate": (
        OPENED,
        (),
        GRANT,
        Answer(FIRST, "this grant does not count: no gate 'cutover' stands open"),
    ),
    "a grant for another attempt": (
        OPENED,
        TO_GATE,
        replace(GRANT, attempt=9),
        Answer(
            FIRST + len(TO_GATE),
            "this grant does not count: it was given to attempt 9; this is attempt 1",
        ),
    ),
}


@pytest.mark.parametrize(("of", "records", "request_", "expected"), REQUESTS.values(), ids=REQUESTS)
def test_each_request_leads_to_a_record(
    of: Opened, records: tuple[Record, ...], request_: Record, expected: Move
) -> None:
    assert move(*records, request_, of=of) == expected


def test_requests_are_met_in_the_order_they_came() -> None:
    assert move(asked(What.FORWARD), asked(What.BACK)) == Answer(
        2, "it is not going back, or another wish takes its place"
    )


def test_forward_is_not_for_what_makes_place_for_another_wish() -> None:
    """S12"""
    turned = (*done(STAGE), ANOTHER, Turned(1, Way.BACK, "ben wants something else", 4))
    next_move = move(*turned, asked(What.FORWARD), of=REPLACING)
    assert isinstance(next_move, Answer)
    assert move(*turned, undo_began(STAGE), undone(STAGE), of=REPLACING) == Close(Outcome.REPLACED)


# -- Patience, and being stuck -------------------------------------------------------------


def test_the_world_gets_time_to_settle_before_the_next_try() -> None:
    rollout = folded(OPENED, began(STAGE), failed(STAGE))
    failed_s = NOW + 3
    assert decide(rollout, failed_s) == Wait(For.RETRY, failed_s + pause_s(1))
    assert decide(rollout, failed_s + pause_s(1)) == Do(STAGE)


def test_pauses_grow_and_are_bounded() -> None:
    pauses = [pause_s(n) for n in range(1, 30)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 1 < pauses[-1] <= 15


def test_rule_10_after_the_shift_nothing_turns_by_itself_to_a_color_that_was_ill() -> None:
    gone_wrong = (*SHIFTED, began(SOAK), failed(SOAK, Trouble.ILL))
    assert move(*gone_wrong, of=ILL_BEFORE) == Wait(For.PERSON)
    assert move(*gone_wrong) == Turn(Way.BACK, "why")


def test_a_stuck_rollout_hears_people() -> None:
    """S6: tried again, turned forward, or abandoned as it is."""
    stuck = (*UNDONE_BUT_STAGE, undo_failed(STAGE, Trouble.REFUSED))
    assert move(*stuck) == Wait(For.PERSON)
    assert move(*stuck, asked(What.RETRY)) == Undo(STAGE)
    assert isinstance(move(*stuck, asked(What.FORWARD)), Turn)
    assert isinstance(move(*stuck, asked(What.ABANDON)), Close)


def test_a_pause_holds_also_where_it_is_stuck() -> None:
    stuck = (*UNDONE_BUT_STAGE, undo_failed(STAGE, Trouble.REFUSED))
    assert move(*stuck, asked(What.PAUSE)) == Wait(For.PAUSED)


def test_why_it_gave_up_is_one_sentence() -> None:
    falls: tuple[Record, ...] = done(STAGE, START, PROVE)
    for _ in range(3):
        falls = (*falls, failed(START, Trouble.ILL), *done(START, PROVE))
    fallen = folded(OPENED, *falls[:-4])
    assert why_gave_up(fallen) == "start did not last: why"
    once = replace(OPENED, policy=with_policy(QUICK, tries=1))
    assert why_gave_up(folded(once, began(STAGE), failed(STAGE))) == "stage failed: why"


def test_rule_3_what_was_decided_is_written_and_never_decided_again() -> None:
    """A policy that changed since does not turn a turn."""
    turned = (*done(STAGE), began(START), failed(START), BACK)
    strict = replace(OPENED, policy=replace(OPENED.policy, tries=1))
    patient = replace(OPENED, policy=replace(OPENED.policy, tries=9))
    assert move(*turned, of=strict) == move(*turned, of=patient) == Undo(START)


def test_whoever_asks_twice_gets_the_same_answer_twice() -> None:
    for records, _ in PLAIN.values():
        rollout = folded(OPENED, *records)
        assert decide(rollout, NOW + 9) == decide(rollout, NOW + 9)


def test_a_rollout_without_a_gate_policy_has_no_gate_to_wait_at() -> None:
    ungated = opened(serving(), wish(web=R2), policy=Policy(cutover=None))
    assert move(*done(STAGE, START, PROVE), of=ungated) == Do(3)


def test_an_ending_of_nothing_is_the_end() -> None:
    empty = replace(OPENED, plan=())
    assert move(of=empty) == Close(Outcome.ROLLED_OUT)
    assert move(BACK, of=empty) == Close(Outcome.BACKED_OUT)
