"""The talk as JSON lines, through structlog: each with site, rollout, step and epoch.

Nothing private leaves: each value passes a callable that knows the secrets, and what stands under
a name that sounds like a secret is left out whatever it is.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, Self, TextIO

from orchestrator.core.chronicle import Chronicle
from orchestrator.core.record import Entry, Failed
from orchestrator.doors.cli.memory import Memory, progress_in_words
from orchestrator.doors.cli.paper import harmless

PROGRESS_S = 5.0
SECRET_NAME = re.compile(
    r"passw|secret|token|api_?key|private|credential|authorization|cookie|(^|_)key$", re.IGNORECASE
)
LEFT_OUT = "[left out]"

Event = MutableMapping[str, Any]


class JsonTalk:
    """Writes to `stream`, one JSON object a line; `event` is the sentence."""

    def __init__(self, stream: TextIO, site: str, redact: Callable[[str], str] = str) -> None:
        import structlog

        self._memory = Memory()
        self._told_s = time.monotonic()
        self._progress = ""
        self._log = structlog.wrap_logger(
            structlog.WriteLogger(file=stream),
            processors=[
                structlog.processors.add_log_level,
                redacting(redact),
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
            wrapper_class=structlog.BoundLogger,
        ).bind(site=site)

    def know(self, chronicle: Chronicle) -> None:
        self._memory.know(chronicle)

    def tell(self, entry: Entry) -> None:
        sentence = self._memory.take(entry)
        record = entry.record
        step = getattr(record, "step", None)
        fields = {
            "at": _iso(entry.at_s),
            "number": entry.number,
            "record": type(record).__name__,
            "rollout": getattr(record, "rollout", None),
            "step": None if step is None else step + 1,
            "epoch": entry.epoch,
        }
        self._write("warning" if isinstance(record, Failed) else "info", sentence, fields)
        self._told_s = time.monotonic()

    def progress(self, what: str, done: int, total: int) -> None:
        said = progress_in_words(what, done, total)
        if said == self._progress or time.monotonic() - self._told_s < PROGRESS_S:
            return
        self._progress, self._told_s = said, time.monotonic()
        rollout = self._memory.rollout
        fields = {
            "at": _iso(time.time()),
            "rollout": rollout.id if rollout else None,
            "step": rollout.begun[0] + 1 if rollout and rollout.begun else None,
            "done": done,
            "total": total,
        }
        self._write("info", said, fields)

    def say(self, sentence: str) -> None:
        self._write("info", sentence, {"at": _iso(time.time())})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _write(self, level: str, sentence: str, fields: dict[str, Any]) -> None:
        try:
            getattr(self._log, level)(sentence, **fields)
        except (OSError, ValueError):
            pass  # a stream that is gone is borne: the work goes on


def redacting(redact: Callable[[str], str]) -> Callable[[Any, str, Event], Event]:
    """A processor of structlog: each text through `redact`, and nothing under a secret's name."""

    def processor(logger: Any, method: str, event: Event) -> Event:
        return {name: _redacted(name, value, redact) for name, value in event.items()}

    return processor


def _redacted(name: str, value: Any, redact: Callable[[str], str]) -> Any:
    if SECRET_NAME.search(name):
        return LEFT_OUT
    match value:
        case str():
            return harmless(redact(value))
        case dict():
            return {k: _redacted(str(k), v, redact) for k, v in value.items()}
        case list() | tuple():
            return [_redacted(name, v, redact) for v in value]
        case _:
            return value


def _iso(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")
