"""The user's own steps on a host: done once in a rollout, taken back, ended with who began them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from tests.agents.conftest import Speak
from tests.agents.talk import Agent


def step(argv: list[str], way: str = "do", **more: Any) -> dict[str, Any]:
    return {"step": "provision", "rollout": 7, "argv": argv, "way": way, **more}


def state(agent: Agent, **more: Any) -> str:
    found = agent.ok("step_look", **{"step": "provision", "rollout": 7, "argv": [], **more})
    return str(found["state"])


def until_there(path: Path) -> None:
    until = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < until, path
        time.sleep(0.01)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until_gone(pid: int) -> None:
    until = time.monotonic() + 20
    while lives(pid):
        assert time.monotonic() < until, pid
        time.sleep(0.01)


def sleeping(tmp_path: Path) -> list[str]:
    """Says who it is, and does not end by itself."""
    return [
        "sh",
        "-c",
        f"echo $$ > {tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; sleep 60",
    ]


def test_it_is_done_once_in_a_rollout_and_taken_back_once(agent: Agent, tmp_path: Path) -> None:
    log = tmp_path / "log"
    do, undo = (["sh", "-c", f"echo {word} >> {log}"] for word in ("do", "undo"))
    assert state(agent) == ""
    assert agent.ok("step_run", **step(undo, "undo")) == {"ran": False}
    assert agent.ok("step_run", **step(do))["ran"] is True
    assert agent.ok("step_run", **step(do)) == {"ran": False}
    assert state(agent) == "done"
    assert state(agent, rollout=8) == ""
    assert agent.ok("step_run", **step(undo, "undo"))["ran"] is True
    assert agent.ok("step_run", **step(undo, "undo")) == {"ran": False}
    assert (state(agent), log.read_text().split()) == ("taken-back", ["do", "undo"])


def test_what_ends_badly_is_told_with_its_last_words_and_stays_begun(agent: Agent) -> None:
    argv = ["sh", "-c", "echo fine; echo '\x1b[31mbad' >&2; exit 3"]
    found = agent.ok("step_run", **step(argv))
    assert (found["code"], found["said"]) == (3, "fine\nbad\n")
    assert state(agent) == "begun"


def test_what_it_says_is_bounded(agent: Agent) -> None:
    """S41"""
    found = agent.ok("step_run", **step(["sh", "-c", "yes | head -c 5000000; echo end"]))
    assert len(found["said"]) <= 32 * 1024
    assert found["said"].endswith("end\n")


def test_its_look_is_run_and_told(agent: Agent) -> None:
    for code in (0, 1):
        found = agent.ok("step_look", **step(["sh", "-c", f"exit {code}"]))
        assert found["code"] == code


def test_at_its_time_out_all_of_it_is_killed(agent: Agent, tmp_path: Path) -> None:
    argv = ["sh", "-c", f"sleep 60 & echo $! > {tmp_path}/pid; wait"]
    found = agent.ok("step_run", **step(argv, timeout_s=0.5))
    assert found["code"] is None
    until_gone(int((tmp_path / "pid").read_text()))


def test_it_has_its_environment_and_nothing_of_ours(agent: Agent, tmp_path: Path) -> None:
    argv = ["sh", "-c", f"env > {tmp_path}/env"]
    agent.ok("step_run", **step(argv, env={"ROLE": "shop"}))
    names = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert "ROLE" in names
    assert not names & {"PYTEST_CURRENT_TEST", "SSH_CONNECTION", "VIRTUAL_ENV"}


def test_a_woken_old_driver_runs_nothing(speak: Speak, tmp_path: Path) -> None:
    """S3"""
    old, young = speak(epoch=1), speak(epoch=2)
    assert old.ok("step_look", **step([]))["state"] == ""
    young.ok("step_look", **step([]))
    answer = old.ask("step_run", **step(["touch", str(tmp_path / "ran")]))
    assert "superseded" in answer
    assert not (tmp_path / "ran").exists()


def test_who_takes_over_ends_what_an_older_driver_left_running(
    speak: Speak, tmp_path: Path
) -> None:
    old = speak(epoch=1)
    number = old.send("step_run", **step(sleeping(tmp_path)))
    until_there(tmp_path / "pid")
    pid = int((tmp_path / "pid").read_text())
    young = speak(epoch=2)
    assert (
        young.ok("step_run", **step(["sh", "-c", f"kill -0 {pid} && exit 9; exit 0"]))["code"] == 0
    )
    assert not lives(pid)
    answer = old.answer(number)
    assert "ok" not in answer or answer["ok"]["code"] != 0
    assert state(young) == "done"


def test_what_runs_ends_with_its_session(speak: Speak, tmp_path: Path) -> None:
    agent = speak()
    agent.send("step_run", **step(sleeping(tmp_path)))
    until_there(tmp_path / "pid")
    agent.close()
    until_gone(int((tmp_path / "pid").read_text()))
    assert state(speak(epoch=2)) == "begun"


def test_requests_of_no_sense_are_refused(agent: Agent) -> None:
    for given in (
        step([]),
        step(["x"], "sideways"),
        step(["x"], step="../x"),
        step(["x"], timeout_s=1e9),
        {**step(["x"]), "argv": [1]},
    ):
        assert agent.refused("step_run", **given)[0] == "bad-request"


def test_a_program_that_is_not_there_is_refused_by_name(agent: Agent) -> None:
    _, why = agent.refused("step_run", **step([f"/nowhere-{os.getpid()}/puppet"]))
    assert "puppet" in why
