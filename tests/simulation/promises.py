"""What is promised in every state, checked after everything that a process does.

A `Promises` sits in the hook around a process, so what is checked is the truth of the world and not
what anybody believes: rules 1, 8 and 10, and that never two rollouts are open.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from orchestrator.adapters.memory.fuse import GO_ON, Answer, Tick, When
from orchestrator.adapters.memory.world import World
from orchestrator.core.model import Color, Share
from orchestrator.core.record import Began, Closed, Kind, Opened
from orchestrator.core.rollout import Rollout
from orchestrator.core.steps import Retire, Shift, Stage, Start, Tidy, Wire

WORDS = {  # the steps that have such effects, forward or back
    "stage": Stage,
    "remove": Stage | Tidy,
    "stop": Retire | Start,
    "start": Start | Retire | Shift,
    "point": Start | Retire | Shift,
    "send": Wire | Shift,
}


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
    looked: dict[tuple[str, Color], dict[int, int]] = field(default_factory=dict)
    """By color: what ran at the newest look that a decision rests on, and under which start."""

    def __call__(self, tick: Tick) -> Answer:
        if tick.verb == "lease.renew":
            return GO_ON
        self.ticks.append(tick)
        if tick.when is When.BEFORE:
            self.served = dict(self.world.shares)
            return GO_ON
        self._began_first(tick)
        self._epoch_never_falls(tick)
        match tick.verb:
            case "installation.look" if tick.epoch is not None:
                self._look()
            case "prober.sample":
                self._remember_what_was_good(tick)
            case "switch.send":
                self._traffic_goes_where_it_may(tick)
            case "installation.stop":
                self._nothing_that_serves_is_stopped(tick)
            case "journal.append":
                self._fenced_before_it_decides(tick)
                self._one_rollout_at_a_time()
                self._epochs_of_the_journal_never_fall(tick)
            case _:
                pass
        return GO_ON

    def broken(self, promise: str, tick: Tick) -> Broken:
        return Broken(f"{promise}\n  at {tick}\n" + story(self.world))

    def _began_first(self, tick: Tick) -> None:
        """Rule 1: an effect comes after a Began of a step that has such effects."""
        verb = tick.verb.partition(".")[2]
        if not tick.verb.startswith(("installation.", "switch.")) or verb not in WORDS:
            return
        rollout = self.world.chronicle.open
        newest = next(e.record for e in reversed(self.world.entries) if e.epoch)
        if rollout is None or not isinstance(newest, Began):
            raise self.broken("it acted before it wrote down that it begins", tick)
        if not isinstance(rollout.steps[newest.step], WORDS[verb]):
            raise self.broken("it acted for another step than the one that began", tick)

    def _epoch_never_falls(self, tick: Tick) -> None:
        """Rule 8: once a younger driver was there, nothing of an older one takes effect."""
        target = tick.verb.partition(".")[0]
        if tick.epoch is None or target not in ("installation", "switch"):
            return
        if tick.epoch < self.youngest.get(target, 0):
            raise self.broken(f"epoch {tick.epoch} still acts", tick)
        self.youngest[target] = tick.epoch

    def _look(self) -> None:
        for place, cell in self.world.cells.items():
            self.looked[place] = {i: o.start for i, o in cell.instances.items() if o.running}

    def _fenced_before_it_decides(self, tick: Tick) -> None:
        """Rule 8: who takes over raises its epoch everywhere with its first survey.

        An answer to a request rests on the journal alone.
        """
        seen = min(self.youngest.get(target, 0) for target in ("installation", "switch"))
        if self.all_answer and tick.what != "Answered" and seen < (tick.epoch or 0):
            raise self.broken("it decided before the fence was raised everywhere", tick)

    def _remember_what_was_good(self, tick: Tick) -> None:
        """The fuse tells no results, so the health of the world is asked: who listens there?"""
        port = int(tick.what.rpartition(":")[2])
        for service in self.world.site.services:
            for color in Color:
                for index, one in self.world.cell(service.name, color).instances.items():
                    if one.running and service.placement.port(color, index) == port:
                        self._count(service.name, color, index)

    def _count(self, service: str, color: Color, index: int) -> None:
        one = self.world.cell(service, color).instances[index]
        health = self.world.health_of(service, one.release)
        bad = health.ill or health.crashes or health.hangs or one.samples <= health.slow
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
            going_back = rollout.backing_out or rollout.wish.kind is not Kind.DEPLOY
            self._is_fit(service, share.live, rollout, tick, any_of_it=going_back)

    def _is_fit(
        self, service: str, color: Color, rollout: Rollout, tick: Tick, *, any_of_it: bool
    ) -> None:
        running = self.looked.get((service, color), {})
        well = [self.good[service, color, index, start] > 0 for index, start in running.items()]
        if any_of_it:
            well = [self.answered.get((service, color, index), False) for index in running]
            other = self.world.cell(service, color.other)
            elsewhere = any(one.running for one in other.instances.values())
            if not any(well) and elsewhere and not self._nothing_is_well(service, color.other):
                raise self.broken(f"{service} goes back to what does not answer", tick)
            return
        count = self.world.site.service(service).placement.count
        if len(running) < count or not all(well):
            raise self.broken(f"{service} goes to what was not found well since its start", tick)

    def _nothing_is_well(self, service: str, color: Color) -> bool:
        cell = self.world.cell(service, color)
        return all(
            self.world.health_of(service, one.release).ill
            for one in cell.instances.values()
            if one.running
        )

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
