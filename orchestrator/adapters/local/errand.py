"""One command to its end, for somebody who may die. A program of its own, Python 3.8 or later.

It reads one order, as JSON in a line on stdin: argv, env, cwd, within_s, keep; runs it in a group
of its own; and says how it ended, as JSON in a line on stdout: `code` (None: its time was over) and
`said` (the last `keep` bytes of what it wrote), or `failed`: it could not be run at all.

The one rule: it ends with whoever began it. Its stdin stays open as long as that one lives; once it
is closed the whole group is killed, and likewise at the time-out. What the command itself put into
another session (a service it started) is not waited for, and stays.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

READ = 65536
REST_S = 0.1  # what may still be on its way once it has ended
POLL_S = 0.05


def main() -> None:
    with open(0, "rb", buffering=0, closefd=False) as orders:
        line = orders.readline()
    if not line.endswith(b"\n"):
        return  # whoever began it is gone
    order = json.loads(line)
    try:
        child = subprocess.Popen(
            order["argv"],
            env=order["env"],
            cwd=order["cwd"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        answer({"failed": getattr(error, "strerror", None) or str(error)})
        return
    said = Said(child, order["keep"])
    try:
        in_time = watch(child, said, time.monotonic() + order["within_s"])
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)  # not buried yet: the group is its own
    code = child.wait()
    answer({"code": code if in_time else None, "said": bytes(said.kept).decode("utf-8", "replace")})


class Said:
    """The end of what it wrote."""

    def __init__(self, child: subprocess.Popen[bytes], keep: int) -> None:
        assert child.stdout is not None
        self.file, self.keep = child.stdout.fileno(), keep
        self.kept = bytearray()
        self.open = True

    def read(self) -> None:
        data = os.read(self.file, READ)
        self.open = bool(data)
        self.kept += data
        del self.kept[: -self.keep]


def watch(child: subprocess.Popen[bytes], said: Said, until: float) -> bool:
    """Until it has ended (True), its time is over, or whoever began it is gone (False)."""
    ended_at: float | None = None
    while True:
        now = time.monotonic()
        if ended_at is None and child.poll() is not None:
            ended_at = now
        if ended_at is not None and (not said.open or now > ended_at + REST_S):
            return True
        if now >= until:
            return False
        ears = [0, said.file] if said.open else [0]
        ready = select.select(ears, [], [], max(min(POLL_S, until - now), 0))[0]
        if said.file in ready:
            said.read()
        if 0 in ready and not os.read(0, READ):
            return False


def answer(words: dict[str, Any]) -> None:
    try:
        os.write(1, json.dumps(words).encode() + b"\n")
    except OSError:
        pass  # nobody is there any more


if __name__ == "__main__":
    main()
