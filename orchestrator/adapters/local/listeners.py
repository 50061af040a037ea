"""Who listens on a port of this machine.

The one rule: only look. Connecting would wake a stranger, binding would be in the way of our own.
It refuses to judge whether somebody may be there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.adapters.local.sockets import listening


@dataclass(frozen=True, slots=True)
class Listener:
    pid: int | None  # None: of another user, /proc does not tell
    program: str  # its name; empty where unknown

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.program})" if self.pid else "a process of another user"


def on_port(port: int) -> tuple[Listener, ...]:
    """Everybody who listens on this TCP port, whatever the address; quick where it is nobody."""
    sockets = {inode for inode, theirs in listening() if theirs == port}
    if not sockets:
        return ()
    found = tuple(Listener(pid, _program(pid)) for pid in _owners(sockets))
    return found or (Listener(None, ""),)


def _owners(inodes: set[str]) -> Iterator[int]:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for name in os.listdir("/proc"):
        if name.isdigit() and not wanted.isdisjoint(_open_files(name)):
            yield int(name)


def _open_files(pid: str) -> Iterator[str]:
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            yield os.readlink(f"/proc/{pid}/fd/{name}")
    except OSError:
        return


def _program(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except OSError:
        return ""
