"""A site on two hosts that are SSH servers of this machine: the real agent, and a fake systemd."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.adapters.local.artifacts import LocalArtifacts
from orchestrator.adapters.ssh.agents import Agents
from orchestrator.adapters.ssh.hosts import SshHosts
from orchestrator.adapters.ssh.installation import SshInstallation
from orchestrator.adapters.ssh.shell import Shell
from orchestrator.core.model import Placement, Recipe, Release, Site
from tests.adapters.local import samples
from tests.adapters.ssh.servers import Server, servers

JOURNAL = "c0ffee"


@dataclass
class HostsShop:
    """The services `web` and `api`, one instance on each host, and drivers of them."""

    folder: Path
    site: Site
    servers: list[Server]
    drivers: list[SshInstallation] = field(default_factory=list)

    def driver(self, journal: str = JOURNAL) -> SshInstallation:
        async def identity() -> str:
            return journal

        self.drivers.append(SshInstallation(self.site, identity))
        return self.drivers[-1]

    def make(self, version: str, **files: str) -> str:
        folder = self.folder / "dist" / f"web-{version}"
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in {"who": version, **files}.items():
            (folder / name).write_text(text)
        return str(folder)

    def release(self, version: str) -> tuple[Release, str]:
        self.make(version)
        found = LocalArtifacts(self.site).find(self.site.service("web"), version)
        assert found.source is not None
        return found.release, found.source


@asynccontextmanager
async def shop_on_hosts(folder: Path, recipe: Recipe | None = None) -> AsyncIterator[HostsShop]:
    with servers(folder, 2, fresh=False) as two:
        shop = HostsShop(folder, site_on(folder, two, recipe), two)
        try:
            yield shop
        finally:
            for driver in shop.drivers:
                await driver.close()


class Each:
    """Drivers of single hosts, by the journal they come with."""

    def __init__(self, shop: HostsShop) -> None:
        self.shop = shop
        self.agents: list[Agents] = []

    def hosts(self, journal: str = JOURNAL) -> SshHosts:
        async def identity() -> str:
            return journal

        self.agents.append(Agents(Shell()))
        return SshHosts(self.shop.site, identity, self.agents[-1])


@asynccontextmanager
async def each_host(folder: Path) -> AsyncIterator[Each]:
    async with shop_on_hosts(folder) as shop:
        each = Each(shop)
        try:
            yield each
        finally:
            for agents in each.agents:
                await agents.close()


def site_on(folder: Path, two: list[Server], recipe: Recipe | None = None) -> Site:
    made = samples.site(folder)
    names = tuple(one.name for one in two)
    services = tuple(
        replace(
            service,
            recipe=recipe or service.recipe,
            uses=(),
            placement=Placement(
                len(names), service.placement.blue_port, service.placement.green_port, names
            ),
        )
        for service in made.services
    )
    return replace(made, services=services, hosts=tuple(one.host for one in two))
