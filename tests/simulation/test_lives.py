"""Lives with a clock: people ask for things, instances are started again, at any point.

What happens beside the driver goes in at a tick: between any two things that it does. A life may
meet several. Whatever comes, the promises of `Promises` and of the ending hold, and every request
led to a record.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from orchestrator.adapters.memory.fuse import GO_ON, Answer, Tick, When
from orchestrator.adapters.memory.process import Process
from orchestrator.adapters.memory.world import ILL, WELL, World
from orchestrator.core.model import Color, Meanwhile
from orchestrator.core.record import Asked, Failed, Granted, Outcome, Record, What
from tests.engine.driven import wish_for
from tests.simulation.endings import snapshot
from tests.simulation.life import Life
from tests.simulation.promises import Broken, story
from tests.simulation.scenes import SCENES, Scene, opened
from tests.simulation.test_kills import drawn, undisturbed

Event = Callable[[World], Asked | Granted | None]
"""Something happens to the world, or somebody asks; None where it happened already."""

LIVES, EVENTS_MAX = 6, 3


def asks(what: What, target: str = "") -> Event:
    def event(world: World) -> Asked:
        number = world.chronicle.rollouts
        return Asked(number, what, "ben", "because", target)

    event.__name__ = f"asks {what.value}"
    return event


def wants_another(world: World) -> Asked:
    names = {s.name: "4" for s in world.site.services}
    return Asked(world.chronicle.rollouts, What.WISH, "ben", wish=wish_for(world, names))


def asks_of_a_rollout_that_has_closed(world: World) -> Asked:
    return Asked(max(world.chronicle.rollouts - 1, 0), What.BACK, "ben")


def grants(world: World) -> Granted:
    """At any time: early, in time, twice, or for an attempt that is over."""
    rollout = world.chronicle.open
    attempt = rollout.attempt if rollout else 1
    return Granted(world.chronicle.rollouts, "cutover", attempt, "ben")


def grants_another_attempt(world: World) -> Granted:
    return replace(grants(world), attempt=grants(world).attempt + 1)


def restarts_everything(world: World) -> None:
    for (service, color), cell in list(world.cells.items()):
        for index, instance in list(cell.instances.items()):
            if instance.running:
                world.crash(service, color, index)


def restarts(color: Color) -> Event:
    def event(world: World) -> None:
        cell = world.cell("web", color)
        if (one := cell.instances.get(0)) is not None and one.running:
            world.crash("web", color, 0)

    event.__name__ = f"restarts web {color.value}"
    return event


def loses(color: Color) -> Event:
    """All of it dies, with its keepers: nothing starts it again by itself."""

    def event(world: World) -> None:
        for service in world.site.services:
            for index in list(world.cell(service.name, color).instances):
                world.lose(service.name, color, index)

    event.__name__ = f"loses {color.value}"
    return event


def turns_ill(color: Color) -> Event:
    """The release on this color does not answer well any more, however often it is started."""

    def event(world: World) -> None:
        if (release := world.cell("web", color).current) is not None:
            world.health["web", release] = ILL

    event.__name__ = f"web {color.value} turns ill"
    return event


def time_passes(world: World) -> None:
    """A day in which nobody looked: every gate has run out, every lease, every bounded watch."""
    world.clock.pass_by(100_000)


EVENTS: tuple[Event, ...] = (
    *(asks(what) for what in What if what not in (What.DENY, What.WISH)),
    asks(What.DENY, "cutover"),
    asks(What.DENY, "lunch"),
    wants_another,
    asks_of_a_rollout_that_has_closed,
    grants,
    grants_another_attempt,
    restarts_everything,
    restarts(Color.BLUE),
    restarts(Color.GREEN),
    loses(Color.BLUE),
    loses(Color.GREEN),
    turns_ill(Color.BLUE),
    turns_ill(Color.GREEN),
    time_passes,
)


@dataclass
class Meantime:
    """A hook in which things happen, each at its tick."""

    at: dict[int, Event]
    life: Life | None = None
    count: int = 0
    happened: list[str] = field(default_factory=list)

    async def __call__(self, tick: Tick) -> Answer:
        self.count += 1
        event = self.at.get(self.count)
        if event is not None and self.life is not None:
            self.happened.append(f"{event.__name__} at {tick}")
            before = snapshot(self.life.world).running
            request: Record | None = event(self.life.world)
            after = snapshot(self.life.world).running
            self.life.damaged |= {place for place in before if before[place] != after[place]}
            if isinstance(request, Asked | Granted):
                await Process(self.life.world).journal.ask(request)
        return GO_ON


def lives(scene: Scene, at: dict[int, Event], *, at_gate: What | None = None) -> Life:
    meanwhile = Meantime(at)
    life = Life(scene, meanwhile, at_gate=at_gate)
    meanwhile.life = life
    try:
        life.live()
    except AssertionError as broken:
        raise Broken(f"{meanwhile.happened}: {broken}") from broken
    sick = any(health != WELL for health in life.world.health.values())
    if life.stuck and not ((sick or life.no_way_back) and life.person_was_needed):
        raise Broken(f"{meanwhile.happened}: a person was needed\n{story(life.world)}")
    return life


def replacing(scene: Scene) -> Scene:
    """The same, where a new wish takes the place of an open rollout."""
    world = scene.make()
    rollout = world.chronicle.open
    assert rollout is not None
    policy = replace(rollout.policy, meanwhile=Meanwhile.REPLACE)
    world.chronicle = replace(world.chronicle, open=replace(rollout, policy=policy))
    return replace(scene, world=world)


def some(lots: random.Random, ticks: int) -> dict[int, Event]:
    count = lots.randint(1, EVENTS_MAX)
    return {lots.randint(1, ticks + 10): lots.choice(EVENTS) for _ in range(count)}


@pytest.mark.parametrize("name", SCENES)
def test_whatever_people_ask_and_whatever_starts_again_the_promises_hold(name: str) -> None:
    """S8 S12 S20 S43 S44"""
    lots = drawn(f"lives {name}")
    for n in range(LIVES):
        at_gate = lots.choice((None, What.BACK))
        scene = replacing(opened(name)) if n % 2 else opened(name)
        lives(scene, some(lots, len(undisturbed(name, at_gate).ticks)), at_gate=at_gate)


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: e.__name__)
def test_each_of_them_at_any_point_of_a_plain_rollout(event: Event) -> None:
    ticks = len(undisturbed("second", None).ticks)
    lots = drawn(f"each {event.__name__}")
    for at in lots.sample(range(1, ticks + 1), 6):
        lives(opened("second"), {at: event})


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("event", EVENTS, ids=lambda e: e.__name__)
@pytest.mark.parametrize("name", SCENES)
def test_each_of_them_at_every_point_of_every_rollout(name: str, event: Event) -> None:
    for scene in (opened(name), replacing(opened(name))):
        for at_gate in (None, What.BACK):
            for at in range(1, len(undisturbed(name, at_gate).ticks) + 5):
                lives(scene, {at: event}, at_gate=at_gate)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", ["second", "caller_outside"])
def test_every_two_of_them_at_many_points(name: str) -> None:
    lots = drawn(f"two of them {name}")
    ticks = len(undisturbed(name, None).ticks)
    for one in EVENTS:
        for two in EVENTS:
            for _ in range(20):
                at = {lots.randint(1, ticks): one, lots.randint(1, ticks + 40): two}
                lives(replacing(opened(name)), at)


# -- One by one ----------------------------------------------------------------------------


def test_a_new_wish_is_refused_where_the_site_says_so_and_told_why() -> None:
    """S12"""
    life = lives(opened("second"), {40: wants_another})
    assert life.outcome is Outcome.ROLLED_OUT


def test_a_new_wish_takes_the_place_where_the_site_says_so() -> None:
    """S12: the world of before, and the rollout says that it made place."""
    life = lives(replacing(opened("second")), {40: wants_another})
    assert life.outcome is Outcome.REPLACED


def at_tick(name: str, what: str, nth: int) -> int:
    """The tick after the nth record of this kind was written, in an undisturbed life."""
    ticks = undisturbed(name, None).ticks
    written = [n for n, t in enumerate(ticks, 1) if t.what == what and t.when is When.AFTER]
    return written[nth]


AT_GATE = 3  # stage, start, prove, gate


def test_a_restart_at_the_gate_is_proven_again_before_traffic_moves() -> None:
    """S44: churn of instances does not pass a gate; stale evidence is no evidence."""
    at = at_tick("second", "Began", AT_GATE)
    life = lives(opened("second"), {at: restarts(Color.GREEN)})
    assert life.outcome is Outcome.ROLLED_OUT
    assert any(isinstance(e.record, Failed) for e in life.world.entries)


def test_a_day_passes_at_the_gate_and_it_goes_back() -> None:
    """S44"""
    at = at_tick("second", "Began", AT_GATE)
    life = lives(opened("second"), {at: time_passes})
    assert life.outcome is Outcome.BACKED_OUT
    assert "nobody granted" in life.world.chronicle.past[-1].reason


def test_the_new_color_dies_in_the_soak_and_traffic_is_back_by_itself() -> None:
    """S21: it does not depend on the color that is left."""
    at = at_tick("second", "Began", AT_GATE + 2)
    life = lives(opened("second"), {at: loses(Color.GREEN)})
    assert life.outcome is Outcome.BACKED_OUT
    assert not life.stuck


def test_an_old_color_that_cannot_be_revived_gets_no_traffic_while_the_new_one_answers() -> None:
    """Rule 10, S6: stuck, and a person says how it goes on."""
    at = at_tick("second", "Began", AT_GATE + 2)
    life = lives(opened("second"), {at: turns_ill(Color.BLUE), at + 2: asks(What.BACK)})
    assert life.stuck and life.outcome is Outcome.ABANDONED
    assert life.world.shares["web"].live is Color.GREEN


def test_a_pause_at_the_gate_ends_with_going_on() -> None:
    life = Life(opened("second"), at_gate=What.PAUSE).live()
    assert life.outcome is Outcome.ROLLED_OUT
