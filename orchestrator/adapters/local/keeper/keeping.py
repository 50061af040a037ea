"""What a keeper does: begin its program, watch it, begin it again, and end all of it."""

from __future__ import annotations

import os
import select
import signal
import time

from orchestrator.adapters.local.keeper.living import alive, boot, left_behind, process, send, there
from orchestrator.adapters.local.keeper.log import keep_small, size_of
from orchestrator.adapters.local.keeper.note import read_note, write_note
from orchestrator.adapters.local.keeper.orders import answer
from orchestrator.adapters.local.keeper.program import become

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

TICK_S = 1.0  # how often the size of the log is looked at
BACK_OFF_S = (0.2, 10.0)  # the first pause before another start, doubling up to the second
LONG_LIFE_S = 10.0  # whoever lived this long starts over with the first pause
LAST_WORDS_S = 1.0  # what a dead program's leftovers get, from SIGTERM to SIGKILL


class CannotRun(Exception):
    """The program could not be executed, and why."""


class Keeper:
    def __init__(self, folder: str, order: dict[str, Any]) -> None:
        self.folder, self.log, self.order = folder, os.path.join(folder, "log"), order
        self.note = read_note(folder)
        me = process(os.getpid())
        started = me.started if me else 0
        self.note["keeper"] = {"pid": os.getpid(), "started": started, "boot": boot()}
        self.stopping = False
        self.ours_to_bury = False
        self.how = "ended, and nobody saw how"
        self.began_s = time.monotonic()
        self.wake, wakes = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(wakes, False)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, *_: object) -> None:
        self.stopping = True

    def keep(self) -> None:
        pause_s = BACK_OFF_S[0]
        while not self.stopping:
            try:
                self.take_over() if there(self.note) else self.begin()
            except (CannotRun, OSError) as why:
                self.write_end("could not be started: %s" % why, lived=False)
                if answer({"failed": str(why)}):
                    return
            else:
                answer({"ok": True})
                if not self.watch():
                    break
                lived_s = time.monotonic() - self.began_s
                pause_s = BACK_OFF_S[0] if lived_s >= LONG_LIFE_S else pause_s
                self.end_all(LAST_WORDS_S)
                self.write_end(self.how)
            self.rest(pause_s)
            pause_s = min(pause_s * 2, BACK_OFF_S[1])
        self.end()

    def end(self) -> None:
        """End whatever the note names, and note that nothing is left.

        That it is ending is noted first: nobody may take it for running on.
        """
        self.note["ending"] = True
        self.try_to_note()
        was_there = there(self.note)
        self.end_all(float(self.order["stop_s"]))
        if was_there:
            self.write_end("was stopped: it " + self.how)

    # Beginning.

    def take_over(self) -> None:
        """The program runs and has lost its keeper: be its keeper."""
        self.ours_to_bury, self.how = False, "ended, and nobody saw how"
        self.note.update(stop_s=self.order["stop_s"], ending=False)
        write_note(self.folder, self.note)

    def begin(self) -> None:
        """The next start. What an earlier one left behind ends first, so that its port is free."""
        self.end_all(LAST_WORDS_S)
        (go, goes), (fails, failure) = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(goes)
            become(self.order, self.log, go, failure)
        os.close(go)
        os.close(failure)
        self.began_s, self.ours_to_bury = time.monotonic(), True
        try:
            self.note_start(pid)
            os.write(goes, b"!")
        except OSError:
            os.close(goes)  # without a word in it the child ends itself
            self.bury()
            raise
        os.close(goes)
        with os.fdopen(fails, "rb") as failing:
            why = failing.read().decode("utf-8", "replace")
        if why:
            self.bury()
            raise CannotRun(why)

    def note_start(self, pid: int) -> None:
        seen = process(pid)
        self.note.update(tag=self.order["tag"], stop_s=self.order["stop_s"], ending=False)
        self.note.update(pid=pid, started=seen.started if seen else 0, boot=boot())
        self.note["start"] = self.note.get("start", 0) + 1
        self.note["log_from"] = size_of(self.log)
        write_note(self.folder, self.note)

    # Watching.

    def watch(self) -> bool:
        """Until the program has ended (True), or the keeper is told to stop (False)."""
        handle = -1
        try:
            if not self.ours_to_bury and hasattr(os, "pidfd_open"):
                handle = os.pidfd_open(self.note["pid"])
        except OSError:
            pass  # gone, or a kernel that cannot: then looking often has to do
        try:
            while not self.stopping and there(self.note):
                self.nap(TICK_S if self.ours_to_bury or handle >= 0 else TICK_S / 5, handle)
                keep_small(self.log)
                self.bury_orphans()
            return not self.stopping
        finally:
            if handle >= 0:
                os.close(handle)

    def rest(self, pause_s: float) -> None:
        until = time.monotonic() + pause_s
        while not self.stopping and time.monotonic() < until:
            self.nap(until - time.monotonic())

    def nap(self, at_most_s: float, handle: int = -1) -> None:
        """Until a signal, the death of the handle's process, or that time."""
        ears = [self.wake] if handle < 0 else [self.wake, handle]
        select.select(ears, [], [], max(at_most_s, 0.0))
        try:
            os.read(self.wake, 4096)
        except BlockingIOError:
            pass

    # Ending.

    def end_all(self, within_s: float) -> None:
        """SIGTERM to all that is left of the program, SIGKILL after that time, until nothing is.

        A dead program stays unburied meanwhile, so that the number of its session stays its own.
        """
        pid, started = self.note.get("pid"), self.note.get("started")
        if isinstance(pid, int) and isinstance(started, int) and self.note["boot"] == boot():
            self.signal_all(pid, started, (signal.SIGTERM, signal.SIGCONT))
            if not self.gone(pid, started, within_s):
                for _ in range(50):
                    self.signal_all(pid, started, (signal.SIGKILL,))
                    if self.gone(pid, started, 0.1):
                        break
            self.bury()
        self.bury_orphans()

    def signal_all(self, pid: int, started: int, numbers: Iterable[int]) -> None:
        for one in left_behind(pid, started, os.getpid()):
            for number in numbers:
                send(one, number)

    def gone(self, pid: int, started: int, within_s: float) -> bool:
        until = time.monotonic() + within_s
        while alive(pid, started) or left_behind(pid, started, os.getpid()):
            if time.monotonic() >= until:
                return False
            self.nap(min(0.02, until - time.monotonic()))
            self.bury_orphans()
            keep_small(self.log)
        return True

    def bury(self) -> None:
        """Let go of our dead child, and remember how it ended."""
        if not self.ours_to_bury:
            return
        self.ours_to_bury = False
        try:
            self.how = in_words(os.waitpid(self.note["pid"], 0)[1])
        except ChildProcessError:
            pass

    def bury_orphans(self) -> None:
        """The dead that the program left to us; never the program itself."""
        try:
            while True:
                dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if dead is None or (self.ours_to_bury and dead.si_pid == self.note["pid"]):
                    return
                os.waitpid(dead.si_pid, os.WNOHANG)
        except ChildProcessError:
            pass

    def write_end(self, how: str, lived: bool = True) -> None:
        self.note["ended"] = {
            "start": self.note.get("start", 0),
            "how": how,
            "at_s": round(time.time(), 3),
            "lived_s": round(time.monotonic() - self.began_s, 3) if lived else None,
            "log": [self.note.get("log_from", 0), size_of(self.log)],  # where its words stand
        }
        if not there(self.note):
            self.note["pid"] = None
        self.try_to_note()

    def try_to_note(self) -> None:
        """Who lives is told by /proc: an end is not put off because the disk is full."""
        try:
            write_note(self.folder, self.note)
        except OSError:
            pass


def in_words(status: int) -> str:
    """How a process ended, from what `waitpid` said."""
    if os.WIFEXITED(status):
        return "ended with exit code %d" % os.WEXITSTATUS(status)
    try:
        return "was ended by %s" % signal.Signals(os.WTERMSIG(status)).name
    except ValueError:
        return "was ended by signal %d" % os.WTERMSIG(status)
