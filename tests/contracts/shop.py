"""Things to install, in memory, as `samples` has them on this machine and `fleet` on hosts."""

from __future__ import annotations

import hashlib

from orchestrator.adapters.memory import world as memory
from orchestrator.adapters.memory.process import Process
from orchestrator.core.model import Release, Site
from orchestrator.ports.artifacts import Artifact
from orchestrator.ports.installation import Installation


class MemoryShop:
    """The services of a site, and things to install: an artifact is what its files say."""

    def __init__(self, site: Site) -> None:
        self.world = memory.World(site)
        self._files: dict[str, dict[str, str]] = {}

    @property
    def site(self) -> Site:
        return self.world.site

    def driver(self) -> Installation:
        return Process(self.world).installation

    def make(self, version: str, **files: str) -> str:
        content = self._files.setdefault(version, {"who": version}) | files
        self._files[version] = content
        source = f"/artifacts/web-{version}"
        release = Release(version, hashlib.sha256(str(content).encode()).hexdigest())
        self.world.offers.setdefault("web", []).append(Artifact(release, source))
        return source

    def release(self, version: str) -> tuple[Release, str]:
        source = self.make(version)
        return self.world.offers["web"][-1].release, source
