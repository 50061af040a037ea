"""What `check` asks of hosts before anything is on them: whether they could run a service at all.

It looks and changes nothing but that the agent is sent. The one rule: every host gets its own
sentence, and one that is wrong hides no other.
"""

from __future__ import annotations

import asyncio

from orchestrator.adapters.ssh.agents import Agents
from orchestrator.adapters.ssh.lines import Json
from orchestrator.adapters.ssh.shell import Shell
from orchestrator.adapters.ssh.texts import plain
from orchestrator.core.model import Host, Site
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
        return tuple(await asyncio.gather(*looks))
    finally:
        await agents.close()


async def _one(agents: Agents, site: Site, host: Host, *, closely: bool) -> Found:
    try:
        said = await agents.ask(host, "hello", {"site": site.name, "closely": closely})
    except Trouble as trouble:
        return True, trouble.why
    if isinstance(said.get("gone"), str):
        return True, f"{host.name}: it was told gone: {plain(said['gone'], 200)}"
    if said.get("trouble"):
        return True, f"{host.name}: {plain(str(said['trouble']), 300)}"
    return False, _well(host, said)


def _well(host: Host, said: Json) -> str:
    free = said.get("free")
    room = f", {free / GiB:.1f} GiB free" if isinstance(free, int) else ""
    words = (said.get("user"), said.get("how"), said.get("systemd"), said.get("python"))
    user, how, systemd, python = (plain(str(word), 40) for word in words)
    known = f", systemd {systemd}" if "systemd" in said else ""
    return f"{host.name}: {user} ({how}){known}, Python {python}{room}"
