"""What only nginxes do: a flip is a reload, and who serves is seen worker by worker."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.core.model import Color, Hold, Pin
from orchestrator.ports.trouble import Refused, Unreachable
from orchestrator.proxies.flips import Patience
from tests.adapters.envoy.edge import eventually
from tests.adapters.nginx.place import NginxPlace
from tests.adapters.proxies.place import ALL_BLUE, ALL_GREEN, new_place

BOTH_BLUE = {"web": ALL_BLUE, "api": ALL_BLUE}
BOTH_GREEN = {"web": ALL_GREEN, "api": ALL_GREEN}


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[NginxPlace]:
    """Blue serves both, on two proxies."""
    async with new_place(NginxPlace, tmp_path) as made:
        await made.serve_all()
        pins = {Pin("web", color, "api"): color for color in Color}
        await made.switch.send(BOTH_BLUE, pins, 1)
        yield made


async def serves_blue(place: NginxPlace) -> bool:
    """Both services, at every proxy, and nothing is wrong."""
    colors = {place.colors(host)[name] for host in place.hosts for name in ("web", "api")}
    return colors == {"blue"} and (await place.switch.look(None)).up


def break_config(place: NginxPlace, host: str) -> None:
    place.lines(host).write_text(place.lines(host).read_text() + "no_such_thing on;\n")


# -- Flips -----------------------------------------------------------------------------------


async def test_when_a_flip_is_acknowledged_no_worker_of_before_is_in_service(
    place: NginxPlace,
) -> None:
    for wanted, color in ((BOTH_GREEN, "green"), (BOTH_BLUE, "blue")) * 3:
        before = {host: place.processes(host) for host in place.hosts}
        await place.switch.send(wanted, {}, 1)
        for host in place.hosts:
            assert not before[host] & place.processes(host)
        answers = await asyncio.gather(*(place.get() for _ in range(20)))
        assert {answer.color for answer in answers} == {color}


async def test_what_is_so_already_reloads_nobody(place: NginxPlace) -> None:
    before = [place.processes(host) for host in place.hosts]
    await place.switch.send(BOTH_BLUE, {}, 1)
    assert [place.processes(host) for host in place.hosts] == before


async def test_a_configuration_that_nginx_would_not_take_changes_nothing_anywhere(
    place: NginxPlace,
) -> None:
    break_config(place, "proxy2")
    with pytest.raises(Refused, match=r'would not be reloaded.*"no_such_thing"'):
        await place.switch.send(BOTH_GREEN, {}, 1)
    assert await serves_blue(place)


async def test_a_reload_that_nginx_refuses_leaves_the_file_and_takes_the_others_back(
    place: NginxPlace,
) -> None:
    """S24: broken by hand between the preparation and the flip."""

    def between(host: str, verb: str) -> None:
        if (host, verb) == ("proxy2", "nginx_send"):
            place.near.between = lambda *_: None
            break_config(place, "proxy2")

    file = place.file("proxy2").read_bytes()
    place.near.between = between
    with pytest.raises(Unreachable, match=r'proxy2: nginx .*"no_such_thing".*all were taken back'):
        await place.another(patience=Patience(0.3, 2.0)).send(BOTH_GREEN, {}, 1)
    assert await serves_blue(place)
    assert place.file("proxy2").read_bytes() == file


async def test_what_a_reload_cuts_short_is_counted_and_said(place: NginxPlace) -> None:
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


async def test_nginx_does_not_pretend_to_stop_time(place: NginxPlace) -> None:
    with pytest.raises(Refused, match="nginx cannot stop time"):
        await place.switch.hold(("web",), Hold(1.0), 1)


# -- Workers ---------------------------------------------------------------------------------


async def test_a_worker_that_does_not_answer_is_named_and_nothing_is_changed(
    place: NginxPlace,
) -> None:
    worker = min(place.processes("proxy1"))
    os.kill(worker, signal.SIGSTOP)

    async def named() -> bool:
        """A look that the kernel led to no other worker knows nothing of workers."""
        look = await place.switch.look(None)
        assert not look.up
        return f"proxy1: worker {worker} of nginx does not answer" in look.note

    try:
        await eventually(named)
        with pytest.raises(Unreachable, match="nothing was changed anywhere"):
            await place.switch.send(BOTH_GREEN, {}, 1)
    finally:
        os.kill(worker, signal.SIGCONT)
    assert await serves_blue(place)


async def test_a_worker_that_crashed_is_replaced_and_changes_nothing(place: NginxPlace) -> None:
    """S25"""
    worker = min(place.processes("proxy1"))
    os.kill(worker, signal.SIGKILL)

    async def whole() -> bool:
        look = await place.switch.look(None)
        return look.up and worker not in place.processes("proxy1")

    await eventually(whole)
    assert (await place.switch.look(None)).share("web") == ALL_BLUE


async def test_workers_that_serve_from_before_a_flip_are_said_and_counted_as_somebody(
    place: NginxPlace,
) -> None:
    """S25, S28: they keep their connections, and their colors, until these end."""
    slow = [await asyncio.open_connection("127.0.0.1", place.port) for _ in range(4)]
    for reader, writer in slow:
        writer.write(b"GET /stream?seconds=2 HTTP/1.1\r\nHost: shop\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
    await place.switch.send(BOTH_GREEN, {}, 1)
    look = await place.switch.look(None)
    assert (look.share("web"), look.up) == (ALL_GREEN, True)
    assert "of nginx serve" in look.note
    assert look.open_connections("web", Color.BLUE) >= 1
    for reader, writer in slow:
        assert (await reader.read()).endswith(b"0\r\n\r\n"), "what was in flight came to its end"
        writer.close()

    async def alone() -> bool:
        return not (await place.switch.look(None)).note

    await eventually(alone)
    look = await place.switch.look(None)
    assert look.open_connections("web", Color.BLUE) == 0


async def test_a_configuration_that_was_not_reloaded_is_said(place: NginxPlace) -> None:
    text = place.lines("proxy1").read_text()
    place.take_line("proxy1", 'bg-color "api ')
    place.reload("proxy1")
    place.lines("proxy1").write_text(text)
    with pytest.raises(Refused, match="runs with others: reload it"):
        await place.switch.ensure(1)
    with pytest.raises(Refused, match="runs without bg's lines for api: reload it"):
        await place.switch.send({"api": ALL_GREEN}, {}, 1)
