"""`hosts`: each host of the site, what is on it, and what is wrong with it.

It looks, and touches nothing. The one rule: every host is asked at once, each within a few seconds,
so one that is dead costs the others nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.visit import Visit
    from orchestrator.ports.hosts import Hosts, HostSeen


def hosts(ctx: typer.Context) -> None:
    """Each host with what is on it, its epoch, and what is wrong with it.

    Nothing is touched, and a host that does not answer keeps nobody waiting for more than a few
    seconds.
    """
    from orchestrator.doors.cli.visit import run

    run(ctx, _shown, needs_file=False)


async def _shown(visit: Visit) -> Answer:
    from orchestrator.doors.cli import render_hosts
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit

    seen = await looked(visit)
    now = visit.world.clock.now()
    wrong = [h for h in seen if h.wrong is not None and h.name not in visit.chronicle.away]
    return Answer(
        Exit.DONE,
        "something-wrong" if wrong else "all-well",
        text=render_hosts.table(seen, visit.chronicle, now, visit.paper()),
        next=render_hosts.next_steps(seen, visit.chronicle),
        more={"hosts": render_hosts.data(seen, visit.chronicle)},
    )


async def looked(visit: Visit) -> tuple[HostSeen, ...]:
    """Every host that the site uses; raises `Done` where it uses none."""
    seen = [_with_switches(visit, host) for host in await of(visit).look(used(visit))]
    served = {h for s in visit.chronicle.serving for h in s.hosts if h not in visit.chronicle.away}
    return tuple(_lost(host) if host.name in served else host for host in seen)


def _with_switches(visit: Visit, host: HostSeen) -> HostSeen:
    switches = (proxy.name for proxy in visit.file.proxies if host.name in proxy.hosts)
    return replace(host, proxy_of=tuple(switches))


def used(visit: Visit) -> tuple[str, ...]:
    """The hosts that services or switches are on, in the order of the file; also who is away."""
    site = visit.world.site
    names = {host for service in site.services for host in service.placement.hosts}
    names |= {host for proxy in site.proxies for host in proxy.hosts} | set(visit.chronicle.away)
    return tuple(host.name for host in site.hosts if host.name in names)


def of(visit: Visit) -> Hosts:
    from orchestrator.doors.cli.answer import refused

    if visit.world.hosts is None:
        raise refused(
            f"The site {visit.file.name} is on this machine alone; it has no hosts.",
            outcome="no-hosts",
        )
    return visit.world.hosts


def _lost(host: HostSeen) -> HostSeen:
    from orchestrator.ports.hosts import Wrong

    if host.wrong is not None or host.journal:
        return host
    why = f"{host.name} knows nothing of this site any more: was it set up anew?"
    return replace(host, wrong=Wrong.LOST, why=why)
