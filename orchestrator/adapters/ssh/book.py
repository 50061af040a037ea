"""How releases were described when they were staged: kept by whoever drives, not asked of a host.

    hosts/described/<service>/<version>@<digest>.json, below the state folder

A recipe names secrets: files to be read and commands to be run here. So it is believed only where
it was written down here; a host that would tell another one is not asked. The one rule: what is
read was written by us, whole.
"""

from __future__ import annotations

import json
import os

from orchestrator.core import record
from orchestrator.core.model import Release, Service
from orchestrator.ports.trouble import Refused
from orchestrator.releases import disk

FORMAT = 1


class Book:
    def __init__(self, state: str) -> None:
        self._folder = os.path.join(state, "hosts", "described")

    def read(self, service: str, release: Release) -> Service | None:
        path = self._path(service, release)
        with disk.told(f"reading how {service} {release.label} was staged"):
            text = disk.read(path)
        if text is None:
            return None
        try:
            data = json.loads(text)
            if data["format"] != FORMAT:
                raise record.Unknown(f"format {data['format']}")
            described: Service = record.read(Service, data["service"])
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(f"{path} is not of this version of bg: {error}") from error
        return described

    def write(self, service: Service, release: Release) -> None:
        path, data = self._path(service.name, release), described(service).encode()
        with disk.told(f"writing down how {service.name} {release.label} is staged"):
            if disk.read(path) != data:
                disk.make_folder(os.path.dirname(path))
                disk.write(path, data)

    def forget(self, service: str, release: Release) -> None:
        with disk.told(f"forgetting how {service} {release.label} was staged"):
            disk.delete(self._path(service, release))

    def _path(self, service: str, release: Release) -> str:
        return os.path.join(self._folder, service, f"{release.version}@{release.digest}.json")


def described(service: Service) -> str:
    """The text that is kept beside a release, here and on its hosts."""
    words = {"format": FORMAT, "service": record.plain(service)}
    return json.dumps(words, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
