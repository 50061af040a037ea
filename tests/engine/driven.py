"""A door of our own to the engine, on a world in memory: it opens, drives, grants and answers.

It does what every door does and nothing else, so that tests of the engine and the simulation depend
on no command line. `Process` is one life of a driver; each has its own hook.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.adapters.memory.process import Process
from orchestrator.adapters.memory.witness import MemoryWitness
from orchestrator.adapters.memory.world import WELL, Health, World
from orchestrator.core.chronicle import Chronicle
from orchestrator.core.decide import For
from orchestrator.core.model import Policy, Probing, Release, Service, Site
from orchestrator.core.record import Answered, Granted, Kind, Wanted, Wish
from orchestrator.engine.advance import Standing, advance
from orchestrator.engine.driver import Driver, driving
from orchestrator.engine.opening import Considered, open_rollout
from orchestrator.engine.world import World as Hands
from orchestrator.ports.trouble import Raced
from tests.core import made

RETRY: tuple[For, ...] = (For.RETRY,)
PROBING = Probing(every_s=0.5, well=2, ill=2, within_s=5.0, timeout_s=1.0)
POLICY = Policy(soak_s=2.0, soak_within_s=30.0, tries=2, drain_s=2.0)


@dataclass(frozen=True, slots=True)
class Came:
    """What came of one visit: what was considered for a wish; where the drive ended."""

    considered: Considered | None
    standing: Standing | None


def hands(process: Process) -> Hands:
    """What wiring would hand to the engine."""
    return Hands(
        site=process.world.chronicle.open.site
        if process.world.chronicle.open
        else process.world.site,
        journal=process.journal,
        lease=process.lease,
        installation=process.installation,
        artifacts=process.artifacts,
        switch=process.switch,
        prober=process.prober,
        clock=process.clock,
        witness=MemoryWitness(),
        commands=process.commands,
    )


async def visit(
    process: Process,
    wish: Wish | None = None,
    *,
    policy: Policy | None = None,
    wait_for: tuple[For, ...] = RETRY,
    grant: bool = False,
) -> Came:
    """Open a rollout for the wish, where none is open, and drive it (`grant`: through gates)."""
    used = hands(process)
    async with driving(used, by="ann", doing="testing") as driver:
        await answer_strays(driver)
        considered = None
        if driver.chronicle.open is None and wish is not None:
            considered = await opened(driver, wish, policy or used.site.policy)
        if driver.chronicle.open is None:
            return Came(considered, None)
        standing = await advance(driver, wait_for=wait_for)
        while grant and standing.wait is not None and standing.wait.what is For.GRANT:
            await process.journal.ask(granting(standing.chronicle))
            standing = await advance(driver, wait_for=wait_for)
        return Came(considered, standing)


async def opened(driver: Driver, wish: Wish, policy: Policy) -> Considered:
    while True:
        try:
            return await open_rollout(driver, wish, policy=policy, by="ann")
        except Raced:
            await driver.catch_up()


async def answer_strays(driver: Driver) -> None:
    """Requests that name a rollout which has closed are answered so."""
    while strays := [e for e in driver.chronicle.asked if e.record.rollout is not None]:
        why = f"rollout {strays[0].record.rollout} has closed"
        try:
            await driver.write(Answered(strays[0].number, why, strays[0].record.rollout))
        except Raced:
            await driver.catch_up()


def granting(chronicle: Chronicle, gate: str = "cutover") -> Granted:
    assert chronicle.open is not None
    return Granted(chronicle.open.id, gate, chronicle.open.attempt, "ann")


# -- Worlds --------------------------------------------------------------------------------


def shop(*services: Service, policy: Policy = POLICY) -> Site:
    """A site whose probes take seconds of simulated time, and whose drains and soaks are short."""
    from dataclasses import replace

    there = services or (made.service("web", count=2),)
    return made.site(*(replace(s, probing=PROBING) for s in there), policy=policy)


def wanting(world: World, *, kind: Kind = Kind.DEPLOY, again: bool = False, **v: str) -> Wish:
    """`wanting(world, web="2")`: the wish for what the world offers under these versions."""
    return wish_for(world, v, kind=kind, again=again)


def wish_for(
    world: World, versions: dict[str, str], *, kind: Kind = Kind.DEPLOY, again: bool = False
) -> Wish:
    process = Process(world)
    wanted = []
    for name, version in versions.items():
        found = process.artifacts.find(world.site.service(name), version)
        wanted.append(Wanted(name, found.release, found.source))
    return Wish(tuple(wanted), kind, again)


async def with_one(site: Site, **health: Health) -> World:
    """A world in which release 1 of everything serves, and release 2 is on offer."""
    world = World(site)
    for service in site.services:
        world.offer(service.name, "1")
        world.offer(service.name, "2", health.get(service.name, WELL))
    first = wish_for(world, {service.name: "1" for service in site.services})
    came = await visit(Process(world), first)
    assert came.standing is not None, came.considered
    assert world.chronicle.open is None
    return world


def two(world: World, name: str = "web") -> Release:
    return next(a.release for a in world.offers[name] if a.release.version == "2")
