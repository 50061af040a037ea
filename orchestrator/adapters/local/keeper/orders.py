"""What a keeper is told, and the one line that it answers."""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


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
