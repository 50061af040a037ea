"""A wire that is slow, breaks, stalls or tells half: a TCP proxy put before any port.

    async with Wire(host.address, 22) as wire:      # connect to wire.host, wire.port instead
        wire.arm(Trouble(answer_bytes=0, then=Then.RESET))   # asked, done, and never answered
        wire.clear()

Trouble counts from the moment it is armed, on the connections that stand and those that come. The
one rule: bytes that pass are the same bytes in the same order. It refuses to know what they mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from enum import Enum

CHUNK = 16 * 1024


class Then(Enum):
    RESET = "both ends get a reset, and the bytes over the limit are lost"
    CLOSE = "both ends get an orderly end, in the middle of whatever it was"
    HANG = "nothing passes until the trouble is over; nobody is told"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What passes before it happens; None: any amount. The default is no trouble at all.

    `request_bytes` come from whoever connected, `answer_bytes` from the server.
    """

    request_bytes: int | None = None
    answer_bytes: int | None = None
    then: Then = Then.RESET
    delay_s: float = 0.0  # each piece, each way, so late
    bytes_per_s: float | None = None  # each way


@dataclass(eq=False, slots=True)
class _Connection:
    """Both ends, and what passed since the trouble was armed: requests, answers."""

    writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    passed: list[int] = field(default_factory=lambda: [0, 0])

    def end(self, *, reset: bool) -> None:
        for writer in self.writers:
            if reset:
                peer: socket.socket = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    linger = struct.pack("ii", 1, 0)
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
            else:
                writer.close()


class Wire:
    """To `target`:`to_port`; listens on `host`:`port` (any free one) while entered.

    `connections` counts all there were, `requested` and `answered` the bytes that passed.
    """

    def __init__(self, target: str, to_port: int, *, host: str = "127.0.0.1") -> None:
        self.host, self.port = host, 0
        self.connections = self.requested = self.answered = 0
        self._target, self._to_port = target, to_port
        self._trouble, self._changed = Trouble(), asyncio.Event()
        self._open: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._accepted, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.reset()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def arm(self, trouble: Trouble) -> None:
        self._trouble = trouble
        for connection in self._open:
            connection.passed[:] = [0, 0]
        self._changed.set()
        self._changed = asyncio.Event()

    def clear(self) -> None:
        """From here on all is well; what hung goes on, what was reset stays so."""
        self.arm(Trouble())

    def reset(self) -> None:
        """Every connection that stands, now."""
        for connection in tuple(self._open):
            connection.end(reset=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection(self._target, self._to_port)
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection((writer, far_writer))
        self._open.add(connection)
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(connection, 0, reader, far_writer))
                pumps.create_task(self._pump(connection, 1, far_reader, writer))
        finally:
            self._open.discard(connection)
            for end in connection.writers:
                end.close()

    async def _pump(
        self,
        connection: _Connection,
        way: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(CHUNK):
                await self._slowly(len(piece))
                while piece and not writer.is_closing():
                    some = piece[: self._room(connection, way)]
                    connection.passed[way] += len(some)
                    self._count(way, len(some))
                    writer.write(some)
                    await writer.drain()
                    piece = piece[len(some) :]
                    if piece and not await self._happened(connection):
                        return
            if writer.can_write_eof():
                writer.write_eof()

    async def _slowly(self, size: int) -> None:
        trouble = self._trouble
        late = trouble.delay_s + (size / trouble.bytes_per_s if trouble.bytes_per_s else 0)
        if late:
            await asyncio.sleep(late)

    def _room(self, connection: _Connection, way: int) -> int:
        """How many more bytes pass this way before it happens."""
        limit = (self._trouble.request_bytes, self._trouble.answer_bytes)[way]
        return CHUNK if limit is None else max(0, limit - connection.passed[way])

    def _count(self, way: int, size: int) -> None:
        if way:
            self.answered += size
        else:
            self.requested += size

    async def _happened(self, connection: _Connection) -> bool:
        """The trouble; True where it is over and the rest may pass."""
        if self._trouble.then is Then.HANG:
            await self._changed.wait()
            return True
        connection.end(reset=self._trouble.then is Then.RESET)
        return False
