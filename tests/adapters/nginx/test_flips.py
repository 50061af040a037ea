"""S24: one of several nginxes does not take the flip. And what a flip is, worker by worker."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.adapters.nginx.proxy import Proxy
from orchestrator.core.model import Color, Pin
from orchestrator.ports.trouble import Refused, Unreachable
from orchestrator.proxies.flips import Patience
from tests.adapters.haproxy.test_flips import failing
from tests.adapters.nginx.place import ALL_BLUE, ALL_GREEN, Place, new_place

BOTH_BLUE = {"web": ALL_BLUE, "api": ALL_BLUE}
BOTH_GREEN = {"web": ALL_GREEN, "api": ALL_GREEN}


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """Blue serves both, on two proxies."""
    async with new_place(tmp_path) as made:
        await made.switch.send(BOTH_BLUE, {}, 1)
        yield made


def colors(place: Place) -> dict[str, str]:
    """What each nginx itself says of web and api."""
    found = {}
    for host in place.programs:
        said = place.said(host)
        found[host] = f"{said['web']} {said['api']}"
    return found


def break_config(place: Place, host: str) -> None:
    place.lines(host).write_text(place.lines(host).read_text() + "no_such_thing on;\n")


async def test_when_a_flip_is_acknowledged_no_worker_of_before_is_in_service(place: Place) -> None:
    await place.serve_all()
    await place.switch.send({}, {Pin("web", color, "api"): color for color in Color}, 1)
    for wanted, color in ((BOTH_GREEN, "green"), (BOTH_BLUE, "blue")) * 3:
        before = {host: place.workers(host).serving for host in place.hosts}
        await place.switch.send(wanted, {}, 1)
        for host in place.hosts:
            assert not before[host] & place.workers(host).serving
        answers = await asyncio.gather(*(place.get() for _ in range(20)))
        assert {answer.color for answer in answers} == {color}


async def test_what_is_so_already_reloads_nobody(place: Place) -> None:
    before = [place.workers(host).serving for host in place.hosts]
    await place.switch.send(BOTH_BLUE, {}, 1)
    assert [place.workers(host).serving for host in place.hosts] == before


async def test_a_proxy_that_follows_late_is_brought_along(place: Place) -> None:
    place.near.between = failing("proxy2", "nginx_send", 2, lambda: Unreachable("cut"))
    await place.switch.send(BOTH_GREEN, {}, 1)
    assert set(colors(place).values()) == {"green green"}


async def test_where_one_does_not_follow_the_others_are_taken_back_within_a_bound(
    place: Place,
) -> None:
    place.near.between = failing("proxy2", "nginx_send", 9e9, lambda: Unreachable("cut"))
    switch, began = place.another(patience=Patience(0.5, 1.0)), time.monotonic()
    with pytest.raises(Unreachable, match=r"proxy2: .*not all could be taken back: proxy2"):
        await switch.send(BOTH_GREEN, {}, 1)
    assert time.monotonic() - began < 8
    assert set(colors(place).values()) == {"blue blue"}
    place.near.between = lambda host, verb: None
    assert (await switch.look(None)).up


async def test_a_configuration_that_nginx_would_not_take_changes_nothing_anywhere(
    place: Place,
) -> None:
    break_config(place, "proxy2")
    with pytest.raises(Refused, match=r'would not be reloaded.*"no_such_thing"'):
        await place.switch.send(BOTH_GREEN, {}, 1)
    assert set(colors(place).values()) == {"blue blue"}
    assert (await place.switch.look(None)).up


async def test_a_reload_that_nginx_refuses_leaves_the_file_and_takes_the_others_back(
    place: Place,
) -> None:
    """Broken by hand between the preparation and the flip."""

    def between(host: str, verb: str) -> None:
        if (host, verb) == ("proxy2", "nginx_send"):
            place.near.between = lambda *_: None
            break_config(place, "proxy2")

    file = place.colors("proxy2").read_bytes()
    place.near.between = between
    with pytest.raises(Unreachable, match=r'proxy2: nginx .*"no_such_thing".*all were taken back'):
        await place.another(patience=Patience(0.3, 2.0)).send(BOTH_GREEN, {}, 1)
    assert set(colors(place).values()) == {"blue blue"}
    assert place.colors("proxy2").read_bytes() == file


async def test_what_arrives_after_its_time_changes_nothing(place: Place) -> None:
    proxy = Proxy(place.site, place.site.proxies[0], "proxy1", place.near)
    prepared = await proxy.prepare({"web": "green"}, 1)
    sent = await proxy.send(prepared, 1, within_s=-0.01)
    assert (sent.flipped, sent.late) == (False, True)
    assert set(colors(place).values()) == {"blue blue"}


async def test_nothing_is_changed_where_an_nginx_is_away(place: Place) -> None:
    place.kill("proxy2")
    with pytest.raises(Unreachable, match=r"proxy2: nginx is away.*nothing was changed"):
        await place.switch.send(BOTH_GREEN, {}, 1)
    assert set(colors(place).values()) == {"blue blue"}


async def test_a_worker_that_does_not_answer_is_named_and_nothing_is_changed(place: Place) -> None:
    worker = min(place.workers("proxy1").serving)
    os.kill(worker, signal.SIGSTOP)
    try:
        look = await place.switch.look(None)
        assert not look.up
        assert f"proxy1: worker {worker} of nginx does not answer" in look.note
        with pytest.raises(Unreachable, match="nothing was changed anywhere"):
            await place.switch.send(BOTH_GREEN, {}, 1)
    finally:
        os.kill(worker, signal.SIGCONT)
    assert set(colors(place).values()) == {"blue blue"}
    assert (await place.switch.look(None)).up


async def test_an_nginx_that_dies_in_the_middle_comes_back_in_the_color_of_the_others(
    place: Place,
) -> None:
    def dies() -> BaseException:
        place.kill("proxy2")
        return Unreachable("cut")

    place.near.between = failing("proxy2", "nginx_send", 1, dies)
    with pytest.raises(Unreachable, match="all were taken back"):
        await place.another(patience=Patience(0.5, 5.0)).send(BOTH_GREEN, {}, 1)
    place.start("proxy2")
    assert set(colors(place).values()) == {"blue blue"}
    assert (await place.switch.look(None)).up


async def test_an_nginx_that_is_started_again_in_the_middle_is_brought_along(place: Place) -> None:
    def between(host: str, verb: str) -> None:
        if (host, verb) == ("proxy2", "nginx_send"):
            place.near.between = lambda *_: None
            place.kill("proxy2")
            place.start("proxy2")

    place.near.between = between
    await place.switch.send(BOTH_GREEN, {}, 1)
    assert set(colors(place).values()) == {"green green"}


async def test_what_a_reload_cuts_short_is_counted_and_said(place: Place) -> None:
    await place.serve_all()
    await place.switch.look(None)
    (said,) = place.switch.remarks()
    assert "a flip is a reload, and a reload may cut keep-alive connections" in said
    flips = [int(word) for word in said.split("last ")[1].split() if word.isdigit()]
    assert flips == [2], "one reload of each proxy so far"
    # Requests that arrive while nobody reads: the worker closes over them.
    lines = [await asyncio.open_connection("127.0.0.1", place.port) for _ in range(40)]
    for reader, writer in lines:
        writer.write(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
    going = [asyncio.create_task(_asking(reader, writer)) for reader, writer in lines]
    for wanted in (BOTH_GREEN, BOTH_BLUE, BOTH_GREEN):
        await place.switch.send(wanted, {}, 1)
    await asyncio.gather(*going)
    await place.switch.look(None)
    assert "8 reloads" in place.switch.remarks()[0]


async def _asking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until nginx hangs up."""
    with suppress(OSError, asyncio.IncompleteReadError):
        while not reader.at_eof():
            writer.write(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
            await writer.drain()
            await reader.read(4096)
    writer.close()
