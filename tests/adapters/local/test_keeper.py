"""Keepers: what happens when they, their programs or both are killed, at any moment.

The promise behind each test: at most one copy of a program, and nothing of it after a stop.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.adapters.local.keeper import living
from orchestrator.adapters.local.keeper.log import LOG_MAX, keep_small
from orchestrator.adapters.local.keeper.note import read_note, write_note
from orchestrator.adapters.local.processes import LocalProcesses
from orchestrator.ports.processes import ProcessSeen
from orchestrator.ports.trouble import Refused, Unreachable
from tests.adapters.local import samples
from tests.adapters.local.samples import keeper_pid, launch, pids_with, python, until, wait_until

NAME = "web/blue/0"
OPEN_TO_PROGRAMS = sum(1 << (number - 1) for number in signal.valid_signals())
"""As a mask. The C library keeps 32 and 33 for itself: nobody can set them, or mind them."""


@pytest.fixture
async def processes(tmp_path: Path) -> AsyncIterator[LocalProcesses]:
    async with samples.kept_in(tmp_path / "run") as found:
        yield found


def only(processes: LocalProcesses) -> ProcessSeen:
    (seen,) = processes.look(NAME)
    return seen


def started(processes: LocalProcesses, *argv: str) -> ProcessSeen:
    """Started, and executed for sure: its log says so."""
    return processes.start(NAME, launch(*argv))


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


# -- Killed --------------------------------------------------------------------------------


async def test_a_program_outlives_its_keeper_and_counts_as_running(
    processes: LocalProcesses,
) -> None:
    first = started(processes)
    kill(keeper_pid(processes, NAME))
    await until(lambda: not only(processes).kept)
    seen = only(processes)
    assert (seen.running, seen.pid, seen.start) == (True, first.pid, first.start)


async def test_a_program_without_a_keeper_gets_a_new_one_and_runs_on(
    processes: LocalProcesses,
) -> None:
    first = started(processes)
    kill(keeper_pid(processes, NAME))
    await until(lambda: not only(processes).kept)
    seen = processes.start(NAME, launch())
    assert (seen.running, seen.kept, seen.pid, seen.start) == (True, True, first.pid, first.start)


async def test_a_new_keeper_starts_its_program_again_when_it_dies(
    processes: LocalProcesses,
) -> None:
    first = started(processes)
    kill(keeper_pid(processes, NAME))
    await until(lambda: not only(processes).kept)
    processes.start(NAME, launch())
    kill(first.pid)
    await until(lambda: only(processes).running and only(processes).start == first.start + 1)


async def test_a_program_without_a_keeper_is_stopped_like_any_other(
    processes: LocalProcesses,
) -> None:
    first = started(processes)
    kill(keeper_pid(processes, NAME))
    await until(lambda: not only(processes).kept)
    await processes.stop(NAME)
    assert not living.alive(first.pid, read_note(processes._at(NAME))["started"])
    assert not only(processes).running


async def test_where_both_were_killed_nothing_runs_and_the_next_start_has_a_new_number(
    processes: LocalProcesses,
) -> None:
    first = started(processes)
    kill(keeper_pid(processes, NAME))
    kill(first.pid)
    await until(lambda: not only(processes).kept and not only(processes).running)
    second = processes.start(NAME, launch())
    assert second.start == first.start + 1
    assert second.pid != first.pid


async def test_a_pid_that_somebody_else_has_now_is_not_taken_for_the_program(
    processes: LocalProcesses,
) -> None:
    started(processes)
    await processes.stop(NAME)
    at = processes._at(NAME)
    note = read_note(at)
    me = living.process(os.getpid())
    assert me is not None
    for claim in (
        {"pid": me.pid, "started": me.started - 1, "boot": living.boot()},
        {"pid": me.pid, "started": me.started, "boot": "another life of this machine"},
    ):
        write_note(at, note | claim | {"keeper": claim})
        seen = only(processes)
        assert (seen.running, seen.kept) == (False, False)
        await processes.stop(NAME)  # and we are still there to say so


@pytest.mark.parametrize("moment_s", [0.0, 0.005, 0.01, 0.015, 0.02, 0.04])
async def test_a_driver_killed_while_starting_leaves_one_copy_or_none_and_the_next_takes_it_over(
    processes: LocalProcesses, tmp_path: Path, moment_s: float
) -> None:
    """S1, S13"""
    mark = str(tmp_path / "the program")
    argv = waiting_at(mark)
    driver = begun(tmp_path, *argv)
    await asyncio.sleep(moment_s)  # the sampled moment
    driver.kill()
    driver.wait()
    seen = processes.start(NAME, launch(*argv))
    assert (seen.running, seen.kept) == (True, True)
    await until(lambda: pids_with(mark))  # one that was begun may be just about to be executed
    assert pids_with(mark) == {seen.pid}
    await processes.stop(NAME)
    assert not pids_with(mark)


@pytest.mark.parametrize("moment_s", [0.0, 0.01, 0.03])
async def test_a_driver_killed_while_starting_starts_nothing_after_a_stop(
    processes: LocalProcesses, tmp_path: Path, moment_s: float
) -> None:
    """S3: what a dead driver had begun does not come to life behind the next one's back."""
    mark = str(tmp_path / "the program")
    driver = begun(tmp_path, *waiting_at(mark))
    await asyncio.sleep(moment_s)
    driver.kill()
    driver.wait()
    await processes.stop(NAME)
    assert not pids_with(mark)
    assert not pids_with(str(tmp_path / "run"))


def waiting_at(mark: str) -> tuple[str, ...]:
    """A program that waits, and can be told by its command line."""
    Path(mark).touch()
    return ("tail", "-f", mark)


def begun(tmp_path: Path, *argv: str) -> subprocess.Popen[str]:
    """Another driver, right before it starts the program."""
    text = (
        "import json, sys\n"
        "from orchestrator.adapters.local.processes import LocalProcesses\n"
        "from orchestrator.ports.processes import Launch\n"
        "folder, *argv = json.loads(sys.argv[1])\n"
        "processes = LocalProcesses(folder)\n"
        "print('now', flush=True)\n"
        "launch = Launch(tuple(argv), {'PATH': '/usr/bin:/bin'}, '/', tag='t')\n"
        f"processes.start({NAME!r}, launch)\n"
    )
    driver = subprocess.Popen(
        (sys.executable, "-c", text, json.dumps([str(tmp_path / "run"), *argv])),
        cwd=samples.ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert driver.stdout is not None
    with driver.stdout:
        assert driver.stdout.readline() == "now\n"
    return driver


@pytest.mark.parametrize("moment_s", [0.0, 0.003, 0.006, 0.01, 0.02])
async def test_a_keeper_killed_while_starting_leaves_one_copy_or_none(
    processes: LocalProcesses, tmp_path: Path, moment_s: float
) -> None:
    """S1"""
    mark = str(tmp_path / "the program")
    argv = waiting_at(mark)
    killer = threading.Thread(target=kill_the_keeper, args=(str(tmp_path / "run"), moment_s))
    killer.start()
    try:
        processes.start(NAME, launch(*argv))
    except Unreachable:
        pass  # its keeper died before it could answer
    killer.join()
    seen = processes.start(NAME, launch(*argv))
    assert (seen.running, seen.kept) == (True, True)
    assert pids_with(mark) == {seen.pid}
    await processes.stop(NAME)
    assert not pids_with(mark)


def kill_the_keeper(folder: str, after_s: float) -> None:
    wait_until(lambda: pids_with(folder))
    time.sleep(after_s)
    for pid in pids_with(folder):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


async def test_a_keeper_that_stands_still_is_not_in_the_way_of_a_stop(
    processes: LocalProcesses, tmp_path: Path
) -> None:
    processes.start(NAME, launch(stop_s=0.1))
    os.kill(keeper_pid(processes, NAME), signal.SIGSTOP)
    await LocalProcesses(str(tmp_path / "run"), beyond_s=0.1).stop(NAME)
    seen = only(processes)
    assert (seen.running, seen.kept) == (False, False)


async def test_what_is_being_stopped_is_not_taken_for_kept_nor_started(
    processes: LocalProcesses,
) -> None:
    """S1: the stop was begun by somebody who is gone; the end must surprise nobody."""
    deaf = "trap '' TERM; echo deaf; while :; do sleep 0.05; done"
    first = processes.start(NAME, launch("sh", "-c", deaf, stop_s=0.5))
    await until(lambda: "deaf" in processes.log(NAME))
    processes.end(NAME)
    assert (only(processes).running, only(processes).kept) == (True, False)
    with pytest.raises(Unreachable, match="is still being stopped"):
        processes.start(NAME, launch())
    await until(lambda: not only(processes).running)
    assert await processes.ended(NAME)
    second = processes.start(NAME, launch())
    assert (second.running, second.kept, second.start) == (True, True, first.start + 1)


# -- The whole family ----------------------------------------------------------------------

FAMILY = """
import os, sys, time
for how in ("child", "own group", "own session", "daemon"):
    if os.fork() == 0:
        if how == "own group": os.setpgid(0, 0)
        if how in ("own session", "daemon"): os.setsid()
        if how == "daemon" and os.fork(): os._exit(0)
        os.execvp("sleep", ["sleep", "1000"])
print("all here", flush=True)
time.sleep(1000)
"""


@pytest.fixture
async def family(processes: LocalProcesses) -> set[int]:
    """A program with children who went their own ways: the pids of all five."""
    first = processes.start(NAME, python(FAMILY))
    me = keeper_pid(processes, NAME)

    def everybody() -> set[int]:
        assert first.pid is not None
        return {one.pid for one in living.left_behind(first.pid, 0, me)}

    await until(lambda: "all here" in processes.log(NAME) and len(everybody()) == 5)
    return everybody()


def still_there(pids: set[int]) -> set[int]:
    return {pid for pid in pids if (seen := living.process(pid)) is not None and not seen.dead}


async def test_children_who_went_their_own_ways_are_gone_after_a_stop(
    processes: LocalProcesses, family: set[int]
) -> None:
    await processes.stop(NAME)
    assert not still_there(family)


async def test_what_a_dead_program_left_behind_is_gone_before_it_starts_again(
    processes: LocalProcesses, family: set[int]
) -> None:
    kill(only(processes).pid)
    await until(lambda: only(processes).running and only(processes).start == 2)
    assert not still_there(family)


async def test_what_was_left_without_program_and_keeper_is_ended_by_the_next_start(
    processes: LocalProcesses, family: set[int]
) -> None:
    first = only(processes)
    kill(keeper_pid(processes, NAME))
    kill(first.pid)
    await until(lambda: not only(processes).running and not only(processes).kept)
    orphans = {pid for pid in still_there(family) if processes.belongs(NAME, pid)}
    assert orphans
    processes.start(NAME, launch())
    assert not still_there(orphans)
    for pid in still_there(family):  # those who left the session while nobody kept them: nobody's
        kill(pid)


async def test_what_was_left_without_program_and_keeper_is_ended_by_a_stop(
    processes: LocalProcesses,
) -> None:
    first = processes.start(NAME, launch("sh", "-c", "sleep 1000 & exec sleep 1000"))
    assert first.pid is not None
    started_at = read_note(processes._at(NAME))["started"]
    await until(lambda: len(living.left_behind(first.pid or 0, started_at)) == 2)
    kill(keeper_pid(processes, NAME))
    kill(first.pid)
    await until(lambda: not only(processes).running and not only(processes).kept)
    assert living.left_behind(first.pid, started_at)
    await processes.stop(NAME)
    assert not living.left_behind(first.pid, started_at)


# -- What a program gets -------------------------------------------------------------------


async def test_a_program_ignores_and_blocks_no_signal_that_it_did_not_choose_to(
    processes: LocalProcesses,
) -> None:
    processes.start(NAME, launch("cat", "/proc/self/status"))
    await until(lambda: "SigIgn" in processes.log(NAME))
    said = dict(line.split(":\t") for line in processes.log(NAME).splitlines() if ":\t" in line)
    masks = {key: int(said[key], 16) & OPEN_TO_PROGRAMS for key in ("SigIgn", "SigBlk")}
    assert masks == {"SigIgn": 0, "SigBlk": 0}


async def test_a_program_dumps_no_core_and_has_no_files_but_its_own(
    processes: LocalProcesses,
) -> None:
    """S90"""
    processes.start(NAME, launch("sh", "-c", "ulimit -c; ls -l /proc/self/fd; umask; echo done"))
    await until(lambda: "done" in processes.log(NAME))
    lines = processes.log(NAME).split("total 0\n")[-1].splitlines()
    assert processes.log(NAME).splitlines()[0] == "0"
    assert "0022" in lines
    targets = [line.partition(" -> ")[2] for line in lines if " -> " in line]
    assert targets[0] == "/dev/null"
    assert targets[1] == targets[2] == str(Path(processes._at(NAME)) / "log")
    assert len(targets) == 4  # and the folder that ls itself reads


async def test_a_program_is_started_again_and_again_with_longer_pauses(
    processes: LocalProcesses,
) -> None:
    processes.start(NAME, launch("sh", "-c", "date +%s.%N; exit 1"))
    await until(lambda: len(processes.log(NAME).splitlines()) >= 3)
    times = [float(line) for line in processes.log(NAME).splitlines()[:3]]
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert pauses[0] >= 0.2
    assert pauses[1] >= 0.4


async def test_a_program_that_vanishes_later_is_tried_again_until_it_is_back(
    processes: LocalProcesses, tmp_path: Path
) -> None:
    program = tmp_path / "web"
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(0o755)
    first = processes.start(NAME, launch(str(program)))
    program.rename(tmp_path / "elsewhere")
    kill(first.pid)
    await until(lambda: "could not be started" in only(processes).note)
    assert only(processes).kept
    (tmp_path / "elsewhere").rename(program)
    await until(lambda: only(processes).running)


def test_a_program_that_may_not_be_executed_is_refused(
    processes: LocalProcesses, tmp_path: Path
) -> None:
    (tmp_path / "web").write_text("#!/bin/sh\n")
    with pytest.raises(Refused, match="web: Permission denied"):
        processes.start(NAME, launch(str(tmp_path / "web")))


# -- Logs ----------------------------------------------------------------------------------


def test_a_log_is_kept_small_while_somebody_writes_to_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with open(log, "ab", buffering=0) as writer:
        for number in range(5):
            writer.write(b"%d" % number * 700_000)
            keep_small(str(log))
            assert log.stat().st_size <= LOG_MAX
        writer.write(b"the end")
    assert log.read_bytes() == b"4" * 700_000 + b"the end"
    assert (tmp_path / "log.1").stat().st_size <= LOG_MAX
    assert {path.name for path in tmp_path.iterdir()} == {"log", "log.1"}


async def test_a_program_that_writes_without_end_does_not_fill_the_disk(
    processes: LocalProcesses,
) -> None:
    processes.start(NAME, launch("sh", "-c", "yes | head -c 4000000; echo the end; exec sleep 9"))
    at = Path(processes._at(NAME))
    await until(lambda: (at / "log.1").exists() and (at / "log").stat().st_size < LOG_MAX)
    assert (at / "log.1").stat().st_size <= LOG_MAX
    assert processes.log(NAME, 2).endswith("the end")


async def test_what_a_terminal_would_obey_is_not_told(processes: LocalProcesses) -> None:
    """S81"""
    text = r"printf 'a\033[31mred\033[0m\033]0;title\007\rb\000\tc\n'; exit 3"
    processes.start(NAME, launch("sh", "-c", text))
    await until(lambda: "exit code 3" in only(processes).note)
    assert processes.log(NAME, 1) == "aredb\tc"
    assert only(processes).note.endswith("aredb\tc")


# -- The program itself --------------------------------------------------------------------


CALLED = """
import sys, time
with open("/proc/self/comm", "w") as comm:
    comm.write(sys.argv[1])
print("named", flush=True)
time.sleep(1000)
"""
NAMES: dict[str, str] = {
    "plain": "sleep",
    "parentheses": "a) S 1 1 (b",
    "spaces": "  x  ",
    "a newline": "a\nb",
}


@pytest.mark.parametrize("name", NAMES)
async def test_proc_is_read_whatever_a_program_calls_itself(
    processes: LocalProcesses, name: str
) -> None:
    first = processes.start(NAME, python(CALLED, NAMES[name]))
    await until(lambda: "named" in processes.log(NAME))
    assert only(processes) == first
    assert first.pid is not None
    seen = living.process(first.pid)
    assert seen is not None
    assert (seen.session, seen.group, seen.parent) == (
        first.pid,
        first.pid,
        keeper_pid(processes, NAME),
    )


async def test_a_note_is_whole_whenever_its_keeper_was_killed(processes: LocalProcesses) -> None:
    """S11, S91: a program that dies all the time, a keeper that notes it, and is killed."""
    at = processes._at(NAME)
    for round_ in range(6):
        try:
            processes.start(NAME, launch("true"))
        except Unreachable:
            pass
        await asyncio.sleep(round_ * 0.003)  # the sampled moment
        kill(keeper_pid(processes, NAME))
        assert read_note(at)["start"] >= round_ + 1
        assert os.stat(os.path.join(at, "state.json")).st_mode & 0o777 == 0o600
        await until(lambda: not only(processes).kept)
    left = set(os.listdir(at))
    assert left <= {"lock", "state.json", "state.json.new", "log"}
