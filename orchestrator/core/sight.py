"""What could be seen in one look, and what it says about a step.

A `Sighting` is everything adapters reported, as values: identities (release digests, start
numbers), never names alone. `holds` says whether a step is true in it, `undone` whether nothing
of it is left. Both are pure; a look that did not reach something says so in `unreached`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import assert_never

from orchestrator.core.model import Color, Pin, Release, Share
from orchestrator.core.steps import (
    Drain,
    Gate,
    Part,
    Prove,
    Retire,
    Run,
    Shift,
    Soak,
    Stage,
    Start,
    Step,
    Tidy,
    Wire,
    Wiring,
)


@dataclass(frozen=True, slots=True)
class InstanceSeen:
    index: int
    release: Release | None  # what it runs, or was last started with
    running: bool  # its process is there, now
    start: int = 0  # number of this start; every start of every release has a new one; 0: never
    identity: str = ""  # for people: pid, start time, boot
    note: str = ""  # for people: how it last ended, its last words; redacted
    kept: bool = False  # something is there that would start it again


@dataclass(frozen=True, slots=True)
class InstallationSeen:
    """One color of one service."""

    service: str
    color: Color
    staged: frozenset[Release] = frozenset()
    current: Release | None = None  # what the color points at
    instances: tuple[InstanceSeen, ...] = ()
    partly: frozenset[Release] = frozenset()  # lie on some of its hosts, and not on all
    agreed: bool = True  # all of its hosts point at `current`; else most of them do

    def lies(self, release: Release) -> bool:
        """Whether anything of it lies anywhere."""
        return release in self.staged or release in self.partly

    def running(self, release: Release | None = None) -> int:
        """How many instances run (this release; any, where none is named)."""
        return sum(i.running and (release is None or i.release == release) for i in self.instances)

    def unkept(self, release: Release) -> int:
        """How many instances of it run with nobody who would start them again."""
        return sum(i.running and not i.kept and i.release == release for i in self.instances)

    def anything_left(self, release: Release) -> bool:
        return any((i.running or i.kept) and i.release == release for i in self.instances)

    @property
    def empty(self) -> bool:
        return not any(i.running or i.kept for i in self.instances)


@dataclass(frozen=True, slots=True)
class Connections:
    service: str
    color: Color
    open: int


@dataclass(frozen=True, slots=True)
class Astray:
    """A host that a switch sends new requests to though it was taken out, or does not (`shut`)
    though nobody took it out.
    """

    host: str
    shut: bool
    at: tuple[str, ...]  # its proxies, by the names of their hosts
    of: tuple[tuple[str, Color], ...]  # (service, color) that it is about


@dataclass(frozen=True, slots=True)
class SwitchSeen:
    """What every switch says, merged.

    `up` is false where one does not answer or its workers disagree.
    """

    shares: tuple[tuple[str, Share], ...] = ()
    pins: tuple[tuple[Pin, Color], ...] = ()
    connections: tuple[Connections, ...] = ()
    up: bool = True
    note: str = ""  # for people: what is wrong
    astray: tuple[Astray, ...] = ()
    lingering: tuple[tuple[str, int], ...] = ()  # (host taken out, requests it still answers)

    def share(self, service: str) -> Share:
        return next((share for name, share in self.shares if name == service), Share())

    def open_connections(self, service: str, color: Color) -> int:
        here = (service, color)
        return sum(c.open for c in self.connections if (c.service, c.color) == here)


@dataclass(frozen=True, slots=True)
class RunSeen:
    """One step of the user's own at one place, as its look or what was noted of it says."""

    step: str
    host: str  # empty: this machine
    holds: bool
    left: bool = False  # something of it may be there that its undo has to take away


@dataclass(frozen=True, slots=True)
class Sighting:
    installations: tuple[InstallationSeen, ...] = ()
    switch: SwitchSeen = SwitchSeen()
    unreached: tuple[str, ...] = ()  # what did not answer, in words
    runs: tuple[RunSeen, ...] = ()  # of the steps of the user's own that were looked at

    def at(self, service: str, color: Color) -> InstallationSeen:
        for seen in self.installations:
            if seen.service == service and seen.color is color:
                return seen
        return InstallationSeen(service, color)

    def saw(self, service: str, color: Color) -> bool:
        """Whether this color answered at all. One that did not is not an empty one."""
        return any((i.service, i.color) == (service, color) for i in self.installations)

    def ran(self, step: str, host: str) -> RunSeen | None:
        """None: nobody looked, or it did not answer."""
        return next((r for r in self.runs if (r.step, r.host) == (step, host)), None)

    def share(self, service: str) -> Share:
        return self.switch.share(service)

    def pin(self, pin: Pin) -> Color | None:
        return next((color for seen, color in self.switch.pins if seen == pin), None)


# -- What a sighting says about a step -----------------------------------------------------


def holds(step: Step, sighting: Sighting) -> bool:
    """Whether the step is true in what was seen. Looks are never true beforehand, and nothing is
    true of what did not answer.
    """
    match step:
        case Stage(parts):
            return all(p.release in sighting.at(p.service, p.color).staged for p in parts)
        case Retire(parts):
            return all(_retired(p, sighting) for p in parts)
        case Wire(wirings):
            return sighting.switch.up and all(sighting.pin(w.pin) is w.after for w in wirings)
        case Start(parts):
            return all(_runs(p, sighting) for p in parts)
        case Shift(flips, wirings):
            moved = all(sighting.share(f.service) == f.after for f in flips)
            wired = all(sighting.pin(w.pin) is w.after for w in wirings)
            return sighting.switch.up and moved and wired
        case Tidy(releases):
            return all(
                sighting.saw(service, color) and not sighting.at(service, color).lies(release)
                for service, release in releases
                for color in Color
            )
        case Run():
            return all(seen is not None and seen.holds for seen in _seen_of(step, sighting))
        case Drain() | Prove() | Gate() | Soak():
            return False
        case _:
            assert_never(step)


def undone(step: Step, sighting: Sighting) -> bool:
    """Whether nothing of the step is left, and what was there at the opening is there again; as
    far as it answered.
    """
    match step:
        case Stage(parts):
            return all(p.before.staged or _gone(p, sighting) for p in parts)
        case Retire(parts):
            return all(
                sighting.at(p.service, p.color).running(p.release) >= p.before.running
                for p in parts
            )
        case Wire(wirings):
            return sighting.switch.up and all(_as_wired_before(w, sighting) for w in wirings)
        case Start(parts):
            return all(_stopped(p, sighting) for p in parts)
        case Shift(flips, wirings):
            back = all(sighting.share(f.service) == f.before for f in flips)
            wired = all(_as_wired_before(w, sighting) for w in wirings)
            return sighting.switch.up and back and wired
        case Run() if not step.home:
            return True
        case Run():
            return all(seen is not None and not seen.left for seen in _seen_of(step, sighting))
        case Drain() | Prove() | Gate() | Soak() | Tidy():
            return True
        case _:
            assert_never(step)


def missing_of(run: Run, sighting: Sighting) -> Run:
    """The same, less the hosts where it holds already."""
    return _at(run, sighting, lambda seen: not seen.holds)


def left_of(run: Run, sighting: Sighting) -> Run:
    """The same, less the hosts where nothing of it is left."""
    return _at(run, sighting, lambda seen: seen.left)


def _at(run: Run, sighting: Sighting, wanted: Callable[[RunSeen], bool]) -> Run:
    seen = {host: sighting.ran(run.command.name, host) for host in run.hosts}
    hosts = tuple(host for host, one in seen.items() if one is None or wanted(one))
    return replace(run, hosts=hosts)


def _seen_of(run: Run, sighting: Sighting) -> tuple[RunSeen | None, ...]:
    return tuple(sighting.ran(run.command.name, host) for host in run.places)


def _runs(part: Part, sighting: Sighting) -> bool:
    seen = sighting.at(part.service, part.color)
    if seen.current != part.release or not seen.agreed or seen.unkept(part.release):
        return False
    return seen.running(part.release) >= part.count


def _stopped(part: Part, sighting: Sighting) -> bool:
    seen = sighting.at(part.service, part.color)
    if not sighting.saw(part.service, part.color) or not seen.agreed:
        return False
    lost = part.before.current is not None and not seen.lies(part.before.current)
    if seen.current != part.before.current and not (lost and seen.current is None):
        return False  # what lies nowhere any more cannot be pointed at
    return part.before.running > 0 or _retired(part, sighting)


def _gone(part: Part, sighting: Sighting) -> bool:
    seen = sighting.at(part.service, part.color)
    return sighting.saw(part.service, part.color) and not seen.lies(part.release)


def _retired(part: Part, sighting: Sighting) -> bool:
    seen = sighting.at(part.service, part.color)
    return sighting.saw(part.service, part.color) and not seen.anything_left(part.release)


def _as_wired_before(wiring: Wiring, sighting: Sighting) -> bool:
    return wiring.before is None or sighting.pin(wiring.pin) is wiring.before
