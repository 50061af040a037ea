"""One question over HTTP, on a connection of its own: ask, read what fits, close.

Strict: an answer whose headers or body end early is none, however well it began. The one rule:
bounded in size, and in time as a whole, not per read.
"""

from __future__ import annotations

import base64
import re
import socket
import time
from urllib.parse import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HEADERS_MAX = 16 * 1024
BODY_MAX = 64 * 1024
READ = 16 * 1024
INFORMATIONAL_MAX = 8  # answers before the answer

_STATUS = re.compile(r"HTTP/1\.[01] (\d{3})(?: .*)?")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class NoAnswer(Exception):
    """What came is no answer, in words."""


def get(address: tuple[str, int], path: str, virtual_host: str, until: float) -> dict[str, Any]:
    """Status, headers and body; or `failed`. Raises OSError where nobody listens."""
    line = socket.create_connection(address, _left_s(until))
    with line:
        try:
            line.settimeout(_left_s(until))
            line.sendall(_request(address, path, virtual_host))
            return _Reading(line, until).answer()
        except NoAnswer as error:
            return {"failed": str(error)}
        except socket.timeout:
            return {"failed": "no answer in time"}
        except OSError as error:
            return {"failed": error.strerror or "the connection was closed"}


def _request(address: tuple[str, int], path: str, virtual_host: str) -> bytes:
    """The bytes of a GET. Nothing in a path or a host can end its line."""
    host = "[%s]" % address[0] if ":" in address[0] else address[0]
    name = "".join(one for one in virtual_host if one.isprintable())
    lines = (
        "GET %s HTTP/1.1" % quote(path, safe="/%?&=:@!$'()*+,;~-._"),
        "Host: %s" % (name or "%s:%d" % (host, address[1])),
        "User-Agent: bg-agent",
        "Accept: */*",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode("ascii", "ignore")


def _left_s(until: float) -> float:
    left_s = until - time.monotonic()
    if left_s <= 0:
        raise socket.timeout
    return left_s


class _Reading:
    def __init__(self, line: socket.socket, until: float) -> None:
        self._line, self._until, self._got = line, until, b""

    def answer(self) -> dict[str, Any]:
        for _ in range(INFORMATIONAL_MAX):
            status, headers = self._head()
            if status >= 200 or status == 101:
                break
        body = b"" if status in (101, 204, 304) else self._body(dict(headers))
        return {
            "status": status,
            "headers": headers,
            "body": base64.b64encode(body[:BODY_MAX]).decode("ascii"),
            "cut": len(body) > BODY_MAX,
        }

    def _head(self) -> tuple[int, list[list[str]]]:
        while b"\r\n\r\n" not in self._got:
            if len(self._got) > HEADERS_MAX:
                raise NoAnswer("more than %d KB of headers" % (HEADERS_MAX // 1024))
            if not self._more():
                raise NoAnswer("the connection was closed without an answer")
        head, _, self._got = self._got.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        status = _STATUS.fullmatch(first)
        if status is None:
            raise NoAnswer("the answer is no HTTP")
        return int(status[1]), [_header(line) for line in lines]

    def _body(self, headers: dict[str, str]) -> bytes:
        """At most one byte more than is kept."""
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._chunks()
        length = headers.get("content-length")
        if length is None:
            while len(self._got) <= BODY_MAX and self._more():
                pass
            return self._got[: BODY_MAX + 1]
        if not length.isdigit():
            raise NoAnswer("the answer is no HTTP")
        return self._exactly(min(int(length), BODY_MAX + 1))

    def _chunks(self) -> bytes:
        body = b""
        while len(body) <= BODY_MAX:
            size = self._chunk_size()
            if size == 0:
                break
            body += self._exactly(min(size, BODY_MAX + 1))
            if size <= BODY_MAX and self._exactly(2) != b"\r\n":
                raise NoAnswer("the answer is no HTTP")
        return body[: BODY_MAX + 1]

    def _chunk_size(self) -> int:
        while b"\r\n" not in self._got:
            if len(self._got) > 1024 or not self._more():
                raise NoAnswer("the connection was closed in the middle of the answer")
        line, _, self._got = self._got.partition(b"\r\n")
        digits = line.partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9a-fA-F]{1,15}", digits):
            raise NoAnswer("the answer is no HTTP")
        return int(digits, 16)

    def _exactly(self, size: int) -> bytes:
        while len(self._got) < size:
            if not self._more():
                raise NoAnswer("the connection was closed in the middle of the answer")
        data, self._got = self._got[:size], self._got[size:]
        return data

    def _more(self) -> bool:
        self._line.settimeout(_left_s(self._until))
        data = self._line.recv(READ)
        self._got += data
        return bool(data)


def _header(line: str) -> list[str]:
    name, colon, value = line.partition(":")
    if not colon or not _NAME.fullmatch(name):
        raise NoAnswer("the answer is no HTTP")
    return [name.lower(), value.strip()]
