"""What people see of steps of their own: in a plan, while they run, where nothing goes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doors.desk import SITE, Desk

STEPS = """\
hosts: {{web1: {{}}, web2: {{}}}}
steps:
  provision: {{at: before-start, do: [do], undo: [undo], on: [web1, web2]}}
  contract: {{at: {at}, do: [do]{undo}}}
state: state
"""


def desk_with(folder: Path, at: str, undo: str = "") -> Desk:
    site = SITE.replace("state: state\n", STEPS.format(at=at, undo=undo))
    desk = Desk(folder, site=site)
    assert desk("deploy", "1", "--switch").code == 0
    return desk


def test_a_plan_draws_the_point_of_no_return_before_the_step_and_says_what_it_means(
    tmp_path: Path,
) -> None:
    desk = desk_with(tmp_path, "after-cutover")
    lines = desk("plan", "2").out.splitlines()
    at = next(i for i, line in enumerate(lines) if "POINT OF NO RETURN" in line)
    assert "run contract; nothing takes that back" in lines[at + 1]
    assert "contract has no undo" in " ".join(lines)
    data = desk("plan", "2", "-o", "json").data
    assert data["steps"][data["no_return"] - 1]["value"]["command"]["name"] == "contract"
    assert data["steps"][data["no_return"] - 1]["kind"] == "run"


def test_what_may_stay_is_no_point_of_no_return(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "after-cutover", ", undo: leave")
    assert "no point of no return" in desk("plan", "2").out


def test_past_the_point_of_no_return_a_backout_is_refused_with_the_step_that_was_begun(
    tmp_path: Path,
) -> None:
    desk = desk_with(tmp_path, "before-start")
    begun = desk("deploy", "2")
    assert begun.code == 0, begun
    assert "running contract; from here on nothing turns it back" in begun.err
    assert "past its point of no return" in desk("status").out
    refused = desk("backout")
    assert refused.code == 6, refused
    assert "contract was begun, and nothing takes it back" in refused.out + refused.err
    denied = desk("deny", "cutover")
    assert denied.code == 6, denied
    assert "nothing takes it back" in denied.out + denied.err
    assert desk("switch").code == 0
    assert "web 2 and api 2 serve on green" in desk("status").out


def test_after_the_close_a_backout_takes_back_what_can_be_and_says_what_stays(
    tmp_path: Path,
) -> None:
    desk = desk_with(tmp_path, "after-cutover")
    assert desk("deploy", "2", "--switch").code == 0
    back = desk("backout")
    assert back.code == 0, back
    assert "provision is taken back on web1 and web2" in back.err
    assert desk.truth.ran == {**desk.truth.ran, (3, "provision", "web1"): 2}


def test_before_it_is_crossed_everything_goes_back_as_ever(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "after-cutover")
    assert desk("deploy", "2").code == 0
    back = desk("backout")
    assert back.code == 0, back
    assert "provision is taken back on web1 and web2" in back.err
    assert "web 1 and api 1 serve on blue" in back.last


@pytest.mark.parametrize("verb", ["status", "history"])
def test_a_step_that_fails_is_shown_with_why(tmp_path: Path, verb: str) -> None:
    desk = desk_with(tmp_path, "after-cutover", ", undo: leave")
    desk.truth.failing.add("provision")
    failed = desk("deploy", "2")
    assert failed.code == 3, failed
    assert "exit code 1" in failed.err
    assert "provision" in desk("history").out
    assert "provision" in str(desk(verb, "-o", "json").data) or verb == "status"
