"""Seeded design errors: each is a mistake that is easy to make, and the simulation catches it.

Here, and only here, functions of ours are replaced, by copies that leave one rule out: the purpose
is to see that the lives would notice. `hunt` lives one life after the other until a promise breaks;
an error that nothing catches means that a promise is not checked. Rules that cover for each other
are left out together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from orchestrator.adapters.memory.doing import Doing
from orchestrator.adapters.memory.fuse import LIE, Fault, How, Kind, When
from orchestrator.adapters.memory.journal import MemoryJournal
from orchestrator.adapters.memory.world import Effect
from orchestrator.core import decide as deciding
from orchestrator.core import rollout as folding
from orchestrator.core.model import Color
from orchestrator.core.record import FACTS, Failed, Outcome, What
from orchestrator.core.rollout import Rollout
from orchestrator.core.sight import holds
from orchestrator.engine import effects, perform, watch
from orchestrator.engine import world as surveying
from orchestrator.engine.driver import Driver
from orchestrator.ports.trouble import Raced
from tests.simulation.life import Life
from tests.simulation.promises import Broken
from tests.simulation.scenes import opened
from tests.simulation.test_fencing import wakes
from tests.simulation.test_kills import dies, undisturbed
from tests.simulation.test_lives import (
    AT_GATE,
    Event,
    asks,
    asks_of_a_rollout_that_has_closed,
    at_tick,
    grants,
    lives,
    loses,
    restarts,
    time_passes,
    turns_ill,
)
from tests.simulation.test_trouble import FOR_GOOD, Case
from tests.simulation.test_trouble import lives as lives_with

Seed = Callable[[pytest.MonkeyPatch], None]
Hunt = Callable[[], Iterator[object]]


@dataclass(frozen=True)
class DesignError:
    what: str
    seed: Seed
    hunt: Hunt


# -- Where to look -------------------------------------------------------------------------


def deaths(name: str = "second", *, back: bool = False) -> Iterator[object]:
    at_gate = What.BACK if back else None
    for at in range(1, len(undisturbed(name, at_gate).ticks) + 1, 2):
        dies(name, at, at_gate=at_gate)
        yield at


def troubles(verb: str, how: How, *, name: str = "second") -> Iterator[object]:
    for times in (1, 2, FOR_GOOD):
        for at_gate in (None, What.BACK):
            yield lives_with(Case(name, verb, how, times, at_gate))


def events(*what: Event, name: str = "second", every: int = 2) -> Iterator[object]:
    """One event anywhere; where there are two, the second follows a little later."""
    for at in range(1, len(undisturbed(name, None).ticks) + 1, every):
        for apart in (3, 8, 15) if len(what) > 1 else (0,):
            yield lives(opened(name), {at + n * apart: one for n, one in enumerate(what)})


def sleepers(name: str = "second") -> Iterator[object]:
    ticks = len(undisturbed(name, None).ticks)
    for stops_at in range(2, ticks, 7):
        for wakes_at in range(8, ticks, 9):
            yield wakes(name, stops_at, wakes_at, whole=True)


def losing_the_new_color() -> Iterator[object]:
    """S21: all of it dies, with its keepers, in the soak; the old one is well."""
    soaking = at_tick("second", "Began", AT_GATE + 2)
    for at in range(soaking, soaking + 20, 4):
        life = lives(opened("second"), {at: loses(Color.GREEN)})
        if life.stuck or life.outcome is not Outcome.BACKED_OUT:
            raise Broken(f"{life.outcome}, a person was needed to go back to what is well")
        yield life


def late_grants() -> Iterator[object]:
    """A day passes at the gate, then somebody grants it."""
    opening = at_tick("second", "Began", AT_GATE)
    for later in range(1, 6):
        yield lives(opened("second"), {opening: time_passes, opening + later: grants})


def ill_before_and_after() -> Iterator[object]:
    """S22: what served was ill, and the new one turns ill in the soak."""
    soaking = at_tick("fix_forward", "Began", AT_GATE + 2)
    yield lives(opened("fix_forward"), {soaking + 2: turns_ill(Color.GREEN)})


# -- What is left out ----------------------------------------------------------------------

began, ended, turned = folding._began, folding._ended, folding._turned


def skip_the_second_look(patch: pytest.MonkeyPatch) -> None:
    async def make(driver: Driver, index: int, step: Any, since_s: float = 0.0) -> None:
        if holds(step, await surveying.survey(driver.world, driver.epoch)):
            return await perform._ended(driver, index)
        trouble, _ = await perform._tried(driver, lambda: effects.do(driver, step))
        if trouble is None:
            return await perform._ended(driver, index)
        kind, reason = trouble
        failed = Failed(driver.rollout.id, index, False, kind, reason)
        return await driver.write(failed)

    patch.setattr(perform, "_make", make)


def skip_the_first_look(patch: pytest.MonkeyPatch) -> None:
    first: set[int] = set()

    def hastily(step: Any, sighting: Any) -> bool:
        """The first time that it is asked about a sighting of a step it does not look."""
        if id(step) in first:
            first.discard(id(step))
            return bool(holds(step, sighting))
        first.add(id(step))
        return False

    patch.setattr(perform, "holds", hastily)


def forget_touched(patch: pytest.MonkeyPatch) -> None:
    def forgets(rollout: Rollout, record: Any, at_s: float) -> Rollout:
        return replace(began(rollout, record, at_s), touched=rollout.touched)

    def only_what_ended(rollout: Rollout, record: Any) -> Rollout:
        after = ended(rollout, record)
        return after if record.undoing else replace(after, touched=record.step + 1)

    patch.setattr(folding, "_began", forgets)
    patch.setattr(folding, "_ended", only_what_ended)


def touched_is_the_newest_began(patch: pytest.MonkeyPatch) -> None:
    def newest(rollout: Rollout, record: Any, at_s: float) -> Rollout:
        after = began(rollout, record, at_s)
        return after if record.undoing else replace(after, touched=record.step + 1)

    patch.setattr(folding, "_began", newest)


def undo_starts_from_done(patch: pytest.MonkeyPatch) -> None:
    def from_done(rollout: Rollout, record: Any) -> Rollout:
        after = turned(rollout, record)
        return replace(after, touched=rollout.done) if after.backing_out else after

    patch.setattr(folding, "_turned", from_done)


def an_undo_that_began_stays_done_and_forward_starts_there(patch: pytest.MonkeyPatch) -> None:
    def stays(rollout: Rollout, record: Any, at_s: float) -> Rollout:
        after = began(rollout, record, at_s)
        return replace(after, done=rollout.done) if record.undoing else after

    def ends(rollout: Rollout, record: Any) -> Rollout:
        after = ended(rollout, record)
        return replace(after, done=rollout.done) if record.undoing else after

    def from_there(rollout: Rollout, record: Any) -> Rollout:
        after = turned(rollout, record)
        return after if after.backing_out else replace(after, done=rollout.done)

    patch.setattr(folding, "_began", stays)
    patch.setattr(folding, "_ended", ends)
    patch.setattr(folding, "_turned", from_there)


def a_grant_survives_a_turn(patch: pytest.MonkeyPatch) -> None:
    def keeps(rollout: Rollout, record: Any) -> Rollout:
        return replace(turned(rollout, record), granted=rollout.granted)

    patch.setattr(folding, "_turned", keeps)


def a_late_grant_passes(patch: pytest.MonkeyPatch) -> None:
    judged = folding.why_no_grant

    def whenever(rollout: Rollout, granted: Any, at_s: float) -> str:
        return judged(rollout, granted, 0.0)

    patch.setattr(folding, "why_no_grant", whenever)
    patch.setattr(deciding, "why_no_grant", whenever)


def append_without_compare(patch: pytest.MonkeyPatch) -> None:
    def append(self: Any, after: int, records: Any, epoch: int) -> Any:
        return self._append(records, epoch)

    patch.setattr(MemoryJournal, "_compare_and_append", append)


def the_journal_takes_records_of_an_older_driver(patch: pytest.MonkeyPatch) -> None:
    def append(self: Any, after: int, records: Any, epoch: int) -> Any:
        if len(self._world.entries) > after:
            raise Raced("there is news")
        return self._append(records, epoch)

    def fold(self: Driver, entries: Any) -> None:
        for entry in entries:
            self.chronicle = folding_all(self.chronicle, entry)
            self.last = entry.number

    from orchestrator.core.chronicle import fold as folding_all

    patch.setattr(MemoryJournal, "_compare_and_append", append)
    patch.setattr(Driver, "_fold", fold)


def no_epoch_on_looks(patch: pytest.MonkeyPatch) -> None:
    survey = surveying.survey

    async def bare(world: Any, epoch: int | None) -> Any:
        return await survey(world, None)

    from orchestrator.engine import advance

    for module in (perform, watch, effects, advance):
        patch.setattr(module, "survey", bare)


def no_epoch_on_effects(patch: pytest.MonkeyPatch) -> None:
    async def effect(
        self: Any, verb: str, what: str, change: Any, *, epoch: int, target: str
    ) -> None:
        answer = await self._tell(When.BEFORE, Kind.EFFECT, verb, what, epoch)
        if answer is not LIE and change():
            self.world.effects.append(Effect(verb, what, epoch, self.pid))
        await self._tell(When.AFTER, Kind.EFFECT, verb, what, epoch)

    patch.setattr(Doing, "effect", effect)


def facts_are_lost_when_raced(patch: pytest.MonkeyPatch) -> None:
    async def write(self: Driver, *records: Any) -> None:
        try:
            entries = await self.world.journal.append(self.last, records, epoch=self.epoch)
        except Raced:
            await self.catch_up()
            if all(isinstance(record, FACTS) for record in records):
                return
            raise
        self._fold(entries)

    patch.setattr(Driver, "write", write)


def old_evidence_counts_after_a_restart(patch: pytest.MonkeyPatch) -> None:
    def as_found(rollout: Any, sighting: Any) -> None:
        return None

    def see(self: Any, seen: Any) -> None:
        self.seen = seen
        self.start = seen.start if seen else self.start

    patch.setattr(watch, "not_as_found", as_found)
    patch.setattr(watch._Watched, "see", see)


def the_shift_does_not_prove_again(patch: pytest.MonkeyPatch) -> None:
    async def well(driver: Driver) -> watch.Well:
        return watch.Well()

    patch.setattr(watch, "prove_again", well)
    patch.setattr(watch, "not_as_found", lambda rollout, sighting: None)


def going_back_needs_the_new_color(patch: pytest.MonkeyPatch) -> None:
    back = effects._traffic_back

    async def asks_it(driver: Driver, step: Any) -> Any:
        for flip in step.flips:
            if flip.back and not await effects._other_color_answers(driver, flip.back):
                raise effects.NothingAnswers(f"{flip.service}: the new color does not answer")
        return await back(driver, step)

    patch.setattr(effects, "_traffic_back", asks_it)


def act_before_began(patch: pytest.MonkeyPatch) -> None:
    async def never(driver: Driver, index: int, *, undoing: bool = False) -> None:
        return None

    patch.setattr(perform, "_begin", never)


def what_serves_is_stopped(patch: pytest.MonkeyPatch) -> None:
    async def stop(driver: Driver, parts: Any) -> None:
        for part in parts:
            await driver.world.installation.stop(part, driver.epoch)

    def undo_of_shift_is_forgotten(rollout: Rollout, record: Any) -> Rollout:
        after = turned(rollout, record)
        return replace(after, touched=min(after.touched, after.shift_at))

    patch.setattr(effects, "_stop", stop)
    patch.setattr(folding, "_turned", undo_of_shift_is_forgotten)


def it_turns_by_itself_to_what_was_ill(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Rollout, "turns_by_itself", property(lambda self: self.may_turn_back))


def what_did_not_answer_is_empty(patch: pytest.MonkeyPatch) -> None:
    from orchestrator.core.sight import Sighting

    patch.setattr(Sighting, "saw", lambda self, service, color: True)


def the_news_are_not_read(patch: pytest.MonkeyPatch) -> None:
    """A watch that ends early for a request that nobody then reads: it would watch for ever."""
    from orchestrator.engine import advance

    async def not_read(driver: Driver) -> Rollout | None:
        looked[0] += 1
        if looked[0] > 400:
            raise Broken("it spins")
        return driver.chronicle.open

    looked = [0]
    patch.setattr(advance, "_read_on", not_read)


def a_retry_at_the_gate_uses_the_old_proof(patch: pytest.MonkeyPatch) -> None:
    def only_another_attempt(rollout: Rollout) -> Rollout:
        return folding._anew(rollout)

    patch.setattr(folding, "_prove_again", only_another_attempt)


def a_fall_gives_the_gate_a_new_time(patch: pytest.MonkeyPatch) -> None:
    fails = folding._failed

    def forgets(rollout: Rollout, record: Any, at_s: float) -> Rollout:
        return replace(fails(rollout, record, at_s), deadline_s=None)

    patch.setattr(folding, "_failed", forgets)


def a_pause_is_not_heard(patch: pytest.MonkeyPatch) -> None:
    decide = deciding.decide

    def deaf(rollout: Rollout, now: float) -> Any:
        return decide(replace(rollout, paused=False), now)

    from orchestrator.engine import advance

    patch.setattr(advance, "decide", deaf)


def requests_have_no_address(patch: pytest.MonkeyPatch) -> None:
    from orchestrator.core import chronicle as chronicling
    from orchestrator.core.record import Asked

    fold = chronicling.fold

    def whatever_is_open(chronicle: Any, entry: Any) -> Any:
        if isinstance(entry.record, Asked) and chronicle.open is not None:
            entry = replace(entry, record=replace(entry.record, rollout=chronicle.open.id))
        return fold(chronicle, entry)

    from orchestrator.adapters.memory import journal
    from orchestrator.engine import driver

    patch.setattr(journal, "fold", whatever_is_open)
    patch.setattr(driver, "fold", whatever_is_open)


BACK, FORWARD, RETRY = asks(What.BACK), asks(What.FORWARD), asks(What.RETRY)

ERRORS = (
    DesignError(
        "skip the second look",
        skip_the_second_look,
        lambda: troubles("switch.send", How.LIES),
    ),
    DesignError("skip the first look", skip_the_first_look, deaths),
    DesignError(
        "forget touched",
        forget_touched,
        lambda: troubles("installation.start", How.REFUSES),
    ),
    DesignError(
        "touched is the newest Began, not a maximum",
        touched_is_the_newest_began,
        lambda: events(BACK, FORWARD, BACK, every=1),
    ),
    DesignError(
        "undo starts from done",
        undo_starts_from_done,
        lambda: troubles("installation.start", How.REFUSES),
    ),
    DesignError(
        "an undo that began stays done, and forward starts at done",
        an_undo_that_began_stays_done_and_forward_starts_there,
        lambda: events(BACK, FORWARD, every=1),
    ),
    DesignError(
        "a grant survives a turn",
        a_grant_survives_a_turn,
        lambda: events(BACK, FORWARD, every=1),
    ),
    DesignError("a late grant passes", a_late_grant_passes, late_grants),
    DesignError("append without compare", append_without_compare, lambda: events(BACK)),
    DesignError(
        "the journal takes records of an older driver",
        the_journal_takes_records_of_an_older_driver,
        sleepers,
    ),
    DesignError("no epoch on looks", no_epoch_on_looks, sleepers),
    DesignError("no epoch on effects", no_epoch_on_effects, sleepers),
    DesignError(
        "facts are lost when raced",
        facts_are_lost_when_raced,
        lambda: events(RETRY, every=1),
    ),
    DesignError(
        "old evidence counts after a restart",
        old_evidence_counts_after_a_restart,
        lambda: events(restarts(Color.GREEN), every=1),
    ),
    DesignError(
        "the shift does not prove again",
        the_shift_does_not_prove_again,
        lambda: events(restarts(Color.GREEN), every=1),
    ),
    DesignError(
        "going back needs the new color",
        going_back_needs_the_new_color,
        losing_the_new_color,
    ),
    DesignError("act before Began", act_before_began, deaths),
    DesignError("what serves is stopped", what_serves_is_stopped, lambda: events(BACK)),
    DesignError(
        "it turns by itself to what was ill",
        it_turns_by_itself_to_what_was_ill,
        ill_before_and_after,
    ),
    DesignError(
        "what did not answer is empty",
        what_did_not_answer_is_empty,
        lambda: troubles("installation.look", How.SILENT, name="first"),
    ),
    DesignError("the news are not read", the_news_are_not_read, lambda: events(RETRY)),
    DesignError(
        "a retry at the gate uses the old proof",
        a_retry_at_the_gate_uses_the_old_proof,
        lambda: events(RETRY, every=1),
    ),
    DesignError(
        "a fall gives the gate a new time",
        a_fall_gives_the_gate_a_new_time,
        lambda: events(restarts(Color.GREEN), every=1),
    ),
    DesignError("a pause is not heard", a_pause_is_not_heard, lambda: events(asks(What.PAUSE))),
    DesignError(
        "requests have no address",
        requests_have_no_address,
        lambda: events(asks_of_a_rollout_that_has_closed),
    ),
)


def caught(error: DesignError) -> str:
    """The promise that broke; empty where none did."""
    try:
        for _ in error.hunt():
            pass
    except Exception as broken:
        return str(broken).partition("\n")[0] or repr(broken)
    return ""


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: e.what)
def test_the_simulation_catches(error: DesignError, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("first", "second", "fix_forward"):
        undisturbed(name, None)
        undisturbed(name, What.BACK)
    error.seed(monkeypatch)
    assert caught(error)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("error", ERRORS, ids=lambda e: e.what)
def test_without_the_error_the_same_lives_break_no_promise(error: DesignError) -> None:
    assert caught(error) == ""


def test_a_fault_of_this_list_is_one_of_the_world_and_not_of_the_twin() -> None:
    """The faults that the hunts use leave a world behind that works."""
    life = Life(opened("second"), Fault("switch.send", How.LIES, 1)).live()
    assert life.outcome is Outcome.ROLLED_OUT
