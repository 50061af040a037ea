"""`--hold` and `--no-hold`: a command may shorten the hold of the site or leave it out, no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.config.load import load
from orchestrator.core.record import Granted
from orchestrator.core.stillness import Held
from orchestrator.doors.cli.exits import Exit
from tests.doors.desk import Desk, Said


@pytest.fixture
def holding(tmp_path: Path) -> Desk:
    """Release 1 serves, and the site wants time to stand still for the next switch."""
    desk = Desk(tmp_path)
    desk.rule(hold="2s")
    desk.truth.site = load(desk.file)
    for version in ("1", "2"):
        for service in ("web", "api"):
            desk.offer(service, version)
    assert desk("deploy", "1").code == Exit.DONE
    desk.truth.while_held, desk.truth.waits_s = [Held(0, 3)], (0.01, 0.02, 0.03)
    return desk


def grants(desk: Desk) -> list[object]:
    records = [entry.record for entry in desk.truth.entries]
    return [record.hold for record in records if isinstance(record, Granted)]


def stood(said: Said) -> bool:
    text = " ".join((said.out + said.err).split())
    return "time stood still for" in text and "3 requests waited, 30 ms at most" in text


def test_a_switch_says_how_long_time_stood_still_and_who_waited(holding: Desk) -> None:
    """S29"""
    holding("deploy", "2")
    said = holding("switch")
    assert said.code == Exit.DONE
    assert stood(said)
    assert stood(holding("history", "2"))


def test_the_plan_says_that_time_will_stand_still(holding: Desk) -> None:
    assert "standing still for 2 s at most" in " ".join(holding("plan", "2").out.split())


def test_a_switch_may_shorten_the_hold(holding: Desk) -> None:
    holding("deploy", "2")
    said = holding("switch", "--hold", "500ms")
    assert stood(said)
    assert grants(holding) == [0.5]
    assert "standing still for 500 ms at most" in said.err


def test_a_switch_may_leave_the_hold_out(holding: Desk) -> None:
    holding("deploy", "2")
    said = holding("switch", "--no-hold")
    assert said.code == Exit.DONE
    assert not stood(said)
    assert grants(holding) == [0.0]


@pytest.mark.parametrize("flags", [["--hold", "1s"], ["--no-hold"]])
def test_a_deploy_that_switches_at_once_may_do_the_same(holding: Desk, flags: list[str]) -> None:
    said = holding("deploy", "2", "--switch", *flags)
    assert said.code == Exit.DONE
    assert stood(said) is ("--hold" in flags)


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--hold", "3s"], "longer than the 2 s of the site"),
        (["--hold", "soon"], "is no time"),
        (["--hold", "0s"], "is no time"),
        (["--hold", "1s", "--no-hold"], "contradict"),
    ],
)
def test_what_cannot_be_held_is_refused_before_anything_happens(
    holding: Desk, flags: list[str], why: str
) -> None:
    refused = holding("deploy", "2", *flags)
    assert (refused.code, why in refused.err) == (Exit.BAD_INPUT, True)
    holding("deploy", "2")
    entries = len(holding.truth.entries)
    refused = holding("switch", *flags)
    assert (refused.code, why in refused.err) == (Exit.BAD_INPUT, True)
    assert len(holding.truth.entries) == entries


def test_where_the_site_wants_no_hold_there_is_none_to_shorten(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for service in ("web", "api"):
        desk.offer(service, "1")
    refused = desk("deploy", "1", "--hold", "1s")
    assert (refused.code, "no hold to shorten" in refused.err) == (Exit.BAD_INPUT, True)
    assert desk("deploy", "1", "--no-hold").code == Exit.DONE
