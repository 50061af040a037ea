"""A host that a person took out: what shrinks, what keeps its number, and what is refused.

S87: a host is gone for good, and the rollout goes on or back without it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import pytest

from orchestrator.core.away import steps_without, why_not, without
from orchestrator.core.chronicle import Chronicle, fold
from orchestrator.core.decide import Answer, Do, For, Turn, Wait, decide
from orchestrator.core.drift import drift
from orchestrator.core.model import AtLeast, Host, Placement, ProxySpec, Site
from orchestrator.core.prove import Proof, prove
from orchestrator.core.record import (
    Asked,
    Began,
    Closed,
    Ended,
    Failed,
    FoundWell,
    Granted,
    Outcome,
    Record,
    Trouble,
    Turned,
    Way,
    What,
    from_json,
    to_json,
)
from orchestrator.core.sight import InstanceSeen, holds, undone
from orchestrator.core.steps import Before, Gate, Part, Prove, Retire, Shift, Start
from tests.core import made
from tests.core.made import BLUE, GREEN, NOW, R1, R2, Scene, folded, kinds, opened, planned, wish

WEBS = ("web1", "web2", "web3")


def fleet(*, serving: int | None = None, hosts: tuple[str, ...] = WEBS) -> Site:
    web = replace(made.service("web"), placement=Placement(len(hosts), 9000, 9001, hosts))
    asked = (AtLeast("web", serving),) if serving else ()
    there = tuple(Host(name, f"{name}.example") for name in (*WEBS, "proxy1", "proxy2"))
    proxies = (ProxySpec("edge", ("proxy1", "proxy2"), "http://shop.example"),)
    site = made.site(web, policy=made.USUAL)
    return replace(site, hosts=there, invariants=asked, proxies=proxies)


def serves_1(site: Site) -> Scene:
    scene = Scene(site).lies("web", R1, R2)
    scene.current["web", BLUE] = R1
    for index in site.service("web").placement.instances:
        scene.seen("web", BLUE, InstanceSeen(index, R1, True, 1, kept=True))
    return scene.serves("web", BLUE)


def without_host(host: str, rollout: int | None = 1) -> Asked:
    return Asked(rollout, What.WITHOUT, "ann", "it burned", host)


def numbers(site: Site) -> tuple[int, ...]:
    return site.service("web").placement.instances


# -- What is left --------------------------------------------------------------------------


def test_s87_the_instances_that_stay_keep_their_numbers() -> None:
    site = without(fleet(), ["web2"])
    place = site.service("web").placement
    assert (place.count, place.instances, place.hosts) == (2, (0, 2), WEBS)
    assert place.first(1) == (0,)
    assert numbers(without(site, ["web1"])) == (2,)


def test_taken_out_twice_is_once_and_who_is_no_host_is_nobody() -> None:
    once = without(fleet(), ["web2"])
    assert without(once, ["web2"]) == once
    assert without(fleet(), ["web9"]) == fleet()
    assert without(fleet(), []) == fleet()


def test_a_proxy_that_is_away_is_none_of_its_switch() -> None:
    assert without(fleet(), ["proxy1"]).proxies[0].hosts == ("proxy2",)


@pytest.mark.parametrize(
    ("site", "host", "why"),
    [
        (fleet(hosts=("web1",)), "web1", "only host of web"),
        (without(fleet(), ["web1", "web3"]), "web2", "only host of web"),
        (fleet(serving=3), "web1", "2 of web would be left without web1, and the site asks for 3"),
        (without(fleet(serving=2), ["web3"]), "web1", "asks for 2 serving"),
        (fleet(), "web9", "no host 'web9'"),
        (without(fleet(), ["web2"]), "web2", "without web2 already"),
        (without(fleet(), ["proxy1"]), "proxy2", "only proxy of edge"),
    ],
)
def test_s87_what_would_leave_too_little_is_refused_with_its_count(
    site: Site, host: str, why: str
) -> None:
    assert why in why_not(site, host)


@pytest.mark.parametrize("host", WEBS)
def test_as_many_as_the_site_asks_for_may_be_left(host: str) -> None:
    assert why_not(fleet(serving=2), host) == ""


@pytest.mark.parametrize("host", WEBS)
def test_a_part_loses_the_instance_of_the_host_and_no_other(host: str) -> None:
    part = Part("web", GREEN, 3, R2, Before(R1, running=3))
    (start,) = steps_without((Start((part,)),), fleet(), host)
    assert isinstance(start, Start)
    assert (start.parts[0].count, start.parts[0].before.running) == (2, 2)


def test_a_part_that_had_nothing_on_the_host_stays_as_it_is() -> None:
    """What is left over of before may be on the first hosts alone."""
    part = Part("web", GREEN, 2, R2, Before(R2, running=1))
    assert steps_without((Retire((part,)),), fleet(), "web3") == (Retire((part,)),)


def test_what_is_left_over_is_counted_without_who_is_away() -> None:
    site = without(fleet(), ["web2"])
    scene = serves_1(site).lies("web", made.R3)
    for index in (0, 2):
        scene.seen("web", GREEN, InstanceSeen(index, R2, True, 1, kept=True))
    retire = next(s for s in planned(scene, wish(web=made.R3)).steps if isinstance(s, Retire))
    assert retire.parts[0].count == 2


# -- Plans ---------------------------------------------------------------------------------


def test_s87_a_plan_counts_only_who_is_there_and_is_proven() -> None:
    site = without(fleet(), ["web2"])
    record = opened(serves_1(site), wish(web=R2))
    counts = {p.count for s in record.plan if isinstance(s, Start | Prove) for p in s.parts}
    assert counts == {2}
    assert isinstance(prove(record, serves_1(site).sighting()), Proof)


# -- A rollout that is open ----------------------------------------------------------------


OPENED = opened(serves_1(fleet()), wish(web=R2))
STEPS = kinds(OPENED.plan).split()


def at(name: str) -> int:
    return STEPS.index(name)


def through(step: str, *, well: bool = True) -> tuple[Record, ...]:
    """Everything up to this step is done; the proof found all three well."""
    done: list[Record] = []
    for index in range(at(step)):
        found = isinstance(OPENED.plan[index], Prove) and well
        facts = tuple(FoundWell("web", GREEN, i, 7) for i in range(3)) if found else ()
        done += [Began(1, index, False, 1), Ended(1, index, False, facts)]
    return tuple(done)


def test_s87_the_open_rollout_shrinks_and_goes_on_with_what_is_left() -> None:
    rollout = folded(OPENED, *through("start"), without_host("web2"))
    assert decide(rollout, NOW) == Do(at("start"))
    assert numbers(rollout.site) == (0, 2)
    for step in rollout.steps:
        for part in getattr(step, "parts", ()):
            assert part.count == 2, step
    shift = rollout.steps[rollout.shift_at]
    assert isinstance(shift, Shift)
    assert shift.flips[0].back is not None
    assert shift.flips[0].back.count == 2


def test_s87_a_start_on_the_others_is_enough_then() -> None:
    rollout = folded(OPENED, *through("start"), without_host("web2"))
    scene = serves_1(rollout.site)
    scene.current["web", GREEN] = R2
    for index in (0, 2):
        scene.seen("web", GREEN, InstanceSeen(index, R2, True, 1, kept=True))
    start = rollout.steps[at("start")]
    assert holds(start, scene.sighting())
    assert not undone(start, scene.sighting())


def test_s87_a_grant_and_what_was_found_of_the_others_stand() -> None:
    """Nothing was found out about them that was not known: their proof is as good as before."""
    gate = (Began(1, at("gate"), False, 1, NOW + 9e9), Granted(1, "cutover", 1, "ann"))
    rollout = folded(OPENED, *through("gate"), *gate, without_host("web2"))
    assert rollout.has_grant("cutover")
    assert rollout.gate == Gate("cutover")
    assert rollout.found_well()["web", "green", 2] == 7
    assert decide(rollout, NOW) == Do(at("gate"))


def test_s87_what_failed_for_the_host_is_tried_anew() -> None:
    failed = [
        Failed(1, at("start"), False, Trouble.UNREACHABLE, "web2 does not answer")
        for _ in range(OPENED.policy.tries - 1)
    ]
    rollout = folded(OPENED, *through("start"), *failed, without_host("web2"))
    assert rollout.failures == 0
    assert decide(rollout, NOW) == Do(at("start"))


def stuck_going_back() -> tuple[Record, ...]:
    undo = at("start")
    failed = [
        Failed(1, undo, True, Trouble.UNREACHABLE, "web2 does not answer")
        for _ in range(OPENED.policy.tries)
    ]
    begun = (Began(1, undo, False, 1), Turned(1, Way.BACK, "web2 died"), Began(1, undo, True, 2))
    return (*through("start"), *begun, *failed)


def test_s87_a_way_back_that_is_stuck_at_the_host_goes_on_without_it() -> None:
    before = folded(OPENED, *stuck_going_back())
    assert decide(before, NOW) == Wait(For.PERSON)
    rollout = folded(OPENED, *stuck_going_back(), without_host("web2"))
    assert rollout.backing_out
    assert not rollout.stuck
    assert rollout.attempt == before.attempt + 1


@pytest.mark.parametrize("host", ["web9", ""])
def test_a_host_that_it_does_not_have_is_answered(host: str) -> None:
    move = decide(folded(OPENED, without_host(host)), NOW)
    assert move == Answer(2, f"the site has no host {host!r}")


def test_s87_the_last_of_a_service_is_not_taken_out_of_a_rollout() -> None:
    rollout = folded(OPENED, without_host("web1"), without_host("web2"), without_host("web3"))
    move = decide(rollout, NOW)
    assert isinstance(move, Answer)
    assert "nothing of it would be left" in move.reason
    assert numbers(rollout.site) == (2,)


def test_a_rollout_is_taken_back_all_the_same() -> None:
    rollout = folded(OPENED, *through("start"), without_host("web2"), Asked(1, What.BACK, "ben"))
    assert isinstance(decide(rollout, NOW), Turn)


# -- The chronicle -------------------------------------------------------------------------


def chronicle_of(*records: Record) -> Chronicle:
    return reduce(fold, made.story(*records), Chronicle())


def rolled_out() -> tuple[Record, ...]:
    ends = tuple(Ended(1, index, False) for index in range(len(OPENED.plan)))
    return (OPENED, *ends, Closed(1, Outcome.ROLLED_OUT))


def test_s87_the_chronicle_remembers_until_the_host_is_readmitted() -> None:
    gone = chronicle_of(*rolled_out(), without_host("web2", None))
    assert gone.away == ("web2",)
    assert (gone.gone[0].by, gone.gone[0].why) == ("ann", "it burned")
    served = gone.serves("web")
    assert served is not None
    assert served.count == 2
    back = chronicle_of(
        *rolled_out(),
        without_host("web2", None),
        Asked(None, What.READMIT, "ann", target="web2"),
    )
    assert back.away == ()
    assert back.serves("web") == replace(served, count=3)


def test_s87_a_host_taken_out_of_a_rollout_is_out_of_the_site() -> None:
    chronicle = chronicle_of(OPENED, *through("gate"), without_host("web2"))
    assert chronicle.away == ("web2",)
    ends = tuple(Ended(1, i, False) for i in range(at("gate"), len(OPENED.plan)))
    closed = chronicle_of(
        OPENED, *through("gate"), without_host("web2"), *ends, Closed(1, Outcome.ROLLED_OUT)
    )
    served = closed.serves("web")
    assert served is not None
    assert (served.count, served.hosts, closed.away) == (2, WEBS, ("web2",))


def test_a_request_that_is_refused_takes_nobody_out() -> None:
    chronicle = chronicle_of(OPENED, without_host("web9"))
    assert chronicle.away == ()
    assert chronicle.open is not None
    assert len(chronicle.open.asked) == 1


def test_a_request_of_the_site_waits_while_a_rollout_is_open() -> None:
    chronicle = chronicle_of(OPENED, without_host("web2", None))
    assert chronicle.away == ()
    assert len(chronicle.asked) == 1


def test_s87_who_is_gone_is_no_drift_and_who_is_back_and_stopped_is() -> None:
    gone = chronicle_of(*rolled_out(), without_host("web2", None))
    scene = Scene(without(fleet(), ["web2"])).lies("web", R1, R2).serves("web", GREEN)
    for color, release in ((GREEN, R2), (BLUE, R1)):
        scene.current["web", color] = release
        for index in (0, 2):
            scene.seen("web", color, InstanceSeen(index, release, True, 1, kept=True))
    assert drift(gone, scene.sighting()) == ()
    back = fold(gone, made.story(*[Asked(None, What.READMIT, "ann", target="web2")] * 40)[39])
    assert [d.what for d in drift(back, scene.sighting())] == [
        "web green, which serves, runs 2 of 3"
    ]


def test_the_records_of_it_are_read_as_they_were_written() -> None:
    site = without(fleet(), ["web2"])
    record = opened(serves_1(site), wish(web=R2))
    assert from_json(to_json(record)) == record
    assert '"away":["web2"]' in to_json(record)
    assert '"away"' not in to_json(OPENED), "as it was written before there was one"
