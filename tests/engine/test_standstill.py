"""The dance of a hold: every way out of it lets all go, and all but one flip nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from orchestrator.adapters.memory.fuse import (
    GO_ON,
    Answer,
    Fault,
    Hook,
    How,
    Tick,
    When,
    nothing_happens,
)
from orchestrator.adapters.memory.process import Process
from orchestrator.adapters.memory.world import World
from orchestrator.core.decide import For
from orchestrator.core.model import Hold, Policy, Site, Streams
from orchestrator.core.record import Ended, Failed, Granted, Kind, Outcome, StoodStill, Trouble
from orchestrator.core.steps import Shift
from orchestrator.core.stillness import Held
from orchestrator.engine.advance import advance
from orchestrator.engine.driver import driving
from tests.core.made import SAME, service, with_policy
from tests.engine.driven import POLICY, hands, shop, visit, wanting, with_one

HOLDING = with_policy(POLICY, hold=Hold(2.0, waiting=100))
PAIR = (service("web", count=1, uses=[("api", SAME)]), service("api", count=1))
QUIET = Held(0, 3)


def held_shop(policy: Policy = HOLDING) -> Site:
    return shop(*PAIR, policy=policy)


async def at_the_gate(policy: Policy = HOLDING) -> World:
    """Release 1 serves on blue; release 2 is proven on green and waits for its grant."""
    world = await with_one(held_shop(policy))
    await visit(Process(world), wanting(world, web="2", api="2"))
    assert world.chronicle.open is not None and world.chronicle.open.gate is not None
    return world


async def switched(world: World, hold: float | None = None, hook: Hook = nothing_happens) -> World:
    """The gate is granted, and the shift driven to where it rests."""
    rollout = world.chronicle.open
    assert rollout is not None
    asking = Process(world)
    await asking.journal.ask(Granted(rollout.id, "cutover", rollout.attempt, "ann", hold=hold))
    await visit(Process(world, hook), wait_for=(For.RETRY,))
    return world


def facts(world: World) -> list[StoodStill]:
    ended = (entry.record for entry in world.entries if isinstance(entry.record, Ended))
    return [fact for record in ended for fact in record.facts if isinstance(fact, StoodStill)]


def failures(world: World) -> list[Failed]:
    return [entry.record for entry in world.entries if isinstance(entry.record, Failed)]


def serving(world: World) -> set[str]:
    lives = (world.shares[name].live for name in world.shares)
    return {live.value if live else "nobody" for live in lives}


def everybody_goes_on(world: World) -> bool:
    return world.held == () and world.held_by == 0


async def test_everything_flips_while_time_stands_still_and_it_is_written_down() -> None:
    """S29"""
    world = await at_the_gate()
    world.while_held, world.waits_s = [Held(2, 0), Held(1, 5), Held(0, 7, streams=2)], (0.1, 0.3)
    await switched(world)
    assert serving(world) == {"green"}
    assert world.chronicle.past[-1].outcome is Outcome.ROLLED_OUT
    (stood,) = facts(world)
    assert (stood.waited, stood.longest_s, stood.p99_s, stood.streams) == (2, 0.3, 0.3, 2)
    assert stood.from_s <= stood.to_s
    assert everybody_goes_on(world)


async def test_whoever_calls_what_flips_is_held_too() -> None:
    """S29: web is not in the wish, and moves with the cutover."""
    world = await with_one(held_shop())
    told: list[str] = []

    def hear(tick: Tick) -> Answer:
        if tick.verb == "switch.hold" and tick.when is When.BEFORE:
            told.append(tick.what)
        return GO_ON

    await visit(Process(world, hear), wanting(world, api="2"), grant=True)
    assert told == ["api, web"]


async def test_where_nobody_is_served_time_is_not_stopped() -> None:
    world = await with_one(held_shop())
    assert facts(world) == []
    shifts = [s for past in world.entries for s in getattr(past.record, "plan", ())]
    assert [s.hold for s in shifts if isinstance(s, Shift)] == [None]


TROUBLES: dict[str, tuple[list[Held], str]] = {
    "it leaked": ([Held(1, 4), Held(1, 4, leaked=1)], "got through"),
    "the switch was started again": ([Held(1, 4), Held(0, 0, restarted=True)], "started again"),
    "too many wait": ([Held(1, 40), Held(1, 101)], "more than 100"),
    "a request never ends": ([Held(1, 4)], "still in flight"),
}


@pytest.mark.parametrize("name", TROUBLES)
async def test_a_hold_in_trouble_flips_nothing_and_is_tried_again_as_often_as_the_site_says(
    name: str,
) -> None:
    """S29: then the rollout goes back, and the old color never noticed."""
    looks, why = TROUBLES[name]
    world = await at_the_gate()
    for _ in range(HOLDING.tries):
        world.while_held = list(looks)
    await switched(world)
    assert serving(world) == {"blue"}
    assert everybody_goes_on(world)
    assert facts(world) == []
    found = failures(world)
    assert [f.kind for f in found] == [Trouble.DID_NOT_TAKE] * HOLDING.tries
    assert all(why in f.reason and "nothing flipped" in f.reason for f in found)
    assert world.let_go == HOLDING.tries
    assert world.chronicle.past[-1].outcome is Outcome.BACKED_OUT


async def test_after_a_hold_that_was_given_up_the_next_one_may_succeed() -> None:
    world = await at_the_gate()
    world.while_held = [Held(0, 1, leaked=1), QUIET]
    await switched(world)
    assert serving(world) == {"green"}
    assert len(failures(world)) == len(facts(world)) == 1


async def test_a_stream_does_not_keep_time_from_moving_on_unless_the_site_says_so() -> None:
    for streams, color in ((Streams.EXCLUDE, "green"), (Streams.WAIT, "blue")):
        world = await at_the_gate(with_policy(HOLDING, hold=Hold(2.0, 100, streams)))
        world.while_held = [Held(0, 1, streams=1)]
        await switched(world)
        assert serving(world) == {color}


async def test_a_flip_that_comes_too_late_is_not_made() -> None:
    """The driver slept between its last look and the write."""
    world = await at_the_gate()
    slept: list[float] = []

    def sleep(tick: Tick) -> Answer:
        flips = tick.verb == "switch.send" and tick.when is When.BEFORE
        if flips and world.held and not slept:
            slept.append(world.clock.now())
            world.clock.pass_by(3.0)
        return GO_ON

    await switched(world, hook=sleep)
    (failed,) = failures(world)
    assert (failed.kind, "too long" in failed.reason) == (Trouble.DID_NOT_TAKE, True)
    assert serving(world) == {"green"}, "the second try was in time"
    assert everybody_goes_on(world)


async def test_a_driver_that_is_told_to_stop_lets_all_go_and_flips_nothing() -> None:
    world = await at_the_gate()
    world.while_held = [Held(1, 4)]
    rollout = world.chronicle.open
    assert rollout is not None
    await Process(world).journal.ask(Granted(rollout.id, "cutover", rollout.attempt, "ann"))
    async with driving(hands(Process(world)), by="ann", doing="testing") as driver:
        driving_on = asyncio.ensure_future(advance(driver, wait_for=(For.RETRY,)))
        while not world.held:
            await world.clock.sleep(0.01)
        driver.stop.set()
        await driving_on
    assert serving(world) == {"blue"}
    assert everybody_goes_on(world)
    assert world.chronicle.open is not None, "whoever comes next goes on from here"


async def test_a_command_may_shorten_the_hold_and_leave_it_out() -> None:
    for hold, stood in ((0.0, 0), (1.0, 1), (60.0, 1)):
        world = await at_the_gate()
        world.while_held = [QUIET]
        await switched(world, hold=hold)
        assert serving(world) == {"green"}
        assert len(facts(world)) == stood


@pytest.mark.parametrize(("asked", "gives_up_after_s"), [(1.0, 0.9), (60.0, 1.8), (None, 1.8)])
async def test_the_bound_is_the_shorter_of_site_and_command(
    asked: float | None, gives_up_after_s: float
) -> None:
    world = await at_the_gate(with_policy(HOLDING, tries=1))
    world.while_held = [Held(1, 4)]
    times: dict[str, float] = {}

    def watch(tick: Tick) -> Answer:
        if tick.verb in ("switch.hold", "switch.let_go") and tick.when is When.BEFORE:
            times.setdefault(tick.verb, world.clock.now())
        return GO_ON

    await switched(world, hold=asked, hook=watch)
    took = times["switch.let_go"] - times["switch.hold"]
    assert took == pytest.approx(gives_up_after_s, abs=0.02)


@pytest.mark.parametrize(
    "trouble", [Fault("switch.hold", How.REFUSES, 9), Fault("switch.hold", How.SILENT, 99), None]
)
async def test_going_back_waits_for_nothing_that_it_leaves(trouble: Fault | None) -> None:
    """S22: the new color hangs, so time cannot be stopped; traffic goes back all the same."""
    world = await with_one(held_shop())
    world.while_held = [QUIET]
    await visit(Process(world), wanting(world, web="2", api="2"), grant=True)
    assert serving(world) == {"green"}
    world.while_held = [Held(5, 9)]
    back = replace(wanting(world, kind=Kind.BACKOUT, web="1", api="1"), undoes=2)
    await visit(Process(world, trouble or nothing_happens), back)
    assert serving(world) == {"blue"}
    assert everybody_goes_on(world)
    assert failures(world) == []


async def test_a_hold_that_a_killed_driver_left_is_ended_by_the_first_look_of_the_next() -> None:
    """S1, S29"""
    world = await at_the_gate()
    dying = Process(world)
    await dying.switch.hold(("web", "api"), Hold(2.0), 99)
    dying.kill()
    assert world.held
    await Process(world).switch.look(100)
    assert everybody_goes_on(world)
