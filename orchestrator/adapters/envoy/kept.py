"""The process of one Envoy: kept like an instance, found again by whoever comes next.

Nothing but starting and ending it; what it serves by lies in files. It knows nothing of epochs:
whoever calls `start` or `end` holds the fence.
"""

from __future__ import annotations

from orchestrator.adapters.envoy.places import is_free
from orchestrator.ports.processes import Launch, Processes, ProcessSeen
from orchestrator.ports.trouble import Refused, Unreachable


class Kept:
    """The Envoy of this switch, among the processes of this machine."""

    def __init__(self, switch: str, processes: Processes) -> None:
        self._switch = switch
        self._name = f"envoy/{switch}"
        self._processes = processes

    def seen(self) -> ProcessSeen | None:
        """As it was found just now; None where it was never started."""
        found = self._processes.look(self._name)
        return next((one for one in found if one.name == self._name), None)

    def alive(self) -> bool:
        """Whether it is there, or would be started again."""
        seen = self.seen()
        return seen is not None and (seen.running or seen.kept)

    def runs_otherwise(self, launch: Launch) -> bool:
        """Whether it runs as another program, with another bootstrap or number of workers."""
        seen = self.seen()
        return seen is not None and self.alive() and seen.tag != launch.tag

    def start(self, launch: Launch, addresses: tuple[tuple[str, int], ...]) -> None:
        """Under the fence; where it runs already, only a missing keeper is replaced.

        `Refused`: an address is taken.
        """
        seen = self.seen()
        if seen is None or not seen.running:
            for host, port in addresses:
                if not is_free(host, port):
                    raise Refused(
                        f"{self._switch}: {host}:{port} cannot be listened at; another program"
                        " has it, or the address is not of this machine"
                    )
        self._processes.start(self._name, launch)

    def end(self) -> None:
        """Under the fence; idempotent."""
        if self.seen() is not None:
            self._processes.end(self._name)

    async def ended(self) -> None:
        """Return when it is gone. `Unreachable`: it is not."""
        if self.seen() is not None and not await self._processes.ended(self._name):
            raise Unreachable(f"{self._switch}: Envoy does not end")

    def log(self) -> str:
        """What it said last."""
        return self._processes.log(self._name, 2)

    def last_words(self) -> str:
        """How it last ended, for a sentence about it; empty where there is nothing to say."""
        seen = self.seen()
        if seen is None:
            return "it was never started"
        return seen.note if seen.note or seen.running else "it is not running"
