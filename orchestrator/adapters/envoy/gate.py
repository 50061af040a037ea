"""The gate: where requests wait while time stands still. A small server inside the driver.

Envoy asks it before it lets a request in; the answer is an empty 200, given when all are let go,
in the order in which they came. The one rule: it holds nothing that could be lost. Who waits, waits
at Envoy, body and all; where the gate dies, Envoy lets them in. A waiting request costs one
connection and a few numbers; its head is read and forgotten. It knows neither colors nor epochs:
whoever calls `listen` holds the fence.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import time
from collections.abc import Iterator

HERE = "/here"  # asked by Envoy's health check, and answered at once
WAIT = "/wait"  # begins the path of every request that waits
BACKLOG = 4096  # a Unix socket refuses, where a TCP one would only be slow

_GO_ON = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
_END = b"\r\n\r\n"
_HEAD_MAX = 200_000  # Envoy lets no longer one in; whoever sends more is not Envoy
_LINE = 64  # of a head that is kept: enough to tell a check from a request


class Gate:
    """One gate, closed when it begins to listen. `folder` is that of one Envoy alone."""

    def __init__(self, folder: str, name: str) -> None:
        self._folder = folder
        self._name = name
        self._socket: socket.socket | None = None
        self._server: asyncio.AbstractServer | None = None
        self._lines: set[_Line] = set()
        self._since: dict[_Line, float] = {}  # who waits, in the order of coming
        self._waited: list[float] = []
        self._open = False

    @property
    def waiting(self) -> int:
        """Requests that wait now. Those whose client went away are none."""
        return len(self._since)

    def listen(self) -> None:
        """Take the place, from whoever had it: a dead driver's, or one that was stopped."""
        self._open, self._waited = False, []
        _allow_many_files()
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.setblocking(False)
            # A socket's path may have 107 bytes and a state folder more, so the folder is named by
            # an open file.
            with _opened(self._folder) as at:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f"{self._name}.new", dir_fd=at)
                made.bind(f"/proc/self/fd/{at}/{self._name}.new")
                made.listen(BACKLOG)
                os.rename(f"{self._name}.new", self._name, src_dir_fd=at, dst_dir_fd=at)
        except BaseException:
            made.close()
            raise
        self._socket = made

    def is_left(self) -> bool:
        """Whether nobody listens at the place, so that whoever asks goes on at once."""
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking,
            _opened(self._folder) as at,
        ):
            asking.setblocking(False)
            try:
                asking.connect(f"/proc/self/fd/{at}/{self._name}")
            except BlockingIOError:
                return False
            except OSError:
                return True
        return False

    async def serve(self) -> None:
        """Answer from now on. After `listen`."""
        loop = asyncio.get_running_loop()
        assert self._socket is not None
        self._server = await loop.create_unix_server(
            lambda: _Line(self), sock=self._socket, backlog=BACKLOG
        )

    def open(self) -> tuple[float, ...]:
        """Let all go on, first come, first served; how long each had waited, in seconds.

        Whoever comes from here on is answered at once. Again: nothing more is said of those.
        """
        self._open = True
        now = time.monotonic()
        for line, since in list(self._since.items()):
            line.go_on()
            self._waited.append(now - since)
        self._since.clear()
        waited, self._waited = tuple(self._waited), []
        return waited

    async def close(self) -> None:
        """Give the place up. Whoever still waited would go on."""
        if self._server is not None and self._socket is not None:
            # What was accepted a moment ago is served first: asyncio would forget it.
            asyncio.get_running_loop().remove_reader(self._socket)
            for _ in range(3):
                await asyncio.sleep(0)
            self._server.close()
        elif self._socket is not None:
            self._socket.close()
        self._server = self._socket = None
        for line in list(self._lines):
            line.hang_up()

    # -- Of one connection -------------------------------------------------------------------

    def came(self, line: _Line) -> None:
        self._lines.add(line)

    def asked(self, line: _Line) -> None:
        if self._open:
            line.go_on()
        else:
            self._since[line] = time.monotonic()

    def went(self, line: _Line) -> None:
        self._lines.discard(line)
        self._since.pop(line, None)


class _Line(asyncio.Protocol):
    """A connection of Envoy's: one question at a time, then perhaps the next."""

    __slots__ = ("_gate", "_length", "_start", "_tail", "_transport")

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._transport: asyncio.Transport | None = None
        self._begin()

    def _begin(self) -> None:
        self._start, self._tail, self._length = b"", b"", 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._gate.came(self)

    def data_received(self, data: bytes) -> None:
        self._length += len(data)
        self._start = (self._start + data[:_LINE])[:_LINE]
        seen = self._tail + data
        self._tail = seen[-len(_END) + 1 :]
        if _END in seen:
            check = self._start.split(b" ", 2)[1:2] == [HERE.encode()]
            self._begin()
            self.go_on() if check else self._gate.asked(self)
        elif self._length > _HEAD_MAX:
            self.hang_up()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gate.went(self)

    def go_on(self) -> None:
        if self._transport is not None:
            self._transport.write(_GO_ON)

    def hang_up(self) -> None:
        """What was written is still sent."""
        if self._transport is not None:
            self._transport.close()


@contextlib.contextmanager
def _opened(folder: str) -> Iterator[int]:
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield at
    finally:
        os.close(at)


def _allow_many_files() -> None:
    """As many open files as this process may have: each request that waits is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
