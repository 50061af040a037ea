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

STARTED_S = 15.0  # until every worker has the site's routes
TAKEN_S = 5.0
POLL_S = 0.005

_CLUSTERS = "cluster_manager.cds.version_text"


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

    # -- Files -------------------------------------------------------------------------------

    def wanted(self) -> config.Files:
        return config.files(self._site, self._spec, self._places.all(), self._folder)

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
        version = config.version_in(files.read(self._path(config.CLUSTERS)) or "")

        async def has_them() -> bool:
            return await self._stat(_CLUSTERS) == version

        try:
            async with asyncio.timeout(TAKEN_S):
                await until(has_them, POLL_S)
        except (TimeoutError, Gone):
            pass  # `took_routes` says what is wrong

    async def took_routes(self) -> bool:
        """Whether every worker has the site's routes, waited for."""
        version = self.wanted().version

        async def has_them(worker: Worker) -> None:
            async def has() -> bool:
                return await worker.config() == version

            await until(has, POLL_S)

        try:
            async with asyncio.timeout(STARTED_S):
                await self._workers.each_at_last(has_them)
            return True
        except TimeoutError:
            return False

    def _lay(self, name: str, text: str) -> None:
        if files.read(self._path(name)) != text:
            files.write(self._path(name), text)

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)

    async def _stat(self, name: str) -> str | None:
        return (await admin.stats(self._folder, config.ADMIN, f"^{name}$")).get(name)

    # -- The program -------------------------------------------------------------------------

    def launch(self) -> Launch:
        """How it is run. `Refused` where there is no Envoy."""
        program = binary.find_envoy(self._spec, self._site.folder)
        argv = config.command(program, self._spec, self._folder)
        said = "\0".join((*argv, self.wanted().bootstrap))
        tag = hashlib.sha256(said.encode()).hexdigest()[:16]
        return Launch(argv, {}, self._folder, stop_s=2.0, tag=tag)

    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Everything it listens at."""
        places = names.places_at(self._site, self._spec)
        inside = [("127.0.0.1", self._places.port(place)) for place in places]
        return (self._spec.host, self._spec.port), *inside
