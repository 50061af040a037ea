"""S29: nothing flips but while time stands still, whoever is killed or told something wrong.

The truth is asked, not what anybody believes: before each write the world knows who is held and by
whom, and after it what changed color.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from orchestrator.adapters.memory.fuse import (
    GO_ON,
    Answer,
    Fault,
    Fuse,
    Hook,
    How,
    Tick,
    When,
    all_of,
)
from orchestrator.adapters.memory.world import World
from orchestrator.core.model import Share
from orchestrator.core.record import Outcome
from orchestrator.core.stillness import Held
from tests.simulation.life import Life
from tests.simulation.promises import Broken, story
from tests.simulation.scenes import opened
from tests.simulation.test_kills import drawn, undisturbed

KILLS = 25


@dataclass
class OnlyWhileHeld:
    """Before each write: who is held, and by whom; after it, nobody else changed color."""

    world: World
    held: frozenset[str] = frozenset()
    shares: dict[str, Share] | None = None

    def __call__(self, tick: Tick) -> Answer:
        if tick.verb != "switch.send":
            return GO_ON
        if tick.when is When.BEFORE:
            own = self.world.held_by == tick.process
            self.held = frozenset(self.world.held) if own else frozenset()
            self.shares = dict(self.world.shares)
            return GO_ON
        before = self.shares or {}
        flipped = {n for n, share in self.world.shares.items() if share != before.get(n)}
        rollout = self.world.chronicle.open
        going_back = rollout is not None and rollout.backing_out
        if flipped and not going_back and not flipped | {"shop"} <= self.held:
            raise Broken(
                f"{flipped} flipped while {set(self.held)} stood still\n" + story(self.world)
            )
        return GO_ON


def lived(hook: Hook, looks: tuple[Held, ...] = ()) -> Life:
    life = Life(opened("holding"))
    life.world.while_held = list(looks) or life.world.while_held
    life.hook = all_of(OnlyWhileHeld(life.world), hook)
    return life.live()


def ticks() -> int:
    return len(undisturbed("holding", None).ticks)


def test_an_undisturbed_life_stops_time_once_and_lets_everybody_go() -> None:
    life = lived(Fuse())
    assert life.outcome is Outcome.ROLLED_OUT
    assert (life.world.let_go, life.world.held, life.world.held_by) == (1, (), 0)


def test_a_driver_killed_anywhere_never_flips_without_a_hold() -> None:
    """S1: the hold died with it, so the next one holds anew, or finds that it flipped already."""
    lots = drawn("held")
    for at in lots.sample(range(1, ticks() + 1), min(KILLS, ticks())):
        life = lived(Fuse.blowing_at(at))
        assert life.outcome is Outcome.ROLLED_OUT, story(life.world)
        assert life.world.held == (), "what a dead driver left is ended by the next"


def test_a_driver_killed_twice_never_flips_without_a_hold() -> None:
    lots = drawn("held twice")
    for _ in range(KILLS // 2):
        one, two = sorted(lots.sample(range(1, ticks() + 1), 2))
        assert lived(Fuse.blowing_at(one, two)).outcome is Outcome.ROLLED_OUT


@pytest.mark.parametrize("how", How)
@pytest.mark.parametrize("verb", ["switch.hold", "switch.held", "switch.send", "switch.let_go"])
def test_a_switch_that_refuses_is_late_or_lies_never_flips_without_a_hold(
    verb: str, how: How
) -> None:
    life = lived(Fault(verb, how, times=2))
    assert life.outcome in (Outcome.ROLLED_OUT, Outcome.BACKED_OUT)
    assert life.world.held == ()


@pytest.mark.parametrize(
    "looks",
    [
        (Held(1, 1, leaked=1), Held(0, 0)),
        (Held(1, 1, restarted=True), Held(0, 0)),
        (Held(0, 9000), Held(0, 0)),
        (Held(1, 1, leaked=1),),
        (Held(1, 1),),
    ],
    ids=["leaked once", "restarted once", "too many once", "leaks always", "never ends"],
)
def test_trouble_while_time_stands_still_flips_nothing(looks: tuple[Held, ...]) -> None:
    life = lived(Fuse(), looks)
    assert life.outcome in (Outcome.ROLLED_OUT, Outcome.BACKED_OUT)
    assert (life.world.held, life.world.held_by) == ((), 0)


def test_the_check_itself_would_see_a_flip_without_a_hold() -> None:
    life = Life(opened("holding"))

    def lets_go_too_early(tick: Tick) -> Answer:
        if tick.verb == "switch.send" and tick.when is When.BEFORE:
            life.world.held = ()
        return GO_ON

    life.hook = all_of(lets_go_too_early, OnlyWhileHeld(life.world))
    with pytest.raises(Broken, match="flipped while"):
        life.live()
