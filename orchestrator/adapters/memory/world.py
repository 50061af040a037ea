"""A world in memory: what is true, whatever anybody believes.

It holds what lies and runs where, where traffic goes, which epochs were seen, and a log of
everything that really changed. Processes act on it through the ports that `process.Process` hands
out; a test arranges it and reads it directly. The one rule: it is deterministic; nothing here draws
lots or waits.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from orchestrator.adapters.memory.clock import SimulatedClock
from orchestrator.core.chronicle import Chronicle
from orchestrator.core.model import Color, Pin, Release, Service, Share, Site
from orchestrator.core.record import Entry
from orchestrator.core.sight import Astray
from orchestrator.core.stillness import Held
from orchestrator.ports.artifacts import Artifact
from orchestrator.ports.trouble import Superseded


@dataclass(frozen=True, slots=True)
class Health:
    """How a release does once it runs. Counted per start, in looks or samples, never in chance."""

    ill: bool = False  # never answers well
    crashes: bool = False  # dies after each look, and is started again under a new number
    slow: int = 0  # so many samples after its start are bad
    flaps: bool = False  # good, bad, good …
    ill_after: int | None = None  # good for so many samples while it has traffic, then ill
    hangs: bool = False  # takes the whole time limit, then nothing
    why: str = ""  # what a bad sample says


WELL = Health()
ILL = Health(ill=True, why="status 500 instead of 200")
CRASHING = Health(crashes=True, why="connection refused")
FLAPPING = Health(flaps=True)
HANGING = Health(hangs=True)


NONE_OF_IT, HALF, ALL_OF_IT = 0, 1, 2  # of a step of the user's own, at one place


@dataclass
class Instance:
    """One running copy, or what is left of it."""

    release: Release | None = None
    running: bool = False
    kept: bool = False  # its keeper would start it again
    start: int = 0
    note: str = ""
    samples: int = 0  # since this start
    under_traffic: int = 0  # samples since this start while its color had traffic


@dataclass
class Cell:
    """One color of one service."""

    current: Release | None = None
    instances: dict[int, Instance] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Effect:
    """Something that really changed."""

    verb: str
    what: str
    epoch: int
    process: int


@dataclass
class LeaseRow:
    """Who drives, as the lease says. `process` is a pid of `World.processes`."""

    epoch: int = 0
    held: bool = False
    by: str = ""
    doing: str = ""
    since_s: float = 0.0
    until_s: float = 0.0
    process: int = 0


@dataclass
class World:
    """The truth. Arrange it before, read it afterwards; between them act through a `Process`."""

    site: Site
    clock: SimulatedClock = field(default_factory=SimulatedClock)
    staged: dict[str, dict[Release, Service]] = field(default_factory=dict)
    cells: dict[tuple[str, Color], Cell] = field(default_factory=dict)
    shares: dict[str, Share] = field(default_factory=dict)
    pins: dict[Pin, Color] = field(default_factory=dict)
    connections: dict[tuple[str, Color], int] = field(default_factory=dict)
    switch_runs: bool = False  # `ensure` makes it so
    held: tuple[str, ...] = ()  # new requests to these wait, as long as who held them lives
    held_by: int = 0  # the process at whose gate they wait
    while_held: list[Held] = field(default_factory=list)  # what each look says then, the last stays
    waits_s: tuple[float, ...] = ()  # how long those had waited who are let go
    let_go: int = 0  # how often somebody was let go
    switch_broken: str = ""  # why it does not answer; `ensure` mends it
    astray: tuple[Astray, ...] = ()  # hosts; `ensure` keeps out who is out, `admit` lets others in
    lingering: tuple[tuple[str, int], ...] = ()  # (host that is out, requests it still answers)
    health: dict[tuple[str, Release], Health] = field(default_factory=dict)
    offers: dict[str, list[Artifact]] = field(default_factory=dict)  # by service
    epochs: dict[str, int] = field(default_factory=dict)  # the youngest that each target has seen
    effects: list[Effect] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    chronicle: Chronicle = field(default_factory=Chronicle)  # the fold of `entries`
    lease: LeaseRow = field(default_factory=LeaseRow)
    ran: dict[tuple[int, str, str], int] = field(default_factory=dict)
    """How much was done of each step of the user's own: by rollout, name and place."""
    failing: set[str] = field(default_factory=set)  # steps of the user's own that end badly
    living: dict[int, bool] = field(default_factory=dict)  # processes by pid: alive?
    far: set[int] = field(default_factory=set)  # processes on another machine
    dead: set[str] = field(default_factory=set)  # hosts that do not answer
    told_gone: dict[str, str] = field(default_factory=dict)  # hosts that were told so, and why
    belongs: dict[str, str] = field(default_factory=dict)  # hosts of another journal than ours

    # -- Arranging -------------------------------------------------------------------------

    def offer(self, service: str, version: str, health: Health = WELL) -> Release:
        """Somebody built a release: it can be found, and does as `health` says once it runs."""
        digest = hashlib.sha256(f"{service}-{version}".encode()).hexdigest()
        release = Release(version, digest)
        source = f"/artifacts/{service}-{version}"
        self.offers.setdefault(service, []).append(Artifact(release, source))
        self.health[service, release] = health
        return release

    def crash(self, service: str, color: Color, index: int = 0, *, note: str = "killed") -> None:
        """An instance dies; its keeper starts it again, under a new number."""
        instance = self.cell(service, color).instances[index]
        if instance.running:
            self.begin(instance, instance.release, note)

    def lose(self, service: str, color: Color, index: int = 0, *, note: str = "gone") -> None:
        """An instance dies with its keeper: nobody starts it again."""
        instance = self.cell(service, color).instances[index]
        instance.running = instance.kept = False
        instance.note = note

    # -- Reading ---------------------------------------------------------------------------

    def cell(self, service: str, color: Color) -> Cell:
        return self.cells.setdefault((service, color), Cell())

    def running(self, service: str, color: Color) -> tuple[Release | None, ...]:
        """The releases that run there, by instance."""
        instances = self.cell(service, color).instances
        return tuple(instances[i].release for i in sorted(instances) if instances[i].running)

    def serves(self, service: str) -> Release | None:
        """The release that gets all the traffic of a service."""
        live = self.shares.get(service, Share()).live
        return None if live is None else self.cell(service, live).current

    def health_of(self, service: str, release: Release | None) -> Health:
        return WELL if release is None else self.health.get((service, release), WELL)

    # -- What ports need -------------------------------------------------------------------

    def begin(self, instance: Instance, release: Release | None, note: str = "") -> None:
        """A start of its own number."""
        instance.release, instance.running, instance.kept = release, True, True
        instance.start += 1
        instance.samples = instance.under_traffic = 0
        instance.note = note or instance.note

    def fence(self, target: str, epoch: int | None) -> None:
        """Raise the youngest epoch that the target has seen, or `Superseded`."""
        if epoch is None:
            return
        youngest = self.epochs.get(target, 0)
        if epoch < youngest:
            raise Superseded(f"{target}: epoch {youngest} drives now; this was {epoch}")
        self.epochs[target] = epoch
