"""The journal: the only memory. Append-only, one writer that decides, many who ask.

The driver's `append` compares: it names the last entry it has read, and the epoch of its lease.
Whoever only asks does not compare. Every entry that was acknowledged survives a power loss (it
was synced).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from orchestrator.core.chronicle import Chronicle
from orchestrator.core.record import Entry, Record, Request


@dataclass(frozen=True, slots=True)
class Recalled:
    chronicle: Chronicle  # the fold over all entries, the open rollout in it
    last: int  # the number of the newest entry; 0: empty


class Journal(Protocol):
    async def recall(self) -> Recalled:
        """Everything, folded.

        Quick whatever the length: only what came since the last `Closed` is read.

        Raises `Damaged` (unreadable, another site's, newer than this version).
        """
        ...

    async def news(self, after: int) -> tuple[Entry, ...]:
        """The entries after this number, oldest first."""
        ...

    async def append(
        self, after: int, records: tuple[Record, ...], *, epoch: int
    ) -> tuple[Entry, ...]:
        """All of the records, or none, in one transaction, synced. Returns them as kept.

        `Raced`: there are entries after `after`. `Superseded`: a younger epoch was taken. `NoRoom`.
        """
        ...

    async def ask(self, request: Request) -> Entry:
        """One request, synced, without comparing. `NoRoom`."""
        ...

    async def history(self, *, rollout: int | None = None, last: int = 1000) -> tuple[Entry, ...]:
        """The newest entries (of one rollout), oldest first."""
        ...

    async def close(self) -> None: ...
