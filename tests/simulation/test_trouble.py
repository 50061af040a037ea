"""S7: each kind of effect and look goes wrong, once, twice or for good, in four ways.

It refuses; it does nothing and nobody knows; it acts and nobody knows (a lost reply); it reports
success and did nothing (a lie). Forward, back from the gate, and back by itself. Where it gets
stuck, a person mends what was broken and asks to try again, and that has to lead to an ending.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass

import pytest

from orchestrator.adapters.memory.fuse import GO_ON, Answer, Fault, Fuse, How, Tick, When, all_of
from orchestrator.core.record import Failed, Outcome, Trouble, What
from orchestrator.ports.trouble import Unreachable
from tests.simulation.life import Life
from tests.simulation.promises import Broken, story
from tests.simulation.scenes import SCENES, opened
from tests.simulation.test_kills import drawn, undisturbed
from tests.simulation.test_lives import Meantime, replacing, some

EFFECTS = (
    "installation.stage",
    "installation.start",
    "installation.stop",
    "installation.point",
    "installation.remove",
    "switch.send",
    "switch.hold",
    "switch.let_go",
    "commands.run",
)
LOOKS = ("installation.look", "switch.look", "commands.look")
FOR_GOOD = 10_000
TIMES = (1, 2, FOR_GOOD)
DRAWN, DRAWN_WITH_A_DEATH = 8, 3


@dataclass(frozen=True)
class Case:
    scene: str
    verb: str
    how: How
    times: int
    at_gate: What | None

    def __str__(self) -> str:
        times = "for good" if self.times == FOR_GOOD else f"{self.times} times"
        back = ", taken back at the gate" if self.at_gate else ""
        return f"{self.scene}: {self.verb} {self.how.value} {times}{back}"


def cases(name: str) -> list[Case]:
    """Everything that can go wrong with what this scene does at all."""
    found = []
    for at_gate in (None, What.BACK):
        done = {tick.verb for tick in undisturbed(name, at_gate).ticks}
        effects = itertools.product([v for v in EFFECTS if v in done], How)
        looks = itertools.product([v for v in LOOKS if v in done], [How.SILENT])
        found += [
            Case(name, verb, how, times, at_gate)
            for (verb, how), times in itertools.product([*effects, *looks], TIMES)
        ]
    return found


def lives(case: Case, *deaths: int) -> Life:
    fault = Fault(case.verb, case.how, case.times)

    def mend() -> None:
        fault.times = 0

    hook = all_of(Fuse.blowing_at(*deaths), fault) if deaths else fault
    try:
        life = Life(opened(case.scene), hook, at_gate=case.at_gate, mend=mend).live()
    except AssertionError as broken:
        raise Broken(f"{case}, killed at {deaths}: {broken}") from broken
    if life.outcome is Outcome.ABANDONED or life.outcome is None:
        raise Broken(f"{case}: stuck for ever\n{story(life.world)}")
    passing = case.times == 1 and case.how in (How.SILENT, How.LATE) and not deaths
    if passing and life.outcome is not undisturbed(case.scene, case.at_gate).outcome:
        raise Broken(f"{case}: {life.outcome} for one lost reply\n{story(life.world)}")
    if life.stuck and not life.person_was_needed:
        raise Broken(f"{case}: stuck where it could have turned back\n{story(life.world)}")
    return life


@pytest.mark.parametrize("name", SCENES)
def test_whatever_goes_wrong_it_ends_as_wished_or_as_before_or_asks_a_person(name: str) -> None:
    """S5 S6 S7"""
    all_ = cases(name)
    for case in drawn(f"trouble {name}").sample(all_, min(DRAWN, len(all_))):
        lives(case)


@pytest.mark.parametrize("name", SCENES)
def test_also_where_the_driver_dies_of_it(name: str) -> None:
    """S1 S7"""
    lots = drawn(f"trouble and death {name}")
    for case in lots.sample(cases(name), DRAWN_WITH_A_DEATH):
        lives(case, lots.randint(1, len(undisturbed(name, case.at_gate).ticks) + 20))


@pytest.mark.parametrize("how", [How.LATE, How.SILENT])
def test_a_lost_reply_costs_a_try_and_nothing_else(how: How) -> None:
    """S7: where it took effect the look says so, and where it did not it is done again."""
    for verb in ("installation.start", "switch.send"):
        life = lives(Case("second", verb, how, 1, None))
        assert life.outcome is Outcome.ROLLED_OUT
        assert life.effects == undisturbed("second", None).effects


def test_a_lie_is_found_out_by_the_second_look() -> None:
    """S7, rule 2"""
    life = lives(Case("second", "switch.send", How.LIES, 1, None))
    assert life.outcome is Outcome.ROLLED_OUT
    failed = [e.record for e in life.world.entries if isinstance(e.record, Failed)]
    assert [f.kind for f in failed] == [Trouble.DID_NOT_TAKE]


def test_a_refusal_turns_back_at_once() -> None:
    life = lives(Case("second", "installation.start", How.REFUSES, FOR_GOOD, None))
    failed = [e.record for e in life.world.entries if isinstance(e.record, Failed)]
    assert [(f.kind, f.undoing) for f in failed] == [(Trouble.REFUSED, False)]
    assert life.outcome is Outcome.BACKED_OUT


def test_a_standby_that_cannot_be_brought_back_is_a_remark() -> None:
    """Rule 7"""
    fault = Fault("installation.start", How.REFUSES, FOR_GOOD)
    life = Life(opened("everything"), fault).live()
    assert life.outcome is Outcome.BACKED_OUT
    assert not life.stuck
    assert all("no standby" in r for r in life.world.chronicle.past[-1].remarks)
    assert len(life.world.chronicle.past[-1].remarks) == 2


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SCENES)
def test_everything_that_can_go_wrong(name: str) -> None:
    """S5 S6 S7"""
    for case in cases(name):
        lives(case)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", ["first", "second", "half_started", "backout", "caller_outside"])
def test_everything_that_can_go_wrong_with_a_death_anywhere(name: str) -> None:
    """S1 S7"""
    for case in cases(name):
        for at in range(1, len(undisturbed(name, case.at_gate).ticks) + 20):
            lives(case, at)


# -- One lost reply, anywhere ---------------------------------------------------------------


@dataclass
class Hiccup:
    """At one tick nobody answers; only there. Probes and the journal answer otherwise."""

    at: int
    count: int = 0
    happened: str = ""

    def __call__(self, tick: Tick) -> Answer:
        self.count += 1
        looks = tick.verb in LOOKS and tick.when is When.BEFORE
        if self.count == self.at and (looks or tick.verb in EFFECTS):
            self.happened = str(tick)
            raise Unreachable("nobody answers")
        return GO_ON


def hiccup(name: str, at: int, at_gate: What | None) -> None:
    quiet, trouble = undisturbed(name, at_gate), Hiccup(at)
    life = Life(opened(name), trouble, at_gate=at_gate).live()
    told = f"{name}: nobody answered {trouble.happened}"
    if life.outcome is not quiet.outcome or life.stuck:
        raise Broken(f"{told}: {life.outcome}\n{story(life.world)}")
    if life.effects != quiet.effects:
        raise Broken(f"{told}: other effects than undisturbed\n{story(life.world)}")


@pytest.mark.parametrize("name", SCENES)
def test_one_lost_reply_anywhere_changes_neither_the_ending_nor_what_was_done(name: str) -> None:
    """S7"""
    lots = drawn(f"hiccup {name}")
    for at_gate in (None, What.BACK):
        ticks = range(1, len(undisturbed(name, at_gate).ticks) + 1)
        for at in lots.sample(ticks, 4):
            hiccup(name, at, at_gate)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", SCENES)
def test_every_lost_reply_changes_neither_the_ending_nor_what_was_done(name: str) -> None:
    """S7"""
    for at_gate in (None, What.BACK):
        for at in range(1, len(undisturbed(name, at_gate).ticks) + 1):
            hiccup(name, at, at_gate)


# -- Three kinds of trouble at once --------------------------------------------------------


def everything_at_once(name: str, lots: random.Random) -> Life:
    """A fault, up to two deaths, and up to three things that people ask or that start again."""
    at_gate = lots.choice((None, What.BACK))
    ticks = len(undisturbed(name, at_gate).ticks)
    scene = lots.choice((opened(name), replacing(opened(name))))
    case = lots.choice(cases(name))
    fault = Fault(case.verb, case.how, lots.choice((1, 2, 3, FOR_GOOD)))
    deaths = [lots.randint(1, ticks + 20) for _ in range(lots.randint(0, 2))]
    meantime = Meantime(some(lots, ticks))

    def mend() -> None:
        fault.times = 0

    hook = all_of(meantime, Fuse.blowing_at(*deaths), fault)
    life = Life(scene, hook, at_gate=at_gate, mend=mend)
    meantime.life = life
    try:
        return life.live()
    except AssertionError as broken:
        told = f"{case}, killed at {deaths}, {meantime.happened}"
        raise Broken(f"{told}: {broken}") from broken


@pytest.mark.parametrize("name", SCENES)
def test_faults_deaths_and_requests_at_once_break_no_promise(name: str) -> None:
    """S1 S6 S7 S12"""
    lots = drawn(f"at once {name}")
    for _ in range(3):
        everything_at_once(name, lots)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SCENES)
def test_many_faults_deaths_and_requests_at_once_break_no_promise(name: str) -> None:
    """S1 S6 S7 S12"""
    lots = drawn(f"much at once {name}")
    for _ in range(1500):
        everything_at_once(name, lots)
