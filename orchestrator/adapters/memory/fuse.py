"""Where trouble goes in: a hook that is called around everything a process does to its world.

Around each effect, each look and each write to the journal the hook is told a `Tick`, before and
after. It may raise: `Killed` (the process is dead from there on), `Refused` or `Unreachable` before
(nothing happened) or `Unreachable` after (it happened all the same: a lost reply), `NoRoom` around
a write. It may wait (a paused process), or answer `LIE` before an effect: then nothing happens, and
success is reported.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum

from orchestrator.ports.trouble import Refused, Unreachable


class Killed(BaseException):
    """The process died here. Not an Exception: nothing in it can carry on."""


class When(Enum):
    BEFORE = "before"
    AFTER = "after"


class Kind(Enum):
    EFFECT = "effect"
    LOOK = "look"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Tick:
    when: When
    kind: Kind
    verb: str  # `installation.start`, `switch.look`, `journal.append`
    what: str  # on what: `web green #0 2@ab12`
    epoch: int | None
    process: int  # whose: its pid

    def __str__(self) -> str:
        return f"{self.when.value} {self.verb} {self.what}".rstrip()


class Answer(Enum):
    GO_ON = "go on"
    LIE = "lie"


GO_ON, LIE = Answer.GO_ON, Answer.LIE
Hook = Callable[[Tick], Awaitable[Answer] | Answer]


def nothing_happens(tick: Tick) -> Answer:
    """The hook of an untroubled world."""
    return GO_ON


@dataclass
class Fuse:
    """Kills whoever makes the nth tick (counted over all lives, from 1); any number of them."""

    at: frozenset[int] = frozenset()
    ticks: list[Tick] = field(default_factory=list)

    @classmethod
    def blowing_at(cls, *at: int) -> Fuse:
        return cls(frozenset(at))

    def __call__(self, tick: Tick) -> Answer:
        self.ticks.append(tick)
        if len(self.ticks) in self.at:
            raise Killed(f"tick {len(self.ticks)}: {tick}")
        return GO_ON


class How(Enum):
    REFUSES = "refuses"  # nothing happens, and it says so
    SILENT = "silent"  # nothing happens, and nobody knows
    LATE = "late"  # it happens, and nobody knows
    LIES = "lies"  # nothing happens, and it reports success


@dataclass
class Fault:
    """One kind of effect or look goes wrong, the next `times` times."""

    verb: str  # `installation.start`
    how: How
    times: int = 1
    what: str = ""  # only where this is in `Tick.what`

    def __call__(self, tick: Tick) -> Answer:
        at = When.AFTER if self.how is How.LATE else When.BEFORE
        if tick.when is not at or tick.verb != self.verb or self.what not in tick.what:
            return GO_ON
        if self.times <= 0:
            return GO_ON
        self.times -= 1
        match self.how:
            case How.REFUSES:
                raise Refused(f"{tick.verb} {tick.what}: refused")
            case How.SILENT | How.LATE:
                raise Unreachable(f"{tick.verb} {tick.what}: no answer")
            case How.LIES:
                return LIE


def all_of(*hooks: Hook) -> Hook:
    """Each in turn; the first that raises or lies is what happens."""

    async def each(tick: Tick) -> Answer:
        for hook in hooks:
            answer = hook(tick)
            if not isinstance(answer, Answer):
                answer = await answer
            if answer is LIE:
                return LIE
        return GO_ON

    return each
