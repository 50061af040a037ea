"""S87: a host dies at any moment of a rollout, the driver with it or not, and a person goes on
without it.

Whatever had been done, the rollout ends, forward or back; nobody is renumbered, nothing is done to
what is on the dead host any more, and traffic is never where none of the others runs.
"""

from __future__ import annotations

import asyncio
import os
import random
from dataclasses import dataclass, field, replace
from functools import cache

import pytest

from orchestrator.adapters.memory.fuse import GO_ON, Answer, Killed, Tick, When
from orchestrator.adapters.memory.process import Process
from orchestrator.adapters.memory.world import World
from orchestrator.core.decide import For
from orchestrator.core.model import Color, Host, Placement, Share, Site
from orchestrator.core.record import Asked, Outcome, What
from orchestrator.engine.advance import Standing
from orchestrator.ports.trouble import Refused, Unreachable
from tests.core import made
from tests.engine.driven import granting, shop, visit, wanting, with_one

SEED = os.environ.get("BG_SEED", "1")
WEBS = ("web1", "web2", "web3")
GONE, ITS_NUMBER = "web2", 1
LIVES_MAX = 12
DRAWN = 12


def site() -> Site:
    web = replace(made.service("web"), placement=Placement(3, 9000, 9001, WEBS))
    return replace(shop(web), hosts=tuple(Host(name, name) for name in WEBS))


@dataclass
class Story:
    """The host dies at this tick, of whoever acts then; `killed`: its driver too."""

    world: World
    at: int
    killed: bool
    ticks: list[Tick] = field(default_factory=list)
    since: dict[Color, int] = field(default_factory=dict)  # starts of the dead host's instances
    asked: bool = False

    def __call__(self, tick: Tick) -> Answer:
        self.ticks.append(tick)
        if len(self.ticks) == self.at:
            self.world.dead.add(GONE)
            if self.killed:
                raise Killed(f"at {tick}")
        if len(self.ticks) == self.at + 1:  # what was on its way when it died may have arrived
            self.since = self.starts()
        if tick.when is When.AFTER:
            self.promises()
        return GO_ON

    def starts(self) -> dict[Color, int]:
        cells = ((color, self.world.cell("web", color)) for color in Color)
        return {
            color: cell.instances[ITS_NUMBER].start
            for color, cell in cells
            if ITS_NUMBER in cell.instances
        }

    def promises(self) -> None:
        live = self.world.shares.get("web", Share()).live
        if live is not None:
            instances = self.world.cell("web", live).instances
            others = [n for n, one in instances.items() if one.running and n != ITS_NUMBER]
            assert others, f"traffic is on {live.value}, where none of the others runs"
        if self.since:
            assert self.starts() == self.since, "somebody acted on the dead host"

    async def live(self) -> Outcome | None:
        """Until it has closed; a person grants, goes on without the host, and tries again."""
        wish = wanting(self.world, web="2")
        for _ in range(LIVES_MAX):
            if self.world.chronicle.open is None and self.world.chronicle.rollouts == 2:
                return self.world.chronicle.past[-1].outcome
            standing = await self.one(wish)
            await self.person(standing)
        raise AssertionError(f"it never ended: {self.world.entries[-5:]}")

    async def one(self, wish: object) -> Standing | None:
        is_open = self.world.chronicle.open
        known = is_open.site if is_open else self.world.site
        process = Process(self.world, self, site=known)
        try:
            came = await visit(process, None if is_open else wish)  # type: ignore[arg-type]
            return came.standing
        except Killed:
            return None
        except (Refused, Unreachable):
            return None
        finally:
            process.kill()
            await self.world.clock.sleep(20.0)

    async def person(self, standing: Standing | None) -> None:
        rollout, journal = self.world.chronicle.open, Process(self.world).journal
        if rollout is None:
            if GONE in self.world.dead and self.world.chronicle.rollouts == 1:
                self.world.dead.clear()  # it died before anything was begun: nothing to tell
                self.since, self.at = {}, 0
            return
        if GONE in self.world.dead and not self.asked:
            self.asked = True
            await journal.ask(Asked(rollout.id, What.WITHOUT, "ann", target=GONE))
        elif standing and standing.wait and standing.wait.what is For.GRANT:
            await journal.ask(granting(self.world.chronicle))


async def lived(at: int, *, killed: bool) -> Story:
    world = await with_one(site())
    world.effects.clear()
    story = Story(world, at, killed)
    outcome = await story.live()
    there = (0, 2)
    wanted = {Outcome.ROLLED_OUT: (Color.GREEN, "2"), Outcome.BACKED_OUT: (Color.BLUE, "1")}
    assert outcome in wanted
    color, version = wanted[outcome]
    assert world.shares["web"] == Share.all_to(color)
    instances = world.cell("web", color).instances
    for number in there:
        release = instances[number].release
        assert instances[number].running
        assert release is not None
        assert release.version == version
    if outcome is Outcome.BACKED_OUT:
        green = world.cell("web", Color.GREEN).instances
        assert not any(green[n].running for n in there if n in green)
    if story.asked:
        assert world.chronicle.away == (GONE,)
        serving = world.chronicle.serves("web")
        assert serving is not None
        assert serving.count == 2
    return story


@cache
def length() -> int:
    story = asyncio.run(lived(10**9, killed=False))
    return len(story.ticks)


def test_a_story_without_trouble_rolls_out() -> None:
    story = asyncio.run(lived(10**9, killed=False))
    assert not story.asked


@pytest.mark.parametrize("killed", [False, True], ids=["the host alone", "the driver too"])
def test_s87_a_host_that_dies_anywhere_is_gone_on_without(killed: bool) -> None:
    points = random.Random(f"{SEED} {killed}").sample(range(1, length() + 1), DRAWN)
    asked = [asyncio.run(lived(at, killed=killed)).asked for at in sorted(points)]
    assert any(asked)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("killed", [False, True], ids=["the host alone", "the driver too"])
def test_s87_a_host_that_dies_at_any_point_is_gone_on_without(killed: bool) -> None:
    for at in range(1, length() + 1):
        asyncio.run(lived(at, killed=killed))
