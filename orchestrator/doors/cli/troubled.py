"""What went wrong outside us, as an exit code and a sentence; and the report of a bug.

The one rule: a report holds places in our own code and nothing that was ever read, so no secret can
be in it.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from orchestrator.doors.cli.answer import Answer
from orchestrator.doors.cli.exits import Exit
from orchestrator.ports.trouble import Busy, Damaged, NoRoom, Superseded, Trouble


def answer_to(trouble: Trouble, *, is_open: bool) -> Answer:
    """`is_open`: whether a rollout is open, so that something may have been touched."""
    match trouble:
        case Busy():
            return Answer(Exit.SOMEBODY_ELSE, "busy", problem=trouble.why, next=_LOOK_ON)
        case Superseded():
            what = f"Somebody else took over: {trouble.why}"
            return Answer(Exit.SOMEBODY_ELSE, "superseded", problem=what, next=_LOOK_ON)
        case Damaged():
            return Answer(Exit.BAD_INPUT, "damaged", problem=trouble.why, next=_CHECK)
        case NoRoom() if is_open:
            return Answer(Exit.STUCK, "no-room", problem=trouble.why, next=_ROOM)
        case NoRoom():
            return Answer(Exit.BAD_INPUT, "no-room", problem=trouble.why)
        case _ if is_open:
            return Answer(Exit.STUCK, "stuck", problem=trouble.why, next=_MENDED)
        case _:
            return Answer(Exit.BAD_INPUT, "refused", problem=trouble.why, next=_CHECK)


_LOOK_ON = (("bgctl status -w", "look on"), ("bgctl history", "what was done"))
_CHECK = (("bgctl check", "says everything that is wrong"),)
_ROOM = (("bgctl resume", "once it can be written again"),)
_MENDED = (("bgctl resume", "once that is mended"), ("bgctl backout", "to go back"))


def bug(error: Exception) -> Answer:
    """A mistake of ours. `BG_DEBUG=1` shows all of it."""
    if os.environ.get("BG_DEBUG"):
        raise error
    return Answer(Exit.BUG, "bug", problem=report(error))


def report(error: BaseException) -> str:
    """What kind of error, and where. Its text is left out: nobody knows what is in it."""
    from orchestrator import __version__

    house = Path(__file__).resolve().parents[2]
    frames = [
        f"  {_shown(frame.filename, house)}:{frame.lineno} in {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    python = ".".join(str(number) for number in sys.version_info[:3])
    return "\n".join(
        (
            f"A bug in bg {__version__} (Python {python}, {sys.platform}): {type(error).__name__}",
            *frames[-12:],
            "Please file these lines where you got bg from, with the command you typed.",
        )
    )


def _shown(path: str, house: Path) -> str:
    try:
        return str(Path(path).relative_to(house.parent))
    except ValueError:
        return Path(path).name
