"""Watches: evidence of one start, bounded in time, and open to whoever asks meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.adapters.memory.fuse import GO_ON, Answer, Hook, Tick, When
from orchestrator.adapters.memory.process import Process
from orchestrator.adapters.memory.world import (
    CRASHING,
    FLAPPING,
    HANGING,
    ILL,
    Health,
    World,
)
from orchestrator.core.decide import For
from orchestrator.core.health import Verdict
from orchestrator.core.record import (
    Asked,
    Began,
    Ended,
    Failed,
    FoundWell,
    LeftOpen,
    Opened,
    Outcome,
    Trouble,
    Turned,
    What,
)
from orchestrator.core.steps import Drain, Prove, Shift, Soak, Step
from orchestrator.ports.trouble import Unreachable
from tests.core.made import BLUE, GREEN, with_policy
from tests.engine.driven import (
    POLICY,
    PROBING,
    RETRY,
    granting,
    hands,
    shop,
    two,
    visit,
    wanting,
    with_one,
)


async def after(world: World, seconds: float, asked: Asked) -> None:
    await world.clock.sleep(seconds)
    await Process(world).journal.ask(asked)


def records(world: World, kind: type) -> list[object]:
    return [e.record for e in world.entries if isinstance(e.record, kind)]


def index_of(world: World, kind: type[Step]) -> int:
    opened = [e.record for e in world.entries if isinstance(e.record, Opened)][-1]
    return next(i for i, step in enumerate(opened.plan) if isinstance(step, kind))


def taken_s(world: World, kind: type[Step]) -> float:
    """From the step's Began to its ending, in the newest rollout."""
    index, newest = index_of(world, kind), world.chronicle.rollouts
    times = [
        e.at_s
        for e in world.entries
        if isinstance(e.record, Began | Ended | Failed)
        and (e.record.rollout, e.record.step, e.record.undoing) == (newest, index, False)
    ]
    return times[-1] - times[0]


# -- Prove ---------------------------------------------------------------------------------


async def test_a_new_color_is_well_after_enough_good_answers_in_a_row() -> None:
    world = await with_one(shop())
    await visit(Process(world), wanting(world, web="2"))
    assert world.chronicle.open is not None and world.chronicle.open.gate is not None
    facts = {f for _, f in world.chronicle.open.facts}
    assert facts == {FoundWell("web", GREEN, 0, 1), FoundWell("web", GREEN, 1, 1)}


async def test_a_slow_start_is_waited_for() -> None:
    """S41"""
    world = await with_one(shop(), web=Health(slow=6))
    await visit(Process(world), wanting(world, web="2"))
    assert world.chronicle.open is not None and world.chronicle.open.gate is not None
    assert taken_s(world, Prove) == pytest.approx(3.5)


@pytest.mark.parametrize(
    "health", [ILL, CRASHING, FLAPPING, HANGING, Health(slow=99)], ids=lambda h: h.why or "other"
)
async def test_a_release_that_is_not_surely_well_never_gets_traffic(health: Health) -> None:
    """S20 S41 S42: crash-looping, flapping, hanging or ill, each ends in a verdict in time."""
    world = await with_one(shop(), web=health)
    await visit(Process(world), wanting(world, web="2"))
    assert world.chronicle.past[-1].outcome is Outcome.BACKED_OUT
    assert [e.what for e in world.effects if e.verb == "switch.send"] == ["web 100/0"]
    assert taken_s(world, Prove) <= PROBING.within_s + PROBING.timeout_s + PROBING.every_s
    assert world.running("web", GREEN) == ()


async def test_the_deadline_fires_although_it_flaps() -> None:
    """S43"""
    world = await with_one(shop(), web=FLAPPING)
    await visit(Process(world), wanting(world, web="2"))
    (failed,) = records(world, Failed)
    assert isinstance(failed, Failed) and failed.kind is Trouble.ILL
    assert PROBING.within_s <= taken_s(world, Prove) <= PROBING.within_s + PROBING.every_s


async def test_a_request_during_a_watch_is_heard_at_once_and_answered() -> None:
    world = await with_one(shop(), web=Health(slow=8))
    newest = world.chronicle.rollouts + 1
    asking = asyncio.create_task(after(world, 1.1, Asked(newest, What.BACK, "ben")))
    await visit(Process(world), wanting(world, web="2"))
    await asking
    (turned,) = [e for e in world.entries if isinstance(e.record, Turned)]
    (asked,) = [e for e in world.entries if isinstance(e.record, Asked)]
    assert turned.at_s - asked.at_s <= PROBING.every_s
    assert world.chronicle.past[-1].outcome is Outcome.BACKED_OUT


async def test_a_request_that_changes_nothing_does_not_disturb_the_watch() -> None:
    """The evidence so far is not held against the release; the watch goes on to its verdict."""
    world = await with_one(shop(), web=Health(slow=4))
    newest = world.chronicle.rollouts + 1
    asking = asyncio.create_task(after(world, 1.1, Asked(newest, What.RETRY, "ben")))
    await visit(Process(world), wanting(world, web="2"))
    await asking
    assert world.chronicle.open is not None and world.chronicle.open.gate is not None
    assert not records(world, Failed)


async def test_a_driver_that_takes_over_a_watch_gives_it_its_whole_time() -> None:
    """S1: killed in the middle of a proof, resumed an hour later."""
    world = await with_one(shop(), web=Health(slow=4))
    first = Process(world)
    driving = asyncio.create_task(visit(first, wanting(world, web="2")))
    await world.clock.sleep(0.7)
    first.kill()
    with pytest.raises(BaseException, match="dead"):
        await driving
    world.clock.pass_by(3600)
    await visit(Process(world))
    assert world.chronicle.open is not None and world.chronicle.open.gate is not None


async def test_a_watch_that_was_paused_goes_on_with_its_whole_time() -> None:
    world = await with_one(shop(), web=Health(slow=4))
    newest = world.chronicle.rollouts + 1
    pausing = asyncio.create_task(after(world, 0.7, Asked(newest, What.PAUSE, "ben")))
    going_on = asyncio.create_task(after(world, 600, Asked(newest, What.GO_ON, "ben")))
    await visit(Process(world), wanting(world, web="2"), wait_for=(For.RETRY, For.PAUSED))
    await asyncio.gather(pausing, going_on)
    assert world.chronicle.open is not None and world.chronicle.open.gate is not None
    assert not records(world, Failed)


async def test_samples_of_another_start_are_forgotten() -> None:
    """Rule 2: a verdict belongs to one start of one release."""
    world = await with_one(shop(), web=Health(slow=1))
    visiting = asyncio.create_task(visit(Process(world), wanting(world, web="2")))
    await world.clock.sleep(0.7)  # one bad, one good sample
    world.crash("web", GREEN, 0)
    await visiting
    assert world.chronicle.open is not None
    assert world.chronicle.open.found_well()["web", "green", 0] == 2
    assert taken_s(world, Prove) >= 1.5


async def test_a_backout_is_proven_by_any_answer() -> None:
    """Rule 10: going back, the old color gets the traffic as soon as any of it answers."""
    from orchestrator.core.record import Kind

    world = await with_one(shop())
    await visit(Process(world), wanting(world, web="2"), grant=True)
    world.lose("web", BLUE, 1)
    await visit(Process(world), wanting(world, kind=Kind.BACKOUT, web="1"))
    assert world.chronicle.past[-1].outcome is Outcome.ROLLED_OUT
    assert world.shares["web"].live is BLUE


# -- Soak ----------------------------------------------------------------------------------


async def test_a_release_that_turns_ill_under_traffic_goes_back_by_itself_and_says_why() -> None:
    """S45"""
    world = await with_one(shop(), web=Health(ill_after=3, why="status 500 under load"))
    await visit(Process(world), wanting(world, web="2"), grant=True)
    past = world.chronicle.past[-1]
    assert past.outcome is Outcome.BACKED_OUT
    assert "status 500 under load" in past.reason
    assert world.shares["web"].live is BLUE


async def test_a_soak_takes_its_time_without_a_break() -> None:
    world = await with_one(shop())
    await visit(Process(world), wanting(world, web="2"), grant=True)
    assert taken_s(world, Soak) == pytest.approx(POLICY.soak_s)


async def test_a_soak_that_was_interrupted_begins_again() -> None:
    world = await with_one(shop())
    await visit(Process(world), wanting(world, web="2"))
    await Process(world).journal.ask(granting(world.chronicle))
    first = Process(world)
    driving = asyncio.create_task(visit(first))
    await world.clock.sleep(1.0)
    first.kill()
    with pytest.raises(BaseException, match="dead"):
        await driving
    began_s = world.clock.now()
    await visit(Process(world))
    assert world.clock.now() - began_s >= POLICY.soak_s
    assert world.chronicle.past[-1].outcome is Outcome.ROLLED_OUT


async def test_a_soak_that_never_settles_ends_at_its_outer_limit() -> None:
    world = await with_one(
        shop(policy=with_policy(POLICY, soak_s=3.0, soak_within_s=10.0)), web=Health()
    )
    await visit(Process(world), wanting(world, web="2"))
    world.health["web", two(world)] = FLAPPING
    await visit(Process(world), grant=True)
    assert world.chronicle.past[-1].outcome is Outcome.BACKED_OUT


async def test_where_the_old_color_was_ill_nothing_turns_back_to_it_by_itself() -> None:
    """Rule 10, S22: stuck, and a person says how it goes on."""
    world = await with_one(shop(), web=Health(ill_after=3))
    world.health["web", world.offers["web"][0].release] = ILL
    await visit(Process(world), wanting(world, web="2"), grant=True)
    rollout = world.chronicle.open
    assert rollout is not None and rollout.stuck and not rollout.was_well
    assert rollout.before[0].verdict is Verdict.ILL
    assert world.shares["web"].live is GREEN


# -- Looks that are not answered -----------------------------------------------------------


def unanswered(world: World, kind: type[Step], many: int = 1) -> Hook:
    """The next so many looks at installations after a step of this kind began find nobody."""
    left = many

    def fails(tick: Tick) -> Answer:
        nonlocal left
        rollout = world.chronicle.open
        begun = rollout.begun if rollout else None
        step = rollout.steps[begun[0]] if rollout and begun and not begun[1] else None
        looks = tick.verb == "installation.look" and tick.when is When.BEFORE
        if left and looks and isinstance(step, kind):
            left -= 1
            raise Unreachable("the host does not answer")
        return GO_ON

    return fails


@pytest.mark.parametrize("kind", [Prove, Soak], ids=["prove", "soak"])
async def test_a_look_that_nobody_answers_says_nothing_about_a_color(kind: type[Step]) -> None:
    """S42: neither well nor dead. It is looked at again."""
    world = await with_one(shop())
    process = Process(world, unanswered(world, kind, 2))
    await visit(process, wanting(world, web="2"), grant=True)
    assert world.chronicle.past[-1].outcome is Outcome.ROLLED_OUT
    assert not records(world, Failed)


async def test_a_look_that_nobody_answers_before_the_shift_is_no_death() -> None:
    world = await with_one(shop())
    process = Process(world, unanswered(world, Shift))
    await visit(process, wanting(world, web="2"), grant=True)
    (failed,) = records(world, Failed)
    assert isinstance(failed, Failed)
    assert (failed.kind, failed.step) == (Trouble.UNREACHABLE, index_of(world, Shift))
    assert world.chronicle.past[-1].outcome is Outcome.ROLLED_OUT


async def test_an_instance_that_is_being_started_again_as_the_soak_begins_is_not_given_up() -> None:
    world = await with_one(shop())
    down = False

    def goes_down(tick: Tick) -> Answer:
        """Its keeper needs a moment: for one look it does not run."""
        nonlocal down
        one = world.cell("web", GREEN).instances.get(0)
        if tick.verb == "switch.send" and tick.when is When.AFTER and one:
            down, one.running = True, False
        elif down and one and tick.verb == "prober.sample":
            down = False
            world.begin(one, one.release)
        return GO_ON

    await visit(Process(world, goes_down), wanting(world, web="2"), grant=True)
    assert world.chronicle.past[-1].outcome is Outcome.ROLLED_OUT


# -- Drain ---------------------------------------------------------------------------------


async def with_leftovers(connections: int) -> World:
    world = await with_one(shop())
    world.offer("web", "3")
    await visit(Process(world), wanting(world, web="2"), grant=True)
    world.connections["web", BLUE] = connections
    return world


async def test_draining_waits_no_longer_than_anybody_is_served() -> None:
    world = await with_leftovers(0)
    await visit(Process(world), wanting(world, web="3"))
    assert taken_s(world, Drain) <= 0.3


async def test_draining_ends_with_its_time_and_counts_who_is_cut_off() -> None:
    """S28"""
    world = await with_leftovers(4)
    await visit(Process(world), wanting(world, web="3"))
    assert taken_s(world, Drain) == pytest.approx(POLICY.drain_s, abs=0.2)
    facts = [f for e in records(world, Ended) if isinstance(e, Ended) for f in e.facts]
    assert LeftOpen("web", BLUE, 4) in facts


async def test_connections_that_end_end_the_draining() -> None:
    world = await with_leftovers(2)

    async def hang_up() -> None:
        await world.clock.sleep(0.5)
        world.connections["web", BLUE] = 0

    ending = asyncio.create_task(hang_up())
    await visit(Process(world), wanting(world, web="3"))
    await ending
    assert 0.5 <= taken_s(world, Drain) <= 0.9


def test_the_drivers_hands_are_those_of_the_site_the_rollout_was_opened_with() -> None:
    world = World(shop())
    assert hands(Process(world)).site == world.site
    assert RETRY == (For.RETRY,)
