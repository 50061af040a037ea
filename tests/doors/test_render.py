"""The pictures: kept as files, readable in any width and without color, harmless in any case."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest

from orchestrator.core.health import Verdict
from orchestrator.core.model import Color, Release
from orchestrator.core.plan import Plan
from orchestrator.core.prove import Broken
from orchestrator.core.record import Kind, Trouble, Wanted, Wish
from orchestrator.core.steps import LOOKS, Gate, Retire, Shift, Stage
from orchestrator.doors.cli import render
from orchestrator.doors.cli.paper import Ink, Paper, briefly, capital, harmless
from orchestrator.doors.cli.picture import who_serves
from orchestrator.engine.opening import Considered
from tests.doors import samples
from tests.doors.samples import PAPER, Story, wish
from tests.golden.text_files import kept, same_as_kept

ANSI = re.compile(r"\x1b\[[0-9;]*m")
NAMES = tuple(samples.ALL)


def drawn(name: str, paper: Paper = PAPER) -> str:
    story = samples.ALL[name]()
    holder = story.holder("deploying web 2 and api 2") if name in samples.DRIVEN else None
    return render.status(story.picture(holder=holder), paper)


PLANS: dict[str, Callable[[], Considered]] = {
    "first": lambda: samples.empty().considered(wish("1")),
    "second": lambda: samples.first().considered(wish("2")),
    "reusing-the-standby": lambda: samples.switched().considered(wish("3")),
    "one-service": lambda: samples.first().considered(wish("2", "api")),
    "nothing-to-do": lambda: samples.first().considered(wish("1")),
    "none": lambda: samples.drifted().considered(wish("3")),
    "backout": lambda: samples.switched().considered(
        Wish(wish("1").wanted, Kind.BACKOUT, undoes=2)
    ),
    "retire": lambda: samples.switched().considered(Wish(wish("1").wanted, Kind.RETIRE)),
}


@cache
def planned(name: str) -> Considered:
    return PLANS[name]()


# -- As files ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_status_is_as_kept(name: str) -> None:
    same_as_kept(f"status-{name}.txt", drawn(name))


def without_counts(plan: str) -> str:
    """How many states a proof walks is its own business."""
    return re.sub(r"\d[\d,]*( states|, each)", r"n\1", plan)


@pytest.mark.parametrize("name", PLANS)
def test_the_plan_is_as_kept(name: str) -> None:
    same_as_kept(f"plan-{name}.txt", without_counts(render.plan(planned(name), PAPER)))


@pytest.mark.parametrize("name", ["instant-backout", "backed-out", "stuck", "empty"])
def test_history_and_releases_are_as_kept(name: str) -> None:
    story = samples.ALL[name]()
    same_as_kept(f"history-{name}.txt", render.history(story.chronicle, story.now, PAPER))
    same_as_kept(f"releases-{name}.txt", render.releases(story.picture(), PAPER))


def test_a_rollout_is_told_as_a_story() -> None:
    same_as_kept("story-backed-out.txt", render.rollout_story(samples.backed_out().entries, PAPER))


def test_a_narrow_plan_and_a_colored_status_are_as_kept() -> None:
    narrow = replace(PAPER, width=50)
    plan = render.plan(planned("reusing-the-standby"), narrow)
    same_as_kept("narrow-plan.txt", without_counts(plan))
    same_as_kept("narrow-status.txt", drawn("at-the-gate", narrow))
    same_as_kept("colored-status.txt", drawn("stuck", replace(PAPER, color=True)))


def test_a_trouble_says_what_happened_what_is_true_and_what_to_do() -> None:
    story = samples.first()
    said = render.trouble(
        "web 2 is not staged: releases/web-2.tar.gz is not an archive.",
        now=render.serving_line(story.chronicle, story.sighting, story.now),
        next=("bgctl check   say what else is wrong", "bgctl releases"),
        paper=PAPER,
    )
    same_as_kept("trouble.txt", said)


def test_no_kept_picture_belongs_to_nothing() -> None:
    assert kept("status-") == {f"status-{name}.txt" for name in NAMES}
    assert kept("plan-") == {f"plan-{name}.txt" for name in PLANS}


# -- For every picture ---------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 50, 64, 80, 100])
@pytest.mark.parametrize("name", NAMES)
def test_no_line_of_a_status_is_wider_than_its_paper(name: str, width: int) -> None:
    paper = replace(PAPER, width=width)
    for line in drawn(name, paper).splitlines():
        one_color = re.search("[├└]─ (blue|green)", line)  # is not broken where it is very narrow
        assert len(line) <= (max(width, 48) if one_color else width), line


@pytest.mark.parametrize("width", [40, 63, 64, 80, 100])
@pytest.mark.parametrize("name", PLANS)
def test_no_line_of_a_plan_is_wider_than_its_paper(name: str, width: int) -> None:
    text = render.plan(planned(name), replace(PAPER, width=width))
    assert all(len(line) <= width for line in text.splitlines()), text


@pytest.mark.parametrize("name", NAMES)
def test_color_only_repeats_what_the_words_say(name: str) -> None:
    colored = drawn(name, replace(PAPER, color=True))
    assert ANSI.sub("", colored) == drawn(name)
    assert set(ANSI.findall(colored)) <= {f"\x1b[{i.value}m" for i in Ink} | {"\x1b[0m"}
    assert "\x1b" not in drawn(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_last_line_says_who_serves(name: str) -> None:
    story = samples.ALL[name]()
    line = render.serving_line(story.chronicle, story.sighting, story.now + 8)
    assert "\n" not in line
    assert " ".join(drawn(name).split()).endswith(line)


def test_commands_are_not_broken_over_two_lines() -> None:
    for width in range(40, 100):
        for line in PAPER.less(80 - width).wrapped("the way back is open: `bgctl backout`, see"):
            assert line.count("`") % 2 == 0


# -- What a person asks at three in the morning --------------------------------------------


def test_a_gate_says_who_owns_it_how_long_it_stands_and_how_to_grant_it() -> None:
    """S44."""
    text = " ".join(drawn("at-the-gate").split())
    assert "waits for somebody to grant cutover (owner: release-managers)" in text
    assert "until 2026-03-05 16:05, 23 h 59 min from now; then it goes back" in text
    assert "Nobody tends" in text
    assert "bgctl switch grant the cutover" in text


def test_a_stuck_rollout_says_four_things() -> None:
    """S6: who serves and when that was seen, what could not be done, why, and what may be asked."""
    text = " ".join(drawn("stuck").split())
    assert "could not be done: step 6, sending the traffic of web and api to blue" in text
    assert "tried 3 times" in text
    assert "because: nothing of web blue answers" in text
    assert re.search(r"who serves: web 2 and api 2 serve on green \(at \d\d:\d\d:\d\d\)", text)
    for ask in ("bgctl resume ", "bgctl resume --forward", "bgctl abandon"):
        assert ask in text


def test_the_way_back_is_open_as_long_as_the_standby_is_seen_to_run() -> None:
    story = samples.switched()
    line = render.serving_line(story.chronicle, story.sighting, story.now)
    assert line == (
        "web 2 and api 2 serve on green; the way back to 1 is open (standby blue): `bgctl backout`."
    )
    gone = tuple(
        replace(s, instances=()) if s.color is Color.BLUE else s
        for s in story.sighting.installations
    )
    cold = replace(story.sighting, installations=gone)
    assert "is not instant" in render.serving_line(story.chronicle, cold, story.now)


def test_what_was_seen_goes_before_what_the_journal_remembers() -> None:
    """S26: somebody flipped it by hand."""
    story = samples.drifted()
    web = next(s for s in who_serves(story.chronicle, story.sighting) if s.service == "web")
    assert (web.share.blue, web.share.green, web.seen) == (50, 50, True)
    unseen = render.serving_line(story.chronicle, None, story.now)
    assert unseen.startswith("As far as the journal knows, web 2 and api 2 serve on green")


def test_drift_is_named_and_says_what_can_be_done() -> None:
    """S26."""
    text = drawn("drifted")
    assert "web: traffic goes 50 % blue, 50 % green; it should all go to green." in text
    assert "api green, which serves, runs 1 of 2." in text
    assert "bgctl reconcile --accept" in text


def test_what_could_not_be_seen_is_no_drift() -> None:
    text = drawn("silent-switch")
    assert "Could not be seen:" in text
    assert "Not as it should be" not in text


def test_a_status_that_is_too_high_leaves_out_what_is_as_it_should_be() -> None:
    low = drawn("drifted", replace(PAPER, height=20))
    assert low.count("\n") < drawn("drifted").count("\n")
    assert "died and is being started again" in low
    assert "pid 41221" not in low


def test_a_gate_fits_into_a_terminal_of_twenty_four_lines() -> None:
    low = drawn("at-the-gate", replace(PAPER, height=23))
    assert low.count("\n") < 23
    assert low.startswith("site shop")
    assert low.endswith("`bgctl backout`.")


def test_a_verdict_that_was_sampled_just_now_is_shown() -> None:
    story = samples.switched()
    picture = replace(story.picture(), verdicts={("web", Color.GREEN): Verdict.ILL})
    assert "serves, ill" in render.status(picture, PAPER)


# -- The plan ------------------------------------------------------------------------------


def test_every_step_that_can_be_taken_back_has_its_way_back_beside_it() -> None:
    considered = planned("reusing-the-standby")
    assert isinstance(considered.plan, Plan)
    rows = render.plan(considered, PAPER).splitlines()
    for index, step in enumerate(considered.plan.steps):
        row = next(r for r in rows if r.startswith(f"{index + 1:>2}  "))
        beside = row.partition("│")[2].strip()
        assert bool(beside) is isinstance(step, Stage | Retire | Shift) or not isinstance(
            step, LOOKS
        )
    assert any("the instant way back to web 1 and api 1 ends here" in r for r in rows)
    mark = next(i for i, r in enumerate(rows) if "ends here" in r)
    assert rows[mark + 1].startswith(" 3  stop web 1 and api 1")


def test_a_plan_without_a_point_of_no_return_says_so() -> None:
    assert "── no point of no return ─" in render.plan(planned("second"), PAPER)


def test_a_plan_that_breaks_a_promise_tells_how() -> None:
    considered = planned("second")
    broken = Broken("traffic goes where nothing runs", ("start: it dies", "shift: it is done"))
    text = render.plan(replace(considered, proof=broken), PAPER)
    assert "breaks a promise, so it is not opened: traffic goes where nothing" in text
    assert "  · start: it dies\n  · shift: it is done" in text


# -- What comes from outside ---------------------------------------------------------------

EVIL = "\x1b[2J\x1b]0;title\x07\r\x9b31m\u202egnp.exe\x00"


def test_what_could_command_a_terminal_is_made_visible() -> None:
    """S81."""
    assert harmless("\x1b[31mred\x1b[0m") == "^[[31mred^[[0m"
    assert harmless("a\tb\nc\x7f\x00\x9b\u202e") == "a b\nc^?^@\\u009b\\u202e"
    assert harmless("Grüße, 世界 → ✓") == "Grüße, 世界 → ✓"


def test_nothing_that_came_from_outside_reaches_the_terminal_as_it_was() -> None:
    """S81: notes of instances, reasons, versions, names of people, what the switch said."""
    story = samples.first()
    evil = Release(f"2{EVIL}", "e" * 64)
    story.open(Wish((Wanted("web", evil),)))
    story.drive(to=Gate)
    story.drive()
    assert story.chronicle.open is not None
    story.sighting = replace(
        story.sighting,
        unreached=(EVIL,),
        installations=tuple(
            replace(s, instances=tuple(replace(i, running=False, note=EVIL) for i in s.instances))
            for s in story.sighting.installations
        ),
        switch=replace(story.sighting.switch, note=EVIL, up=False),
    )
    texts = [
        render.status(story.picture(), PAPER),
        render.history(story.chronicle, story.now, PAPER),
        render.rollout_story(story.entries, PAPER),
        render.releases(story.picture(), PAPER),
        render.plan(samples.first().considered(Wish((Wanted("web", evil),))), PAPER),
        render.trouble(EVIL, now=EVIL, next=(EVIL,), paper=PAPER),
    ]
    for text in texts:
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text), text
        assert "^[" in text


# -- Data ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_status_as_data_says_what_the_picture_says(name: str) -> None:
    story = samples.ALL[name]()
    data = json.loads(json.dumps(render.status_data(story.picture())))
    line = render.serving_line(story.chronicle, story.sighting, story.now + 8)
    assert data["line"] == line
    assert [s["service"] for s in data["services"]] == ["web", "api"]
    rollout = story.chronicle.open
    assert (data["rollout"] is None) == (rollout is None)
    if rollout is not None:
        states = [step["state"] for step in data["rollout"]["steps"]]
        assert len(states) == len(rollout.steps)
        at_hand = [s for s in states if s in ("at-hand", "going-back", "failed")]
        assert len(at_hand) == 1
        assert data["rollout"]["stuck"] is rollout.stuck
    steps = [s["command"] for s in data["next_steps"]]
    assert all(s.startswith("bgctl ") for s in steps)


def test_the_contract_of_the_data_is_as_kept() -> None:
    picture = samples.at_the_gate().picture()
    considered = planned("reusing-the-standby")
    whole = {
        "status": render.status_data(picture),
        "result": render.result_data(picture, outcome="at-the-gate", exit_code=0),
        "plan": render.plan_data(considered),
        "history": render.history_data(samples.backed_out().chronicle),
        "releases": render.releases_data(picture),
        "story": render.story_data(samples.first().entries[:2]),
    }
    keys = "\n".join(sorted(set(_paths(whole, ""))))
    same_as_kept("data-keys.txt", keys)


def _paths(value: object, at: str) -> list[str]:
    """Every place in the data; what the journal's own records look like is another contract."""
    if at.endswith((".value", ".record")):
        return [at]
    if isinstance(value, dict):
        return [p for k, v in value.items() for p in _paths(v, f"{at}.{k}")]
    if isinstance(value, list):
        return [p for v in value for p in _paths(v, f"{at}[]")] or [f"{at}[]"]
    return [at]


def test_what_cannot_be_planned_is_data_too() -> None:
    data = render.plan_data(planned("none"))
    assert data["possible"] is False
    assert "shared between the colors" in data["reason"]
    assert render.plan_data(planned("nothing-to-do"))["steps"] == []


def test_a_failure_is_in_the_data_with_its_step() -> None:
    story = samples.tried_again()
    rollout = render.status_data(story.picture())["rollout"]
    assert rollout["failed"]["step"] == 1
    assert rollout["failed"]["kind"] == Trouble.UNREACHABLE.value


def test_the_story_as_data_holds_the_records_themselves() -> None:
    story: Story = samples.first()
    told = render.story_data(story.entries)["records"]
    assert [t["number"] for t in told] == [e.number for e in story.entries]
    assert told[0]["record"]["is"] == "Opened"
    assert told[-1]["sentence"] == "rollout 1 is done: web 1 and api 1 serve on blue."


def test_everything_that_can_be_rendered_is_there_and_nothing_is_imported_before() -> None:
    program = "import sys; from orchestrator.doors.cli import render; print(len(sys.modules))"
    quick = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert int(quick.stdout) < 120
    for name in render.__all__:
        assert getattr(render, name).__name__ == name
    with pytest.raises(AttributeError):
        _ = render.nothing  # type: ignore[attr-defined]


# -- What is said where something is amiss ---------------------------------------------------


def test_a_driver_without_a_sign_of_life_is_named_with_who_takes_over() -> None:
    """S2: stopped, its process still there."""
    story = samples.ALL["proving"]()
    holder = story.holder("deploying web 2 and api 2")
    picture = story.picture(holder=holder, now=holder.until_s + 20)
    text = render.status(picture, PAPER)
    assert re.search(r"No sign of it for [^;]+;\s+the\s+next command takes over", text)
    assert "bgctl resume" in text
    assert not picture.driven


def test_a_full_disk_is_said_where_the_way_back_is() -> None:
    story = samples.switched()
    full, roomy = (replace(story.picture(), room=room) for room in (12_000, 5_000_000_000))
    assert "is full (12 kB free)" in render.status(full, PAPER)
    assert "kB free" not in render.status(roomy, PAPER)


def test_whoever_looks_on_is_not_told_to_look_on() -> None:
    story = samples.ALL["proving"]()
    picture = story.picture(holder=story.holder("deploying web 2 and api 2"))
    assert "bgctl status -w" in render.status(picture, PAPER)
    assert "bgctl status -w" not in render.status(picture, PAPER, watching=True)


def test_a_color_that_was_stopped_has_no_last_words_and_nothing_to_look_at() -> None:
    story = samples.switched()
    note = "start 1 was stopped: it ended with exit code 0 after 3 s; last words: GET /"
    stopped = tuple(
        replace(
            s,
            instances=tuple(replace(i, running=False, kept=False, note=note) for i in s.instances),
        )
        if s.color is Color.BLUE
        else s
        for s in story.sighting.installations
    )
    previews = {("web", Color.BLUE): "http://127.0.0.1:8081/"}
    sighting = replace(story.sighting, installations=stopped)
    text = render.status(replace(story.picture(), sighting=sighting, previews=previews), PAPER)
    assert "last words" not in text
    assert "look at it" not in text
    assert not [line for line in text.splitlines() if line != line.rstrip()]


def test_a_sentence_begins_with_a_capital_letter_and_a_name_with_its_own() -> None:
    assert capital("rollout 2 is open") == "Rollout 2 is open"
    assert capital("web: no release 9", ["web"]) == "web: no release 9"
    assert capital("web 1 serves", ["web"]) == "web 1 serves"
    assert capital("bg.yaml:3: no") == "bg.yaml:3: no"


def test_what_a_killed_process_said_last_is_left_out_of_short_texts() -> None:
    said = "no answer (start 1 was ended by SIGKILL after 3 s; last words: [12:00] a / b)"
    assert briefly(said) == "no answer (start 1 was ended by SIGKILL after 3 s)"
    assert len(briefly("word " * 100)) <= 302
