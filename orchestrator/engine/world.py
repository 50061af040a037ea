"""The ports of one site in one hand, and one look at everything behind them.

`World` is what wiring hands to the engine. It knows no technology. `survey` is the only place
where a `Sighting` is made; with an epoch it raises the fence everywhere first, so nothing older
decides or acts after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from orchestrator.core.model import Site
from orchestrator.core.sight import RunSeen, Sighting, SwitchSeen
from orchestrator.core.steps import Run
from orchestrator.ports.artifacts import Artifacts
from orchestrator.ports.clock import Clock
from orchestrator.ports.commands import Commands
from orchestrator.ports.hosts import Hosts
from orchestrator.ports.installation import Installation, PartlySeen
from orchestrator.ports.journal import Journal
from orchestrator.ports.lease import Lease
from orchestrator.ports.prober import Prober
from orchestrator.ports.switch import Switch
from orchestrator.ports.trouble import Refused, Unreachable
from orchestrator.ports.witness import Witness


async def _nothing() -> None:
    """Most worlds leave nothing open."""


@dataclass(frozen=True, slots=True)
class World:
    """`close` ends what was opened on the way: connections, never what runs. Twice is once."""

    site: Site
    journal: Journal
    lease: Lease
    installation: Installation
    artifacts: Artifacts
    switch: Switch
    prober: Prober
    clock: Clock
    witness: Witness
    commands: Commands
    close: Callable[[], Awaitable[None]] = _nothing
    hosts: Hosts | None = None  # None: everything is on this machine


async def survey(
    world: World, epoch: int | None, *, runs: tuple[Run, ...] = (), rollout: int = 0
) -> Sighting:
    """Look at everything at once, and at these steps of the user's own, as this rollout left them.

    What did not answer is named in `unreached`. Raises `Superseded`.
    """
    installations, switch, ran = await asyncio.gather(
        world.installation.look(epoch),
        world.switch.look(epoch),
        _ran(world, epoch, runs, rollout),
        return_exceptions=True,
    )
    unreached = []
    for seen in (installations, switch, ran):
        if isinstance(seen, Unreachable | Refused):
            unreached.append(seen.why)
        elif isinstance(seen, BaseException):
            raise seen
    if isinstance(installations, PartlySeen):
        installations = installations.seen
    return Sighting(
        installations=() if isinstance(installations, BaseException) else installations,
        switch=SwitchSeen(up=False) if isinstance(switch, BaseException) else switch,
        unreached=tuple(unreached),
        runs=() if isinstance(ran, BaseException) else ran,
    )


async def look_at_switch(world: World, epoch: int | None) -> SwitchSeen:
    """Who gets traffic, and how much of it is open; no host is asked. Raises `Superseded`."""
    try:
        return await world.switch.look(epoch)
    except (Unreachable, Refused) as away:
        return SwitchSeen(up=False, note=away.why)


async def with_runs(
    world: World, epoch: int | None, sighting: Sighting, runs: tuple[Run, ...]
) -> Sighting:
    """The same, with a look at steps of the user's own that no rollout has begun yet."""
    try:
        return replace(sighting, runs=await world.commands.look(runs, 0, epoch))
    except (Unreachable, Refused) as away:
        return replace(sighting, unreached=(*sighting.unreached, away.why))


async def _ran(
    world: World, epoch: int | None, runs: tuple[Run, ...], rollout: int
) -> tuple[RunSeen, ...]:
    """Where there is none to look at, the fence is raised at the places that answer."""
    if not runs and (epoch is None or not world.site.steps):
        return ()
    try:
        return await world.commands.look(runs, rollout, epoch)
    except (Unreachable, Refused):
        if runs:
            raise
        return ()
