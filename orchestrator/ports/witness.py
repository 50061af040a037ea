"""Whoever is told what happens.

Narration on a terminal, structured logs, later events and webhooks.
"""

from __future__ import annotations

from typing import Protocol

from orchestrator.core.record import Entry


class Witness(Protocol):
    def tell(self, entry: Entry) -> None:
        """An entry was written (by us or somebody else). Must not raise, must not block."""
        ...

    def progress(self, what: str, done: int, total: int) -> None:
        """Something long goes on.

        How many of how many (instances well, bytes staged). Not durable.
        """
        ...
