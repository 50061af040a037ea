"""The log of a program: it writes there itself, and its keeper keeps the file small."""

from __future__ import annotations

import os

from orchestrator.adapters.local.keeper.note import private

LOG_MAX = 1_000_000  # bytes; two files of it are kept


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
            older = private(log + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            with os.fdopen(older, "wb") as copy:
                copy.write(file.read(2 * LOG_MAX) or b"")
            os.rename(log + ".new", log + ".1")
            file.truncate(0)
    except OSError:
        pass  # a log is not worth a program
