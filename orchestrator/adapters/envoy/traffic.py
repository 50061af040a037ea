"""Who gets traffic at one Envoy: written to its runtime file, read from its workers.

The one rule: what a worker says is the truth, the file is what ought to be. Where the two differ
after a moment's patience, that is drift, and said in words. It refuses to know about epochs:
whoever calls `write` holds the fence.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from dataclasses import replace

from orchestrator.adapters.envoy import admin, config, files, flight, names, runtime
from orchestrator.adapters.envoy.runtime import Edited, Setting
from orchestrator.adapters.envoy.workers import Gone, Worker, Workers, until
from orchestrator.core.model import Color, Pin, Share, Site, SwitchSpec
from orchestrator.core.sight import Connections, SwitchSeen
from orchestrator.ports.trouble import Refused

SETTLES_S = 0.5  # how long a look waits for workers that lag behind the file
POLL_S = 0.001


class Traffic:
    """`folder` is that of this Envoy alone."""

    def __init__(self, site: Site, spec: SwitchSpec, *, workers: Workers, folder: str) -> None:
        self._site = site
        self._spec = spec
        self._workers = workers
        self._folder = folder
        self._path = os.path.join(folder, config.RUNTIME)
        self.services = tuple(service.name for service in names.at_home(site, spec))
        self.pins = names.pins(site, spec)

    # -- Writing -----------------------------------------------------------------------------

    def text(self) -> str | None:
        """The runtime file as it lies there."""
        return files.read(self._path)

    def write(self, setting: Setting) -> None:
        """One instant. Under the fence."""
        files.put(self.prepare(setting))

    def prepare(self, setting: Setting) -> str:
        """Everything of a write but its instant (`files.put` of what is answered). Under the
        fence.
        """
        files.make_folder(os.path.dirname(self._path))
        files.prepare(self._path, runtime.text_of(setting))
        return self._path

    async def base(self, text: str | None) -> Setting:
        """What the next write starts from: the file as bg wrote it; else what the workers do; else
        what it means.

        Where there is no file and no Envoy either, nobody is served. `Refused`: the file is of no
        use, and no worker answers.
        """
        try:
            if text is not None:
                return runtime.parse(text).kept_for(self._site, self._spec)
        except Edited:
            pass
        meant, wrong = _understood(text)
        running = await self._said_by_workers()
        if running is not None:
            return replace(running, generation=meant.generation if meant else 1)
        if meant is None and wrong:
            raise Refused(
                f"{self._path}: {wrong}, and Envoy does not answer, so nobody knows who is served."
                " Put the file back, or delete it to begin with nobody served."
            )
        return (meant or Setting()).kept_for(self._site, self._spec)

    async def shows(self, setting: Setting, services: Iterable[str], pins: Iterable[Pin]) -> bool:
        """Wait until every worker has reached this write; whether all do what it says of these.

        Waits for an Envoy that is not there, too, as long as it is let.
        """
        wired = dict(setting.pins)

        async def does(worker: Worker) -> bool:
            await _until_reached(worker, setting.generation)
            shares = [await worker.share(name) == setting.share(name) for name in services]
            return all(shares) and all([await worker.pin(pin) is wired.get(pin) for pin in pins])

        return all(await self._workers.each_at_last(does))

    # -- Looking -----------------------------------------------------------------------------

    async def look(self, text: str | None) -> SwitchSeen:
        """What every worker says, held against the runtime file (`text`)."""
        meant, edited = _understood(text)
        try:
            await self.settled()
            said = await self._workers.each(self._setting)
            left = await self._connections()
        except Gone as gone:
            return SwitchSeen(up=False, note=f"{self._spec.name}: {gone}")
        wrong = self._difference(said, meant)
        return SwitchSeen(
            shares=said[0].shares,
            pins=said[0].pins,
            connections=left,
            up=not wrong,
            note="; ".join(
                f"{self._spec.name}: {why}"
                for why in (wrong, edited and f"runtime.json is not as bg wrote it: {edited}")
                if why
            ),
        )

    def nobody(self, text: str | None) -> SwitchSeen | None:
        """What there is to see of an Envoy that was never started, or was taken away.

        None where its file says that somebody is served: then its absence is an outage.
        """
        meant, wrong = _understood(text)
        if wrong or (meant and any(share != Share() for _, share in meant.shares)):
            return None
        kept = (meant or Setting()).kept_for(self._site, self._spec)
        return SwitchSeen(kept.shares, kept.pins, note=f"{self._spec.name}: Envoy is not running")

    async def _setting(self, worker: Worker) -> Setting:
        return await worker.setting(self.services, self.pins)

    async def _said_by_workers(self) -> Setting | None:
        try:
            return (await self._workers.each(self._setting))[0]
        except Gone:
            return None

    async def settled(self) -> None:
        """A write of a moment ago may still be on its way to the workers."""
        try:
            generation = runtime.parse(self.text() or "").generation
        except Edited:
            return
        try:
            async with asyncio.timeout(SETTLES_S):
                await self._workers.each(lambda worker: _until_reached(worker, generation))
        except TimeoutError:
            pass

    def _difference(self, said: tuple[Setting, ...], meant: Setting | None) -> str:
        """In words; empty where all workers and the file agree."""
        first = said[0]
        if any(other != first for other in said):
            return "its workers do not agree on who gets traffic"
        if meant is None:
            return "it has no file to be started again with"
        kept = meant.kept_for(self._site, self._spec)
        for name, share in first.shares:
            if share != (said_by_file := kept.share(name)):
                return f"it serves {name} {_spoken(share)}, its file says {_spoken(said_by_file)}"
        if first.pins != kept.pins:
            return "its inner addresses lead elsewhere than its file says"
        return ""

    async def _connections(self) -> tuple[Connections, ...]:
        """Requests in flight through any address but previews; streams and upgraded connections are
        such.
        """
        numbers = await admin.stats(self._folder, config.ADMIN, flight.ACTIVE)

        def count(service: str, color: Color) -> int:
            clusters = names.clusters_of(self._site, service, color)
            return sum(flight.active(numbers, cluster) for cluster in clusters)

        return tuple(
            Connections(name, color, count(name, color))
            for name in self.services
            for color in Color
        )


async def _until_reached(worker: Worker, generation: int) -> None:
    await until(lambda: worker.has_reached(generation), POLL_S)


def _understood(text: str | None) -> tuple[Setting | None, str]:
    """What the file means, and what is wrong with it in words."""
    if text is None:
        return None, ""
    try:
        return runtime.parse(text), ""
    except Edited as edited:
        try:
            return runtime.understand(text), str(edited)
        except Edited as unclear:
            return None, str(unclear)


def _spoken(share: Share) -> str:
    if share.split:
        return f"{share.blue} % blue, {share.green} % green"
    return f"from {share.live.value}" if share.live else "from neither color"
