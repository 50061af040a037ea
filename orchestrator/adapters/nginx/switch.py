"""The switch on nginx: colors are variables of an included file, and a flip is a reload.

What is the same for every program is `orchestrator.proxies`'. Here is what nginx cannot: it stops
no time, and a reload closes the connections that wait for a next request. The one rule: what cannot
be promised is said, before and after.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from orchestrator.adapters.nginx.proxy import Proxy
from orchestrator.adapters.nginx.remarks import remark, still_sent
from orchestrator.core.model import Hold, Site
from orchestrator.core.stillness import Held
from orchestrator.ports.trouble import Refused
from orchestrator.proxies import addresses
from orchestrator.proxies.far import Far
from orchestrator.proxies.flips import Patience
from orchestrator.proxies.switch import ProxySwitch

PATIENCE = Patience(follow_s=5.0, back_s=5.0)  # a reload takes 0.2 s and more
CANNOT_HOLD = "nginx cannot stop time: it has nothing that makes requests wait"


class NginxSwitch(ProxySwitch[Proxy]):
    """`ports.switch.Switch` on the nginxes of a site (`site.proxies`)."""

    program = "nginx"

    def __init__(
        self,
        site: Site,
        far: Far,
        *,
        patience: Patience = PATIENCE,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(site, lambda spec, host: Proxy(site, spec, host, far), patience, now)

    def remarks(self) -> tuple[str, ...]:
        """With what the last reloads cut short, where the proxies were looked at before."""
        reloads = (
            remark(name, tuple(cut for proxy in proxies for cut in proxy.cuts))
            for name, proxies in self._proxies.items()
        )
        hosts = (
            still_sent(spec.name, host)
            for spec in self._site.proxies
            for host in addresses.out(self._site, spec)
        )
        return (*reloads, *hosts)

    async def examined(self) -> tuple[tuple[bool, str], ...]:
        """And of each switch, what it cannot promise."""
        found = await super().examined()
        await self.look(None)  # for what its reloads cut short
        return (*found, *((False, one) for one in self.remarks()))

    def close(self) -> None:
        """Nothing is held, so nothing is left."""

    async def hold(self, services: tuple[str, ...], hold: Hold, epoch: int) -> float:
        raise Refused(CANNOT_HOLD)

    async def held(self, epoch: int) -> Held:
        raise Refused(CANNOT_HOLD)

    async def let_go(self, epoch: int) -> tuple[float, ...]:
        return ()
