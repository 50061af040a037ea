"""Who asks a host: the site, its journal and the epoch, which go with every request.

A host keeps what it was told last, and refuses whoever was overtaken, and every other journal. The
one rule: nothing is asked without them. It refuses to know what is asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from orchestrator.adapters.ssh.agents import Agents
from orchestrator.adapters.ssh.lines import Json
from orchestrator.core.model import Site

Identity = Callable[[], Awaitable[str]]
NOBODY = "-"  # the journal of somebody who only looks and has none yet


class Asking:
    """Requests to the hosts of a site, by their names. Values of JSON both ways."""

    def __init__(self, site: Site, identity: Identity, agents: Agents) -> None:
        self._site, self._identity, self._agents = site, identity, agents
        self._hosts = {host.name: host for host in site.hosts}

    async def ask(
        self,
        host: str,
        verb: str,
        args: Mapping[str, Any],
        epoch: int | None,
        *,
        more_s: float = 0.0,
    ) -> dict[str, Any]:
        """`Refused`, `Superseded`, `Unreachable`, each naming the host; bounded in time.

        `more_s`: what it may take itself, beyond what the verb may.
        """
        who = await self.who(epoch)
        return await self._agents.ask(self._hosts[host], verb, {**who, **args}, more_s=more_s)

    async def who(self, epoch: int | None) -> Json:
        """The fields that go with every request."""
        journal = await self._identity() or NOBODY
        return {"site": self._site.name, "journal": journal, "epoch": epoch}
