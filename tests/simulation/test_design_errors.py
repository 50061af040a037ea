"""Seeded design errors: each is a mistake that is easy to make, and the simulation catches it.

Here, and only here, functions of ours are replaced, by copies that leave one rule out: the purpose
is to see that the lives would notice. `hunt` lives one life after the other until a promise breaks;
an error that nothing catches means that a promise is not checked. Rules that cover for each other
are left out together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from orchestrator.adapters.memory.fuse import Fault, How
from orchestrator.core.model import Color
from orchestrator.core.record import Outcome, What
from tests.simulation import left_out
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


def denials() -> Iterator[object]:
    yield Life(opened("no_way_back"), at_gate=What.DENY).live()


def half_done() -> Iterator[object]:
    """A step of the user's own ends badly, after it changed something."""
    for host in ("h1", "h2"):
        fails = Fault("commands.run", How.REFUSES, FOR_GOOD, f"do provision {host}")
        yield Life(opened("own_steps"), fails).live()


BACK, FORWARD, RETRY = asks(What.BACK), asks(What.FORWARD), asks(What.RETRY)

ERRORS = (
    DesignError(
        "skip the second look",
        left_out.skip_the_second_look,
        lambda: troubles("switch.send", How.LIES),
    ),
    DesignError("skip the first look", left_out.skip_the_first_look, deaths),
    DesignError(
        "forget touched",
        left_out.forget_touched,
        lambda: troubles("installation.start", How.REFUSES),
    ),
    DesignError(
        "touched is the newest Began, not a maximum",
        left_out.touched_is_the_newest_began,
        lambda: events(BACK, FORWARD, BACK, every=1),
    ),
    DesignError(
        "undo starts from done",
        left_out.undo_starts_from_done,
        lambda: troubles("installation.start", How.REFUSES),
    ),
    DesignError(
        "an undo that began stays done, and forward starts at done",
        left_out.an_undo_that_began_stays_done_and_forward_starts_there,
        lambda: events(BACK, FORWARD, every=1),
    ),
    DesignError(
        "a grant survives a turn",
        left_out.a_grant_survives_a_turn,
        lambda: events(BACK, FORWARD, every=1),
    ),
    DesignError("a late grant passes", left_out.a_late_grant_passes, late_grants),
    DesignError("append without compare", left_out.append_without_compare, lambda: events(BACK)),
    DesignError(
        "the journal takes records of an older driver",
        left_out.the_journal_takes_records_of_an_older_driver,
        sleepers,
    ),
    DesignError(
        "what was seen before an effect counts after it",
        left_out.what_was_seen_before_an_effect_counts_after_it,
        deaths,
    ),
    DesignError("no epoch on looks", left_out.no_epoch_on_looks, sleepers),
    DesignError("no epoch on effects", left_out.no_epoch_on_effects, sleepers),
    DesignError(
        "facts are lost when raced",
        left_out.facts_are_lost_when_raced,
        lambda: events(RETRY, every=1),
    ),
    DesignError(
        "old evidence counts after a restart",
        left_out.old_evidence_counts_after_a_restart,
        lambda: events(restarts(Color.GREEN), every=1),
    ),
    DesignError(
        "the shift does not prove again",
        left_out.the_shift_does_not_prove_again,
        lambda: events(restarts(Color.GREEN), every=1),
    ),
    DesignError(
        "going back needs the new color",
        left_out.going_back_needs_the_new_color,
        losing_the_new_color,
    ),
    DesignError("act before Began", left_out.act_before_began, deaths),
    DesignError("what serves is stopped", left_out.what_serves_is_stopped, lambda: events(BACK)),
    DesignError(
        "it turns by itself to what was ill",
        left_out.it_turns_by_itself_to_what_was_ill,
        ill_before_and_after,
    ),
    DesignError(
        "what did not answer is empty",
        left_out.what_did_not_answer_is_empty,
        lambda: troubles("installation.look", How.SILENT, name="first"),
    ),
    DesignError("the news are not read", left_out.the_news_are_not_read, lambda: events(RETRY)),
    DesignError(
        "a retry at the gate uses the old proof",
        left_out.a_retry_at_the_gate_uses_the_old_proof,
        lambda: events(RETRY, every=1),
    ),
    DesignError(
        "a fall gives the gate a new time",
        left_out.a_fall_gives_the_gate_a_new_time,
        lambda: events(restarts(Color.GREEN), every=1),
    ),
    DesignError(
        "a pause is not heard", left_out.a_pause_is_not_heard, lambda: events(asks(What.PAUSE))
    ),
    DesignError(
        "requests have no address",
        left_out.requests_have_no_address,
        lambda: events(asks_of_a_rollout_that_has_closed),
    ),
    DesignError(
        "what nothing takes back is pretended to be",
        left_out.what_nothing_takes_back_is_pretended_to_be,
        lambda: events(BACK, name="no_way_back", every=3),
    ),
    DesignError(
        "only what was done is taken back", left_out.only_what_was_done_is_taken_back, half_done
    ),
    DesignError(
        "a denied gate turns back from anywhere",
        left_out.a_denied_gate_turns_back_from_anywhere,
        denials,
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
    for name in ("first", "second", "fix_forward", "no_way_back"):
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
