"""What every `Artifacts` promises: one release for what was typed, or what there is instead."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from orchestrator.adapters.memory.artifacts import MemoryArtifacts
from orchestrator.adapters.memory.world import World
from orchestrator.core.model import Release, Service
from orchestrator.ports.artifacts import Artifact, Artifacts
from orchestrator.ports.trouble import Refused
from tests.adapters.local import samples
from tests.adapters.local.samples import Shop, part


class Place(Protocol):
    @property
    def web(self) -> Service: ...

    def artifacts(self) -> Artifacts: ...

    def make(self, version: str, **files: str) -> str:
        """Put (other) files into an artifact of `web`; where it lies."""

    def take_away(self, version: str) -> None:
        """The artifact is there no more; what was staged stays."""

    async def stage(self, found: Artifact) -> None: ...


class InMemory:
    def __init__(self, place: Path) -> None:
        self._world = World(samples.site(place))
        self._files: dict[str, dict[str, str]] = {}
        self.web = self._world.site.service("web")

    def artifacts(self) -> Artifacts:
        return MemoryArtifacts(self._world)

    def make(self, version: str, **files: str) -> str:
        content = self._files.setdefault(version, {}) | files
        self._files[version] = content
        digest = hashlib.sha256(f"{version}{content}".encode()).hexdigest()
        source = f"/dist/web-{version}"
        self._world.offers.setdefault("web", []).append(Artifact(Release(version, digest), source))
        return source

    def take_away(self, version: str) -> None:
        offers = self._world.offers["web"]
        offers[:] = [one for one in offers if one.release.version != version]

    async def stage(self, found: Artifact) -> None:
        self._world.staged.setdefault("web", {})[found.release] = self.web


class Local:
    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self.web = shop.site.service("web")

    def artifacts(self) -> Artifacts:
        return self._shop.artifacts

    def make(self, version: str, **files: str) -> str:
        return self._shop.make(version, **files)

    def take_away(self, version: str) -> None:
        shutil.rmtree(self._shop.make(version))

    async def stage(self, found: Artifact) -> None:
        await self._shop.driver().stage(part(found.release), found.source, 1)


@asynccontextmanager
async def on_this_machine(place: Path) -> AsyncIterator[Place]:
    async with samples.shop_in(place) as shop:
        yield Local(shop)


@asynccontextmanager
async def in_memory(place: Path) -> AsyncIterator[Place]:
    yield InMemory(place)


PLACES: dict[str, Callable[[Path], AbstractAsyncContextManager[Place]]] = {
    "memory": in_memory,
    "local": on_this_machine,
}


@pytest.fixture(params=PLACES)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    async with PLACES[request.param](tmp_path) as found:
        yield found


def test_a_version_is_found_with_where_it_comes_from(place: Place) -> None:
    source = place.make("2")
    found = place.artifacts().find(place.web, "2")
    assert (found.release.version, found.source) == ("2", source)


def test_the_same_bytes_are_the_same_release(place: Place) -> None:
    place.make("2")
    assert place.artifacts().find(place.web, "2") == place.artifacts().find(place.web, "2")


def test_other_bytes_under_an_old_name_are_another_release(place: Place) -> None:
    place.make("2")
    first = place.artifacts().find(place.web, "2").release
    place.make("2", more="of it")
    second = place.artifacts().find(place.web, "2").release
    assert first.version == second.version
    assert first != second


def test_a_path_is_taken_as_it_is(place: Place) -> None:
    source = place.make("2")
    found = place.artifacts().find(place.web, source)
    assert found.source == source
    assert found.release.digest == place.artifacts().find(place.web, "2").release.digest


async def test_a_staged_release_is_found_after_its_artifact_is_gone(place: Place) -> None:
    place.make("1")
    found = place.artifacts().find(place.web, "1")
    await place.stage(found)
    place.take_away("1")
    for wanted in ("1", found.release.label):
        assert place.artifacts().find(place.web, wanted) == Artifact(found.release, None)


async def test_an_older_release_of_the_name_is_found_by_its_digest(place: Place) -> None:
    place.make("1")
    older = place.artifacts().find(place.web, "1")
    await place.stage(older)
    place.make("1", more="of it")
    newer = place.artifacts().find(place.web, "1")
    assert newer.source is not None
    assert newer.release != older.release
    assert place.artifacts().find(place.web, older.release.label) == Artifact(older.release, None)


@pytest.mark.parametrize("wanted", ["9", "1@ffff", "./nowhere"])
def test_what_is_not_there_is_refused(place: Place, wanted: str) -> None:
    place.make("1")
    with pytest.raises(Refused, match=r"web|nowhere"):
        place.artifacts().find(place.web, wanted)


def test_who_asks_for_what_is_not_there_hears_what_is(place: Place) -> None:
    for version in ("1.0", "1.1"):
        place.make(version)
    with pytest.raises(Refused, match=r"1\.[01], 1\.[01]"):
        place.artifacts().find(place.web, "2")


def test_what_can_be_had_is_told_by_name(place: Place) -> None:
    assert place.artifacts().available(place.web) == ()
    for version in ("2", "1"):
        place.make(version)
    assert place.artifacts().available(place.web) == ("1", "2")
