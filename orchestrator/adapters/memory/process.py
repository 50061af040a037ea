"""One process in a world of memory: its ports, and the hook around everything it does.

A process that was killed does nothing more: whatever it still tries raises `Killed` again, also in
its other tasks and in every `finally`. What happens between "before" and "after" happens at one
instant, as under a fence.
"""

from __future__ import annotations

from typing import TypeVar

from orchestrator.adapters.memory.artifacts import MemoryArtifacts
from orchestrator.adapters.memory.commands import MemoryCommands
from orchestrator.adapters.memory.doing import Doing
from orchestrator.adapters.memory.fuse import Hook, nothing_happens
from orchestrator.adapters.memory.hosts import MemoryHosts
from orchestrator.adapters.memory.installation import MemoryInstallation
from orchestrator.adapters.memory.journal import MemoryJournal
from orchestrator.adapters.memory.lease import MemoryLease
from orchestrator.adapters.memory.prober import MemoryProber
from orchestrator.adapters.memory.switch import MemorySwitch
from orchestrator.adapters.memory.world import World
from orchestrator.core.model import Site

T = TypeVar("T")


class Process:
    """All ports of one process. `far`: on another machine, so nobody here can tell whether it
    lives, or end it.
    """

    def __init__(
        self,
        world: World,
        hook: Hook = nothing_happens,
        *,
        far: bool = False,
        site: Site | None = None,
    ) -> None:
        """`site`: as this process knows it, where hosts of the world's are away."""
        self.pid = 1000 + len(world.living)
        self.world = world
        self.clock = world.clock
        world.living[self.pid] = True
        if far:
            world.far.add(self.pid)
        doing = Doing(world, self.pid, hook)
        self.journal = MemoryJournal(doing)
        self.lease = MemoryLease(doing)
        self.installation = MemoryInstallation(doing, site or world.site)
        self.hosts = MemoryHosts(doing, site or world.site)
        self.switch = MemorySwitch(doing)
        self.prober = MemoryProber(doing)
        self.artifacts = MemoryArtifacts(world)
        self.commands = MemoryCommands(doing)

    @property
    def alive(self) -> bool:
        return self.world.living[self.pid]

    def kill(self) -> None:
        """SIGKILL."""
        self.world.living[self.pid] = False
