"""Drift: what the world is, held against what the rollouts of a site add up to."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.core.drift import drift, fallen
from orchestrator.core.model import Share
from orchestrator.core.record import (
    Answered,
    Asked,
    Began,
    Ended,
    Opened,
    Record,
    Turned,
    Way,
    What,
    Wish,
)
from orchestrator.core.sight import Astray
from tests.core.journals import Journal, pair, second
from tests.core.made import (
    BLUE,
    GREEN,
    QUICK,
    R2,
    Scene,
    folded,
    kinds,
    opened,
    service,
    serving,
    site,
    wish,
    with_policy,
)


def found(journal: Journal) -> list[str]:
    return [d.what for d in drift(journal.chronicle, journal.scene.sighting())]


def test_a_world_as_it_was_left_has_no_drift() -> None:
    assert found(second()) == []
    assert found(pair()) == []
    assert found(Journal()) == []


def test_traffic_that_was_moved_by_hand_is_drift() -> None:
    """S26"""
    journal = second()
    journal.scene.serves("web", BLUE)
    (what,) = found(journal)
    assert "100 % blue" in what and "all go to green" in what


def test_an_instance_that_is_gone_is_drift() -> None:
    journal = second()
    del journal.scene.instances["web", GREEN][1]
    (one,) = drift(journal.chronicle, journal.scene.sighting())
    assert "runs 1 of 2" in one.what
    assert one.part is not None and one.part.release == R2


def test_a_standby_that_is_gone_is_drift_that_nothing_mends_by_itself() -> None:
    journal = second()
    journal.scene.instances.pop(("web", BLUE))
    (one,) = drift(journal.chronicle, journal.scene.sighting())
    assert "the standby" in one.what
    assert one.part is None and one.share is None


def test_a_host_that_a_switch_treats_otherwise_than_it_was_said_is_one_drift() -> None:
    """S26: whichever switch is up; what is put back unasked is only who was taken out."""
    journal = second()
    both = (("web", BLUE), ("web", GREEN))
    seen = journal.scene.sighting()
    astray = (Astray("web3", False, ("p1", "p2"), both), Astray("web1", True, ("p2",), both[:1]))
    seen = replace(seen, switch=replace(seen.switch, astray=astray))
    out, shut = drift(journal.chronicle, seen)
    assert out.what == "requests go to web3, which was taken out (web, at p1 and p2)"
    assert (out.service, out.out, out.shut) == ("web", "web3", "")
    assert shut.what == "no new requests go to web1, which nobody took out (web blue, at p2)"
    assert (shut.out, shut.shut) == ("", "web1")
    assert drift(Journal().chronicle, seen) == (), "nobody serves yet"


def test_a_switch_that_is_away_is_one_drift_and_not_one_for_each_service() -> None:
    """S25"""
    journal = pair()
    journal.scene.up = False
    (what,) = found(journal)
    assert "switch" in what


def test_drift_that_a_person_accepted_is_not_told_again() -> None:
    """S26"""
    journal = second()
    journal.scene.serves("web", BLUE)
    told = found(journal)
    journal.write(Asked(None, What.ACCEPT, "ann", target="\n".join(told)))
    assert found(journal) == told
    journal.write(Answered(len(journal.entries), "accepted"))
    assert found(journal) == []
    journal.scene.shares["web"] = Share(50, 50)
    assert found(journal) != []


# -- Falls, inside an open rollout ---------------------------------------------------------


def through(scene: Scene, wanted: Wish, *, steps: int) -> tuple[Opened, list[Record]]:
    record = opened(scene, wanted, policy=with_policy(QUICK, cutover=None))
    records: list[Record] = []
    for n in range(steps):
        records += [Began(1, n, False, 1), Ended(1, n, False)]
    return record, records


def test_a_step_that_was_done_and_does_not_hold_any_more_is_a_fall_to_it() -> None:
    record, records = through(serving(), wish(web=R2), steps=3)
    assert kinds(record.plan) == "stage start prove shift"
    rollout = folded(record, *records)
    assert fallen(rollout, serving().runs("web", GREEN, R2).sighting()) is None
    assert fallen(rollout, serving().runs("web", GREEN, R2, count=1).sighting()) == 1
    assert fallen(rollout, serving().sighting()) == 0


def test_traffic_that_somebody_moved_during_the_soak_is_a_fall_to_the_shift() -> None:
    record, records = through(serving(), wish(web=R2), steps=4)
    moved = serving().runs("web", GREEN, R2)
    assert fallen(folded(record, *records), moved.sighting()) == 3
    assert fallen(folded(record, *records), moved.serves("web", GREEN).sighting()) is None


def test_going_back_nothing_falls() -> None:
    record, records = through(serving(), wish(web=R2), steps=3)
    rollout = folded(record, *records, Turned(1, Way.BACK, "why"))
    assert fallen(rollout, serving().sighting()) is None


def test_an_address_that_the_shift_moved_on_is_no_fall() -> None:
    from tests.core.made import ANY

    scene = serving("web", "api", at=site(service("web", uses=[("api", ANY)]), service("api")))
    record, records = through(scene, wish(web=R2, api=R2), steps=5)
    assert kinds(record.plan) == "stage wire start prove shift"
    scene.runs("web", GREEN, R2).runs("api", GREEN, R2).serves("web", GREEN).serves("api", GREEN)
    scene.pinned("web", GREEN, "api", GREEN).pinned("web", BLUE, "api", GREEN)
    assert fallen(folded(record, *records), scene.sighting()) is None


def test_what_was_retired_and_started_again_on_purpose_is_no_fall() -> None:
    scene = serving().runs("web", GREEN, R2, count=1)
    record, records = through(scene, wish(web=R2), steps=4)
    assert kinds(record.plan) == "drain retire start prove shift"
    assert fallen(folded(record, *records), serving().runs("web", GREEN, R2).sighting()) is None
