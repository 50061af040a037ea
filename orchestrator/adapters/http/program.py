"""A probe that is a program: run it as the instance runs, and see whether it exits with 0.

It has a process group of its own, which is killed when its time is over. Its output is read to the
end but only a little of it is kept, and what is shown of that has every value of the environment
blotted out.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from typing import IO

from orchestrator.adapters.http.text import filled, one_line, without
from orchestrator.ports.prober import Target

KEPT = 4096
"""How many of the last bytes of output are kept."""
END_S = 0.5
"""How long to wait for a killed one to be gone."""
REST_S = 0.05
"""How long to read on once it is gone: what it left behind may hold its output open for ever."""


async def run(argv: tuple[str, ...], target: Target) -> str:
    """Empty where it exits with 0; else how it ended, and its last line.

    Raises OSError where it cannot be run.
    """
    async with _output() as (pipe, output):
        process = await asyncio.create_subprocess_exec(
            *(filled(word, target.words) for word in argv),
            env=dict(target.env or {}),
            cwd=target.cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            start_new_session=True,
        )
        pipe.close()
        try:
            code = await process.wait()
        finally:
            await _end(process)
        await asyncio.wait((output.ended,), timeout=REST_S)
    return "" if code == 0 else _ending(code, bytes(output.last), target)


class _Output(asyncio.Protocol):
    """The last bytes of what was written, and whether nobody writes any more."""

    def __init__(self) -> None:
        self.last = bytearray()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.last += data
        del self.last[:-KEPT]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


@contextlib.asynccontextmanager
async def _output() -> AsyncIterator[tuple[IO[bytes], _Output]]:
    """The writing end of a pipe, and what comes out of it; closed, whoever still holds it."""
    reading, writing = os.pipe()
    output = _Output()
    with os.fdopen(writing, "wb", 0) as pipe:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: output, os.fdopen(reading, "rb", 0))
        try:
            yield pipe, output
        finally:
            transport.close()


def _ending(code: int, output: bytes, target: Target) -> str:
    how = f"exit code {code}" if code > 0 else f"killed by {signal.Signals(-code).name}"
    lines = [line for line in output.decode(errors="replace").splitlines() if line.strip()]
    last = one_line(without(lines[-1], (target.env or {}).values())) if lines else ""
    return f"{how}: {last}" if last else how


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the whole group, while its leader is not reaped: its number is still its own."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(END_S):
            await process.wait()
