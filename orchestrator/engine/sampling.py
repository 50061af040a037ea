"""Samples of installations: who to ask, with which probes, and what the words in them mean.

The probes are those that were staged with the release, so an older release is asked the questions
of its own time. An instance is asked at its own address, never through one that others share.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from orchestrator.core.health import Found, Sample, Verdict
from orchestrator.core.model import Color, ExecProbe, HttpProbe, Probe, Release, Service
from orchestrator.core.record import Served
from orchestrator.core.sight import Sighting
from orchestrator.core.steps import Part
from orchestrator.engine.world import World
from orchestrator.ports.prober import Target
from orchestrator.ports.trouble import Trouble

OPENING_ROUNDS = 3  # looks at whoever serves before a rollout opens
OPENING_TIMEOUT_S = 1.0


async def described(world: World, service: str, release: Release) -> Service:
    """The service as it was when this release was staged, else as the site says now."""
    staged = await world.installation.service_as_staged(service, release)
    return staged or world.site.service(service)


async def sample(world: World, part: Part, instance: int) -> Sample:
    """One look at one instance, at its own address."""
    service = await described(world, part.service, part.release)
    host, port = world.installation.address(part.service, part.color, instance)
    env, cwd = None, None
    if any(isinstance(probe, ExecProbe) for probe in service.probes):
        try:
            env, cwd = await world.installation.surroundings(part, instance)
        except Trouble as trouble:
            return Sample(Found.UNKNOWN, world.clock.now(), trouble.why)
    words = _words(part, instance, host, port)
    target = Target(host, port, words, env, cwd)
    return await world.prober.sample(target, service.probes, service.probing.timeout_s)


async def sample_through_switch(world: World, part: Part) -> Sample | None:
    """One look through the switch itself, at this color;

    None where there is nothing to ask there.
    """
    url = world.switch.preview_address(part.service, part.color)
    service = await described(world, part.service, part.release)
    probes = tuple(p for p in service.probes if isinstance(p, HttpProbe) and not _of_one(p))
    if url is None or not probes:
        return None
    split = urlsplit(url)
    words = _words(part, 0, split.hostname or "", split.port or 80)
    target = Target(split.hostname or "", split.port or 80, words)
    return await world.prober.sample(target, probes, service.probing.timeout_s)


async def any_answers(world: World, part: Part) -> bool:
    """Whether any instance of the part is good, now. The first good answer is enough."""
    numbers = world.site.service(part.service).placement.first(part.count)
    looks = [asyncio.ensure_future(sample(world, part, i)) for i in numbers]
    try:
        for look in asyncio.as_completed(looks):
            if (await look).found is Found.GOOD:
                return True
        return False
    finally:
        for pending in looks:
            pending.cancel()
        await asyncio.gather(*looks, return_exceptions=True)


async def who_serves(
    world: World, services: tuple[str, ...], sighting: Sighting
) -> tuple[Served, ...]:
    """Who serves these services now, and how well:

    WELL where some instance answered in every round.
    """
    return tuple(await asyncio.gather(*(_served(world, service, sighting) for service in services)))


async def _served(world: World, service: str, sighting: Sighting) -> Served:
    share = sighting.share(service)
    color = share.live or (Color.BLUE if share.blue >= share.green else Color.GREEN)
    release = sighting.at(service, color).current if share.blue or share.green else None
    if release is None:
        return Served(service, share, None, Verdict.UNSURE)
    part = Part(service, color, world.site.service(service).placement.count, release)
    for _ in range(OPENING_ROUNDS):
        if not await any_answers(world, part):
            return Served(service, share, release, Verdict.ILL)
    return Served(service, share, release, Verdict.WELL)


def _of_one(probe: Probe) -> bool:
    """Whether a probe asks who exactly answers.

    Meaningless where several instances share an address.
    """
    text = repr(probe)
    return "{instance}" in text or "{port}" in text


def _words(part: Part, instance: int, host: str, port: int) -> dict[str, str]:
    return {
        "version": part.release.version,
        "release": part.release.label,
        "color": part.color.value,
        "instance": str(instance),
        "host": host,
        "port": str(port),
    }
