"""The closed vocabulary of steps: what a plan is made of.

A step is a frozen value. It carries no code. It knows what it works on and what was there before,
so that undoing it restores instead of guessing. What it means for a step to be true is
`sight.holds`; what it takes to make it true is one `match` in `engine.perform`.

The one rule: a part contains only what did not hold when the plan was opened.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.core.model import Color, Hold, Pin, Release, Share


@dataclass(frozen=True, slots=True)
class Before:
    """What was there when the plan was opened: an undo restores this."""

    current: Release | None = None  # what the color pointed at
    running: int = 0  # how many instances of the part's release ran, and shall run again
    staged: bool = False  # whether the release of the part lay there already


@dataclass(frozen=True, slots=True)
class Part:
    """One (service, color, instances) with the release it is about.

    A step does its parts side by side.
    """

    service: str
    color: Color
    count: int  # instances 0 … count - 1
    release: Release
    before: Before = Before()


@dataclass(frozen=True, slots=True)
class Wiring:
    """One inner address: where it led at the opening, and where it leads after the step."""

    pin: Pin
    before: Color | None
    after: Color


@dataclass(frozen=True, slots=True)
class Flip:
    """One service at the switch.

    The share at the opening, the share after, and what going back needs running.
    """

    service: str
    before: Share
    after: Share
    back: Part | None = None  # the installation that served at the opening; None where nothing did


@dataclass(frozen=True, slots=True)
class Stage:
    """Release and recipe lie on the instances; nothing points at them yet."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Drain:
    """Nobody is being served there any more, or the drain time is over. A look."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Retire:
    """The release found there at the opening no longer runs; it stays on disk."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Wire:
    """The inner addresses of a color that does not serve lead to its own world."""

    wirings: tuple[Wiring, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """The color points at the release, and it runs."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Prove:
    """They are WELL, found so since this start.

    A look. `lenient`: it is enough that any of it answers.
    """

    parts: tuple[Part, ...]
    lenient: bool = False


@dataclass(frozen=True, slots=True)
class Gate:
    """Somebody granted it. A look, and a wait."""

    name: str


@dataclass(frozen=True, slots=True)
class Shift:
    """Traffic of these services goes to that color, and the inner addresses of callers outside
    the wish with it: one write.
    """

    flips: tuple[Flip, ...]
    wirings: tuple[Wiring, ...] = ()
    hold: Hold | None = None  # whether time is stopped for it
    inside: tuple[Step, ...] = ()  # steps at the instant time stands still; none yet


@dataclass(frozen=True, slots=True)
class Soak:
    """WELL for so long under real traffic. A look."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Tidy:
    """Releases beyond `keep` that no way back needs are deleted."""

    releases: tuple[tuple[str, Release], ...]  # (service, release)


Step = Stage | Drain | Retire | Wire | Start | Prove | Gate | Shift | Soak | Tidy

LOOKS = (Drain, Prove, Gate, Soak)
"""Steps that are never true beforehand: they are performed by watching."""


def flips_of(steps: tuple[Step, ...]) -> tuple[Flip, ...]:
    """Everything that moves traffic in these steps."""
    return tuple(flip for step in steps if isinstance(step, Shift) for flip in step.flips)


def undoable(step: Step) -> bool:
    """Whether the step can be taken back.

    Deleting a release that no way back needs takes nothing away.
    """
    return isinstance(step, Step)


def name(step: Step) -> str:
    return type(step).__name__.lower()
