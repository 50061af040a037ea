"""Histories that could have been: a small driver that writes what some choices lead to.

It asks `decide` what comes next, as the real one does, and lets `choose` say how it went and what
people asked for meanwhile. Whatever is chosen, every record could really have followed.
"""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.adapters.memory.clock import SimulatedClock
from orchestrator.core.chronicle import Chronicle, fold
from orchestrator.core.decide import Answer, Close, Do, For, Move, Turn, Undo, Wait, decide
from orchestrator.core.health import Verdict
from orchestrator.core.model import (
    Color,
    Placement,
    Policy,
    Recipe,
    Release,
    Route,
    Service,
    Share,
    Site,
    SwitchSpec,
)
from orchestrator.core.record import (
    Answered,
    Asked,
    Began,
    Closed,
    Ended,
    Fact,
    Failed,
    FoundWell,
    Granted,
    Kind,
    NoStandby,
    Opened,
    Record,
    Served,
    Trouble,
    Turned,
    Wanted,
    What,
    Wish,
)
from orchestrator.core.rollout import Rollout
from orchestrator.core.steps import Before, Flip, Gate, Part, Prove, Shift, Soak, Stage, Start
from orchestrator.ports.journal import Journal

Choose = Callable[[int], int]
"""`choose(n)`: a number below n."""

BLUE, GREEN = Color.BLUE, Color.GREEN
SITE = Site(
    "shop",
    (
        Service("web", "web-{version}", Recipe(("run",)), Placement(2, 20000, 20010), (),
                behind=Route("edge")),
    ),
    (SwitchSpec("edge"),),
    Policy(tries=2),
)  # fmt: skip
ASKED = (What.BACK, What.FORWARD, What.RETRY, What.PAUSE, What.GO_ON, What.ABANDON, What.WISH)


async def live(journal: Journal, epoch: int, clock: SimulatedClock, choose: Choose) -> Chronicle:
    """Some rollouts, the last one perhaps still open. The chronicle as its writer has it."""
    writer = Writer(journal, epoch, clock, choose)
    for _ in range(1 + choose(3)):
        await writer.open()
        for _ in range(40):
            if writer.chronicle.open is None:
                break
            await writer.go_on()
        if writer.chronicle.open is not None:
            break
    return writer.chronicle


class Writer:
    def __init__(self, journal: Journal, epoch: int, clock: SimulatedClock, choose: Choose) -> None:
        self.journal = journal
        self.epoch = epoch
        self.clock = clock
        self.choose = choose
        self.chronicle = Chronicle()
        self.last = 0

    async def open(self) -> None:
        await self.write(opened(self.chronicle, str(self.chronicle.rollouts + 1)))

    async def go_on(self) -> None:
        """One move, or somebody who wants something."""
        rollout = self.chronicle.open
        assert rollout is not None
        self.clock.pass_by(0.25)
        if self.choose(5) == 0:
            await self.ask(self.wanted(rollout))
            return
        move = decide(rollout, self.clock.now())
        assert move is not None
        await self.do(rollout, move)

    async def do(self, rollout: Rollout, move: Move) -> None:
        match move:
            case Do(step):
                await self.write(Began(rollout.id, step, False, rollout.attempt, None))
                if not isinstance(rollout.steps[step], Gate):
                    await self.write(self.ending(rollout, step, undoing=False))
                elif rollout.granted:
                    await self.write(Ended(rollout.id, step, False))
            case Undo(step):
                await self.write(Began(rollout.id, step, True, rollout.attempt))
                await self.write(self.ending(rollout, step, undoing=True))
            case Turn(way, reason, request):
                await self.write(Turned(rollout.id, way, reason, request))
            case Answer(request, reason):
                await self.write(Answered(request, reason, rollout.id))
            case Close(outcome):
                await self.write(Closed(rollout.id, outcome))
            case Wait(For.GRANT):
                await self.ask(Granted(rollout.id, "cutover", rollout.attempt, "ann"))
            case Wait(For.PERSON):
                await self.ask(Asked(rollout.id, What.ABANDON, "ann"))
            case Wait(For.PAUSED):
                await self.ask(Asked(rollout.id, What.GO_ON, "ann"))
            case Wait():
                self.clock.pass_by(20.0)

    def ending(self, rollout: Rollout, step: int, *, undoing: bool) -> Record:
        kinds = tuple(Trouble)
        if (bad := self.choose(12)) < len(kinds):
            return Failed(rollout.id, step, undoing, kinds[bad], "it went wrong: ünïcode \x1b \n")
        facts: dict[int, tuple[Fact, ...]] = {
            0: (),
            1: (FoundWell("web", Color.GREEN, 0, 1 + self.choose(3)),),
            2: (NoStandby("web", Color.BLUE, "it did not come up"),),
        }
        return Ended(rollout.id, step, undoing, facts[self.choose(3)])

    def wanted(self, rollout: Rollout) -> Asked:
        what = ASKED[self.choose(len(ASKED))]
        address = (rollout.id, None, rollout.id + 7)[self.choose(3)]
        wish = Wish(()) if what is What.WISH else None
        return Asked(address, what, "bob", "because", wish=wish)

    async def write(self, *records: Record) -> None:
        for entry in await self.journal.append(self.last, records, epoch=self.epoch):
            self.chronicle = fold(self.chronicle, entry)
            self.last = entry.number

    async def ask(self, request: Asked | Granted) -> None:
        entry = await self.journal.ask(request)
        self.chronicle = fold(self.chronicle, entry)
        self.last = entry.number


def opened(chronicle: Chronicle, version: str) -> Opened:
    """A deploy of this version to the color that does not serve."""
    serving = chronicle.serves("web")
    live = serving.color if serving else None
    to = live.other if live else Color.BLUE
    release = Release(version, version.rjust(8, "0"))
    part = Part("web", to, 2, release, Before(None, 0, False))
    back = Part("web", live, 2, serving.release) if serving and live else None
    flip = Flip("web", Share.all_to(live), Share.all_to(to), back)
    return Opened(
        rollout=chronicle.rollouts + 1,
        plan=(
            Stage((part,)),
            Start((part,)),
            Prove((part,)),
            Gate("cutover"),
            Shift((flip,)),
            Soak((part,)),
        ),
        site=SITE,
        policy=SITE.policy,
        wish=Wish((Wanted("web", release, "/artifacts/web"),), Kind.DEPLOY),
        before=(Served("web", flip.before, serving.release if serving else None, Verdict.WELL),),
        by="ann@box",
    )
