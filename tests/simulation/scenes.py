"""Worlds to live in: each a site with a past, a wish, and how it ends where nothing goes wrong.

A world is made once, by driving real rollouts, and copied for each life.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

from orchestrator.adapters.memory.clock import SimulatedClock
from orchestrator.adapters.memory.fuse import GO_ON, Answer, Killed, Tick, When
from orchestrator.adapters.memory.process import Process
from orchestrator.adapters.memory.world import (
    ILL,
    Cell,
    Health,
    Instance,
    LeaseRow,
    World,
)
from orchestrator.core.chronicle import Backout, backout_of
from orchestrator.core.model import At, Color, Command, Hold, Share, Site
from orchestrator.core.record import Kind, Outcome, Wanted, Wish
from orchestrator.core.stillness import Held
from tests.core.made import ANY, SAME, service, with_policy
from tests.engine.driven import POLICY, shop, visit, wish_for

PAIR = (service("web", count=2, uses=[("api", SAME)]), service("api", count=1))
LOOSE = (service("web", count=1, uses=[("api", ANY)]), service("api", count=1))


@dataclass(frozen=True)
class Scene:
    """`make` gives a fresh copy of the world each time; the wish is of what is in it."""

    world: World
    wish: Wish
    ends: Outcome = Outcome.ROLLED_OUT

    def make(self) -> World:
        return copied(self.world)

    def opened(self) -> Scene:
        """The same, just after the rollout was opened: planning and proving are not lived again."""

        def dies(tick: Tick) -> Answer:
            if tick.when is When.AFTER and tick.what == "Opened":
                raise Killed("opened")
            return GO_ON

        async def opening(world: World) -> None:
            with contextlib.suppress(Killed):
                await visit(Process(world, dies), self.wish)

        world = self.make()
        asyncio.run(opening(world))
        assert world.chronicle.open is not None
        return replace(self, world=world)


def copied(world: World) -> World:
    """Another world like this one, with a clock of its own, without those who slept by the old."""
    return replace(world, clock=SimulatedClock(world.clock.now()), **_own(world, but="clock"))


def _own(value: Any, but: str) -> dict[str, Any]:
    return {f.name: _copy(getattr(value, f.name)) for f in fields(value) if f.name != but}


def _copy(value: Any) -> Any:
    """Values are shared; what can be changed is not."""
    match value:
        case dict():
            return {key: _copy(one) for key, one in value.items()}
        case list() | set():
            return type(value)(value)
        case Cell() | Instance() | LeaseRow():
            return replace(value, **_own(value, but=""))
        case _:
            return value


Making = Callable[[], Coroutine[Any, Any, Scene]]


async def past(site: Site, *deploys: dict[str, str], offers: tuple[str, ...] = ()) -> World:
    """A world in which these were deployed, one after the other, and rolled out."""
    world = World(site)
    for one in site.services:
        for version in ("1", "2", "3", "4", "5", *offers):
            world.offer(one.name, version)
    for versions in deploys:
        came = await visit(Process(world), wish_for(world, versions), grant=True)
        assert came.considered is not None and came.considered.opened is not None, came
        assert world.chronicle.past[-1].outcome is Outcome.ROLLED_OUT
    world.effects.clear()
    return world


def ailing(world: World, name: str, version: str, health: Health) -> None:
    """The release of this version does as `health` says from now on."""
    for artifact in world.offers[name]:
        if artifact.release.version == version:
            world.health[name, artifact.release] = health


async def first() -> Scene:
    world = await past(shop())
    return Scene(world, wish_for(world, {"web": "1"}))


async def second() -> Scene:
    world = await past(shop(), {"web": "1"})
    return Scene(world, wish_for(world, {"web": "2"}))


async def everything() -> Scene:
    """Stage · Drain · Retire · Wire · Start · Prove · Gate · Shift · Soak · Tidy, two services."""
    site = shop(*PAIR, policy=with_policy(POLICY, keep=1))
    both = ({"web": str(n), "api": str(n)} for n in (1, 2))
    world = await past(site, *both)
    for name in ("web", "api"):
        lies = next(a.release for a in world.offers[name] if a.release.version == "5")
        world.staged[name][lies] = site.service(name)
    for pin in list(world.pins):  # the addresses of the color that waits were changed by hand
        if pin.color is Color.BLUE:
            world.pins[pin] = Color.GREEN
    return Scene(world, wish_for(world, {"web": "3", "api": "3"}))


async def caller_outside() -> Scene:
    world = await past(shop(*PAIR), {"web": "1", "api": "1"})
    return Scene(world, wish_for(world, {"api": "2"}))


async def loosely_coupled() -> Scene:
    world = await past(shop(*LOOSE), {"web": "1", "api": "1"})
    return Scene(world, wish_for(world, {"web": "2", "api": "2"}))


async def held() -> Scene:
    """Time stands still for the shift, and for going back."""
    site = shop(*LOOSE, policy=with_policy(POLICY, hold=Hold(2.0, waiting=100)))
    world = await past(site, {"web": "1", "api": "1"})
    return Scene(world, wish_for(world, {"web": "2", "api": "2"}))


async def half_started() -> Scene:
    """A driver died in a start, and a person abandoned that: the same release is wished again."""
    world = await past(shop(), {"web": "1"})
    scene = Scene(world, wish_for(world, {"web": "2"}))
    (wanted,) = scene.wish.wanted
    world.staged["web"][wanted.release] = world.site.service("web")
    world.cell("web", Color.GREEN).current = wanted.release
    instance = world.cell("web", Color.GREEN).instances.setdefault(0, Instance())
    world.begin(instance, wanted.release)
    return scene


async def backout() -> Scene:
    """After the close: a new plan, whose wish is the older release."""
    world = await past(shop(*PAIR), {"web": "1", "api": "1"}, {"web": "2", "api": "2"})
    return Scene(world, backing_out(world))


async def backout_without_standby() -> Scene:
    world = await past(shop(*PAIR), {"web": "1", "api": "1"}, {"web": "2", "api": "2"})
    for (_, color), cell in world.cells.items():
        if color is Color.BLUE:
            for instance in cell.instances.values():
                instance.running = instance.kept = False
    return Scene(world, backing_out(world))


def backing_out(world: World) -> Wish:
    found = backout_of(world.chronicle)
    assert isinstance(found, Backout)
    wanted = tuple(Wanted(service, release) for service, release in found.wanted)
    return Wish(wanted, Kind.BACKOUT, undoes=found.undoes.id)


async def again() -> Scene:
    world = await past(shop(), {"web": "1"})
    return Scene(world, replace(wish_for(world, {"web": "1"}), again=True))


async def never_well() -> Scene:
    scene = await second()
    ailing(scene.world, "web", "2", ILL)
    return replace(scene, ends=Outcome.BACKED_OUT)


async def ill_in_the_soak() -> Scene:
    scene = await everything()
    ailing(scene.world, "web", "3", Health(ill_after=2))
    return replace(scene, ends=Outcome.BACKED_OUT)


async def fix_forward() -> Scene:
    """S22: what serves is ill, and the fix goes out."""
    scene = await second()
    ailing(scene.world, "web", "1", ILL)
    return scene


async def retiring() -> Scene:
    world = await past(shop(*PAIR), {"web": "1", "api": "1"}, {"web": "2", "api": "2"})
    wanted = tuple(Wanted(s.service, s.release) for s in world.chronicle.serving)
    return Scene(world, Wish(wanted, Kind.RETIRE))


async def mending() -> Scene:
    """S26: somebody moved the traffic by hand, and an instance of what should serve is gone."""
    scene = await mending_instances()
    scene.world.shares["web"] = Share.all_to(Color.BLUE)
    return scene


async def mending_instances() -> Scene:
    world = await past(shop(), {"web": "1"}, {"web": "2"})
    world.lose("web", Color.GREEN, 1)
    (serving,) = world.chronicle.serving
    return Scene(world, Wish((Wanted("web", serving.release),), Kind.MEND))


async def mending_everything() -> Scene:
    """Nothing runs where the traffic goes."""
    scene = await mending_instances()
    scene.world.lose("web", Color.GREEN, 0)
    return scene


async def mending_traffic() -> Scene:
    world = await past(shop(), {"web": "1"}, {"web": "2"})
    world.shares["web"] = Share.all_to(Color.BLUE)
    (serving,) = world.chronicle.serving
    return Scene(world, Wish((Wanted("web", serving.release),), Kind.MEND))


async def holding() -> Scene:
    """S29: time stands still for the switch, of both services and of a caller outside the wish."""
    policy = with_policy(POLICY, hold=Hold(2.0))
    caller = service("shop", count=1, uses=[("web", SAME)])
    both = {"web": "1", "api": "1"}
    world = await past(shop(*PAIR, caller, policy=policy), both | {"shop": "1"})
    world.while_held = [Held(2, 1), Held(0, 3)]
    return Scene(world, wish_for(world, {"web": "2", "api": "2"}))


OWN = (
    Command("provision", At.BEFORE_START, ("do",), ("undo",), on=("h1", "h2")),
    Command("expand", At.BEFORE_CUTOVER, ("do",), leave=True),
    Command("warm", At.AFTER_CUTOVER, ("do",), ("undo",), holds=("holds",)),
    Command("tell", At.AT_CLOSE, ("do",), ("undo",)),
)


async def own_steps() -> Scene:
    """Steps of the user's own at each of the four places, on hosts and here."""
    world = await past(replace(shop(), steps=OWN), {"web": "1"})
    world.ran.clear()  # somebody else took it away since, so a look does not say that it holds
    return Scene(world, wish_for(world, {"web": "2"}))


async def own_steps_taken_back() -> Scene:
    """After the close: what can be taken back of them is, once traffic is back."""
    world = (await own_steps()).world
    await visit(Process(world), wish_for(world, {"web": "2"}), grant=True)
    world.effects.clear()
    return Scene(world, backing_out(world))


async def own_step_fails() -> Scene:
    """After the cutover, so it goes all the way back."""
    scene = await own_steps()
    scene.world.failing.add("tell")
    return replace(scene, ends=Outcome.BACKED_OUT)


async def no_way_back() -> Scene:
    """A step that nothing takes back, before anything starts."""
    own = (OWN[0], Command("contract", At.BEFORE_START, ("do",), holds=("holds",)))
    world = await past(replace(shop(), steps=own), {"web": "1"})
    world.ran.clear()
    return Scene(world, wish_for(world, {"web": "2"}))


SCENES: dict[str, Making] = {
    making.__name__: making
    for making in (
        first,
        second,
        everything,
        caller_outside,
        loosely_coupled,
        held,
        half_started,
        backout,
        backout_without_standby,
        again,
        never_well,
        ill_in_the_soak,
        fix_forward,
        retiring,
        mending,
        mending_instances,
        mending_everything,
        mending_traffic,
        holding,
        own_steps,
        own_steps_taken_back,
        own_step_fails,
        no_way_back,
    )
}


@cache
def scene(name: str) -> Scene:
    return asyncio.run(SCENES[name]())


@cache
def opened(name: str) -> Scene:
    return scene(name).opened()
