"""`facts`: room, permissions, ports and programs, asked before anything is sent.

The one rule: what is tried is taken away again; nothing of it stays.
"""

from __future__ import annotations

import os

from bg_agent import disk, listeners
from bg_agent.asked import Asked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from bg_agent.call import Call


def facts(call: Call) -> dict[str, Any]:
    given = call.asked.items("ports") if call.asked.has("ports") else []
    ports = [Asked({"port": one}).number("port", 65535, 1) for one in given]
    programs = call.asked.items("programs", 1000) if call.asked.has("programs") else []
    with call.fence.holding():
        pass
    seen = os.statvfs(disk.nearest(call.root.at))
    why = _try_to_write(call.root.at)
    taken = listeners.on_ports(ports)
    return {
        "free": disk.free(call.root.at),
        "total": seen.f_frsize * seen.f_blocks,
        "inodes": seen.f_favail,
        "writable": why is None,
        "why": why,
        "ports": [
            {"port": port, "taken": [one.plain() for one in taken[port]]} for port in sorted(taken)
        ],
        "missing": [one for one in programs if isinstance(one, str) and not _is_there(one)],
    }


def _is_there(program: str) -> bool:
    """Where a step of the user's own would find it: it starts in `/`."""
    import shutil

    from bg_agent import running

    at = os.path.join("/", program) if "/" in program else program
    return "\0" not in program and bool(shutil.which(at, path=running.surroundings()["PATH"]))


def _try_to_write(path: str) -> str | None:
    """Why nothing can be written there; None: it can. Tried where it lies, or would be made."""
    above = disk.nearest(path)
    trial = os.path.join(above, ".bg-%d-%s" % (os.getpid(), os.urandom(4).hex()))
    try:
        file = os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, b"bg\n")
        finally:
            os.close(file)
            os.unlink(trial)
    except OSError as error:
        return "%s: %s" % (above, error.strerror)
    return None
