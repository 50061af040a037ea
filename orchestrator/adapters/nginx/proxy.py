"""One nginx of a switch: its verbs as calls, its answers as values.

`proxies.proxy.Proxy` on nginx. The one rule: what it says is believed about itself alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from orchestrator.adapters.nginx import names
from orchestrator.adapters.nginx.missing import missing, sizes
from orchestrator.core.model import ProxySpec, Site
from orchestrator.ports.trouble import Refused, Unreachable
from orchestrator.proxies import addresses
from orchestrator.proxies.far import Answer, Far, named
from orchestrator.proxies.lacking import SHOWN, sentence, told_of
from orchestrator.proxies.proxy import Looked, Prepared, Sent


class Proxy:
    def __init__(self, site: Site, spec: ProxySpec, host: str, far: Far) -> None:
        self.site, self.spec, self.host = site, spec, host
        self.cuts: tuple[int, ...] = ()  # what its last reloads cut short, as last looked at
        self._far = far

    async def look(self, epoch: int | None, *, ends_holds: bool = False) -> Looked:
        """Nothing is ever held here, so nothing is ended."""
        said = await self._ask("nginx_look", epoch)
        self.cuts = said.counts("cuts")
        if not said.yes("up"):
            return Looked(None, said.texts("file"), said.yes("whole"), said.words("why"))
        older = said.number("older")
        return Looked(
            said.texts("running") or {},
            said.texts("file"),
            said.yes("whole"),
            older=older,
            remark=_older(older),
        )

    # -- Flipping ----------------------------------------------------------------------------

    async def prepare(self, changes: Mapping[str, str], epoch: int) -> Prepared:
        said = await self._ask("nginx_prepare", epoch, **self._keys, changes=dict(changes))
        before, wanted = said.texts("before"), said.texts("wanted")
        if before is None or wanted is None:
            raise Unreachable(f"{self.host}: its answer makes no sense (before, wanted)")
        process, why = said.text("process"), said.words("why")
        return Prepared(before, wanted, process, why, said.seconds("clock_s"), time.monotonic())

    async def send(
        self, what: Prepared, epoch: int, held: Iterable[str] = (), *, within_s: float
    ) -> Sent:
        """What arrives at the host later than that changes nothing there; nor is it waited for."""
        said = await self._ask(
            "nginx_send",
            epoch,
            wanted=what.wanted,
            variables=self._keys["variables"],
            process=what.process,
            until_s=what.until_s(within_s),
        )
        return Sent(said.yes("flipped"), said.yes("laid"), said.yes("late"), said.words("why"))

    # -- Being there -------------------------------------------------------------------------

    async def ensure(self, epoch: int) -> None:
        """The file laid where it is missing. `Refused`: what its configuration lacks."""
        await self._ask("nginx_lay", epoch, **self._keys)
        if wrong := await self.wrong(epoch, shown=SHOWN):
            raise Refused(wrong)

    async def wrong(self, epoch: int | None, *, shown: int | None = None) -> str:
        """What its configuration lacks, and what to do; empty where nothing. Changes nothing.

        `shown`: so many of the lines that are missing are named; None: all.
        """
        said = await self._ask("nginx_config", epoch)
        if not said.yes("tested"):
            return f"{self.host}: nginx does not take {self.spec.config}: {said.words('why')}"
        if lacking := missing(said.text("text"), self.site, self.spec):
            told = told_of(lacking, sizes(self.site, self.spec))
            return f"{self.host}: {sentence(self.spec.config, told, shown, 'nginx')}"
        if not said.yes("up"):
            raise Unreachable(named(self.host, said.words("why")))
        if not set(addresses.keys(self.site, self.spec)) <= set(said.list("keys")):
            return (
                f"{self.host}: {self.spec.config} has all lines, but nginx runs with others: reload"
                " it (systemctl reload nginx)"
            )
        return ""

    # -- Asking ------------------------------------------------------------------------------

    @property
    def _keys(self) -> dict[str, object]:
        return {
            "keys": addresses.keys(self.site, self.spec),
            "variables": names.variables(self.site, self.spec),
        }

    async def _ask(self, verb: str, epoch: int | None, **more: object) -> Answer:
        port = names.asked_port(self.site, self.spec)
        args = {"config": self.spec.config, "maps": self.spec.maps, "port": port, **more}
        return Answer(self.host, await self._far.ask(self.host, verb, args, epoch))


def _older(count: int) -> str:
    if not count:
        return ""
    workers = "1 worker of nginx serves" if count == 1 else f"{count} workers of nginx serve"
    return f"{workers} old connections still, by the colors of before a reload"
