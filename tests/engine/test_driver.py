"""The driver: one that decides, many who ask; a decision is decided again, a fact survives."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.adapters.memory.fuse import GO_ON, Answer, Tick, When
from orchestrator.adapters.memory.process import Process
from orchestrator.adapters.memory.world import ILL, Health, World
from orchestrator.core.decide import For
from orchestrator.core.health import Verdict
from orchestrator.core.model import Color
from orchestrator.core.record import (
    Asked,
    Began,
    Ended,
    Failed,
    Kind,
    Opened,
    Outcome,
    Trouble,
    Turned,
    Way,
    What,
)
from orchestrator.engine.advance import advance
from orchestrator.engine.driver import Driver, driving
from orchestrator.engine.opening import open_rollout
from orchestrator.ports.trouble import Busy, NoRoom, Raced, Refused, Superseded
from tests.core.made import GREEN
from tests.engine.driven import POLICY, granting, hands, shop, visit, wanting, with_one

BACK = Asked(2, What.BACK, "ben")


async def opened_two() -> tuple[World, Driver]:
    """A driver that has just opened a rollout of release 2."""
    world = await with_one(shop())
    used = hands(Process(world))
    epoch = await used.lease.take("ann", "testing", 10.0)
    recalled = await used.journal.recall()
    driver = Driver(used, epoch, recalled.chronicle, recalled.last)
    await open_rollout(driver, wanting(world, web="2"), policy=POLICY, by="ann")
    return world, driver


async def ask(world: World, request: Asked = BACK) -> None:
    await Process(world).journal.ask(request)


# -- Rule 8 --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "decision", [Began(2, 0, False, 1), Turned(2, Way.BACK, "why")], ids=["began", "turned"]
)
async def test_rule_8_a_decision_that_was_raced_is_decided_again(decision: Began) -> None:
    world, driver = await opened_two()
    await ask(world)
    before = len(world.entries)
    with pytest.raises(Raced):
        await driver.write(decision)
    assert len(world.entries) == before


@pytest.mark.parametrize(
    "fact", [Ended(2, 0, False), Failed(2, 0, False, Trouble.ILL, "why")], ids=["ended", "failed"]
)
async def test_rule_8_a_fact_that_was_raced_is_written_unchanged_after_the_news(
    fact: Ended,
) -> None:
    world, driver = await opened_two()
    await driver.write(Began(2, 0, False, 1))
    await ask(world)
    await driver.write(fact)
    assert [e.record for e in world.entries[-2:]] == [BACK, fact]
    assert driver.rollout.asked[0].record == BACK


async def test_rule_8_a_fact_among_decisions_is_a_decision() -> None:
    world, driver = await opened_two()
    await ask(world)
    with pytest.raises(Raced):
        await driver.write(Ended(2, 0, False), Turned(2, Way.BACK, "why"))


async def test_rule_8_an_older_driver_writes_nothing_more() -> None:
    world, driver = await opened_two()
    world.clock.pass_by(60)
    taking = Process(world, far=True)
    world.far.add(world.lease.process)
    await taking.lease.take("ben", "testing", 10.0)
    before = len(world.entries)
    for record in (Began(2, 0, False, 1), Ended(2, 0, False)):
        with pytest.raises(Superseded):
            await driver.write(record)
    assert len(world.entries) == before


async def test_rule_8_news_of_a_younger_driver_stop_the_older_one() -> None:
    world, driver = await opened_two()
    world.lease.held = False
    await visit(Process(world))
    with pytest.raises(Superseded):
        await driver.catch_up()


async def test_rule_8_whoever_takes_over_raises_its_epoch_everywhere_before_it_decides() -> None:
    world, driver = await opened_two()
    await driver.world.lease.give_up(driver.epoch)
    raised: list[dict[str, int]] = []

    def remembers(tick: Tick) -> Answer:
        if tick.verb == "journal.append" and tick.when is When.BEFORE:
            raised.append(dict(world.epochs))
        return GO_ON

    await visit(Process(world, remembers))
    assert raised[0] == {"installations": driver.epoch + 1, "switch": driver.epoch + 1}


async def test_rule_8_an_older_epoch_takes_no_effect_and_sees_nothing() -> None:
    world, driver = await opened_two()
    old = driver.world
    await driver.world.lease.give_up(driver.epoch)
    await visit(Process(world))
    with pytest.raises(Superseded):
        await old.installation.look(driver.epoch)
    with pytest.raises(Superseded):
        await old.switch.send({}, {}, driver.epoch)


async def test_rule_8_a_look_that_no_decision_rests_on_is_always_answered() -> None:
    world, driver = await opened_two()
    before = dict(world.epochs)
    await driver.world.installation.look(None)
    await driver.world.switch.look(None)
    assert world.epochs == before


# -- The lease -----------------------------------------------------------------------------


async def test_the_lease_is_renewed_while_somebody_drives_and_given_up_at_the_end() -> None:
    world = await with_one(shop())
    process = Process(world)
    async with driving(hands(process), by="ann", doing="testing") as driver:
        first = world.lease.until_s
        await world.clock.sleep(30.0)
        assert world.lease.until_s > first + 20
        assert not driver.stop.is_set()
    assert not world.lease.held


async def test_a_driver_that_lost_its_lease_is_told_to_stop() -> None:
    world = await with_one(shop())
    async with driving(hands(Process(world, far=True)), by="ann", doing="testing") as driver:
        world.lease.epoch += 1
        await world.clock.sleep(10.0)
        assert driver.stop.is_set()


async def test_a_full_disk_does_not_end_the_renewals() -> None:
    world = await with_one(shop())
    full = True

    def no_room(tick: Tick) -> Answer:
        if full and tick.verb == "lease.renew" and tick.when is When.BEFORE:
            raise NoRoom("the disk is full")
        return GO_ON

    async with driving(hands(Process(world, no_room)), by="ann", doing="testing"):
        await world.clock.sleep(5.0)
        full, before = False, world.lease.until_s
        await world.clock.sleep(5.0)
        assert world.lease.until_s > before


async def test_two_who_deploy_at_the_same_second_one_is_told_who_drives() -> None:
    """S4"""
    world = await with_one(shop())
    async with driving(hands(Process(world)), by="ann", doing="deploying web 2"):
        with pytest.raises(Busy, match="deploying web 2, by ann"):
            await visit(Process(world), wanting(world, web="2"))


# -- A full disk, S10 ----------------------------------------------------------------------


@pytest.mark.parametrize("nth", range(1, 14))
async def test_a_full_disk_at_any_write_stops_it_and_it_goes_on_when_there_is_room(
    nth: int,
) -> None:
    """S10"""
    world = await with_one(shop())
    written = 0

    def no_room(tick: Tick) -> Answer:
        nonlocal written
        if tick.verb == "journal.append" and tick.when is When.BEFORE:
            written += 1
            if written == nth:
                raise NoRoom("the disk is full")
        return GO_ON

    wish = wanting(world, web="2")
    process = Process(world, no_room)
    with pytest.raises(NoRoom):
        await visit(process, wish, grant=True)
        pytest.fail("it wrote less than it was expected to")
    await visit(Process(world), wish, grant=True)
    assert world.chronicle.past[-1].outcome is Outcome.ROLLED_OUT
    assert world.shares["web"].live is GREEN


# -- Advancing -----------------------------------------------------------------------------


async def test_it_returns_at_a_gate_and_waits_there_if_it_is_told_to() -> None:
    world = await with_one(shop())
    came = await visit(Process(world), wanting(world, web="2"))
    assert came.standing is not None and came.standing.wait is not None
    assert came.standing.wait.what is For.GRANT

    async def grants() -> None:
        await world.clock.sleep(100.0)
        await Process(world).journal.ask(granting(world.chronicle))

    granted = asyncio.create_task(grants())
    came = await visit(Process(world), wait_for=(For.RETRY, For.GRANT))
    await granted
    assert came.standing is not None and came.standing.wait is None
    assert world.shares["web"].live is GREEN


async def test_a_grant_by_the_driving_process_itself_is_seen_at_once() -> None:
    world = await with_one(shop())
    async with driving(hands(Process(world)), by="ann", doing="testing") as driver:
        await open_rollout(driver, wanting(world, web="2"), policy=POLICY, by="ann")
        standing = await advance(driver)
        await driver.world.journal.ask(granting(standing.chronicle))
        assert (await advance(driver)).wait is None


async def test_asked_to_stop_it_stops_at_the_next_safe_place_and_the_next_goes_on() -> None:
    """S2"""
    world, driver = await opened_two()
    driver.stop.set()
    standing = await advance(driver)
    assert standing.stopped and standing.wait is None
    await driver.world.lease.give_up(driver.epoch)
    await visit(Process(world), grant=True)
    assert world.shares["web"].live is GREEN


async def test_asked_to_stop_a_watch_ends_early_and_counts_for_nothing() -> None:
    """S2"""
    world = await with_one(shop(), web=Health(slow=6))
    async with driving(hands(Process(world)), by="ann", doing="testing") as driver:
        await open_rollout(driver, wanting(world, web="2"), policy=POLICY, by="ann")
        stopping = asyncio.create_task(stops_after(world, driver, 1.2))
        standing = await advance(driver)
        await stopping
    assert standing.stopped
    assert isinstance(world.entries[-1].record, Began)


async def stops_after(world: World, driver: Driver, seconds: float) -> None:
    await world.clock.sleep(seconds)
    driver.stop.set()


async def test_a_done_step_that_somebody_undid_is_a_fall_to_it_and_done_again() -> None:
    world = await with_one(shop())
    await visit(Process(world), wanting(world, web="2"))
    world.lose("web", Color.GREEN, 1)
    await visit(Process(world), grant=True)
    fell = [e.record for e in world.entries if isinstance(e.record, Failed)]
    assert [(f.step, f.kind) for f in fell] == [(1, Trouble.DID_NOT_TAKE)]
    assert world.chronicle.past[-1].outcome is Outcome.ROLLED_OUT


async def test_where_nothing_answers_the_first_look_decides_nothing() -> None:
    world = await with_one(shop())
    await visit(Process(world), wanting(world, web="2"))
    before = len(world.entries)
    world.switch_broken = "it hangs"
    await visit(Process(world))
    assert not any(isinstance(e.record, Failed) for e in world.entries[before:])


# -- Opening -------------------------------------------------------------------------------


async def test_a_plan_with_nothing_to_do_opens_nothing_and_touches_nothing() -> None:
    world = await with_one(shop())
    effects, entries = len(world.effects), len(world.entries)
    came = await visit(Process(world), wanting(world, web="1"))
    assert came.considered is not None and came.considered.opened is None
    assert (len(world.effects), len(world.entries)) == (effects, entries)


async def test_a_switch_that_cannot_be_had_opens_nothing() -> None:
    world = await with_one(shop())

    def refuses(tick: Tick) -> Answer:
        if tick.verb == "switch.ensure":
            raise Refused("there is no such program")
        return GO_ON

    before = len(world.entries)
    with pytest.raises(Refused, match="no such program"):
        await visit(Process(world, refuses), wanting(world, web="2"))
    assert len(world.entries) == before


async def test_going_back_is_not_refused_for_what_a_switch_that_answers_lacks() -> None:
    world = await with_one(shop())
    await visit(Process(world), wanting(world, web="2"), grant=True)

    def refuses(tick: Tick) -> Answer:
        if tick.verb == "switch.ensure":
            raise Refused("a line is missing")
        return GO_ON

    await visit(Process(world, refuses), wanting(world, kind=Kind.BACKOUT, web="1"))
    assert world.shares["web"].live is Color.BLUE


async def test_the_switch_is_made_sure_of_after_the_proof_and_before_opened() -> None:
    world = await with_one(shop())
    verbs: list[str] = []

    def remembers(tick: Tick) -> Answer:
        if tick.when is When.BEFORE and tick.verb in ("switch.ensure", "journal.append"):
            verbs.append(f"{tick.verb} {tick.what}".strip())
        return GO_ON

    await visit(Process(world, remembers), wanting(world, web="2"))
    assert verbs[:2] == ["switch.ensure", "journal.append Opened"]


async def test_a_switch_that_was_down_is_looked_at_again_before_the_plan_counts() -> None:
    """S25: what it said while it was down is no sighting of who serves."""
    world = await with_one(shop())
    world.switch_broken = "killed"
    await visit(Process(world), wanting(world, web="2"))
    rollout = world.chronicle.open
    assert rollout is not None and rollout.gate is not None
    assert world.shares["web"].live is Color.BLUE
    assert world.running("web", Color.BLUE) != ()


async def test_a_request_that_comes_while_it_plans_is_read_before_it_opens() -> None:
    world = await with_one(shop())
    asked = False

    async def asks(tick: Tick) -> Answer:
        nonlocal asked
        if tick.what == "Opened" and tick.when is When.BEFORE and not asked:
            asked = True
            await ask(world, Asked(None, What.RETIRE, "ben"))
        return GO_ON

    await visit(Process(world, asks), wanting(world, web="2"))
    kinds = [type(e.record) for e in world.entries if isinstance(e.record, Asked | Opened)]
    assert kinds == [Opened, Asked, Opened]


async def test_never_are_two_rollouts_open() -> None:
    """S12"""
    world, driver = await opened_two()
    before = len(world.entries)
    with pytest.raises(ValueError, match="open"):
        await open_rollout(driver, wanting(world, web="2"), policy=POLICY, by="ann")
    assert len(world.entries) == before


async def test_who_serves_is_sampled_to_a_verdict_at_the_opening() -> None:
    world = await with_one(shop())
    world.health["web", world.offers["web"][0].release] = ILL
    await visit(Process(world), wanting(world, web="2"))
    assert world.chronicle.open is not None
    (served,) = world.chronicle.open.before
    assert (served.share.live, served.verdict) == (Color.BLUE, Verdict.ILL)
