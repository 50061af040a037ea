"""A switch made of the proxies of some hosts: all of them looked at, all of them sent together.

    ensure   files laid, and what the user's configuration lacks is said; no proxy is ever started
    send     prepared at every proxy, flipped at every proxy, each re-read
    look     what every proxy says, held against its file and against the others
    examined what `check` asks of every proxy before anything is sent through it

The one rule: nothing is believed but what a running proxy answers, and what a restarted one would
serve is the same. Shares are all or nothing here. Knows no policy: who may be sent where is decided
elsewhere. What a proxy is, and what only one program can, is its adapter's.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from orchestrator.core.model import Color, Pin, ProxySpec, Share, Site
from orchestrator.core.sight import SwitchSeen
from orchestrator.ports.trouble import Refused, Superseded, Trouble, Unreachable
from orchestrator.proxies import addresses, seen
from orchestrator.proxies.far import named
from orchestrator.proxies.flips import Change, Patience, all_of, flip
from orchestrator.proxies.proxy import Looked, Proxy

P = TypeVar("P", bound=Proxy)


class ProxySwitch(Generic[P]):
    """The verbs of `ports.switch.Switch` that are the same for every program."""

    program = ""  # what people call it

    def __init__(
        self,
        site: Site,
        proxy_at: Callable[[ProxySpec, str], P],
        patience: Patience,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`proxy_at`: the one of a switch on a host.

        `now`: the clock that a latest instant is held against, in seconds since 1970.
        """
        self._site = site
        self._patience = patience
        self._now = now
        self._proxies = {
            spec.name: tuple(proxy_at(spec, host) for host in spec.hosts) for spec in site.proxies
        }
        self._ports = addresses.ports(site)

    def remarks(self) -> tuple[str, ...]:
        """There is nothing that it cannot promise."""
        return ()

    def _ends_holds(self) -> bool:
        """Whether what holds there now is a dead driver's."""
        return False

    def _held_at(self, proxy: P) -> tuple[str, ...]:
        """What has to be held there for a flip to be made."""
        return ()

    async def _end_hold(self) -> None:
        """What this driver holds, it holds no more."""

    # -- Looking -----------------------------------------------------------------------------

    async def look(self, epoch: int | None) -> SwitchSeen:
        looks = await asyncio.gather(*(self._look(spec, epoch) for spec in self._site.proxies))
        return SwitchSeen(
            shares=tuple(item for look in looks for item in look.shares),
            pins=tuple(item for look in looks for item in look.pins),
            connections=tuple(item for look in looks for item in look.connections),
            up=all(look.up for look in looks),
            note="; ".join(look.note for look in looks if look.note),
            astray=tuple(item for look in looks for item in look.astray),
            lingering=tuple(item for look in looks for item in look.lingering),
        )

    async def _look(self, spec: ProxySpec, epoch: int | None) -> SwitchSeen:
        looks = await self._looks(spec, epoch)
        return seen.merged(self._site, spec, looks)

    async def _looks(self, spec: ProxySpec, epoch: int | None) -> dict[str, Looked | str]:
        ends_holds = epoch is not None and self._ends_holds()
        answers = await asyncio.gather(
            *(proxy.look(epoch, ends_holds=ends_holds) for proxy in self._proxies[spec.name]),
            return_exceptions=True,
        )
        for answer in answers:
            if isinstance(answer, Superseded):
                raise answer
        return {
            proxy.host: _as_seen(answer)
            for proxy, answer in zip(self._proxies[spec.name], answers, strict=True)
        }

    # -- Sending -----------------------------------------------------------------------------

    async def send(
        self,
        shares: dict[str, Share],
        pins: dict[Pin, Color],
        epoch: int,
        *,
        not_after_s: float | None = None,
    ) -> None:
        self._refuse_what_no_switch_has(shares, pins)
        changes = [change for spec in self._site.proxies for change in self._at(spec, shares, pins)]

        def left_s() -> float:
            return math.inf if not_after_s is None else not_after_s - self._now()

        await flip(changes, epoch, left_s=left_s, patience=self._patience)
        await self._end_hold()

    def _at(
        self, spec: ProxySpec, shares: Mapping[str, Share], pins: Mapping[Pin, Color]
    ) -> list[Change]:
        """The same at every proxy of a switch that has a part in it."""
        own = {service.name for service in addresses.at_home(self._site, spec)}
        inner = set(addresses.pins(self._site, spec))
        entries = {n: seen.color_of(share.live) for n, share in shares.items() if n in own}
        entries |= {addresses.pin_key(pin): c.value for pin, c in pins.items() if pin in inner}
        return [
            Change(proxy, entries, self._held_at(proxy))
            for proxy in (self._proxies[spec.name] if entries else ())
        ]

    def _refuse_what_no_switch_has(
        self, shares: Mapping[str, Share], pins: Mapping[Pin, Color]
    ) -> None:
        site = self._site
        services = {s.name for spec in site.proxies for s in addresses.at_home(site, spec)}
        inner = {pin for spec in site.proxies for pin in addresses.pins(site, spec)}
        if missing := [
            *sorted(set(shares) - services),
            *map(addresses.pin_place, sorted(set(pins) - inner, key=addresses.pin_place)),
        ]:
            raise Refused(f"no switch of the site has {', '.join(missing)}")
        for name, share in shares.items():
            if share not in (Share(), *map(Share.all_to, Color)):
                raise Refused(
                    f"{name}: {share.blue} % blue, {share.green} % green: at {self.program} bg"
                    " sends all traffic of a service to one color, or none"
                )

    # -- Being there -------------------------------------------------------------------------

    async def ensure(self, epoch: int) -> None:
        await all_of(proxy.ensure(epoch) for proxy in self._everyone)

    async def admit(self, hosts: tuple[str, ...], epoch: int) -> None:
        """The configuration alone says who is sent where."""

    async def examined(self) -> tuple[tuple[bool, str], ...]:
        """Of every proxy, whether something is wrong with it, and what. Changes nothing.

        Each gets its own sentence, the very one that a deploy would be refused with, and one that
        is wrong hides no other.
        """
        return tuple(await asyncio.gather(*map(self._examined, self._everyone)))

    async def _examined(self, proxy: Proxy) -> tuple[bool, str]:
        try:
            wrong = await proxy.wrong(None)
        except Trouble as trouble:
            wrong = trouble.why
        if wrong:
            return True, wrong
        return False, f"{proxy.host}: {self.program} has every line that {proxy.spec.name} needs"

    async def remove(self, epoch: int) -> None:
        """The proxies are the user's and stay: that nobody is sent anywhere is all there is."""
        looks = [await self._looks(spec, epoch) for spec in self._site.proxies]
        for spec, each in zip(self._site.proxies, looks, strict=True):
            if away := [named(host, why) for host, why in each.items() if isinstance(why, str)]:
                raise Unreachable("; ".join(away))
            merged = seen.merged(self._site, spec, each)
            if served := [name for name, share in merged.shares if share != Share()]:
                raise Refused(f"{', '.join(served)} is served now")

    # -- Addresses ---------------------------------------------------------------------------

    def inner_address(self, pin: Pin) -> tuple[str, int]:
        """At the name under which all proxies answer, so that one of them may be away."""
        spec = addresses.home(self._site, self._site.service(pin.callee))
        if spec is None:
            raise Refused(f"no {self.program} of the site has {addresses.pin_place(pin)}")
        return addresses.reached_at(spec), self._ports[addresses.pin_place(pin)]

    def outer_address(self, service: str) -> str | None:
        route = self._site.service(service).behind
        spec = next((s for s in self._site.proxies if route and s.name == route.switch), None)
        if route is None or spec is None:
            return None
        url = spec.url.rstrip("/")
        if route.host:
            url = url.replace(addresses.reached_at(spec), route.host, 1)
        return f"{url}{route.path}"

    def preview_address(self, service: str, color: Color) -> str | None:
        described = self._site.service(service)
        spec = addresses.home(self._site, described)
        if spec is None:
            return None
        port = self._ports[addresses.preview_place(service, color)]
        path = described.behind.path if described.behind else "/"
        return f"http://{addresses.reached_at(spec)}:{port}{path}"

    @property
    def _everyone(self) -> tuple[P, ...]:
        return tuple(proxy for each in self._proxies.values() for proxy in each)


def _as_seen(answer: Looked | BaseException) -> Looked | str:
    """What a proxy said, or why it said nothing."""
    match answer:
        case Looked():
            return answer
        case Refused(why=why) | Unreachable(why=why):
            return why
        case _:
            raise answer
