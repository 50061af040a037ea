"""Probes in memory: asks the instance that listens at the address, and does as its release's health
says.
"""

from __future__ import annotations

from orchestrator.adapters.memory.doing import Doing
from orchestrator.adapters.memory.switch import preview_port
from orchestrator.adapters.memory.world import Instance
from orchestrator.core.health import Found, Sample
from orchestrator.core.model import Color, Probe, Share, TcpProbe
from orchestrator.ports.prober import Target


class MemoryProber:
    """`ports.prober.Prober` on the instances of a world."""

    def __init__(self, doing: Doing) -> None:
        self._doing = doing
        self._world = doing.world

    async def sample(self, target: Target, probes: tuple[Probe, ...], timeout_s: float) -> Sample:
        where = f"{target.host}:{target.port}"
        found, why, hangs = await self._doing.look(
            "prober.sample", where, lambda: self._ask(target, probes), epoch=None, target=where
        )
        if hangs:
            await self._world.clock.sleep(timeout_s)
        return Sample(found, self._world.clock.now(), why)

    def _ask(self, target: Target, probes: tuple[Probe, ...]) -> tuple[Found, str, bool]:
        """What was found, why, and whether it took all the time there was."""
        if not probes:
            return Found.UNKNOWN, "there is no probe to ask with", False
        listening = self._listening(target.port)
        if listening is None:
            return Found.BAD, "connection refused", False
        service, color, instance = listening
        health = self._world.health_of(service, instance.release)
        if health.hangs:
            return Found.BAD, "no answer in time", True
        if all(isinstance(probe, TcpProbe) for probe in probes):
            return Found.GOOD, "", False
        if why := self._is_bad(service, color, instance):
            return Found.BAD, why, False
        if why := _is_another(target, probes, instance):
            return Found.BAD, why, False
        return Found.GOOD, "", False

    def _listening(self, port: int) -> tuple[str, Color, Instance] | None:
        for service in self._world.site.services:
            for color in Color:
                for index, instance in sorted(
                    self._world.cell(service.name, color).instances.items()
                ):
                    preview = preview_port(self._world.site, service.name, color) == port
                    through = preview and self._world.switch_runs and not self._world.switch_broken
                    direct = service.placement.port(color, index) == port
                    if instance.running and (direct or through):
                        return service.name, color, instance
        return None

    def _is_bad(self, service: str, color: Color, instance: Instance) -> str:
        health = self._world.health_of(service, instance.release)
        instance.samples += 1
        if self._world.shares.get(service, Share()).of(color):
            instance.under_traffic += 1
        worn = health.ill_after is not None and instance.under_traffic > health.ill_after
        slow = instance.samples <= health.slow
        flapped = health.flaps and instance.samples % 2 == 0
        if health.ill or health.crashes or worn or slow or flapped:
            return health.why or "status 503 instead of 200"
        return ""


def _is_another(target: Target, probes: tuple[Probe, ...], instance: Instance) -> str:
    """A good answer of the wrong version is not well, where the probes ask for it."""
    asked, runs = repr(probes), instance.release
    if runs is None:
        return ""
    for word, value in (("version", runs.version), ("release", runs.digest)):
        if f"{{{word}}}" in asked and target.words.get(word) != value:
            return f"{word} {value} instead of {target.words.get(word)}"
    return ""
