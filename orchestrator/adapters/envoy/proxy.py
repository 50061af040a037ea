"""One Envoy of the site as a program: which one, how it is run, its configuration files.

The one rule: a running Envoy is not restarted for what it can take over as it runs. Services,
routes, addresses and previews come through watched files; only another program, another number of
workers or another bootstrap ends it. It knows nothing of who gets traffic, nor of epochs: whoever
calls what changes something holds the fence.
"""

from __future__ import annotations

import asyncio
import hashlib
import os

from orchestrator.adapters.envoy import admin, binary, config, files, names
from orchestrator.adapters.envoy.places import Places
from orchestrator.adapters.envoy.workers import Gone, Worker, Workers, until
from orchestrator.core.model import Site, SwitchSpec
from orchestrator.ports.processes import Launch
from orchestrator.ports.trouble import Refused

STARTED_S = 15.0  # until every worker has the site's routes
TAKEN_S = 2.0
POLL_S = 0.005

_TAKEN = {
    config.CLUSTERS: "cluster_manager.cds.version_text",
    config.LISTENERS: "listener_manager.lds.version_text",
    config.ROUTES: "http.outer.rds.outer.version_text",
    config.PROBE: "http.probe.rds.probe.version_text",
}


class Proxy:
    """`folder` is absolute, and that of this Envoy alone."""

    def __init__(
        self, site: Site, spec: SwitchSpec, *, workers: Workers, places: Places, folder: str
    ) -> None:
        self._site = site
        self._spec = spec
        self._workers = workers
        self._places = places
        self._folder = folder
        self._made: tuple[dict[str, int], config.Files] | None = None

    # -- Files -------------------------------------------------------------------------------

    def wanted(self) -> config.Files:
        """Made once for the same ports: with a thousand instances it takes its time."""
        ports = dict(self._places.all())
        if self._made is None or self._made[0] != ports:
            self._made = (ports, config.files(self._site, self._spec, ports, self._folder))
        return self._made[1]

    def lay_clusters(self) -> None:
        """Those of the site and, while routes may still lead to them, those of before.

        Under the fence.
        """
        files.make_folder(self._folder)
        before = files.read(self._path(config.CLUSTERS))
        self._lay(config.CLUSTERS, config.with_those_of(before, self.wanted().clusters))

    def lay_the_rest(self) -> None:
        """Under the fence, and once Envoy has the clusters that the routes lead to."""
        wanted = self.wanted()
        self._lay(config.BOOTSTRAP, wanted.bootstrap)
        self._lay(config.LISTENERS, wanted.listeners)
        self._lay(config.ROUTES, wanted.routes)
        self._lay(config.PROBE, wanted.probe)

    def tidy_clusters(self) -> None:
        """Those of before go. Under the fence, once every worker has the routes."""
        self._lay(config.CLUSTERS, self.wanted().clusters)

    async def took_clusters(self) -> None:
        """Return when Envoy has the clusters that lie there, or is not there at all."""
        await self._not_taken((config.CLUSTERS,))  # `refuses` says what is wrong

    async def refuses(self) -> str:
        """What it does not take of the site, waited for; empty where every worker has all of it."""
        version = self.wanted().version

        async def has_it(worker: Worker) -> None:
            async def has() -> bool:
                return await worker.config() == version

            await until(has, POLL_S)

        try:
            async with asyncio.timeout(STARTED_S):
                await self._workers.each_at_last(has_it)
        except TimeoutError:
            return ", ".join(await self._not_taken(tuple(_TAKEN))) or "the site's routes"
        return ", ".join(await self._not_taken(tuple(_TAKEN)))

    async def _not_taken(self, lying: tuple[str, ...]) -> tuple[str, ...]:
        """Which of these files Envoy serves by another version of, a while after they were laid."""
        versions = {n: config.version_in(files.read(self._path(n)) or "") for n in lying}
        missing = lying

        async def none_missing() -> bool:
            nonlocal missing
            stats = await admin.stats(self._folder, config.ADMIN, "version_text$")
            missing = tuple(name for name in lying if stats.get(_TAKEN[name]) != versions[name])
            return not missing

        try:
            async with asyncio.timeout(TAKEN_S):
                await until(none_missing, POLL_S)
        except (TimeoutError, Gone):
            pass
        return missing

    def _lay(self, name: str, text: str) -> None:
        if files.read(self._path(name)) != text:
            files.write(self._path(name), text)

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)

    # -- The program -------------------------------------------------------------------------

    def launch(self) -> Launch:
        """How it is run. `Refused` where there is no Envoy."""
        if not names.is_address(self._spec.host):
            raise Refused(f"{self._spec.name}: listen at an address, not at {self._spec.host}")
        program = binary.find_envoy(self._spec, self._site.folder)
        argv = config.command(program, self._spec, self._folder)
        said = "\0".join((*argv, self.wanted().bootstrap))
        tag = hashlib.sha256(said.encode()).hexdigest()[:16]
        return Launch(argv, {}, self._folder, stop_s=2.0, tag=tag)

    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Everything it listens at."""
        places = names.places_at(self._site, self._spec)
        inside = [("127.0.0.1", self._places.port(place)) for place in places]
        return (names.address(self._spec.host), self._spec.port), *inside
