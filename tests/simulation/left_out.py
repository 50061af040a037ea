"""Mistakes that are easy to make, as copies of our own functions that leave one rule out.

Only `test_design_errors` puts them in, and only to see that the simulation would notice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.adapters.memory.doing import Doing
from orchestrator.adapters.memory.fuse import LIE, Kind, When
from orchestrator.adapters.memory.journal import MemoryJournal
from orchestrator.adapters.memory.world import Effect
from orchestrator.core import decide as deciding
from orchestrator.core import rollout as folding
from orchestrator.core import sight as seeing
from orchestrator.core.record import FACTS, Asked, Failed, Way, What
from orchestrator.core.rollout import Rollout
from orchestrator.core.sight import holds
from orchestrator.core.steps import Run
from orchestrator.engine import driver as driving
from orchestrator.engine import effects, perform, watch
from orchestrator.engine import world as surveying
from orchestrator.engine.driver import Driver
from orchestrator.ports.trouble import Raced
from tests.simulation.promises import Broken

began, ended, turned = folding._began, folding._ended, folding._turned


def skip_the_second_look(patch: pytest.MonkeyPatch) -> None:
    async def make(driver: Driver, index: int, step: Any, since_s: float = 0.0) -> None:
        if holds(step, await perform._seen(driver, step)):
            return await perform._ended(driver, index)
        trouble, _ = await perform._tried(driver, step, lambda: effects.do(driver, step))
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


def what_nothing_takes_back_is_pretended_to_be(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(folding, "undoable", lambda step: True)


def only_what_was_done_is_taken_back(patch: pytest.MonkeyPatch) -> None:
    """What was begun, and ended badly, is left as it is."""
    undone = seeing.undone

    def unless_done(step: Any, sighting: Any) -> bool:
        return not holds(step, sighting) if isinstance(step, Run) else undone(step, sighting)

    patch.setattr(perform, "undone", unless_done)


def a_denied_gate_turns_back_from_anywhere(patch: pytest.MonkeyPatch) -> None:
    respond = deciding._respond

    def turns(rollout: Rollout, entry: Any) -> Any:
        asked = entry.record
        if isinstance(asked, Asked) and asked.what is What.DENY and rollout.gate:
            return deciding.Turn(Way.BACK, "denied", entry.number)
        return respond(rollout, entry)

    patch.setattr(deciding, "_respond", turns)


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
    survey, look_at_switch = surveying.survey, surveying.look_at_switch

    async def bare(world: Any, epoch: int | None, **more: Any) -> Any:
        return await survey(world, None, **more)

    async def bare_switch(world: Any, epoch: int | None) -> Any:
        return await look_at_switch(world, None)

    for module in (perform, driving):
        patch.setattr(module, "survey", bare)
    for module in (watch, effects):
        patch.setattr(module, "look_at_switch", bare_switch)


def what_was_seen_before_an_effect_counts_after_it(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Driver, "forget", lambda self: None)


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
