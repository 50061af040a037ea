"""A world small enough to think through: what steps do to it, part by part.

`prove` plays a plan against it. It knows installations, starts, traffic and pins, and nothing
else. Starts are not numbered but told apart only by "found well since, or not" (`PROVEN`,
`FRESH`), and instances that are alike are as good as one another, so the number of worlds stays
small. `sighting_of` shows an imagined world the way a real one is seen, so the real `holds` and
`undone` judge it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import assert_never

from orchestrator.core.model import Color, Pin, Release, Share
from orchestrator.core.sight import (
    InstallationSeen,
    InstanceSeen,
    RunSeen,
    Sighting,
    SwitchSeen,
)
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
    flips_of,
)

PROVEN, FRESH = 1, 2  # start numbers: found well since this start, or not
NONE_OF_IT, HALF, ALL_OF_IT = 0, 1, 2  # of a step of the user's own, at one place


@dataclass(frozen=True, slots=True)
class Cell:
    """One color of one service. `running`: a release and a start for each instance that runs."""

    staged: frozenset[Release] = frozenset()
    current: Release | None = None
    running: tuple[tuple[Release, int] | None, ...] = ()

    def count(self, release: Release) -> int:
        return sum(1 for run in self.running if run and run[0] == release)


@dataclass(frozen=True, slots=True)
class Imagined:
    cells: tuple[tuple[tuple[str, Color], Cell], ...]
    shares: tuple[tuple[str, Share], ...]
    pins: tuple[tuple[Pin, Color | None], ...]
    runs: tuple[tuple[tuple[str, str], int], ...] = ()  # how much of each, by step and place

    def cell(self, service: str, color: Color) -> Cell:
        return next((c for key, c in self.cells if key == (service, color)), Cell())

    def share(self, service: str) -> Share:
        return next((s for name, s in self.shares if name == service), Share())

    def with_cell(self, service: str, color: Color, cell: Cell) -> Imagined:
        key = (service, color)
        cells = tuple((k, cell if k == key else c) for k, c in self.cells)
        return Imagined(cells, self.shares, self.pins, self.runs)

    def with_run(self, step: str, place: str, much: int) -> Imagined:
        runs = tuple((k, much if k == (step, place) else m) for k, m in self.runs)
        return Imagined(self.cells, self.shares, self.pins, runs)

    def with_traffic(self, shares: dict[str, Share], pins: dict[Pin, Color | None]) -> Imagined:
        return replace(
            self,
            shares=tuple((s, shares.get(s, share)) for s, share in self.shares),
            pins=tuple((p, pins.get(p) or color) for p, color in self.pins),
        )


def imagine(sighting: Sighting, steps: tuple[Step, ...]) -> Imagined:
    """The world of a sighting, as far as these steps touch it."""
    parts = [p for step in steps for p in parts_of(step)]
    services = sorted({p.service for p in parts} | {f.service for f in flips_of(steps)})
    size = max((p.count for p in parts), default=1)
    wirings = (w for s in steps if isinstance(s, Wire | Shift) for w in s.wirings)
    return Imagined(
        cells=tuple(
            ((service, color), _cell(sighting, service, color, size))
            for service in services
            for color in Color
        ),
        shares=tuple((s, sighting.share(s)) for s in services),
        pins=tuple({w.pin: sighting.pin(w.pin) for w in wirings}.items()),
        runs=tuple(
            ((s.command.name, place), NONE_OF_IT)
            for s in steps
            if isinstance(s, Run)
            for place in s.places
        ),
    )


def _cell(sighting: Sighting, service: str, color: Color, size: int) -> Cell:
    """What serves was found well some day; a standby has to be found well again."""
    seen = sighting.at(service, color)
    start = PROVEN if sighting.share(service).of(color) else FRESH
    runs = [(i.release, start) for i in seen.instances if i.running and i.release][:size]
    return Cell(seen.staged, seen.current, tuple(runs) + (None,) * (size - len(runs)))


@lru_cache(maxsize=4096)
def sighting_of(world: Imagined) -> Sighting:
    """The imagined world as it would be seen."""
    return Sighting(
        installations=tuple(
            InstallationSeen(
                service,
                color,
                cell.staged,
                cell.current,
                tuple(
                    InstanceSeen(
                        i,
                        run[0] if run else None,
                        run is not None,
                        run[1] if run else 0,
                        kept=run is not None,
                    )
                    for i, run in enumerate(cell.running)
                ),
            )
            for (service, color), cell in world.cells
        ),
        switch=SwitchSeen(
            shares=world.shares,
            pins=tuple((pin, color) for pin, color in world.pins if color is not None),
        ),
        runs=tuple(
            RunSeen(step, place, much == ALL_OF_IT, much != NONE_OF_IT)
            for (step, place), much in world.runs
        ),
    )


def parts_of(step: Step) -> tuple[Part, ...]:
    match step:
        case (
            Stage(parts) | Drain(parts) | Retire(parts) | Start(parts) | Prove(parts) | Soak(parts)
        ):
            return parts
        case _:
            return ()


def turned_round(step: Step) -> Step:
    """The same step with its parts the other way round: what is done side by side has no order."""
    parts = parts_of(step)
    return replace(step, parts=tuple(reversed(parts))) if parts else step  # type: ignore[arg-type]


# -- What steps do -------------------------------------------------------------------------


def doing(step: Step, world: Imagined) -> Iterator[Imagined]:
    """The worlds passed on the way while a step is done, the last one with all of it done."""
    match step:
        case Stage(parts):
            for p in parts:
                cell = world.cell(p.service, p.color)
                world = _staged(world, p.service, cell.staged | {p.release})
                yield world
        case Retire(parts):
            for p in parts:
                world = _stop(world, p)
                yield world
        case Start(parts):
            for p in parts:
                for world in _start(world, p):  # noqa: B020
                    yield world
        case Wire(wirings):
            yield world.with_traffic({}, {w.pin: w.after for w in wirings})
        case Shift(flips, wirings):
            yield world.with_traffic(
                {f.service: f.after for f in flips}, {w.pin: w.after for w in wirings}
            )
        case Tidy(releases):
            for service, release in releases:
                cells = [world.cell(service, color) for color in Color]
                if not any(cell.current == release or cell.count(release) for cell in cells):
                    world = _staged(world, service, cells[0].staged - {release})
                yield world
        case Run():
            yield from _running(step, world, (HALF, ALL_OF_IT))
        case Drain() | Prove() | Gate() | Soak():
            yield world
        case _:
            assert_never(step)


def undoing(step: Step, world: Imagined) -> Iterator[Imagined]:
    """The worlds passed on the way while a step is undone, the last one with nothing of it left."""
    match step:
        case Stage(parts):
            for p in parts:
                cell = world.cell(p.service, p.color)
                kept = cell.staged if p.before.staged else cell.staged - {p.release}
                world = _staged(world, p.service, kept)
                yield world
        case Retire(parts):
            for p in parts:
                for world in _start(world, replace(p, count=p.before.running), point=False):  # noqa: B020
                    yield world
        case Start(parts):
            for p in parts:
                world = world if p.before.running else _stop(world, p)
                yield world
                cell = world.cell(p.service, p.color)
                world = world.with_cell(
                    p.service, p.color, Cell(cell.staged, p.before.current, cell.running)
                )
                yield world
        case Wire(wirings):
            yield world.with_traffic({}, {w.pin: w.before for w in wirings})
        case Shift(flips, wirings):
            for flip in flips:
                if flip.back is not None and not _answers(world, flip.back):
                    for world in _start(world, flip.back):  # noqa: B020
                        yield world
            yield world.with_traffic(
                {f.service: f.before for f in flips}, {w.pin: w.before for w in wirings}
            )
        case Run():
            yield from _running(step, world, (HALF, NONE_OF_IT) if step.home else ())
        case Drain() | Prove() | Gate() | Soak() | Tidy():
            yield world
        case _:
            assert_never(step)


def _running(run: Run, world: Imagined, ways: tuple[int, ...]) -> Iterator[Imagined]:
    for place in run.places:
        for much in ways:
            world = world.with_run(run.command.name, place, much)
            yield world
    yield world


def _answers(world: Imagined, part: Part) -> bool:
    return world.cell(part.service, part.color).count(part.release) > 0


def _staged(world: Imagined, service: str, staged: frozenset[Release]) -> Imagined:
    """Releases lie once for both colors."""
    for color in Color:
        cell = replace(world.cell(service, color), staged=staged)
        world = world.with_cell(service, color, cell)
    return world


def _stop(world: Imagined, part: Part) -> Imagined:
    """What has traffic is never stopped."""
    if world.share(part.service).of(part.color):
        return world
    cell = world.cell(part.service, part.color)
    left = tuple(None if run and run[0] == part.release else run for run in cell.running)
    return world.with_cell(part.service, part.color, Cell(cell.staged, cell.current, left))


def _start(world: Imagined, part: Part, *, point: bool = True) -> Iterator[Imagined]:
    """What does not lie there does not start."""
    cell = world.cell(part.service, part.color)
    if part.release not in cell.staged:
        yield world
        return
    if point:
        cell = Cell(cell.staged, part.release, cell.running)
        world = world.with_cell(part.service, part.color, cell)
        yield world
    missing = part.count - cell.count(part.release)
    for index, run in enumerate(cell.running):
        if run is None and missing > 0:
            running = (*cell.running[:index], (part.release, FRESH), *cell.running[index + 1 :])
            cell = Cell(cell.staged, cell.current, running)
            world = world.with_cell(part.service, part.color, cell)
            missing -= 1
            yield world


def proves(step: Prove, world: Imagined) -> bool:
    """Whether enough of it runs to be found well."""
    cells = ((p, world.cell(p.service, p.color).count(p.release)) for p in step.parts)
    return all(running >= (1 if step.lenient else p.count) for p, running in cells)


def restarted(world: Imagined, service: str, color: Color) -> Imagined:
    """The first instance of this color that runs dies and is started again by its keeper."""
    cell = world.cell(service, color)
    for index, run in enumerate(cell.running):
        if run is not None:
            running = (*cell.running[:index], (run[0], FRESH), *cell.running[index + 1 :])
            return world.with_cell(service, color, Cell(cell.staged, cell.current, running))
    return world


def found_well(world: Imagined, parts: tuple[Part, ...]) -> Imagined:
    """What runs of these parts was found well since its start."""
    for p in parts:
        cell = world.cell(p.service, p.color)
        running = tuple(
            (run[0], PROVEN) if run and run[0] == p.release else run for run in cell.running
        )
        world = world.with_cell(p.service, p.color, Cell(cell.staged, cell.current, running))
    return world
