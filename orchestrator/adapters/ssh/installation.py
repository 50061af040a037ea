"""Installations on hosts: one instance of a service on each of its hosts, run by systemd there.

Everything is asked of the agents of all hosts side by side; what they saw is put together (`seen`),
what went wrong is too: the worst of it counts, and every host that had trouble is named.

The one rule: nothing is believed of a host but what concerns it alone. Recipes, probes and secrets
come from here (`book`). The journal's identity and the epoch go with every request, so that a host
itself refuses whoever was overtaken, and every other journal. It refuses to know traffic and
health.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from typing import Any

from orchestrator.adapters.ssh import launch, seen
from orchestrator.adapters.ssh.agents import Agents
from orchestrator.adapters.ssh.asking import Asking, Identity
from orchestrator.adapters.ssh.book import Book
from orchestrator.adapters.ssh.launch import INDEX
from orchestrator.adapters.ssh.lines import Json, plain_release
from orchestrator.adapters.ssh.prober import where
from orchestrator.adapters.ssh.shell import Shell
from orchestrator.adapters.ssh.texts import lines, plain, together
from orchestrator.core.model import Color, Host, Pin, Release, Service, Site
from orchestrator.core.sight import InstallationSeen
from orchestrator.core.steps import Part
from orchestrator.ports.installation import PartlySeen
from orchestrator.ports.trouble import Refused, Superseded, Trouble, Unreachable
from orchestrator.ports.witness import Witness
from orchestrator.releases import secrets
from orchestrator.releases.description import text_of
from orchestrator.releases.redact import Redactor

Inner = Callable[[Pin], tuple[str, int]]
LOG_MAX = 64 * 1024


class SshInstallation:
    """`Installation` of all services of a site, on its hosts."""

    def __init__(
        self,
        site: Site,
        identity: Identity,
        *,
        agents: Agents | None = None,
        inner: Inner | None = None,
        witness: Witness | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        """`agents`: those of the site, where others speak to its hosts too.

        `inner`: where an inner address of the switch is reached; None where there is none.
        """
        self.redactor = redactor or Redactor()
        self._site = site
        self._witness = witness
        self.bytes_per_s: float | None = None  # how fast bytes are sent, to all hosts together
        self._hosts = {host.name: host for host in site.hosts}
        self._agents = agents or Agents(Shell())
        self._who = Asking(site, identity, self._agents).who
        self._inner = inner
        self._book = Book(site.state)
        self._learned: set[tuple[str, Release]] = set()
        self._secrets: dict[tuple[str, Release], dict[str, str]] = {}  # as of the last start

    async def close(self) -> None:
        await self._agents.close()

    # -- Looking -----------------------------------------------------------------------------

    async def look(self, epoch: int | None) -> tuple[InstallationSeen, ...]:
        fields = await self._who(epoch)
        wanted: dict[Host, list[str]] = {}
        for service in self._site.services:
            for host in self._of_service(service.name):
                wanted.setdefault(host, []).append(service.name)
        asked = {
            host: self._agents.ask(host, "look", {**fields, "services": services})
            for host, services in wanted.items()
        }
        found = await asyncio.gather(*asked.values(), return_exceptions=True)
        answers, troubles = {}, []
        for host, one in zip(asked, found, strict=True):
            if isinstance(one, Unreachable | Refused):
                troubles.append(one)
            elif isinstance(one, BaseException):
                raise one
            else:
                answers[host.name] = one
        merged = seen.merged(self._site, answers, self._clean)
        if troubles:
            raise PartlySeen(together(trouble.why for trouble in troubles), merged)
        return merged

    async def service_as_staged(self, service: str, release: Release) -> Service | None:
        return self._book.read(service, release)

    def address(self, service: str, color: Color, instance: int) -> tuple[str, int]:
        placement = self._site.service(service).placement
        return self._host(service, instance).address, placement.port(color, instance)

    async def log(self, service: str, color: Color, instance: int, lines_max: int) -> str:
        where = {"service": service, "color": color.value, "index": INDEX}
        wanted = {"lines": max(1, min(lines_max, 1000))}
        host = self._host(service, instance)
        answer = await self._agents.ask(host, "log", {**await self._who(None), **where, **wanted})
        text = answer.get("text")
        self._learn_all(service)
        return self.redactor.clean(lines(text, LOG_MAX)) if isinstance(text, str) else ""

    async def surroundings(self, part: Part, instance: int) -> tuple[dict[str, str], str]:
        service = self._book.read(part.service, part.release)
        if service is None:
            raise Refused(f"{part.service} {part.release.label} was not staged from here")
        key = (part.service, part.release)
        if key not in self._secrets:  # as a look finds them; a start reads them anew
            values = await secrets.resolve(service.recipe, self._site.folder, self.redactor)
            self._secrets[key] = values
        fields = self._launch(service, part, instance, self._secrets[key])
        user = dict(service.recipe.unit).get("Service.User", "")
        host = self._host(part.service, instance).name
        folder = where(host, part.service, plain_release(part.release) or {}, user)
        return fields["instances"][0]["env"], folder

    async def check(self, part: Part) -> None:
        """Secrets and templates first; then what every host says of disk and port."""
        service = self._book.read(part.service, part.release) or self._site.service(part.service)
        values = await secrets.resolve(service.recipe, self._site.folder, self.redactor)
        for instance in self._numbers(part):
            self._launch(service, part, instance, values)
        port = service.placement.port(part.color, 0)
        fields = {**await self._who(None), "ports": [port]}
        asked = (self._checked(host, part, port, fields) for host in self._of(part))
        _raise_worst(await asyncio.gather(*asked, return_exceptions=True))

    async def _checked(self, host: Host, part: Part, port: int, fields: Json) -> None:
        facts = await self._agents.ask(host, "facts", fields)
        if facts.get("writable") is not True:
            why = plain(str(facts.get("why") or "no word why"), 300)
            raise Refused(f"{host.name}: nothing can be written there: {why}")
        for taken in _takers(facts, port):
            if taken.get("ours") is None:
                program = plain(str(taken.get("program") or "somebody"), 60)
                raise Refused(
                    f"{host.name}: port {port} of {part.service} {part.color.value} is taken by"
                    f" {program} (pid {taken.get('pid')}); nothing was started"
                )

    # -- Staging -----------------------------------------------------------------------------

    async def stage(self, part: Part, source: str | None, epoch: int) -> None:
        service, release = self._site.service(part.service), part.release
        if source is None:
            await self._already_staged(part, epoch)
            return
        # What packs and unpacks is loaded by whoever stages.
        from orchestrator.adapters.ssh.packing import pack
        from orchestrator.adapters.ssh.staging import Bandwidth, Staging
        from orchestrator.releases.identity import how, release_digest

        packed = await asyncio.to_thread(pack, source, os.path.join(self._site.state, "packed"))
        try:
            if release_digest(packed.content, service.recipe) != release.digest:
                raise Refused(
                    f"{source} is not {service.name} {release.label} any more: it, or how it is"
                    " run, changed since the plan was made; plan again"
                )
            fields = {**await self._who(epoch), **_release(part.service, release)}
            self._book.write(service, release)
            staging = Staging(
                self._agents, fields, packed, how(service.recipe), text_of(service),
                self._witness, Bandwidth(self.bytes_per_s),
            )  # fmt: skip
            _raise_worst(await staging.onto(self._of(part)))
        finally:
            packed.throw_away()

    async def _already_staged(self, part: Part, epoch: int) -> None:
        """The artifact is gone: every host has to have it."""
        looked = await self.look(epoch)
        one = next(i for i in looked if (i.service, i.color) == (part.service, part.color))
        if part.release not in one.staged:
            raise Refused(
                f"{part.service} {part.release.label} is not staged on every host, and its"
                " artifact is gone"
            )

    async def remove(self, service: str, release: Release, epoch: int) -> None:
        hosts = self._of_service(service)
        await self._each(hosts, "remove", _release(service, release), epoch)
        self._book.forget(service, release)

    async def point(self, service: str, color: Color, release: Release | None, epoch: int) -> None:
        fields = {"service": service, "color": color.value, "release": plain_release(release)}
        await self._each(self._of_service(service), "point", fields, epoch)

    # -- Starting and stopping ---------------------------------------------------------------

    async def start(self, part: Part, epoch: int) -> None:
        service = self._book.read(part.service, part.release)
        if service is None:
            raise Refused(f"{part.service} {part.release.label} was not staged from here")
        values = await secrets.resolve(service.recipe, self._site.folder, self.redactor)
        self._secrets[part.service, part.release] = values
        who = await self._who(epoch)
        starts = (
            self._agents.ask(
                host, "start", {**who, **self._launch(service, part, instance, values)}
            )
            for instance, host in zip(self._numbers(part), self._of(part), strict=True)
        )
        _raise_worst(await asyncio.gather(*starts, return_exceptions=True))

    def _launch(self, service: Service, part: Part, instance: int, values: dict[str, str]) -> Json:
        address = self.address(part.service, part.color, instance)
        words = launch.words_of(part, instance, address) | self._inner_urls(service, part)
        return launch.start_fields(service, part, words, values)

    def _inner_urls(self, service: Service, part: Part) -> dict[str, str]:
        """Where this color reaches what it uses. `Refused` where there is no such address."""
        urls = {}
        for use in service.uses:
            if self._inner is None:
                raise Refused(f"{part.service} uses {use.callee}, and no switch leads there")
            host, port = self._inner(Pin(part.service, part.color, use.callee))
            urls[f"{use.callee}.url"] = f"http://{host}:{port}"
        return urls

    async def stop(self, part: Part, epoch: int) -> None:
        known = self._book.read(part.service, part.release) or self._site.service(part.service)
        stop_s = known.recipe.stop_s
        fields = {"color": part.color.value, "stop_s": stop_s}
        fields |= _release(part.service, part.release)
        # All of them, also beyond the count of the part.
        hosts = self._of_service(part.service)
        await self._each(hosts, "stop", fields, epoch, more_s=stop_s)

    async def _each(
        self, hosts: tuple[Host, ...], verb: str, fields: Json, epoch: int, *, more_s: float = 0.0
    ) -> None:
        who = await self._who(epoch)
        asked = (self._agents.ask(host, verb, {**who, **fields}, more_s=more_s) for host in hosts)
        _raise_worst(await asyncio.gather(*asked, return_exceptions=True))

    # -- Who and where -----------------------------------------------------------------------

    def _host(self, service: str, instance: int) -> Host:
        return self._hosts[self._site.service(service).placement.hosts[instance]]

    def _numbers(self, part: Part) -> tuple[int, ...]:
        return self._site.service(part.service).placement.instances[: part.count]

    def _of(self, part: Part) -> tuple[Host, ...]:
        return tuple(self._host(part.service, instance) for instance in self._numbers(part))

    def _of_service(self, service: str) -> tuple[Host, ...]:
        """But for those that are away: nobody speaks to them."""
        numbers = self._site.service(service).placement.instances
        return tuple(self._host(service, instance) for instance in numbers)

    # -- Secrets in texts --------------------------------------------------------------------

    def _clean(self, service: str, release: Release | None, text: str) -> str:
        """What a program says may hold its secrets; a driver that did not start it knows none."""
        if text and release is not None and (service, release) not in self._learned:
            self._learned.add((service, release))
            known = self._book.read(service, release)
            if known is not None:
                secrets.learn_quietly(known.recipe, self._site.folder, self.redactor)
        return self.redactor.clean(text)

    def _learn_all(self, service: str) -> None:
        recipe = self._site.service(service).recipe
        secrets.learn_quietly(recipe, self._site.folder, self.redactor)


def _release(service: str, release: Release) -> Json:
    return {"service": service, "release": plain_release(release)}


def _takers(facts: Json, port: int) -> Iterable[Json]:
    ports = facts.get("ports")
    for one in ports if isinstance(ports, list) else ():
        if isinstance(one, dict) and one.get("port") == port and isinstance(one["taken"], list):
            yield from (taken for taken in one["taken"] if isinstance(taken, dict))


def _raise_worst(found: list[Any]) -> None:
    """Overtaken, refused, unknown, in this order; the hosts that say the worst are named."""
    for kind in (Superseded, Refused, Unreachable):
        whys = [one.why for one in found if isinstance(one, kind)]
        if whys:
            raise kind(together(whys))
    for one in found:
        if isinstance(one, BaseException) and not isinstance(one, Trouble):
            raise one
