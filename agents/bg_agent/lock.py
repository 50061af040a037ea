"""A lock file that says who holds it, so that a holder that stands still can be ended.

The lock is the kernel's (flock) and dies with its holder. The one rule: only a process with the
noted pid *and* the noted start time is ever ended, and only one of ours: the file is 0600.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time

from bg_agent import disk

POLL_S = 0.01


class Held:
    """A lock in hand. It is let go by `close`, or by the end of the process."""

    __slots__ = ("_file",)

    def __init__(self, file: int) -> None:
        self._file = file

    def close(self) -> None:
        os.close(self._file)


def take(path: str, epoch: int, within_s: float) -> Held | None:
    """The lock, noted as ours; None where it is held all that time."""
    disk.make_folder(os.path.dirname(path), 0o755)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + within_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= until:
                os.close(file)
                return None
            time.sleep(POLL_S)
    # In place: 64 bytes that are there already, so a full disk does not matter.
    try:
        os.pwrite(file, b"%-64s" % (b"%d %d %d" % (os.getpid(), started(os.getpid()), epoch)), 0)
    except OSError:
        os.close(file)
        raise
    return Held(file)


def holder(path: str) -> tuple[int, int, int]:
    """Pid, start time and epoch of who holds or last held it; zeros where nobody did."""
    try:
        pid, begun, epoch = (disk.read(path, 64) or b"").split()
        return int(pid), int(begun), int(epoch)
    except ValueError:
        return 0, 0, 0


def end(pid: int, begun: int, number: int = signal.SIGKILL) -> None:
    """Signal the process of this pid and start time, and nobody else."""
    if pid and begun and started(pid) == begun and pid != os.getpid():
        try:
            os.kill(pid, number)
        except OSError:
            pass


def started(pid: int) -> int:
    """When it was started, in clock ticks since the boot; 0: it is not there."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            text = file.read(4096)
        # The name stands in parentheses and may hold some itself: the rest begins after the last.
        return int(text[text.rindex(b")") + 2 :].split()[19])
    except (OSError, ValueError, IndexError):
        return 0
