"""A tiny service to put behind a switch: it says who answered, and asks the service it uses.

    python -m e2e.sample web --port 8101 --color blue --version 2 --uses http://127.0.0.1:23000

Answers JSON: {"service", "color", "version", "instance", "bytes", "api": what the used service
said}. `/slow` takes 300 ms, `/stream` takes `?seconds=2` in chunks, `/healthz` is well, `/ill` and
`/well` change that; a POST is answered with the bytes that arrived. Anything else is like `/`.
Loopback only. With `--note FILE` it adds there, for each request, when work on it began and ended
and whether it was a stream: three doubles, by this machine's monotonic clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import struct
import time
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

SLOW_S = 0.3
CHUNKS = 20


@dataclass(slots=True)
class Identity:
    service: str
    color: str
    version: str
    instance: int
    uses: tuple[str, int] | None = None
    well: bool = True
    note: str | None = None


class Upstream:
    """Kept connections to the service that is used, through its inner address."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def get(self) -> tuple[int, bytes]:
        while self._idle:
            reader, writer = self._idle.pop()
            try:
                return await self._ask(reader, writer)
            except (OSError, EOFError):
                writer.close()  # it was closed while idle; a new one will do
        return await self._ask(*await asyncio.open_connection(*self._address))

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[int, bytes]:
        writer.write(b"GET / HTTP/1.1\r\nhost: inner\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        body = await reader.readexactly(length)
        if b"connection: close" in head.lower():
            writer.close()
        else:
            self._idle.append((reader, writer))
        return int(head.split(b" ", 2)[1]), body


class Answering:
    """The server: one coroutine per connection, kept open until the client goes."""

    def __init__(self, identity: Identity) -> None:
        self._me = identity
        self._upstream = Upstream(identity.uses) if identity.uses else None
        self._noted = open(identity.note, "ab", buffering=0) if identity.note else None  # noqa: SIM115

    def _note(self, began: float, *, stream: bool = False) -> None:
        """Work on a request is over once its answer is known."""
        if self._noted:
            self._noted.write(struct.pack("ddd", began, time.monotonic(), stream))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                await self._answer(head, reader, writer)
                await writer.drain()
        except (OSError, EOFError, asyncio.LimitOverrunError):
            pass
        except asyncio.CancelledError:
            pass  # the server ends
        finally:
            writer.close()

    async def _answer(
        self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        began = time.monotonic()
        target = urlsplit(head.split(" ", 2)[1])
        path = target.path.rpartition("/")[2]
        length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0] or 0)
        if length:
            await reader.readexactly(length)
        if "upgrade: websocket" in head.lower():
            await self._echo(reader, writer)
        elif path in ("ill", "well"):
            self._me.well = path == "well"
            writer.write(whole(200, {"well": self._me.well}))
        elif path == "healthz":
            writer.write(whole(200 if self._me.well else 503, await self._say(0, alone=True)))
        elif path == "stream":
            seconds = parse_qs(target.query).get("seconds", ["2"])[0]
            await self._stream(writer, float(seconds))
            self._note(began, stream=True)
        else:
            if path == "slow":
                await asyncio.sleep(SLOW_S)
            said = await self._say(length)
            self._note(began)
            writer.write(whole(502 if "failed" in said else 200, said))

    async def _say(self, length: int, *, alone: bool = False) -> dict[str, object]:
        me = self._me
        said: dict[str, object] = {
            "service": me.service,
            "color": me.color,
            "version": me.version,
            "instance": me.instance,
            "bytes": length,
        }
        if self._upstream and not alone:
            try:
                status, body = await self._upstream.get()
                said["api"] = json.loads(body) if status == 200 else None
                if status != 200:
                    said["failed"] = f"api answered {status}: {body[:200].decode()}"
            except (OSError, EOFError) as error:
                said["failed"] = f"api: {error!r}"
        return said

    async def _stream(self, writer: asyncio.StreamWriter, seconds: float) -> None:
        said = json.dumps(await self._say(0)).encode() + b"\n"
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for number in range(CHUNKS):
            part = said if number == 0 else b"%d\n" % number
            writer.write(b"%x\r\n%s\r\n" % (len(part), part))
            await writer.drain()
            await asyncio.sleep(seconds / CHUNKS)
        writer.write(b"0\r\n\r\n")

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Upgraded: says its color, then gives back what comes."""
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
        )
        writer.write(self._me.color.encode() + b"\n")
        while part := await reader.read(4096):
            writer.write(part)
            await writer.drain()


def whole(status: int, said: dict[str, object]) -> bytes:
    body = json.dumps(said).encode()
    return b"HTTP/1.1 %d -\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


async def run(identity: Identity, port: int) -> None:
    """Serve until SIGTERM; what is being answered then is answered."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    server = await asyncio.start_server(
        Answering(identity).serve, "127.0.0.1", port, limit=2**20, backlog=1024
    )
    await ended.wait()
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("service")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--color", default="blue")
    parser.add_argument("--version", default="1")
    parser.add_argument("--instance", type=int, default=0)
    parser.add_argument("--note", help="a file for when each request was worked on")
    parser.add_argument("--uses", help="URL of the service it asks for each answer")
    args = parser.parse_args()
    uses = None
    if args.uses:
        parts = urlsplit(args.uses)
        uses = (parts.hostname or "127.0.0.1", parts.port or 80)
    me = Identity(args.service, args.color, args.version, args.instance, uses)
    me.note = args.note
    asyncio.run(run(me, args.port))


if __name__ == "__main__":
    main()
