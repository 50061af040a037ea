"""The world in memory: what is true, what is told, and trouble where a hook says so."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from orchestrator.adapters.memory.fuse import (
    GO_ON,
    Answer,
    Fault,
    Fuse,
    How,
    Killed,
    Tick,
    When,
    all_of,
)
from orchestrator.adapters.memory.process import Process
from orchestrator.adapters.memory.world import CRASHING, World
from orchestrator.core.model import Share
from orchestrator.core.sight import InstallationSeen
from orchestrator.core.steps import Part
from orchestrator.ports.trouble import Refused, Superseded, Unreachable
from tests.contracts.histories import BLUE, SITE


def offered(world: World, version: str = "1") -> Part:
    return Part("web", BLUE, 2, world.offer("web", version))


async def started(world: World, version: str = "1") -> Part:
    part = offered(world, version)
    process = Process(world)
    await process.installation.stage(part, f"/artifacts/web-{version}", 1)
    await process.installation.start(part, 1)
    return part


async def blue(world: World) -> InstallationSeen:
    looked = await Process(world).installation.look(None)
    return next(seen for seen in looked if (seen.service, seen.color) == ("web", BLUE))


async def test_the_hook_is_told_before_and_after_everything() -> None:
    world, fuse = World(SITE), Fuse()
    process = Process(world, fuse)
    part = offered(world)
    await process.installation.stage(part, "/artifacts/web-1", 1)
    await process.installation.start(part, 1)
    await process.installation.look(1)
    label = part.release.label
    assert [str(tick) for tick in fuse.ticks] == [
        f"{when} {what}"
        for what in (
            f"installation.stage web blue {label}",
            f"installation.point web blue {label}",
            f"installation.start web blue #0 {label}",
            f"installation.start web blue #1 {label}",
            "installation.look",
        )
        for when in ("before", "after")
    ]


@pytest.mark.parametrize("at", range(1, 9))
async def test_a_process_can_die_at_every_tick_and_then_does_nothing_more(at: int) -> None:
    world = World(SITE)
    part = offered(world)
    process = Process(world, Fuse.blowing_at(at))
    with pytest.raises(Killed):
        await process.installation.stage(part, "/artifacts/web-1", 1)
        await process.installation.start(part, 1)
    done = list(world.effects)
    assert len(done) == at // 2, "an effect happens between its two ticks"
    with pytest.raises(Killed):
        await process.installation.start(part, 1)
    with pytest.raises(Killed):
        await process.lease.take("ann@box", "deploying", 10.0)
    assert world.effects == done and not process.alive


@pytest.mark.parametrize(
    ("how", "raised", "happened"),
    [
        (How.REFUSES, Refused, False),
        (How.SILENT, Unreachable, False),
        (How.LATE, Unreachable, True),
        (How.LIES, None, False),
    ],
)
async def test_what_is_told_and_what_happened_are_two_things(
    how: How, raised: type[Exception] | None, happened: bool
) -> None:
    """S7: a lost reply, and a lie."""
    world = World(SITE)
    process = Process(world, Fault("switch.send", how))
    await process.switch.ensure(1)
    if raised is None:
        await process.switch.send({"web": Share.all_to(BLUE)}, {}, 1)
    else:
        with pytest.raises(raised):
            await process.switch.send({"web": Share.all_to(BLUE)}, {}, 1)
    assert (world.shares.get("web") == Share.all_to(BLUE)) is happened
    await process.switch.send({"web": Share.all_to(BLUE)}, {}, 1)
    assert world.shares["web"] == Share.all_to(BLUE), "once only"


async def test_a_paused_process_that_wakes_is_refused_by_what_it_would_have_changed() -> None:
    """S3: it was stopped just before an effect, and somebody younger looked meanwhile."""
    world, wake, reached = World(SITE), asyncio.Event(), asyncio.Event()

    async def pause(tick: Tick) -> Answer:
        if tick.verb == "installation.start" and tick.when is When.BEFORE:
            reached.set()
            await wake.wait()
        return GO_ON

    part = offered(world)
    process = Process(world, all_of(pause, Fuse()))
    await process.installation.stage(part, "/artifacts/web-1", 1)
    starting = asyncio.create_task(process.installation.start(part, 1))
    await reached.wait()
    await Process(world).installation.look(2)
    wake.set()
    with pytest.raises(Superseded):
        await starting
    assert world.running("web", BLUE) == ()


async def test_what_was_done_already_is_not_done_twice() -> None:
    world = World(SITE)
    part = await started(world)
    done = list(world.effects)
    await Process(world).installation.start(part, 1)
    assert world.effects == done


async def test_a_crash_is_a_new_start_and_a_loss_is_none() -> None:
    world = World(SITE)
    part = await started(world)
    world.crash("web", BLUE, 0)
    world.lose("web", BLUE, 1)
    seen = await blue(world)
    assert [(i.running, i.kept, i.start) for i in seen.instances] == [
        (True, True, 2),
        (False, False, 1),
    ]
    await Process(world).installation.start(part, 1)
    assert world.running("web", BLUE) == (part.release, part.release)


async def test_what_crash_loops_is_seen_under_another_number_each_time() -> None:
    world = World(SITE)
    part = await started(world)
    world.health["web", part.release] = CRASHING
    starts = [(await blue(world)).instances[0].start for _ in range(3)]
    assert starts == [1, 2, 3]


async def test_another_release_is_never_stopped() -> None:
    world = World(SITE)
    part = await started(world)
    other = replace(part, release=world.offer("web", "2"))
    await Process(world).installation.stop(other, 1)
    assert world.running("web", BLUE) == (part.release, part.release)
