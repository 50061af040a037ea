"""The switch on HAProxy: colors are entries of a map, switched at all proxies together.

What is the same for every program is `orchestrator.proxies`'. Here is what only HAProxy can:

    hold     a deadline at every proxy, which this driver renews
    let_go   the deadline is taken away
    admit    servers get requests again; those of hosts that were taken out get none

HAProxy forgets at each start who is kept out, so a send sees to that first.

The one rule: who holds, holds at every proxy or at none, and lets go of what it held itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from orchestrator.adapters.haproxy.proxy import Proxy
from orchestrator.adapters.haproxy.standing import Hold as Standing
from orchestrator.core.model import Color, Hold, Pin, Share, Site
from orchestrator.core.stillness import Held
from orchestrator.ports.trouble import Refused
from orchestrator.proxies import addresses
from orchestrator.proxies.far import Far
from orchestrator.proxies.flips import Patience, all_of
from orchestrator.proxies.switch import ProxySwitch

PATIENCE = Patience(follow_s=2.0, back_s=2.0)  # a flip takes milliseconds


class HaproxySwitch(ProxySwitch[Proxy]):
    """`ports.switch.Switch` on the HAProxies of a site (`site.proxies`)."""

    program = "HAProxy"

    def __init__(
        self,
        site: Site,
        far: Far,
        *,
        patience: Patience = PATIENCE,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(site, lambda spec, host: Proxy(site, spec, host, far), patience, now)
        self._standing: Standing | None = None
        self._waited: tuple[float, ...] = ()

    def close(self) -> None:
        """Renew nothing any more."""
        if self._standing:
            self._standing.forget()

    def _ends_holds(self) -> bool:
        return self._standing is None

    def _held_at(self, proxy: Proxy) -> tuple[str, ...]:
        standing = self._standing
        return standing.at(proxy) if standing and proxy in standing.proxies else ()

    # -- Hosts -------------------------------------------------------------------------------

    async def send(
        self,
        shares: dict[str, Share],
        pins: dict[Pin, Color],
        epoch: int,
        *,
        not_after_s: float | None = None,
    ) -> None:
        await all_of(proxy.keep_out(epoch) for proxy in self._everyone)
        await super().send(shares, pins, epoch, not_after_s=not_after_s)

    async def admit(self, hosts: tuple[str, ...], epoch: int) -> None:
        await all_of(proxy.admit(hosts, epoch) for proxy in self._everyone)

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


def _has_any(proxy: Proxy, services: tuple[str, ...]) -> bool:
    return any(one.name in services for one in addresses.at_home(proxy.site, proxy.spec))
