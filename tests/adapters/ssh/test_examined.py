"""What `check` asks of hosts, with the real agent on two servers of this machine."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.adapters.ssh.examined import examined
from orchestrator.core.model import At, Color, Command
from tests.adapters.ssh.fleet import HostsShop, shop_on_hosts


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[HostsShop]:
    async with shop_on_hosts(tmp_path) as made:
        yield made


async def test_a_program_of_a_step_that_a_host_lacks_is_said_of_that_host(shop: HostsShop) -> None:
    do, undo = ("sh", "-c", "true"), ("no-such-program", "--back")
    step = Command("provision", At.BEFORE_START, do, undo, on=("web2",))
    first, second = await examined(replace(shop.site, steps=(step,)))
    assert first[0] is False
    why = "web2: steps.provision: there is no program 'no-such-program' there"
    assert second == (True, why)


async def test_a_port_that_somebody_else_has_is_said_with_whose_it_should_be(
    shop: HostsShop,
) -> None:
    """S85"""
    port = shop.site.services[0].placement.port(Color.BLUE, 0)
    with socket.create_server(("127.0.0.1", port)):
        found = await examined(shop.site)
    assert all(wrong for wrong, _ in found)
    assert f"web1: port {port} of web blue is taken by " in found[0][1]
    assert not any(wrong for wrong, _ in await examined(shop.site))
