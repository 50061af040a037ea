"""What only HAProxies do: they take a flip while they run, and keep what was before a reload."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.core.model import Color
from orchestrator.ports.trouble import Refused
from tests.adapters.envoy.edge import eventually
from tests.adapters.haproxy.place import HaproxyPlace
from tests.adapters.proxies.place import ALL_BLUE, ALL_GREEN, new_place


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[HaproxyPlace]:
    """Green serves both, on two proxies."""
    async with new_place(HaproxyPlace, tmp_path) as made:
        await made.serve_all()
        await made.switch.send({"web": ALL_GREEN, "api": ALL_GREEN}, {}, 1)
        yield made


async def test_what_still_serves_from_before_a_reload_is_said_and_counted_as_somebody(
    place: HaproxyPlace,
) -> None:
    """S25, S28: the old process keeps its connections, and its colors."""
    lasting = [await asyncio.open_connection("127.0.0.1", place.port) for _ in range(6)]
    for reader, writer in lasting:
        writer.write(b"GET /stream?seconds=20 HTTP/1.1\r\nhost: shop\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
    for host in place.hosts:
        place.reload(host)
    look = await place.switch.look(None)
    assert "of before a reload still serves" in look.note
    assert look.open_connections("web", Color.BLUE) == 1
    for _, writer in lasting:
        writer.close()

    async def alone() -> bool:
        return not (await place.switch.look(None)).note

    await eventually(alone)


async def test_a_flip_by_hand_that_a_restart_would_lose_is_named(place: HaproxyPlace) -> None:
    """S26"""
    place.flip_by_hand("proxy1")
    look = await place.switch.look(None)
    assert "proxy1: it serves web from blue, its file says green" in look.note


async def test_a_configuration_that_was_not_reloaded_is_said(place: HaproxyPlace) -> None:
    text = place.lines("proxy1").read_text()
    place.take_line("proxy1", f":{place.site.service('web').placement.blue_port}\n")
    place.reload("proxy1")
    place.lines("proxy1").write_text(text)
    with pytest.raises(Refused, match="runs with others: reload it"):
        await place.switch.ensure(1)


async def test_what_nobody_took_is_not_kept_in_haproxy(place: HaproxyPlace) -> None:
    def between(host: str, verb: str) -> None:
        if (host, verb) == ("proxy2", "proxy_prepare"):
            raise Refused("full")

    place.near.between = between
    for _ in range(5):
        with pytest.raises(Refused):
            await place.switch.send({"web": ALL_BLUE, "api": ALL_BLUE}, {}, 1)
    place.near.between = lambda *_: None
    await place.switch.send({"web": ALL_BLUE, "api": ALL_BLUE}, {}, 1)
    for line in place.runtime("proxy1").ask("show map").splitlines():
        if "colors.map" in line:
            assert line.endswith("entry_cnt=4")
