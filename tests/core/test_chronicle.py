"""The chronicle: what all rollouts of a site add up to, and what a backout would undo."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.core.chronicle import (
    PAST_KEPT,
    Backout,
    Chronicle,
    Nothing,
    backout_of,
)
from orchestrator.core.drift import drift
from orchestrator.core.mend import plan_mend
from orchestrator.core.plan import Plan
from orchestrator.core.record import (
    Answered,
    Asked,
    Began,
    Closed,
    Ended,
    Failed,
    Granted,
    Kind,
    NoStandby,
    Outcome,
    Record,
    Trouble,
    Turned,
    Way,
    What,
    Wish,
)
from orchestrator.core.rollout import evolve
from orchestrator.core.steps import Retire
from tests.core.journals import Journal, first, pair, second
from tests.core.made import (
    BLUE,
    GREEN,
    QUICK,
    R1,
    R2,
    R3,
    SHOP,
    Scene,
    opened,
    planned,
    wish,
    with_policy,
)

# -- Who serves ----------------------------------------------------------------------------


def test_what_rolled_out_serves() -> None:
    serves = second().chronicle.serves("web")
    assert serves is not None
    assert (serves.color, serves.release, serves.count, serves.rollout) == (GREEN, R2, 2, 2)


def test_what_was_backed_out_never_served() -> None:
    serves = first().goes(wish(web=R2), Outcome.BACKED_OUT).chronicle.serves("web")
    assert serves is not None and serves.release == R1


def test_only_one_rollout_is_open_at_a_time() -> None:
    journal = first()
    journal.opens(wish(web=R2))
    with pytest.raises(ValueError, match="another is open"):
        journal.opens(wish(web=R3))


@pytest.mark.parametrize(
    "record", [Began(7, 0, False, 1), Ended(7, 0, False), Closed(7, Outcome.ROLLED_OUT)]
)
def test_rule_4_a_drivers_record_of_a_rollout_that_is_not_open_is_refused(record: Record) -> None:
    for journal in (first(), Journal()):
        with pytest.raises(ValueError, match="not open"):
            journal.write(record)
    open_ = first()
    open_.opens(wish(web=R2))
    with pytest.raises(ValueError, match="not open"):
        open_.write(record)


def test_the_releases_that_served_are_told_newest_first_each_once() -> None:
    journal = second().goes(wish(web=R3)).backs_out(web=R2)
    assert journal.chronicle.served_lately("web") == (R2, R3, R1)
    assert journal.chronicle.served_lately("mail") == ()


def test_abandoned_after_the_shift_serves_what_it_shifted_to() -> None:
    journal = first().goes(wish(web=R2), Outcome.ABANDONED)
    serves = journal.chronicle.serves("web")
    assert serves is not None and serves.release == R2


def test_abandoned_before_the_shift_serves_what_served() -> None:
    journal = first()
    record = journal.opens(wish(web=R2))
    journal.write(Began(2, 0, False, 1), Ended(2, 0, False), Closed(2, Outcome.ABANDONED))
    serves = journal.chronicle.serves("web")
    assert record.rollout == 2
    assert serves is not None and serves.release == R1


def test_the_past_is_bounded() -> None:
    journal = first()
    for n in range(PAST_KEPT + 5):
        journal.goes(wish(web=R2 if n % 2 == 0 else R1))
    assert len(journal.chronicle.past) == PAST_KEPT
    assert journal.chronicle.rollouts == PAST_KEPT + 6


def test_a_remark_is_said_once() -> None:
    journal = second()
    record = journal.opens(wish(web=R3))
    retire = next(n for n, s in enumerate(record.plan) if isinstance(s, Retire))
    lost = NoStandby("web", BLUE, "it does not answer")
    for n in range(retire + 1):
        journal.write(Began(3, n, False, 1), Ended(3, n, False))
    journal.write(Turned(3, Way.BACK, "why"))
    for n in reversed(range(retire + 1)):
        facts = (lost,) if n == retire else ()
        journal.write(Began(3, n, True, 2), Ended(3, n, True, facts))
    remark = "no standby: web blue: it does not answer"
    journal.write(Closed(3, Outcome.BACKED_OUT, remark))
    assert journal.chronicle.past[-1].remarks == (remark,)
    assert journal.chronicle.standbys == ()


# -- Standbys ------------------------------------------------------------------------------


def test_the_old_world_waits_as_a_standby() -> None:
    standbys = pair().chronicle.standbys
    assert {(s.service, s.color, s.release) for s in standbys} == {
        ("web", BLUE, R1),
        ("api", BLUE, R1),
    }
    assert {s.rollout for s in standbys} == {2}


def test_a_standby_has_its_time() -> None:
    journal = first().goes(wish(web=R2), policy=with_policy(QUICK, standby_s=3600.0))
    (standby,) = journal.chronicle.standbys
    assert standby.until_s == journal.entries[-1].at_s + 3600.0
    (untimed,) = second().chronicle.standbys
    assert untimed.until_s is None


def test_once_one_service_of_a_world_is_reused_the_whole_world_is_no_way_back() -> None:
    journal = pair().goes(wish(web=R3))
    assert {(s.service, s.release) for s in journal.chronicle.standbys} == {("web", R2)}


def test_a_backout_to_a_standby_makes_the_other_color_the_standby() -> None:
    journal = second().backs_out(web=R1)
    assert {(s.service, s.color, s.release) for s in journal.chronicle.standbys} == {
        ("web", GREEN, R2)
    }


def test_what_was_taken_back_leaves_the_standby_where_it_was() -> None:
    journal = second().goes(wish(web=R3), Outcome.BACKED_OUT)
    assert {(s.color, s.release) for s in journal.chronicle.standbys} == {(BLUE, R1)}


def test_retiring_ends_a_standby() -> None:
    journal = second()
    part = planned(journal.scene, wish(web=R3)).steps[2]
    assert isinstance(part, Retire)
    record = replace(
        opened(journal.scene, Wish((), Kind.RETIRE), steps=(Retire(part.parts),)), rollout=3
    )
    journal.write(record, Began(3, 0, False, 1), Ended(3, 0, False))
    journal.write(Closed(3, Outcome.ROLLED_OUT))
    assert journal.chronicle.standbys == ()
    assert backout_of(journal.chronicle) != Nothing.NONE


def test_a_color_of_which_nothing_ran_is_no_standby() -> None:
    journal = first()
    journal.scene.instances.clear()
    journal.goes(wish(web=R2))
    assert journal.chronicle.standbys == ()


def test_a_mend_leaves_the_standby_as_it_was_and_makes_no_other() -> None:
    """S26: where somebody moved the traffic by hand is no old world."""
    journal = second()
    before = journal.chronicle.standbys
    journal.scene.serves("web", BLUE)
    (moved,) = drift(journal.chronicle, journal.scene.sighting())
    mend = plan_mend((moved,), journal.scene.sighting())
    assert isinstance(mend, Plan)
    record = opened(journal.scene, wish(Kind.MEND, web=R2), steps=mend.steps)
    journal.write(replace(record, rollout=3))
    for n in range(len(mend.steps)):
        journal.write(Began(3, n, False, 1), Ended(3, n, False))
    journal.write(Closed(3, Outcome.ROLLED_OUT))
    assert journal.chronicle.standbys == before


# -- Backout -------------------------------------------------------------------------------


def brought_back(journal: Journal) -> dict[str, str] | Nothing:
    found = backout_of(journal.chronicle)
    return {s: r.version for s, r in found.wanted} if isinstance(found, Backout) else found


BACKOUTS: dict[str, tuple[Journal, dict[str, str] | Nothing]] = {
    "nothing was ever done": (Journal(), Nothing.NONE),
    "a first deploy: there is nothing before it": (first(), Nothing.FIRST),
    "a first deploy that went back: already back": (
        Journal().goes(wish(web=R1), Outcome.BACKED_OUT),
        Nothing.ALREADY_BACK,
    ),
    "a second deploy": (second(), {"web": "1"}),
    "a deploy that went back by itself: already back": (
        second().goes(wish(web=R3), Outcome.BACKED_OUT),
        Nothing.ALREADY_BACK,
    ),
    "a backout was done already": (second().backs_out(web=R1), Nothing.BACKED_OUT_BEFORE),
    "a deploy after a backout": (second().backs_out(web=R1).goes(wish(web=R3)), {"web": "1"}),
    "a backout of that one, too": (
        second().backs_out(web=R1).goes(wish(web=R3)).backs_out(web=R1),
        Nothing.BACKED_OUT_BEFORE,
    ),
    "a backout that went back itself changed nothing": (
        second().goes(replace(wish(Kind.BACKOUT, web=R1), undoes=2), Outcome.BACKED_OUT),
        {"web": "1"},
    ),
    "the same release again changed nothing": (
        second().goes(wish(web=R2, again=True)),
        {"web": "1"},
    ),
    "two services at once": (pair(), {"web": "1", "api": "1"}),
    "only what the last one changed": (
        Journal(Scene(SHOP)).goes(wish(web=R1, api=R1)).goes(wish(web=R2)).goes(wish(api=R2)),
        {"api": "1"},
    ),
    "only what served before can come back": (
        Journal(Scene(SHOP)).goes(wish(web=R1)).goes(wish(web=R2, api=R1)),
        {"web": "1"},
    ),
    "abandoned after the shift": (first().goes(wish(web=R2), Outcome.ABANDONED), {"web": "1"}),
    "a mend is not undone": (
        second().goes(wish(Kind.MEND, web=R2, again=True)),
        {"web": "1"},
    ),
}


@pytest.mark.parametrize(("journal", "expected"), BACKOUTS.values(), ids=BACKOUTS)
def test_a_backout_undoes(journal: Journal, expected: dict[str, str] | Nothing) -> None:
    assert brought_back(journal) == expected


def test_a_backout_further_back_counts_as_the_undoing_of_the_last() -> None:
    """`--to`: two releases back; then there is nothing left to back out."""
    journal = second().goes(wish(web=R3))
    journal.goes(replace(wish(Kind.BACKOUT, web=R1), undoes=3))
    assert brought_back(journal) is Nothing.BACKED_OUT_BEFORE


def test_deploying_and_backing_out_fifty_times_ends_where_it_began() -> None:
    """S13"""
    journal = first()
    for _ in range(50):
        journal.goes(wish(web=R2)).backs_out(web=R1)
        assert {(s.color, s.release) for s in journal.chronicle.standbys} == {(GREEN, R2)}
        serves = journal.chronicle.serves("web")
        assert serves is not None and (serves.color, serves.release) == (BLUE, R1)


# -- Requests ------------------------------------------------------------------------------


def numbers(chronicle: Chronicle) -> list[int]:
    return [e.number for e in chronicle.asked]


def test_a_request_to_the_site_waits_for_its_answer() -> None:
    journal = first()
    journal.write(Asked(None, What.RETIRE, "ann"))
    assert numbers(journal.chronicle) == [len(journal.entries)]
    journal.write(Answered(len(journal.entries), "nothing waits there"))
    assert numbers(journal.chronicle) == []


def test_a_request_that_names_a_rollout_which_has_closed_is_never_applied_to_the_next() -> None:
    journal = second()
    journal.opens(wish(web=R3))
    journal.write(Asked(2, What.BACK, "ann"), Granted(2, "cutover", 1, "ann"))
    assert journal.chronicle.open is not None
    assert journal.chronicle.open.asked == ()
    assert journal.chronicle.open.granted == ()
    assert len(journal.chronicle.asked) == 2


def test_a_wish_that_was_recorded_is_taken_up_by_the_rollout_that_opens_for_it() -> None:
    journal = first()
    journal.write(Asked(None, What.WISH, "a webhook", wish=wish(web=R2)))
    journal.write(Asked(None, What.WISH, "a webhook", wish=wish(web=R3)))
    journal.opens(wish(web=R2))
    assert [e.record.wish for e in journal.chronicle.asked if isinstance(e.record, Asked)] == [
        wish(web=R3)
    ]


def test_a_request_that_was_overtaken_by_an_abandon_still_waits_for_its_answer() -> None:
    journal = first()
    journal.opens(wish(web=R2))
    journal.write(Asked(2, What.ABANDON, "ann"), Asked(2, What.BACK, "ben"))
    last = len(journal.entries)
    journal.write(Closed(2, Outcome.ABANDONED))
    assert numbers(journal.chronicle) == [last]


# -- The fold is one fold ------------------------------------------------------------------


def test_the_open_rollout_inside_is_the_fold_of_its_own_records() -> None:
    journal = first()
    record = journal.opens(wish(web=R2))
    journal.write(Began(2, 0, False, 1), Failed(2, 0, False, Trouble.UNREACHABLE, "why"))
    alone = None
    for entry in journal.entries[-3:]:
        alone = evolve(alone, entry)
    assert record.rollout == 2
    assert journal.chronicle.open == alone
