"""S87: the servers of a host that is taken out, and taken back, at real HAProxies.

Two hosts, each at a loopback address of its own: web1 and web2.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from e2e.sample import Answering, Identity
from orchestrator.adapters.haproxy.switch import HaproxySwitch
from orchestrator.core.away import without
from orchestrator.core.model import Color, Hold, Host, Policy, Service, Site
from orchestrator.core.sight import Astray
from orchestrator.ports.trouble import Refused, Superseded, Unreachable
from tests.adapters.envoy import edge
from tests.adapters.haproxy.place import HaproxyPlace
from tests.adapters.proxies.place import (
    ALL_BLUE,
    ALL_GREEN,
    NOBODY,
    free_site,
    place_of,
)

BLUE, GREEN = Color.BLUE, Color.GREEN
WEBS = {"web1": "127.0.0.1", "web2": "127.0.0.2"}
EVERYTHING = tuple((name, color) for name in ("api", "web") for color in Color)
STICKY = "    cookie AT insert\n"


def on_hosts(site: Site) -> Site:
    """The same services, on two hosts; it can hold, so that streams have backends of their own."""

    def placed(service: Service) -> Service:
        return replace(service, placement=replace(service.placement, hosts=tuple(WEBS)))

    return replace(
        site,
        services=tuple(map(placed, site.services)),
        hosts=(*site.hosts, *(Host(name, address) for name, address in WEBS.items())),
        policy=Policy(hold=Hold()),
    )


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[HaproxyPlace]:
    """Blue serves both, on two hosts, at two proxies."""
    described = on_hosts(free_site(HaproxyPlace, tmp_path / "state", 2))
    async with place_of(HaproxyPlace, described, tmp_path / "hosts") as made:
        await made.begin()
        await serve_all(made)
        await made.switch.send({"web": ALL_BLUE, "api": ALL_BLUE}, {}, 1)
        yield made


async def serve_all(place: HaproxyPlace) -> None:
    """Each host answers with its number."""
    for described in place.site.services:
        for color in Color:
            for number, address in enumerate(WEBS.values()):
                answering = Answering(Identity(described.name, color.value, "1", number, None))
                port = described.placement.port(color, number)
                server = await asyncio.start_server(answering.serve, address, port)
                place.servers[described.name, color, number] = server


def site_without(place: HaproxyPlace, *hosts: str) -> HaproxySwitch:
    """As it is driven once these are out."""
    return HaproxySwitch(without(place.site, hosts), place.near)


async def who_answers(place: HaproxyPlace, path: str = "/", port: int | None = None) -> set[int]:
    """The numbers of the hosts that do. Both proxies are at the same port."""
    counts: Counter[int] = Counter()
    for _ in range(24):
        answer = await place.get(path, port)
        assert answer.status == 200, answer
        counts[answer.said["instance"]] += 1
    return set(counts)


def by_hand(place: HaproxyPlace, proxy: str, server: str, state: str) -> None:
    prefix = f"bg.{place.site.name}."
    place.runtime(proxy).ask(f"set server {prefix}{server} state {state}")


async def test_a_host_that_is_out_gets_no_new_requests_though_it_answers(
    place: HaproxyPlace,
) -> None:
    """In both colors, at inner addresses, and in previews."""
    assert await who_answers(place) == {0, 1}
    out = site_without(place, "web2")
    await out.ensure(2)
    inner = out.inner_address(edge.WEB_GREEN)[1]
    preview = int((out.preview_address("api", GREEN) or "").split(":")[2].split("/")[0])
    await out.send({}, {edge.WEB_GREEN: GREEN}, 2)
    for path, port in (("/", None), ("/api", None), ("/", inner), ("/", preview)):
        assert await who_answers(place, path, port) == {0}, (path, port)
    await out.send({"web": ALL_GREEN, "api": ALL_GREEN}, {}, 2)
    assert await who_answers(place) == {0}
    look = await out.look(None)
    assert (look.up, look.astray, look.lingering) == (True, (), ())


async def test_whoever_sticks_to_a_host_that_is_out_is_sent_elsewhere(tmp_path: Path) -> None:
    """A cookie leads there; HAProxy's `drain` would still follow it."""
    described = on_hosts(free_site(HaproxyPlace, tmp_path / "state", 1))
    async with place_of(HaproxyPlace, described, tmp_path / "hosts") as place:
        with suppress(Refused, Unreachable):
            await place.switch.ensure(1)
        place.write_config("proxy1")
        file, head = place.lines("proxy1"), f"backend bg.{described.name}.web.blue\n"
        text = file.read_text().replace(head, head + STICKY)
        file.write_text(
            "\n".join(
                f"{line} cookie {line.split()[1]}" if line.startswith("    server ") else line
                for line in text.split("\n")
            )
        )
        place.start("proxy1")
        await place.switch.ensure(1)
        await serve_all(place)
        await place.switch.send({"web": ALL_BLUE}, {}, 1)
        assert [await sticking(place, "web2") for _ in range(4)] == [1] * 4
        await site_without(place, "web2").ensure(2)
        assert [await sticking(place, "web2") for _ in range(4)] == [0] * 4


async def sticking(place: HaproxyPlace, host: str) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(f"GET / HTTP/1.1\r\nhost: s\r\ncookie: AT={host}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
    body = (await reader.readexactly(length)).decode()
    writer.close()
    return int(body.partition('"instance": ')[2].partition(",")[0].rstrip("}"))


async def test_what_it_answers_already_goes_on_and_is_counted(place: HaproxyPlace) -> None:
    lasting = [await asyncio.open_connection("127.0.0.1", place.port) for _ in range(8)]
    for reader, writer in lasting:
        writer.write(b"GET /stream?seconds=0.8 HTTP/1.1\r\nhost: shop\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
    out = site_without(place, "web2")
    await out.ensure(2)
    ((host, count),) = (await out.look(None)).lingering
    assert host == "web2" and 0 < count < 8
    for reader, writer in lasting:
        assert (await reader.readuntil(b"0\r\n\r\n")).endswith(b"0\r\n\r\n"), "cut off"
        writer.close()

    async def nobody() -> bool:
        return not (await out.look(None)).lingering

    await edge.eventually(nobody)


async def test_a_reload_forgets_it_which_is_seen_and_the_next_send_puts_it_right(
    place: HaproxyPlace,
) -> None:
    """S25"""
    out = site_without(place, "web2")
    await out.ensure(2)
    place.reload("proxy1")
    look = await out.look(None)
    assert look.astray == (Astray("web2", False, ("proxy1",), EVERYTHING),)
    assert look.up, "who serves is what it should be"
    await out.send({"web": ALL_GREEN}, {}, 2)
    assert (await out.look(None)).astray == ()
    assert await who_answers(place) == {0}
    place.kill("proxy2")
    place.start("proxy2")
    assert [one.at for one in (await out.look(None)).astray] == [("proxy2",)]
    await out.ensure(2)
    assert (await out.look(None)).astray == ()


async def test_a_host_that_is_taken_back_gets_requests_again_and_only_then(
    place: HaproxyPlace,
) -> None:
    out = site_without(place, "web2")
    await out.ensure(2)
    await out.admit(("web2",), 2)
    assert await who_answers(place) == {0}, "the site goes on without it"
    await place.switch.ensure(3)
    look = await place.switch.look(None)
    assert look.astray == (Astray("web2", True, ("proxy1", "proxy2"), EVERYTHING),)
    await place.switch.admit(("web2",), 3)
    assert (await place.switch.look(None)).astray == ()
    assert await who_answers(place) == {0, 1}


@pytest.mark.parametrize("state", ["maint", "drain"])
async def test_who_is_shut_out_by_hand_is_named_and_left_alone_until_somebody_says_so(
    place: HaproxyPlace, state: str
) -> None:
    """S26"""
    by_hand(place, "proxy2", "web.blue/web1", state)
    named = (Astray("web1", True, ("proxy2",), (("web", BLUE),)),)
    look = await place.switch.look(None)
    assert (look.up, look.astray) == (True, named)
    await place.switch.ensure(2)
    await place.switch.send({"web": ALL_GREEN, "api": NOBODY}, {}, 2)
    assert (await place.switch.look(None)).astray == named
    await place.switch.admit(("web1",), 2)
    assert (await place.switch.look(None)).astray == ()


async def test_a_host_whose_lines_were_taken_away_is_nobodys_concern(place: HaproxyPlace) -> None:
    for proxy in place.hosts:
        file = place.lines(proxy)
        lines = file.read_text().split("\n")
        file.write_text("\n".join(x for x in lines if not x.startswith("    server web2 ")))
        place.reload(proxy)
    out = site_without(place, "web2")
    await out.ensure(2)
    look = await out.look(None)
    assert (look.up, look.astray) == (True, ())


async def test_an_older_driver_neither_shuts_out_nor_lets_in(place: HaproxyPlace) -> None:
    await place.switch.look(5)
    for changing in (site_without(place, "web2").ensure(4), place.switch.admit(("web2",), 4)):
        with pytest.raises(Superseded):
            await changing
    assert (await place.switch.look(None)).astray == ()


async def test_one_proxy_that_is_away_keeps_no_other_from_shutting_it_out(
    place: HaproxyPlace,
) -> None:
    place.kill("proxy2")
    out = site_without(place, "web2")
    with pytest.raises(Unreachable, match="proxy2"):
        await out.ensure(2)
    assert await who_answers(place) == {0}


@pytest.mark.parametrize(
    "wrong",
    [
        {"backends": ["bg.other.web.blue"]},
        {"backends": ["bg.{site}.web.blue; shutdown"]},
        {"backends": ["theirs"]},
        {"out": ["web2; disable"]},
        {"back": ["../web2"]},
    ],
)
async def test_the_agent_takes_names_of_its_site_alone(
    place: HaproxyPlace, wrong: dict[str, Any]
) -> None:
    """S90"""
    spec = place.site.proxies[0]
    name = place.site.name
    args: dict[str, Any] = {"socket": spec.socket, "maps": spec.maps}
    args |= {"backends": [f"bg.{name}.web.blue"], "out": [], "back": []}
    args |= {key: [one.replace("{site}", name) for one in many] for key, many in wrong.items()}
    with pytest.raises(Refused):
        await place.near.ask("proxy1", "proxy_servers", args, 2)
