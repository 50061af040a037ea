"""A witness that remembers what it was told."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.core.record import Entry


@dataclass
class MemoryWitness:
    """`ports.witness.Witness` for reading afterwards."""

    entries: list[Entry] = field(default_factory=list)
    steps: list[tuple[str, int, int]] = field(default_factory=list)

    def tell(self, entry: Entry) -> None:
        self.entries.append(entry)

    def progress(self, what: str, done: int, total: int) -> None:
        self.steps.append((what, done, total))
