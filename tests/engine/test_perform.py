"""Look, act, look; write before acting; and every undo, whatever happened or did not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby, takewhile

import pytest

from orchestrator.adapters.memory.fuse import (
    GO_ON,
    Answer,
    Fault,
    Fuse,
    How,
    Killed,
    Kind,
    Tick,
    When,
)
from orchestrator.adapters.memory.process import Process
from orchestrator.adapters.memory.world import World
from orchestrator.core.model import Color, Share
from orchestrator.core.record import (
    Asked,
    Began,
    Ended,
    Failed,
    Opened,
    Outcome,
    Trouble,
    What,
)
from orchestrator.core.record import Kind as WishKind
from orchestrator.core.steps import Retire, Shift, Stage, Start, Step, Tidy, Wire
from tests.core.made import SAME, service
from tests.engine.driven import POLICY, granting, shop, visit, wanting, with_one

ENSURE = "switch.ensure"  # changes nothing that a step is about
PAIR = (service("web", count=2, uses=[("api", SAME)]), service("api", count=2))


class Remembers:
    """A hook that keeps what happened, in order, with how long the journal was."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ticks: list[tuple[Tick, int]] = []

    def __call__(self, tick: Tick) -> Answer:
        self.ticks.append((tick, len(self.world.entries)))
        return GO_ON

    def verbs(self, when: When = When.BEFORE) -> list[str]:
        return [t.verb for t, _ in self.ticks if t.when is when]


def newest_plan(world: World) -> tuple[Step, ...]:
    return [e.record for e in world.entries if isinstance(e.record, Opened)][-1].plan


def failed(world: World) -> list[Failed]:
    return [e.record for e in world.entries if isinstance(e.record, Failed)]


async def to_the_gate(world: World) -> None:
    await visit(Process(world), wanting(world, web="2"))


async def back(world: World, process: Process | None = None) -> None:
    await Process(world).journal.ask(Asked(world.chronicle.rollouts, What.BACK, "ben"))
    await visit(process or Process(world))


# -- Rule 1 --------------------------------------------------------------------------------


async def test_rule_1_each_effect_comes_after_a_began_that_is_durable() -> None:
    world = await with_one(shop())
    hook = Remembers(world)
    await visit(Process(world, hook), wanting(world, web="2"), grant=True)
    acted = [(t, n) for t, n in hook.ticks if t.kind is Kind.EFFECT and t.verb != ENSURE]
    assert len(acted) > 6
    for _, entries in acted:
        newest = next(e.record for e in reversed(world.entries[:entries]) if e.epoch)
        assert isinstance(newest, Began)


# -- Rule 2 --------------------------------------------------------------------------------


async def test_rule_2_each_effect_has_a_look_before_and_a_look_after_it_with_its_epoch() -> None:
    world = await with_one(shop())
    hook = Remembers(world)
    await visit(Process(world, hook), wanting(world, web="2"), grant=True)
    told = [t for t, _ in hook.ticks if t.when is When.BEFORE and t.kind is not Kind.WRITE]
    both, effects = {"installation.look", "switch.look"}, 0
    for nth, tick in enumerate(told):
        if tick.verb in ("installation.stage", "installation.start", "switch.send"):
            before = _looks(reversed(told[:nth]), tick)
            after = _looks(told[nth + 1 :], tick)
            assert before == after == both, (tick, before, after)
            effects += 1
    assert effects >= 3


def _looks(ticks: Iterable[Tick], at: Tick) -> set[str]:
    """What was looked at with the epoch of this effect, up to the next one of another verb."""
    none = (ENSURE, "installation.point", at.verb)  # a start points its color first
    until = takewhile(lambda tick: tick.kind is not Kind.EFFECT or tick.verb in none, ticks)
    return {tick.verb for tick in until if tick.kind is Kind.LOOK and tick.epoch == at.epoch}


async def test_rule_2_what_was_seen_after_a_step_is_what_the_next_one_begins_with() -> None:
    """Nothing was done since: looking at a thousand hosts again would only take its time."""
    world = await with_one(shop())
    hook = Remembers(world)
    await visit(Process(world, hook), wanting(world, web="2"))
    told = [t.verb for t, _ in hook.ticks if t.when is When.BEFORE and t.kind is not Kind.WRITE]
    stage, start = told.index("installation.stage"), told.index("installation.start")
    assert told[stage + 1 : start].count("installation.look") == 1
    assert told[:stage].count("installation.look") == 1


async def test_rule_2_a_step_that_holds_already_is_ended_without_acting() -> None:
    world = await with_one(shop())
    dies = Fuse()

    def after_the_stage(tick: Tick) -> Answer:
        if tick.verb == "installation.stage" and tick.when is When.AFTER:
            raise Killed("just now")
        return dies(tick)

    with pytest.raises(Killed):
        await visit(Process(world, after_the_stage), wanting(world, web="2"))
    hook = Remembers(world)
    await visit(Process(world, hook))
    assert "installation.stage" not in hook.verbs()


async def test_rule_2_an_exit_code_is_not_believed() -> None:
    """S7: it reported success and did nothing; it failed and had done it."""
    world = await with_one(shop())
    lie = Fault("switch.send", How.LIES)
    await visit(Process(world, lie), wanting(world, web="2"), grant=True)
    assert [f.kind for f in failed(world)] == [Trouble.DID_NOT_TAKE]
    world = await with_one(shop())
    late = Fault("installation.start", How.LATE)
    await visit(Process(world, late), wanting(world, web="2"), grant=True)
    assert failed(world) == []
    assert world.shares["web"].live is Color.GREEN


# -- Rule 5 --------------------------------------------------------------------------------


async def test_rule_5_a_step_over_many_instances_is_one_step_and_the_look_says_what_it_lacks() -> (
    None
):
    world = await with_one(shop(service("web", count=40)))
    started = 0

    def dies_half_way(tick: Tick) -> Answer:
        nonlocal started
        if tick.verb == "installation.start" and tick.when is When.AFTER:
            started += 1
            if started == 25:
                raise Killed("half way")
        return GO_ON

    with pytest.raises(Killed):
        await visit(Process(world, dies_half_way), wanting(world, web="2"))
    await visit(Process(world))
    at = next(n for n, s in enumerate(newest_plan(world)) if isinstance(s, Start))
    records = [e.record for e in world.entries if isinstance(e.record, Began | Ended)]
    mine = [r for r in records if (r.rollout, r.step) == (2, at)]
    assert [type(r) for r in mine] == [Began, Began, Ended]
    greens = [e for e in world.effects if e.verb == "installation.start" and "green" in e.what]
    assert len(greens) == len({e.what for e in greens}) == 40


# -- Rule 6 --------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["installation.stage", "installation.point", "installation.start"])
@pytest.mark.parametrize("when", list(When))
async def test_rule_6_undo_includes_the_step_that_we_died_in(verb: str, when: When) -> None:
    world = await with_one(shop())
    before = (dict(world.staged["web"]), world.running("web", Color.GREEN))

    def dies(tick: Tick) -> Answer:
        if tick.verb == verb and tick.when is when:
            raise Killed(verb)
        return GO_ON

    with pytest.raises(Killed):
        await visit(Process(world, dies), wanting(world, web="2"))
    await back(world)
    assert world.chronicle.past[-1].outcome is Outcome.BACKED_OUT
    assert (dict(world.staged["web"]), world.running("web", Color.GREEN)) == before
    assert world.cell("web", Color.GREEN).current is None


async def test_rule_6_undo_includes_the_step_that_failed_half_way() -> None:
    world = await with_one(shop())
    half = Fault("installation.start", How.REFUSES, 99, what="#1")
    await visit(Process(world, half), wanting(world, web="2"))
    assert world.chronicle.past[-1].outcome is Outcome.BACKED_OUT
    assert world.running("web", Color.GREEN) == ()


async def test_rule_6_undoing_what_never_happened_changes_nothing() -> None:
    world = await with_one(shop(*PAIR))
    fault = Fault("installation.stage", How.REFUSES, 99)
    effects = len(world.effects)
    await visit(Process(world, fault), wanting(world, web="2", api="2"))
    assert world.chronicle.past[-1].outcome is Outcome.BACKED_OUT
    assert len(world.effects) == effects


async def test_taking_back_what_was_taken_back_already_is_answered() -> None:
    world = await with_one(shop())
    await to_the_gate(world)
    await back(world)
    effects = len(world.effects)
    await back(world)
    assert world.chronicle.asked == ()
    assert len(world.effects) == effects


# -- Rule 9, rule 10 -----------------------------------------------------------------------


async def test_rule_9_a_backout_never_asks_the_color_that_it_leaves() -> None:
    """S21: all of the new color is down; where the old one answers, the new is not even asked."""
    world = await with_one(shop())
    await visit(Process(world), wanting(world, web="2"))
    await Process(world).journal.ask(granting(world.chronicle))
    asked: list[str] = []

    def dies_in_the_soak(tick: Tick) -> Answer:
        rollout = world.chronicle.open
        if tick.verb == "switch.send" and tick.when is When.AFTER and not asked:
            for index in (0, 1):
                world.lose("web", Color.GREEN, index)
        if tick.verb == "prober.sample" and rollout is not None and rollout.backing_out:
            asked.append(tick.what)
        return GO_ON

    await visit(Process(world, dies_in_the_soak))
    assert world.shares["web"] == Share.all_to(Color.BLUE)
    assert world.chronicle.past[-1].outcome is Outcome.BACKED_OUT
    green = world.site.service("web").placement.green_port
    assert asked and all(int(where.rpartition(":")[2]) < green for where in asked)


async def test_rule_10_the_old_color_is_started_where_it_does_not_run_any_more() -> None:
    world = await with_one(shop())
    await visit(Process(world), wanting(world, web="2"), grant=True)
    for index in (0, 1):
        world.lose("web", Color.BLUE, index)
    await visit(Process(world), wanting(world, kind=WishKind.BACKOUT, web="1"))
    assert world.shares["web"].live is Color.BLUE
    assert len(world.running("web", Color.BLUE)) == 2


async def test_a_color_that_has_traffic_is_never_stopped_though_the_journal_asks_for_it() -> None:
    world = await with_one(shop())
    await visit(Process(world), wanting(world, web="2"), grant=True)
    world.offer("web", "3")
    hook = Remembers(world)

    def flips(tick: Tick) -> Answer:
        """Somebody flips by hand, just before the leftover is retired."""
        hook(tick)
        if tick.what == "Began" and tick.when is When.AFTER:
            rollout = world.chronicle.open
            step = rollout.steps[rollout.begun[0]] if rollout and rollout.begun else None
            if isinstance(step, Retire) and rollout is not None and not rollout.backing_out:
                world.shares["web"] = Share.all_to(Color.BLUE)
        return GO_ON

    await visit(Process(world, flips), wanting(world, web="3"))
    assert "installation.stop" not in hook.verbs()
    assert any(f.kind is Trouble.REFUSED and "has traffic" in f.reason for f in failed(world))


# -- What each step does -------------------------------------------------------------------


async def test_a_whole_plan_does_each_effect_once_and_in_order() -> None:
    world = await with_one(shop(*PAIR))
    world.effects.clear()
    await visit(Process(world), wanting(world, web="2", api="2"), grant=True)
    acted = [s for s in newest_plan(world) if isinstance(s, Stage | Wire | Start | Shift)]
    assert [type(s) for s in acted] == [Stage, Wire, Start, Shift]
    verbs = [verb.partition(".")[2] for verb, _ in groupby(e.verb for e in world.effects)]
    assert (verbs[:3], verbs[-1]) == (["stage", "send", "point"], "send")
    assert len({(e.verb, e.what) for e in world.effects}) == len(world.effects)


async def test_two_services_switch_in_one_write() -> None:
    """S29"""
    world = await with_one(shop(*PAIR))
    world.effects.clear()
    await visit(Process(world), wanting(world, web="2", api="2"), grant=True)
    moved = [e.what for e in world.effects if e.verb == "switch.send" and "0/100" in e.what]
    assert moved == ["web 0/100, api 0/100"]


@pytest.mark.parametrize("how", [How.REFUSES, How.LIES])
async def test_old_releases_that_cannot_be_deleted_are_a_remark_and_take_nothing_back(
    how: How,
) -> None:
    """A rollout that is well and soaked stays, though a disk keeps what nobody needs any more."""
    world = await with_one(shop(policy=replace(POLICY, keep=1)))
    for version in ("2", "3"):
        world.offer("web", version)
        await visit(Process(world), wanting(world, web=version), grant=True)
    world.offer("web", "4")
    kept = Fault("installation.remove", how, 99)
    await visit(Process(world, kept), wanting(world, web="4"), grant=True)
    assert any(isinstance(step, Tidy) for step in newest_plan(world))
    past = world.chronicle.past[-1]
    assert past.outcome is Outcome.ROLLED_OUT
    assert len(past.remarks) == 1 and past.remarks[0].startswith("left as it is: old releases: ")
