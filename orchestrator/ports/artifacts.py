"""Artifacts: from what somebody typed to a release with a digest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from orchestrator.core.model import Release, Service


@dataclass(frozen=True, slots=True)
class Artifact:
    release: Release
    source: str | None  # absolute path of folder or archive; None: only the staged copy exists


class Artifacts(Protocol):
    def find(self, service: Service, wanted: str) -> Artifact:
        """A version (`2`, found through `artifact:`.

        Else staged, `2@ab12` too) or a path (`./build`; contains a slash).

        Reads the whole artifact to get its digest (of artifact and recipe) and checks it: nothing
        outside its folder, no devices, bounded size. `Refused` says what is wrong and what exists
        instead.
        """
        ...

    def available(self, service: Service) -> tuple[str, ...]:
        """The versions that `artifact:` finds now, by name; nothing is read."""
        ...
