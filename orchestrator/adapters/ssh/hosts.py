"""Each host of a site by itself: looked at, told gone, taken back, taken over.

The one rule: all hosts are asked side by side, each within `LOOK_S`, and whatever one answers or
does not answer becomes its own line. A look carries no epoch and changes nothing but that the agent
is sent where it is not.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from orchestrator.adapters.ssh import seen
from orchestrator.adapters.ssh.agents import Agents
from orchestrator.adapters.ssh.asking import Asking, Identity
from orchestrator.adapters.ssh.known import WrongKey
from orchestrator.adapters.ssh.lines import Json, plain_release
from orchestrator.adapters.ssh.shell import AT_ONCE
from orchestrator.adapters.ssh.texts import plain, together
from orchestrator.core.model import Host, Site
from orchestrator.ports.hosts import HostSeen, Kept, OnHost, Wrong
from orchestrator.ports.trouble import Refused, Superseded, Trouble, Unreachable

LOOK_S = 8.0


class SshHosts:
    """`ports.hosts.Hosts`. Those that are away are hosts of the site all the same."""

    def __init__(self, site: Site, identity: Identity, agents: Agents) -> None:
        self._site, self._identity, self._agents = site, identity, agents
        self._hosts = {host.name: host for host in site.hosts}
        self._asking = Asking(site, identity, agents)

    # -- Looking -----------------------------------------------------------------------------

    async def look(self, names: tuple[str, ...]) -> tuple[HostSeen, ...]:
        journal, turns = await self._identity(), asyncio.Semaphore(AT_ONCE)

        async def in_turn(host: Host) -> HostSeen:
            async with turns:  # of many, none is taken for dead because it had to wait
                return await self._look_at(host, journal)

        return tuple(await asyncio.gather(*(in_turn(self._hosts[name]) for name in names)))

    async def _look_at(self, host: Host, journal: str) -> HostSeen:
        try:
            async with asyncio.timeout(LOOK_S):
                said = await self._agents.ask(
                    host, "hello", {"site": self._site.name, "closely": True}
                )
                if not self._placed_on(host.name):
                    said = {**said, "trouble": None}  # it asks what units need, and none are here
                found = _said(host, said, journal)
                if found.wrong is Wrong.GONE or not self._placed_on(host.name):
                    return found
                return self._with_services(found, await self._services(host))
        except TimeoutError:
            why = f"{host.name} does not answer within {LOOK_S:g} s"
            return HostSeen(host.name, host.address, Wrong.DOWN, why)
        except WrongKey as wrong:
            return HostSeen(host.name, host.address, Wrong.KEY, wrong.why)
        except Unreachable as away:
            return HostSeen(host.name, host.address, Wrong.DOWN, away.why)
        except Trouble as trouble:
            return HostSeen(host.name, host.address, Wrong.TROUBLE, trouble.why)

    async def _services(self, host: Host, epoch: int | None = None) -> Json:
        fields: dict[str, Any] = {"services": self._placed_on(host.name)}
        return await self._asking.ask(host.name, "look", fields, epoch)

    def _placed_on(self, name: str) -> list[str]:
        return [s.name for s in self._site.services if name in s.placement.hosts]

    def _with_services(self, found: HostSeen, answer: Json) -> HostSeen:
        on, staged = seen.on_host(found.name, self._placed_on(found.name), answer)
        return replace(found, on=on, staged=staged)

    # -- Belonging ---------------------------------------------------------------------------

    async def tell_gone(self, name: str, why: str, epoch: int) -> None:
        words = plain(why, 500) or "taken out by bgctl without"
        try:
            async with asyncio.timeout(LOOK_S):
                await self._asking.ask(name, "gone", {"why": words}, epoch)
        except TimeoutError:
            raise Unreachable(f"{name} does not answer within {LOOK_S:g} s") from None

    async def readmit(self, name: str, kept: Kept, epoch: int) -> tuple[OnHost, ...]:
        await self._asking.ask(name, "readmit", {}, epoch)
        if not self._placed_on(name):
            return ()
        found = HostSeen(name, self._hosts[name].address)
        there = self._with_services(found, await self._services(self._hosts[name], epoch))
        stray = tuple(
            one
            for one in there.on
            if one.release is not None
            and (one.running or one.kept)
            and (one.service, one.color, one.release) not in kept
        )
        for one in stray:
            stop_s = self._site.service(one.service).recipe.stop_s
            where = {"service": one.service, "color": one.color.value, "stop_s": stop_s}
            fields = {**await self._asking.who(epoch), **where}
            await self._agents.ask(
                self._hosts[name],
                "stop",
                {**fields, "release": plain_release(one.release)},
                more_s=stop_s,
            )
        return stray

    async def adopt(self, names: tuple[str, ...], epoch: int) -> None:
        """The younger epoch first fences whoever drove before, then the journal is another one."""
        answers = await asyncio.gather(
            *(self._asking.ask(name, "adopt", {}, epoch) for name in names), return_exceptions=True
        )
        for kind in (Superseded, Refused, Unreachable):
            whys = [one.why for one in answers if isinstance(one, kind)]
            if whys:
                raise kind(together(whys))
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer


def _said(host: Host, said: Json, journal: str) -> HostSeen:
    youngest, free = said.get("youngest"), said.get("free")
    found = HostSeen(
        host.name,
        host.address,
        journal=_word(said, "journal", 128),
        youngest=youngest if type(youngest) is int else 0,
        agent=_word(said, "version"),
        python=_word(said, "python"),
        systemd=_word(said, "systemd"),
        user=_word(said, "user"),
        how=_word(said, "how"),
        free=free if type(free) is int else None,
    )
    wrong, why = _wrong(host, said, found, journal)
    return replace(found, wrong=wrong, why=why)


def _word(said: Json, key: str, most: int = 40) -> str:
    value = said.get(key)
    return plain(str(value), most) if isinstance(value, str | int) else ""


def _wrong(host: Host, said: Json, found: HostSeen, journal: str) -> tuple[Wrong | None, str]:
    gone = said.get("gone")
    if isinstance(gone, str):
        return Wrong.GONE, f"{host.name} was told gone: {plain(gone, 200)}"
    if found.journal and found.journal != journal:
        return Wrong.FOREIGN, f"{host.name} belongs to another journal, epoch {found.youngest}"
    if trouble := said.get("trouble"):
        return Wrong.TROUBLE, f"{host.name}: {plain(str(trouble), 300)}"
    return None, ""
