"""Each step in words: what it will do, does, did; and what taking it back will do, does, did.

Six short functions over the closed vocabulary, each ended with `assert_never`, so a new step cannot
be forgotten. They say nothing about when and by whom.
"""

from __future__ import annotations

from typing import assert_never

from orchestrator.core.record import (
    Fact,
    Flipped,
    LeftAsItIs,
    LeftOpen,
    NoStandby,
    StoodStill,
)
from orchestrator.core.steps import (
    Drain,
    Flip,
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
    undoable,
)
from orchestrator.core.words import (
    NOBODY,
    counted,
    flips_to,
    instances_of,
    joined,
    parts_at,
    releases_of,
    span,
    told,
    wirings_to,
)

# -- Forward -------------------------------------------------------------------------------


def sentence_of(step: Step) -> str:
    """What the step will do: `stage web 2 on green`."""
    match step:
        case Stage(parts):
            return f"stage {parts_at(parts)}"
        case Drain(parts):
            return f"wait until nobody is served by {parts_at(parts)}"
        case Retire(parts):
            return f"stop {parts_at(parts)}"
        case Wire(wirings):
            return f"wire {wirings_to(wirings)}"
        case Start(parts):
            return f"start {parts_at(parts)} ({instances_of(parts)})"
        case Prove(parts, lenient):
            return (
                f"see that {parts_at(parts)} answer{_s(parts)}"
                if lenient
                else f"prove {parts_at(parts)}"
            )
        case Gate(gate):
            return f"wait until somebody grants {gate}"
        case Shift(flips):
            return f"send {_traffic(flips, after=True)}{_addresses(step)}{_held(step)}"
        case Soak(parts):
            return f"watch {parts_at(parts)} under real traffic"
        case Tidy(releases):
            return f"delete {joined(f'{s} {r.version}' for s, r in releases)}"
        case Run(command, _, _, back):
            end = "" if undoable(step) else "; nothing takes that back"
            return f"{'take back' if back else 'run'} {command.name}{_where(step)}{end}"
        case _:
            assert_never(step)


def doing(step: Step) -> str:
    """What is being done: `staging web 2 on green`."""
    match step:
        case Stage(parts):
            return f"staging {parts_at(parts)}"
        case Drain(parts):
            return f"waiting until nobody is served by {parts_at(parts)}"
        case Retire(parts):
            return f"stopping {parts_at(parts)}"
        case Wire(wirings):
            return f"wiring {wirings_to(wirings)}"
        case Start(parts):
            return f"starting {parts_at(parts)} ({instances_of(parts)})"
        case Prove(parts, lenient):
            if lenient:
                return f"looking whether {told(parts, 'answers', 'answer')}"
            return f"proving {parts_at(parts)}"
        case Gate(gate):
            return f"waiting for somebody to grant {gate}"
        case Shift(flips):
            return f"sending {_traffic(flips, after=True)}{_addresses(step)}"
        case Soak(parts):
            return f"watching {parts_at(parts)} under real traffic"
        case Tidy(releases):
            return f"deleting {joined(f'{s} {r.version}' for s, r in releases)}"
        case Run(command, _, _, back):
            return f"{'taking back' if back else 'running'} {command.name}{_where(step)}"
        case _:
            assert_never(step)


def done(step: Step, facts: tuple[Fact, ...] = ()) -> str:
    """What is true now: `web 2 is staged on green`."""
    match step:
        case Stage(parts):
            return told(parts, "is staged", "are staged")
        case Drain(parts):
            return _drained(parts, facts)
        case Retire(parts):
            stopped = told(parts, "is stopped", "are stopped")
            return f"{stopped}; {_it(parts)} stay{_s(parts)} on disk"
        case Wire(wirings):
            return joined(
                f"{w.pin.caller} {w.pin.color.value} is wired to {w.pin.callee} {w.after.value}"
                for w in wirings
            )
        case Start(parts):
            return f"{told(parts, 'runs', 'run')} ({instances_of(parts)})"
        case Prove(parts, lenient):
            if lenient:
                return told(parts, "answers", "answer")
            return f"{told(parts, 'is well', 'are well')} ({instances_of(parts)})"
        case Gate(gate):
            return f"{gate} is granted"
        case Shift(flips):
            return f"{_goes(flips, after=True)}{_took(facts)}"
        case Soak(parts):
            return f"{told(parts, 'stayed well', 'stayed well')} under real traffic"
        case Tidy(releases):
            what = joined(f"{s} {r.version}" for s, r in releases)
            if why := _left(facts):
                return f"{what} could not be deleted: {why}"
            if len(releases) == 1:
                return f"{what} is deleted; no way back needs it"
            return f"{what} are deleted; no way back needs them"
        case Run(command, _, _, back):
            if why := _left(facts):
                return f"{command.name} is left as it is{_where(step)}: {why}"
            return f"{command.name} is {'taken back' if back else 'done'}{_where(step)}"
        case _:
            assert_never(step)


# -- Back ----------------------------------------------------------------------------------


def undo_of(step: Step) -> str:
    """What taking the step back will do; empty where there is nothing to take back."""
    match step:
        case Stage(parts):
            return f"delete {_them(parts)} again"
        case Retire(parts):
            return f"start {_them(parts)} again" if _ran(parts) else ""
        case Wire(wirings):
            return "wire as before" if any(w.before for w in wirings) else ""
        case Start(parts):
            return f"stop {_them(parts)}"
        case Shift(flips):
            where = joined(where for _, where in flips_to(flips, after=False))
            return "send it to nobody again" if where == NOBODY else f"send it back to {where}"
        case Run(command):
            again = f"run {command.name} again" if step.back else f"take {command.name} back"
            return again if step.home else ""
        case Drain() | Prove() | Gate() | Soak() | Tidy():
            return ""
        case _:
            assert_never(step)


def taking_back(step: Step) -> str:
    """What is being taken back: `stopping web 2 on green`."""
    match step:
        case Stage(parts):
            return f"deleting {releases_of(parts)}"
        case Retire(parts):
            return f"starting {parts_at(parts)} again"
        case Wire():
            return "wiring inner addresses as they were"
        case Start(parts):
            return f"stopping {parts_at(parts)}"
        case Shift(flips):
            return f"sending {_traffic(flips, after=False)}"
        case Run(command):
            if not step.home:
                return f"leaving what {command.name} did"
            return f"{'running' if step.back else 'taking back'} {command.name}{_where(step)}"
        case Drain() | Prove() | Gate() | Soak() | Tidy():
            return f"leaving {_look(step)} behind"
        case _:
            assert_never(step)


def taken_back(step: Step, facts: tuple[Fact, ...] = ()) -> str:
    """What is true again: `web 2 on green is stopped`."""
    match step:
        case Stage(parts):
            return f"{releases_of(parts)} {_is(parts)} deleted again"
        case Retire(parts):
            return _lost(facts) or f"{told(parts, 'runs', 'run')} again"
        case Wire():
            return "inner addresses are wired as they were"
        case Start(parts):
            stopped = told(parts, "is stopped", "are stopped")
            return f"{stopped}; {lost}" if (lost := _lost(facts)) else stopped
        case Shift(flips):
            return f"{_goes(flips, after=False)} again"
        case Run(command):
            if why := _left(facts):
                return f"{command.name} is left as it is{_where(step)}: {why}"
            if not step.home:
                return f"what {command.name} did stays"
            return f"{command.name} is {'done again' if step.back else 'taken back'}{_where(step)}"
        case Drain() | Prove() | Gate() | Soak() | Tidy():
            return f"{_look(step)} left nothing behind"
        case _:
            assert_never(step)


# -- Pieces --------------------------------------------------------------------------------


def _lost(facts: tuple[Fact, ...]) -> str:
    """Which standbys there are no more, and why; empty where all are there."""
    lost = [f for f in facts if isinstance(f, NoStandby)]
    which = joined(f"{f.service} {f.color.value}" for f in lost)
    return f"no standby on {which} any more: {lost[0].why}" if lost else ""


def _look(step: Drain | Prove | Gate | Soak | Tidy) -> str:
    match step:
        case Drain():
            return "the wait for connections"
        case Prove():
            return "the proof"
        case Gate(gate):
            return f"the gate {gate}"
        case Soak():
            return "the watch under real traffic"
        case Tidy():
            return "the deleting of old releases"
        case _:
            assert_never(step)


def _where(run: Run) -> str:
    """Hosts are named; this machine goes without saying."""
    return f" on {joined(run.hosts)}" if run.hosts else ""


def _left(facts: tuple[Fact, ...]) -> str:
    return next((f.why for f in facts if isinstance(f, LeftAsItIs)), "")


def _traffic(flips: tuple[Flip, ...], *, after: bool) -> str:
    groups = flips_to(flips, after=after)
    return " and ".join(f"the traffic of {services} to {where}" for services, where in groups)


def _goes(flips: tuple[Flip, ...], *, after: bool) -> str:
    groups = flips_to(flips, after=after)
    return " and ".join(f"traffic of {services} goes to {where}" for services, where in groups)


def _addresses(shift: Shift) -> str:
    return f", and with it {wirings_to(shift.wirings)}" if shift.wirings else ""


def _held(shift: Shift) -> str:
    """How long requests may have to wait for it."""
    return f", time standing still for {span(shift.hold.for_s)} at most" if shift.hold else ""


def _took(facts: tuple[Fact, ...]) -> str:
    took = next((f.took_s for f in facts if isinstance(f, Flipped)), None)
    still = next((f for f in facts if isinstance(f, StoodStill)), None)
    said = "" if took is None else f" now; it took {span(took)}"
    if still is None:
        return said
    said += f"; time stood still for {span(still.to_s - still.from_s)}"
    if not still.waited:
        return f"{said}, and nobody waited"
    waited = counted(still.waited, "request")
    return f"{said}, and {waited} waited, {span(still.longest_s)} at most{_streams(still)}"


def _streams(still: StoodStill) -> str:
    return f"; {counted(still.streams, 'stream')} went on in the old world" if still.streams else ""


def _drained(parts: tuple[Part, ...], facts: tuple[Fact, ...]) -> str:
    left = [f for f in facts if isinstance(f, LeftOpen) and f.connections]
    if not left:
        return f"nobody is served by {parts_at(parts)} any more"
    counts = joined(
        f"{counted(f.connections, 'connection')} of {f.service} {f.color.value}" for f in left
    )
    return f"the drain time is over; {counts} will be closed"


def _ran(parts: tuple[Part, ...]) -> bool:
    return any(p.before.running for p in parts)


def _one(parts: tuple[Part, ...]) -> bool:
    return len({(p.service, p.release) for p in parts}) == 1


def _is(parts: tuple[Part, ...]) -> str:
    return "is" if _one(parts) else "are"


def _s(parts: tuple[Part, ...]) -> str:
    return "s" if _one(parts) else ""


def _it(parts: tuple[Part, ...]) -> str:
    return "it" if _one(parts) else "they"


def _them(parts: tuple[Part, ...]) -> str:
    return "it" if _one(parts) else "them"
