"""What is the same for every verb: which site, how the answer and the talk are written, and who
asks.

The one rule: an option for every verb may stand anywhere on the line. `hoisted` moves those to the
front, where the program's own options are read; nothing else knows where they stood.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TAKES_VALUE = ("--site", "-o", "--output", "--log-format")
FLAGS = ("--no-color",)


@dataclass(frozen=True, slots=True)
class Setting:
    """`site`: as named by --site or $BG_SITE; None: looked for from here upward."""

    site: str | None = None
    json: bool = False
    log_format: str = "plain"
    color: bool = True
    ready: Callable[..., Any] | None = None  # from a site to its world; None: `wiring.ready`


def hoisted(argv: list[str]) -> list[str]:
    """The arguments with the options of `Setting` before all others.

    What follows `--` is left alone.
    """
    front: list[str] = []
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in TAKES_VALUE:
            front += [word, *([value] if (value := next(words, None)) is not None else [])]
        elif word in FLAGS or word.startswith(tuple(f"{o}=" for o in TAKES_VALUE if o != "-o")):
            front.append(word)
        else:
            rest.append(word)
    return front + rest


def wants_json(argv: list[str]) -> bool:
    """Whether the answer is to be JSON, also where the arguments are otherwise wrong."""
    front = hoisted(argv)
    line = " ".join(front)
    spaced = "-o json" in line or "--output json" in line
    return spaced or any(w in ("--output=json", "-ojson") for w in front)


def who() -> str:
    """`user@machine`, as records name whoever asks."""
    import pwd
    import socket

    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = str(os.geteuid())
    return f"{user}@{socket.gethostname()}"


def number(text: str, what: str) -> int:
    """A whole number from 1 on, as typed. `what`: whose it is, for who is told of another."""
    import typer

    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise typer.BadParameter(f"{text!r} is no number from 1 on", param_hint=what)
    return int(text)
