"""A site without some of its hosts: what is left of its services, its switches and a plan.

Instances keep their numbers: a service of web1, web2 and web3 of which web2 is away has the
instances 0 and 2. So whatever was said of an instance stays said of the same one, and nothing has
to be renumbered, neither in a journal nor in a switch.

The one rule: what is left is never nothing, and never less than the site asks for. Pure; whether a
host is really gone is a person's word.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from orchestrator.core.model import Command, Placement, Service, Site
from orchestrator.core.steps import (
    Drain,
    Part,
    Prove,
    Retire,
    Run,
    Shift,
    Soak,
    Stage,
    Start,
    Step,
)


def without(site: Site, hosts: Iterable[str]) -> Site:
    """The site without these hosts, and without those that were away before.

    Names that it does not have are nobody's.
    """
    gone = frozenset(hosts)
    return replace(
        site,
        services=tuple(_service_without(service, gone) for service in site.services),
        proxies=tuple(
            replace(proxy, hosts=tuple(h for h in proxy.hosts if h not in gone))
            for proxy in site.proxies
        ),
        steps=tuple(c for step in site.steps if (c := _command_without(step, gone)) is not None),
    )


def why_not(site: Site, host: str, steps: tuple[Step, ...] = ()) -> str:
    """Why the site, or an open plan of it, cannot go on without this host; empty where it can."""
    if host not in {known.name for known in site.hosts}:
        return f"the site has no host {host!r}"
    if any(host in service.placement.away for service in site.services):
        return f"it goes on without {host} already"
    for service in site.services:
        if host in service.placement.hosts and (why := _too_few(site, service, host)):
            return why
    for proxy in site.proxies:
        if proxy.hosts == (host,):
            return f"{host} is the only proxy of {proxy.name}"
    if alone := next((s for s in steps if isinstance(s, Run) and s.hosts == (host,)), None):
        return f"{alone.command.name}, a step of this rollout, is for {host} alone"
    return ""


def steps_without(steps: tuple[Step, ...], site: Site, host: str) -> tuple[Step, ...]:
    """The steps of a plan of this site as they are once the host is away."""
    return tuple(_step_without(step, site, host) for step in steps)


# -- A site --------------------------------------------------------------------------------


def _too_few(site: Site, service: Service, host: str) -> str:
    left = service.placement.count - 1
    if left < 1:
        return f"{host} is the only host of {service.name}: nothing of it would be left"
    asked = next((i.serving for i in site.invariants if i.service == service.name), 1)
    if left < asked:
        return (
            f"{left} of {service.name} would be left without {host},"
            f" and the site asks for {asked} serving"
        )
    return ""


def _service_without(service: Service, gone: frozenset[str]) -> Service:
    place = service.placement
    away = gone | set(place.away)
    return (
        service if away.isdisjoint(place.hosts) else replace(service, placement=_with(place, away))
    )


def _with(place: Placement, away: frozenset[str]) -> Placement:
    if not place.hosts:
        return place
    gone = tuple(host for host in place.hosts if host in away)
    return replace(place, away=gone, count=len(place.hosts) - len(gone))


def _command_without(command: Command, gone: frozenset[str]) -> Command | None:
    """None where it was for hosts that are away alone."""
    left = tuple(host for host in command.on if host not in gone)
    return replace(command, on=left) if left or not command.on else None


# -- A plan --------------------------------------------------------------------------------


def _step_without(step: Step, site: Site, host: str) -> Step:
    match step:
        case (
            Stage(parts) | Drain(parts) | Retire(parts) | Start(parts) | Prove(parts) | Soak(parts)
        ):
            return replace(step, parts=tuple(_part_without(p, site, host) for p in parts))
        case Shift(flips):
            fewer = (
                replace(f, back=_part_without(f.back, site, host) if f.back else None)
                for f in flips
            )
            return replace(step, flips=tuple(fewer))
        case Run(hosts=hosts) if host in hosts:
            return replace(step, hosts=tuple(h for h in hosts if h != host))
        case _:
            return step


def _part_without(part: Part, site: Site, host: str) -> Part:
    """One instance less, where the host has one of it; of it ran what can run now at most."""
    place = site.service(part.service).placement
    if host not in {place.hosts[i] for i in place.first(part.count) if i < len(place.hosts)}:
        return part
    count = part.count - 1
    before = replace(part.before, running=min(part.before.running, count))
    return replace(part, count=count, before=before)
