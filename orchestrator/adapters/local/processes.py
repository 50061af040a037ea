"""Processes that outlive whoever started them, each under a keeper of its own.

Every name has a folder: `lock` (held by its keeper, by nobody else), `state.json` (what the keeper
notes), `log`. This module reads the notes, holds them against /proc, and begins and ends keepers;
all else is the keeper's. Start numbers outlive a forgotten name: `numbers` holds the highest that
was ever given, and every new name counts on from there.

The one rule: what is there is told by pid, start time and boot id together, never by a file alone.
A program whose keeper died runs on and counts as running; the next `start` gives it a new keeper.
It refuses to know what the tag means, and it takes no fence: the caller does, around each effect.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from orchestrator.adapters.local import disk, keeper
from orchestrator.ports.processes import Launch, ProcessSeen
from orchestrator.ports.trouble import Refused, Unreachable

ANSWER_S = 10.0  # a keeper that has not answered by then is stuck, or the machine is
POLL_S = 0.01
SETTLE_S = 3.0  # a keeper that was just begun needs some 0.02 s to note what it is about
BEYOND_S = 7.0  # time for SIGKILL to take effect, and for the keeper to note it and go
TAIL = 2048  # bytes of the log that last words are looked for in

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")


class LocalProcesses:
    """`Processes` below `folder` (absolute; made at the first start)."""

    def __init__(self, folder: str, *, beyond_s: float = BEYOND_S) -> None:
        self._folder = folder
        self._beyond_s = beyond_s  # beyond `stop_s`, a keeper is not believed in any more
        self._names_folder = os.path.join(folder, "names")

    # -- Looking -----------------------------------------------------------------------------

    def look(self, prefix: str = "") -> tuple[ProcessSeen, ...]:
        with disk.told("looking at the processes"):
            seen = [self._look_at(name) for name in self._names(prefix.strip("/"))]
        return tuple(one for one in seen if one is not None)

    def log(self, name: str, lines: int = 50) -> str:
        path = os.path.join(self._at(name), "log")
        with disk.told(f"reading the log of {name}"):
            text = _tail(f"{path}.1", lines * 400) + _tail(path, lines * 400)
        return "\n".join(text.splitlines()[-lines:])

    def belongs(self, name: str, pid: int) -> bool:
        """Whether this process is the named program or of the session it began."""
        note = _note(self._at(name))
        noted, started = note.get("pid"), note.get("started")
        if not isinstance(noted, int) or note.get("boot") != keeper.boot():
            return False
        return any(one.pid == pid for one in keeper.left_behind(noted, started or 0))

    # -- Starting ----------------------------------------------------------------------------

    def start(self, name: str, launch: Launch) -> ProcessSeen:
        at = self._at(name)
        until = time.monotonic() + ANSWER_S
        with disk.told(f"starting {name}"):
            disk.make_folder(at)
            while time.monotonic() < until:
                seen = self._settled(name, until)
                if (seen.running or seen.kept) and seen.tag != launch.tag:
                    what = seen.identity or "being started again and again"
                    raise Refused(f"{name} is something else ({what}); stop it first")
                if seen.kept:
                    self._wait_for(lambda: not _about_to_be(at), ANSWER_S)
                    return seen
                lock = _take(at)
                if lock is not None:
                    self._count_on(at)
                    self._begin(name, lock, _order("keep", launch))
                    return self._settled(name, until)
        raise Unreachable(f"{name}: another start or stop of it is under way")

    def _begin(self, name: str, lock: int, order: bytes) -> None:
        """Begin a keeper that holds this lock, hand it the order, and hear its answer."""
        at = self._at(name)
        try:
            child = subprocess.Popen(
                keeper_argv(at, lock),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=(lock,),
                start_new_session=True,
                cwd="/",
                env={k: v for k, v in os.environ.items() if k == "LD_LIBRARY_PATH"},
                bufsize=0,
            )
        finally:
            os.close(lock)
        with child:
            said = _converse(child, order)
        if "failed" in said:
            self._wait_for(lambda: not _held(at), ANSWER_S)
            raise Refused(f"{name} cannot be run: {said['failed']}")
        if "ok" not in said:
            raise Unreachable(f"{name}: its keeper did not answer; look again")

    def _count_on(self, at: str) -> None:
        """A name that was never started counts on from the highest number ever forgotten."""
        if not _note(at):
            number = int(disk.read(os.path.join(self._folder, "numbers")) or b"0")
            if number:
                keeper.write_note(at, {"start": number})

    # -- Ending ------------------------------------------------------------------------------

    def end(self, name: str, *, hard: bool = False) -> None:
        at = self._at(name)
        until = time.monotonic() + ANSWER_S
        with disk.told(f"stopping {name}"):
            while os.path.isdir(at):
                seen = self._settled(name, until)
                kept_by = _kept_by(_note(at))
                if kept_by is not None:
                    keeper.send(kept_by, signal.SIGKILL if hard else signal.SIGTERM)
                    if not hard:
                        return
                elif not seen.kept and not self._anything_left(at):
                    return
                lock = _take(at)
                if lock is not None:
                    stop_s = 0.0 if hard else float(_note(at).get("stop_s", 10.0))
                    launch = Launch((), {}, "/", stop_s=stop_s)
                    self._begin(name, lock, _order("end", launch))
                    return
                if time.monotonic() > until:
                    raise Unreachable(f"{name}: its keeper can neither be told to stop nor ended")
                _pause()

    async def ended(self, name: str, within_s: float | None = None) -> bool:
        at = self._at(name)
        note = _note(at)
        limit_s = float(note.get("stop_s", 10.0)) + self._beyond_s if within_s is None else within_s
        until = time.monotonic() + limit_s
        while _held(at):  # as long as there is a keeper, it is being seen to
            if time.monotonic() > until:
                return False
            await asyncio.sleep(POLL_S)
        return not self._anything_left(at)

    async def stop(self, name: str) -> None:
        for hard in (False, False, True):
            self.end(name, hard=hard)
            if await self.ended(name):
                return
        raise Unreachable(f"{name} does not end, not even by SIGKILL")

    def forget(self, name: str) -> None:
        at = self._at(name)
        if not os.path.isdir(at):
            return
        with disk.told(f"forgetting {name}"):
            lock = _take(at)
            if lock is None or self._anything_left(at):
                raise Refused(f"{name} still runs; stop it first")
            try:
                self._keep_number(_note(at).get("start", 0))
                shutil.rmtree(at)
                self._prune(os.path.dirname(at))
            finally:
                os.close(lock)

    def _keep_number(self, number: int) -> None:
        path = os.path.join(self._folder, "numbers")
        if number > int(disk.read(path) or b"0"):
            disk.write(path, b"%d\n" % number)

    def _prune(self, folder: str) -> None:
        while folder.startswith(self._names_folder):
            try:
                os.rmdir(folder)
            except OSError:
                return
            folder = os.path.dirname(folder)

    # -- One name ----------------------------------------------------------------------------

    def _at(self, name: str) -> str:
        parts = name.split("/")
        if not all(_SEGMENT.fullmatch(part) for part in parts):
            raise ValueError(f"{name!r} is no name of a process")
        return os.path.join(self._names_folder, *parts)

    def _names(self, prefix: str) -> Iterator[str]:
        top = os.path.join(self._names_folder, prefix) if prefix else self._names_folder
        yield from sorted(os.path.relpath(at, self._names_folder) for at in _leaves(top))

    def _look_at(self, name: str) -> ProcessSeen | None:
        at = self._at(name)
        note = _note(at)
        kept = _kept_by(note) is not None or _held(at)
        if kept and _kept_by(note) is None:
            # Somebody is beginning it, and was perhaps killed right then: see what becomes of it.
            self._wait_for(lambda: not _held(at) or _kept_by(_note(at)) is not None, SETTLE_S)
            note = _note(at)
            kept = _held(at)
        if not kept and "tag" not in note:
            return None  # somebody was about to start it, and was killed first
        running = keeper.there(note)
        pid = note.get("pid") if running else None
        return ProcessSeen(
            name=name,
            tag=note.get("tag", ""),
            running=running,
            kept=kept,
            start=note.get("start", 0) if "tag" in note else 0,
            pid=pid,
            identity=_identity(note) if running else "",
            note=_how(note, at),
        )

    def _settled(self, name: str, until: float) -> ProcessSeen:
        """What is there, once nobody is in the middle of beginning it."""
        at = self._at(name)
        while _held(at) and _kept_by(_note(at)) is None:
            if time.monotonic() > until:
                raise Unreachable(f"{name}: somebody is starting it and does not get on")
            _pause()
        return self._look_at(name) or ProcessSeen(name, "", running=False, kept=False, start=0)

    def _wait_for(self, what: Callable[[], bool], within_s: float) -> None:
        until = time.monotonic() + within_s
        while not what() and time.monotonic() < until:
            _pause()

    def _anything_left(self, at: str) -> bool:
        """The program, or others of its session (it may be dead and they not)."""
        note = _note(at)
        pid, started = note.get("pid"), note.get("started")
        if not isinstance(pid, int) or note.get("boot") != keeper.boot():
            return False
        return bool(keeper.left_behind(pid, started or 0))


# -- Commands and orders: built, then run -------------------------------------------------------


def keeper_argv(at: str, lock: int) -> tuple[str, ...]:
    """The keeper of a folder, isolated from whatever Python finds around it. No secret is in it."""
    return (sys.executable or "python3", "-I", "-S", keeper.__file__, at, str(lock))


def _order(do: str, launch: Launch) -> bytes:
    words = {
        "do": do,
        "argv": launch.argv,
        "env": dict(launch.env),
        "cwd": launch.cwd,
        "stop_s": launch.stop_s,
        "tag": launch.tag,
    }
    return json.dumps(words).encode() + b"\n"


def _converse(child: subprocess.Popen[bytes], order: bytes) -> dict[str, str]:
    """Give the order, hear the answer; nothing heard is an empty answer."""
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        rest = memoryview(order)
        while rest:
            rest = rest[child.stdin.write(rest) :]
    except BrokenPipeError:
        return {}
    child.stdin.close()
    if not select.select([child.stdout], [], [], ANSWER_S)[0]:
        return {}
    line = child.stdout.readline()
    said: dict[str, str] = json.loads(line) if line.endswith(b"\n") else {}
    return said


# -- Locks, notes, words --------------------------------------------------------------------------


def _take(at: str) -> int | None:
    """The lock of a name, to be handed to a keeper; None where it is held."""
    for _ in range(5):
        lock = _try_to_take(at)
        if lock is not None:
            return lock
        _pause()  # somebody may only have touched it, to see whether it is held
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


def _held(at: str) -> bool:
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


def _pause() -> None:
    time.sleep(POLL_S)  # noqa: TID251 - between two polls with a deadline; effects are synchronous


def _note(at: str) -> dict[str, Any]:
    try:
        return keeper.read_note(at)
    except ValueError as error:
        why = f"{at}/state.json is damaged ({error}); end what runs there by hand"
        raise Refused(why) from None


def _kept_by(note: dict[str, Any]) -> keeper.Process | None:
    """The keeper that wrote the note, where it lives."""
    noted = note.get("keeper") or {}
    return keeper.process(noted["pid"]) if keeper.there(noted) else None


def _about_to_be(at: str) -> bool:
    """Whether the noted program is still its keeper's child that waits to be executed."""
    note = _note(at)
    pids = (note.get("pid"), note.get("keeper", {}).get("pid"))
    return keeper.there(note) and len({_command_of(pid) for pid in pids}) == 1


def _command_of(pid: object) -> bytes:
    try:
        return disk.read(f"/proc/{pid}/cmdline") or b""
    except OSError:
        return b""


def _leaves(folder: str) -> Iterator[str]:
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    if any(entry.name == "lock" for entry in entries):
        yield folder
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _leaves(entry.path)


def _identity(note: dict[str, Any]) -> str:
    return f"pid {note['pid']}, started {note['started']} of boot {note['boot'][:4]}"


def _how(note: dict[str, Any], at: str) -> str:
    ended = note.get("ended")
    if not ended:
        return ""
    last = [line for line in _tail(os.path.join(at, "log"), TAIL).splitlines() if line.strip()][-3:]
    words = f"start {ended['start']} {ended['how']}"
    if ended["lived_s"] is not None:
        words += f" after {ended['lived_s']:.1f} s"
    return f"{words}; last words: {' / '.join(line[:200] for line in last)}" if last else words


def _tail(path: str, size: int) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read(size).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
