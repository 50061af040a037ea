"""The way back when the files of what is gone back to are lost: it goes on with what there is.

What still runs needs no files. What neither runs nor can be had again is called lost, before
anything is touched.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.core.model import Color
from orchestrator.doors.cli.exits import Exit
from tests.doors.desk import Desk, one_line, serve, with_standby


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return with_standby(tmp_path)


def lose(desk: Desk, version: str, *, artifact: bool = True) -> None:
    """Somebody deleted the files of this release, and its artifact, too."""
    for service in ("web", "api"):
        staged = desk.truth.staged[service]
        for release in [r for r in staged if r.version == version]:
            del staged[release]
        if artifact:
            offers = desk.truth.offers[service]
            offers[:] = [one for one in offers if one.release.version != version]


def stop(desk: Desk, color: Color, instances: tuple[int, ...] = (0, 1)) -> None:
    for service in ("web", "api"):
        for number in instances:
            one = desk.truth.cell(service, color).instances[number]
            one.running = one.kept = False


def test_a_standby_that_runs_needs_no_files_to_go_back_to(desk: Desk) -> None:
    """S21."""
    lose(desk, "1")
    said = desk("backout")
    assert (said.code, serve(desk)) == (Exit.DONE, "web 1, api 1")
    assert "staging" not in said.err


def test_what_is_left_of_a_standby_without_files_is_gone_back_to_and_not_stopped(
    desk: Desk,
) -> None:
    lose(desk, "1")
    stop(desk, Color.BLUE, (1,))
    said = desk("backout")
    assert (said.code, serve(desk)) == (Exit.DONE, "web 1, api 1")
    assert "stopping" not in said.err


def test_a_way_back_that_is_lost_is_called_so_and_nothing_is_touched(desk: Desk) -> None:
    lose(desk, "1")
    stop(desk, Color.BLUE)
    said = desk("backout")
    assert (said.code, serve(desk)) == (Exit.FORBIDDEN, "web 2, api 2")
    assert "is lost: its files are gone, none of it runs" in one_line(said.err)
    assert desk("-o", "json", "status").data["rollout"] is None
    assert "are gone: only their artifacts can open the way back to 1 again" in one_line(
        desk("status").out
    )


def test_a_way_back_with_its_artifact_at_hand_is_staged_again(desk: Desk) -> None:
    lose(desk, "1", artifact=False)
    stop(desk, Color.BLUE)
    assert desk("backout").code == Exit.DONE
    assert serve(desk) == "web 1, api 1"


def test_status_says_that_a_standby_has_lost_its_files_and_reconcile_lays_them_again(
    desk: Desk,
) -> None:
    lose(desk, "1", artifact=False)
    assert "the standby, has lost the files of 1@" in one_line(desk("status").out)
    starts = {n: i.start for n, i in desk.truth.cell("web", Color.BLUE).instances.items()}
    assert desk("reconcile").code == Exit.DONE
    assert "1" in {release.version for release in desk.truth.staged["web"]}
    assert starts == {n: i.start for n, i in desk.truth.cell("web", Color.BLUE).instances.items()}
    assert "lost the files" not in desk("status").out
    assert desk("backout").code == Exit.DONE


def test_reconcile_puts_back_what_serves_first_and_its_standby_next(desk: Desk) -> None:
    for version in ("1", "2"):
        lose(desk, version, artifact=False)
    assert desk("reconcile").code == Exit.DONE
    assert {r.version for r in desk.truth.staged["web"]} == {"2"}
    assert desk("reconcile").code == Exit.DONE
    assert {r.version for r in desk.truth.staged["web"]} == {"1", "2"}


def test_a_mend_that_cannot_have_the_artifact_turns_back_and_leaves_the_standby(
    desk: Desk,
) -> None:
    lose(desk, "1")
    said = desk("reconcile")
    assert said.code == Exit.WENT_BACK
    assert "does not have the same ones" in one_line(said.err)
    assert desk("backout").code == Exit.DONE


@pytest.mark.parametrize("when", ["before", "at the gate"])
def test_going_back_from_where_the_standby_was_is_no_trouble_though_its_files_are_gone(
    desk: Desk, when: str
) -> None:
    """S6: what cannot be brought back is a remark."""
    if when == "before":
        lose(desk, "1")
    assert desk("deploy", "4").code == Exit.DONE
    if when == "at the gate":
        lose(desk, "1")
    said = desk("backout")
    assert (said.code, serve(desk)) == (Exit.DONE, "web 2, api 2")
    assert "no standby on web blue and api blue any more: the files of 1@" in one_line(said.err)
    assert "did not take" not in said.err
    assert desk.truth.cell("web", Color.BLUE).current is None
    assert "4" not in {release.version for release in desk.truth.staged["web"]}
    assert desk("deploy", "4", "--switch").code == Exit.DONE
