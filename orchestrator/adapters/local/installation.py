"""Installations on this machine: releases on the shelf, processes under keepers.

`stage` lays a release down beside the others, `start` points the color at it and runs its instances
as `service/color/index`, each with the release as its tag. `look` reads both back.

The one rule: every effect, and every look a decision rests on, happens inside the fence, together
with the check that it is still right. Long work (unpacking, reading secrets, waiting for an end) is
done outside, and what follows from it inside, checked again. It refuses to know traffic, health and
plans.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping

from orchestrator.adapters.local import listeners
from orchestrator.adapters.local.shelf import Shelf, from_tag, tag
from orchestrator.core.model import Color, Pin, Release, Service, Site
from orchestrator.core.sight import InstallationSeen, InstanceSeen
from orchestrator.core.steps import Part
from orchestrator.ports.fence import Fence
from orchestrator.ports.processes import Launch, Processes, ProcessSeen
from orchestrator.ports.trouble import Refused, Unreachable
from orchestrator.releases import disk, secrets
from orchestrator.releases.redact import Redactor
from orchestrator.releases.templates import fill

HOST = "127.0.0.1"
INHERITED = ("PATH", "HOME", "LANG", "TZ")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

Inner = Callable[[Pin], tuple[str, int]]


class LocalInstallation:
    """`Installation` of all services of a site, below its state folder."""

    def __init__(
        self,
        site: Site,
        fence: Fence,
        processes: Processes,
        *,
        inner: Inner,
        redactor: Redactor | None = None,
    ) -> None:
        self.redactor = redactor or Redactor()
        self._site = site
        self._fence = fence
        self._processes = processes
        self._inner = inner
        self._shelf = Shelf(site.state)
        self._learned: set[tuple[str, Release]] = set()
        self._secrets: dict[tuple[str, Release], dict[str, str]] = {}  # as of the last start

    # -- Looking -----------------------------------------------------------------------------

    async def look(self, epoch: int | None) -> tuple[InstallationSeen, ...]:
        with self._fence.holding(epoch), disk.told("looking at the installations"):
            running = {seen.name: seen for seen in self._processes.look()}
            return tuple(
                self._look_at(service, color, running)
                for service in self._site.services
                for color in Color
            )

    async def service_as_staged(self, service: str, release: Release) -> Service | None:
        with disk.told(f"reading how {service} {release.label} was staged"):
            return self._shelf.described(service, release)

    def address(self, service: str, color: Color, instance: int) -> tuple[str, int]:
        return HOST, self._site.service(service).placement.port(color, instance)

    async def log(self, service: str, color: Color, instance: int, lines: int) -> str:
        name = _name(service, color, instance)
        for seen in self._processes.look(name):
            self._learn(service, from_tag(seen.tag))
        return self.redactor.clean(self._processes.log(name, lines))

    async def surroundings(self, part: Part, instance: int) -> tuple[dict[str, str], str]:
        described = await self._described(part)
        if (part.service, part.release) not in self._secrets:
            await self._read_secrets(described, part.release)
        launch = self._launch(described, part, instance)
        return dict(launch.env), launch.cwd

    async def check(self, part: Part) -> None:
        staged = await self.service_as_staged(part.service, part.release)
        described = staged or self._site.service(part.service)
        await self._read_secrets(described, part.release)
        for instance in range(part.count):
            self._launch(described, part, instance)

    async def _described(self, part: Part) -> Service:
        described = await self.service_as_staged(part.service, part.release)
        if described is None:
            raise Refused(f"{part.service} {part.release.label} is not staged")
        return described

    def _look_at(
        self, service: Service, color: Color, running: Mapping[str, ProcessSeen]
    ) -> InstallationSeen:
        prefix = f"{service.name}/{color.value}/"
        numbers = {name.removeprefix(prefix) for name in running if name.startswith(prefix)}
        indexes = {int(number) for number in numbers if number.isdigit()}
        indexes |= set(range(service.placement.count))
        return InstallationSeen(
            service.name,
            color,
            staged=self._shelf.staged(service.name),
            current=self._shelf.pointed(service.name, color),
            instances=tuple(
                self._instance(service.name, index, running.get(f"{prefix}{index}"))
                for index in sorted(indexes)
            ),
        )

    def _instance(self, service: str, index: int, seen: ProcessSeen | None) -> InstanceSeen:
        if seen is None:
            return InstanceSeen(index, None, running=False)
        release = from_tag(seen.tag)
        note = seen.note
        if note:
            self._learn(service, release)
            note = self.redactor.clean(note)
        return InstanceSeen(
            index, release, seen.running, seen.start, seen.identity, note, kept=seen.kept
        )

    def _learn(self, service: str, release: Release | None) -> None:
        """What a program says may hold its secrets; a driver that did not start it knows none."""
        if release is None or (service, release) in self._learned:
            return
        self._learned.add((service, release))
        described = self._shelf.described(service, release)
        if described is not None:
            secrets.learn_quietly(described.recipe, self._site.folder, self.redactor)

    # -- Staging -----------------------------------------------------------------------------

    async def stage(self, part: Part, source: str | None, epoch: int) -> None:
        service, release = self._site.service(part.service), part.release
        with self._fence.holding(epoch), disk.told(f"staging {service.name} {release.label}"):
            if self._already_staged(service, release):
                return
            if source is None:
                raise Refused(f"{service.name} {release.label} is not staged, its artifact is gone")
            folder = self._shelf.new(service.name)
        try:
            files = await asyncio.to_thread(self._unpack, service, release, source, folder)
            with self._fence.holding(epoch), disk.told(f"staging {service.name} {release.label}"):
                if not self._already_staged(service, release):
                    self._shelf.put(service, release, folder, files)
                    return
            await asyncio.to_thread(self._shelf.delete, folder)
        except BaseException:
            self._shelf.delete(folder)
            raise

    def _already_staged(self, service: Service, release: Release) -> bool:
        """Probes travel with a release and do not change it: those of the newest staging count."""
        described = self._shelf.described(service.name, release)
        if described is None:
            return False
        if described.recipe == service.recipe:
            self._shelf.describe(service, release)
        return True

    def _unpack(self, service: Service, release: Release, source: str, folder: str) -> str:
        # Whoever only looks unpacks nothing, and need not load what that takes.
        from orchestrator.releases import archive
        from orchestrator.releases.identity import release_digest

        with disk.told(f"staging {service.name} {release.label}"):
            for leftover in self._shelf.leftovers(service.name):
                self._shelf.delete(leftover)
        digest, files = archive.unpack(source, os.path.join(folder, "unpacked"))
        if release_digest(digest, service.recipe) != release.digest:
            raise Refused(
                f"{source} is not {service.name} {release.label} any more: it, or how it is run, "
                "changed since the plan was made; plan again"
            )
        return files

    async def remove(self, service: str, release: Release, epoch: int) -> None:
        with self._fence.holding(epoch), disk.told(f"deleting {service} {release.label}"):
            for color in Color:
                if self._shelf.pointed(service, color) == release:
                    raise Refused(f"{color.value} {service} points at {release.label}: it stays")
            seen = [one for one in self._processes.look(service) if from_tag(one.tag) == release]
            busy = [one.name for one in seen if one.running or one.kept]
            if busy:
                raise Refused(f"{busy[0]} runs {release.label}: it stays")
            for one in seen:
                self._processes.forget(one.name)
            gone = self._shelf.take(service, release)
        if gone is not None:
            await asyncio.to_thread(self._shelf.delete, gone)

    async def point(self, service: str, color: Color, release: Release | None, epoch: int) -> None:
        with self._fence.holding(epoch), disk.told(f"pointing {color.value} {service}"):
            if release is not None and not self._shelf.has(service, release):
                raise Refused(f"{service} {release.label} is not staged")
            self._shelf.point(service, color, release)

    # -- Starting and stopping ---------------------------------------------------------------

    async def start(self, part: Part, epoch: int) -> None:
        described = await self._described(part)
        launches: dict[int, Launch] = {}
        if self._missing(part):
            await self._read_secrets(described, part.release)
            launches = {i: self._launch(described, part, i) for i in range(part.count)}
        with self._fence.holding(epoch), disk.told(f"starting {_title(part)}"):
            missing = self._missing(part)
            if missing and not launches:
                raise Unreachable(f"{_title(part)} changed while it was looked at; look again")
            for index in missing:
                self._check_port(part, index)
            self._shelf.point(part.service, part.color, part.release)
        for index in missing:
            with self._fence.holding(epoch):
                self._processes.start(_name(part.service, part.color, index), launches[index])
            await asyncio.sleep(0)  # others may have something to do between two instances

    def _missing(self, part: Part) -> list[int]:
        """The instances to start, or to give a keeper. `Refused` where one runs another release."""
        prefix = f"{part.service}/{part.color.value}"
        there = {seen.name: seen for seen in self._processes.look(prefix)}
        missing = []
        for index in range(part.count):
            seen = there.get(f"{prefix}/{index}")
            if seen is None or not seen.kept:
                missing.append(index)
            if seen is None or not (seen.running or seen.kept):
                continue
            if (other := from_tag(seen.tag)) != part.release:
                label = other.label if other else "something else"
                raise Refused(f"{seen.name} runs {label}, not {part.release.label}; stop it first")
        return missing

    async def _read_secrets(self, described: Service, release: Release) -> None:
        values = await secrets.resolve(described.recipe, self._site.folder, self.redactor)
        self._secrets[described.name, release] = values

    def _launch(self, described: Service, part: Part, index: int) -> Launch:
        values = self._secrets[part.service, part.release]
        words = self._words(described, part, index)
        title = f"{part.service} {part.release.label}"
        env = {name: os.environ[name] for name in INHERITED if name in os.environ}
        env.setdefault("PATH", PATH)
        for name, value in described.recipe.env:
            if isinstance(value, str):
                env[name] = fill(value, words, f"{title}, env {name}")
            else:
                env[name] = values[name]
        return Launch(
            argv=tuple(fill(word, words, f"{title}, run") for word in described.recipe.run),
            env=env,
            cwd=self._shelf.files(part.service, part.release),
            stop_s=described.recipe.stop_s,
            tag=tag(part.release),
        )

    def _words(self, described: Service, part: Part, index: int) -> dict[str, str]:
        host, port = self.address(part.service, part.color, index)
        words = {
            "host": host,
            "port": str(port),
            "color": part.color.value,
            "version": part.release.version,
            "instance": str(index),
            "release": part.release.label,
        }
        for use in described.uses:
            inner_host, inner_port = self._inner(Pin(part.service, part.color, use.callee))
            words[f"{use.callee}.url"] = f"http://{inner_host}:{inner_port}"
        return words

    def _check_port(self, part: Part, index: int) -> None:
        """A stranger on the port would be probed, and perhaps served, in place of ours."""
        name = _name(part.service, part.color, index)
        if any(seen.running for seen in self._processes.look(name)):
            return
        port = self.address(part.service, part.color, index)[1]
        for listener in listeners.on_port(port):
            if listener.pid is None or not self._processes.belongs(name, listener.pid):
                raise Refused(f"port {port} of {name} is taken by {listener}; nothing was started")

    async def stop(self, part: Part, epoch: int) -> None:
        for hard in (False, False, True):
            with self._fence.holding(epoch), disk.told(f"stopping {_title(part)}"):
                names = self._running(part)
                for name in names:
                    self._processes.end(name, hard=hard)
            if all(await asyncio.gather(*(self._processes.ended(name) for name in names))):
                return
        raise Unreachable(f"{_title(part)} does not end: {', '.join(names)}")

    def _running(self, part: Part) -> list[str]:
        """All of this color with the release, beyond the count too; the dead may have left some."""
        seen = self._processes.look(f"{part.service}/{part.color.value}")
        return [one.name for one in seen if from_tag(one.tag) == part.release]


def _name(service: str, color: Color, instance: int) -> str:
    return f"{service}/{color.value}/{instance}"


def _title(part: Part) -> str:
    return f"{part.color.value} {part.service} {part.release.label}"
