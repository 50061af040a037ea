"""How releases were described when they were staged: kept by whoever drives, not asked of a host.

    hosts/described/<service>/<version>@<digest>.json, below the state folder

A recipe names secrets: files to be read and commands to be run here. So it is believed only where
it was written down here; a host that would tell another one is not asked. The one rule: what is
read was written by us, whole.
"""

from __future__ import annotations

import os

from orchestrator.core.model import Release, Service
from orchestrator.releases import description, disk


class Book:
    def __init__(self, state: str) -> None:
        self._folder = os.path.join(state, "hosts", "described")

    def read(self, service: str, release: Release) -> Service | None:
        path = self._path(service, release)
        with disk.told(f"reading how {service} {release.label} was staged"):
            text = disk.read(path)
        return None if text is None else description.read(text, path)

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
