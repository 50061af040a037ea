"""Who listens on a TCP port of this host.

The one rule: only look. Connecting would wake a stranger, binding would be in the way of our own.
"""

from __future__ import annotations

import os
import re

from bg_agent import sockets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_UNIT = re.compile(rb"/(bg-[a-z0-9-]+@\d+\.service)")


class Listener:
    __slots__ = ("pid", "program", "unit")

    def __init__(self, pid: int | None, program: str = "", unit: str = "") -> None:
        self.pid, self.program, self.unit = pid, program, unit

    def __str__(self) -> str:
        return "pid %d (%s)" % (self.pid, self.program) if self.pid else "a process of another user"

    def plain(self) -> dict[str, object]:
        return {"pid": self.pid, "program": self.program, "ours": self.unit or None}


def on_ports(ports: Iterable[int]) -> dict[int, list[Listener]]:
    """Everybody who listens on these, whatever the address; quick where it is nobody."""
    wanted = set(ports)
    inodes = {inode: port for inode, port in sockets.listening() if port in wanted}
    found: dict[int, list[Listener]] = {port: [] for port in wanted}
    for port, pid in _owners(inodes) if inodes else ():
        found[port].append(Listener(pid, _program(pid), _unit(pid)))
    for port in set(inodes.values()):
        found[port] = found[port] or [Listener(None)]
    return found


def _owners(inodes: dict[str, int]) -> Iterator[tuple[int, int]]:
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        for port in {inodes[one] for one in _sockets(name) if one in inodes}:
            yield port, int(name)


def _sockets(pid: str) -> Iterator[str]:
    try:
        for file in os.scandir("/proc/%s/fd" % pid):
            target = os.readlink(file.path)
            if target.startswith("socket:["):
                yield target[8:-1]
    except OSError:
        return


def _program(pid: int) -> str:
    try:
        with open("/proc/%d/comm" % pid, errors="replace") as file:
            return "".join(one for one in file.read(64).strip() if one.isprintable())
    except OSError:
        return ""


def _unit(pid: int) -> str:
    """The unit of ours that a process belongs to, by its control group."""
    try:
        with open("/proc/%d/cgroup" % pid, "rb") as file:
            found = _UNIT.search(file.read(4096))
    except OSError:
        return ""
    return found[1].decode() if found else ""
