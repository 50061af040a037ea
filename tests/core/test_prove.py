"""Proofs: a right plan is proven in every state, a wrong one is broken, with the shortest story."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from orchestrator.core.happenings import Budget
from orchestrator.core.health import Verdict
from orchestrator.core.model import Coupling, Otherwise, Policy, Release, Share
from orchestrator.core.prove import Broken, Proof, prove
from orchestrator.core.record import Kind, Wish
from orchestrator.core.sight import InstanceSeen
from orchestrator.core.steps import (
    Before,
    Drain,
    Flip,
    Gate,
    Prove,
    Retire,
    Shift,
    Stage,
    Start,
    Step,
    Tidy,
    Wire,
)
from tests.core.made import (
    ANY,
    BLUE,
    GREEN,
    NEWER,
    QUICK,
    R1,
    R2,
    R3,
    R4,
    R5,
    SAME,
    SHOP,
    USUAL,
    Scene,
    kinds,
    opened,
    planned,
    service,
    serving,
    site,
    wish,
    wish_for,
    with_policy,
)

UNGATED = with_policy(QUICK, cutover=None)
TWO_OF_ALL = Budget(faults=1, restarts=1, requests=2)


def shop() -> Scene:
    return serving("web", "api", at=SHOP)


def coupled(coupling: Coupling) -> Scene:
    return serving("web", "api", at=site(service("web", uses=[("api", coupling)]), service("api")))


def leftovers(count: int, release: Release = R2) -> Scene:
    return serving().runs("web", GREEN, release, count=count)


def crash_looped() -> Scene:
    down = InstanceSeen(0, R2, False, 9, note="exited with 1", kept=True)
    return serving().runs("web", GREEN, R2, count=0).seen("web", GREEN, down)


def with_nothing_running() -> Scene:
    scene = serving()
    scene.instances.clear()
    return scene


PLANS: dict[str, tuple[Callable[[], Scene], Wish]] = {
    "a first deploy": (Scene, wish(web=R1)),
    "a second deploy": (serving, wish(web=R2)),
    "onto the place of a standby": (lambda: leftovers(2, R3), wish(web=R2)),
    "back to a standby that waits": (lambda: leftovers(2), wish(web=R2)),
    "onto half a start of the same release": (lambda: leftovers(1), wish(web=R2)),
    "onto half a start of another release": (lambda: leftovers(1, R3), wish(web=R2)),
    "onto leftovers that crash": (crash_looped, wish(web=R2)),
    "the same release again": (serving, wish(web=R1, again=True)),
    "the same release again, its standby warm": (
        lambda: leftovers(2, R1),
        wish(web=R1, again=True),
    ),
    "older releases are deleted": (lambda: serving().lies("web", R3, R4, R5), wish(web=R2)),
    "two services in one world": (shop, wish(web=R2, api=R2)),
    "a service whose caller stays outside": (shop, wish(api=R2)),
    "a caller whose service stays outside": (shop, wish(web=R2)),
    "two services, any coupling": (lambda: coupled(ANY), wish(web=R2, api=R2)),
    "two services, newer coupling": (lambda: coupled(NEWER), wish(web=R2, api=R2)),
    "one service first, one second": (
        lambda: serving("web", at=SHOP),
        wish(web=R2, api=R1),
    ),
    "a backout to a standby": (lambda: leftovers(2), wish(Kind.BACKOUT, web=R2)),
    "a backout to half a standby": (lambda: leftovers(1), wish(Kind.BACKOUT, web=R2)),
    "a backout without a standby": (
        lambda: serving().lies("web", R2),
        wish(Kind.BACKOUT, web=R2),
    ),
    "S22: a fix, while nothing runs where the traffic goes": (with_nothing_running, wish(web=R2)),
}


@pytest.mark.parametrize(("scene", "wanted"), PLANS.values(), ids=PLANS)
@pytest.mark.parametrize(
    ("policy", "was"), [(USUAL, Verdict.WELL), (QUICK, Verdict.ILL)], ids=["well", "ill"]
)
def test_what_plan_makes_is_proven(
    scene: Callable[[], Scene], wanted: Wish, policy: Policy, was: Verdict
) -> None:
    record = opened(scene(), wanted, policy=policy, was=was)
    proof = prove(record, scene().sighting())
    assert isinstance(proof, Proof), proof
    assert proof.steps == len(record.plan)
    assert proof.states > 100


@pytest.mark.parametrize(("scene", "wanted"), PLANS.values(), ids=PLANS)
def test_it_stays_proven_where_people_change_their_mind_twice(
    scene: Callable[[], Scene], wanted: Wish
) -> None:
    """Back and forward again, at any point, with a fault and a restart."""
    proof = prove(opened(scene(), wanted, policy=QUICK), scene().sighting(), TWO_OF_ALL)
    assert isinstance(proof, Proof), proof


def test_without_a_fault_nothing_is_ever_stuck() -> None:
    quiet = Budget(faults=0, restarts=0, requests=2)
    for scene, wanted in PLANS.values():
        proof = prove(opened(scene(), wanted, policy=QUICK), scene().sighting(), quiet)
        assert isinstance(proof, Proof), proof
        assert proof.stuck == 0


# -- Wrong plans ---------------------------------------------------------------------------


def broken(scene: Scene, wanted: Wish, steps: tuple[Step, ...]) -> Broken:
    answer = prove(opened(scene, wanted, policy=UNGATED, steps=steps), scene.sighting())
    assert isinstance(answer, Broken), f"{kinds(steps)}: {answer}"
    return answer


def test_of_all_orders_of_a_plain_plan_exactly_one_is_right() -> None:
    """S60"""
    scene, wanted = serving(), wish(web=R2)
    steps = planned(scene, wanted, policy=UNGATED).steps
    right = [
        kinds(order)
        for order in itertools.permutations(steps)
        if isinstance(
            prove(opened(scene, wanted, policy=UNGATED, steps=order), scene.sighting()), Proof
        )
    ]
    assert right == ["stage start prove shift"]


def test_leftovers_go_before_the_start_in_every_right_order() -> None:
    scene, wanted = leftovers(2, R3), wish(web=R2)
    steps = planned(scene, wanted, policy=UNGATED).steps
    *there, shift = (step for step in steps if not isinstance(step, Drain))
    for order in itertools.permutations(there):
        record = opened(scene, wanted, policy=UNGATED, steps=(*order, shift))
        proven = isinstance(prove(record, scene.sighting(), Budget(0, 0, 1)), Proof)
        names = kinds(order)
        assert proven == names.endswith("start prove"), names


def test_each_step_of_a_plan_is_needed() -> None:
    scene, wanted = leftovers(2, R3), wish(web=R2)
    steps = planned(scene, wanted, policy=UNGATED).steps
    for missing in (Stage, Retire, Start, Prove):
        left = tuple(s for s in steps if not isinstance(s, missing))
        broken(scene, wanted, left)


def test_a_plan_without_a_proof_is_broken_with_its_shortest_story() -> None:
    scene, wanted = serving(), wish(web=R2)
    steps = planned(scene, wanted, policy=UNGATED).steps
    left = tuple(s for s in steps if not isinstance(s, Prove))
    answer = broken(scene, wanted, left)
    assert "found it well" in answer.promise
    assert answer.story == ("stage ends", "start ends")


def test_a_plan_that_stops_what_serves_is_broken() -> None:
    scene, wanted = serving(), wish(web=R2)
    steps = planned(scene, wanted, policy=UNGATED).steps
    (flip,) = next(s for s in steps if isinstance(s, Shift)).flips
    assert flip.back is not None
    broken(scene, wanted, (Retire((flip.back,)), *steps))


def test_a_plan_whose_undo_would_guess_is_broken() -> None:
    """Rule 7: it carries what was there before."""
    scene, wanted = leftovers(2, R3), wish(web=R2)

    def forgetting(step: Step) -> Step:
        match step:
            case Start(parts):
                return Start(tuple(replace(p, before=Before()) for p in parts))
            case Retire(parts):
                return Retire(tuple(replace(p, before=Before()) for p in parts))
            case Shift(flips):
                return Shift(tuple(replace(f, before=Share()) for f in flips))
            case _:
                return step

    steps = planned(scene, wanted, policy=UNGATED).steps
    for kind in (Start, Retire, Shift):
        worse = tuple(forgetting(s) if isinstance(s, kind) else s for s in steps)
        assert "backed out" in broken(scene, wanted, worse).promise


def test_an_address_that_does_not_lead_where_the_plan_says_it_did_is_found() -> None:
    scene = shop().pinned("web", GREEN, "api", BLUE)
    steps = planned(scene, wish(web=R2, api=R2), policy=UNGATED).steps
    wired = next(s for s in steps if isinstance(s, Wire))
    assert {w.before for w in wired.wirings} == {BLUE}
    forgot = tuple(
        Wire(tuple(replace(w, before=None) for w in s.wirings)) if isinstance(s, Wire) else s
        for s in steps
    )
    answer = broken(scene, wish(web=R2, api=R2), forgot)
    assert answer.promise == "it backed out, and an inner address leads elsewhere"


def test_staging_over_what_lay_there_and_taking_it_away_is_broken() -> None:
    scene, wanted = serving().lies("web", R2), wish(web=R2)
    steps = planned(scene, wanted, policy=UNGATED).steps
    start = next(s for s in steps if isinstance(s, Start))
    careless = Stage(tuple(replace(p, before=Before()) for p in start.parts))
    answer = broken(scene, wanted, (careless, *steps))
    assert "keeps something else" in answer.promise


def test_deleting_the_release_that_serves_is_broken() -> None:
    scene, wanted = serving(), wish(web=R2)
    steps = planned(scene, wanted, policy=UNGATED).steps
    broken(scene, wanted, (*steps, Tidy((("web", R1),))))
    broken(scene, wanted, (*steps, Tidy((("web", R2),))))


def test_a_shift_to_nowhere_is_broken() -> None:
    scene, wanted = serving(), wish(web=R2)
    alone = (Shift((Flip("web", Share.all_to(BLUE), Share.all_to(GREEN)),)),)
    answer = broken(scene, wanted, alone)
    assert answer.story == ()


# -- What is walked ------------------------------------------------------------------------


def test_a_gate_that_stays_when_its_time_is_over_reaches_an_ending() -> None:
    gate = replace(USUAL.cutover, otherwise=Otherwise.STAY) if USUAL.cutover else None
    scene, policy = serving(), replace(USUAL, cutover=gate)
    record = opened(scene, wish(web=R2), policy=policy)
    assert any(isinstance(s, Gate) for s in record.plan)
    assert isinstance(prove(record, scene.sighting()), Proof)


def test_more_trouble_means_more_states() -> None:
    scene = serving()
    record = opened(scene, wish(web=R2), policy=QUICK)
    counts = []
    for budget in (Budget(0, 0, 0), Budget(1, 0, 0), Budget(1, 1, 0), Budget(1, 1, 1), Budget(2)):
        proof = prove(record, scene.sighting(), budget)
        assert isinstance(proof, Proof)
        counts.append(proof.states)
    assert counts == sorted(set(counts))


def test_services_that_are_alike_stand_for_each_other() -> None:
    def states(count: int) -> int:
        names = [f"s{n}" for n in range(count)]
        scene = serving(*names, at=site(*(service(n) for n in names)))
        record = opened(scene, wish_for(dict.fromkeys(names, R2)), policy=QUICK)
        proof = prove(record, scene.sighting())
        assert isinstance(proof, Proof)
        return proof.states

    assert states(2) == states(5)


def test_a_service_with_leftovers_of_the_same_release_is_not_like_one_with_others() -> None:
    """What differs only by which releases are the same still differs."""
    names = ("a", "b", "c")
    scene = serving(*names, at=site(*(service(n) for n in names)))
    scene.runs("a", GREEN, R3, count=1).runs("b", GREEN, R3, count=1).runs("c", GREEN, R2, count=1)
    record = opened(scene, wish(a=R2, b=R2, c=R2), policy=QUICK)
    proof = prove(record, scene.sighting(), Budget(instances=1))
    without = replace(
        record,
        plan=tuple(
            replace(s, parts=tuple(p for p in s.parts if p.service != "c"))
            if isinstance(s, Stage | Drain | Retire | Start | Prove)
            else replace(s, flips=tuple(f for f in s.flips if f.service != "c"))
            if isinstance(s, Shift)
            else s
            for s in record.plan
        ),
    )
    fewer = prove(without, scene.sighting(), Budget(instances=1))
    assert isinstance(proof, Proof) and isinstance(fewer, Proof)
    assert proof.states > fewer.states


def test_a_proof_of_ten_services_takes_no_time_that_people_notice() -> None:
    names = [f"s{n}" for n in range(10)]
    chain = (
        service(name, count=4, uses=[(after, SAME)] if after else [])
        for name, after in zip(names, [*names[1:], ""], strict=True)
    )
    scene = serving(*names, at=site(*chain))
    for name in names:
        scene.runs(name, GREEN, R3)
    record = opened(scene, wish_for(dict.fromkeys(names, R2)))
    took_s = []
    for _ in range(2):
        began_s = time.process_time()
        assert isinstance(prove(record, scene.sighting()), Proof)
        took_s.append(time.process_time() - began_s)
    assert min(took_s) < 1.0  # half a second on a quiet machine; this one is shared


@pytest.mark.slow
@pytest.mark.parametrize(("scene", "wanted"), PLANS.values(), ids=PLANS)
def test_two_faults_and_two_restarts_and_two_requests_break_nothing(
    scene: Callable[[], Scene], wanted: Wish
) -> None:
    deep = Budget(faults=2, restarts=2, requests=2, alike=3, orders=2)
    proof = prove(opened(scene(), wanted, policy=QUICK), scene().sighting(), deep)
    assert isinstance(proof, Proof), proof


FIVE = [f"s{n}" for n in range(5)]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "budget",
    [
        Budget(faults=2, requests=2, alike=5, instances=1, orders=2, states=4_000_000),
        Budget(faults=2, restarts=2, requests=2, instances=3, orders=2, states=4_000_000),
        Budget(faults=3, alike=2, orders=2, states=4_000_000),
    ],
    ids=["five alike", "three instances, two of each trouble", "three faults"],
)
@pytest.mark.parametrize("left", [None, R3], ids=["empty", "onto a standby"])
def test_representatives_leave_nothing_out(budget: Budget, left: Release | None) -> None:
    """More of what is alike finds nothing that fewer did not find."""
    chain = (
        service(name, count=5, uses=[(after, SAME)] if after else [])
        for name, after in zip(FIVE, [*FIVE[1:], ""], strict=True)
    )
    scene = serving(*FIVE, at=site(*chain))
    for name in FIVE if left else ():
        scene.runs(name, GREEN, R3)
    record = opened(scene, wish_for(dict.fromkeys(FIVE, R2)), policy=QUICK)
    proof = prove(record, scene.sighting(), budget)
    assert isinstance(proof, Proof), proof
