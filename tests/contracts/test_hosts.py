"""What `Hosts` promises: each answers for itself, and belongs to one journal and one driver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from orchestrator.adapters.memory.process import Process
from orchestrator.core.model import Color, Host, Release, Service, Site
from orchestrator.ports.hosts import Hosts, Wrong
from orchestrator.ports.installation import Installation
from orchestrator.ports.trouble import Refused, Superseded, Unreachable
from tests.adapters.local import samples
from tests.adapters.local.samples import part
from tests.adapters.ssh.fleet import Each, each_host
from tests.contracts.shop import MemoryShop

BOTH = ("web1", "web2")


class Crowd(Protocol):
    """The hosts web1 and web2, with an instance of `web` each."""

    def hosts(self) -> Hosts:
        """As a driver of our journal has them, with nothing in its memory."""

    def driver(self) -> Installation: ...

    def release(self) -> tuple[Release, str]:
        """One of `web`, and the source to stage it from."""

    async def taken(self, name: str, epoch: int) -> None:
        """By another journal."""

    def away(self, name: str) -> None:
        """Nobody answers there any more."""


class InMemory:
    def __init__(self, site: Site) -> None:
        self._shop = MemoryShop(site)

    def hosts(self) -> Hosts:
        return Process(self._shop.world).hosts

    def driver(self) -> Installation:
        return self._shop.driver()

    def release(self) -> tuple[Release, str]:
        return self._shop.release("1")

    async def taken(self, name: str, epoch: int) -> None:
        self._shop.world.belongs[name] = "another"
        self._shop.world.fence(name, epoch)

    def away(self, name: str) -> None:
        self._shop.world.dead.add(name)


class OverSsh:
    def __init__(self, each: Each) -> None:
        self._each = each

    def hosts(self) -> Hosts:
        return self._each.hosts()

    def driver(self) -> Installation:
        return self._each.shop.driver()

    def release(self) -> tuple[Release, str]:
        return self._each.shop.release("1")

    async def taken(self, name: str, epoch: int) -> None:
        await self._each.hosts("another").adopt((name,), epoch)

    def away(self, name: str) -> None:
        next(one for one in self._each.shop.servers if one.name == name).goes_down()


@asynccontextmanager
async def in_memory(folder: Path) -> AsyncIterator[Crowd]:
    def placed(service: Service) -> Service:
        return replace(service, placement=replace(service.placement, count=2, hosts=BOTH))

    made = samples.site(folder, samples.WAITING)
    hosts = tuple(Host(name, "127.0.0.1") for name in BOTH)
    yield InMemory(replace(made, services=tuple(map(placed, made.services)), hosts=hosts))


@asynccontextmanager
async def over_ssh(folder: Path) -> AsyncIterator[Crowd]:
    async with each_host(folder) as each:
        yield OverSsh(each)


CROWDS: dict[str, Callable[[Path], AbstractAsyncContextManager[Crowd]]] = {
    "memory": in_memory,
    "ssh": over_ssh,
}


@pytest.fixture(params=list(CROWDS))
async def crowd(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Crowd]:
    async with CROWDS[request.param](tmp_path) as made:
        yield made


async def wrongs(crowd: Crowd) -> list[Wrong | None]:
    return [seen.wrong for seen in await crowd.hosts().look(BOTH)]


async def running(crowd: Crowd) -> Release:
    """Web runs on blue, on both."""
    release, source = crowd.release()
    await crowd.driver().stage(part(release), source, 1)
    await crowd.driver().start(part(release), 1)
    return release


async def test_a_look_tells_of_each_host_in_order_and_of_what_is_on_it(crowd: Crowd) -> None:
    for seen, name in zip(await crowd.hosts().look(BOTH), BOTH, strict=True):
        assert (seen.name, seen.wrong, seen.on) == (name, None, ())
    release = await running(crowd)
    for seen in await crowd.hosts().look(BOTH):
        assert [(one.service, one.color, one.release, one.running) for one in seen.on] == [
            ("web", Color.BLUE, release, True)
        ]


async def test_a_host_that_is_away_hides_no_other_and_does_nothing(crowd: Crowd) -> None:
    """S80"""
    crowd.away("web2")
    assert await wrongs(crowd) == [None, Wrong.DOWN]
    assert "web2" in (await crowd.hosts().look(BOTH))[1].why
    for doing in (
        crowd.hosts().tell_gone("web2", "it burned", 1),
        crowd.hosts().readmit("web2", frozenset(), 1),
        crowd.hosts().adopt(BOTH, 1),
    ):
        with pytest.raises(Unreachable, match="web2"):
            await doing


async def test_a_host_told_gone_is_so_until_it_is_readmitted(crowd: Crowd) -> None:
    """S87"""
    await crowd.hosts().tell_gone("web2", "it burned", 1)
    assert await wrongs(crowd) == [None, Wrong.GONE]
    assert "it burned" in (await crowd.hosts().look(BOTH))[1].why
    await crowd.hosts().tell_gone("web2", "it burned", 1)
    assert await crowd.hosts().readmit("web2", frozenset(), 2) == ()
    assert await wrongs(crowd) == [None, None]


async def test_what_should_not_run_on_a_host_that_is_readmitted_is_stopped_and_named(
    crowd: Crowd,
) -> None:
    """S87"""
    release = await running(crowd)
    assert await crowd.hosts().readmit("web1", frozenset({("web", Color.BLUE, release)}), 2) == ()
    stopped = await crowd.hosts().readmit("web2", frozenset(), 2)
    assert [(one.service, one.color, one.release) for one in stopped] == [
        ("web", Color.BLUE, release)
    ]
    seen = await crowd.hosts().look(BOTH)
    assert [[one.running for one in host.on] for host in seen] == [[True], [False]]


async def test_an_older_driver_changes_no_host(crowd: Crowd) -> None:
    """S3"""
    await crowd.hosts().tell_gone("web2", "it burned", 3)
    with pytest.raises(Superseded):
        await crowd.hosts().readmit("web2", frozenset(), 2)
    await crowd.hosts().readmit("web2", frozenset(), 3)
    with pytest.raises(Superseded):
        await crowd.hosts().tell_gone("web2", "it burned again", 2)
    assert await wrongs(crowd) == [None, None]


async def test_a_host_of_another_journal_is_ours_only_once_a_younger_epoch_adopted_it(
    crowd: Crowd,
) -> None:
    """S86"""
    await crowd.taken("web2", 4)
    assert await wrongs(crowd) == [None, Wrong.FOREIGN]
    with pytest.raises(Refused, match="another journal"):
        await crowd.hosts().readmit("web2", frozenset(), 9)
    with pytest.raises(Superseded):
        await crowd.hosts().adopt(("web2",), 4)
    assert await wrongs(crowd) == [None, Wrong.FOREIGN]
    await crowd.hosts().adopt(BOTH, 10)
    assert await wrongs(crowd) == [None, None]
