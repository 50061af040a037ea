"""What is promised in every state, checked after everything that a process does.

A `Promises` sits in the hook around a process, so what is checked is the truth of the world and not
what anybody believes: rules 1, 8 and 10, and that never two rollouts are open.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from orchestrator.adapters.memory.fuse import GO_ON, Answer, Kind, Tick, When
from orchestrator.adapters.memory.process import Process
from orchestrator.adapters.memory.world import World
from orchestrator.core.health import Verdict
from orchestrator.core.model import Color, Share
from orchestrator.core.record import Began, Closed, Opened, Outcome, Turned, Way
from orchestrator.core.record import Kind as WishKind
from orchestrator.core.sight import (
    InstallationSeen,
    InstanceSeen,
    Sighting,
    SwitchSeen,
    holds,
    undone,
)
from orchestrator.core.steps import (
    Flip,
    Retire,
    Run,
    Shift,
    Stage,
    Start,
    Step,
    Tidy,
    Wire,
    flips_of,
)

WORDS = {  # the steps that have such effects, forward or back
    "stage": Stage,
    "remove": Stage | Tidy,
    "stop": Retire | Start,
    "start": Start | Retire | Shift,
    "point": Start | Retire | Shift,
    "send": Wire | Shift,
    "run": Run,
}
FENCED = ("installation", "switch")
ACTED_ON = (*FENCED, "commands")


def truth(world: World) -> Sighting:
    """What is so, as it would be seen if everything answered."""
    rollout = world.chronicle.open
    runs = tuple(s for s in rollout.steps if isinstance(s, Run)) if rollout else ()
    cells = ((s.name, color) for s in world.site.services for color in Color)
    return Sighting(
        tuple(
            InstallationSeen(
                name,
                color,
                frozenset(world.staged.get(name, ())),
                world.cell(name, color).current,
                tuple(
                    InstanceSeen(i, one.release, one.running, one.start, kept=one.kept)
                    for i, one in world.cell(name, color).instances.items()
                ),
            )
            for name, color in cells
        ),
        SwitchSeen(tuple(world.shares.items()), tuple(world.pins.items())),
        runs=Process(world).commands.seen(runs, rollout.id) if rollout and runs else (),
    )


class Broken(AssertionError):
    """A promise did not hold. The story is what happened up to then."""


def story(world: World, last: int = 60) -> str:
    """The journal and the effects, for people who look for the mistake."""
    lines = []
    for entry in world.entries[-last:]:
        record = entry.record
        text = repr(record) if not isinstance(record, Opened) else f"Opened {record.rollout}"
        lines.append(f"  {entry.number} e{entry.epoch} +{entry.at_s - 1.7e9:.2f} {text[:150]}")
    acted = [f"  {e.verb} {e.what} (epoch {e.epoch})" for e in world.effects[-last:]]
    return "\n".join(["journal:", *lines, "effects:", *acted])


@dataclass
class Promises:
    """A hook that checks after every effect what must hold in every state."""

    world: World
    ticks: list[Tick] = field(default_factory=list)
    good: Counter[tuple[str, Color, int, int]] = field(default_factory=Counter)
    all_answer: bool = False  # no look fails, so the first survey reaches everything
    answered: dict[tuple[str, Color, int], bool] = field(default_factory=dict)
    served: dict[str, Share] = field(default_factory=dict)  # before the newest change of traffic
    youngest: dict[str, int] = field(default_factory=dict)
    seen: dict[int, Sighting] = field(default_factory=dict)  # by process: what it saw last
    looks: dict[int, set[str]] = field(default_factory=dict)  # and which looks answered
    at_hand: dict[int, tuple[int, Step, bool]] = field(default_factory=dict)
    tried: dict[int, int] = field(default_factory=dict)  # the Began that it acted for last
    acted: set[int] = field(default_factory=set)  # processes that owe a record
    looked: dict[tuple[str, Color], dict[int, int]] = field(default_factory=dict)
    """By color: what ran at the newest look that a decision rests on, and under which start."""

    def __call__(self, tick: Tick) -> Answer:
        self.ticks.append(tick)
        if tick.when is When.BEFORE:
            self.served = dict(self.world.shares)
            return GO_ON
        if tick.kind is Kind.EFFECT and _of_a_step(tick):
            self._began_first(tick)
            self._looked_first(tick)
            self.acted.add(tick.process)
        if tick.kind is Kind.LOOK and tick.epoch is not None:
            self._remember_the_look(tick)
        self._epoch_never_falls(tick)
        match tick.verb:
            case "prober.sample":
                self._remember_what_was_good(tick)
            case "switch.send":
                self._traffic_goes_where_it_may(tick)
            case "installation.stop":
                self._nothing_that_serves_is_stopped(tick)
            case "journal.append":
                self.looks.pop(tick.process, None)
                self.seen.pop(tick.process, None)
                self._fenced_before_it_decides(tick)
                self._what_was_done_is_written(tick)
                self._nobody_is_passed_over(tick)
                self._turns_only_to_what_was_well(tick)
                self._one_rollout_at_a_time()
                self._epochs_of_the_journal_never_fall(tick)
            case _:
                pass
        return GO_ON

    def broken(self, promise: str, tick: Tick) -> Broken:
        return Broken(f"{promise}\n  at {tick}\n" + story(self.world))

    def _began_first(self, tick: Tick) -> None:
        """Rule 1: an effect comes after a Began of a step that has such effects."""
        rollout = self.world.chronicle.open
        entry = next(e for e in reversed(self.world.entries) if e.epoch)
        newest = entry.record
        if rollout is None or not isinstance(newest, Began):
            raise self.broken("it acted before it wrote down that it begins", tick)
        if not isinstance(rollout.steps[newest.step], WORDS[tick.verb.partition(".")[2]]):
            raise self.broken("it acted for another step than the one that began", tick)
        self.at_hand[tick.process] = (entry.number, rollout.steps[newest.step], newest.undoing)

    def _looked_first(self, tick: Tick) -> None:
        """Rule 2: what a look said is so already is not done again."""
        looks, seen = self.looks.pop(tick.process, set()), self.seen.pop(tick.process, None)
        number, step, undoing = self.at_hand[tick.process]
        first, self.tried[tick.process] = self.tried.get(tick.process) != number, number
        whole = {f"{target}.look" for target in (ACTED_ON if isinstance(step, Run) else FENCED)}
        if seen is None or not whole <= looks or not first:  # patience has its own reasons
            return
        if (undone if undoing else holds)(step, seen):
            raise self.broken("it did again what it had seen done", tick)

    def _what_was_done_is_written(self, tick: Tick) -> None:
        """Rule 8: a fact survives a race."""
        if tick.what not in ("Ended", "Failed") and tick.process in self.acted:
            raise self.broken("it acted and did not write down how that ended", tick)
        self.acted.discard(tick.process)

    def _nobody_is_passed_over(self, tick: Tick) -> None:
        """Rule 8: a request is met or answered before the driver decides anything else."""
        rollout = self.world.chronicle.open
        waiting = rollout.asked if rollout else self.world.chronicle.asked
        newest = self.world.entries[-1].record
        abandoned = isinstance(newest, Closed) and newest.outcome is Outcome.ABANDONED
        mine = [e.number for e in waiting if e.record.rollout == newest.rollout]
        if tick.what in ("Began", "Closed") and mine and not abandoned:
            raise self.broken(f"it went on, and nobody answered request {mine}", tick)
        if rollout is not None and rollout.paused and tick.what == "Began":
            raise self.broken("it went on although it was paused", tick)

    def _turns_only_to_what_was_well(self, tick: Tick) -> None:
        """Rule 10: after the shift nothing turns by itself to a color that was not well."""
        turned = self.world.entries[-1].record
        rollout = self.world.chronicle.open
        if not isinstance(turned, Turned) or turned.request is not None or rollout is None:
            return
        moved = [f.service for f in flips_of(rollout.steps) if self._has_moved(f)]
        ill = [s for s in rollout.before if s.release and s.verdict is not Verdict.WELL]
        if turned.way is Way.BACK and moved and ill:
            raise self.broken(f"{moved} turned back by itself, and {ill[0].service} was ill", tick)

    def _has_moved(self, flip: Flip) -> bool:
        return flip.before != flip.after == self.world.shares.get(flip.service)

    def _epoch_never_falls(self, tick: Tick) -> None:
        """Rule 8: once a younger driver was there, nothing of an older one takes effect."""
        target = tick.verb.partition(".")[0]
        if tick.epoch is None or target not in ACTED_ON:
            return
        if tick.epoch < self.youngest.get(target, 0):
            raise self.broken(f"epoch {tick.epoch} still acts", tick)
        self.youngest[target] = tick.epoch

    def _remember_the_look(self, tick: Tick) -> None:
        """What was so when it was looked at. The first whole look since it began is what counts."""
        of_installations = tick.verb == "installation.look"
        if of_installations:
            for place, cell in self.world.cells.items():
                self.looked[place] = {i: o.start for i, o in cell.instances.items() if o.running}
        looks = self.looks.setdefault(tick.process, set())
        if not tick.verb.endswith(".look") or tick.verb in looks:
            return
        looks.add(tick.verb)
        now, before = truth(self.world), self.seen.get(tick.process, Sighting())
        if tick.verb == "commands.look":
            self.seen[tick.process] = replace(before, runs=now.runs)
            return
        installations = now.installations if of_installations else before.installations
        switch = before.switch if of_installations else now.switch
        self.seen[tick.process] = replace(before, installations=installations, switch=switch)

    def _fenced_before_it_decides(self, tick: Tick) -> None:
        """Rule 8: who takes over raises its epoch everywhere with its first survey.

        An answer to a request rests on the journal alone.
        """
        seen = min(self.youngest.get(target, 0) for target in FENCED)
        if self.all_answer and tick.what != "Answered" and seen < (tick.epoch or 0):
            raise self.broken("it decided before the fence was raised everywhere", tick)

    def _remember_what_was_good(self, tick: Tick) -> None:
        """The fuse tells no results, so the health of the world is asked: who listens there?"""
        port = int(tick.what.rpartition(":")[2])
        for service in self.world.site.services:
            for color in Color:
                for index, one in self.world.cell(service.name, color).instances.items():
                    if service.placement.port(color, index) != port:
                        continue
                    if one.running:
                        self._count(service.name, color, index)
                    else:
                        self.answered[service.name, color, index] = False

    def _count(self, service: str, color: Color, index: int) -> None:
        one = self.world.cell(service, color).instances[index]
        health = self.world.health_of(service, one.release)
        worn = health.ill_after is not None and one.under_traffic > health.ill_after
        flapped = health.flaps and one.samples % 2 == 0
        down = health.ill or health.crashes or health.hangs
        bad = down or worn or flapped or one.samples <= health.slow
        key = (service, color, index, one.start)
        self.good[key] = 0 if bad else self.good[key] + 1
        self.answered[service, color, index] = not bad

    def _traffic_goes_where_it_may(self, tick: Tick) -> None:
        """Rule 10."""
        rollout = self.world.chronicle.open
        for service, share in self.world.shares.items():
            was = self.served.get(service, Share())
            if share == was or rollout is None:
                continue
            if share.live is None:
                first = rollout.backing_out and Share() in [
                    f.before for s in rollout.steps if isinstance(s, Shift) for f in s.flips
                ]
                if not first:
                    raise self.broken(f"nobody serves {service}", tick)
                continue
            going_back = rollout.backing_out or rollout.wish.kind is not WishKind.DEPLOY
            self._is_fit(service, share.live, tick, any_of_it=going_back)

    def _is_fit(self, service: str, color: Color, tick: Tick, *, any_of_it: bool) -> None:
        if any_of_it:
            silent = not self._answers(service, color)
            if silent and self._answers(service, color.other):
                raise self.broken(f"{service} goes back to what does not answer", tick)
            return
        running = self.looked.get((service, color), {})
        described = self.world.site.service(service)
        enough, count = described.probing.well, described.placement.count
        well = [self.good[service, color, i, start] >= enough for i, start in running.items()]
        if len(running) < count or not all(well):
            raise self.broken(f"{service} goes to what was not found well since its start", tick)

    def _answers(self, service: str, color: Color) -> bool:
        """Whether any of it answered when it was asked last."""
        asked = self.answered.items()
        return any(good for (name, of, _), good in asked if (name, of) == (service, color))

    def _nothing_that_serves_is_stopped(self, tick: Tick) -> None:
        service, color, *_ = tick.what.split()
        if self.world.shares.get(service, Share()).of(Color(color)):
            raise self.broken(f"{service} {color} serves, and was stopped", tick)

    def _one_rollout_at_a_time(self) -> None:
        open_ = 0
        for entry in self.world.entries:
            open_ += isinstance(entry.record, Opened) - isinstance(entry.record, Closed)
            if open_ not in (0, 1):
                raise Broken("two rollouts are open\n" + story(self.world))

    def _epochs_of_the_journal_never_fall(self, tick: Tick) -> None:
        epochs = [e.epoch for e in self.world.entries if e.epoch]
        if epochs != sorted(epochs):
            raise self.broken("an older driver wrote after a younger one", tick)


def _of_a_step(tick: Tick) -> bool:
    target, _, verb = tick.verb.partition(".")
    return target in ACTED_ON and verb in WORDS
