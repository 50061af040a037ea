"""The switch on Envoy: colors are runtime keys in one watched file, routes are static, workers
acknowledge.

    ensure   files laid in an order that never leads to nowhere, Envoy kept, every worker has them
    send     fence( read, check, write, rename ), then every worker asked until it serves by that
    look     what every worker says, held against the file; what is in flight, from Envoy's numbers
    hold     the gate listens and is seen by Envoy, then a write like any other
    let_go   the gate opens, a write ends the hold, the gate closes

The one rule: nothing is believed but a worker's own answer. Several Envoys are written in one go,
each change one rename. Knows no policy: who may be sent where is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from orchestrator.adapters.envoy import files, names, runtime
from orchestrator.adapters.envoy.kept import Kept
from orchestrator.adapters.envoy.places import Places
from orchestrator.adapters.envoy.proxy import Proxy
from orchestrator.adapters.envoy.runtime import Edited, Setting
from orchestrator.adapters.envoy.standing import Standing
from orchestrator.adapters.envoy.traffic import Traffic
from orchestrator.adapters.envoy.workers import Gone, Workers
from orchestrator.core.model import Color, Hold, Pin, Share, Site, SwitchSpec
from orchestrator.core.sight import SwitchSeen
from orchestrator.core.stillness import Held
from orchestrator.ports.fence import Fence
from orchestrator.ports.processes import Processes
from orchestrator.ports.trouble import Refused, Superseded, TooLate, Unreachable

LET_GO_S = 1.0  # what then has not heard of the end of a hold finds the gate gone, and goes on
_TRIES = 5  # a file that somebody edits faster than we read it


@dataclass(frozen=True, slots=True)
class _Envoy:
    """One of the site's switches, with all that belongs to it."""

    spec: SwitchSpec
    proxy: Proxy
    traffic: Traffic
    kept: Kept
    workers: Workers
    standing: Standing


@dataclass(frozen=True, slots=True)
class _Change:
    """One write: from the file as it was read to the next setting."""

    envoy: _Envoy
    text: str | None
    setting: Setting
    services: tuple[str, ...] = ()
    pins: tuple[Pin, ...] = ()


class EnvoySwitch:
    """`ports.switch.Switch` on the Envoys of a site.

    Their files lie in `envoy/` of the site's state folder.
    """

    def __init__(
        self,
        site: Site,
        fence: Fence,
        processes: Processes,
        *,
        taken_s: float = 5.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`taken_s`: a write that not every worker shows by then is not known to have worked.

        `now`: the clock that a latest instant is held against, in seconds since 1970.
        """
        self._site = site
        self._fence = fence
        folder = os.path.join(site.state, "envoy")
        self._places = Places(site, folder)
        self._processes = processes
        self._taken_s = taken_s
        self._folder = folder
        self._now = now
        self._standing: tuple[_Envoy, ...] = ()  # where this driver holds
        self._made: tuple[_Envoy, ...] | None = None

    # -- Looking -----------------------------------------------------------------------------

    async def look(self, epoch: int | None) -> SwitchSeen:
        if epoch is None and (never := self._never_used()):
            return never
        with self._fence.holding(epoch):
            if epoch is not None and not self._standing:
                self._end_holds()  # one that a dead driver left
            texts = [envoy.traffic.text() for envoy in self._envoys]
        looks = zip(self._envoys, texts, strict=True)
        return _merged(await asyncio.gather(*(self._look(envoy, text) for envoy, text in looks)))

    def _never_used(self) -> SwitchSeen | None:
        """Whoever only looks writes nothing; and to be ready for an Envoy, ports are chosen."""
        if os.path.isdir(self._folder):
            return None
        homes = (s for spec in self._site.switches for s in names.at_home(self._site, spec))
        shares = tuple((service.name, Share()) for service in homes)
        return SwitchSeen(shares, note="no Envoy was ever started")

    async def _look(self, envoy: _Envoy, text: str | None) -> SwitchSeen:
        if not envoy.kept.alive() and (nobody := envoy.traffic.nobody(text)):
            return nobody
        seen = await envoy.traffic.look(text)
        if seen.up and (left := envoy.standing.left_on(text)):
            return replace(seen, note="; ".join(note for note in (seen.note, left) if note))
        if seen.up or not (words := envoy.kept.last_words()):
            return seen
        return replace(seen, note=f"{seen.note} ({words})")

    # -- Sending -----------------------------------------------------------------------------

    async def send(
        self,
        shares: dict[str, Share],
        pins: dict[Pin, Color],
        epoch: int,
        *,
        not_after_s: float | None = None,
    ) -> None:
        async def changes() -> list[_Change]:
            found = [await self._change(envoy, shares, pins) for envoy in self._envoys]
            wanted = [change for change in found if change is not None]
            self._refuse_what_no_switch_has(wanted, shares, pins)
            return wanted

        await self._write(changes, epoch, not_after_s)

    async def _write(
        self,
        wanted: Callable[[], Awaitable[list[_Change]]],
        epoch: int,
        not_after_s: float | None = None,
    ) -> float:
        """One instant, at every Envoy that has a part in it; returns when every worker has it.

        The last reading of the clock before it.
        """
        for _ in range(_TRIES):
            changes = await wanted()
            with self._fence.holding(epoch):
                if any(change.envoy.traffic.text() != change.text for change in changes):
                    continue
                paths = [change.envoy.traffic.prepare(change.setting) for change in changes]
                now = self._now()
                if not_after_s is not None and now > not_after_s:
                    raise TooLate("it took too long, and its time was over before the write")
                files.put(*paths)
            try:
                await asyncio.gather(*(self._acknowledged(change) for change in changes))
            except Unreachable:
                with self._fence.holding(epoch):  # else somebody younger wrote over it meanwhile
                    raise
            return now
        raise Unreachable("somebody else keeps changing the runtime file; nothing was written")

    async def _acknowledged(self, change: _Change) -> None:
        try:
            async with asyncio.timeout(self._taken_s):
                traffic = change.envoy.traffic
                if await traffic.shows(change.setting, change.services, change.pins):
                    return
        except TimeoutError:
            pass
        raise Unreachable(
            f"{change.envoy.spec.name}: the change was written, but not every worker of Envoy"
            " shows it"
        )

    async def _change(
        self, envoy: _Envoy, shares: dict[str, Share], pins: dict[Pin, Color]
    ) -> _Change | None:
        """What of it is this Envoy's to do; None: nothing."""
        own = {name: share for name, share in shares.items() if name in envoy.traffic.services}
        wired = {pin: color for pin, color in pins.items() if pin in envoy.traffic.pins}
        if not own and not wired:
            return None
        text = envoy.traffic.text()
        setting = (await envoy.traffic.base(text)).changed(own, wired)
        return _Change(envoy, text, setting, tuple(own), tuple(wired))

    def _refuse_what_no_switch_has(
        self, changes: list[_Change], shares: dict[str, Share], pins: dict[Pin, Color]
    ) -> None:
        services = {name for change in changes for name in change.services}
        addresses = {pin for change in changes for pin in change.pins}
        if missing := [
            *sorted(set(shares) - services),
            *map(names.pin_place, set(pins) - addresses),
        ]:
            raise Refused(f"no switch of the site has {', '.join(missing)}")
        for name, share in shares.items():
            if share != Share() and share.blue + share.green != 100:
                raise Refused(f"{name}: {share.blue} and {share.green} percent are not the whole")

    # -- Being there -------------------------------------------------------------------------

    async def ensure(self, epoch: int) -> None:
        await asyncio.gather(*(self._ensure(envoy, epoch) for envoy in self._envoys))

    async def admit(self, hosts: tuple[str, ...], epoch: int) -> None:
        """Its clusters have the hosts that are not out, and nobody else."""

    async def _ensure(self, envoy: _Envoy, epoch: int) -> None:
        launch = envoy.proxy.launch()
        await self._ensure_setting(envoy, epoch)
        with self._fence.holding(epoch):
            envoy.proxy.lay_clusters()
        if envoy.kept.alive():
            await envoy.proxy.took_clusters()
        if envoy.kept.runs_otherwise(launch):
            with self._fence.holding(epoch):
                envoy.kept.end()
            await envoy.kept.ended()
        with self._fence.holding(epoch):
            envoy.proxy.lay_the_rest()
            envoy.kept.start(launch, envoy.proxy.addresses())
        if refused := await envoy.proxy.refuses():
            words = envoy.kept.last_words() or envoy.kept.log() or "it says nothing"
            raise Refused(f"{envoy.spec.name}: Envoy does not take over {refused} ({words})")
        with self._fence.holding(epoch):
            envoy.proxy.tidy_clusters()

    async def _ensure_setting(self, envoy: _Envoy, epoch: int) -> None:
        """A file to start with, about the services there are.

        One that somebody edited is left to `send`.
        """
        text = envoy.traffic.text()
        if text is not None and not runtime.is_ours(text):
            return
        setting = await envoy.traffic.base(text)
        if text is not None and runtime.text_of(setting) == text:
            return
        with self._fence.holding(epoch):
            if envoy.traffic.text() == text:
                envoy.traffic.write(setting.changed({}, {}))

    async def remove(self, epoch: int) -> None:
        texts = [envoy.traffic.text() for envoy in self._envoys]
        bases = [
            await envoy.traffic.base(text) for envoy, text in zip(self._envoys, texts, strict=True)
        ]
        with self._fence.holding(epoch):
            if [envoy.traffic.text() for envoy in self._envoys] != texts:
                raise Unreachable("the runtime file was changed just now; nothing was taken away")
            if served := [n for base in bases for n, share in base.shares if share != Share()]:
                raise Refused(f"{', '.join(served)} is served now")
            for envoy in self._envoys:
                envoy.kept.end()
        for envoy in self._envoys:
            await envoy.kept.ended()
        self.close()

    def close(self) -> None:
        """Hang up on the workers. What runs goes on."""
        for envoy in self._made or ():
            envoy.workers.close()

    # -- Time --------------------------------------------------------------------------------

    async def hold(self, services: tuple[str, ...], hold: Hold, epoch: int) -> float:
        if self._site.policy.hold is None:
            raise Refused("the switch was made without a hold: the site file asks for none")
        envoys = [e for e in self._envoys if set(services) & set(e.traffic.services)]
        with self._fence.holding(epoch):
            self._standing = tuple(envoys)
            for envoy in envoys:
                envoy.standing.gate.listen()
        await asyncio.gather(*(self._begin(envoy, services) for envoy in envoys))

        async def changes() -> list[_Change]:
            return [await self._held_back(envoy, services) for envoy in envoys]

        return await self._write(changes, epoch)

    async def _begin(self, envoy: _Envoy, services: tuple[str, ...]) -> None:
        own = tuple(name for name in services if name in envoy.traffic.services)
        await envoy.standing.begin(own, envoy.proxy.wanted().version)

    async def _held_back(self, envoy: _Envoy, services: tuple[str, ...]) -> _Change:
        text = envoy.traffic.text()
        own = [name for name in services if name in envoy.traffic.services]
        return _Change(envoy, text, (await envoy.traffic.base(text)).holding(own))

    async def held(self, epoch: int) -> Held:
        with self._fence.holding(epoch):
            standing = self._standing
        if not standing:
            raise Refused("nothing is held")
        looks = await asyncio.gather(*(envoy.standing.held() for envoy in standing))
        return Held(
            in_flight=sum(held.in_flight for held in looks),
            waiting=sum(held.waiting for held in looks),
            leaked=sum(held.leaked for held in looks),
            restarted=any(held.restarted for held in looks),
            streams=sum(held.streams for held in looks),
        )

    async def let_go(self, epoch: int) -> tuple[float, ...]:
        """The gate opens first, so nobody waits for a disk. Where the file cannot be written, Envoy
        finds nobody at the gate, and lets everything in.
        """
        standing, self._standing = self._standing, ()
        waited = [one for envoy in standing for one in envoy.standing.gate.open()]
        try:
            with self._fence.holding(epoch):
                self._end_holds()
            async with asyncio.timeout(LET_GO_S):
                await asyncio.gather(*(envoy.traffic.settled() for envoy in standing))
        except (Refused, Superseded, Unreachable, Gone, TimeoutError):
            pass
        finally:
            for envoy in standing:
                await envoy.standing.gate.close()
        return tuple(waited)

    def _end_holds(self) -> None:
        """Under the fence. A file that somebody edited is left to `send`."""
        for envoy in self._envoys:
            try:
                setting = runtime.parse(envoy.traffic.text() or "")
            except Edited:
                continue
            if setting.held:
                envoy.traffic.write(setting.changed({}, {}))

    # -- Addresses ---------------------------------------------------------------------------

    def remarks(self) -> tuple[str, ...]:
        """There is nothing that it cannot promise."""
        return ()

    def inner_address(self, pin: Pin) -> tuple[str, int]:
        return "127.0.0.1", self._places.port(names.pin_place(pin))

    def outer_address(self, service: str) -> str | None:
        route = self._site.service(service).behind
        if route is None:
            return None
        spec = next(spec for spec in self._site.switches if spec.name == route.switch)
        return f"http://{route.host or _reached_at(spec.host)}:{spec.port}{route.path}"

    def preview_address(self, service: str, color: Color) -> str | None:
        described = self._site.service(service)
        if names.home(self._site, described) is None:
            return None
        path = described.behind.path if described.behind else "/"
        port = self._places.port(names.preview_place(service, color))
        return f"http://127.0.0.1:{port}{path}"

    @property
    def _envoys(self) -> tuple[_Envoy, ...]:
        """Made when first needed: choosing ports writes a file."""
        if self._made is None:
            self._made = tuple(self._envoy(spec) for spec in self._site.switches)
        return self._made

    def _envoy(self, spec: SwitchSpec) -> _Envoy:
        site, folder = self._site, os.path.join(self._folder, spec.name)
        workers = Workers(self._places.port(names.probe_place(spec)), spec.workers)
        return _Envoy(
            spec,
            Proxy(site, spec, workers=workers, places=self._places, folder=folder),
            Traffic(site, spec, workers=workers, folder=folder),
            Kept(spec.name, self._processes),
            workers,
            Standing(spec.name, workers=workers, folder=folder),
        )


def _reached_at(host: str) -> str:
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _merged(looks: list[SwitchSeen]) -> SwitchSeen:
    """Every service has one home, so nothing is said twice."""
    return SwitchSeen(
        shares=tuple(item for seen in looks for item in seen.shares),
        pins=tuple(item for seen in looks for item in seen.pins),
        connections=tuple(item for seen in looks for item in seen.connections),
        up=all(seen.up for seen in looks),
        note="; ".join(seen.note for seen in looks if seen.note),
    )
