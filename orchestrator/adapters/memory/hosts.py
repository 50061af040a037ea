"""Hosts in memory: instance i of a service is what is on the i-th of its hosts."""

from __future__ import annotations

from orchestrator.adapters.memory.doing import Doing
from orchestrator.core.model import Color, Site
from orchestrator.ports.hosts import HostSeen, Kept, OnHost, Wrong
from orchestrator.ports.trouble import Refused, Superseded, Unreachable

OURS = "ours"


class MemoryHosts:
    """`ports.hosts.Hosts` on the cells of a world."""

    def __init__(self, doing: Doing, site: Site) -> None:
        self._doing = doing
        self._world = doing.world
        self._site = site

    async def look(self, names: tuple[str, ...]) -> tuple[HostSeen, ...]:
        self._doing.still_alive()
        return tuple(self._look_at(name) for name in names)

    def _look_at(self, name: str) -> HostSeen:
        address = next(host.address for host in self._site.hosts if host.name == name)
        if name in self._world.dead:
            return HostSeen(name, address, Wrong.DOWN, f"{name} does not answer")
        if why := self._world.told_gone.get(name):
            return HostSeen(name, address, Wrong.GONE, f"{name} was told gone: {why}")
        journal = self._world.belongs.get(name, OURS)
        foreign = f"{name} belongs to another journal" if journal != OURS else ""
        wrong = Wrong.FOREIGN if foreign else None
        return HostSeen(
            name, address, wrong, foreign, self._on(name), journal=journal,
            youngest=self._world.epochs.get(name, 0),
        )  # fmt: skip

    def _on(self, name: str) -> tuple[OnHost, ...]:
        found = []
        for service in self._site.services:
            if name not in service.placement.hosts:
                continue
            index = service.placement.hosts.index(name)
            for color in Color:
                one = self._world.cell(service.name, color).instances.get(index)
                if one is not None and one.release is not None:
                    found.append(OnHost(service.name, color, one.release, one.running, one.kept))
        return tuple(found)

    async def tell_gone(self, name: str, why: str, epoch: int) -> None:
        self._answers(name, epoch)
        self._world.told_gone[name] = why

    async def readmit(self, name: str, kept: Kept, epoch: int) -> tuple[OnHost, ...]:
        self._answers(name, epoch)
        if self._world.belongs.get(name, OURS) != OURS:
            raise Refused(f"{name} belongs to another journal")
        self._world.told_gone.pop(name, None)
        stray = tuple(
            one
            for one in self._on(name)
            if one.release is not None
            and (one.running or one.kept)
            and (one.service, one.color, one.release) not in kept
        )
        for one in stray:
            index = self._site.service(one.service).placement.hosts.index(name)
            instance = self._world.cell(one.service, one.color).instances[index]
            instance.running = instance.kept = False
        return stray

    async def adopt(self, names: tuple[str, ...], epoch: int) -> None:
        for name in names:
            if epoch <= self._world.epochs.get(name, 0):
                raise Superseded(f"{name}: epoch {self._world.epochs[name]} was here before")
            self._answers(name, epoch)
            self._world.belongs.pop(name, None)

    def _answers(self, name: str, epoch: int) -> None:
        self._doing.still_alive()
        if name in self._world.dead:
            raise Unreachable(f"{name} does not answer")
        self._world.fence(name, epoch)
