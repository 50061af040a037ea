"""A site on hosts as wiring makes it ready: one connection for all that speak to a host."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator import wiring
from orchestrator.adapters.memory.witness import MemoryWitness
from orchestrator.core.model import Color, Pin, ProxySpec, Use
from orchestrator.engine.world import World, survey
from tests.adapters.ssh.fleet import HostsShop, shop_on_hosts


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[HostsShop]:
    async with shop_on_hosts(tmp_path) as made:
        hosts = tuple(host.name for host in made.site.hosts)
        web, *others = made.site.services
        made.site = replace(
            made.site,
            switches=(),
            services=(replace(web, uses=(Use(others[0].name),)), *others),
            proxies=(ProxySpec("edge", hosts, "http://shop.example:8080"),),
        )
        yield made


def ready(shop: HostsShop) -> World:
    return wiring.ready(shop.site, witness=MemoryWitness())


async def test_installations_and_switch_speak_to_a_host_over_one_connection(
    shop: HostsShop,
) -> None:
    await shop.driver().look(None)  # now the agent is there
    before = [len(server.commands) for server in shop.servers]
    world = ready(shop)
    try:
        await survey(world, None)
        await survey(world, None)
    finally:
        await world.close()
    begun = [server.commands[n:] for server, n in zip(shop.servers, before, strict=True)]
    assert [len(commands) for commands in begun] == [1, 1], begun


async def test_a_world_that_was_left_leaves_nothing_going_on(shop: HostsShop) -> None:
    before, world = connections(), ready(shop)
    await survey(world, None)
    assert connections() == before + len(shop.servers)
    await world.close()
    await world.close()
    assert connections() == before
    assert asyncio.all_tasks() == {asyncio.current_task()}


def connections() -> int:
    """Open sockets of this process that lead to somebody over TCP."""
    mine = {
        os.readlink(file.path)[8:-1] for file in os.scandir("/proc/self/fd") if file.is_symlink()
    }
    tables = (Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6"))
    return sum(line.split()[9] in mine for table in tables for line in table)


async def test_inner_addresses_of_programs_on_hosts_are_those_of_the_proxies(
    shop: HostsShop,
) -> None:
    web, api = shop.site.services[0].name, shop.site.services[1].name
    host, port = ready(shop).switch.inner_address(Pin(web, Color.BLUE, api))
    assert host == "shop.example"
    assert f"bind :{port}" in wiring.fragments(shop.site, "haproxy")[0][2]


async def test_check_says_of_each_proxy_what_it_lacks(shop: HostsShop) -> None:
    for wrong, what in await wiring.proxies(shop.site):
        assert wrong
        assert "bgctl init haproxy" in what or "HAProxy" in what
        assert any(what.startswith(f"{host.name}: ") for host in shop.site.hosts)
