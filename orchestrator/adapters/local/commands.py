"""The user's own steps on this machine, each under a watcher (`errand`) that ends with us.

What was begun, done and taken back is noted in `steps/NAME.json` below the state folder, with the
number of the rollout. The one rule: check and beginning are one section inside the fence, and the
note is on the disk before the command runs. So an older driver runs nothing, and whoever follows a
dead one knows that something was begun, and waits until the watcher of that one is gone.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import Any

from orchestrator.adapters.local import beside, errand
from orchestrator.adapters.local.keeper import living
from orchestrator.core.model import Site
from orchestrator.core.sight import RunSeen
from orchestrator.core.steps import Run
from orchestrator.ports.fence import Fence
from orchestrator.ports.trouble import Refused, Unreachable, Unsuccessful
from orchestrator.releases import disk
from orchestrator.releases.commands import Order, ended_badly, order_of, words_of
from orchestrator.releases.redact import Redactor

INHERITED = ("PATH", "HOME", "LANG", "TZ")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
KEEP = 16 * 1024  # bytes of what a command said
GONE_S = 10.0  # until the watcher of a dead driver is gone; it takes a blink
POLL_S = 0.02

BEGUN, DONE, TAKING_BACK, TAKEN_BACK = "begun", "done", "taking-back", "taken-back"
NOTHING = ""  # nothing was begun for this rollout


@dataclass(frozen=True, slots=True)
class Way:
    """Forth or home: what to run, what is noted before and after, and what makes it needless."""

    argv: tuple[str, ...]
    begun: str
    ended: str
    enough: tuple[str, ...]


class LocalCommands:
    """`Commands` on this machine, run from the folder of the site file."""

    def __init__(self, site: Site, fence: Fence, *, redactor: Redactor | None = None) -> None:
        self._site = site
        self._fence = fence
        self._redactor = redactor or Redactor()

    # -- Looking -----------------------------------------------------------------------------

    async def look(
        self, runs: tuple[Run, ...], rollout: int, epoch: int | None
    ) -> tuple[RunSeen, ...]:
        with self._fence.holding(epoch):
            pass
        return tuple([await self._look(run, rollout, epoch) for run in runs])

    async def _look(self, run: Run, rollout: int, epoch: int | None) -> RunSeen:
        name = run.command.name
        is_so = await self._is_so(run) if run.command.holds else None
        with self._fence.holding(epoch):
            state = self._state(name, rollout)
        left = state in (BEGUN, DONE, TAKING_BACK) or (state == TAKEN_BACK and is_so is True)
        return RunSeen(name, "", state == DONE if is_so is None else is_so, left)

    async def _is_so(self, run: Run) -> bool:
        """What its look says. Only 0 is yes, and every other exit code is no."""
        order = await self._order(run, run.command.holds)
        code, said = await self._end_of(beside.begin(errand.__file__), order)
        if code is None or code < 0:
            why = ended_badly(run, code, said, self._redactor)
            raise Unreachable(f"the look of {run.command.name} says nothing: {why}")
        return (code == 0) is not run.back

    async def check(self, run: Run) -> None:
        """Of a step that is for hosts: its words and secrets, for the programs are there."""
        path = _surroundings((await self._order(run, run.forth)).env)["PATH"]
        for argv in () if run.hosts else (run.forth, run.home, run.command.holds):
            if argv and not _is_there(argv[0], self._site.folder, path):
                raise Refused(f"steps.{run.command.name}: there is no program {argv[0]!r} here")

    # -- Running -----------------------------------------------------------------------------

    async def do(self, run: Run, rollout: int, epoch: int) -> None:
        enough = () if run.command.holds else (DONE,)
        await self._run(run, rollout, epoch, Way(run.forth, BEGUN, DONE, enough))

    async def undo(self, run: Run, rollout: int, epoch: int) -> None:
        if not run.home:
            raise Refused(f"{run.command.name} has no undo")
        enough = (NOTHING,) if run.command.holds else (NOTHING, TAKEN_BACK)
        await self._run(run, rollout, epoch, Way(run.home, TAKING_BACK, TAKEN_BACK, enough))

    async def _run(self, run: Run, rollout: int, epoch: int, way: Way) -> None:
        name = run.command.name
        order = await self._order(run, way.argv)
        await self._alone(name)
        with self._fence.holding(epoch), disk.told(f"beginning {name}"):
            if self._state(name, rollout) in way.enough:
                return
            if self._watched(name):
                raise Unreachable(f"{name}: what was begun before is still being ended; look again")
            self._write(name, rollout, way.begun)
            watcher = beside.begin(errand.__file__)
            self._write(name, rollout, way.begun, watcher.pid)
        code, said = await self._end_of(watcher, order)
        if code != 0:
            raise Unsuccessful(ended_badly(run, code, said, self._redactor))
        with self._fence.holding(epoch), disk.told(f"noting how {name} ended"):
            self._write(name, rollout, way.ended)

    async def _order(self, run: Run, argv: tuple[str, ...]) -> Order:
        words = words_of(self._site.name, run, *run.hosts[:1])
        return await order_of(run, argv, words, self._site.folder, self._redactor)

    async def _end_of(
        self, watcher: subprocess.Popen[bytes], order: Order
    ) -> tuple[int | None, str]:
        """Hand the order over and wait. Whatever becomes of us, the watcher hears it and ends."""
        assert watcher.stdin is not None
        with watcher:
            try:
                told = _told(order, self._site.folder)
                answer = await asyncio.to_thread(beside.converse, watcher, told)
            finally:
                watcher.stdin.close()
        if "failed" in answer:
            raise Refused(f"{order.argv[0]} cannot be run: {answer['failed']}")
        if "said" not in answer:
            raise Unreachable(f"what became of {order.argv[0]} is not known; look again")
        return answer["code"], str(answer["said"])

    # -- What is noted -----------------------------------------------------------------------

    def _state(self, name: str, rollout: int) -> str:
        note = self._note(name)
        return str(note["state"]) if note.get("rollout") == rollout else NOTHING

    def _note(self, name: str) -> dict[str, Any]:
        with disk.told(f"reading what was done of {name}"):
            text = disk.read(self._path(name))
        note = json.loads(text) if text else {}
        return note if isinstance(note, dict) else {}

    def _write(self, name: str, rollout: int, state: str, watcher: int = 0) -> None:
        """Raises OSError."""
        seen = living.process(watcher) if watcher else None
        note = {"rollout": rollout, "state": state, "boot": living.boot()}
        if seen is not None:
            note |= {"pid": seen.pid, "started": seen.started}
        disk.make_folder(os.path.dirname(self._path(name)))
        disk.write(self._path(name), json.dumps(note).encode())

    def _path(self, name: str) -> str:
        return os.path.join(self._site.state, "steps", f"{name}.json")

    def _watched(self, name: str) -> bool:
        return living.there(self._note(name))

    async def _alone(self, name: str) -> None:
        """Wait until the watcher of a driver that died is gone, and with it what it watched."""
        until = time.monotonic() + GONE_S
        while self._watched(name):
            if time.monotonic() > until:
                return  # the look under the fence says so
            await asyncio.sleep(POLL_S)


# -- Built, then run --------------------------------------------------------------------------


def _told(order: Order, folder: str) -> dict[str, Any]:
    return {
        "argv": order.argv,
        "env": _surroundings(order.env),
        "cwd": folder,
        "within_s": order.within_s,
        "keep": KEEP,
    }


def _surroundings(env: Any) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {"PATH": PATH, **inherited, **env}


def _is_there(program: str, folder: str, path: str) -> bool:
    at = os.path.join(folder, program) if "/" in program else program
    return shutil.which(at, path=path) is not None
