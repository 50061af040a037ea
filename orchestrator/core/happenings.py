"""Everything that can happen next to a rollout in an imagined world.

One state goes in, and out comes each thing that can happen, as a line for a story and the state
after it: the driver's next move, whole or cut off by its death; an effect that is refused, does
not take, or stops half-way; an instance that is started again; somebody who asks. What a driver
would do is asked of `decide`, and what a record means of `evolve`: nothing of them is said again
here.

Rollouts, worlds and what steps do to them come up again and again, so `Memory` keeps each once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from orchestrator.core.decide import Answer, Close, Do, For, Move, Turn, Undo, Wait, decide
from orchestrator.core.imagined import (
    FRESH,
    PROVEN,
    Imagined,
    doing,
    found_well,
    parts_of,
    proves,
    restarted,
    sighting_of,
    turned_round,
    undoing,
)
from orchestrator.core.record import (
    Answered,
    Asked,
    Began,
    Closed,
    Ended,
    Entry,
    Fact,
    Failed,
    FoundWell,
    Granted,
    LeftAsItIs,
    NoStandby,
    Record,
    Trouble,
    Turned,
    What,
)
from orchestrator.core.rollout import Rollout, evolve
from orchestrator.core.sight import holds, undone
from orchestrator.core.steps import (
    LOOKS,
    Drain,
    Gate,
    Prove,
    Retire,
    Shift,
    Step,
    can_be_left,
    title,
)

NOW, LATE, GATE_UNTIL = 1e6, 1e9, 1e8  # the imagined clock: before and after every gate's time


@dataclass(frozen=True, slots=True)
class Budget:
    """How much trouble of each kind a walk may meet, and how many stand for all that are alike."""

    faults: int = 1
    restarts: int = 1
    requests: int = 1
    alike: int = 2  # services that are alike
    instances: int = 2  # of one service
    states: int = 200_000  # a walk that finds more proves nothing
    orders: int = 1  # in which parts side by side get done: as they stand; 2: the reverse, too


USUAL = Budget()


@dataclass(frozen=True, slots=True)
class Way:
    """The worlds on the way through a step, the last one with all of it done;

    empty where it holds already. `takes`: whether it holds then.
    """

    worlds: tuple[Imagined, ...]
    takes: bool


@dataclass(slots=True)
class Memory:
    """Each rollout and each world once, so that they are compared by identity."""

    rollouts: dict[object, Rollout] = field(default_factory=dict)
    worlds: dict[Imagined, Imagined] = field(default_factory=dict)
    evolved: dict[tuple[int, Record], Rollout] = field(default_factory=dict)
    decided: dict[int, Move | None] = field(default_factory=dict)
    acted: dict[tuple[int, int, int, bool], Way] = field(default_factory=dict)

    def after(self, rollout: Rollout, record: Record) -> Rollout:
        key = (id(rollout), record)
        if key not in self.evolved:
            self.evolved[key] = self.the(evolve(rollout, entry_of(record)))
        return self.evolved[key]

    def the(self, r: Rollout) -> Rollout:
        """The one rollout like this:

        alike in everything that changes, and that a move depends on.
        """
        told = (r.done, r.touched, r.failures, r.hopeless, r.falls, r.begun, r.paused, r.facts)
        more = (r.asked, r.granted, r.backing_out, r.replaced, r.lost, r.left, r.outcome)
        return self.rollouts.setdefault((told, more), r)

    def the_world(self, world: Imagined) -> Imagined:
        return self.worlds.setdefault(world, world)

    def move(self, rollout: Rollout) -> Move | None:
        if id(rollout) not in self.decided:
            self.decided[id(rollout)] = decide(rollout, NOW)
        return self.decided[id(rollout)]

    def way(self, world: Imagined, index: int, step: Step, *, back: bool, orders: int) -> Way:
        """What the world passes through while a step is done or undone, its parts side by side."""
        few = len(parts_of(step))  # a step has all of its parts to do, or some are done for good
        key = (id(world), index, few, back)
        if key not in self.acted:
            judge, act = (undone, undoing) if back else (holds, doing)
            worlds: tuple[Imagined, ...] = ()
            if not judge(step, sighting_of(world)):
                worlds = tuple(act(step, world))
                if orders > 1:
                    worlds = (*tuple(act(turned_round(step), world))[:-1], *worlds)
            takes = not worlds or judge(step, sighting_of(worlds[-1]))
            self.acted[key] = Way(tuple(self.the_world(w) for w in worlds), takes)
        return self.acted[key]


@dataclass(frozen=True, slots=True)
class State:
    rollout: Rollout
    world: Imagined
    left: Budget
    memory: Memory

    def then(self, record: Record) -> State:
        rollout = self.memory.after(self.rollout, record)
        return State(rollout, self.world, self.left, self.memory)

    def at(self, world: Imagined) -> State:
        return self.on(self.memory.the_world(world))

    def on(self, kept: Imagined) -> State:
        """In a world that the memory keeps already."""
        return State(self.rollout, kept, self.left, self.memory)

    def less(self, kind: str) -> State:
        left = replace(self.left, **{kind: getattr(self.left, kind) - 1})
        return State(self.rollout, self.world, left, self.memory)


def entry_of(record: Record) -> Entry:
    return Entry(0, 0.0, 1, record)


def happenings(state: State) -> Iterator[tuple[str, State]]:
    """Each thing that can happen in a state: a line for the story, and the state after it."""
    rollout = state.rollout
    move = state.memory.move(rollout)
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
            yield (
                "the gate is granted",
                state.then(Granted(rollout.id, gate.name, rollout.attempt, "somebody")),
            )
            late = decide(rollout, LATE)
            if late is not None and not isinstance(late, Wait):
                yield "the gate's time is over", state.then(_record(rollout, late))
        case Wait():
            return
        case _:
            yield type(move).__name__.lower(), state.then(_record(rollout, move))


def _record(rollout: Rollout, move: Move) -> Record:
    match move:
        case Turn(way, reason, request):
            return Turned(rollout.id, way, reason, request)
        case Close(outcome, _):
            return Closed(rollout.id, outcome)
        case Answer(request, reason):
            return Answered(request, reason, rollout.id)
        case _:
            raise AssertionError(f"{move} is not one record")


def _asking(state: State) -> Iterator[tuple[str, State]]:
    rollout = state.rollout
    if not state.left.requests or rollout.asked:
        return
    less = state.less("requests")
    what = What.FORWARD if rollout.backing_out else What.BACK
    yield f"somebody asks to go {what.value}", less.then(Asked(rollout.id, what, "somebody"))
    if rollout.stuck:
        yield "somebody asks to try again", less.then(Asked(rollout.id, What.RETRY, "somebody"))


def _restarting(state: State) -> Iterator[tuple[str, State]]:
    if not state.left.restarts:
        return
    less = state.less("restarts")
    seen = set()
    for (service, color), cell in state.world.cells:
        kind = (color, cell.running)
        if kind in seen or not any(run and run[1] == PROVEN for run in cell.running):
            continue
        seen.add(kind)
        world = restarted(state.world, service, color)
        yield f"an instance of {service} {color.value} is started again", less.at(world)


def _doing(state: State, index: int) -> Iterator[tuple[str, State]]:
    rollout = state.rollout
    step = rollout.to_do(index)
    called = title(step)
    if isinstance(step, Gate):
        if rollout.gate is not None:
            yield f"{called} ends", state.then(Ended(rollout.id, index, False))
        else:
            began = Began(rollout.id, index, False, rollout.attempt, GATE_UNTIL)
            yield f"{called} opens", state.then(began)
        return
    if isinstance(step, Shift) and (below := _disproved(state)) is not None:
        failed = Failed(rollout.id, below, False, Trouble.ILL, "started again since")
        yield "the proof does not stand any more", state.then(failed)
        return
    began_state = state.then(Began(rollout.id, index, False, rollout.attempt))
    yield f"{called} begins, and the driver dies", began_state
    if isinstance(step, LOOKS):
        yield from _looking(began_state, index, step)
    else:
        yield from _acting(began_state, index, step, back=False)


def _looking(state: State, index: int, step: Step) -> Iterator[tuple[str, State]]:
    rollout = state.rollout
    facts: tuple[Fact, ...] = ()
    found = state
    if isinstance(step, Prove):
        if not proves(step, state.world):
            yield (
                "prove finds it ill",
                state.then(Failed(rollout.id, index, False, Trouble.ILL, "ill")),
            )
            return
        found = state.at(found_well(state.world, step.parts))
        facts = tuple(
            FoundWell(p.service, p.color, i, PROVEN) for p in step.parts for i in range(p.count)
        )
    yield f"{title(step)} ends well", found.then(Ended(rollout.id, index, False, facts))
    if state.left.faults and not isinstance(step, Drain):
        failed = Failed(rollout.id, index, False, Trouble.ILL, "ill")
        yield f"{title(step)} finds it ill", state.less("faults").then(failed)


def _undoing(state: State, index: int) -> Iterator[tuple[str, State]]:
    step = state.rollout.steps[index]
    state = state.then(Began(state.rollout.id, index, True, state.rollout.attempt))
    yield f"undoing {title(step)} begins, and the driver dies", state
    if isinstance(step, LOOKS):
        yield f"undoing {title(step)}", state.then(Ended(state.rollout.id, index, True))
    else:
        yield from _acting(state, index, step, back=True)


def _acting(state: State, index: int, step: Step, *, back: bool) -> Iterator[tuple[str, State]]:
    """Look, act, look; with every place to die on the way, and every way to fail."""
    called = f"undoing {title(step)}" if back else title(step)
    ended = Ended(state.rollout.id, index, back)
    orders = state.left.orders
    way = state.memory.way(state.world, index, step, back=back, orders=orders)
    if not way.worlds:
        yield f"{called} holds already", state.then(ended)
        return
    for half in way.worlds:
        yield f"{called} is in the middle, and the driver dies", state.on(half)
    all_of_it = state.on(way.worlds[-1])
    if not way.takes:
        record = _failure(state.rollout, index, step, Trouble.DID_NOT_TAKE, back=back)
        yield f"{called} does not take", all_of_it.then(record)
        return
    yield f"{called} ends", all_of_it.then(ended)
    if not state.left.faults:
        return
    less = state.less("faults")
    for kind in (Trouble.REFUSED, Trouble.DID_NOT_TAKE):
        record = _failure(state.rollout, index, step, kind, back=back)
        for world in (state.world, *way.worlds[:-1]):
            yield f"{called} fails ({kind.value})", less.on(world).then(record)


def _failure(rollout: Rollout, index: int, step: Step, kind: Trouble, *, back: bool) -> Record:
    last = rollout.failures + 1 >= rollout.policy.tries or kind is Trouble.REFUSED
    if back and isinstance(step, Retire) and last:
        lost = tuple(NoStandby(p.service, p.color, "trouble") for p in step.parts)
        return Ended(rollout.id, index, True, lost)
    if last and (left := can_be_left(step, undoing=back)):
        return Ended(rollout.id, index, back, (LeftAsItIs(left, "trouble"),))
    return Failed(rollout.id, index, back, kind, "trouble")


def _disproved(state: State) -> int | None:
    """The step that is not true any more just before the shift: the proof again, on the spot."""
    steps = state.rollout.steps
    at = next((i for i, step in enumerate(steps) if isinstance(step, Prove)), None)
    if at is None:
        return None
    proof = steps[at]
    assert isinstance(proof, Prove)
    for p in proof.parts:
        cell = state.world.cell(p.service, p.color)
        running = [run for run in cell.running if run and run[0] == p.release]
        if not running or (not proof.lenient and any(start == FRESH for _, start in running)):
            return at
    return None


def unproven(state: State) -> str:
    """The service that the next move would send to a color, forward, of which something was not
    found well since its start; empty: none.
    """
    rollout, world = state.rollout, state.world
    move = state.memory.move(rollout)
    step = rollout.steps[move.step] if isinstance(move, Do) else None
    if not isinstance(step, Shift) or _disproved(state) is not None:
        return ""
    lenient = any(isinstance(s, Prove) and s.lenient for s in rollout.steps)
    for flip in step.flips:
        color = flip.after.live
        runs = [run for run in world.cell(flip.service, color).running if run] if color else []
        fresh = not lenient and any(start == FRESH for _, start in runs)
        if color and world.share(flip.service) != flip.after and (fresh or not runs):
            return flip.service
    return ""
