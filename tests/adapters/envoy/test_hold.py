"""Time stands still at a real Envoy: who waits, who does not, and who goes on when nobody is there
to let them (S29).
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.adapters.envoy import config, names, runtime
from orchestrator.adapters.envoy.switch import EnvoySwitch
from orchestrator.core.model import Hold, Policy
from orchestrator.core.stillness import Held
from orchestrator.ports.trouble import Unreachable
from tests.adapters.envoy.edge import (
    ALL_BLUE,
    ALL_GREEN,
    BLUE,
    GREEN,
    NOBODY,
    WEB_BLUE,
    WEB_GREEN,
    Edge,
    edge_of,
    eventually,
    site,
)
from tests.conftest import find_ports

HOLD = Hold(3.0)
BOTH = ("web", "api")


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    """Blue serves, and the site wants time to stand still for a switch."""
    described = replace(site(tmp_path / "state", find_ports(20)), policy=Policy(hold=HOLD))
    async with edge_of(described) as made:
        await made.switch.ensure(1)
        await made.serve_all()
        pins = {WEB_BLUE: BLUE, WEB_GREEN: GREEN}
        await made.switch.send({"web": ALL_BLUE, "api": ALL_BLUE}, pins, 1)
        yield made


async def until_held(edge: Edge, true: Callable[[Held], bool]) -> None:
    async def seen() -> bool:
        return true(await edge.switch.held(1))

    await eventually(seen)


def asked(*requests: Awaitable[str]) -> list[asyncio.Future[str]]:
    return [asyncio.ensure_future(request) for request in requests]


async def color(edge: Edge, path: str = "/", port: int | None = None) -> str:
    return (await edge.get(path, port)).color


async def test_who_waits_goes_on_into_the_new_world_and_who_was_in_flight_ends_in_the_old(
    edge: Edge,
) -> None:
    for old, new, shares in (("blue", "green", ALL_GREEN), ("green", "blue", ALL_BLUE)):
        slow = asked(color(edge, "/slow"))
        await asyncio.sleep(0.05)
        began_s = await edge.switch.hold(BOTH, HOLD, 1)
        waiting = asked(*(color(edge) for _ in range(20)))
        await until_held(edge, lambda held: held.waiting == 20)
        await until_held(edge, lambda held: held.in_flight == 0)
        assert [task.done() for task in waiting] == [False] * 20
        both = dict.fromkeys(BOTH, shares)
        await edge.switch.send(both, {}, 1, not_after_s=began_s + 2.5)
        waits = await edge.switch.let_go(1)
        assert (len(waits), min(waits) > 0.0) == (20, True)
        assert await asyncio.gather(*slow) == [old]
        assert await asyncio.gather(*waiting) == [new] * 20


async def test_nobody_waits_where_there_is_nothing_to_wait_for(edge: Edge) -> None:
    """Inner calls of requests in flight have to get through; previews are nobody's traffic."""
    await edge.switch.send({"api": NOBODY}, {}, 1)
    await edge.switch.hold(BOTH, HOLD, 1)
    inner = edge.switch.inner_address(WEB_BLUE)[1]
    assert (await edge.get("/", inner)).color == "blue"
    assert "nobody serves api" in (await edge.get("/api")).color
    assert (await edge.switch.held(1)).leaked == 0
    await edge.switch.let_go(1)


async def test_only_the_services_that_flip_stand_still(edge: Edge) -> None:
    await edge.switch.hold(("web",), HOLD, 1)
    assert await color(edge, "/api") == "blue"
    await edge.switch.let_go(1)


async def test_a_client_that_goes_away_waits_no_more(edge: Edge) -> None:
    await edge.switch.hold(BOTH, HOLD, 1)
    _, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n")
    await until_held(edge, lambda held: held.waiting == 1)
    writer.close()
    await until_held(edge, lambda held: held.waiting == 0)
    assert await edge.switch.let_go(1) == ()


async def test_a_body_that_waits_arrives_whole(edge: Edge) -> None:
    await edge.switch.hold(BOTH, HOLD, 1)
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    body = b"x" * 3_000_000
    head = f"POST /echo HTTP/1.1\r\nhost: shop\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await until_held(edge, lambda held: held.waiting == 1)
    await edge.switch.send(dict.fromkeys(BOTH, ALL_GREEN), {}, 1)
    await edge.switch.let_go(1)
    answer = await reader.readuntil(b"}")
    writer.close()
    assert b'"color": "green"' in answer
    assert f'"bytes": {len(body)}'.encode() in answer


STREAMS = {
    "a WebSocket": "GET /ws HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n",
    "an event stream": "GET /stream?seconds=5 HTTP/1.1\r\naccept: text/event-stream\r\n",
}


@pytest.mark.parametrize("kind", STREAMS)
async def test_what_lasts_is_counted_apart_and_goes_on(edge: Edge, kind: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(STREAMS[kind].encode() + b"host: shop\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    await edge.switch.hold(BOTH, HOLD, 1)
    await until_held(edge, lambda held: (held.in_flight, held.streams) == (0, 1))
    await edge.switch.send(dict.fromkeys(BOTH, ALL_GREEN), {}, 1)
    await edge.switch.let_go(1)
    look = await edge.switch.look(None)
    counts = {(c.service, c.color): c.open for c in look.connections}
    assert counts["web", BLUE] == 1, "who drains the old color still sees it"
    writer.close()


async def test_what_lasts_and_is_new_waits_like_everybody(edge: Edge) -> None:
    await edge.switch.hold(BOTH, HOLD, 1)
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(STREAMS["an event stream"].encode() + b"host: shop\r\n\r\n")
    await until_held(edge, lambda held: (held.waiting, held.streams) == (1, 0))
    await edge.switch.send(dict.fromkeys(BOTH, ALL_GREEN), {}, 1)
    await edge.switch.let_go(1)
    assert b"200" in await reader.readuntil(b"\r\n")
    look = await edge.switch.look(None)
    counts = {(c.service, c.color): c.open for c in look.connections}
    assert (counts["web", BLUE], counts["web", GREEN]) == (0, 1)
    writer.close()


async def test_a_request_longer_than_the_bound_gets_through_and_that_is_seen(edge: Edge) -> None:
    """The bound is built into Envoy; the driver may do what it likes."""
    await edge.switch.hold(BOTH, HOLD, 1)
    (waiting,) = asked(color(edge))
    assert await waiting == "blue"
    assert (await edge.switch.held(1)).leaked == 1
    await edge.switch.let_go(1)


async def test_one_hold_after_the_other_leaks_nothing(edge: Edge) -> None:
    """Workers have to hear of the gate before anybody is sent to it."""
    for _ in range(6):
        stop = asyncio.Event()

        async def visit(stop: asyncio.Event = stop) -> None:
            while not stop.is_set():
                assert await color(edge) == "blue"

        visitors = [asyncio.ensure_future(visit()) for _ in range(4)]
        await edge.switch.hold(BOTH, HOLD, 1)
        await until_held(edge, lambda held: held.waiting == 4)
        assert (await edge.switch.held(1)).leaked == 0
        stop.set()
        await edge.switch.let_go(1)
        await asyncio.gather(*visitors)


async def test_an_envoy_that_was_started_again_is_another_one(edge: Edge) -> None:
    await edge.switch.hold(BOTH, HOLD, 1)
    os.kill(edge.pid(), signal.SIGKILL)

    async def seen() -> bool:
        try:
            return (await edge.switch.held(1)).restarted
        except Unreachable:
            return False

    await eventually(seen)
    await edge.switch.let_go(1)
    assert await color(edge) == "blue"


VERBS: dict[str, Callable[[EnvoySwitch], Awaitable[object]]] = {
    "look": lambda switch: switch.look(2),
    "ensure": lambda switch: switch.ensure(2),
    "send": lambda switch: switch.send({"web": ALL_BLUE}, {}, 2),
    "let go": lambda switch: switch.let_go(2),
}


@pytest.mark.parametrize("verb", VERBS)
async def test_a_hold_that_was_left_on_lets_everybody_in_and_ends_with_the_next_verb(
    edge: Edge, verb: str
) -> None:
    """S1: its driver was killed, so nobody listens at the gate."""
    await edge.switch.hold(BOTH, HOLD, 1)
    for one in edge.switch._standing:
        await one.standing.gate.close()  # what the kernel does for a process that is gone
    assert await color(edge) == "blue"
    assert runtime.understand(edge.runtime.read_text()).held == ("api", "web")
    successor = edge.another()
    seen = await successor.look(None)
    assert seen.up
    assert "had stopped time for api and web" in seen.note
    await VERBS[verb](successor)
    successor.close()
    assert runtime.understand(edge.runtime.read_text()).held == ()
    assert await color(edge) == "blue"


async def test_a_look_that_no_driver_takes_ends_no_hold(edge: Edge) -> None:
    await edge.switch.hold(BOTH, HOLD, 1)
    watcher = edge.another()
    assert (await watcher.look(None)).note == "", "its driver is there"
    watcher.close()
    assert runtime.understand(edge.runtime.read_text()).held == ("api", "web")
    await edge.switch.let_go(1)


def test_a_site_that_never_holds_pays_nothing(tmp_path: Path) -> None:
    plain = site(tmp_path, 20000)
    ports = dict.fromkeys(names.places(plain), 1)
    for wanted, described in ((False, plain), (True, replace(plain, policy=Policy(hold=HOLD)))):
        files = config.files(described, described.switches[0], ports, str(tmp_path))
        for text in (files.listeners, files.clusters, files.routes):
            assert ("bg.gate" in text or "bg.hold" in text) is wanted
