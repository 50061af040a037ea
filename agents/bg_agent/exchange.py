"""One question over HTTP, on a connection of its own: ask, read what fits, close.

The one rule: bounded in size, and in time as a whole, not per read.
"""

from __future__ import annotations

import base64
import http.client
import socket
import threading
import time
from urllib.parse import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BODY_MAX = 64 * 1024


def get(address: tuple[str, int], path: str, virtual_host: str, until: float) -> dict[str, Any]:
    """Status, headers and body; or `failed`. Raises OSError where nobody listens."""
    left_s = max(until - time.monotonic(), 0.01)
    line = socket.create_connection(address, left_s)
    over = threading.Timer(max(until - time.monotonic(), 0.01), _end, (line,))
    over.daemon = True
    over.start()
    try:
        line.sendall(_request(address, path, virtual_host))
        answer = http.client.HTTPResponse(line, method="GET")
        answer.begin()
        body = answer.read(BODY_MAX + 1) or b""
        return _found(answer, body)
    except http.client.HTTPException as error:
        return {"failed": "the answer is no HTTP (%s)" % type(error).__name__}
    except ValueError:
        return {"failed": "the answer is no HTTP"}
    except OSError as error:
        if time.monotonic() >= until:
            return {"failed": "no answer in time"}
        return {"failed": error.strerror or "the connection was closed"}
    finally:
        over.cancel()
        line.close()


def _found(answer: http.client.HTTPResponse, body: bytes) -> dict[str, Any]:
    return {
        "status": answer.status,
        "headers": [[name.lower(), value.strip()] for name, value in answer.getheaders()],
        "body": base64.b64encode(body[:BODY_MAX]).decode("ascii"),
        "cut": len(body) > BODY_MAX,
    }


def _request(address: tuple[str, int], path: str, virtual_host: str) -> bytes:
    """The bytes of a GET. Nothing in a path or a host can end its line."""
    host = "[%s]" % address[0] if ":" in address[0] else address[0]
    name = "".join(one for one in virtual_host if one.isprintable() and one.isascii())
    lines = (
        "GET %s HTTP/1.1" % quote(path, safe="/%?&=:@!$'()*+,;~-._"),
        "Host: %s" % (name or "%s:%d" % (host, address[1])),
        "User-Agent: bg-agent",
        "Accept: */*",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode("ascii", "ignore")


def _end(line: socket.socket) -> None:
    try:
        line.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
