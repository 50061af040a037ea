"""One question over HTTP, on a connection of its own: ask, read what fits, close.

Strict and bounded: 16 KB of headers, 64 KB of body, no redirects followed, nothing kept. The parser
is httptools (llhttp, as in Node); what it refuses is no HTTP. There is no time limit here: whoever
asks sets one around it.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

from orchestrator import __version__
from orchestrator.adapters.http.expect import Answer

HEADERS_MAX = 16 * 1024
BODY_MAX = 64 * 1024
INFORMATIONAL = range(100, 200)


async def get(host: str, port: int, path: str, virtual_host: str | None = None) -> Answer | str:
    """The answer, or what is wrong with it, in words. Raises OSError where nobody listens."""
    if bad := _bad_host(virtual_host):
        return bad
    async with _connected(host, port) as (reader, writer):
        writer.write(request(host, port, path, virtual_host))
        return await _read(reader)


async def connect(host: str, port: int) -> None:
    """Open a connection and close it. Raises OSError."""
    async with _connected(host, port):
        pass


def request(host: str, port: int, path: str, virtual_host: str | None) -> bytes:
    """The bytes of a GET. Nothing in a path can end its line."""
    target = quote(path, safe="/%?&=:@!$'()*+,;~-._")
    name = virtual_host or f"{_bracketed(host)}:{port}"
    lines = (
        f"GET {target} HTTP/1.1",
        f"Host: {name}",
        f"User-Agent: bgctl/{__version__}",
        "Accept: */*",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode("ascii")


def _bad_host(virtual_host: str | None) -> str:
    if virtual_host is None or (virtual_host.isascii() and virtual_host.isprintable()):
        return ""
    return "the probe's host is no host name"


def _bracketed(host: str) -> str:
    try:
        return f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        return host.encode("ascii", "ignore").decode()


@asynccontextmanager
async def _connected(
    host: str, port: int
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()  # an answer that goes on for ever is not waited for


# -- Reading -------------------------------------------------------------------------------


class _Reading:
    """What the parser calls. It keeps the first final answer; informational ones before it are
    passed over.
    """

    def __init__(self) -> None:
        import httptools  # late: only whoever probes pays for it

        self.parser = httptools.HttpResponseParser(self)
        self.headers: list[tuple[str, str]] = []
        self.body = bytearray()
        self.headed = False  # the headers of the answer at hand are complete
        self.final: Answer | None = None

    def on_message_begin(self) -> None:
        self.headers, self.body, self.headed = [], bytearray(), False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1").strip()))

    def on_headers_complete(self) -> None:
        self.headed = True

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        if self.final is None and self.parser.get_status_code() not in INFORMATIONAL:
            self.final = self.answer

    def feed(self, chunk: bytes) -> str:
        """What is wrong with it, in words; empty where nothing is."""
        import httptools

        try:
            self.parser.feed_data(chunk)
        except httptools.HttpParserUpgrade:
            self.final = self.final or self.answer
        except httptools.HttpParserError:
            return "" if self.final else "the answer is no HTTP"
        return ""

    @property
    def answer(self) -> Answer:
        """As far as it came."""
        cut = len(self.body) > BODY_MAX
        status = self.parser.get_status_code()
        return Answer(status, tuple(self.headers), bytes(self.body[:BODY_MAX]), cut)

    @property
    def sized(self) -> bool:
        """Whether the end of the body can be told from the connection's end."""
        return any(name in ("content-length", "transfer-encoding") for name, _ in self.headers)


async def _read(reader: asyncio.StreamReader) -> Answer | str:
    reading = _Reading()
    head = 0
    while chunk := await reader.read(HEADERS_MAX):
        if wrong := reading.feed(chunk):
            return wrong
        if reading.final is not None:
            return reading.final
        if len(reading.body) > BODY_MAX:
            return reading.answer
        if not reading.headed and (head := head + len(chunk)) > HEADERS_MAX:
            return f"more than {HEADERS_MAX // 1024} KB of headers"
    if not reading.headed:
        return "the connection was closed without an answer"
    if reading.sized:
        return "the connection was closed in the middle of the answer"
    return reading.answer
