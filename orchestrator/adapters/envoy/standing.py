"""Time standing still at one Envoy: its gate, and what is seen of it meanwhile.

The one rule: whatever cannot be told for sure counts as trouble. A worker's connection that broke
means another Envoy; a request that got through, or one that may be between two tries, keeps time
from moving on. It knows neither files nor epochs: whoever calls `listen` holds the fence.
"""

from __future__ import annotations

import asyncio
import time

from orchestrator.adapters.envoy import admin, config, flight, names, runtime
from orchestrator.adapters.envoy.flight import Flight
from orchestrator.adapters.envoy.gate import Gate
from orchestrator.adapters.envoy.runtime import Edited
from orchestrator.adapters.envoy.workers import Gone, Worker, Workers, until
from orchestrator.core.stillness import Held
from orchestrator.ports.trouble import Unreachable

READY_S = 40.0  # connections from before the site changed are closed after 30
POLL_S = 0.005
DOUBT_S = 0.1  # a request is between tries for less than this, however often it is tried again


class Standing:
    """`folder` is that of this Envoy alone."""

    def __init__(self, switch: str, *, workers: Workers, folder: str) -> None:
        self.gate = Gate(folder, names.GATE_SOCKET)
        self._switch = switch
        self._workers = workers
        self._folder = folder
        self._services: tuple[str, ...] = ()
        self._before: Flight | None = None  # the look that everything is held against
        self._last: Flight | None = None
        self._quiet_since = 0.0
        self._times = 0

    async def begin(self, services: tuple[str, ...], version: str) -> None:
        """Return when Envoy would hold: it sees the gate, every worker has the routes, and nobody
        is connected from before those. `Unreachable`: that does not come about.
        """
        await self.gate.serve()
        self._services = services
        try:
            async with asyncio.timeout(READY_S):
                await until(self._is_ready, POLL_S)
                versions = await self._workers.each(Worker.config)
        except (TimeoutError, Gone) as error:
            why = str(error) or f"it was not ready to hold within {READY_S:g} s"
            raise Unreachable(f"{self._switch}: {why}") from error
        if any(said != version for said in versions):
            raise Unreachable(f"{self._switch}: not every worker has the routes that can hold")
        self._before = self._last = await self._counted()
        self._quiet_since, self._times = time.monotonic(), self._workers.times

    async def _is_ready(self) -> bool:
        return flight.gate_is_ready(await admin.stats(self._folder, config.ADMIN, flight.GATE))

    async def held(self) -> Held:
        """One look. `Unreachable`: Envoy does not answer."""
        assert self._before is not None
        try:
            _, now = await asyncio.gather(self._workers.each(Worker.config), self._counted())
        except Gone as gone:
            raise Unreachable(f"{self._switch}: {gone}") from gone
        return Held(
            in_flight=self._in_flight(now),
            waiting=max(now.waiting, self.gate.waiting),
            leaked=max(now.leaked - self._before.leaked, 0),
            restarted=self._workers.times != self._times,
            streams=now.streams,
        )

    def _in_flight(self, now: Flight) -> int:
        """What is at a service, or may be about to be."""
        retried = self._last is not None and self._last.retried != now.retried
        if now.requests or retried:
            self._quiet_since = time.monotonic()
        self._last = now
        if time.monotonic() - self._quiet_since < DOUBT_S:
            return now.requests or now.loose or int(retried)
        return now.requests

    def left_on(self, text: str | None) -> str:
        """In words, where the runtime file holds and the driver that did it is gone."""
        try:
            held = runtime.parse(text or "").held
        except Edited:
            return ""
        if not held or not self.gate.is_left():
            return ""
        whose = " and ".join(held)
        return (
            f"{self._switch}: a driver that is gone had stopped time for {whose}; requests go on by"
            " themselves, and the next command that drives takes it off"
        )

    async def _counted(self) -> Flight:
        numbers = await admin.stats(self._folder, config.ADMIN, flight.EVERYTHING)
        return flight.counted(numbers, self._services)
