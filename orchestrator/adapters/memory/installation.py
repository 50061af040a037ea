"""Installations in memory. Each thing that could happen alone is an effect of its own: a pointer,
one instance.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from orchestrator.adapters.memory.doing import Change, Doing
from orchestrator.adapters.memory.world import Instance
from orchestrator.core.model import Color, Release, Service, Site
from orchestrator.core.sight import InstallationSeen, InstanceSeen
from orchestrator.core.steps import Part
from orchestrator.ports.installation import PartlySeen
from orchestrator.ports.trouble import Refused, Unreachable

HOST = "127.0.0.1"
TARGET = "installations"


class MemoryInstallation:
    """`ports.installation.Installation` on the cells of a world."""

    def __init__(self, doing: Doing, site: Site) -> None:
        self._doing = doing
        self._world = doing.world
        self._site = site

    async def look(self, epoch: int | None) -> tuple[InstallationSeen, ...]:
        seen = await self._doing.look(
            "installation.look", "", self._seen, epoch=epoch, target=TARGET
        )
        if dead := self._dead():
            whole = (i for i in seen if not dead & set(self._there(i.service)))
            names = ", ".join(sorted(dead))
            raise PartlySeen(f"{names} does not answer", tuple(whole))
        return seen

    def _dead(self) -> set[str]:
        return self._world.dead & {h for s in self._site.services for h in self._there(s.name)}

    def _there(self, service: str) -> list[str]:
        place = self._site.service(service).placement
        return [place.hosts[i] for i in (place.instances if place.hosts else ())]

    async def check(self, part: Part) -> None:
        """Nothing here needs a secret."""

    async def stage(self, part: Part, source: str | None, epoch: int) -> None:
        def lay_down() -> bool:
            staged = self._world.staged.setdefault(part.service, {})
            if part.release in staged:
                return False
            offers = {a.source: a.release for a in self._world.offers.get(part.service, ())}
            if source is None or source not in offers:
                raise Refused(f"{part.service} {part.release.label}: there is nothing to stage")
            if offers[source] != part.release:
                raise Refused(f"{source} has changed since it was planned")
            staged[part.release] = self._world.site.service(part.service)
            return True

        await self._effect("stage", _name(part), lay_down, epoch)

    async def start(self, part: Part, epoch: int) -> None:
        await self.point(part.service, part.color, part.release, epoch)
        for index in self._site.service(part.service).placement.first(part.count):
            await self._effect(
                "start",
                f"{part.service} {part.color.value} #{index} {part.release.label}",
                partial(self._start, part, index),
                epoch,
            )

    async def stop(self, part: Part, epoch: int) -> None:
        instances = self._world.cell(part.service, part.color).instances
        for index in self._present(part.service, instances):
            there = instances[index].running or instances[index].kept
            if there and instances[index].release == part.release:
                await self._effect(
                    "stop",
                    f"{part.service} {part.color.value} #{index} {part.release.label}",
                    partial(_stop, instances[index], part.release),
                    epoch,
                )

    async def point(self, service: str, color: Color, release: Release | None, epoch: int) -> None:
        def point() -> bool:
            if release is not None and release not in self._world.staged.get(service, {}):
                raise Refused(f"{service} {release.label} is not staged")
            cell = self._world.cell(service, color)
            changed, cell.current = cell.current != release, release
            return changed

        label = release.label if release else "nothing"
        await self._effect("point", f"{service} {color.value} {label}", point, epoch)

    async def remove(self, service: str, release: Release, epoch: int) -> None:
        def remove() -> bool:
            for color in Color:
                cell = self._world.cell(service, color)
                there = (cell.instances[n] for n in self._present(service, cell.instances))
                runs = any(i.running and i.release == release for i in there)
                if cell.current == release or runs:
                    raise Refused(f"{service} {release.label} is in use on {color.value}")
            return self._world.staged.get(service, {}).pop(release, None) is not None

        await self._effect("remove", f"{service} {release.label}", remove, epoch)

    async def service_as_staged(self, service: str, release: Release) -> Service | None:
        self._doing.still_alive()
        return self._world.staged.get(service, {}).get(release)

    def address(self, service: str, color: Color, instance: int) -> tuple[str, int]:
        return HOST, self._world.site.service(service).placement.port(color, instance)

    async def surroundings(self, part: Part, instance: int) -> tuple[dict[str, str], str]:
        return {}, "/"

    async def log(self, service: str, color: Color, instance: int, lines: int) -> str:
        known = self._world.cell(service, color).instances.get(instance)
        return known.note if known else ""

    # -- At one instant --------------------------------------------------------------------

    async def _effect(self, verb: str, what: str, change: Change, epoch: int) -> None:
        if dead := self._dead():
            raise Unreachable(f"{', '.join(sorted(dead))} does not answer")
        await self._doing.effect(f"installation.{verb}", what, change, epoch=epoch, target=TARGET)

    def _start(self, part: Part, index: int) -> bool:
        if part.release not in self._world.staged.get(part.service, {}):
            raise Refused(f"{part.service} {part.release.label} is not staged")
        instances = self._world.cell(part.service, part.color).instances
        instance = instances.setdefault(index, Instance())
        if instance.running and instance.release != part.release:
            raise Refused(f"{part.service} {part.color.value} #{index} runs another release")
        if instance.running:
            changed, instance.kept = not instance.kept, True
            return changed
        self._world.begin(instance, part.release)
        return True

    def _present(self, service: str, instances: Mapping[int, Instance]) -> list[int]:
        """The numbers that are not on a host that is away."""
        place = self._site.service(service).placement
        away = {i for i, host in enumerate(place.hosts) if host in place.away}
        return sorted(instances.keys() - away)

    def _seen(self) -> tuple[InstallationSeen, ...]:
        return tuple(
            self._seen_at(service.name, color)
            for service in self._world.site.services
            for color in Color
        )

    def _seen_at(self, service: str, color: Color) -> InstallationSeen:
        cell = self._world.cell(service, color)
        seen = tuple(
            _instance_seen(index, cell.instances[index])
            for index in self._present(service, cell.instances)
        )
        for instance in cell.instances.values():
            if instance.running and self._world.health_of(service, instance.release).crashes:
                self._world.begin(instance, instance.release, "exited with 1")
        staged = frozenset(self._world.staged.get(service, {}))
        return InstallationSeen(service, color, staged, cell.current, seen)


def _instance_seen(index: int, instance: Instance) -> InstanceSeen:
    return InstanceSeen(
        index,
        instance.release,
        instance.running,
        instance.start,
        f"start {instance.start}",
        instance.note,
        instance.kept,
    )


def _stop(instance: Instance, release: Release) -> bool:
    """Never another release than the one that was meant when the effect was asked for."""
    if instance.release != release:
        return False
    changed = instance.running or instance.kept
    instance.running = instance.kept = False
    return changed


def _name(part: Part) -> str:
    return f"{part.service} {part.color.value} {part.release.label}"
