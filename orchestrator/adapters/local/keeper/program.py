"""The child of a keeper, until it is the program."""

from __future__ import annotations

import os
import signal

from orchestrator.adapters.local.keeper.note import private

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


def become(order: dict[str, Any], log: str, go: int, failure: int) -> NoReturn:
    """In the child: wait until the start is noted, then be the program."""
    doing = "its session"
    try:
        os.setsid()
        if not os.read(go, 1):
            os._exit(0)
        doing = "its log " + log
        out = private(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
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
