"""One HAProxy of a switch: its verbs as calls, its answers as values.

`proxies.proxy.Proxy` on HAProxy, and what only HAProxy can: hold, and keep hosts out. The one rule:
what it says is believed about itself alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from orchestrator.adapters.haproxy import lua, names
from orchestrator.adapters.haproxy.missing import missing, sizes
from orchestrator.core.model import Color, ProxySpec, Service, Site
from orchestrator.ports.trouble import Refused, Unreachable
from orchestrator.proxies import addresses
from orchestrator.proxies.far import Answer, Far, named
from orchestrator.proxies.lacking import SHOWN, sentence, told_of
from orchestrator.proxies.proxy import Looked, Prepared, Sent

TERM_S = 0.5  # how long a hold lasts of itself


@dataclass(frozen=True, slots=True)
class Standing:
    """What one says while it holds. `waits`: the notes of `lua`, added up."""

    pid: int
    counts: Mapping[str, int]
    waits: Mapping[str, int]


class Proxy:
    def __init__(self, site: Site, spec: ProxySpec, host: str, far: Far) -> None:
        self.site, self.spec, self.host = site, spec, host
        self._far = far

    async def look(self, epoch: int | None, *, ends_holds: bool = False) -> Looked:
        out = addresses.out(self.site, self.spec)
        said = await self._ask("proxy_look", epoch, ends_holds=ends_holds, out=out)
        if not said.yes("up"):
            return Looked(None, said.texts("file"), said.yes("whole"), said.words("why"))
        running, older = said.texts("running"), said.number("older")
        return Looked(
            running,
            said.texts("file"),
            said.yes("whole"),
            "" if running is not None else "it has none of bg's maps",
            older,
            _older(older),
            self._counted(said.numbers("counts")),
            self._astray(said),
            self._lingering(said),
        )

    def _counted(self, counts: Mapping[str, int]) -> dict[tuple[str, Color], int]:
        return {
            (service.name, color): sum(
                counts.get(way(self.site, service.name, color), 0)
                for way in (names.backend, names.stream_backend)
            )
            for service in addresses.at_home(self.site, self.spec)
            for color in Color
        }

    # -- Hosts -------------------------------------------------------------------------------

    async def keep_out(self, epoch: int) -> None:
        """Hosts that were taken out get no new requests, not even of who sticks to them; what they
        answer already goes on to its end.
        """
        if out := addresses.out(self.site, self.spec):
            await self._keep(epoch, out=out)

    async def admit(self, hosts: Iterable[str], epoch: int) -> None:
        """They get new requests, whoever kept them out."""
        placed = {host for one in self._services for host in one.placement.hosts}
        out = addresses.out(self.site, self.spec)
        if back := sorted(placed & set(hosts) - set(out)):
            await self._keep(epoch, back=back)

    async def _keep(self, epoch: int, *, out: Iterable[str] = (), back: Iterable[str] = ()) -> None:
        backends = tuple(self._backends())
        said = await self._ask(
            "proxy_servers", epoch, backends=backends, out=tuple(out), back=tuple(back)
        )
        self._refuse_away(said)
        if said.list("left"):
            raise Refused(f"{self.host}: HAProxy keeps the state of some servers as it is")

    def _astray(self, said: Answer) -> frozenset[tuple[str, Color, str]]:
        servers = self._servers(said.texts("astray") or {})
        return frozenset((service, color, host) for _, service, color, host in servers)

    def _lingering(self, said: Answer) -> dict[str, int]:
        """At what people and inner calls come by; previews are no traffic."""
        counts, found = said.numbers("lingers"), dict[str, int]()
        for name, service, color, host in self._servers(counts):
            if not name.startswith(names.preview_backend(self.site, service, color)):
                found[host] = found.get(host, 0) + counts[name]
        return found

    def _servers(self, said: Iterable[str]) -> Iterator[tuple[str, str, Color, str]]:
        """Those of the site among these `BACKEND/SERVER`; no other is anybody's."""
        known = self._backends() if said else {}
        placed = {one.name: one.placement.hosts for one in self._services}
        for name in said:
            way, _, host = name.partition("/")
            if way in known and host in placed[known[way][0]]:
                yield name, *known[way], host

    def _backends(self) -> dict[str, tuple[str, Color]]:
        """Each backend of the site, and whom it leads to."""
        return {
            way: (service.name, color)
            for service in self._services
            for color in Color
            for way in names.backends(self.site, service.name, color)
        }

    @property
    def _services(self) -> tuple[Service, ...]:
        return addresses.at_home(self.site, self.spec)

    # -- Flipping ----------------------------------------------------------------------------

    async def prepare(self, changes: Mapping[str, str], epoch: int) -> Prepared:
        keys = addresses.keys(self.site, self.spec)
        said = await self._ask("proxy_prepare", epoch, keys=keys, changes=dict(changes))
        before, wanted = said.texts("before"), said.texts("wanted")
        if before is None or wanted is None:
            raise Unreachable(f"{self.host}: its answer makes no sense (before, wanted)")
        pid, version = said.number("pid"), said.number("version")
        clock_s, why = said.seconds("clock_s"), said.words("why")
        process = str(pid) if pid else ""
        return Prepared(before, wanted, process, why, clock_s, time.monotonic(), version)

    async def send(
        self, what: Prepared, epoch: int, held: Iterable[str] = (), *, within_s: float
    ) -> Sent:
        """What arrives at the host later than that changes nothing there; nor is it waited for."""
        said = await self._ask(
            "proxy_send",
            epoch,
            wanted=what.wanted,
            pid=int(what.process or 0),
            version=what.version,
            held=sorted(held),
            until_s=what.until_s(within_s),
        )
        return Sent(said.yes("flipped"), said.yes("laid"), said.yes("late"), said.words("why"))

    # -- Time --------------------------------------------------------------------------------

    async def hold(self, services: Iterable[str], epoch: int, *, term_s: float) -> None:
        """The deadline moves."""
        await self._ask("proxy_hold", epoch, services=sorted(services), term_s=term_s)

    async def begin_hold(self, services: Iterable[str], epoch: int) -> Standing:
        """`Refused`, `Unreachable`: it does not hold."""
        said = await self._ask(
            "proxy_hold", epoch, services=sorted(services), term_s=TERM_S, first=True
        )
        self._refuse_away(said)
        if said.number("older"):
            raise Refused(
                f"{self.host}: {said.number('older')} HAProxy of before a reload still serves"
                " connections, and cannot be made to hold; it ends with them (`hard-stop-after`)"
            )
        if not said.yes("stands"):
            raise Unreachable(f"{self.host}: HAProxy does not show the hold")
        return Standing(said.number("pid"), {}, said.numbers("waits"))

    async def held(self, epoch: int) -> Standing:
        said = await self._ask("proxy_held", epoch)
        self._refuse_away(said)
        return Standing(said.number("pid"), said.numbers("counts"), said.numbers("waits"))

    async def let_go(self, services: Iterable[str], epoch: int) -> Mapping[str, int]:
        said = await self._ask("proxy_let_go", epoch, services=sorted(services))
        self._refuse_away(said)
        return said.numbers("waits")

    # -- Being there -------------------------------------------------------------------------

    async def ensure(self, epoch: int) -> None:
        """Files laid where they are missing. `Refused`: what its configuration lacks."""
        site, spec = self.site, self.spec
        holding = [s.name for s in addresses.at_home(site, spec)] if site.policy.hold else []
        await self._ask(
            "proxy_lay",
            epoch,
            keys=addresses.keys(site, spec),
            lua=lua.text(site, spec),
            services=holding,
        )
        await self.keep_out(epoch)
        if wrong := await self.wrong(epoch, shown=SHOWN):
            raise Refused(wrong)

    async def wrong(self, epoch: int | None, *, shown: int | None = None) -> str:
        """What its configuration lacks, and what to do; empty where nothing. Changes nothing.

        `shown`: so many of the lines that are missing are named; None: all.
        """
        said = await self._ask("proxy_config", epoch, config=names.CONFIG)
        if lacking := missing(said.text("text"), self.site, self.spec):
            where = ", ".join(said.list("files")) or names.CONFIG
            told = told_of(lacking, sizes(self.site, self.spec))
            return f"{self.host}: {sentence(where, told, shown, 'haproxy')}"
        self._refuse_away(said)
        if not self._is_loaded(said):
            return (
                f"{self.host}: {', '.join(said.list('files'))} has all lines, but HAProxy runs with"
                " others: reload it (systemctl reload haproxy)"
            )
        return ""

    def _is_loaded(self, said: Answer) -> bool:
        site, spec = self.site, self.spec
        maps = {names.colors_map(site, spec)}
        if site.policy.hold:
            maps |= {names.holds_map(site, spec), names.waits_map(site, spec)}
        ends = {path.rpartition("/")[2] for path in said.list("maps")}
        running = said.lists("servers")
        # The name of a host is HAProxy's to resolve, so only ports are compared.
        servers = all(
            {_port(address) for _, address in addresses.servers_of(site, service, color)}
            <= {_port(one) for one in running.get(names.backend(site, service.name, color), ())}
            for service in addresses.at_home(site, spec)
            for color in Color
        )
        return servers and {path.rpartition("/")[2] for path in maps} <= ends

    # -- Asking ------------------------------------------------------------------------------

    async def _ask(self, verb: str, epoch: int | None, **more: object) -> Answer:
        args = {"socket": self.spec.socket, "maps": self.spec.maps, **more}
        return Answer(self.host, await self._far.ask(self.host, verb, args, epoch))

    def _refuse_away(self, said: Answer) -> None:
        if not said.yes("up"):
            raise Unreachable(named(self.host, said.words("why")))


def _port(address: str) -> str:
    return address.rpartition(":")[2]


def _older(count: int) -> str:
    if not count:
        return ""
    return (
        f"{count} HAProxy of before a reload still serves old connections, by the colors it had"
        " then"
    )
