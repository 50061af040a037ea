"""The only module that knows everybody: from a site to a world that is ready.

Everything of a site lies below its state folder: the journal with the lease, the fence, the
processes and their logs, the releases, the switch's files. The one rule: nothing is decided here,
and nothing is touched; making a world ready creates no file.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.envoy.switch import EnvoySwitch
from orchestrator.adapters.local.fence import LocalFence
from orchestrator.adapters.local.installation import LocalInstallation
from orchestrator.adapters.local.processes import LocalProcesses
from orchestrator.adapters.sqlite.database import Database
from orchestrator.adapters.sqlite.journal import SqliteJournal
from orchestrator.adapters.sqlite.lease import SqliteLease
from orchestrator.core.health import Sample
from orchestrator.core.model import Color, Probe, ProxyKind, Release, Service, Site
from orchestrator.core.sight import RunSeen
from orchestrator.core.steps import About, Run
from orchestrator.engine.world import World
from orchestrator.ports.artifacts import Artifact, Artifacts
from orchestrator.ports.clock import Clock
from orchestrator.ports.commands import Commands
from orchestrator.ports.prober import Target
from orchestrator.ports.trouble import Refused
from orchestrator.ports.witness import Witness
from orchestrator.proxies.far import Far
from orchestrator.releases.redact import Redactor

if TYPE_CHECKING:
    from orchestrator.adapters.haproxy.switch import HaproxySwitch
    from orchestrator.adapters.nginx.switch import NginxSwitch

REACH_S = 3.0  # for an address that `check` tries

_SECRETS = Redactor()
"""Every secret that this process has read, so that no text of it shows one."""


def clean(text: str) -> str:
    """The text without any secret that this process has read."""
    return _SECRETS.clean(text)


def ready(site: Site, *, witness: Witness) -> World:
    """The world of this site.

    While a rollout is open, `site` is the one that it was opened with.
    """
    clock = SystemClock()
    database = Database(site.state, site.name)
    fence = LocalFence(os.path.join(site.state, "fence"))
    processes = LocalProcesses(os.path.join(site.state, "run"))
    switch = EnvoySwitch(site, fence, processes)
    journal = SqliteJournal(database, clock)
    local = LocalInstallation(site, fence, processes, inner=switch.inner_address, redactor=_SECRETS)
    world = World(
        site=site,
        journal=journal,
        lease=SqliteLease(database, clock, beyond=fence.youngest),
        installation=local,
        artifacts=_Artifacts(site),
        switch=switch,
        prober=_Prober(clock),
        clock=clock,
        witness=witness,
        commands=_Commands(site, fence),
    )
    return _on_hosts(world, journal) if _speaks_to_hosts(site) else world


def _is_on_hosts(site: Site) -> bool:
    return any(service.placement.hosts for service in site.services)


def _speaks_to_hosts(site: Site) -> bool:
    return _is_on_hosts(site) or any(command.on for command in site.steps)


def _on_hosts(world: World, journal: SqliteJournal) -> World:
    """The same, with the installations, and the switch where it is made of proxies, on hosts.

    Whoever speaks to a host of the site does so over one and the same connection.
    """
    from orchestrator.adapters.ssh.agents import Agents
    from orchestrator.adapters.ssh.asking import Asking
    from orchestrator.adapters.ssh.commands import SshCommands
    from orchestrator.adapters.ssh.hosts import SshHosts
    from orchestrator.adapters.ssh.installation import SshInstallation
    from orchestrator.adapters.ssh.prober import SshProber
    from orchestrator.adapters.ssh.shell import Shell

    site, agents, switch = world.site, Agents(Shell()), world.switch
    asking = Asking(site, journal.identity, agents)
    far = SshCommands(site, asking, witness=world.witness, redactor=_SECRETS)
    world = replace(world, commands=_Either(world.commands, far), close=agents.close)
    if not _is_on_hosts(site):
        return world
    if site.proxies:
        switch = _proxy_switch(site, asking)
    installation = SshInstallation(
        site,
        journal.identity,
        agents=agents,
        inner=switch.inner_address if site.proxies else None,
        witness=world.witness,
        redactor=_SECRETS,
    )
    return replace(
        world,
        installation=installation,
        switch=switch,
        hosts=SshHosts(site, journal.identity, agents),
        prober=SshProber(asking, world.prober, world.clock, _SECRETS),
    )


def _proxy_switch(site: Site, far: Far) -> HaproxySwitch | NginxSwitch:
    """Of the one kind that all switches of the site are."""
    if site.proxies[0].kind is ProxyKind.NGINX:
        from orchestrator.adapters.nginx.switch import NginxSwitch

        return NginxSwitch(site, far)
    from orchestrator.adapters.haproxy.switch import HaproxySwitch

    return HaproxySwitch(site, far)


class _Artifacts:
    """`LocalArtifacts`, loaded when somebody looks for one: whoever only looks at a site never
    does.
    """

    def __init__(self, site: Site) -> None:
        self._site = site

    def find(self, service: Service, wanted: str) -> Artifact:
        return self._real().find(service, wanted)

    def available(self, service: Service) -> tuple[str, ...]:
        return self._real().available(service)

    def _real(self) -> Artifacts:
        from orchestrator.adapters.local.artifacts import LocalArtifacts

        return LocalArtifacts(self._site)


class _Prober:
    """`NetworkProber`, loaded with the first probe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def sample(self, target: Target, probes: tuple[Probe, ...], timeout_s: float) -> Sample:
        from orchestrator.adapters.http.prober import NetworkProber

        return await NetworkProber(self._clock).sample(target, probes, timeout_s)


class _Commands:
    """`LocalCommands`, loaded with the first step of the user's own."""

    def __init__(self, site: Site, fence: LocalFence) -> None:
        self._site, self._fence = site, fence

    async def look(
        self, runs: tuple[Run, ...], rollout: int, epoch: int | None
    ) -> tuple[RunSeen, ...]:
        return await self._here().look(runs, rollout, epoch)

    async def check(self, run: Run) -> None:
        await self._here().check(run)

    async def do(self, run: Run, rollout: int, epoch: int) -> None:
        await self._here().do(run, rollout, epoch)

    async def undo(self, run: Run, rollout: int, epoch: int) -> None:
        await self._here().undo(run, rollout, epoch)

    def _here(self) -> Commands:
        from orchestrator.adapters.local.commands import LocalCommands

        return LocalCommands(self._site, self._fence, redactor=_SECRETS)


class _Either:
    """The user's own steps: each on this machine, or on hosts."""

    def __init__(self, here: Commands, far: Commands) -> None:
        self._here, self._far = here, far

    async def look(
        self, runs: tuple[Run, ...], rollout: int, epoch: int | None
    ) -> tuple[RunSeen, ...]:
        seen: tuple[RunSeen, ...] = ()
        for commands in (self._here, self._far):
            mine = tuple(run for run in runs if self._for(run) is commands)
            if mine or not runs:
                seen += await commands.look(mine, rollout, epoch)
        return seen

    async def check(self, run: Run) -> None:
        await self._for(run).check(run)

    async def do(self, run: Run, rollout: int, epoch: int) -> None:
        await self._for(run).do(run, rollout, epoch)

    async def undo(self, run: Run, rollout: int, epoch: int) -> None:
        await self._for(run).undo(run, rollout, epoch)

    def _for(self, run: Run) -> Commands:
        return self._far if run.command.on else self._here


# -- What `check` asks of this machine, before anything starts -----------------------------


def envoys(site: Site) -> dict[str, str]:
    """For each switch the Envoy that would run it, `1.40.0, /path/to/envoy`. `Refused`: none."""
    from orchestrator.adapters.envoy.binary import find_envoy, version_of

    paths = {spec.name: find_envoy(spec, site.folder) for spec in site.switches}
    return {name: f"{version_of(path)}, {path}" for name, path in paths.items()}


Place = tuple[str, Color | None]
"""A service and a color; or a switch and None."""


def strangers(site: Site, places: tuple[Place, ...] | None = None) -> tuple[str, ...]:
    """The ports of these places (of all) that somebody else listens on, each as a sentence."""
    from orchestrator.adapters.local.listeners import on_port

    processes = LocalProcesses(os.path.join(site.state, "run"))
    return tuple(
        f"port {port} of {name} is taken by {listener}"
        for place, port, name in _ports(site)
        if places is None or place in places
        for listener in on_port(port)
        if listener.pid is None or not processes.belongs(name, listener.pid)
    )


def _ports(site: Site) -> Iterator[tuple[Place, int, str]]:
    """Each port with whose it is, and the name of the process that should have it."""
    for spec in site.switches:
        yield (spec.name, None), spec.port, f"envoy/{spec.name}"
    for service in site.services:
        for color in Color:
            for i in range(0 if service.placement.hosts else service.placement.count):
                port = service.placement.port(color, i)
                yield (service.name, color), port, f"{service.name}/{color.value}/{i}"


async def hosts(site: Site) -> tuple[tuple[bool, str], ...]:
    """For each host that services are on, or steps are for, whether something is wrong with it, and
    what was seen.
    """
    if not _speaks_to_hosts(site):
        return ()
    from orchestrator.adapters.ssh.examined import examined

    return await examined(site)


async def proxies(site: Site) -> tuple[tuple[bool, str], ...]:
    """For each proxy of the site, whether something is wrong with it, and what was seen; and what
    the switch cannot promise.
    """
    if not site.proxies:
        return ()
    from orchestrator.adapters.ssh.agents import Agents
    from orchestrator.adapters.ssh.asking import Asking
    from orchestrator.adapters.ssh.shell import Shell

    async def nobody() -> str:
        return ""  # who only looks needs no journal

    agents = Agents(Shell())
    try:
        found = await _proxy_switch(site, Asking(site, nobody, agents)).examined()
    finally:
        await agents.close()
    if any(wrong for wrong, _ in found):
        return found
    return found + tuple((True, what) for what in await _out_of_reach(site))


async def _out_of_reach(site: Site) -> list[str]:
    """Of each switch, the first address at its URL that cannot be reached from here."""
    from orchestrator.proxies import addresses

    found, ports = [], addresses.ports(site)
    for spec in site.proxies:
        host, services = addresses.reached_at(spec), addresses.at_home(site, spec)
        places = (addresses.preview_place(s.name, color) for s in services for color in Color)
        for port in (addresses.outer_port(spec), *map(ports.__getitem__, places)):
            if why := await _why_out_of_reach(host, port):
                found.append(
                    f"{spec.name}: {host}:{port} cannot be reached from here ({why}). A release is"
                    " looked at through it: name in `url:` what leads to every port of the proxies"
                )
                break
    return found


async def _why_out_of_reach(host: str, port: int) -> str:
    from orchestrator.adapters.http.exchange import connect

    try:
        async with asyncio.timeout(REACH_S):
            await connect(host, port)
        return ""
    except TimeoutError:
        return "no answer"
    except OSError as error:
        return error.strerror or str(error)


def fragments(site: Site, kind: str) -> tuple[tuple[str, tuple[str, ...], str], ...]:
    """For each switch of the kind its name, its hosts, and the lines that each of them needs."""
    from orchestrator.adapters.haproxy.fragment import fragment as for_haproxy
    from orchestrator.adapters.nginx.fragment import fragment as for_nginx

    made = for_nginx if kind == ProxyKind.NGINX.value else for_haproxy
    specs = (spec for spec in site.proxies if spec.kind.value == kind)
    return tuple((spec.name, spec.hosts, made(site, spec)) for spec in specs)


async def own_steps(site: Site) -> tuple[tuple[bool, str], ...]:
    """For each step of the user's own whether it could not be run, and why.

    Whether a program is on a host, `hosts` says.
    """
    from orchestrator.adapters.local.commands import LocalCommands

    commands = LocalCommands(site, LocalFence(os.path.join(site.state, "fence")), redactor=_SECRETS)
    found = []
    for command in site.steps:
        about = About(command.of, Color.GREEN, Release("0", "0")) if command.of else None
        try:
            await commands.check(Run(command, command.on, about))
            where = f"on {', '.join(command.on)}" if command.on else "here"
            found.append((False, f"steps.{command.name}: {command.at.value}, {where}"))
        except Refused as refused:
            found.append((True, refused.why))
    return tuple(found)


async def unreadable_secrets(site: Site) -> tuple[str, ...]:
    """The secrets that could not be read just now, each as a sentence.

    Runs the commands they come from.
    """
    from orchestrator.releases.secrets import resolve

    found = []
    for service in site.services:
        for pair in service.recipe.env:
            try:
                await resolve(replace(service.recipe, env=(pair,)), site.folder, _SECRETS)
            except Refused as refused:
                found.append(f"{service.name}: {refused.why}")
    return tuple(found)
