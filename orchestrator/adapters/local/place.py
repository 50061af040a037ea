"""The folder of one name: who holds its lock, what is noted in it, and what /proc says of that.

`lock` is held by the keeper; `state.json` is its note; `log` and `log.1` are the program's. All is
read here, and the lock taken to be handed on; only the keeper writes.

The one rule: reading disturbs nobody. To see whether the lock is held it is only touched, shared;
whoever wants it for himself tries again a moment later.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from typing import Any

from orchestrator.adapters.local.keeper import living
from orchestrator.adapters.local.keeper.note import read_note
from orchestrator.ports.trouble import Refused
from orchestrator.releases import disk

POLL_S = 0.01
TAIL = 2048  # bytes of the log that last words are looked for in

# Colors and cursor movements, and whatever else a terminal would obey.
_ORDERS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def take(at: str) -> int | None:
    """The lock of a name, to be handed to a keeper; None where it is held."""
    for _ in range(5):
        lock = _try_to_take(at)
        if lock is not None:
            return lock
        pause()  # somebody may only have touched it, to see whether it is held
    return None


def _try_to_take(at: str) -> int | None:
    disk.make_folder(at)
    path = os.path.join(at, "lock")
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_ino == os.stat(path).st_ino:
            return lock  # and not that of a name that was forgotten in between
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(lock)
    return None


def held(at: str) -> bool:
    """Whether a keeper is there, even one that has noted nothing yet. The lock is only touched."""
    try:
        lock = os.open(os.path.join(at, "lock"), os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(lock)


def pause() -> None:
    """A moment, between two polls."""
    time.sleep(POLL_S)  # noqa: TID251 - between two polls with a deadline; effects are synchronous


def note_of(at: str) -> dict[str, Any]:
    """What the keeper noted last; empty where it never did. `Refused` where it is damaged."""
    try:
        return read_note(at)
    except ValueError as error:
        why = f"{at}/state.json is damaged ({error}); end what runs there by hand"
        raise Refused(why) from None


def kept_by(note: dict[str, Any]) -> living.Process | None:
    """The keeper that wrote the note, where it lives."""
    noted = note.get("keeper") or {}
    return living.process(noted["pid"]) if living.there(noted) else None


def left_behind(at: str) -> list[living.Process]:
    """The program, and others of its session: it may be dead and they not."""
    note = note_of(at)
    pid, started = note.get("pid"), note.get("started")
    if not isinstance(pid, int) or note.get("boot") != living.boot():
        return []
    return living.left_behind(pid, started or 0)


def about_to_be(at: str) -> bool:
    """Whether the noted program is still its keeper's child that waits to be executed."""
    note = note_of(at)
    pids = (note.get("pid"), note.get("keeper", {}).get("pid"))
    return living.there(note) and len({_command_of(pid) for pid in pids}) == 1


def _command_of(pid: object) -> bytes:
    try:
        return disk.read(f"/proc/{pid}/cmdline") or b""
    except OSError:
        return b""


def leaves(folder: str) -> Iterator[str]:
    """The folders of all names below this one."""
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    if any(entry.name == "lock" for entry in entries):
        yield folder
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from leaves(entry.path)


def identity(note: dict[str, Any]) -> str:
    return f"pid {note['pid']}, started {note['started']} of boot {note['boot'][:4]}"


def how_it_ended(note: dict[str, Any], at: str) -> str:
    ended = note.get("ended")
    if not ended:
        return ""
    said = words_between(os.path.join(at, "log"), *ended.get("log", (0, 0)))
    last = [line for line in said.splitlines() if line.strip()][-3:]
    words = f"start {ended['start']} {ended['how']}"
    if ended["lived_s"] is not None:
        words += f" after {ended['lived_s']:.1f} s"
    return f"{words}; last words: {' / '.join(line[:200] for line in last)}" if last else words


def words_between(path: str, begin: int, end: int) -> str:
    """The last of what stands there in a log; of its end, where the log was cut since."""
    try:
        with open(path, "rb") as file:
            whole = os.fstat(file.fileno()).st_size
            begin, end = (begin, end) if begin <= end <= whole else (0, whole)
            file.seek(max(begin, end - TAIL))
            return _ORDERS.sub("", file.read(end - file.tell()).decode("utf-8", "replace"))
    except FileNotFoundError:
        return ""


def tail(path: str, size: int) -> str:
    """The last bytes of a log as text, without what a terminal would obey."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return _ORDERS.sub("", file.read(size).decode("utf-8", "replace"))
    except FileNotFoundError:
        return ""
