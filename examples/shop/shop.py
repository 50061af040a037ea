"""A shop in one file: the program of both services, `web` and `api`, in every release.

What it is, its release says: `release.json` beside it names the service, the version and what is
wrong with it (nothing, for a good one). Where it runs, its arguments say: port, color, instance.
Everything it answers carries these, so whoever asks sees who answered, and whether old and new
were ever mixed.

    GET  /healthz   who answers (500 in a release with the fault `ill`)
    GET  /          the same; web asks api, at API_URL, and says who answered there
    GET  /slow      as /, after 300 ms
    GET  /stream    a line every 100 ms for ?seconds=2, in chunks
    POST /echo      how many bytes came
    GET  /page      for people: the color, live

The one rule: a request that was accepted is answered. After SIGTERM the door and the idle
connections are closed, a moment later, and it ends when the last answer is out. Only the standard
library, Python 3.9 or newer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

HEAD_MAX = 64 * 1024
SLOW_S = 0.3
BEAT_S = 0.1  # between two lines of a stream
API_WITHIN_S = 5.0
ON_THE_WAY_S = 0.1  # a request that was sent before the door closed is here by then

Json = dict[str, Any]
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Request(NamedTuple):
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    size: int  # bytes of the body, which is read and dropped

    @property
    def last(self) -> bool:
        return self.headers.get("connection", "").lower() == "close"


class Answer(NamedTuple):
    status: int
    body: bytes | AsyncIterator[bytes]
    kind: str = "application/json"


class Shop:
    """One instance: who it is, and what it answers."""

    def __init__(self, who: Json, fault: str | None, api: Api | None) -> None:
        self.who = who
        self.fault = fault
        self.api = api

    async def answer(self, request: Request) -> Answer:
        path = request.path
        if self.who["service"] == "api" and (path + "/").startswith("/api/"):
            path = path[len("/api") :] or "/"
        if path == "/healthz":
            return as_json({**self.who, "fault": self.fault}, 500 if self.fault == "ill" else 200)
        if path == "/echo":
            return as_json({**self.who, "bytes": request.size})
        if path == "/stream":
            seconds = float(request.query.get("seconds", ["2"])[0])
            return Answer(200, self.lines(seconds), "text/plain")
        if path == "/page":
            return Answer(200, PAGE.encode(), "text/html; charset=utf-8")
        if path in ("/", "/slow"):
            return await self.front(path)
        return as_json({**self.who, "error": "no such page: " + path}, 404)

    async def front(self, path: str) -> Answer:
        """Who answers here, and behind us. A slow page is slow where the work is done."""
        if self.api is None:
            await asyncio.sleep(SLOW_S if path == "/slow" else 0)
            return as_json(self.who)
        try:
            behind = await asyncio.wait_for(self.api.get(path), API_WITHIN_S)
        except (OSError, ValueError, EOFError, asyncio.TimeoutError) as error:  # noqa: UP041 (3.9)
            return as_json({**self.who, "error": f"api: {error!r}"}, 502)
        return as_json({**self.who, "api": behind})

    async def lines(self, seconds: float) -> AsyncIterator[bytes]:
        for _ in range(max(1, round(seconds / BEAT_S))):
            yield json.dumps(self.who).encode() + b"\n"
            await asyncio.sleep(BEAT_S)


def as_json(what: Json, status: int = 200) -> Answer:
    return Answer(status, json.dumps(what).encode() + b"\n")


class Api:
    """The other service, over kept connections."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self.base = parts.path.rstrip("/")
        self.idle: list[Connection] = []

    async def get(self, path: str) -> Any:
        """Asks over a kept connection; where that turns out to be closed, over another, new one."""
        while self.idle:
            with suppress(ConnectionError, EOFError):
                return await self.ask(self.idle.pop(), path)
        return await self.ask(await asyncio.open_connection(self.host, self.port), path)

    async def ask(self, connection: Connection, path: str) -> Any:
        reader, writer = connection
        kept = False
        try:
            head = f"GET {self.base}{path} HTTP/1.1\r\nhost: {self.host}:{self.port}\r\n\r\n"
            writer.write(head.encode())
            status, headers = parse_head(await reader.readuntil(b"\r\n\r\n"))
            body = await reader.readexactly(int(headers["content-length"]))
            kept = headers.get("connection", "").lower() != "close"
        finally:
            self.idle.append(connection) if kept else writer.close()
        if status.split()[1] != "200":
            raise ValueError(status)
        return json.loads(body)


# -- HTTP, as much as is needed ----------------------------------------------------------------


class Server:
    """Speaks HTTP/1.1 with kept connections, and knows which of them are idle."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.idle: set[asyncio.StreamWriter] = set()
        self.open: set[asyncio.Task[None]] = set()
        self.closing = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.open.add(task)
        try:
            with suppress(ConnectionError, EOFError, ValueError, asyncio.LimitOverrunError):
                while await self.turn(reader, writer):
                    pass
        finally:
            self.open.discard(task)
            self.idle.discard(writer)
            writer.close()

    async def turn(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer. False: the connection ends here."""
        self.idle.add(writer)
        head = await reader.readuntil(b"\r\n\r\n")
        self.idle.discard(writer)
        request = await read_request(head, reader, writer)
        answer = await self.shop.answer(request)
        last = request.last or self.closing
        await write(writer, answer, last=last)
        return not (last or self.closing)

    async def close(self, door: asyncio.AbstractServer) -> None:
        """No more requests. Those in flight are answered, and those that are on their way."""
        self.closing = True
        await asyncio.sleep(ON_THE_WAY_S)
        door.close()
        for writer in tuple(self.idle):
            writer.close()
        while self.open:
            await asyncio.wait(tuple(self.open))


def parse_head(head: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (line.split(":", 1) for line in lines)
    return first, {name.strip().lower(): value.strip() for name, value in pairs}


async def read_request(
    head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Request:
    first, headers = parse_head(head)
    method, target, _ = first.split(" ")
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if headers.get("transfer-encoding", "").lower() == "chunked":
        size = await drop_chunks(reader)
    else:
        size = await drop(reader, int(headers.get("content-length", "0")))
    parts = urlsplit(target)
    return Request(method, parts.path, parse_qs(parts.query), headers, size)


async def drop(reader: asyncio.StreamReader, size: int) -> int:
    left = size
    while left:
        piece = await reader.read(min(left, HEAD_MAX))
        if not piece:
            raise EOFError("the body was cut")
        left -= len(piece)
    return size


async def drop_chunks(reader: asyncio.StreamReader) -> int:
    size = 0
    while True:
        chunk = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        size += await drop(reader, chunk)
        await reader.readuntil(b"\r\n")
        if not chunk:
            return size


async def write(writer: asyncio.StreamWriter, answer: Answer, *, last: bool) -> None:
    reason = "OK" if answer.status == 200 else "Sorry"
    head = f"HTTP/1.1 {answer.status} {reason}\r\ncontent-type: {answer.kind}\r\n"
    if last:
        head += "connection: close\r\n"
    if isinstance(answer.body, bytes):
        head += f"content-length: {len(answer.body)}\r\n\r\n"
        writer.write(head.encode() + answer.body)
        await writer.drain()
        return
    writer.write(head.encode() + b"transfer-encoding: chunked\r\n\r\n")
    async for piece in answer.body:
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


# -- The program -------------------------------------------------------------------------------


async def run(shop: Shop, host: str, port: int) -> None:
    server = Server(shop)
    door = await asyncio.start_server(server.serve, host, port, limit=HEAD_MAX, backlog=1024)
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    say(f"{shop.who['service']} {shop.who['version']} serves", port)
    await told.wait()
    await server.close(door)
    say("every answer is out", port)


def say(what: str, port: int) -> None:
    print(f"{what} (port {port}, pid {os.getpid()})", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description="One instance of the shop.")
    arguments.add_argument("--host", default="127.0.0.1", help="the address it listens on")
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--color", default="none")
    arguments.add_argument("--instance", type=int, default=0)
    given = arguments.parse_args()
    release = json.loads((Path(__file__).resolve().parent / "release.json").read_text())
    who = {"service": release["service"], "version": release["version"]}
    who.update(color=given.color, instance=given.instance)
    if release.get("fault") == "crash":
        sys.exit("out of cheese: this release cannot start")
    url = os.environ.get("API_URL")
    api = Api(url) if who["service"] == "web" and url else None
    asyncio.run(run(Shop(who, release.get("fault"), api), given.host, given.port))


PAGE = """<!doctype html><meta charset=utf-8><title>shop</title>
<style>
 body {margin: 0; font: 1.2rem system-ui; color: #fff; background: #555; transition: background .2s}
 main {padding: 12vh 2rem 2rem; text-align: center}
 b {display: block; font-size: 5rem}
 #seen {display: flex; position: fixed; bottom: 0; width: 100%; height: 3rem; background: #0003}
 #seen i {flex: 1; min-width: 2px}
</style>
<main><b id=who>…</b><span id=api></span></main><div id=seen></div>
<script>
 const shade = {blue: '#2563eb', green: '#15803d', none: '#555', lost: '#dc2626'};
 const [who, api, seen] = ['who', 'api', 'seen'].map(id => document.getElementById(id));
 const beat = async () => {
   let color = 'lost';
   try {
     const it = await (await fetch('/', {cache: 'no-store'})).json();
     color = it.color;
     who.textContent = `web ${it.version}, ${color}`;
     api.textContent = it.api ? `and behind it api ${it.api.version}, ${it.api.color}` : '';
   } catch (error) { who.textContent = 'no answer'; }
   document.body.style.background = shade[color];
   const mark = document.createElement('i');
   mark.style.background = shade[color];
   seen.append(mark);
   if (seen.children.length > 200) seen.firstChild.remove();
   setTimeout(beat, 100);
 };
 beat();
</script>
"""

if __name__ == "__main__":
    main()
