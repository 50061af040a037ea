"""Watching: the steps that are performed by looking.

A watch ends with what it found, or early, with None, when the journal has news or somebody asks
to stop; then nothing is written and `Began` stands. Evidence belongs to one start of one release:
where the start number changes, the samples begin anew.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from orchestrator.core.health import Found, Sample, Verdict, judge, judge_soak
from orchestrator.core.model import Probing
from orchestrator.core.record import Fact, FoundWell, LeftOpen, Trouble
from orchestrator.core.rollout import Rollout
from orchestrator.core.sight import InstanceSeen, Sighting
from orchestrator.core.steps import Drain, Part, Prove, Soak, Start
from orchestrator.engine.driver import Driver
from orchestrator.engine.sampling import any_answers, described, sample, sample_through_switch
from orchestrator.engine.world import look_at_switch

RESTARTS_MAX = 3  # a program that was started this often within one watch is in a crash loop
SAMPLES_KEPT = 64
DRAIN_LOOK_S = 0.1
REPROOF_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Well:
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class Ill:
    kind: Trouble
    reason: str
    step: int | None = None  # the step below that this disproves; None: the one at hand


Found_ = Well | Ill | None


@dataclass(slots=True)
class _Watched:
    """One instance under watch."""

    part: Part
    instance: int
    probing: Probing
    start: int = 0
    starts: int = 0
    samples: tuple[Sample, ...] = ()
    seen: InstanceSeen | None = None
    last: str = ""  # how it last ended, or what the last sample missed

    def __str__(self) -> str:
        return f"{self.part.service} {self.part.color.value} #{self.instance}"

    def see(self, seen: InstanceSeen | None) -> None:
        self.seen = seen
        if seen is None or not seen.running:
            self.samples = (*self.samples, Sample(Found.BAD, why="it does not run"))[-SAMPLES_KEPT:]
        elif seen.start != self.start:
            self.start, self.samples = seen.start, ()
            self.starts += 1
        if seen is not None and seen.note and not self._of_before(seen):
            self.last = seen.note

    def miss(self, why: str) -> None:
        """Nobody could look: that is neither well nor dead."""
        self.seen, self.last = None, why
        self.samples = (*self.samples, Sample(Found.UNKNOWN, why=why))[-SAMPLES_KEPT:]

    def take(self, taken: Sample) -> None:
        self.samples = (*self.samples, taken)[-SAMPLES_KEPT:]
        if taken.why and (self.seen is None or not self.seen.note or self._of_before(self.seen)):
            self.last = taken.why

    def _of_before(self, seen: InstanceSeen) -> bool:
        """Whether its note tells of a start before this watch: it runs, and has not died since."""
        return seen.running and self.starts <= 1


@dataclass(slots=True)
class _Round:
    """Everything under watch, looked at and sampled side by side."""

    driver: Driver
    watched: list[_Watched] = field(default_factory=list)

    async def look(self) -> None:
        sighting = await self.driver.look()
        self.driver.forget()  # what is sampled now takes its time
        for one in self.watched:
            if sighting.saw(one.part.service, one.part.color):
                one.see(_instance(sighting, one.part, one.instance))
            else:
                one.miss(_unseen(sighting))
        alive = [one for one in self.watched if one.seen is not None and one.seen.running]
        taken = await asyncio.gather(
            *(sample(self.driver.world, one.part, one.instance) for one in alive)
        )
        for one, got in zip(alive, taken, strict=True):
            one.take(got)


async def _watching(driver: Driver, parts: tuple[Part, ...]) -> _Round:
    watch = _Round(driver)
    for part in parts:
        probing = (await described(driver.world, part.service, part.release)).probing
        watch.watched += [_Watched(part, i, probing) for i in _numbers(driver.rollout, part)]
    return watch


# -- Prove ---------------------------------------------------------------------------------


async def prove(driver: Driver, step: Prove, since_s: float) -> Found_:
    """Every instance WELL since its start (lenient.

    Any of each part), within `probing.within` of `since_s`.
    """
    watch = await _watching(driver, step.parts)
    clock = driver.world.clock
    while True:
        await watch.look()
        over = [clock.now() >= since_s + one.probing.within_s for one in watch.watched]
        verdicts = [
            judge(one.samples, one.probing, over=late)
            for one, late in zip(watch.watched, over, strict=True)
        ]
        well = sum(v is Verdict.WELL for v in verdicts)
        driver.world.witness.progress("instances well", well, len(verdicts))
        if _all_proven(step, watch.watched, verdicts):
            return Well(_evidence(watch.watched, verdicts))
        if looping := next((o for o in watch.watched if o.starts > RESTARTS_MAX), None):
            return Ill(Trouble.ILL, f"{looping} keeps dying: {looping.last or 'no word why'}")
        late = [v for v, is_over in zip(verdicts, over, strict=True) if is_over]
        if all(over) or (not step.lenient and any(v is not Verdict.WELL for v in late)):
            return _not_proven(watch.watched, verdicts)
        if await driver.news():
            return None
        await clock.sleep(min(one.probing.every_s for one in watch.watched))


def _all_proven(step: Prove, watched: list[_Watched], verdicts: list[Verdict]) -> bool:
    if not step.lenient:
        return all(v is Verdict.WELL for v in verdicts)
    answering = {
        (o.part.service, o.part.color)
        for o in watched
        if o.samples and o.samples[-1].found is Found.GOOD
    }
    return all((p.service, p.color) in answering for p in step.parts)


def _evidence(watched: list[_Watched], verdicts: list[Verdict]) -> tuple[Fact, ...]:
    return tuple(
        FoundWell(o.part.service, o.part.color, o.instance, o.start)
        for o, verdict in zip(watched, verdicts, strict=True)
        if verdict is Verdict.WELL or (o.samples and o.samples[-1].found is Found.GOOD)
    )


def _not_proven(watched: list[_Watched], verdicts: list[Verdict]) -> Ill:
    worst = [o for o, v in zip(watched, verdicts, strict=True) if v is Verdict.ILL or not o.samples]
    unsure = [o for o, v in zip(watched, verdicts, strict=True) if v is Verdict.UNSURE]
    one = (worst or unsure)[0]
    how = "not well" if worst else "not surely well"
    more = len(worst or unsure) - 1
    others = f" (and {more} more)" if more else ""
    within = f"{one.probing.within_s:g} s"
    return Ill(Trouble.ILL, f"{one}{others} was {how} within {within}: {one.last or 'no answer'}")


# -- Shift proves again --------------------------------------------------------------------


async def prove_again(driver: Driver) -> Well | Ill:
    """Briefly, at the instant before traffic moves.

    The same starts that were found well, and still good.
    """
    prove_at, proof = _proof(driver.rollout)
    sighting = await driver.look()
    driver.forget()  # whatever is started again while it is proven has to be seen
    if proof.lenient:
        answering = await asyncio.gather(*(any_answers(driver.world, p) for p in proof.parts))
        silent = [p for p, answers in zip(proof.parts, answering, strict=True) if not answers]
        if silent:
            what = f"nothing of {silent[0].service} {silent[0].color.value} answers"
            return Ill(Trouble.ILL, what, prove_at)
        return Well()
    if changed := not_as_found(driver.rollout, sighting):
        return changed
    bad = await asyncio.gather(
        *(
            _still_good(driver, part, i)
            for part in proof.parts
            for i in _numbers(driver.rollout, part)
        )
    )
    if why := next((b for b in bad if b), None):
        return Ill(Trouble.ILL, why, prove_at)
    return Well()


def not_as_found(rollout: Rollout, sighting: Sighting) -> Ill | None:
    """What is not there any more as it was found well: it died, or runs under another start."""
    prove_at, proof = _proof(rollout)
    found = rollout.found_well()
    for part in () if proof.lenient else proof.parts:
        if not sighting.saw(part.service, part.color):
            return Ill(Trouble.UNREACHABLE, _unseen(sighting))
        for i in _numbers(rollout, part):
            seen = _instance(sighting, part, i)
            who = f"{part.service} {part.color.value} #{i}"
            if seen is None or not seen.running:
                note = f": {seen.note}" if seen is not None and seen.note else ""
                died = f"{who} died after it was found well{note}"
                return Ill(Trouble.ILL, died, _first(_index(rollout.steps, Start), prove_at))
            if seen.start != found.get((part.service, part.color.value, i)):
                again = f"{who} was started again after it was found well"
                return Ill(Trouble.ILL, again, prove_at)
    return None


def _proof(rollout: Rollout) -> tuple[int | None, Prove]:
    """The Prove of a plan and its index; an empty one where it has none."""
    at = _index(rollout.steps, Prove)
    proof = rollout.steps[at] if at is not None else None
    return at, proof if isinstance(proof, Prove) else Prove(())


async def _still_good(driver: Driver, part: Part, instance: int) -> str:
    """Empty where one of a few looks is good; else what was seen instead."""
    probing = (await described(driver.world, part.service, part.release)).probing
    taken = Sample(Found.UNKNOWN)
    for _ in range(max(probing.ill, 1)):
        taken = await sample(driver.world, part, instance)
        if taken.found is Found.GOOD:
            return ""
        await driver.world.clock.sleep(REPROOF_PAUSE_S)
    return f"{part.service} {part.color.value} #{instance} is not well any more: {taken.why}"


# -- Soak ----------------------------------------------------------------------------------


async def soak(driver: Driver, step: Soak, since_s: float) -> Found_:
    """WELL for `soak_s` without a break, within `soak_within_s` of `since_s`. ILL turns at once."""
    policy = driver.rollout.policy
    clock = driver.world.clock
    watch = await _watching(driver, step.parts)
    through: dict[tuple[str, str], tuple[Sample, ...]] = {}
    well_since = clock.now()
    while True:
        await watch.look()
        await _look_through_switch(driver, step, through)
        if ill := _ill(watch.watched) or _ill_through(driver, step, through):
            return ill
        now = clock.now()
        if not _all_well(watch.watched, through):
            well_since = now
        driver.world.witness.progress("seconds soaked", int(now - well_since), int(policy.soak_s))
        if now - well_since >= policy.soak_s:
            return Well()
        if now - since_s >= policy.soak_within_s:
            return Ill(Trouble.ILL, f"not surely well for {policy.soak_s:g} s at a time")
        if await driver.news():
            return None
        await clock.sleep(min(one.probing.every_s for one in watch.watched))


def _all_well(watched: list[_Watched], through: dict[tuple[str, str], tuple[Sample, ...]]) -> bool:
    return all(judge_soak(o.samples, o.probing) is Verdict.WELL for o in watched) and all(
        samples[-1].found is Found.GOOD for samples in through.values()
    )


def _ill(watched: list[_Watched]) -> Ill | None:
    for one in watched:
        if one.starts > RESTARTS_MAX:
            return Ill(Trouble.ILL, f"{one} keeps dying: {one.last or 'no word why'}")
        if judge_soak(one.samples, one.probing) is Verdict.ILL:
            return Ill(Trouble.ILL, f"{one} turned ill: {one.last}")
    return None


async def _look_through_switch(
    driver: Driver, step: Soak, through: dict[tuple[str, str], tuple[Sample, ...]]
) -> None:
    taken = await asyncio.gather(*(sample_through_switch(driver.world, p) for p in step.parts))
    for part, got in zip(step.parts, taken, strict=True):
        if got is not None:
            key = (part.service, part.color.value)
            through[key] = (*through.get(key, ()), got)[-SAMPLES_KEPT:]


def _ill_through(
    driver: Driver, step: Soak, through: dict[tuple[str, str], tuple[Sample, ...]]
) -> Ill | None:
    for part in step.parts:
        probing = driver.world.site.service(part.service).probing
        samples = through.get((part.service, part.color.value), ())
        if judge_soak(samples, probing) is Verdict.ILL and _was_reached(samples, probing):
            where = f"{part.service} {part.color.value} turned ill through the switch"
            return Ill(Trouble.ILL, f"{where}: {samples[-1].why}")
    return None


def _was_reached(samples: tuple[Sample, ...], probing: Probing) -> bool:
    """Whether a bad look through the switch says anything yet.

    The switch looks for itself before it sends anybody to a new color's own address. Until that was
    good once, or a whole proof's time is over, nobody answering there is no illness.
    """
    if any(sample.found is Found.GOOD for sample in samples):
        return True
    return samples[-1].at_s - samples[0].at_s >= probing.within_s


# -- Drain ---------------------------------------------------------------------------------


async def drain(driver: Driver, step: Drain, since_s: float) -> Found_:
    """Until no connection is left, or the drain time is over; what is left then is counted."""
    clock = driver.world.clock
    quiet = 0
    while True:
        switch = await look_at_switch(driver.world, driver.epoch)
        left = [(p, switch.open_connections(p.service, p.color)) for p in step.parts]
        open_now = sum(n for _, n in left)
        quiet = 0 if open_now or not switch.up else quiet + 1
        if quiet >= 2:
            return Well()
        if clock.now() - since_s >= driver.rollout.policy.drain_s:
            return Well(tuple(LeftOpen(p.service, p.color, n) for p, n in left if n))
        driver.world.witness.progress("connections left", open_now, open_now)
        if await driver.news():
            return None
        await clock.sleep(DRAIN_LOOK_S)


# -- Small things --------------------------------------------------------------------------


def _unseen(sighting: Sighting) -> str:
    return "; ".join(sighting.unreached) or "it could not be looked at"


def _numbers(rollout: Rollout, part: Part) -> tuple[int, ...]:
    return rollout.site.service(part.service).placement.first(part.count)


def _instance(sighting: Sighting, part: Part, instance: int) -> InstanceSeen | None:
    """The instance, if it runs (or ran) the part's release."""
    seen = sighting.at(part.service, part.color)
    return next(
        (i for i in seen.instances if i.index == instance and i.release == part.release), None
    )


def _index(steps: tuple[object, ...], kind: type) -> int | None:
    return next((i for i, step in enumerate(steps) if isinstance(step, kind)), None)


def _first(*indices: int | None) -> int | None:
    return next((i for i in indices if i is not None), None)
