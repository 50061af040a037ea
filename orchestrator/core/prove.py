"""Explore every state that a plan can get into, before it is opened.

The graph of (rollout, world) states is walked through `evolve` and `decide` themselves, against
an imagined world. A death of the driver is an edge back to the start of the loop, so any number
of deaths is covered. Each effect may be refused, may not take, or may stop half-way, up to
`faults` times; an instance may be restarted; somebody may ask to turn back, or forward again, at
any point.

The promises: traffic never goes where nothing runs, and going forward never where something was
not found well since its start; BACKED_OUT is the world of before, but for its remarks; ROLLED_OUT
is the wish; without a fault nothing is ever stuck; from every state an ending can be reached. The
answer is what was checked, or the shortest story that breaks a promise.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from orchestrator.core.happenings import (
    USUAL,
    Budget,
    Memory,
    State,
    entry_of,
    happenings,
    unproven,
)
from orchestrator.core.imagined import Imagined, imagine, parts_of, sighting_of
from orchestrator.core.model import Color, Release
from orchestrator.core.record import Opened, Outcome
from orchestrator.core.rollout import Rollout, evolve
from orchestrator.core.sight import Sighting, holds
from orchestrator.core.steps import Part, Run, Shift, Stage, Start, Step, Tidy, Wire, title

TRIES_MAX = 2  # a state behind a third try is like the one behind the second


@dataclass(frozen=True, slots=True)
class Proof:
    steps: int
    states: int
    stuck: int  # states in which a person is needed, each behind a fault
    no_return: int | None


@dataclass(frozen=True, slots=True)
class Broken:
    promise: str
    story: tuple[str, ...]  # the shortest one, a line for each thing that happens


def prove(opened: Opened, sighting: Sighting, budget: Budget = USUAL) -> Proof | Broken:
    """Walk every state of the plan in `opened`, from what was seen.

    See the module for the promises.
    """
    small = _representatives(opened, budget)
    memory = Memory()
    world = memory.the_world(imagine(sighting, small.plan))
    start = State(memory.the(evolve(None, entry_of(small))), world, budget, memory)
    return _Walk(start).run(len(opened.plan))


# -- Parts that are alike ------------------------------------------------------------------


def _representatives(opened: Opened, budget: Budget) -> Opened:
    """The same plan with a few services of each kind and a few instances of each."""
    classes: dict[object, list[str]] = {}
    services = {p.service for step in opened.plan for p in parts_of(step)}
    services |= {f.service for step in opened.plan if isinstance(step, Shift) for f in step.flips}
    for service in sorted(services):
        classes.setdefault(_shape(service, opened, budget.instances), []).append(service)
    chosen = {s for alike in classes.values() for s in alike[: budget.alike]}
    policy = replace(opened.policy, tries=min(opened.policy.tries, TRIES_MAX))
    plan = tuple(_thinned(step, chosen, budget.instances) for step in opened.plan)
    return replace(opened, plan=plan, policy=policy)


def _shape(service: str, opened: Opened, instances: int) -> object:
    """What a plan does to a service, with its names taken away. Releases are told apart only by
    which are the same.
    """
    shape: list[object] = []
    releases: dict[Release | None, int] = {None: 0}
    for index, step in enumerate(opened.plan):
        for p in parts_of(step):
            if p.service == service:
                ran = (p.before.running, p.before.staged)
                which = (p.release, p.before.current)
                same = tuple(releases.setdefault(r, len(releases)) for r in which)
                shape.append((index, p.color, min(p.count, instances), ran, same))
        if isinstance(step, Wire | Shift):
            mine = [w for w in step.wirings if w.pin.caller == service]
            shape.append((index, tuple((w.pin.color, w.before, w.after) for w in mine)))
        if isinstance(step, Shift):
            shape += [
                (f.before, f.after, f.back is None) for f in step.flips if f.service == service
            ]
    return tuple(shape)


def _thinned(step: Step, chosen: set[str], instances: int) -> Step:
    def fewer(part: Part) -> Part:
        before = replace(part.before, running=min(part.before.running, instances))
        return replace(part, count=min(part.count, instances), before=before)

    if isinstance(step, Wire | Shift):
        wirings = tuple(w for w in step.wirings if w.pin.caller in chosen or w.pin.callee in chosen)
        if isinstance(step, Wire):
            return Wire(wirings)
        flips = (f for f in step.flips if f.service in chosen)
        fewer_flips = tuple(replace(f, back=fewer(f.back) if f.back else None) for f in flips)
        return replace(step, flips=fewer_flips, wirings=wirings)
    if isinstance(step, Run):
        return replace(step, hosts=step.hosts[:instances])
    if parts := parts_of(step):
        few = tuple(fewer(p) for p in parts if p.service in chosen)
        return replace(step, parts=few)  # type: ignore[arg-type]
    return step


# -- The walk ------------------------------------------------------------------------------


class _Walk:
    """States are numbered as they are found, nearest first."""

    def __init__(self, start: State) -> None:
        self.start = start
        self.numbers: dict[object, int] = {}
        self.came: list[tuple[int, str] | None] = []  # by state: from where, and what happened
        self.leads_to: list[list[int]] = []  # by state: the states it is reached from
        self.endings: list[int] = []
        self.stuck = 0
        self.arrives = False  # whether it rolls out where nothing goes wrong

    def run(self, steps: int) -> Proof | Broken:
        todo = deque([(self._add(self.start, None), self.start)])
        while todo:
            number, state = todo.popleft()
            if broken := self._promises(number, state):
                return Broken(broken, self._story(number))
            for line, after in happenings(state):
                known = len(self.came)
                to = self._add(after, (number, line))
                self.leads_to[to].append(number)
                if to == known:
                    todo.append((to, after))
            if len(self.came) > self.start.left.states:
                return Broken(f"more than {self.start.left.states} states", ())
        if (lost := self._endless()) is not None:
            return Broken("no ending can be reached from here", self._story(lost))
        if not self.arrives:
            return Broken("it never rolls out, although nothing goes wrong", ())
        return Proof(steps, len(self.came), self.stuck, None)

    def _add(self, state: State, came: tuple[int, str] | None) -> int:
        """The number of a state; a new one where it was not seen before."""
        key = (id(state.rollout), id(state.world), state.left)
        number = self.numbers.setdefault(key, len(self.came))
        if number == len(self.came):
            self.came.append(came)
            self.leads_to.append([])
        return number

    def _promises(self, number: int, state: State) -> str:
        rollout, world = state.rollout, state.world
        for service, share in world.shares:
            if (live := share.live) and self._emptied(world, service, live):
                return f"{service} has its traffic on {live.value}, where nothing runs"
        if service := unproven(state):
            return f"{service} would get its traffic where nobody found it well since its start"
        if rollout.outcome is not None:
            self.endings.append(number)
            untroubled = state.left == self.start.left
            self.arrives |= untroubled and rollout.outcome is Outcome.ROLLED_OUT
            if untroubled and rollout.left:
                return f"{rollout.left[0].step} cannot be done although nothing went wrong"
            return _ending(rollout, world, self.start.world)
        if rollout.stuck:
            self.stuck += 1
            self.endings.append(number)
            if state.left == self.start.left:
                return "it is stuck although nothing went wrong"
        return ""

    def _emptied(self, world: Imagined, service: str, live: Color) -> bool:
        """Whether nothing runs where the traffic goes, and it was not so before.

        A fix may go out although what serves is down.
        """
        if any(world.cell(service, live).running):
            return False
        before = self.start.world
        return before.share(service).live is not live or any(before.cell(service, live).running)

    def _endless(self) -> int | None:
        reached = set(self.endings)
        todo = list(self.endings)
        while todo:
            for before in self.leads_to[todo.pop()]:
                if before not in reached:
                    reached.add(before)
                    todo.append(before)
        return next((n for n in range(len(self.came)) if n not in reached), None)

    def _story(self, number: int) -> tuple[str, ...]:
        lines: list[str] = []
        while (came := self.came[number]) is not None:
            number, line = came
            lines.append(line)
        return tuple(reversed(lines))


def _ending(rollout: Rollout, world: Imagined, before: Imagined) -> str:
    sighting = sighting_of(world)
    if rollout.outcome in (Outcome.BACKED_OUT, Outcome.REPLACED):
        return _is_as_before(rollout, sighting, before) or _own_steps_left(rollout, world)
    if rollout.outcome is Outcome.ROLLED_OUT:
        remarked = {f.step for f in rollout.left}
        for step in rollout.steps:
            if isinstance(step, Start | Shift) and not holds(step, sighting):
                return f"it closed rolled out, and {title(step)} does not hold"
            if isinstance(step, Run) and title(step) not in remarked and not holds(step, sighting):
                return f"it closed rolled out, and {title(step)} was not done"
    return ""


def _own_steps_left(rollout: Rollout, world: Imagined) -> str:
    """What a step of the user's own did is taken away, may stay as declared, or is remarked."""
    may = {f.step for f in rollout.left}
    may |= {s.command.name for s in rollout.steps if isinstance(s, Run) and s.command.leave}
    left = (step for (step, _), much in world.runs if much and step not in may)
    step = next(left, None)
    return f"it backed out, and what {step} did is still there" if step else ""


def _is_as_before(rollout: Rollout, sighting: Sighting, before: Imagined) -> str:
    remarked = {(lost.service, lost.color) for lost in rollout.lost}
    tidied = {release for s in rollout.steps if isinstance(s, Tidy) for _, release in s.releases}
    stages = (p for s in rollout.steps if isinstance(s, Stage) for p in s.parts)
    tidied |= {p.release for p in stages if p.before.staged}  # lost files that are kept once there
    started = (p for s in rollout.steps if isinstance(s, Start) for p in s.parts)
    meant = {(p.service, p.color) for p in started if p.before.running}  # to run, whatever comes
    was = sighting_of(before)
    for now in sighting.installations:
        then = was.at(now.service, now.color)
        where = f"{now.service} {now.color.value}"
        if (now.staged - tidied, now.current) != (then.staged - tidied, then.current):
            return f"it backed out, and {where} points at or keeps something else"
        if (now.service, now.color) in remarked:
            continue
        live = was.share(now.service).live is now.color
        more = now.running() > then.running() and (live or (now.service, now.color) in meant)
        if now.running() != then.running() and not more:
            return f"it backed out, and {where} does not run what it ran"
    if sighting.switch.shares != was.switch.shares:
        return "it backed out, and the traffic is not where it was"
    if any(sighting.pin(pin) is not color for pin, color in was.switch.pins):
        return "it backed out, and an inner address leads elsewhere"
    return ""
