"""The user's own steps in plans: where they stand, which of them, and where the way back ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.core.happenings import Budget
from orchestrator.core.model import At, Command, Site
from orchestrator.core.narrate import narrate
from orchestrator.core.plan import Plan
from orchestrator.core.prove import Broken, Proof, prove
from orchestrator.core.record import Ended, Entry, Kind, LeftAsItIs, Wish
from orchestrator.core.rollout import Rollout
from orchestrator.core.sight import RunSeen, holds, undone
from orchestrator.core.step_words import doing, done, sentence_of, taken_back, undo_of
from orchestrator.core.steps import About, Run, undoable
from tests.core.made import (
    GREEN,
    QUICK,
    R2,
    SAME,
    USUAL,
    chronicled,
    kinds,
    opened,
    planned,
    service,
    serving,
    site,
    wish,
)

DO, UNDO, HOLDS = ("do",), ("undo",), ("holds",)


def own(name: str, at: At, *, undo: tuple[str, ...] = UNDO, **more: object) -> Command:
    return Command(name, at, DO, undo, **more)  # type: ignore[arg-type]


def shop(*steps: Command) -> Site:
    pair = site(service("web", uses=[("api", SAME)]), service("api"))
    return replace(pair, steps=steps)


EVERYWHERE = tuple(own(at.value, at) for at in At)


def test_each_of_the_four_places_is_where_it_says() -> None:
    plan = planned(serving(at=shop(*EVERYWHERE)), wish(web=R2), policy=USUAL)
    told = [s.command.name if isinstance(s, Run) else kinds((s,)) for s in plan.steps]
    before, start = told.index("before-start"), told.index("start")
    assert before + 1 == start
    gate, shift = told.index("gate"), told.index("shift")
    assert told[gate : shift + 3] == ["gate", "before-cutover", "shift", "after-cutover", "soak"]
    assert told[-1] == "at-close"


def test_those_of_one_place_stand_in_the_order_of_the_file() -> None:
    steps = (own("b", At.AT_CLOSE), own("a", At.AT_CLOSE))
    plan = planned(serving(at=shop(*steps)), wish(web=R2))
    assert [s.command.name for s in plan.steps if isinstance(s, Run)] == ["b", "a"]


def test_a_step_of_a_service_that_stays_as_it_is_is_not_in_the_plan() -> None:
    steps = (own("migrate", At.BEFORE_START, of="api"), own("warm", At.AFTER_CUTOVER, of="web"))
    plan = planned(serving("web", "api", at=shop(*steps)), wish(web=R2))
    (run,) = (s for s in plan.steps if isinstance(s, Run))
    assert run.command.name == "warm"
    assert run.about == About("web", GREEN, R2)


def test_what_holds_already_is_not_in_the_plan_and_of_hosts_only_the_others_are() -> None:
    """Rule 7: an undo never takes away what was there before."""
    on = ("h1", "h2", "h3")
    steps = (
        own("provision", At.BEFORE_START, holds=HOLDS, on=on),
        own("warm", At.AFTER_CUTOVER, holds=HOLDS),
    )
    scene = serving(at=shop(*steps))
    seen = tuple(RunSeen("provision", host, host != "h2") for host in on)
    sighting = replace(scene.sighting(), runs=(*seen, RunSeen("warm", "", holds=True)))
    from orchestrator.core.chronicle import Chronicle
    from orchestrator.core.plan import plan

    answer = plan(scene.site, wish(web=R2), sighting, policy=USUAL, chronicle=Chronicle())
    assert isinstance(answer, Plan)
    (run,) = (s for s in answer.steps if isinstance(s, Run))
    assert (run.command.name, run.hosts) == ("provision", ("h2",))


def test_it_holds_where_it_was_seen_to_everywhere_and_never_where_nobody_looked() -> None:
    run = Run(own("provision", At.BEFORE_START, on=("h1", "h2")), ("h1", "h2"))
    both = serving().sighting()
    assert not holds(run, both)
    assert not undone(run, both)
    one = replace(both, runs=(RunSeen("provision", "h1", holds=True, left=True),))
    assert not holds(run, one)
    two = replace(one, runs=(*one.runs, RunSeen("provision", "h2", holds=True, left=False)))
    assert holds(run, two)
    assert not undone(run, two)


# -- The way back --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "can"),
    [
        (own("a", At.BEFORE_START), True),
        (own("a", At.BEFORE_START, undo=()), False),
        (own("a", At.BEFORE_START, undo=(), leave=True), True),
    ],
)
def test_without_an_undo_it_is_the_point_of_no_return_unless_it_may_stay(
    step: Command, can: bool
) -> None:
    plan = planned(serving(at=shop(step)), wish(web=R2))
    at = next(i for i, s in enumerate(plan.steps) if isinstance(s, Run))
    assert undoable(plan.steps[at]) is can
    assert plan.no_return == (None if can else at)
    assert any("cannot go back" in remark for remark in plan.remarks) is not can


@pytest.mark.parametrize("at", At)
@pytest.mark.parametrize("how", ["undo", "leave", "neither", "on hosts"])
@pytest.mark.parametrize("policy", [USUAL, QUICK], ids=["usual", "quick"])
def test_a_plan_with_own_steps_is_proven(at: At, how: str, policy: object) -> None:
    more: dict[str, dict[str, object]] = {
        "undo": {},
        "leave": {"undo": (), "leave": True},
        "neither": {"undo": ()},
        "on hosts": {"on": ("h1", "h2", "h3")},
    }
    scene = serving(at=shop(own("own", at, **more[how])))  # type: ignore[arg-type]
    record = opened(scene, wish(web=R2), policy=policy)  # type: ignore[arg-type]
    proof = prove(record, scene.sighting(), Budget(faults=1, restarts=1, requests=2))
    assert isinstance(proof, Proof), proof


def test_a_plan_that_pretends_to_take_back_what_nothing_takes_back_is_broken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Seeded: the fold takes it for undoable."""
    from orchestrator.core import rollout as folding

    monkeypatch.setattr(folding, "undoable", lambda step: True)
    scene = serving(at=shop(own("contract", At.BEFORE_CUTOVER, undo=())))
    answer = prove(opened(scene, wish(web=R2), policy=QUICK), scene.sighting())
    assert isinstance(answer, Broken)
    assert answer.promise == "it backed out, and what contract did is still there"


def test_back_is_answered_with_the_step_that_nothing_takes_back() -> None:
    from orchestrator.core.decide import Answer, decide
    from orchestrator.core.record import Asked, Began, What
    from tests.core.made import NOW, folded

    scene = serving(at=shop(own("contract", At.BEFORE_START, undo=())))
    record = opened(scene, wish(web=R2))
    at = next(i for i, s in enumerate(record.plan) if isinstance(s, Run))
    until = [r for i in range(at) for r in (Began(1, i, False, 1), Ended(1, i, False))]
    asked = Asked(1, What.BACK, "ann")
    before: Rollout = folded(record, *until, asked)
    assert not isinstance(decide(before, NOW), Answer)
    after = folded(record, *until, Began(1, at, False, 1), asked)
    move = decide(after, NOW)
    assert isinstance(move, Answer)
    assert move.reason == (
        "it is past the point of no return: contract was begun, and nothing takes it back"
    )


def test_a_backout_after_the_close_takes_back_what_can_be_once_traffic_is_back() -> None:
    from orchestrator.core.record import Began, Closed, Outcome

    steps = (
        own("provision", At.BEFORE_START),
        own("contract", At.BEFORE_CUTOVER, undo=()),
        own("expand", At.BEFORE_CUTOVER, undo=(), leave=True),
        own("warm", At.AFTER_CUTOVER),
    )
    scene = serving(at=shop(*steps))
    record = opened(scene, wish(web=R2))
    went = [r for i in range(len(record.plan)) for r in (Began(1, i, False, 1), Ended(1, i, False))]
    chronicle = chronicled(record, *went, Closed(1, Outcome.ROLLED_OUT))
    from tests.core.made import R1

    now = serving(at=shop(*steps)).runs("web", GREEN, R2).serves("web", GREEN)
    backing = Wish(wish(Kind.BACKOUT, web=R1).wanted, Kind.BACKOUT, undoes=1)
    plan = planned(now, backing, chronicle=chronicle)
    told = [s.command.name if isinstance(s, Run) else kinds((s,)) for s in plan.steps]
    assert told == ["prove", "shift", "warm", "provision"]
    assert all(s.back and s.forth == UNDO for s in plan.steps if isinstance(s, Run))
    assert plan.remarks == ("contract has no undo: what it did stays.",)
    proof = prove(opened(now, backing, steps=plan.steps), now.sighting())
    assert isinstance(proof, Proof), proof


# -- In words ------------------------------------------------------------------------------


def test_a_step_of_the_users_own_goes_by_its_name() -> None:
    here = Run(own("warm", At.AFTER_CUTOVER))
    assert (sentence_of(here), doing(here)) == ("run warm", "running warm")
    assert (done(here), undo_of(here)) == ("warm is done", "take warm back")
    hosts = Run(own("provision", At.BEFORE_START, on=("h1", "h2")), ("h1", "h2"))
    assert sentence_of(hosts) == "run provision on h1 and h2"
    assert taken_back(hosts) == "provision is taken back on h1 and h2"
    never = Run(own("contract", At.AT_CLOSE, undo=()))
    assert sentence_of(never) == "run contract; nothing takes that back"
    assert doing(never) == "running contract"
    assert undo_of(never) == ""


def test_what_could_not_be_taken_back_is_told() -> None:
    run = Run(own("warm", At.AFTER_CUTOVER))
    left = Ended(1, 0, True, (LeftAsItIs("warm", "exit code 1"),))
    assert narrate(Entry(1, 0.0, 1, left), (run,)) == (
        "going back: warm is left as it is: exit code 1."
    )
