"""Steps of the user's own in memory: how much of each was done, by place.

To begin and to end are two effects, for a driver may die between them.
"""

from __future__ import annotations

from orchestrator.adapters.memory.doing import Doing
from orchestrator.adapters.memory.world import ALL_OF_IT, HALF, NONE_OF_IT
from orchestrator.core.sight import RunSeen
from orchestrator.core.steps import Run
from orchestrator.ports.trouble import Unsuccessful

TARGET = "commands"


class MemoryCommands:
    """`ports.commands.Commands` on the notes of a world."""

    def __init__(self, doing: Doing) -> None:
        self._doing = doing
        self._world = doing.world

    async def look(
        self, runs: tuple[Run, ...], rollout: int, epoch: int | None
    ) -> tuple[RunSeen, ...]:
        return await self._doing.look(
            "commands.look",
            ", ".join(run.command.name for run in runs),
            lambda: self.seen(runs, rollout),
            epoch=epoch,
            target=TARGET,
        )

    def seen(self, runs: tuple[Run, ...], rollout: int) -> tuple[RunSeen, ...]:
        return tuple(self._seen(run, place, rollout) for run in runs for place in run.places)

    async def check(self, run: Run) -> None:
        """Nothing here needs a secret."""

    async def do(self, run: Run, rollout: int, epoch: int) -> None:
        await self._run(run, rollout, epoch, back=False)

    async def undo(self, run: Run, rollout: int, epoch: int) -> None:
        await self._run(run, rollout, epoch, back=True)

    async def _run(self, run: Run, rollout: int, epoch: int, *, back: bool) -> None:
        to = _ends(run)[0 if back else 1]
        for place in run.places:
            verb = "undo" if back else "do"
            what = f"{run.command.name} {place or 'here'}"
            for much, said in ((HALF, f"{verb} half of"), (to, verb)):
                await self._set(run, rollout, epoch, place=place, much=much, what=f"{said} {what}")
            if run.command.name in self._world.failing:
                raise Unsuccessful(f"{what}: it ended with exit code 1")

    async def _set(
        self, run: Run, rollout: int, epoch: int, *, place: str, much: int, what: str
    ) -> None:
        key = _key(run, place, rollout)

        def change() -> bool:
            if run.command.name in self._world.failing and much != HALF:
                return False
            changed = self._world.ran.get(key, NONE_OF_IT) != much
            self._world.ran[key] = much
            return changed

        await self._doing.effect("commands.run", what, change, epoch=epoch, target=TARGET)

    def _seen(self, run: Run, place: str, rollout: int) -> RunSeen:
        start, goal = _ends(run)
        much = self._world.ran.get(_key(run, place, rollout), NONE_OF_IT)
        return RunSeen(run.command.name, place, much == goal, much != start)


def _key(run: Run, place: str, rollout: int) -> tuple[int, str, str]:
    """A note is of its rollout; what a look says is so is so, whoever made it."""
    return 0 if run.command.holds else rollout, run.command.name, place


def _ends(run: Run) -> tuple[int, int]:
    """What there was of it before, and will be after."""
    gone = run.back and bool(run.command.holds)
    return (ALL_OF_IT, NONE_OF_IT) if gone else (NONE_OF_IT, ALL_OF_IT)
