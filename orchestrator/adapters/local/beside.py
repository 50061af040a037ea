"""Programs of ours that run beside us: a keeper, a watcher. Begun, given one order, heard once.

They are isolated from whatever Python finds around them. The one rule: nothing private is in their
argv or environment; the order, a line of JSON, goes over stdin.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from typing import Any


def begin(path: str, *words: str, hands: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
    """The program at this path, waiting for its order. `hands`: open files that go along."""
    return subprocess.Popen(
        (sys.executable or "python3", "-I", "-S", path, *words),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=hands,
        start_new_session=True,
        cwd="/",
        env={k: v for k, v in os.environ.items() if k == "LD_LIBRARY_PATH"},
        bufsize=0,
    )


def converse(
    child: subprocess.Popen[bytes], order: dict[str, Any], within_s: float | None = None
) -> dict[str, Any]:
    """Give the order, hear the answer; nothing heard is an empty answer. Its stdin stays open."""
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        rest = memoryview(json.dumps(order).encode() + b"\n")
        while rest:
            rest = rest[child.stdin.write(rest) :]
    except BrokenPipeError:
        return {}
    if within_s is not None and not select.select([child.stdout], [], [], within_s)[0]:
        return {}
    line = child.stdout.readline()
    answer: dict[str, Any] = json.loads(line) if line.endswith(b"\n") else {}
    return answer
