"""The keeper: the small process beside each program. A program of its own, Python 3.8 or later.

It starts the program in a session of its own, starts it again with back-off when it dies, keeps
its log small, notes how it ended, and ends it when told to (SIGTERM): the whole session, and
whatever else the program left behind. It is begun with the lock of its folder in hand and one
order, as JSON, on stdin; it answers with one line on stdout, and from then on belongs to nobody.

The one rule: whoever is killed, whenever, there is never a second copy of the program. So
- the lock is taken before there is a keeper, and inherited by the keeper alone: while it is held,
  somebody sees to this name, and nobody else begins;
- a program is executed only after its pid, its start time and the number of its start are on the
  disk: the child waits for that, and ends itself when its keeper dies first;
- a keeper that finds the noted program alive does not start another, it watches that one.

It refuses to know releases, colors and epochs. The environment, with the secrets in it, is in its
memory only: it is written nowhere, and no core is dumped.

The note (`state.json`; beside, synced, renamed): tag, start, pid, started (clock ticks since the
boot), boot, stop_s, ending, keeper {pid, started, boot}, ended {start, how, at_s, lived_s,
log [from, to]}.

It is longer than the house's modules because it runs alone: it has nobody to import from.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import select
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, NoReturn

LOG_MAX = 1_000_000  # bytes; two files of it are kept
TICK_S = 1.0  # how often the size of the log is looked at
BACK_OFF_S = (0.2, 10.0)  # the first pause before another start, doubling up to the second
LONG_LIFE_S = 10.0  # whoever lived this long starts over with the first pause
LAST_WORDS_S = 1.0  # what a dead program's leftovers get, from SIGTERM to SIGKILL


# -- What is noted -------------------------------------------------------------------------


def read_note(folder: str) -> dict[str, Any]:
    """What is on the disk; empty where nothing is. Raises OSError, ValueError."""
    try:
        with open(os.path.join(folder, "state.json"), "rb") as file:
            note = json.loads(file.read())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    if not isinstance(note, dict):
        raise ValueError("a note that is no object")
    return note


def write_note(folder: str, note: dict[str, Any]) -> None:
    path = os.path.join(folder, "state.json")
    data = json.dumps(note).encode()
    file = _private(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        if os.write(file, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file)
    finally:
        os.close(file)
    os.rename(path + ".new", path)
    above = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(above)
    finally:
        os.close(above)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


# -- What /proc says -----------------------------------------------------------------------


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


# -- The keeper ----------------------------------------------------------------------------


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


def size_of(log: str) -> int:
    try:
        return os.stat(log).st_size
    except OSError:
        return 0


def keep_small(log: str) -> None:
    """Where the log is too long, its end becomes `log.1`, and it begins anew.

    The program writes to the file itself (appending), so it needs no keeper to write and never
    stands still for one. What it writes between copy and cut is lost.
    """
    try:
        if os.stat(log).st_size <= LOG_MAX:
            return
        with open(log, "r+b", buffering=0) as file:
            file.seek(-LOG_MAX, os.SEEK_END)
            older = _private(log + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            with os.fdopen(older, "wb") as copy:
                copy.write(file.read(2 * LOG_MAX) or b"")
            os.rename(log + ".new", log + ".1")
            file.truncate(0)
    except OSError:
        pass  # a log is not worth a program


# -- The program ---------------------------------------------------------------------------


def become(order: dict[str, Any], log: str, go: int, failure: int) -> NoReturn:
    """In the child: wait until the start is noted, then be the program."""
    doing = "its session"
    try:
        os.setsid()
        if not os.read(go, 1):
            os._exit(0)
        doing = "its log " + log
        out = _private(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        for target, source in ((0, nothing), (1, out), (2, out)):
            os.dup2(source, target)
        doing = "its folder " + order["cwd"]
        os.chdir(order["cwd"])
        os.umask(0o022)
        as_new()
        doing = order["argv"][0]
        os.execvpe(order["argv"][0], order["argv"], order["env"])
    except BaseException as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        os.write(failure, ("%s: %s" % (doing, why)).encode("utf-8", "replace"))
    finally:
        os._exit(127)


def as_new() -> None:
    """Signals as a program expects them: none ignored or blocked because we or our parents did."""
    signal.set_wakeup_fd(-1)
    for number in range(1, signal.NSIG):
        try:
            signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError):
            pass  # SIGKILL, SIGSTOP, and those that the C library keeps for itself
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


# -- Becoming a keeper ---------------------------------------------------------------------


def harden() -> None:
    """No core dumps, ours or the program's; no terminal's signals; orphans come to us."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        import ctypes

        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    except Exception:
        pass  # a Python without ctypes: the session is still ended as a whole


def read_order() -> dict[str, Any] | None:
    """The whole order; None where whoever began us died while giving it."""
    with os.fdopen(0, "rb", closefd=False) as pipe:
        data = pipe.readline()
    order: dict[str, Any] | None = json.loads(data) if data.endswith(b"\n") else None
    return order


ANSWERED: list[bool] = []


def answer(words: dict[str, Any]) -> bool:
    """One line to whoever began us, who may be gone. Only the first counts; whether this was it."""
    if ANSWERED:
        return False
    ANSWERED.append(True)
    try:
        os.write(1, json.dumps(words).encode() + b"\n")
    except OSError:
        pass
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for end in (0, 1, 2):
        os.dup2(nothing, end)
    return True


def main(folder: str, lock: int) -> None:
    fcntl.fcntl(lock, fcntl.F_SETFD, fcntl.FD_CLOEXEC)  # ours alone: the program is no keeper
    if os.fork():
        os._exit(0)  # be nobody's child: whoever began us need not bury us
    order = read_order()
    if order is None:
        return
    harden()
    keeper = Keeper(folder, order)
    if order["do"] == "end":
        answer({"ok": True})
        keeper.end()
    else:
        keeper.keep()


def confess(folder: str) -> None:
    """A mistake of ours goes into the log: where it happened, and no values."""
    import traceback

    kind, _, where = sys.exc_info()
    lines = ["%s:%d\n" % (at.name, at.lineno or 0) for at in traceback.extract_tb(where)]
    log = _private(os.path.join(folder, "log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    name = kind.__name__ if kind else "?"
    os.write(log, ("the keeper ended: %s\n%s" % (name, "".join(lines))).encode())


if __name__ == "__main__":
    try:
        main(sys.argv[1], int(sys.argv[2]))
    except Exception:
        confess(sys.argv[1])
        raise
