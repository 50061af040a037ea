"""Time stopped at several proxies: hold all, look at all, let all go.

A hold is a deadline at each proxy, renewed every `RENEW_S` for as long as the site lets a request
wait; it ends by itself soon after whoever renews it is gone. The one rule: a proxy that was started
again, or at which anybody got through, is said so, for then nothing may flip.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping

from orchestrator.adapters.haproxy import lua, names
from orchestrator.adapters.haproxy import proxy as proxies
from orchestrator.adapters.haproxy.proxy import Proxy
from orchestrator.core.model import Color
from orchestrator.core.stillness import Held
from orchestrator.ports.trouble import Superseded, Trouble
from orchestrator.proxies import addresses
from orchestrator.proxies.flips import all_of

RENEW_S = 0.1
LET_GO_S = 0.5  # until all who waited have gone on; what then does not answer lets go by itself


class Hold:
    """One hold of one driver, at these proxies."""

    def __init__(self, held: Iterable[Proxy], services: tuple[str, ...], epoch: int) -> None:
        self.proxies = tuple(held)
        self.services = services
        self._epoch = epoch
        self._before: dict[str, proxies.Standing] = {}
        self._renewing: list[asyncio.Task[None]] = []
        self._ended = asyncio.Event()

    def at(self, proxy: Proxy) -> tuple[str, ...]:
        """What is held of this proxy's services."""
        own = {service.name for service in addresses.at_home(proxy.site, proxy.spec)}
        return tuple(name for name in self.services if name in own)

    async def begin(self, for_s: float) -> None:
        """Returns when every proxy holds. Whatever it raises, nobody is held for long."""
        until = time.monotonic() + for_s
        try:
            found = await all_of(p.begin_hold(self.at(p), self._epoch) for p in self.proxies)
        except BaseException:
            await self.end()
            raise
        hosts = (proxy.host for proxy in self.proxies)
        self._before = dict(zip(hosts, found, strict=True))
        self._renewing = [asyncio.create_task(self._renew(p, until)) for p in self.proxies]

    async def _renew(self, proxy: Proxy, until: float) -> None:
        """Each for itself: one that is slow makes no other late."""
        while not await self._over(RENEW_S):
            left_s = until - time.monotonic()
            if left_s <= 0.001:
                return
            try:
                term_s = min(proxies.TERM_S, left_s)
                await proxy.hold(self.at(proxy), self._epoch, term_s=term_s)
            except Superseded:
                return
            except Trouble:
                continue  # the deadline is further away than the next try

    async def _over(self, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                return await self._ended.wait()
        except TimeoutError:
            return False

    async def held(self) -> Held:
        looks = await all_of(proxy.held(self._epoch) for proxy in self.proxies)
        pairs = tuple(zip(self.proxies, looks, strict=True))
        before = self._before
        return Held(
            in_flight=sum(self._count(proxy, look, streams=False) for proxy, look in pairs),
            waiting=sum(look.waits.get("waiting", 0) for look in looks),
            leaked=sum(
                _more(look.waits, before[proxy.host].waits, "lapsed") for proxy, look in pairs
            ),
            restarted=any(look.pid != before[proxy.host].pid for proxy, look in pairs),
            streams=sum(self._count(proxy, look, streams=True) for proxy, look in pairs),
        )

    def _count(self, proxy: Proxy, look: proxies.Standing, *, streams: bool) -> int:
        name = names.stream_backend if streams else names.backend
        ways = (name(proxy.site, service, c) for service in self.at(proxy) for c in Color)
        return sum(look.counts.get(way, 0) for way in ways)

    async def end(self) -> tuple[float, ...]:
        """Let all go; how long each waited, in seconds. Raises nothing; twice is once."""
        if self._ended.is_set():
            return ()
        self._ended.set()
        if self._renewing:  # one on its way would hold again what was let go
            await asyncio.wait(self._renewing, timeout=LET_GO_S)
        for task in self._renewing:
            task.cancel()
        waits = await asyncio.gather(*(self._let_go(proxy) for proxy in self.proxies))
        return tuple(one for each in waits for one in each)

    async def _let_go(self, proxy: Proxy) -> tuple[float, ...]:
        waits: Mapping[str, int] = {}
        try:
            async with asyncio.timeout(LET_GO_S):
                waits = await proxy.let_go(self.at(proxy), self._epoch)
                while waits.get("waiting", 0):
                    await asyncio.sleep(0.005)
                    waits = (await proxy.held(self._epoch)).waits
        except (Trouble, TimeoutError):
            pass
        before = self._before.get(proxy.host)
        return _waited(waits, before.waits) if before else ()

    def forget(self) -> None:
        """Renew no more. What waits is let go by the deadline."""
        self._ended.set()
        for task in self._renewing:
            task.cancel()


def _more(now: Mapping[str, int], before: Mapping[str, int], name: str) -> int:
    return max(now.get(name, 0) - before.get(name, 0), 0)


def _waited(now: Mapping[str, int], before: Mapping[str, int]) -> tuple[float, ...]:
    found: list[float] = []
    for name in now:
        kind, _, bucket = name.partition("waited-")
        if not kind and bucket.isdigit():
            found += [int(bucket) * lua.BUCKET_MS / 1000] * _more(now, before, name)
    return tuple(found)
