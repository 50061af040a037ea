"""Envoy's own numbers, through its admin socket: what is in flight, and which files it has taken.

A socket in the switch's folder, mode 0600, so nobody else on the machine can turn Envoy's knobs.
Only read here, never written: what changes Envoy are files. These numbers come from Envoy's main
thread; who gets traffic is asked of the workers instead.
"""

from __future__ import annotations

import asyncio
import os
from urllib.parse import quote

from orchestrator.adapters.envoy.workers import Gone

ANSWER_S = 2.0


async def stats(folder: str, socket: str, pattern: str) -> dict[str, str]:
    """Statistics whose names match, as text by name. `Gone`: no answer."""
    try:
        async with asyncio.timeout(ANSWER_S):
            body = await _get(folder, socket, f"/stats?filter={quote(pattern, safe='')}")
    except (OSError, TimeoutError, EOFError) as error:
        raise Gone("Envoy's admin socket does not answer") from error
    pairs = (line.split(": ", 1) for line in body.splitlines() if ": " in line)
    return {name: value.strip('"') for name, value in pairs}


async def _get(folder: str, socket: str, path: str) -> str:
    # A socket's path may have 107 bytes and a state folder more, so the folder is named by an open
    # file.
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{at}/{socket}")
    finally:
        os.close(at)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nhost: bg\r\nconnection: close\r\n\r\n".encode())
        answer = (await reader.read()).decode()
    finally:
        writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    return _unchunked(body) if "transfer-encoding: chunked" in head.lower() else body


def _unchunked(body: str) -> str:
    text = ""
    while body:
        size, _, rest = body.partition("\r\n")
        length = int(size or "0", 16)
        text += rest[:length]
        body = rest[length + 2 :] if length else ""
    return text
