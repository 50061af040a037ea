"""What is promised of an ending: the wish, or the world of before; and an answer for everybody.

A `Snapshot` is what a world looks like to people. BACKED_OUT is the world of before but for its
remarks (and for releases that no way back needs), ROLLED_OUT is the wish.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from orchestrator.adapters.memory.process import Process
from orchestrator.adapters.memory.world import World
from orchestrator.core.model import Color, Release, Share
from orchestrator.core.record import (
    Answered,
    Asked,
    Began,
    Closed,
    Ended,
    Fact,
    Failed,
    Granted,
    LeftAsItIs,
    NoStandby,
    Opened,
    Outcome,
    Turned,
    What,
    Wish,
)
from orchestrator.core.steps import Gate, Run, Start, Step, Tidy
from tests.simulation.promises import Broken, story


@dataclass(frozen=True)
class Snapshot:
    """What a world looks like to people: what lies, points, runs and serves where."""

    staged: dict[str, frozenset[Release]]
    current: dict[tuple[str, Color], Release | None]
    running: dict[tuple[str, Color], tuple[Release | None, ...]]
    kept: dict[tuple[str, Color], int]
    shares: dict[str, Share]
    pins: dict[str, Color]

    def differences(self, other: Snapshot, lost: set[tuple[str, Color]]) -> list[str]:
        found = [
            f"{name}: {mine} is not {theirs}"
            for name in ("staged", "current", "shares")
            if (mine := getattr(self, name)) != (theirs := getattr(other, name))
        ]
        for place in sorted(set(self.running) | set(other.running), key=str):
            mine, theirs = self.running.get(place, ()), other.running.get(place, ())
            if mine != theirs and place not in lost:
                found.append(f"running at {place}: {mine} is not {theirs}")
        before = {pin: color for pin, color in other.pins.items() if self.pins.get(pin) != color}
        return found + [f"{pin} led to {color}" for pin, color in before.items()]


def snapshot(world: World) -> Snapshot:
    places = [(s.name, color) for s in world.site.services for color in Color]
    return Snapshot(
        staged={s.name: frozenset(world.staged.get(s.name, {})) for s in world.site.services},
        current={place: world.cell(*place).current for place in places},
        running={place: world.running(*place) for place in places},
        kept={p: sum(i.kept for i in world.cell(*p).instances.values()) for p in places},
        shares={s.name: world.shares.get(s.name, Share()) for s in world.site.services},
        pins={f"{p.caller} {p.color.value} {p.callee}": c for p, c in world.pins.items()},
    )


def check_ending(
    world: World, before: Snapshot, wish: Wish, number: int, damaged: set[tuple[str, Color]]
) -> None:
    """The promises of an ending, for rollout `number`. What runs where something outside of us was
    `damaged` is no promise.
    """
    past = next((p for p in world.chronicle.past if p.id == number), None)
    if past is None:
        return
    after = snapshot(world)
    plan = next(
        e.record.plan
        for e in world.entries
        if isinstance(e.record, Opened) and e.record.rollout == number
    )
    if past.outcome in (Outcome.BACKED_OUT, Outcome.REPLACED):
        lost = {(f.service, f.color) for f in _lost(world, number)} | _meant(plan) | damaged
        if differences := _but_tidied(after, before, plan).differences(before, lost):
            raise Broken(f"{past.outcome}, and " + "; ".join(differences) + "\n" + story(world))
    check_own_steps(world, number, plan, past.outcome)
    if past.outcome is Outcome.ROLLED_OUT:
        for wanted in wish.wanted:
            count = world.site.service(wanted.service).placement.count
            live = world.shares[wanted.service].live
            runs = world.running(wanted.service, live) if live else ()
            if world.serves(wanted.service) != wanted.release:
                raise Broken(f"rolled out, and {wanted.service} is not\n" + story(world))
            if live and (wanted.service, live) in damaged:
                continue
            if len(runs) != count or set(runs) != {wanted.release}:
                raise Broken(f"rolled out, and {wanted.service} runs {runs}\n" + story(world))


def check_own_steps(world: World, number: int, plan: tuple[Step, ...], outcome: Outcome) -> None:
    """A step of the user's own was done, or nothing of it is left, or it says so."""
    remarked = {f.step for f in _facts(world, number) if isinstance(f, LeftAsItIs)}
    runs = tuple(s for s in plan if isinstance(s, Run) and s.command.name not in remarked)
    hands = Process(world).commands
    back = outcome in (Outcome.BACKED_OUT, Outcome.REPLACED)
    for run in runs if outcome is not Outcome.ABANDONED else ():
        seen = hands.seen((run,), number)
        if not back and not all(one.holds for one in seen):
            raise Broken(f"rolled out, and {run.command.name} was not done\n" + story(world))
        if back and not run.command.leave and any(one.left for one in seen):
            raise Broken(f"backed out, and {run.command.name} left something\n" + story(world))


def _meant(plan: tuple[Step, ...]) -> set[tuple[str, Color]]:
    """What a mend starts is meant to run, and stays."""
    started = (p for step in plan if isinstance(step, Start) for p in step.parts)
    return {(p.service, p.color) for p in started if p.before.running}


def _facts(world: World, number: int) -> list[Fact]:
    return [
        fact
        for e in world.entries
        if isinstance(e.record, Ended) and e.record.rollout == number
        for fact in e.record.facts
    ]


def _lost(world: World, number: int) -> list[NoStandby]:
    return [fact for fact in _facts(world, number) if isinstance(fact, NoStandby)]


def _but_tidied(after: Snapshot, before: Snapshot, plan: tuple[Step, ...]) -> Snapshot:
    """Releases that no way back needs may be gone."""
    tidied = {name: set() for name in before.staged}  # type: dict[str, set[Release]]
    for step in plan:
        if isinstance(step, Tidy):
            for service, release in step.releases:
                tidied[service].add(release)
    staged = {
        name: after.staged[name] | (releases & frozenset(tidied[name]))
        for name, releases in before.staged.items()
    }
    return replace(after, staged=staged)


def check_nobody_waits(world: World) -> None:
    """Whatever became of a hold, those who waited were let go."""
    if world.held and world.living.get(world.held_by, False):
        raise Broken(f"{world.held} are held for ever\n" + story(world))


def check_requests(world: World) -> None:
    """Every request led to a record; nobody waits on one that nobody heard."""
    waiting = [e.number for e in world.chronicle.asked if e.record.rollout is not None]
    rollout = world.chronicle.open
    if waiting or (rollout is not None and rollout.asked):
        raise Broken(f"requests {waiting} were never answered\n" + story(world))
    answered = {e.record.request for e in world.entries if isinstance(e.record, Answered)}
    met = {e.record.request for e in world.entries if isinstance(e.record, Turned)}
    for entry in world.entries:
        record = entry.record
        asks = isinstance(record, Asked) and record.what in (What.BACK, What.FORWARD, What.DENY)
        heard = entry.number in answered | met or _closed_by_it(world, entry.number)
        if asks and not heard:
            raise Broken(f"request {entry.number} led to nothing\n" + story(world))


def check_addresses(world: World) -> None:
    """A request that names one rollout is never applied to another."""
    records = {e.number: e.record for e in world.entries}
    for entry in world.entries:
        turned = entry.record
        met = records.get(turned.request or 0) if isinstance(turned, Turned) else None
        if met is not None and met.rollout != entry.record.rollout:
            raise Broken(f"{turned} met a request of another rollout\n" + story(world))


def check_gates(world: World) -> None:
    """Rule 11: what comes after a gate was granted in time, and nothing voided that since.

    S8, S43: a retry at a gate begins with a new proof, and within an attempt it has one deadline.
    """
    plans = {e.record.rollout: e.record.plan for e in world.entries if isinstance(e.record, Opened)}
    opening: Began | None = None
    granted, anew = False, False
    deadlines: dict[tuple[int, int, int], float | None] = {}
    for entry in world.entries:
        match entry.record:
            case Opened() | Turned():
                granted, opening, anew = False, None, False
            case Asked(what=What.RETRY) if opening is not None:
                granted, opening, anew = False, None, True
            case Granted() as grant:
                granted |= opening is not None and _counts(grant, entry.at_s, opening)
            case Began(undoing=False) as began:
                gates = [i for i, s in enumerate(plans[began.rollout]) if isinstance(s, Gate)]
                if not granted and any(began.step > gate for gate in gates):
                    raise Broken(f"{began} without a grant that counts\n" + story(world))
                if anew and began.step in gates:
                    raise Broken("a retry at the gate without a new proof\n" + story(world))
                opening, anew = (began if began.step in gates else None), False
                key = (began.rollout, began.step, began.attempt)
                if began.step in gates and deadlines.setdefault(key, began.until) != began.until:
                    raise Broken(f"{began} gives the gate another time\n" + story(world))
            case Ended() | Failed():
                opening = None
            case _:
                pass


def _counts(grant: Granted, at_s: float, gate: Began) -> bool:
    same = (grant.rollout, grant.attempt) == (gate.rollout, gate.attempt)
    return same and (gate.until is None or at_s <= gate.until)


def _closed_by_it(world: World, number: int) -> bool:
    later = (e.record for e in world.entries if e.number > number)
    return any(isinstance(r, Closed) and r.outcome is Outcome.ABANDONED for r in later)
