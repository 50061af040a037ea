"""Steps of your own with the real command: at their places, taken back, killed in the middle."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.doors.cli.exits import Exit
from tests.doors.machine import WITHIN_S, Machine, until

STEPS = """\
steps:
  provision:
    at: before-start
    do: [sh, -c, "echo +provision {version} {color} >> log; touch conf"]
    undo: [sh, -c, "echo -provision >> log; rm conf"]
    holds: [test, -e, conf]
  expand: {at: before-cutover, do: [sh, -c, "echo +expand >> log"], undo: leave}
  warm: {at: after-cutover, do: [sh, -c, "echo +warm >> log"], undo: [sh, -c, "echo -warm >> log"]}
  tell: {at: at-close, do: [sh, -c, "echo +tell {release} >> log; FAIL"], undo: leave, timeout: 20s}
"""


@pytest.fixture
def machine(tmp_path: Path, free_ports: Callable[[int], int]) -> Iterator[Machine]:
    made = Machine(tmp_path, free_ports(5))
    try:
        yield made
    finally:
        made.end()


def with_steps(machine: Machine, fail: str = "true") -> None:
    machine.soak("300ms")
    file = machine.folder / "bg.yaml"
    file.write_text(file.read_text() + STEPS.replace("FAIL", fail))


def log(machine: Machine) -> list[str]:
    """What was said since somebody looked last."""
    path = machine.folder / "log"
    said = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return said


def test_each_at_its_place_and_back_after_the_close(machine: Machine) -> None:
    with_steps(machine)
    assert machine("deploy", "1").code == Exit.DONE
    first, *rest, last = log(machine)
    assert first == "+provision 1 blue"
    assert rest == ["+expand", "+warm"]
    assert last.startswith("+tell 1@")
    assert machine("deploy", "2").code == Exit.DONE
    assert log(machine) == [], "provision holds, and the others stand behind the gate"
    assert machine("switch").code == Exit.DONE
    assert log(machine)[:2] == ["+expand", "+warm"]
    assert machine("backout").code == Exit.DONE
    assert log(machine) == ["-warm"], "what held before that rollout stays"
    assert machine.answers() == "1"


def test_one_that_fails_is_tried_again_shown_with_its_words_and_all_is_taken_back(
    machine: Machine,
) -> None:
    with_steps(machine, "echo no such room >&2; exit 3")
    said = machine("deploy", "1")
    assert said.code == Exit.WENT_BACK
    assert "tell failed 3 times: exit code 3; last words: no such room" in said.err
    assert "+provision 1 blue" in log(machine)
    assert not (machine.folder / "conf").exists()
    assert machine.answers() == ""
    assert machine.running() == {"envoy/edge"}


def test_check_names_a_program_that_is_not_there(machine: Machine) -> None:
    with_steps(machine)
    assert "steps.provision: before-start, here" in machine("check").out
    file = machine.folder / "bg.yaml"
    file.write_text(file.read_text().replace("[test, -e, conf]", "[no-such-look]"))
    said = machine("check")
    assert said.code != Exit.DONE
    assert "steps.provision: there is no program 'no-such-look' here" in said.out + said.err


def test_killed_in_the_middle_it_ends_and_is_run_again_by_whoever_follows(
    machine: Machine,
) -> None:
    """S1"""
    with_steps(machine, "echo $$ > pid; test -e go || sleep 300")
    driver = machine.begin("deploy", "1")
    told = machine.folder / "pid"
    until(lambda: told.exists() and told.read_text() != "")
    pid = int(told.read_text())
    driver.kill()
    driver.communicate(timeout=WITHIN_S)
    until(lambda: not lives(pid))
    (machine.folder / "go").touch()
    assert machine("resume").code == Exit.DONE
    ran = [line.split()[0] for line in log(machine)]
    assert ran == ["+provision", "+expand", "+warm", "+tell", "+tell"]
    assert machine.answers() == "1"


def lives(pid: int) -> bool:
    assert pid != os.getpid()
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
