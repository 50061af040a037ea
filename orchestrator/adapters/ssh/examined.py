"""What `check` asks of hosts before anything is on them: whether they could run a service at all,
whether its ports are free, and whether the programs of steps are there.

It looks and changes nothing but that the agent is sent. The one rule: every host gets its own
sentence, and one that is wrong hides no other.
"""

from __future__ import annotations

import asyncio

from orchestrator.adapters.ssh.agents import Agents
from orchestrator.adapters.ssh.asking import NOBODY
from orchestrator.adapters.ssh.lines import Json
from orchestrator.adapters.ssh.shell import Shell
from orchestrator.adapters.ssh.texts import plain
from orchestrator.core.model import Color, Host, Site
from orchestrator.core.steps import Run
from orchestrator.ports.trouble import Trouble

Found = tuple[bool, str]
"""Whether it is wrong, and what."""

GiB = 1024**3


async def examined(site: Site) -> tuple[Found, ...]:
    """Each host that a service is on: reached, with a systemd that obeys, and how much is free."""
    places = [service.placement for service in site.services if service.placement.hosts]
    used = {place.hosts[number] for place in places for number in place.instances}
    stepped = {name for step in site.steps for name in step.on}  # these need no systemd
    agents = Agents(Shell())
    try:
        hosts = (host for host in site.hosts if host.name in used | stepped)
        looks = (_one(agents, site, host, closely=host.name in used) for host in hosts)
        return tuple(found for each in await asyncio.gather(*looks) for found in each)
    finally:
        await agents.close()


async def _one(agents: Agents, site: Site, host: Host, *, closely: bool) -> tuple[Found, ...]:
    ports, programs = _ports(site, host.name), _programs(site, host.name)
    who = {"site": site.name, "journal": NOBODY, "epoch": None}
    try:
        said = await agents.ask(host, "hello", {"site": site.name, "closely": closely})
        if isinstance(said.get("gone"), str):
            return ((True, f"{host.name}: it was told gone: {plain(said['gone'], 200)}"),)
        if said.get("trouble"):
            return ((True, f"{host.name}: {plain(str(said['trouble']), 300)}"),)
        asked = {"ports": list(ports), "programs": list(programs)}
        facts = await agents.ask(host, "facts", {**who, **asked})
    except Trouble as trouble:
        return ((True, trouble.why),)
    wrong = (*_taken(site, facts, ports), *_missing(facts, programs))
    return tuple((True, f"{host.name}: {what}") for what in wrong) or ((False, _well(host, said)),)


def _ports(site: Site, host: str) -> dict[int, str]:
    """Each port that instances there have, with whose it is."""
    return {
        service.placement.port(color, index): f"{service.name} {color.value}"
        for service in site.services
        for index in service.placement.instances
        if service.placement.hosts[index : index + 1] == (host,)
        for color in Color
    }


def _programs(site: Site, host: str) -> dict[str, str]:
    """Each program that steps run there, with the first that does. Where a step has a PATH of its
    own, or its program a name that is filled in, that shows when its turn comes.
    """
    found: dict[str, str] = {}
    for step in site.steps:
        run = Run(step, step.on)
        if host in step.on and "PATH" not in dict(step.env):
            for argv in (run.forth, run.home, step.holds):
                if argv and "{" not in argv[0]:
                    found.setdefault(argv[0], step.name)
    return found


def _taken(site: Site, facts: Json, ports: dict[int, str]) -> list[str]:
    """But for listeners of users that the agent may not look at: they may be our own."""
    found = []
    for one in _tables(facts.get("ports")):
        for listener in _tables(one.get("taken")):
            unit, port = listener.get("ours"), one.get("port")
            mine = isinstance(unit, str) and unit.startswith(f"bg-{site.name}-")
            if port in ports and listener.get("pid") is not None and not mine:
                by = plain(str(unit or listener.get("program") or "another program"), 100)
                found.append(f"port {port} of {ports[port]} is taken by {by}; end that program, or")
                found[-1] += " name another port in the site file"
    return found


def _missing(facts: Json, programs: dict[str, str]) -> list[str]:
    said = facts.get("missing")
    missing = [one for one in programs if isinstance(said, list) and one in said]
    return [f"steps.{programs[one]}: there is no program {one!r} there" for one in missing]


def _tables(value: object) -> list[Json]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _well(host: Host, said: Json) -> str:
    free = said.get("free")
    room = f", {free / GiB:.1f} GiB free" if isinstance(free, int) else ""
    words = (said.get("user"), said.get("how"), said.get("systemd"), said.get("python"))
    user, how, systemd, python = (plain(str(word), 40) for word in words)
    known = f", systemd {systemd}" if "systemd" in said else ""
    return f"{host.name}: {user} ({how}){known}, Python {python}{room}"
