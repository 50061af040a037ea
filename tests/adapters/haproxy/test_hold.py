"""Time stopped at several HAProxies: who waits, who does not, and who goes on by himself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.core.model import Color, Hold, Pin, Policy
from orchestrator.core.stillness import Held
from orchestrator.ports.trouble import Refused, TooLate, Unreachable
from tests.adapters.envoy.edge import Answer, eventually
from tests.adapters.haproxy.place import HaproxyPlace
from tests.adapters.proxies.place import ALL_BLUE, ALL_GREEN, new_place

BOTH = ("web", "api")
HOLD = Hold(2.0)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[HaproxyPlace]:
    """Blue serves both, pinned, on two proxies that can hold."""
    async with new_place(HaproxyPlace, tmp_path, policy=Policy(hold=HOLD)) as made:
        await made.serve_all()
        pins = {Pin("web", color, "api"): color for color in Color}
        await made.switch.send(dict.fromkeys(BOTH, ALL_BLUE), pins, 1)
        yield made


def asking(place: HaproxyPlace, path: str = "/", count: int = 1) -> list[asyncio.Task[Answer]]:
    return [asyncio.create_task(place.get(path)) for _ in range(count)]


async def until(place: HaproxyPlace, **wanted: int) -> Held:
    """Look until it is so."""
    looks: list[Held] = []

    async def so() -> bool:
        looks.append(await place.switch.held(1))
        return all(getattr(looks[-1], name) == value for name, value in wanted.items())

    await eventually(so, 5)
    return looks[-1]


async def test_who_comes_while_time_is_stopped_waits_and_goes_on_into_the_new_world(
    place: HaproxyPlace,
) -> None:
    """S29"""
    began_s = await place.switch.hold(BOTH, HOLD, 1)
    waiting = asking(place, count=10)
    await until(place, waiting=10, in_flight=0)
    await place.switch.send(dict.fromkeys(BOTH, ALL_GREEN), {}, 1, not_after_s=began_s + 1.8)
    said = [(await task).said for task in waiting]
    assert {(one["color"], one["api"]["color"]) for one in said} == {("green", "green")}
    waited = await place.switch.let_go(1)
    assert len(waited) == 10
    assert 0 < max(waited) < 2


async def test_what_is_in_flight_is_counted_and_its_inner_calls_get_through(
    place: HaproxyPlace,
) -> None:
    slow = asking(place, "/slow")
    await asyncio.sleep(0.1)
    await place.switch.hold(BOTH, HOLD, 1)
    assert (await place.switch.held(1)).in_flight == 1
    assert (await slow[0]).said["api"]["color"] == "blue"
    await until(place, in_flight=0)
    await place.switch.let_go(1)


async def test_streams_are_counted_apart(place: HaproxyPlace) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    try:
        head = b"GET /stream?seconds=1 HTTP/1.1\r\nhost: shop\r\naccept: text/event-stream\r\n\r\n"
        writer.write(head)
        assert b"200" in await reader.readuntil(b"\r\n\r\n")
        await place.switch.hold(BOTH, HOLD, 1)
        held = await place.switch.held(1)
        assert (held.in_flight, held.streams) == (0, 1)
        await place.switch.let_go(1)
    finally:
        writer.close()


async def test_letting_go_without_a_flip_sends_everybody_to_the_old_world(
    place: HaproxyPlace,
) -> None:
    await place.switch.hold(BOTH, HOLD, 1)
    waiting = asking(place, count=3)
    await until(place, waiting=3)
    assert len(await place.switch.let_go(1)) == 3
    assert {(await task).color for task in waiting} == {"blue"}
    assert await place.switch.let_go(1) == ()


async def test_only_the_services_named_are_held(place: HaproxyPlace) -> None:
    await place.switch.hold(("api",), HOLD, 1)
    assert (await place.get("/")).color == "blue"
    (waiting,) = asking(place, "/api")
    await until(place, waiting=1)
    await place.switch.let_go(1)
    assert (await waiting).color == "blue"


async def test_a_hold_whose_driver_died_ends_by_itself(place: HaproxyPlace) -> None:
    """S29: nobody waits for a driver that is gone."""
    await place.switch.hold(BOTH, HOLD, 1)
    place.switch.close()
    began = time.monotonic()
    assert (await place.get()).color == "blue"
    assert time.monotonic() - began < 1.0


async def test_what_a_dead_driver_left_of_a_hold_the_next_one_ends(place: HaproxyPlace) -> None:
    await place.switch.hold(BOTH, HOLD, 1)
    place.switch.close()
    await place.another().look(2)
    for host in place.hosts:
        holds = place.runtime(host).entries(str(place.map(host, "holds")))
        assert holds == {"web": "0", "api": "0"}


async def test_a_hold_lasts_no_longer_than_the_site_lets_a_request_wait(
    place: HaproxyPlace,
) -> None:
    began = time.monotonic()
    await place.switch.hold(BOTH, Hold(0.4), 1)
    assert (await place.get()).color == "blue"
    assert 0.2 < time.monotonic() - began < 0.9
    assert (await place.switch.held(1)).leaked == 1
    await place.switch.let_go(1)


async def test_a_hold_that_was_not_renewed_has_leaked_and_does_not_flip(
    place: HaproxyPlace,
) -> None:
    def between(host: str, verb: str) -> None:
        if verb == "proxy_hold":
            raise Unreachable("cut")

    began_s = await place.switch.hold(BOTH, HOLD, 1)
    place.near.between = between
    assert (await place.get()).color == "blue"
    assert (await place.switch.held(1)).leaked == 1
    with pytest.raises(TooLate, match="the hold does not stand any more"):
        await place.switch.send(dict.fromkeys(BOTH, ALL_GREEN), {}, 1, not_after_s=began_s + 1.8)
    await place.switch.let_go(1)
    look = await place.switch.look(None)
    assert (dict(look.shares)["web"], look.up) == (ALL_BLUE, True)


async def test_where_the_hold_is_over_at_one_proxy_nobody_flips(place: HaproxyPlace) -> None:
    """S24, S29: the one that flipped is taken back."""
    began_s = await place.switch.hold(BOTH, HOLD, 1)

    def between(host: str, verb: str) -> None:
        if (host, verb) == ("proxy2", "proxy_send"):
            place.near.between = lambda *_: None
            holds = place.map(host, "holds")
            for name in BOTH:
                place.runtime(host).ask(f"set map {holds} {name} 0")

    place.near.between = between
    with pytest.raises(TooLate, match=r"proxy2: the hold does not stand.*taken back"):
        await place.switch.send(dict.fromkeys(BOTH, ALL_GREEN), {}, 1, not_after_s=began_s + 1.8)
    await place.switch.let_go(1)
    look = await place.switch.look(None)
    assert (dict(look.shares)["web"], look.up) == (ALL_BLUE, True)


async def test_a_proxy_that_was_started_again_while_it_held_is_said(place: HaproxyPlace) -> None:
    """S25, S29: nothing flips, for what is in flight is not counted any more."""
    await place.switch.hold(BOTH, HOLD, 1)
    place.kill("proxy2")
    place.start("proxy2")
    assert (await place.switch.held(1)).restarted
    await place.switch.let_go(1)


async def test_a_proxy_with_a_process_of_before_a_reload_cannot_hold(place: HaproxyPlace) -> None:
    """S25: the old process would let its connections through."""
    streams = asking(place, "/stream?seconds=3", 6)
    await asyncio.sleep(0.2)
    for host in place.hosts:
        place.reload(host)
    with pytest.raises(Refused, match="of before a reload still serves"):
        await place.switch.hold(BOTH, HOLD, 1)
    for task in streams:
        task.cancel()
    await asyncio.gather(*streams, return_exceptions=True)
    assert (await place.get()).color == "blue"
