"""The switch on HAProxy: colors are entries of a map, switched at all proxies together.

    ensure   files laid, and what the user's configuration lacks is said; HAProxy is never started
    send     prepared at every proxy, flipped at every proxy, re-read: the socket and the file
    look     what every proxy says, held against its file and against the others
    hold     a deadline at every proxy, which this driver renews
    let_go   the deadline is taken away

The one rule: nothing is believed but what a running HAProxy answers, and what a restarted one would
serve is the same. Shares are all or nothing here. Knows no policy: who may be sent where is decided
elsewhere.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping

from orchestrator.adapters.haproxy import flips, names, seen
from orchestrator.adapters.haproxy.far import Far, named
from orchestrator.adapters.haproxy.flips import Change, all_of, flip
from orchestrator.adapters.haproxy.proxy import Looked, Proxy
from orchestrator.adapters.haproxy.standing import Hold as Standing
from orchestrator.core.model import Color, Hold, Pin, ProxySpec, Share, Site
from orchestrator.core.sight import SwitchSeen
from orchestrator.core.stillness import Held
from orchestrator.ports.trouble import Refused, Superseded, Unreachable


class HaproxySwitch:
    """`ports.switch.Switch` on the HAProxies of a site (`site.proxies`)."""

    def __init__(
        self,
        site: Site,
        far: Far,
        *,
        follow_s: float = flips.FOLLOW_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`follow_s`: how long a proxy that does not follow is asked again.

        `now`: the clock that a latest instant is held against, in seconds since 1970.
        """
        self._site = site
        self._follow_s = follow_s
        self._now = now
        self._proxies = {
            spec.name: tuple(Proxy(site, spec, host, far) for host in spec.hosts)
            for spec in site.proxies
        }
        self._standing: Standing | None = None
        self._waited: tuple[float, ...] = ()
        self._ports = names.ports(site)

    # -- Looking -----------------------------------------------------------------------------

    async def look(self, epoch: int | None) -> SwitchSeen:
        looks = await asyncio.gather(*(self._look(spec, epoch) for spec in self._site.proxies))
        return SwitchSeen(
            shares=tuple(item for look in looks for item in look.shares),
            pins=tuple(item for look in looks for item in look.pins),
            connections=tuple(item for look in looks for item in look.connections),
            up=all(look.up for look in looks),
            note="; ".join(look.note for look in looks if look.note),
        )

    async def _look(self, spec: ProxySpec, epoch: int | None) -> SwitchSeen:
        looks = await self._looks(spec, epoch)
        return seen.merged(self._site, spec, looks)

    async def _looks(self, spec: ProxySpec, epoch: int | None) -> dict[str, Looked | str]:
        ends_holds = epoch is not None and self._standing is None  # those of a dead driver
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

        await flip(changes, epoch, left_s=left_s, follow_s=self._follow_s)
        await self._end_hold()

    def _at(
        self, spec: ProxySpec, shares: Mapping[str, Share], pins: Mapping[Pin, Color]
    ) -> list[Change]:
        """The same at every proxy of a switch that has a part in it."""
        own = {service.name for service in names.at_home(self._site, spec)}
        inner = set(names.pins(self._site, spec))
        entries = {n: seen.color_of(share.live) for n, share in shares.items() if n in own}
        entries |= {names.pin_key(pin): c.value for pin, c in pins.items() if pin in inner}
        held = self._standing
        return [
            Change(proxy, entries, held.at(proxy) if held and proxy in held.proxies else ())
            for proxy in (self._proxies[spec.name] if entries else ())
        ]

    def _refuse_what_no_switch_has(
        self, shares: Mapping[str, Share], pins: Mapping[Pin, Color]
    ) -> None:
        services = {s.name for spec in self._site.proxies for s in names.at_home(self._site, spec)}
        addresses = {pin for spec in self._site.proxies for pin in names.pins(self._site, spec)}
        if missing := [
            *sorted(set(shares) - services),
            *map(names.pin_place, sorted(set(pins) - addresses, key=names.pin_place)),
        ]:
            raise Refused(f"no switch of the site has {', '.join(missing)}")
        for name, share in shares.items():
            if share not in (Share(), *map(Share.all_to, Color)):
                raise Refused(
                    f"{name}: {share.blue} % blue, {share.green} % green: at HAProxy bg sends all"
                    " traffic of a service to one color, or none"
                )

    # -- Being there -------------------------------------------------------------------------

    async def ensure(self, epoch: int) -> None:
        await all_of(proxy.ensure(epoch) for proxy in self._everyone)

    async def remove(self, epoch: int) -> None:
        """HAProxy is the user's and stays; that nobody is sent anywhere is all there is to do."""
        looks = [await self._looks(spec, epoch) for spec in self._site.proxies]
        for spec, each in zip(self._site.proxies, looks, strict=True):
            if away := [named(host, why) for host, why in each.items() if isinstance(why, str)]:
                raise Unreachable("; ".join(away))
            merged = seen.merged(self._site, spec, each)
            if served := [name for name, share in merged.shares if share != Share()]:
                raise Refused(f"{', '.join(served)} is served now")

    def close(self) -> None:
        """Renew nothing any more."""
        if self._standing:
            self._standing.forget()

    # -- Time --------------------------------------------------------------------------------

    async def hold(self, services: tuple[str, ...], hold: Hold, epoch: int) -> float:
        if self._site.policy.hold is None:
            raise Refused("the switch was made without a hold: the site file asks for none")
        await self._end_hold()
        concerned = [proxy for proxy in self._everyone if _has_any(proxy, services)]
        standing, self._waited = Standing(concerned, services, epoch), ()
        began_s = self._now()
        await standing.begin(hold.for_s)
        self._standing = standing
        return began_s

    async def held(self, epoch: int) -> Held:
        if self._standing is None:
            raise Refused("nothing is held")
        return await self._standing.held()

    async def let_go(self, epoch: int) -> tuple[float, ...]:
        await self._end_hold()
        waited, self._waited = self._waited, ()
        return waited

    async def _end_hold(self) -> None:
        standing, self._standing = self._standing, None
        if standing is not None:
            self._waited += await standing.end()

    # -- Addresses ---------------------------------------------------------------------------

    def inner_address(self, pin: Pin) -> tuple[str, int]:
        """At the name under which all proxies answer, so that one of them may be away."""
        spec = names.home(self._site, self._site.service(pin.callee))
        if spec is None:
            raise Refused(f"no HAProxy of the site has {names.pin_place(pin)}")
        return names.reached_at(spec), self._ports[names.pin_place(pin)]

    def outer_address(self, service: str) -> str | None:
        route = self._site.service(service).behind
        spec = next((s for s in self._site.proxies if route and s.name == route.switch), None)
        if route is None or spec is None:
            return None
        url = spec.url.rstrip("/")
        if route.host:
            url = url.replace(names.reached_at(spec), route.host, 1)
        return f"{url}{route.path}"

    def preview_address(self, service: str, color: Color) -> str | None:
        described = self._site.service(service)
        spec = names.home(self._site, described)
        if spec is None:
            return None
        port = self._ports[names.preview_place(service, color)]
        path = described.behind.path if described.behind else "/"
        return f"http://{names.reached_at(spec)}:{port}{path}"

    @property
    def _everyone(self) -> tuple[Proxy, ...]:
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


def _has_any(proxy: Proxy, services: tuple[str, ...]) -> bool:
    return any(one.name in services for one in names.at_home(proxy.site, proxy.spec))
