"""The wire does to a real server's answers what it was armed with, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from e2e.hosts.faults import Then, Trouble, Wire

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000


class Server:
    """Answers each line with ANSWER, and keeps the lines."""

    heard: list[bytes]

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                self.heard.append(line)
                writer.write(ANSWER)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, Wire]]:
    server = Server()
    server.heard = []
    listening = await asyncio.start_server(server.talk, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening, Wire("127.0.0.1", port) as wire:
        yield server, wire


async def ask(wire: Wire) -> bytes:
    """Everything that is answered to one line until the answer or the connection ends."""
    reader, writer = await asyncio.open_connection(wire.host, wire.port)
    try:
        writer.write(b"do it\n")
        answer = b""
        while len(answer) < len(ANSWER) and (piece := await reader.read(65536)):
            answer += piece
        return answer
    finally:
        writer.close()


async def test_without_trouble_all_passes(server: tuple[Server, Wire]) -> None:
    assert await ask(server[1]) == ANSWER
    assert (server[1].connections, server[1].requested, server[1].answered) == (1, 6, len(ANSWER))


async def test_a_reset_after_the_request_and_before_the_answer(
    server: tuple[Server, Wire],
) -> None:
    """S83: it was done, and nobody was told."""
    there, wire = server
    wire.arm(Trouble(answer_bytes=0, then=Then.RESET))
    with pytest.raises(ConnectionResetError):
        await ask(wire)
    assert there.heard == [b"do it\n"]
    wire.clear()
    assert await ask(wire) == ANSWER


async def test_half_an_answer_and_an_orderly_end(server: tuple[Server, Wire]) -> None:
    server[1].arm(Trouble(answer_bytes=50_000, then=Then.CLOSE))
    assert await ask(server[1]) == ANSWER[:50_000]


async def test_a_request_that_is_cut_in_the_middle(server: tuple[Server, Wire]) -> None:
    there, wire = server
    wire.arm(Trouble(request_bytes=3))
    with pytest.raises(ConnectionResetError):
        await ask(wire)
    assert there.heard in ([], [b"do "])


async def test_what_hangs_goes_on_when_the_trouble_is_over(server: tuple[Server, Wire]) -> None:
    wire = server[1]
    wire.arm(Trouble(answer_bytes=10, then=Then.HANG))
    asking = asyncio.create_task(ask(wire))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(asking), 0.3)
    wire.clear()
    assert await asking == ANSWER


async def test_late_and_slow(server: tuple[Server, Wire]) -> None:
    wire = server[1]
    for trouble in (Trouble(delay_s=0.1), Trouble(bytes_per_s=400_000)):
        wire.arm(trouble)
        began = time.monotonic()
        assert await ask(wire) == ANSWER
        assert time.monotonic() - began > 0.19


async def test_nobody_behind_it_is_a_closed_connection() -> None:
    async with Wire("127.0.0.1", 1) as wire:
        try:
            answer = await asyncio.wait_for(ask(wire), 5)
        except ConnectionError:
            answer = b""
    assert (answer, wire.connections, wire.requested) == (b"", 1, 0)
