"""What can be seen of the hosts while the demo runs: one line of the picture.

Every host is asked at its own ports, past the proxies. The one rule: what is shown was answered
just now; a host that says nothing is shown as saying nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping

from rich.text import Text

from examples.shop.picture import INK, Picture

PORTS = {"blue": 8110, "green": 8120}
LOOK_S, WITHIN_S = 0.3, 0.4

Seen = dict[str, str]
"""The version that runs on each color of a host: only colors that answered."""


async def keep_looking(hosts: Mapping[str, str], show: Picture) -> None:
    """`hosts`: name -> address."""
    while True:
        seen = dict(zip(hosts, await asyncio.gather(*map(_look, hosts.values())), strict=True))
        show.beside(drawn(seen))
        await asyncio.sleep(LOOK_S)


def drawn(seen: Mapping[str, Seen | None]) -> Text:
    """A host as its name and what runs there; None: it is off."""
    line = Text("hosts     ", "bold", no_wrap=True)
    for name, colors in seen.items():
        line.append(f"{name} ", "dim")
        if colors is None:
            line.append("off", INK["bad"])
        for color, version in [] if colors is None else _each(colors):
            line.append(version or "·", INK[color if version else ""])
            line.append(" ")
        line.append("   ")
    return line


def _each(colors: Seen) -> list[tuple[str, str]]:
    return [(color, colors.get(color, "")) for color in PORTS]


async def _look(address: str) -> Seen | None:
    if await _asked(address, 22) is None:
        return None
    found = await asyncio.gather(*(_asked(address, port) for port in PORTS.values()))
    return {color: said for color, said in zip(PORTS, found, strict=True) if said}


async def _asked(address: str, port: int) -> str | None:
    """The version that answers there; empty: somebody, or nobody, on a host that is up."""
    try:
        async with asyncio.timeout(WITHIN_S):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                return await _version(reader, writer) if port != 22 else ""
            finally:
                writer.close()
    except ConnectionRefusedError:
        return ""
    except (OSError, EOFError):
        return None


async def _version(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    writer.write(b"GET /healthz HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n")
    _, _, body = (await reader.read()).partition(b"\r\n\r\n")
    with contextlib.suppress(ValueError, KeyError):
        return str(json.loads(body)["version"])
    return ""
