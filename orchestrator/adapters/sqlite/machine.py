"""Processes of this machine, known by pid *with* start time and boot id, never by a pid alone.

The one rule: only what was proven to be the same process is ended. A pid that was given to somebody
else, or that was counted in another pid namespace, is not touched. It refuses to know why somebody
should be ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

PAUSE_S = 0.003


@dataclass(frozen=True, slots=True)
class Process:
    """`machine` is host name and pid namespace: within it, and within one boot, pid and start time
    are one process.
    """

    machine: str
    boot: str
    pid: int
    started: int  # clock ticks since boot

    @property
    def here(self) -> bool:
        """Whether this machine can tell anything about it."""
        return self.machine == machine()

    @property
    def ours(self) -> bool:
        return self == me()

    def alive(self) -> bool:
        return self.here and self.boot == boot() and started(self.pid) == self.started


def me() -> Process:
    return Process(machine(), boot(), os.getpid(), started(os.getpid()) or 0)


def machine() -> str:
    return f"{socket.gethostname()} {os.readlink('/proc/self/ns/pid')}"


def boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def started(pid: int) -> int | None:
    """When the process was started; None where there is none, or only what its parent has not
    fetched yet.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = text[text.rindex(b")") + 2 :].split()  # the name before may contain anything
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


async def end(process: Process, within_s: float) -> bool:
    """SIGKILL, and wait until it is gone. False where it is still there: not ours to end, or it
    does not die in time.
    """
    try:
        fd = os.pidfd_open(process.pid)
    except OSError:
        return not process.alive()
    try:
        # Looked at after it was opened: from here on the fd means this process alone.
        if not process.alive():
            return True
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        return await _gone(process, within_s)
    except OSError:
        return not process.alive()
    finally:
        os.close(fd)


async def _gone(process: Process, within_s: float) -> bool:
    loop = asyncio.get_running_loop()
    until = loop.time() + within_s
    while process.alive():
        if loop.time() >= until:
            return False
        await asyncio.sleep(PAUSE_S)
    return True
