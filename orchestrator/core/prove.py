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
from collections.abc import Iterator
from dataclasses import dataclass, replace

from orchestrator.core.decide import Do, For, Move, Turn, Undo, Wait, decide
from orchestrator.core.imagined import (
    FRESH,
    PROVEN,
    Imagined,
    doing,
    found_well,
    imagine,
    parts_of,
    restarted,
    sighting_of,
    undoing,
)
from orchestrator.core.record import (
    Asked,
    Began,
    Closed,
    Ended,
    Entry,
    Fact,
    Failed,
    FoundWell,
    Granted,
    NoStandby,
    Opened,
    Outcome,
    Record,
    Trouble,
    Turned,
    What,
)
from orchestrator.core.rollout import Rollout, evolve
from orchestrator.core.sight import Sighting, holds, undone
from orchestrator.core.steps import (
    LOOKS,
    Drain,
    Gate,
    Part,
    Prove,
    Retire,
    Shift,
    Start,
    Step,
    Wire,
    name,
)

TRIES_MAX = 2  # a state behind a third try is like the one behind the second
STATES_MAX = 200_000
NOW, LATE, GATE_UNTIL = 1e6, 1e9, 1e8  # the imagined clock: before and after every gate's time


@dataclass(frozen=True, slots=True)
class Budget:
    """How much trouble of each kind a walk may meet, and how many stand for all that are alike."""

    faults: int = 1
    restarts: int = 1
    requests: int = 1
    alike: int = 2  # services that are alike
    instances: int = 2  # of one service


USUAL = Budget()


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


@dataclass(frozen=True, slots=True)
class _State:
    rollout: Rollout
    world: Imagined
    left: Budget


def prove(opened: Opened, sighting: Sighting, budget: Budget = USUAL) -> Proof | Broken:
    """Walk every state of the plan in `opened`, from what was seen.

    See the module for the promises.
    """
    small = _representatives(opened, budget)
    start = _State(evolve(None, _entry(small)), imagine(sighting, small.plan), budget)
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
    """What a plan does to a service, with its names taken away."""
    shape: list[object] = []
    for index, step in enumerate(opened.plan):
        for p in parts_of(step):
            if p.service == service:
                before = (p.before.current is None, p.before.running, p.before.staged)
                shape.append((index, p.color, min(p.count, instances), before))
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
    if parts := parts_of(step):
        few = tuple(fewer(p) for p in parts if p.service in chosen)
        return replace(step, parts=few)  # type: ignore[arg-type]
    return step


# -- The walk ------------------------------------------------------------------------------


class _Walk:
    """States are numbered as they are found.

    Worlds and facts too, so that each is compared once.
    """

    def __init__(self, start: _State) -> None:
        self.start = start
        self.numbers: dict[object, int] = {}
        self.came: list[tuple[int, str] | None] = []  # by state: from where, and what happened
        self.leads_to: list[list[int]] = []  # by state: the states it is reached from
        self.endings: list[int] = []
        self.stuck = 0
        self._kept: dict[object, int] = {}  # a world or facts -> its number
        self._known: dict[int, tuple[object, int]] = {}  # id -> the very object, its number

    def run(self, steps: int) -> Proof | Broken:
        todo = deque([(self._add(self.start, None), self.start)])
        while todo:
            number, state = todo.popleft()
            if broken := self._promises(number, state):
                return Broken(broken, self._story(number))
            for line, after in _happenings(state):
                known = len(self.came)
                to = self._add(after, (number, line))
                self.leads_to[to].append(number)
                if to == known:
                    todo.append((to, after))
            if len(self.came) > STATES_MAX:
                return Broken(f"more than {STATES_MAX} states", ())
        if (lost := self._endless()) is not None:
            return Broken("no ending can be reached from here", self._story(lost))
        return Proof(steps, len(self.came), self.stuck, None)

    def _add(self, state: _State, came: tuple[int, str] | None) -> int:
        """The number of a state; a new one where it was not seen before."""
        r = state.rollout
        told = (r.done, r.touched, r.failures, r.hopeless, r.falls, r.attempt, r.begun, r.paused)
        more = (r.asked, r.granted, r.backing_out, r.replaced, r.lost, r.outcome)
        numbers = (self._number(state.world), self._number(r.facts))
        number = self.numbers.setdefault((told, more, numbers, state.left), len(self.came))
        if number == len(self.came):
            self.came.append(came)
            self.leads_to.append([])
        return number

    def _number(self, thing: object) -> int:
        known = self._known.get(id(thing))
        if known is None:
            known = (thing, self._kept.setdefault(thing, len(self._kept)))
            self._known[id(thing)] = known
        return known[1]

    def _promises(self, number: int, state: _State) -> str:
        rollout, world = state.rollout, state.world
        for service, share in world.shares:
            if (live := share.live) and not any(world.cell(service, live).running):
                return f"{service} has its traffic on {live.value}, where nothing runs"
        if rollout.outcome is not None:
            self.endings.append(number)
            return _ending(rollout, world, self.start.world)
        if rollout.stuck:
            self.stuck += 1
            self.endings.append(number)
            if state.left == self.start.left:
                return "it is stuck although nothing went wrong"
        return ""

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
    if rollout.outcome is Outcome.BACKED_OUT:
        return _is_as_before(rollout, sighting, before)
    if rollout.outcome is Outcome.ROLLED_OUT:
        for step in rollout.steps:
            if isinstance(step, Start | Shift) and not holds(step, sighting):
                return f"it closed rolled out, and {name(step)} does not hold"
    return ""


def _is_as_before(rollout: Rollout, sighting: Sighting, before: Imagined) -> str:
    remarked = {(lost.service, lost.color) for lost in rollout.lost}
    was = sighting_of(before)
    for now in sighting.installations:
        then = was.at(now.service, now.color)
        where = f"{now.service} {now.color.value}"
        if (now.staged, now.current) != (then.staged, then.current):
            return f"it backed out, and {where} points at or keeps something else"
        if (now.service, now.color) in remarked:
            continue
        live = was.share(now.service).live is now.color
        if now.running() != then.running() and not (live and now.running() > then.running()):
            return f"it backed out, and {where} does not run what it ran"
    if sighting.switch.shares != was.switch.shares:
        return "it backed out, and the traffic is not where it was"
    if any(sighting.pin(pin) is not color for pin, color in was.switch.pins):
        return "it backed out, and an inner address leads elsewhere"
    return ""


# -- Everything that can happen next -------------------------------------------------------


def _happenings(state: _State) -> Iterator[tuple[str, _State]]:
    """Each thing that can happen in a state: a line for the story, and the state after it."""
    rollout = state.rollout
    move = decide(rollout, NOW)
    if move is None:
        return
    yield from _asking(state)
    yield from _restarting(state)
    match move:
        case Do(index):
            yield from _doing(state, index)
        case Undo(index):
            yield from _undoing(state, index)
        case Wait(For.GRANT):
            gate = rollout.gate
            assert gate is not None
            granted = Granted(rollout.id, gate.name, rollout.attempt, "somebody")
            yield "the gate is granted", _then(state, granted)
            late = decide(rollout, LATE)
            if late is not None and not isinstance(late, Wait):
                yield "the gate's time is over", _then(state, _record(rollout, late))
        case Wait():
            return
        case _:
            yield type(move).__name__.lower(), _then(state, _record(rollout, move))


def _record(rollout: Rollout, move: Move) -> Record:
    from orchestrator.core.decide import Answer, Close
    from orchestrator.core.record import Answered

    match move:
        case Turn(way, reason, request):
            return Turned(rollout.id, way, reason, request)
        case Close(outcome, _):
            return Closed(rollout.id, outcome)
        case Answer(request, reason):
            return Answered(request, reason, rollout.id)
        case _:
            raise AssertionError(f"{move} is not one record")


def _asking(state: _State) -> Iterator[tuple[str, _State]]:
    if not state.left.requests or state.rollout.asked:
        return
    left = replace(state.left, requests=state.left.requests - 1)
    what = What.FORWARD if state.rollout.backing_out else What.BACK
    asked = Asked(state.rollout.id, what, "somebody")
    yield f"somebody asks to go {what.value}", _then(replace(state, left=left), asked)
    if state.rollout.stuck:
        retry = Asked(state.rollout.id, What.RETRY, "somebody")
        yield "somebody asks to try again", _then(replace(state, left=left), retry)


def _restarting(state: _State) -> Iterator[tuple[str, _State]]:
    if not state.left.restarts:
        return
    left = replace(state.left, restarts=state.left.restarts - 1)
    seen = set()
    for (service, color), cell in state.world.cells:
        kind = (color, cell.running)
        if kind in seen or not any(run and run[1] == PROVEN for run in cell.running):
            continue
        seen.add(kind)
        world = restarted(state.world, service, color)
        yield (
            f"an instance of {service} {color.value} is started again",
            replace(state, world=world, left=left),
        )


def _doing(state: _State, index: int) -> Iterator[tuple[str, _State]]:
    rollout = state.rollout
    step = rollout.steps[index]
    title = name(step)
    if isinstance(step, Gate):
        if rollout.gate is not None:
            yield f"{title} ends", _then(state, Ended(rollout.id, index, False))
        else:
            began = Began(rollout.id, index, False, rollout.attempt, GATE_UNTIL)
            yield f"{title} opens", _then(state, began)
        return
    if isinstance(step, Shift) and (below := _disproved(state)) is not None:
        failed = Failed(rollout.id, below, False, Trouble.ILL, "started again since")
        yield "the proof does not stand any more", _then(state, failed)
        return
    began_state = _then(state, Began(rollout.id, index, False, rollout.attempt))
    yield f"{title} begins, and the driver dies", began_state
    if isinstance(step, LOOKS):
        yield from _looking(began_state, index, step)
    else:
        yield from _acting(began_state, index, step, back=False)


def _looking(state: _State, index: int, step: Step) -> Iterator[tuple[str, _State]]:
    rollout = state.rollout
    facts: tuple[Fact, ...] = ()
    if isinstance(step, Prove):
        state = replace(state, world=found_well(state.world, step.parts))
        facts = tuple(
            FoundWell(p.service, p.color, i, PROVEN) for p in step.parts for i in range(p.count)
        )
    yield f"{name(step)} ends well", _then(state, Ended(rollout.id, index, False, facts))
    if state.left.faults and not isinstance(step, Drain):
        failed = Failed(rollout.id, index, False, Trouble.ILL, "ill")
        yield f"{name(step)} finds it ill", _then(_less(state), failed)


def _undoing(state: _State, index: int) -> Iterator[tuple[str, _State]]:
    step = state.rollout.steps[index]
    began = Began(state.rollout.id, index, True, state.rollout.attempt)
    state = _then(state, began)
    yield f"undoing {name(step)} begins, and the driver dies", state
    if isinstance(step, LOOKS):
        yield f"undoing {name(step)}", _then(state, Ended(state.rollout.id, index, True))
    else:
        yield from _acting(state, index, step, back=True)


def _acting(state: _State, index: int, step: Step, *, back: bool) -> Iterator[tuple[str, _State]]:
    """Look, act, look; with every place to die on the way, and every way to fail."""
    rollout = state.rollout
    title = f"undoing {name(step)}" if back else name(step)
    ended = Ended(rollout.id, index, back)
    if (undone if back else holds)(step, sighting_of(state.world)):
        yield f"{title} holds already", _then(state, ended)
        return
    worlds = list((undoing if back else doing)(step, state.world))
    for half in worlds:
        yield f"{title} is in the middle, and the driver dies", replace(state, world=half)
    done = replace(state, world=worlds[-1])
    assert (undone if back else holds)(step, sighting_of(done.world)), f"{title} does not take"
    yield f"{title} ends", _then(done, ended)
    if state.left.faults:
        yield from _failing(_less(state), index, step, worlds, back=back)


def _failing(
    state: _State, index: int, step: Step, worlds: list[Imagined], *, back: bool
) -> Iterator[tuple[str, _State]]:
    rollout = state.rollout
    title = f"undoing {name(step)}" if back else name(step)
    for kind in (Trouble.REFUSED, Trouble.DID_NOT_TAKE):
        record: Record = Failed(rollout.id, index, back, kind, "trouble")
        last = rollout.failures + 1 >= rollout.policy.tries or kind is Trouble.REFUSED
        if back and isinstance(step, Retire) and last:
            lost = tuple(NoStandby(p.service, p.color, "trouble") for p in step.parts)
            record = Ended(rollout.id, index, True, lost)
        for world in (state.world, *worlds[:-1]):
            yield f"{title} fails ({kind.value})", _then(replace(state, world=world), record)


def _disproved(state: _State) -> int | None:
    """The step that is not true any more just before the shift: the proof again, on the spot."""
    steps = state.rollout.steps
    at = next((i for i, step in enumerate(steps) if isinstance(step, Prove)), None)
    if at is None:
        return None
    proof = steps[at]
    assert isinstance(proof, Prove)
    for p in proof.parts:
        running = [
            r for r in state.world.cell(p.service, p.color).running if r and r[0] == p.release
        ]
        if not running or (not proof.lenient and any(start == FRESH for _, start in running)):
            return at
    return None


def _less(state: _State) -> _State:
    return replace(state, left=replace(state.left, faults=state.left.faults - 1))


def _then(state: _State, record: Record) -> _State:
    return replace(state, rollout=evolve(state.rollout, _entry(record)))


def _entry(record: Record) -> Entry:
    return Entry(0, 0.0, 1, record)
