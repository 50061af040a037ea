"""The instrument itself: a load that would not see what is lost, torn or old measures nothing."""

from __future__ import annotations

import asyncio
import json
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from e2e.load import Flip, Load, Visitors, older
from e2e.sample import Answering, Identity
from tests.conftest import find_ports

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def at(serve: Serve) -> AsyncIterator[str]:
    port = find_ports(1)
    async with await asyncio.start_server(serve, "127.0.0.1", port):
        yield f"http://127.0.0.1:{port}"


def saying(**said: object) -> Serve:
    """Answers every request with this, as 200."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = json.dumps(said).encode()
        while not reader.at_eof():
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n" % len(body))
            writer.write(b"connection: close\r\n\r\n" + body)
            writer.close()
            return

    return serve


async def after(url: str, requests: int = 100) -> Visitors:
    visitors = Visitors(url, rate=400, seconds=requests / 400, stream_s=0.2)
    await visitors.run()
    return visitors


async def test_a_service_that_answers_everything_loses_nothing() -> None:
    async with at(Answering(Identity("web", "blue", "2", 0)).serve) as url:
        counts = (await after(url, 200)).counts
    assert (counts.sent, counts.answered, counts.lost, counts.torn) == (200, 200, 0, 0)
    assert counts.by == {"web 2 blue": 200}


async def test_a_service_that_hangs_up_on_some_loses_just_those() -> None:
    hung_up = 0
    good = Answering(Identity("web", "blue", "2", 0)).serve

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal hung_up
        hung_up += 1
        if hung_up % 3:
            await good(reader, writer)
            return
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with at(serve) as url:
        counts = (await after(url, 200)).counts
    assert counts.lost == hung_up // 3 > 0
    assert all("before the answer" in why for why in counts.why_lost)


async def test_a_service_that_is_not_there_loses_all() -> None:
    counts = (await after(f"http://127.0.0.1:{find_ports(1)}")).counts
    assert counts.lost == counts.sent == 100


@pytest.mark.parametrize(("color", "version", "torn"), [("blue", "2", 0), ("green", "2", 60)])
async def test_web_of_one_world_with_api_of_another_is_torn(
    color: str, version: str, torn: int
) -> None:
    api = {"service": "api", "color": color, "version": version}
    async with at(saying(service="web", color="blue", version="2", api=api)) as url:
        counts = (await after(url, 60)).counts
    assert counts.torn == torn


def test_old_is_what_was_sent_after_the_acknowledgement_and_answered_by_the_other_color() -> None:
    flips = [Flip("green", 10.0, 10.1), Flip("blue", 20.0, 20.1)]
    blue, green = 0.0, 1.0
    fine = [(9.0, 5.0, blue), (10.05, 1.0, blue), (11.0, 1.0, green), (19.9, 1.0, blue)]
    old = [(10.2, 0.3, blue), (19.0, 0.5, blue), (21.0, 1.0, green)]
    samples = array("d")
    for sent, took, color in (*fine, *old):
        samples.extend((sent, took, 0.0, color))
    assert older(samples, flips) == len(old)
    assert older(samples, []) == 0


async def test_the_load_in_a_process_of_its_own_counts_and_is_told_of_flips() -> None:
    async with at(Answering(Identity("web", "blue", "2", 0)).serve) as url:
        with Load(url, rate=100) as load:
            began = asyncio.get_running_loop().time()
            load.flipped(Flip("green", began - 1, began))
            await asyncio.sleep(0.5)
            await asyncio.to_thread(load.end)
    assert load.sent == load.answered > 20
    assert load.lost == 0
    assert load.old > 10


def test_only_this_machine_is_put_under_load() -> None:
    with pytest.raises(SystemExit):
        Visitors("http://example.com", rate=1, seconds=1)
