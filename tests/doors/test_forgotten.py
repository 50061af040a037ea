"""Nothing that runs is forgotten, and nothing is accepted for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.core.model import Color
from orchestrator.doors.cli.exits import Exit
from tests.doors.desk import Desk, one_line, with_standby


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return with_standby(tmp_path)


def test_what_is_left_of_a_world_that_was_partly_reused_is_named_until_it_is_stopped(
    desk: Desk,
) -> None:
    assert desk("deploy", "web=4", "--switch").code == Exit.DONE
    said = one_line(desk("status").out)
    assert (
        "api on blue still runs and is no way back any more: `bgctl retire api` stops it." in said
    )
    assert desk("retire", "api").code == Exit.DONE
    assert not any(i.running for i in desk.truth.cell("api", Color.BLUE).instances.values())
    assert "no way back any more" not in one_line(desk("status").out)


def test_a_standby_is_not_called_left_over(desk: Desk) -> None:
    assert "no way back any more" not in one_line(desk("status").out)


def lose_one(desk: Desk, color: Color) -> None:
    one = desk.truth.cell("web", color).instances[1]
    one.running = one.kept = False


def test_what_was_accepted_of_a_service_ends_with_its_next_rollout(desk: Desk) -> None:
    lose_one(desk, Color.GREEN)
    assert desk("reconcile", "--accept").code == Exit.DONE
    assert "Not as it should be" not in desk("status").out
    assert desk("deploy", "web=4", "--switch").code == Exit.DONE
    assert desk("deploy", "web=2", "--switch").code == Exit.DONE
    lose_one(desk, Color.GREEN)
    said = one_line(desk("status").out)
    assert "web green, which serves, runs 1 of 2" in said


def test_what_was_accepted_of_another_service_or_before_a_rollout_went_back_stays(
    desk: Desk,
) -> None:
    lose_one(desk, Color.GREEN)
    assert desk("reconcile", "--accept").code == Exit.DONE
    assert desk("deploy", "api=4", "--switch").code == Exit.DONE
    assert desk("deploy", "web=4").code == Exit.DONE
    assert desk("backout").code == Exit.DONE
    assert "web green" not in desk("status").out.partition("Not as it should be")[2]


def test_what_was_accepted_is_told_again_once_it_came_back_and_went_again(desk: Desk) -> None:
    lose_one(desk, Color.GREEN)
    assert desk("reconcile", "--accept").code == Exit.DONE
    assert "runs 1 of 2" not in desk("status").out.partition("Not as it should be")[2]
    web = desk.truth.cell("web", Color.GREEN).instances[1]
    desk.truth.begin(web, web.release)
    assert "Not as it should be" not in desk("status").out
    lose_one(desk, Color.GREEN)
    assert "web green, which serves, runs 1 of 2" in one_line(desk("status").out)
