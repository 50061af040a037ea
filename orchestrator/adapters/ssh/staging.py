"""A release onto many hosts at once: offered, sent where it lacks, made to appear.

A host that has the release already is sent nothing; one that has a part of the bytes is sent the
rest. A cut upload goes on, as long as each try brings it further. Few bytes go along with what is
asked anyway, and need no upload of their own.

The one rule: no host waits for another, and all of them together stay within the bandwidth. What is
sent was digested here first, and is digested there again.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from orchestrator.adapters.ssh import lines
from orchestrator.adapters.ssh.agents import Agents
from orchestrator.adapters.ssh.lines import REQUEST_MAX, Json
from orchestrator.adapters.ssh.packing import Packed
from orchestrator.core.model import Host
from orchestrator.ports.trouble import Refused, Unreachable
from orchestrator.ports.witness import Witness

STALL_S = 60.0  # no byte passed for so long: the upload is cut
TRIES_MAX = 5  # uploads that brought nothing further
FEW = 384 * 1024  # bytes; base64 makes four thirds of them
SENDING_MAX = 32  # uploads at once; the others wait, and time runs for nobody
TELL_S = 0.25


@dataclass(eq=False)
class Bandwidth:
    """A bound for all uploads together; None: none."""

    bytes_per_s: float | None = None
    _free_s: float = 0.0

    async def take(self, size: int) -> None:
        if not self.bytes_per_s:
            return
        now = time.monotonic()
        self._free_s = max(self._free_s, now) + size / self.bytes_per_s
        await asyncio.sleep(self._free_s - now)


@dataclass(eq=False)
class Staging:
    """One release on its way. `fields`: who asks and of what; `how` and `description`: texts."""

    agents: Agents
    fields: Json
    packed: Packed
    how: str
    description: str
    witness: Witness | None = None
    bandwidth: Bandwidth = field(default_factory=Bandwidth)
    _sent: dict[Host, int] = field(default_factory=dict)
    _text: str = field(default="", repr=False)  # all bytes, where they are few, as base64
    _hosts: int = 0
    _told_s: float = 0.0

    async def onto(self, hosts: tuple[Host, ...]) -> list[Any]:
        """For each host None, or the exception that it ended in."""
        self._hosts = len(hosts)
        turns = asyncio.Semaphore(SENDING_MAX)
        return await asyncio.gather(
            *(self._one(host, turns) for host in hosts), return_exceptions=True
        )

    async def _one(self, host: Host, turns: asyncio.Semaphore) -> None:
        async with turns:
            offered = await self._offer(host)
            have = 0 if offered.get("staged") is True else _count(offered, host)
            if offered.get("staged") is True:
                await self._commit(host, packed=None)
            elif have == 0 and self._few():
                await self.bandwidth.take(self.packed.size)
                await self._commit(host, packed=self.packed.digest, data=await self._all())
            else:
                await self._send(host, have)
                await self._commit(host, packed=self.packed.digest)
            self._tell(host, self.packed.size)

    async def _offer(self, host: Host) -> Json:
        fields = {"packed": self.packed.digest, "size": self.packed.size}
        return await self.agents.ask(host, "offer", {**self.fields, **fields})

    def _few(self) -> bool:
        """They fit into a request, with all else that is in it."""
        others = len(self.how) + len(self.description)
        return self.packed.size <= FEW and others <= REQUEST_MAX - 2 * FEW

    async def _all(self) -> str:
        if not self._text:
            data = await asyncio.to_thread(lambda: b"".join(self.packed.pieces(0)))
            self._text = base64.b64encode(data).decode()
        return self._text

    async def _commit(self, host: Host, *, packed: str | None, data: str | None = None) -> None:
        fields = {
            "packed": packed,
            "size": self.packed.size,
            "stem": self.packed.stem,
            "content": self.packed.content,
            "how": self.how,
            "description": self.description,
            "data": data,
        }
        await self.agents.ask(host, "commit", {**self.fields, **fields})

    async def _send(self, host: Host, have: int) -> None:
        in_vain = 0
        while have < self.packed.size:
            before = have
            try:
                await self._put(host, have)
            except Unreachable:
                if in_vain == TRIES_MAX:
                    raise
            have = _count(await self._offer(host), host)
            in_vain = 0 if have > before else in_vain + 1
            if in_vain > TRIES_MAX:
                raise Unreachable(f"{host.name}: what is sent there does not arrive")

    async def _put(self, host: Host, have: int) -> None:
        words = {
            "site": str(self.fields["site"]),
            "journal": str(self.fields["journal"]),
            "epoch": str(self.fields["epoch"]),
            "packed": self.packed.digest,
            "size": str(self.packed.size),
            "offset": str(have),
        }
        done = await self.agents.put(host, words, self._pieces(host, have), STALL_S)
        answer = next((a for a in map(lines.read, done.said.split(b"\n")) if a), None)
        if answer is None:
            raise Unreachable(f"{host.name}: an upload was cut")
        trouble = lines.trouble_in(answer, host.name)
        if trouble is not None:
            raise trouble

    async def _pieces(self, host: Host, have: int) -> AsyncIterator[bytes]:
        pieces = self.packed.pieces(have)
        while data := await asyncio.to_thread(next, pieces, b""):
            await self.bandwidth.take(len(data))
            yield data
            have += len(data)
            self._tell(host, have)

    def _tell(self, host: Host, have: int) -> None:
        self._sent[host] = have
        now, total = time.monotonic(), self.packed.size * self._hosts
        done = sum(self._sent.values())
        if self.witness and (now >= self._told_s + TELL_S or done == total):
            self._told_s = now
            what = f"bytes of {self.fields['service']} {self.fields['release']['version']} sent"
            self.witness.progress(what, done, total)


def _count(offered: Json, host: Host) -> int:
    have = offered.get("have")
    if type(have) is not int or have < 0:
        raise Refused(f"{host.name}: its agent does not say how much it has")
    return have
