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
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

from orchestrator.adapters.local import beside, keeper, place
from orchestrator.adapters.local.keeper import living
from orchestrator.adapters.local.keeper.note import write_note
from orchestrator.ports.processes import Launch, ProcessSeen
from orchestrator.ports.trouble import Refused, Unreachable
from orchestrator.releases import disk

ANSWER_S = 10.0  # a keeper that has not answered by then is stuck, or the machine is
SETTLE_S = 3.0  # a keeper that was just begun needs some 0.02 s to note what it is about
BEYOND_S = 7.0  # time for SIGKILL to take effect, and for the keeper to note it and go

KEEPER = os.path.join(os.path.dirname(keeper.__file__), "__main__.py")

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
            text = place.tail(f"{path}.1", lines * 400) + place.tail(path, lines * 400)
        return "\n".join(text.splitlines()[-lines:])

    def belongs(self, name: str, pid: int) -> bool:
        """Whether this process is the named program or of the session it began."""
        with disk.told(f"looking at {name}"):
            return any(one.pid == pid for one in place.left_behind(self._at(name)))

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
                    self._wait_for(lambda: not place.about_to_be(at), ANSWER_S)
                    return seen
                if _ending(at) and place.held(at):
                    raise Unreachable(f"{name} is still being stopped; look again")
                lock = place.take(at)
                if lock is not None:
                    self._count_on(at)
                    self._begin(name, lock, _order("keep", launch))
                    return self._settled(name, until)
        raise Unreachable(f"{name}: another start or stop of it is under way")

    def _begin(self, name: str, lock: int, order: dict[str, Any]) -> None:
        """Begin a keeper that holds this lock, hand it the order, and hear its answer."""
        at = self._at(name)
        try:
            child = beside.begin(KEEPER, at, str(lock), hands=(lock,))
        finally:
            os.close(lock)
        with child:
            said = beside.converse(child, order, ANSWER_S)
        if "failed" in said:
            self._wait_for(lambda: not place.held(at), ANSWER_S)
            raise Refused(f"{name} cannot be run: {said['failed']}")
        if "ok" not in said:
            raise Unreachable(f"{name}: its keeper did not answer; look again")

    def _count_on(self, at: str) -> None:
        """A name that was never started counts on from the highest number ever forgotten."""
        if not place.note_of(at):
            number = int(disk.read(os.path.join(self._folder, "numbers")) or b"0")
            if number:
                write_note(at, {"start": number})

    # -- Ending ------------------------------------------------------------------------------

    def end(self, name: str, *, hard: bool = False) -> None:
        at = self._at(name)
        until = time.monotonic() + ANSWER_S
        with disk.told(f"stopping {name}"):
            while os.path.isdir(at):
                seen = self._settled(name, until)
                kept_by = place.kept_by(place.note_of(at))
                if kept_by is not None:
                    living.send(kept_by, signal.SIGKILL if hard else signal.SIGTERM)
                    self._wait_for(lambda: _ending(at) or not place.held(at), SETTLE_S)
                    if not hard and place.held(at):
                        return
                elif not seen.kept and not place.left_behind(at):
                    return
                lock = place.take(at)
                if lock is not None:
                    stop_s = 0.0 if hard else float(place.note_of(at).get("stop_s", 10.0))
                    launch = Launch((), {}, "/", stop_s=stop_s)
                    self._begin(name, lock, _order("end", launch))
                    return
                if time.monotonic() > until:
                    raise Unreachable(f"{name}: its keeper can neither be told to stop nor ended")
                place.pause()

    async def ended(self, name: str, within_s: float | None = None) -> bool:
        at = self._at(name)
        with disk.told(f"looking at {name}"):
            if within_s is None:
                within_s = float(place.note_of(at).get("stop_s", 10.0)) + self._beyond_s
            until = time.monotonic() + within_s
            while place.held(at):  # as long as there is a keeper, it is being seen to
                if time.monotonic() > until:
                    return False
                await asyncio.sleep(place.POLL_S)
            return not place.left_behind(at)

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
            lock = place.take(at)
            if lock is None or place.left_behind(at):
                raise Refused(f"{name} still runs; stop it first")
            try:
                self._keep_number(place.note_of(at).get("start", 0))
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
        yield from sorted(os.path.relpath(at, self._names_folder) for at in place.leaves(top))

    def _look_at(self, name: str) -> ProcessSeen | None:
        at = self._at(name)
        note = place.note_of(at)
        kept = place.kept_by(note) is not None or place.held(at)
        if kept and place.kept_by(note) is None:
            # Somebody is beginning it, and was perhaps killed right then: see what becomes of it.
            self._wait_for(
                lambda: not place.held(at) or place.kept_by(place.note_of(at)) is not None, SETTLE_S
            )
            note = place.note_of(at)
            kept = place.held(at)
        kept = kept and not note.get("ending")
        if not kept and "tag" not in note:
            return None  # somebody was about to start it, and was killed first
        running = living.there(note)
        pid = note.get("pid") if running else None
        return ProcessSeen(
            name=name,
            tag=note.get("tag", ""),
            running=running,
            kept=kept,
            start=note.get("start", 0) if "tag" in note else 0,
            pid=pid,
            identity=place.identity(note) if running else "",
            note=place.how_it_ended(note, at),
        )

    def _settled(self, name: str, until: float) -> ProcessSeen:
        """What is there, once nobody is in the middle of beginning it."""
        at = self._at(name)
        while place.held(at) and place.kept_by(place.note_of(at)) is None:
            if time.monotonic() > until:
                raise Unreachable(f"{name}: somebody is starting it and does not get on")
            place.pause()
        return self._look_at(name) or ProcessSeen(name, "", running=False, kept=False, start=0)

    def _wait_for(self, what: Callable[[], bool], within_s: float) -> None:
        until = time.monotonic() + within_s
        while not what() and time.monotonic() < until:
            place.pause()


def _order(do: str, launch: Launch) -> dict[str, Any]:
    return {
        "do": do,
        "argv": launch.argv,
        "env": dict(launch.env),
        "cwd": launch.cwd,
        "stop_s": launch.stop_s,
        "tag": launch.tag,
    }


def _ending(at: str) -> bool:
    return bool(place.note_of(at).get("ending"))
