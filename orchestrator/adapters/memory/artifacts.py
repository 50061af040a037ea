"""Artifacts in memory: what the world offers, and what is staged."""

from __future__ import annotations

from orchestrator.adapters.memory.world import World
from orchestrator.core.model import Service
from orchestrator.ports.artifacts import Artifact
from orchestrator.ports.trouble import Refused


class MemoryArtifacts:
    """`ports.artifacts.Artifacts` on the offers of a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def find(self, service: Service, wanted: str) -> Artifact:
        offers = self._world.offers.get(service.name, [])
        for artifact in reversed(offers):
            if wanted in (artifact.source, artifact.release.version):
                return artifact
        staged = sorted(self._world.staged.get(service.name, {}), key=lambda r: r.label)
        for release in staged:
            if wanted in (release.label, release.version):
                return Artifact(release, None)
        there = ", ".join(dict.fromkeys(a.release.version for a in offers)) or "none"
        raise Refused(f"there is no {service.name} {wanted}; there is: {there}")

    def available(self, service: Service) -> tuple[str, ...]:
        offers = self._world.offers.get(service.name, [])
        return tuple(sorted({artifact.release.version for artifact in offers}))
