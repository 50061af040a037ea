"""Who lives, by what /proc says: a pid alone is nobody, a pid with its start time is somebody."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Process:
    """One line of /proc: who it is, and whose."""

    __slots__ = ("dead", "group", "parent", "pid", "session", "started")

    def __init__(self, pid: int, rest: list[str]) -> None:
        self.pid = pid
        self.dead = rest[0] in ("Z", "X", "x")  # ended, and at most not buried yet
        self.parent, self.group, self.session = int(rest[1]), int(rest[2]), int(rest[3])
        self.started = int(rest[19])


def process(pid: int) -> Process | None:
    """Who has this pid now, an unburied one included; None: nobody."""
    try:
        with open("/proc/%d/stat" % pid, "rb", buffering=0) as file:
            text = file.read(4096).decode("ascii", "replace")
        # The name stands in parentheses and may hold some itself: the rest begins after the last.
        return Process(pid, text[text.rindex(")") + 2 :].split())
    except (OSError, ValueError, IndexError):
        return None


def alive(pid: object, started: object) -> bool:
    """Whether the process of this pid *and* this start time is there and has not ended."""
    seen = process(pid) if isinstance(pid, int) else None
    return seen is not None and seen.started == started and not seen.dead


def there(note: dict[str, Any]) -> bool:
    """Whether the noted program is there, now, in this life of the machine."""
    return note.get("boot") == boot() and alive(note.get("pid"), note.get("started"))


BOOT: list[str] = []


def boot() -> str:
    if not BOOT:
        with open("/proc/sys/kernel/random/boot_id") as file:
            BOOT.append(file.read().strip())
    return BOOT[0]


def left_behind(pid: int, started: int, keeper: int = 0) -> list[Process]:
    """The living processes of the session that this program began, and all below that keeper.

    A pid is not given out again while a session or a group bears its number. So where the pid has
    another start time, nothing of the session is left, and its number is somebody else's.
    """
    seen = [process(int(name)) for name in os.listdir("/proc") if name.isdigit()]
    everybody = [one for one in seen if one is not None and one.started >= started]
    leader = process(pid)
    ours = leader is None or leader.started == started
    below = {keeper} if keeper else set()
    grown = bool(below)
    while grown:
        more = {one.pid for one in everybody if one.parent in below} - below
        below |= more
        grown = bool(more)
    return [
        one
        for one in everybody
        if not one.dead
        and one.pid != keeper
        and (one.pid in below or (ours and pid in (one.session, one.group)))
    ]


def send(one: Process, number: int) -> None:
    """The signal, to that process and to no later owner of its pid."""
    handle = -1
    try:
        if hasattr(os, "pidfd_open") and hasattr(signal, "pidfd_send_signal"):
            handle = os.pidfd_open(one.pid)
    except OSError:
        pass  # gone, or a kernel that cannot: then the look right before has to do
    try:
        seen = process(one.pid)
        if seen is None or seen.started != one.started:
            return
        if handle >= 0:
            signal.pidfd_send_signal(handle, number)
        else:
            os.kill(one.pid, number)
    except OSError:
        pass
    finally:
        if handle >= 0:
            os.close(handle)
