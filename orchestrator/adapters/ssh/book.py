"""How releases were described when they were staged: kept by whoever drives, not asked of a host.

    hosts/described/<service>/<version>@<digest>.json, below the state folder

A recipe names secrets: files to be read and commands to be run here. So it is believed only where
it was written down here; a host that would tell another one is not asked. The one rule: what is
read was written by us, whole.

It is asked of for every instance and every look at it, so what was read is kept as long as the file
is the same.
"""

from __future__ import annotations

import os

from orchestrator.core.model import Release, Service
from orchestrator.releases import description, disk


class Book:
    def __init__(self, state: str) -> None:
        self._folder = os.path.join(state, "hosts", "described")
        self._read: dict[str, tuple[tuple[int, ...], Service]] = {}

    def read(self, service: str, release: Release) -> Service | None:
        path = self._path(service, release)
        with disk.told(f"reading how {service} {release.label} was staged"):
            state = _state(path)
            if state is not None and (known := self._read.get(path)) and known[0] == state:
                return known[1]
            text = disk.read(path)
        if text is None or state is None:
            return None
        found = description.read(text, path)
        self._read[path] = (state, found)
        return found

    def write(self, service: Service, release: Release) -> None:
        path, data = self._path(service.name, release), description.text_of(service).encode()
        with disk.told(f"writing down how {service.name} {release.label} is staged"):
            if disk.read(path) != data:
                disk.make_folder(os.path.dirname(path))
                disk.write(path, data)

    def forget(self, service: str, release: Release) -> None:
        with disk.told(f"forgetting how {service} {release.label} was staged"):
            disk.delete(self._path(service, release))

    def _path(self, service: str, release: Release) -> str:
        return os.path.join(self._folder, service, f"{release.version}@{release.digest}.json")


def _state(path: str) -> tuple[int, ...] | None:
    """Another one for another file; it is only ever replaced, never written in place."""
    try:
        seen = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return seen.st_ino, seen.st_size, seen.st_mtime_ns
