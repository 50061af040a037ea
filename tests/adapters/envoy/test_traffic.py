"""Who answers whom, on a real Envoy: shares, inner addresses, previews, instances that die."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from urllib.parse import urlsplit

from orchestrator.adapters.envoy.config import check_of
from orchestrator.core.model import Color, HttpProbe, Share, TcpProbe
from tests.adapters.envoy.edge import (
    ALL_BLUE,
    ALL_GREEN,
    BLUE,
    GREEN,
    INSTANCES,
    NOBODY,
    WEB_BLUE,
    WEB_GREEN,
    Edge,
    edge_of,
    eventually,
    get,
    service,
    site,
)
from tests.conftest import find_ports


def preview_port(edge: Edge, name: str, color: Color) -> int:
    return urlsplit(edge.switch.preview_address(name, color) or "").port or 0


async def colors(edge: Edge, path: str, count: int) -> Counter[str]:
    return Counter([(await edge.get(path)).color for _ in range(count)])


async def test_where_nobody_serves_the_answer_is_503_and_says_so(edge: Edge) -> None:
    answer = await edge.get("/")
    assert (answer.status, answer.body) == (503, "bg: nobody serves web now\n")
    await edge.switch.send({"web": ALL_BLUE}, {}, 1)
    assert (await edge.get("/")).color == "blue"
    await edge.switch.send({"web": NOBODY}, {}, 1)
    assert (await edge.get("/")).status == 503


async def test_many_services_change_color_in_one_write(edge: Edge) -> None:
    await edge.switch.send({"web": ALL_BLUE, "api": ALL_BLUE}, {}, 1)
    before = edge.runtime.stat().st_ino, json.loads(edge.runtime.read_text())["version_info"]
    await edge.switch.send({"web": ALL_GREEN, "api": ALL_GREEN}, {}, 1)
    after = edge.runtime.stat().st_ino, json.loads(edge.runtime.read_text())["version_info"]
    assert before[0] != after[0]
    assert int(after[1]) == int(before[1]) + 1
    assert (await edge.get("/")).color == (await edge.get("/api/x")).color == "green"


async def test_a_request_after_the_acknowledgement_never_meets_the_old_color(edge: Edge) -> None:
    """S23: over connections that were open all along, and over new ones."""
    for color in (BLUE, GREEN) * 10:
        await edge.switch.send({"web": Share.all_to(color)}, {}, 1)
        assert await colors(edge, "/", 4) == {color.value: 4}


async def test_a_share_is_kept_by_the_requests_themselves(edge: Edge) -> None:
    await edge.switch.send({"web": Share(50, 50)}, {}, 1)
    seen = await colors(edge, "/", 100)
    assert set(seen) == {"blue", "green"}
    assert min(seen.values()) > 15


async def test_a_path_ends_at_a_segment(edge: Edge) -> None:
    await edge.switch.send({"web": ALL_BLUE, "api": ALL_GREEN}, {}, 1)
    asked = ("/", "/api", "/api/x", "/api?x=1", "/apis", "/x/api")
    answered = [(await edge.get(path)).said["service"] for path in asked]
    assert answered == ["web", "api", "api", "api", "web", "web"]


async def test_a_host_of_its_own_comes_before_the_paths_of_every_host(edge: Edge) -> None:
    admin = service("admin", edge.port + 9, "/", host="admin.example")
    described = replace(edge.site, services=(*edge.site.services, admin))
    async with edge_of(described) as wider:
        await wider.switch.ensure(1)
        await wider.switch.send({"web": ALL_BLUE, "admin": ALL_GREEN, "api": ALL_BLUE}, {}, 1)
        await wider.serve("admin", GREEN)
        hosts = ("admin.example", f"admin.example:{edge.port}", "other.example")
        answered = [(await wider.get("/", host=host)).said["service"] for host in hosts]
        assert answered == ["admin", "admin", "web"]
        assert wider.switch.outer_address("admin") == f"http://admin.example:{edge.port}/"


# -- Inner addresses and previews ----------------------------------------------------------


async def test_an_inner_address_leads_to_its_own_world_whoever_serves(edge: Edge) -> None:
    """S29: blue web reaches blue api while green api serves."""
    await edge.switch.send({"api": ALL_GREEN}, {WEB_BLUE: BLUE, WEB_GREEN: GREEN}, 1)
    for pin, color in ((WEB_BLUE, BLUE), (WEB_GREEN, GREEN)):
        _, port = edge.switch.inner_address(pin)
        assert (await get(port, "/")).color == color.value
    await edge.switch.send({}, {WEB_BLUE: GREEN}, 1)
    assert (await get(edge.switch.inner_address(WEB_BLUE)[1], "/")).color == "green"


async def test_an_inner_address_that_is_not_wired_answers_503_and_says_so(edge: Edge) -> None:
    await edge.switch.send({"api": ALL_GREEN}, {}, 1)
    answer = await get(edge.switch.inner_address(WEB_BLUE)[1], "/")
    assert (answer.status, answer.body) == (
        503,
        "bg: this inner address of web blue leads to no color of api yet\n",
    )


async def until_status(edge: Edge, port: int, status: int) -> None:
    async def answers_so() -> bool:
        return (await edge.get("/", port=port)).status == status

    await eventually(answers_so)


async def test_a_preview_shows_its_own_color_whoever_serves(edge: Edge) -> None:
    await edge.switch.send({"web": ALL_BLUE}, {}, 1)
    port = preview_port(edge, "web", GREEN)
    await until_status(edge, port, 200)
    assert (await edge.get("/", port=port)).color == "green"


async def test_a_preview_never_answers_from_a_color_that_is_not_ready(edge: Edge) -> None:
    """S27: ready is what the service's own probe says, not that something listens."""
    port = preview_port(edge, "web", GREEN)
    await until_status(edge, port, 200)
    first = edge.site.service("web").placement.port(GREEN, 0)
    for instance in range(INSTANCES):
        await get(first + instance, "/ill")
    await until_status(edge, port, 503)
    assert "no healthy upstream" in (await edge.get("/", port=port)).body


def test_only_an_http_probe_without_templates_can_be_asked_by_envoy() -> None:
    web = service("web", 1, "/")
    template = replace(web, probes=(HttpProbe("/{version}/up"), TcpProbe()))
    plain = replace(web, probes=(TcpProbe(), HttpProbe("/up", status=204, host="shop")))
    asked = {"path": "/up", "host": "shop", "expected_statuses": [{"start": 204, "end": 205}]}
    assert check_of(template) == {"tcp_health_check": {}}
    assert check_of(plain) == {"http_health_check": asked}


# -- Instances that come and go ------------------------------------------------------------


async def test_an_instance_that_refuses_connections_costs_no_request(edge: Edge) -> None:
    await edge.switch.send({"web": ALL_BLUE}, {}, 1)
    edge.stop("web", BLUE, 0)
    assert await colors(edge, "/", 50) == {"blue": 50}
    await edge.serve("web", BLUE, 0)
    edge.stop("web", BLUE, 1)
    assert await colors(edge, "/", 50) == {"blue": 50}


async def test_what_one_instance_hung_up_on_is_read_from_another(edge: Edge) -> None:
    """A read may be asked again; so a dying instance loses none of them."""
    await edge.switch.send({"web": ALL_BLUE}, {}, 1)
    edge.stop("web", BLUE, 0)
    hung_up = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal hung_up
        await reader.readuntil(b"\r\n\r\n")
        hung_up += 1
        writer.close()

    port = edge.site.service("web").placement.port(BLUE, 0)
    async with await asyncio.start_server(hang_up, "127.0.0.1", port):
        assert await colors(edge, "/", 30) == {"blue": 30}
    assert hung_up > 0


async def test_a_color_with_one_instance_left_of_two_is_never_shut_out(edge: Edge) -> None:
    await edge.switch.send({"web": ALL_BLUE}, {}, 1)
    for instance in range(INSTANCES):
        edge.stop("web", BLUE, instance)
    assert {(await edge.get("/")).status for _ in range(10)} == {503}
    await edge.serve("web", BLUE, 0)
    assert await colors(edge, "/", 20) == {"blue": 20}


# -- What stays open -----------------------------------------------------------------------


async def open_at(edge: Edge, name: str, color: Color) -> int:
    look = await edge.switch.look(None)
    return sum(c.open for c in look.connections if (c.service, c.color) == (name, color))


async def test_a_stream_goes_on_through_a_flip_and_is_counted_until_it_ends(edge: Edge) -> None:
    """S28: kept and counted, then gone."""
    await edge.switch.send({"web": ALL_BLUE}, {}, 1)
    stream = asyncio.create_task(stream_of(edge.port))
    await until_open(edge, 1)
    await edge.switch.send({"web": ALL_GREEN}, {}, 1)
    assert (await edge.get("/")).color == "green"
    assert await open_at(edge, "web", BLUE) == 1
    whole = await stream
    assert '"color": "blue"' in whole
    assert whole.endswith("0\r\n\r\n")
    assert await open_at(edge, "web", BLUE) == 0


async def until_open(edge: Edge, count: int) -> None:
    async def so_many() -> bool:
        return await open_at(edge, "web", BLUE) == count

    await eventually(so_many)


async def stream_of(port: int) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /stream?seconds=0.5 HTTP/1.1\r\nhost: shop\r\n\r\n")
    whole = await reader.readuntil(b"\r\n0\r\n\r\n")
    writer.close()
    return whole.decode()


async def test_an_upgraded_connection_stays_with_its_color_and_is_counted(edge: Edge) -> None:
    """S28: WebSockets."""
    await edge.switch.send({"web": ALL_BLUE}, {}, 1)
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    writer.write(f"GET / HTTP/1.1\r\nhost: shop\r\n{upgrade}\r\n".encode())
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    assert await reader.readline() == b"blue\n"
    await edge.switch.send({"web": ALL_GREEN}, {}, 1)
    writer.write(b"still here\n")
    assert await reader.readline() == b"still here\n"
    assert await open_at(edge, "web", BLUE) == 1
    writer.close()
    await until_open(edge, 0)


async def test_a_client_of_old_is_answered(edge: Edge) -> None:
    """HTTP/1.0, without a host: health checks and load generators still speak it."""
    await edge.switch.send({"web": ALL_BLUE}, {}, 1)
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    assert b"blue" in await reader.read()
    writer.close()


async def test_a_body_arrives_whole(edge: Edge) -> None:
    await edge.switch.send({"web": ALL_BLUE}, {}, 1)
    for size in (0, 40_000, 3_000_000):
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(f"POST / HTTP/1.1\r\nhost: shop\r\ncontent-length: {size}\r\n\r\n".encode())
        writer.write(b"x" * size)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        assert json.loads(await reader.readexactly(length))["bytes"] == size
        writer.close()


async def test_two_envoys_are_written_in_one_go(edge: Edge) -> None:
    port = find_ports(20)
    pair = site(edge.runtime.parents[3] / "pair", port)
    inside = replace(pair.switches[0], name="inside", port=port + 19)
    web, api = pair.services
    api = replace(api, behind=replace(api.behind, switch="inside")) if api.behind else api
    described = replace(pair, services=(web, api), switches=(*pair.switches, inside))
    async with edge_of(described) as both:
        await both.switch.ensure(1)
        await both.serve("web", GREEN)
        await both.serve("api", GREEN)
        await both.switch.send({"web": ALL_GREEN, "api": ALL_GREEN}, {WEB_GREEN: GREEN}, 1)
        assert (await both.get("/")).said["service"] == "web"
        assert (await both.get("/api", port=port + 19)).said["service"] == "api"
        assert (await get(both.switch.inner_address(WEB_GREEN)[1], "/")).color == "green"
        look = await both.switch.look(1)
        assert look.up
        assert dict(look.shares) == {"web": ALL_GREEN, "api": ALL_GREEN}
