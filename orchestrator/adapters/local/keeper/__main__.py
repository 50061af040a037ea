"""Becoming a keeper: `__main__.py FOLDER LOCK`, with the lock in hand and an order on stdin."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import sys

if __name__ == "__main__":  # run by its path: where this package lies, after all of Python's own
    sys.path.append(os.path.abspath(__file__).rsplit("/", 5)[0])

from orchestrator.adapters.local.keeper.keeping import Keeper
from orchestrator.adapters.local.keeper.note import private
from orchestrator.adapters.local.keeper.orders import answer, read_order


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


def confess(folder: str) -> None:
    """A mistake of ours goes into the log: where it happened, and no values."""
    import traceback

    kind, _, where = sys.exc_info()
    lines = ["%s:%d\n" % (at.name, at.lineno or 0) for at in traceback.extract_tb(where)]
    log = private(os.path.join(folder, "log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    name = kind.__name__ if kind else "?"
    os.write(log, ("the keeper ended: %s\n%s" % (name, "".join(lines))).encode())


if __name__ == "__main__":
    try:
        main(sys.argv[1], int(sys.argv[2]))
    except Exception:
        confess(sys.argv[1])
        raise
