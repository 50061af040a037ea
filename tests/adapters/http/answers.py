"""A server that says exactly what it is told to say, however wrong, and a prober to ask it with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.http.prober import NetworkProber
from orchestrator.core.health import Sample
from orchestrator.core.model import HttpProbe, Probe
from orchestrator.ports.prober import Target

WORDS = {"version": "2", "color": "green", "instance": "0", "release": "2ab1", "port": "20010"}
Say = Callable[[asyncio.StreamWriter], Awaitable[None]]


def response(body: bytes = b"ok", status: str = "200 OK", *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", "")
    return "\r\n".join(lines).encode() + body


class Server:
    """What it says to everybody, and what it was asked."""

    def __init__(self, say: Say | bytes) -> None:
        self._say = say
        self.port = 0
        self.asked: list[bytes] = []
        self._answering: set[asyncio.Task[None]] = set()

    async def end(self) -> None:
        """Hang up on whoever is still being answered: no task and no socket outlives the test."""
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering = asyncio.create_task(self._answer(reader, writer))
        self._answering.add(answering)
        answering.add_done_callback(self._answering.discard)
        await asyncio.wait([answering])

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            if isinstance(self._say, bytes):
                writer.write(self._say)
            else:
                await self._say(writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def server(say: Say | bytes) -> AsyncIterator[Server]:
    there = Server(say)
    listening = await asyncio.start_server(there.answer, "127.0.0.1", 0)
    there.port = listening.sockets[0].getsockname()[1]
    try:
        yield there
    finally:
        listening.close()
        await there.end()


async def asked(say: Say | bytes, *probes: Probe, timeout_s: float = 2.0) -> Sample:
    """One sample of a server that says this. It has to end in time, whatever that is."""
    async with server(say) as there:
        return await sample_of(there.port, *(probes or (HttpProbe("/"),)), timeout_s=timeout_s)


async def sample_of(port: int, *probes: Probe, timeout_s: float = 2.0, prefix: str = "") -> Sample:
    target = Target("127.0.0.1", port, WORDS, path_prefix=prefix)
    began_s = time.monotonic()
    sample = await NetworkProber(SystemClock()).sample(target, probes, timeout_s)
    assert time.monotonic() - began_s < timeout_s + 1.0
    assert len(sample.why) <= 200 and sample.why.isprintable()
    return sample
