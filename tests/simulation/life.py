"""One life of a site: drivers one after the other, until the rollout closes or waits for a person.

A driver that dies is followed by the next, as when somebody types `resume`; a gate is granted when
it is reached (or what the life says is done there instead); a pause is ended; where it is stuck,
whatever was broken is mended and somebody asks to try again. `check` asks for the promises of the
ending. Trouble goes in through the hook.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from orchestrator.adapters.memory.fuse import Hook, Killed, Tick, all_of, nothing_happens
from orchestrator.adapters.memory.process import Process
from orchestrator.adapters.memory.world import World
from orchestrator.core.decide import For, Wait
from orchestrator.core.health import Verdict
from orchestrator.core.model import Color
from orchestrator.core.record import Asked, Began, Failed, Granted, Opened, Outcome, What, Wish
from orchestrator.core.rollout import Rollout
from orchestrator.core.steps import undoable
from orchestrator.ports.trouble import Busy, NoRoom, Refused, Superseded, Unreachable
from tests.engine.driven import Came, granting, visit
from tests.simulation.endings import (
    Snapshot,
    check_addresses,
    check_ending,
    check_gates,
    check_nobody_waits,
    check_requests,
    snapshot,
)
from tests.simulation.promises import Broken, Promises, story
from tests.simulation.scenes import Scene

LIVES_MAX = 16

Driving = Callable[[Process, Wish | None], Awaitable[Came]]


async def driving(process: Process, wish: Wish | None) -> Came:
    return await visit(process, wish)


@dataclass
class Life:
    scene: Scene
    hook: Hook = nothing_happens
    at_gate: What | None = None  # what is asked at the gate, instead of granting it
    mend: Callable[[], None] = lambda: None  # what a person does before trying again
    drive: Driving = driving
    world: World = field(init=False)
    before: Snapshot = field(init=False)
    promises: Promises = field(init=False)
    number: int = field(init=False)
    lives: int = 0
    retries: int = 0
    stuck: bool = False  # whether a person was needed
    damaged: set[tuple[str, Color]] = field(default_factory=set)  # by something outside of us
    processes: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world = self.scene.make()
        self.promises = Promises(self.world)
        self.number = self.world.chronicle.rollouts + (self.world.chronicle.open is None)
        self.before = snapshot(self.world)

    def live(self) -> Life:
        asyncio.run(self.lived())
        return self.check()

    async def lived(self) -> Life:
        while self.lives < LIVES_MAX:
            self.lives += 1
            if await self.once():
                return self
        raise Broken("it never came to rest\n" + story(self.world))

    def check(self) -> Life:
        check_ending(self.world, self.before, self.scene.wish, self.number, self.damaged)
        check_nobody_waits(self.world)
        check_requests(self.world)
        check_addresses(self.world)
        check_gates(self.world)
        return self

    @property
    def opened(self) -> bool:
        return self.world.chronicle.rollouts >= self.number

    @property
    def outcome(self) -> Outcome | None:
        return next((p.outcome for p in self.world.chronicle.past if p.id == self.number), None)

    @property
    def person_was_needed(self) -> bool:
        """Going back failed, there was nothing well to go back to, or no way back at all."""
        records = [e.record for e in self.world.entries]
        failed = [r for r in records if isinstance(r, Failed)]
        opened = [r for r in records if isinstance(r, Opened)][-1]
        was_ill = any(s.release and s.verdict is not Verdict.WELL for s in opened.before)
        return was_ill or any(f.undoing for f in failed) or self.no_way_back

    @property
    def no_way_back(self) -> bool:
        """A step was begun that nothing takes back."""
        records = [e.record for e in self.world.entries]
        opened = [r for r in records if isinstance(r, Opened)][-1]
        mine = [r for r in records if isinstance(r, Began) and r.rollout == opened.rollout]
        return not all(undoable(opened.plan[began.step]) for began in mine)

    @property
    def ticks(self) -> list[Tick]:
        return self.promises.ticks

    @property
    def effects(self) -> list[tuple[str, str]]:
        """What really changed, and how often; in no order."""
        return sorted((effect.verb, effect.what) for effect in self.world.effects)

    async def once(self) -> bool:
        """One driver; whether it came to rest."""
        process = Process(self.world, all_of(self.promises, self.hook))
        self.processes.append(process)
        try:
            came = await self.drive(process, None if self.opened else self.scene.wish)
        except (Killed, NoRoom):
            return False
        except (Busy, Superseded, Refused, Unreachable):
            process.kill()
            await self.world.clock.sleep(1.0)
            return False
        if came.standing is None or (came.standing.wait is None and not came.standing.stopped):
            return not self.strays
        return came.standing.wait is not None and await self._rests(came.standing.wait)

    async def _rests(self, wait: Wait) -> bool:
        match wait.what:
            case For.GRANT if (instead := self.at_gate) is not None:
                self.at_gate = None
                await self.ask(Asked(self.rollout.id, instead, "ann", target="cutover"))
            case For.GRANT:
                await self.ask(granting(self.world.chronicle))
            case For.PAUSED:
                await self.ask(Asked(self.rollout.id, What.GO_ON, "ann"))
            case For.PERSON if self.retries < 2:
                self.stuck, self.retries = True, self.retries + 1
                self.mend()
                await self.ask(Asked(self.rollout.id, What.RETRY, "ann"))
            case For.PERSON:
                await self.ask(Asked(self.rollout.id, What.ABANDON, "ann"))
            case For.RETRY:
                raise Broken("a retry was not waited for\n" + story(self.world))
        return False

    @property
    def strays(self) -> bool:
        """Whether somebody still waits who asked something of a rollout that has closed."""
        return any(e.record.rollout is not None for e in self.world.chronicle.asked)

    @property
    def rollout(self) -> Rollout:
        assert self.world.chronicle.open is not None
        return self.world.chronicle.open

    async def ask(self, request: Asked | Granted) -> None:
        await Process(self.world).journal.ask(request)
