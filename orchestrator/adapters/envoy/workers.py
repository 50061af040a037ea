"""One kept connection to every worker of an Envoy, and what the workers say.

Envoy's main thread says "taken" while a busy worker still serves the old color (up to 235 ms,
measured). A worker's own answer cannot be early: it comes from the keys it sends traffic by. So
every question goes to all workers, each over a connection of its own; the connections are kept,
because a new one may land anywhere, and one that breaks says that Envoy is not the one it was.

Knows how to ask and what an answer means; decides nothing, writes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from orchestrator.adapters.envoy import names, routes
from orchestrator.adapters.envoy.runtime import Setting
from orchestrator.core.model import Color, Pin, Share

T = TypeVar("T")

ANSWER_S = 2.0  # a worker that takes longer for one answer is stuck
AGAIN_S = 0.02
_TRIES = (
    8  # connections per worker until each has one; the listener balances them, so one is the rule
)


async def until(true: Callable[[], Awaitable[bool]], every_s: float) -> None:
    """Return once it is; the caller bounds the time."""
    while True:
        if await true():
            return
        await asyncio.sleep(every_s)


class Gone(Exception):
    """A worker does not answer; the text says how."""


class Worker:
    """A kept connection to one worker. One question at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.name = ""  # as it calls itself

    async def ask(self, path: str, at: int = 0) -> str:
        """What it says; "" where it does not know what is meant."""
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._ask(path, at)
        except TimeoutError:
            raise Gone(f"a worker did not answer within {ANSWER_S:g} s") from None
        except (OSError, EOFError, ValueError) as error:
            raise Gone("a worker hung up") from error

    async def _ask(self, path: str, at: int) -> str:
        self._writer.write(f"GET {path} HTTP/1.1\r\nhost: bg\r\n{routes.AT}: {at}\r\n\r\n".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status, *lines = head.split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines if ": " in line)
        body = await self._reader.readexactly(int(fields.get("content-length", "0")))
        self.name = fields.get("x-bg-worker", self.name)
        return body.decode() if " 200 " in f"{status} " else ""

    # -- What can be asked -------------------------------------------------------------------

    async def config(self) -> str:
        """The version of the routes it has."""
        return await self.ask("/config")

    async def has_reached(self, generation: int) -> bool:
        """Whether it has taken this write, or a later one."""
        return await self.ask("/generation", generation - 1) == "reached"

    async def share(self, service: str) -> Share:
        """Exactly, in percent: the first and the last of a hundred requests, and where they differ
        the place between.
        """
        path = f"/share/{service}"
        blue, green = (names.cluster(service, color) for color in Color)
        first, last = await self.ask(path, 0), await self.ask(path, 99)
        if first == last:
            return Share.all_to({blue: Color.BLUE, green: Color.GREEN}.get(first))
        low, high = 0, 99  # blue gets the request at `low`, green the one at `high`
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if await self.ask(path, middle) == blue else (low, middle)
        return Share(high, 100 - high)

    async def pin(self, pin: Pin) -> Color | None:
        said = await self.ask(f"/pin/{pin.caller}/{pin.color.value}/{pin.callee}")
        return next((color for color in Color if color.value == said), None)

    async def setting(self, services: tuple[str, ...], pins: tuple[Pin, ...]) -> Setting:
        """All of it, but for the generation."""
        shares = [(name, await self.share(name)) for name in sorted(services)]
        wired = [(pin, await self.pin(pin)) for pin in pins]
        return Setting(0, tuple(shares), tuple((p, c) for p, c in wired if c is not None))

    def close(self) -> None:
        self._writer.close()


class Workers:
    """All workers of one Envoy. Connects when first asked, and anew after `Gone`."""

    def __init__(self, port: int, count: int) -> None:
        self._port = port
        self._count = count
        self._open: list[Worker] = []
        self.times = 0  # how often connections were made: a growing number says Envoy was another
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn = asyncio.Lock()

    async def each(self, question: Callable[[Worker], Awaitable[T]]) -> tuple[T, ...]:
        """The answer of every worker, asked side by side. `Gone`: one of them does not answer."""
        self._begin_loop()
        async with self._turn:
            if self._open:
                try:
                    return await self._ask_all(question)
                except Gone:
                    pass  # kept since before Envoy was started again, perhaps
            self.times += 1
            self._open = await self._connect()
            return await self._ask_all(question)

    async def _ask_all(self, question: Callable[[Worker], Awaitable[T]]) -> tuple[T, ...]:
        try:
            return tuple(await asyncio.gather(*(question(worker) for worker in self._open)))
        except BaseException:
            self.close()  # an answer may still be on its way: these connections are of no use
            raise

    async def each_at_last(self, question: Callable[[Worker], Awaitable[T]]) -> tuple[T, ...]:
        """As `each`; while Envoy is not there, again (its keeper starts it), until cancelled."""
        while True:
            try:
                return await self.each(question)
            except Gone:
                await asyncio.sleep(AGAIN_S)

    def close(self) -> None:
        for worker in self._open:
            worker.close()
        self._open = []

    def _begin_loop(self) -> None:
        """Connections belong to the loop they were made in."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._open, self._loop, self._turn = [], loop, asyncio.Lock()

    async def _connect(self) -> list[Worker]:
        """Connections until every worker has one.

        Those too many are closed at the end, so they push the next elsewhere.
        """
        found: dict[str, Worker] = {}
        opened: list[Worker] = []
        try:
            for _ in range(self._count * _TRIES):
                opened.append(worker := await self._connect_once())
                await worker.config()
                found.setdefault(worker.name, worker)
                if len(found) == self._count:
                    return list(found.values())
            raise Gone(f"only {len(found)} of {self._count} workers answer")
        finally:
            whole = len(found) == self._count
            for worker in opened:
                if not whole or worker not in found.values():
                    worker.close()

    async def _connect_once(self) -> Worker:
        try:
            async with asyncio.timeout(ANSWER_S):
                return Worker(*await asyncio.open_connection("127.0.0.1", self._port))
        except (OSError, TimeoutError) as error:
            raise Gone("Envoy is not there") from error
