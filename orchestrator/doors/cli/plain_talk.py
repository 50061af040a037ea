"""A thin talk, until `live` has its own."""

from __future__ import annotations

import sys
from typing import Any

from orchestrator.core.chronicle import Chronicle
from orchestrator.core.narrate import narrate
from orchestrator.core.record import Entry, Opened


class PlainTalk:
    def __init__(self) -> None:
        self.steps: Any = ()

    def know(self, chronicle: Chronicle) -> None:
        self.steps = chronicle.open.steps if chronicle.open else ()

    def say(self, sentence: str) -> None:
        print(sentence, file=sys.stderr, flush=True)

    def tell(self, entry: Entry) -> None:
        if isinstance(entry.record, Opened):
            self.steps = entry.record.plan
        print(narrate(entry, self.steps), file=sys.stderr, flush=True)

    def progress(self, what: str, done: int, total: int) -> None:
        pass

    def __enter__(self) -> PlainTalk:
        return self

    def __exit__(self, *gone: object) -> None:
        pass
