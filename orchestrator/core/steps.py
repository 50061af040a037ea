"""The closed vocabulary of steps: what a plan is made of.

A step is a frozen value. It carries no code. It knows what it works on and what was there before,
so that undoing it restores instead of guessing. What it means for a step to be true is
`sight.holds`; what it takes to make it true is one `match` in `engine.perform`.

The one rule: a part contains only what did not hold when the plan was opened.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.core.model import Color, Command, Hold, Pin, Release, Share


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


@dataclass(frozen=True, slots=True)
class About:
    """The service that a step of the user's own is about, as the plan brings it up."""

    service: str
    color: Color
    release: Release


@dataclass(frozen=True, slots=True)
class Run:
    """A command of the user's own has done what it is for: on this machine, or on these hosts.

    `back`: it takes back what a rollout that has closed did, and what it cannot is a remark.
    """

    command: Command
    hosts: tuple[str, ...] = ()  # those of its hosts where it did not hold at the opening
    about: About | None = None  # None: no service in particular
    back: bool = False

    @property
    def places(self) -> tuple[str, ...]:
        """Where it runs; the empty name is this machine."""
        return self.hosts if self.command.on else ("",)

    @property
    def forth(self) -> tuple[str, ...]:
        """The argv that makes it true."""
        return self.command.undo if self.back else self.command.do

    @property
    def home(self) -> tuple[str, ...]:
        """The argv that takes it back; empty: there is none."""
        return self.command.do if self.back else self.command.undo


Step = Stage | Drain | Retire | Wire | Start | Prove | Gate | Shift | Soak | Tidy | Run

LOOKS = (Drain, Prove, Gate, Soak)
"""Steps that are never true beforehand: they are performed by watching."""


def flips_of(steps: tuple[Step, ...]) -> tuple[Flip, ...]:
    """Everything that moves traffic in these steps."""
    return tuple(flip for step in steps if isinstance(step, Shift) for flip in step.flips)


def undoable(step: Step) -> bool:
    """Whether the step can be taken back.

    Deleting a release that no way back needs takes nothing away.
    """
    return not isinstance(step, Run) or bool(step.home) or step.command.leave


def can_be_left(step: Step, *, undoing: bool) -> str:
    """What people call a step that a rollout is whole without: where it cannot be done, or taken
    back, that is a remark. Empty where it is not so.

    No way back hangs on a command of the user's own, in this rollout or after its close.
    """
    if isinstance(step, Tidy):
        return "old releases"
    return step.command.name if isinstance(step, Run) and (undoing or step.back) else ""


def name(step: Step) -> str:
    return type(step).__name__.lower()


def title(step: Step) -> str:
    """What people call it: its kind, or the name that its user gave it."""
    return step.command.name if isinstance(step, Run) else name(step)
