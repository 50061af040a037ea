"""What every `Installation` promises: idempotent, fenced, and never another release touched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from orchestrator.core.model import Color, Release, Site
from orchestrator.core.sight import InstallationSeen
from orchestrator.core.steps import Part
from orchestrator.ports.installation import Installation
from orchestrator.ports.trouble import Refused, Superseded
from tests.adapters.local import samples
from tests.adapters.local.samples import at, part
from tests.adapters.ssh.fleet import shop_on_hosts
from tests.contracts.shop import MemoryShop


class World(Protocol):
    """A site with the services `web` and `api`, two instances each, and things to install."""

    @property
    def site(self) -> Site: ...

    def driver(self) -> Installation:
        """A driver with nothing in its memory; all of them see the same world."""

    def release(self, version: str) -> tuple[Release, str]:
        """A new artifact of `web`: its release, and the source to stage it from."""

    def make(self, version: str, **files: str) -> str:
        """Put (other) files into the artifact of this version."""


@asynccontextmanager
async def in_memory(place: Path) -> AsyncIterator[World]:
    yield MemoryShop(samples.site(place, samples.WAITING))


@asynccontextmanager
async def on_this_machine(place: Path) -> AsyncIterator[World]:
    async with samples.shop_in(place) as shop:
        yield shop


@asynccontextmanager
async def on_hosts(place: Path) -> AsyncIterator[World]:
    async with shop_on_hosts(place) as shop:
        yield shop


WORLDS: dict[str, Callable[[Path], AbstractAsyncContextManager[World]]] = {
    "memory": in_memory,
    "local": on_this_machine,
    "ssh": on_hosts,
}


@pytest.fixture(params=WORLDS)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with WORLDS[request.param](tmp_path) as found:
        yield found


@pytest.fixture
def installation(world: World) -> Installation:
    return world.driver()


async def look(world: World, color: Color = Color.BLUE) -> InstallationSeen:
    """As somebody sees it who knows nothing from before."""
    return at(await world.driver().look(None), color)


async def staged(world: World, version: str = "1") -> Part:
    release, source = world.release(version)
    await world.driver().stage(part(release), source, 1)
    return part(release)


async def started(world: World, version: str = "1") -> Part:
    one = await staged(world, version)
    await world.driver().start(one, 1)
    return one


# -- Looking --------------------------------------------------------------------------------


async def test_both_colors_of_every_service_are_seen_before_anything_was_done(
    world: World, installation: Installation
) -> None:
    seen = await installation.look(1)
    assert {(one.service, one.color) for one in seen} == {
        (name, color) for name in ("web", "api") for color in Color
    }
    assert all(one.empty and not one.staged and one.current is None for one in seen)


async def test_a_look_changes_nothing(world: World, installation: Installation) -> None:
    await started(world)
    assert await installation.look(1) == await installation.look(1) == await world.driver().look(1)


# -- Staging --------------------------------------------------------------------------------


async def test_a_staged_release_lies_there_and_nothing_points_at_it(world: World) -> None:
    one = await staged(world)
    for color in Color:
        seen = await look(world, color)
        assert seen.staged == {one.release}
        assert seen.current is None
        assert seen.empty


async def test_staging_twice_is_staging_once(world: World, installation: Installation) -> None:
    one = await staged(world)
    once = await look(world)
    await installation.stage(one, world.release("1")[1], 1)
    await installation.stage(one, None, 1)
    assert await look(world) == once


async def test_bytes_that_changed_since_the_plan_are_refused(
    world: World, installation: Installation
) -> None:
    """S84"""
    release, source = world.release("1")
    world.make("1", who="somebody else")
    with pytest.raises(Refused, match="changed"):
        await installation.stage(part(release), source, 1)
    assert not (await look(world)).staged


async def test_what_is_not_staged_needs_a_source(world: World, installation: Installation) -> None:
    release, _ = world.release("1")
    with pytest.raises(Refused, match="web"):
        await installation.stage(part(release), None, 1)
    assert not (await look(world)).staged


async def test_other_bytes_under_an_old_name_are_another_release(
    world: World, installation: Installation
) -> None:
    first = (await staged(world)).release
    world.make("1", more="of it")
    source = world.make("1")
    second, source = world.release("1")
    assert first != second
    await installation.stage(part(second), source, 1)
    assert (await look(world)).staged == {first, second}


async def test_a_release_is_remembered_as_the_site_described_it(
    world: World, installation: Installation
) -> None:
    one = await staged(world)
    assert await installation.service_as_staged("web", one.release) == world.site.service("web")
    assert await installation.service_as_staged("web", Release("9", "99999999")) is None
    assert await installation.service_as_staged("api", one.release) is None


# -- Starting -------------------------------------------------------------------------------


async def test_start_points_the_color_and_runs_every_instance(world: World) -> None:
    one = await started(world)
    seen = await look(world)
    assert seen.current == one.release
    assert seen.running(one.release) == 2
    assert all(i.kept and i.start >= 1 and i.identity for i in seen.instances)
    assert (await look(world, Color.GREEN)).empty


async def test_starting_twice_starts_once(world: World, installation: Installation) -> None:
    """S13"""
    one = await started(world)
    once = await look(world)
    await installation.start(one, 1)
    assert await look(world) == once


async def test_what_is_not_staged_is_not_started(world: World, installation: Installation) -> None:
    release, _ = world.release("1")
    with pytest.raises(Refused, match="not staged"):
        await installation.start(part(release), 1)
    seen = await look(world)
    assert seen.current is None
    assert seen.empty


async def test_a_color_that_runs_another_release_is_left_alone(
    world: World, installation: Installation
) -> None:
    await started(world, "1")
    before = await look(world)
    two = await staged(world, "2")
    with pytest.raises(Refused, match="runs"):
        await installation.start(two, 1)
    assert (await look(world)).instances == before.instances


async def test_a_part_of_fewer_instances_starts_only_those(
    world: World, installation: Installation
) -> None:
    one = await staged(world)
    await installation.start(part(one.release, count=1), 1)
    assert (await look(world)).running(one.release) == 1
    await installation.start(one, 1)
    assert (await look(world)).running(one.release) == 2


async def test_one_release_can_run_in_both_colors(world: World, installation: Installation) -> None:
    one = await started(world)
    await installation.start(part(one.release, Color.GREEN), 1)
    for color in Color:
        assert (await look(world, color)).running(one.release) == 2
    await installation.stop(one, 1)
    assert (await look(world, Color.GREEN)).running(one.release) == 2


# -- Stopping -------------------------------------------------------------------------------


async def test_stop_stops_and_points_as_before(world: World, installation: Installation) -> None:
    one = await started(world)
    await installation.stop(one, 1)
    seen = await look(world)
    assert seen.empty
    assert seen.current == one.release
    assert seen.staged == {one.release}


async def test_stopping_twice_is_stopping_once(world: World, installation: Installation) -> None:
    one = await started(world)
    await installation.stop(one, 1)
    once = await look(world)
    await installation.stop(one, 1)
    assert await look(world) == once


async def test_stopping_what_never_ran_is_harmless(
    world: World, installation: Installation
) -> None:
    one = await staged(world)
    before = await look(world)
    await installation.stop(one, 1)
    await installation.stop(part(Release("9", "99999999")), 1)
    assert await look(world) == before


async def test_another_release_is_never_stopped(world: World, installation: Installation) -> None:
    await started(world, "1")
    before = await look(world)
    two = await staged(world, "2")
    await installation.stop(two, 1)
    assert (await look(world)).instances == before.instances


async def test_every_start_has_a_number_of_its_own(
    world: World, installation: Installation
) -> None:
    """S8"""
    one = await started(world)
    first = {i.index: i.start for i in (await look(world)).instances}
    await installation.stop(one, 1)
    await installation.start(one, 1)
    assert all(i.start > first[i.index] for i in (await look(world)).instances)


async def test_numbers_are_not_given_again_after_a_release_was_removed(
    world: World, installation: Installation
) -> None:
    one = await started(world)
    first = max(i.start for i in (await look(world)).instances)
    await installation.stop(one, 1)
    await installation.point("web", Color.BLUE, None, 1)
    await installation.remove("web", one.release, 1)
    await started(world)
    assert all(i.start > first for i in (await look(world)).instances)


# -- Pointing and removing ------------------------------------------------------------------


async def test_pointing_starts_and_stops_nothing(world: World, installation: Installation) -> None:
    one = await started(world)
    two = await staged(world, "2")
    running = (await look(world)).instances
    await installation.point("web", Color.BLUE, two.release, 1)
    seen = await look(world)
    assert (seen.current, seen.instances) == (two.release, running)
    await installation.point("web", Color.BLUE, None, 1)
    await installation.point("web", Color.BLUE, None, 1)
    assert ((await look(world)).current, (await look(world)).instances) == (None, running)
    await installation.point("web", Color.BLUE, one.release, 1)
    assert (await look(world)).current == one.release


async def test_nothing_points_at_what_is_not_staged(
    world: World, installation: Installation
) -> None:
    release, _ = world.release("1")
    with pytest.raises(Refused, match="not staged"):
        await installation.point("web", Color.BLUE, release, 1)
    assert (await look(world)).current is None


async def test_removing_twice_or_what_never_was_is_harmless(
    world: World, installation: Installation
) -> None:
    one = await staged(world)
    await installation.remove("web", one.release, 1)
    await installation.remove("web", one.release, 1)
    await installation.remove("web", Release("9", "99999999"), 1)
    assert not (await look(world)).staged


async def test_a_release_that_a_color_points_at_is_not_removed(
    world: World, installation: Installation
) -> None:
    one = await staged(world)
    await installation.point("web", Color.GREEN, one.release, 1)
    with pytest.raises(Refused, match="green"):
        await installation.remove("web", one.release, 1)
    assert (await look(world)).staged == {one.release}


async def test_a_release_that_runs_is_not_removed(world: World, installation: Installation) -> None:
    one = await started(world)
    await installation.point("web", Color.BLUE, None, 1)
    with pytest.raises(Refused, match="web"):
        await installation.remove("web", one.release, 1)
    assert (await look(world)).running(one.release) == 2


# -- The fence ------------------------------------------------------------------------------

Verb = Callable[[Installation, Part, str], Awaitable[object]]

VERBS: dict[str, Verb] = {
    "look": lambda old, one, source: old.look(1),
    "stage": lambda old, one, source: old.stage(one, source, 1),
    "start": lambda old, one, source: old.start(one, 1),
    "stop": lambda old, one, source: old.stop(one, 1),
    "point": lambda old, one, source: old.point("web", Color.BLUE, None, 1),
    "remove": lambda old, one, source: old.remove("web", one.release, 1),
}


@pytest.mark.parametrize("verb", VERBS)
async def test_an_older_epoch_changes_nothing(world: World, verb: str) -> None:
    """S3"""
    old = world.driver()
    one = await started(world, "1")
    two, source = world.release("2")
    before = await look(world)
    await world.driver().look(2)
    with pytest.raises(Superseded):
        await VERBS[verb](old, part(two) if verb in ("stage", "remove") else one, source)
    assert await look(world) == before


async def test_a_look_no_decision_rests_on_raises_no_fence(world: World) -> None:
    await world.driver().look(2)
    assert await world.driver().look(None)
    await world.driver().look(2)


# -- For people, and for probes -------------------------------------------------------------


async def test_instances_have_addresses_of_their_own(
    world: World, installation: Installation
) -> None:
    addresses = {
        installation.address(service, color, index)
        for service in ("web", "api")
        for color in Color
        for index in range(2)
    }
    assert len(addresses) == 8


async def test_the_log_of_what_never_ran_is_empty(world: World, installation: Installation) -> None:
    assert await installation.log("web", Color.GREEN, 0, 50) == ""
