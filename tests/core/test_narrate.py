"""Every record, of every step, in both directions and with every failure, is one good sentence."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from orchestrator.core.model import At, Color, Command, Hold, Pin, Policy, Release, Share, Site
from orchestrator.core.narrate import narrate, sentence_of, undo_of
from orchestrator.core.record import (
    Answered,
    Asked,
    Began,
    Closed,
    Ended,
    Entry,
    Fact,
    Failed,
    Flipped,
    FoundWell,
    Granted,
    Kind,
    LeftAsItIs,
    LeftOpen,
    NoStandby,
    Opened,
    Outcome,
    Record,
    StoodStill,
    Trouble,
    Turned,
    Wanted,
    Way,
    What,
    Wish,
)
from orchestrator.core.steps import (
    Before,
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
    Wiring,
    name,
)
from orchestrator.core.words import joined, span
from tests.golden.text_files import same_as_kept

AT = 1_000_000.0
OLD, NEW = Release("1", "aaaa1111"), Release("2", "bbbb2222")


def part(service: str, color: Color, release: Release, before: Before | None = None) -> Part:
    return Part(service, color, 2, release, before or Before())


UP = (part("web", Color.GREEN, NEW), part("api", Color.GREEN, NEW))
DOWN = tuple(part(s, Color.GREEN, OLD, Before(OLD, 2, True)) for s in ("web", "api"))
BACK = tuple(part(s, Color.BLUE, OLD) for s in ("web", "api"))
BLUE, GREEN = Share.all_to(Color.BLUE), Share.all_to(Color.GREEN)
FLIPS = tuple(Flip(p.service, BLUE, GREEN, p) for p in BACK)
INNER = Wiring(Pin("web", Color.GREEN, "api"), Color.BLUE, Color.GREEN)
OUTER = Wiring(Pin("shop", Color.BLUE, "web"), Color.BLUE, Color.GREEN)

OWN = Command("provision", At.BEFORE_START, ("do",), ("undo",), on=("web1", "web2"))

STEPS: dict[str, Step] = {
    "stage": Stage(UP),
    "stage, one": Stage(UP[:1]),
    "stage, other bytes of the same name": Stage(
        (part("web", Color.GREEN, Release("2", "cccc3333"), Before(NEW)),)
    ),
    "drain": Drain(DOWN),
    "retire": Retire(DOWN),
    "retire, of nothing that ran": Retire((part("web", Color.GREEN, OLD, Before(OLD, 0, True)),)),
    "wire": Wire((INNER,)),
    "wire, for the first time": Wire((Wiring(INNER.pin, None, Color.GREEN),)),
    "start": Start(UP),
    "start, on two colors": Start((UP[0], part("api", Color.BLUE, NEW))),
    "prove": Prove(UP),
    "prove, lenient": Prove(BACK, lenient=True),
    "prove, lenient, one": Prove(BACK[:1], lenient=True),
    "gate": Gate("cutover"),
    "shift": Shift(FLIPS),
    "shift, the first": Shift((Flip("web", Share(), BLUE),)),
    "shift, with a caller outside": Shift(FLIPS[:1], (OUTER,)),
    "shift, under a hold": Shift(FLIPS, hold=Hold(2.0)),
    "shift, of a share": Shift((Flip("web", Share(90, 10), GREEN),)),
    "soak": Soak(UP),
    "tidy": Tidy((("web", OLD), ("api", OLD))),
    "tidy, one": Tidy((("web", OLD),)),
    "run": Run(Command("warm", At.AFTER_CUTOVER, ("do",), ("undo",))),
    "run, on hosts": Run(OWN, OWN.on),
    "run, what may stay": Run(Command("expand", At.BEFORE_CUTOVER, ("do",), leave=True)),
    "run, without a way back": Run(Command("contract", At.AT_CLOSE, ("do",))),
    "run, taken back after the close": Run(OWN, OWN.on, back=True),
    "stage, of many": Stage(tuple(part(f"s{i}", Color.GREEN, NEW) for i in range(9))),
}

FACTS: dict[str, tuple[str, tuple[Fact, ...], bool]] = {
    "prove, with evidence": ("prove", (FoundWell("web", Color.GREEN, 0, 3),), False),
    "shift, measured": ("shift", (Flipped(0.0031),), False),
    "shift, under a hold": (
        "shift",
        (Flipped(0.0031), StoodStill(AT, AT + 0.12, 34, 0.11, 0.1)),
        False,
    ),
    "shift, under a hold, nobody came": ("shift", (StoodStill(AT, AT + 0.12, 0, 0, 0),), False),
    "shift, under a hold, with streams": (
        "shift",
        (Flipped(0.0031), StoodStill(AT, AT + 0.12, 1, 0.11, 0.1, 2)),
        False,
    ),
    "drain, time over": ("drain", (LeftOpen("web", Color.GREEN, 3),), False),
    "drain, one left": ("drain", (LeftOpen("api", Color.GREEN, 1),), False),
    "tidy, left": ("tidy", (LeftAsItIs("old releases", "read-only disk"),), False),
    "run, left as it is": ("run", (LeftAsItIs("warm", "exit code 1"),), True),
    "retire, no standby": (
        "retire",
        (NoStandby("web", Color.GREEN, "nothing of web green answers"),),
        True,
    ),
}

SITE = Site("shop", ())


def opened(wish: Wish) -> Opened:
    return Opened(7, (Stage(UP), Gate("cutover")), SITE, Policy(), wish, (), "ann@desk")


TWO = (Wanted("web", NEW), Wanted("api", NEW))

OTHERS: dict[str, Record] = {
    **{f"opened, {kind.value}": opened(Wish(TWO, kind)) for kind in Kind},
    "opened, again": opened(Wish(TWO, again=True)),
    "opened, undoes": opened(Wish(TWO, Kind.BACKOUT, undoes=6)),
    "opened, retire of all": opened(Wish((), Kind.RETIRE)),
    **{f"asked, {what.value}": Asked(7, what, "ben@phone") for what in What},
    "asked, with a reason": Asked(7, What.BACK, "ben@phone", "the checkout is slow"),
    "asked, deny a gate": Asked(7, What.DENY, "ben@phone", "not on a Friday", "cutover"),
    "asked, without a host": Asked(7, What.WITHOUT, "ben@phone", target="web1"),
    "asked, accept two": Asked(None, What.ACCEPT, "ben@phone", target="web: half\napi: one short"),
    "asked, a wish": Asked(None, What.WISH, "ben@phone", wish=Wish(TWO)),
    "granted": Granted(7, "cutover", 1, "ben@phone"),
    "granted, for a shorter hold": Granted(7, "cutover", 1, "ben@phone", hold=0.5),
    "granted, without a hold": Granted(7, "cutover", 1, "ben@phone", "late", hold=0.0),
    "granted, with a reason": Granted(7, "cutover", 1, "ben@phone", "looks good."),
    "answered": Answered(41, "it is going back already", 7),
    **{f"turned, {way.value}": Turned(7, way, "nobody granted cutover in time") for way in Way},
    **{f"closed, {outcome.value}": Closed(7, outcome) for outcome in Outcome},
    "closed, with a remark": Closed(7, Outcome.BACKED_OUT, "no standby: web green: gone"),
}

PLANS: dict[str, tuple[Step, ...]] = {
    "deploy": (Stage(UP), Start(UP), Prove(UP), Gate("cutover"), Shift(FLIPS), Soak(UP)),
    "first": (Start(UP[:1]), Prove(UP[:1]), Shift((Flip("web", Share(), GREEN),))),
    "retire": (Drain(DOWN), Retire(DOWN)),
    "mend, traffic alone": (Shift((Flip("web", Share(50, 50), GREEN),)),),
    "mend, instances alone": (Start(UP), Prove(UP)),
}


def entry(record: Record) -> Entry:
    return Entry(42, AT, 3, record)


def of_steps() -> list[tuple[str, str]]:
    """(what it is, the sentence) for every record that is about a step."""
    told = []
    for label, step in STEPS.items():
        plan = (step,)
        records: list[tuple[str, Record]] = [
            ("began", Began(7, 0, False, 1)),
            ("ended", Ended(7, 0, False)),
            ("began, back", Began(7, 0, True, 1)),
            ("ended, back", Ended(7, 0, True)),
        ]
        for undoing in (False, True):
            way = ", back" if undoing else ""
            records += [
                (f"failed{way}, {kind.value}", Failed(7, 0, undoing, kind, "api #1 said no"))
                for kind in Trouble
            ]
        told += [(f"{label} · {what}", narrate(entry(r), plan)) for what, r in records]
    for label, (of, facts, undoing) in FACTS.items():
        told.append((label, narrate(entry(Ended(7, 0, undoing, facts)), (STEPS[of],))))
    limited = Began(7, 0, False, 1, AT + 86400)
    told.append(("gate · began, limited", narrate(entry(limited), (STEPS["gate"],))))
    return told


def of_others() -> list[tuple[str, str]]:
    told = [(what, narrate(entry(record), PLANS["deploy"])) for what, record in OTHERS.items()]
    for label, plan in PLANS.items():
        for outcome in (Outcome.ROLLED_OUT, Outcome.BACKED_OUT):
            closed = entry(Closed(7, outcome))
            told.append((f"{label} · closed, {outcome.value}", narrate(closed, plan)))
    return told


def without_a_plan() -> list[tuple[str, str]]:
    records: list[Record] = [
        Began(7, 2, False, 1), Began(7, 2, True, 1), Ended(7, 2, False), Ended(7, 2, True),
        Failed(7, 2, False, Trouble.DID_NOT_TAKE, "no"), Failed(7, 2, True, Trouble.ILL, "no"),
    ]  # fmt: skip
    return [(f"{type(r).__name__}", narrate(entry(r), ())) for r in records]


def listed(told: list[tuple[str, str]]) -> str:
    return "\n".join(f"{what}\n    {said}" for what, said in told)


def test_every_record_of_every_step_has_its_sentence() -> None:
    same_as_kept("sentences-of-steps.txt", listed(of_steps()))


def test_every_other_record_has_its_sentence() -> None:
    same_as_kept("sentences-of-others.txt", listed(of_others() + without_a_plan()))


def test_every_step_says_what_it_will_do_and_what_its_way_back_does() -> None:
    told = [(what, f"{sentence_of(s)} | {undo_of(s) or '-'}") for what, s in STEPS.items()]
    same_as_kept("sentences-of-plans.txt", listed(told))


def test_no_kind_of_record_step_or_fact_is_forgotten_here() -> None:
    assert {type(s) for s in STEPS.values()} == set(get_args(Step))
    others = {type(r) for r in OTHERS.values()}
    assert others | {Began, Ended, Failed} == set(get_args(Record))
    assert {type(f) for _, facts, _ in FACTS.values() for f in facts} == set(get_args(Fact))


@pytest.mark.parametrize("told", [of_steps, of_others, without_a_plan])
def test_a_sentence_is_one_line_with_one_full_stop_and_no_code_in_it(told: object) -> None:
    for what, said in told():  # type: ignore[operator]
        assert re.fullmatch(r"[^\n]*[^.\s]\.", said), (what, said)
        assert not re.search(r"[<>{}\[\]()]{2}|\b(None|True|False|Color|Part)\b|  ", said), said


def test_a_sentence_tells_no_time_of_day() -> None:
    """Whoever shows it knows the zone of its reader; the sentence does not."""
    for _, said in of_steps() + of_others():
        assert not re.search(r"\d\d:\d\d", said)


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
def test_what_can_be_taken_back_says_how(step: Step) -> None:
    silent = name(step) in ("drain", "prove", "gate", "soak", "tidy")
    nothing = {STEPS["retire, of nothing that ran"], STEPS["wire, for the first time"]}
    nothing |= {STEPS["run, what may stay"], STEPS["run, without a way back"]}
    assert bool(undo_of(step)) is not (silent or step in nothing)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0 ms"), (0.0031, "3 ms"), (0.9996, "1 s"), (1.25, "1.2 s"), (9.96, "10 s"),
        (45, "45 s"), (125, "2 min 5 s"), (3600, "1 h"), (86400, "24 h"), (90000, "25 h"),
        (86399, "23 h 59 min"), (3 * 86400 + 7200, "3 d 2 h"),
    ],
)  # fmt: skip
def test_a_length_of_time_is_said_in_one_or_two_units(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_many_names_are_counted() -> None:
    assert joined(["a"]) == "a"
    assert joined(["a", "b", "c"]) == "a, b and c"
    assert joined("abcdefgh") == "a, b, c and 5 more"
    assert joined(["a", "a"]) == "a"
