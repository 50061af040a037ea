"""What every `Processes` promises: one copy of each name, numbered starts, nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.ports.processes import Launch, Processes, ProcessSeen
from orchestrator.ports.trouble import Refused
from tests.adapters.local import samples
from tests.adapters.local.samples import launch, python, until

PLACES: dict[str, Callable[[Path], AbstractAsyncContextManager[Processes]]] = {
    "local": lambda place: samples.kept_in(place / "processes"),
}

DEAF = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture(params=PLACES)
async def processes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Processes]:
    async with PLACES[request.param](tmp_path) as found:
        yield found


def only(processes: Processes, name: str = "web/blue/0") -> ProcessSeen:
    (seen,) = processes.look(name)
    return seen


async def running(processes: Processes, start: int) -> ProcessSeen:
    await until(lambda: only(processes).running and only(processes).start >= start)
    return only(processes)


def test_nothing_was_ever_started(processes: Processes) -> None:
    assert processes.look() == ()


def test_a_started_program_runs_and_is_kept(processes: Processes) -> None:
    seen = processes.start("web/blue/0", launch(tag="release 1"))
    assert (seen.running, seen.kept, seen.tag, seen.start) == (True, True, "release 1", 1)
    assert seen == only(processes)
    assert seen.pid is not None
    assert str(seen.pid) in seen.identity
    assert seen.note == ""


def test_starting_twice_starts_once(processes: Processes) -> None:
    first = processes.start("web/blue/0", launch())
    assert processes.start("web/blue/0", launch()) == first


def test_a_name_that_runs_something_else_is_refused_and_left_alone(processes: Processes) -> None:
    first = processes.start("web/blue/0", launch(tag="release 1"))
    with pytest.raises(Refused, match="web/blue/0"):
        processes.start("web/blue/0", launch(tag="release 2"))
    assert only(processes) == first


def test_a_look_is_for_whole_parts_of_a_name(processes: Processes) -> None:
    for name in ("web/blue/0", "web/blue/1", "web/green/0", "webs/blue/0"):
        processes.start(name, launch())
    names = [seen.name for seen in processes.look("web/blue")]
    assert names == ["web/blue/0", "web/blue/1"]
    assert processes.look("web/bl") == ()
    assert len(processes.look("web")) == 3


def test_a_missing_program_is_refused_with_its_name_and_nothing_stays(processes: Processes) -> None:
    with pytest.raises(Refused, match=r"web/blue/0.*bin/web: No such file"):
        processes.start("web/blue/0", launch("bin/web"))
    seen = only(processes)
    assert (seen.running, seen.kept) == (False, False)
    assert "bin/web" in seen.note


def test_a_missing_folder_is_refused_with_its_name(processes: Processes) -> None:
    with pytest.raises(Refused, match="/nowhere/at/all"):
        processes.start("web/blue/0", replace(launch(), cwd="/nowhere/at/all"))


def test_a_program_gets_its_arguments_environment_and_folder_and_nothing_else(
    processes: Processes, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    text = (
        "import os,sys\n"
        "with open(sys.argv[1], 'w') as said:\n"
        "    print(sys.argv[1:], sorted(os.environ), os.getcwd(), file=said)\n"
    )
    # Python adds LC_CTYPE by itself where it is missing.
    sent = python(text, str(said), "two words", WHO="me", LC_CTYPE="C.UTF-8")
    wanted = replace(sent, cwd=str(tmp_path))
    processes.start("web/blue/0", wanted)
    samples.wait_until(lambda: said.exists() and said.read_text().endswith("\n"))
    expected = f"{[str(said), 'two words']} {sorted(wanted.env)} {tmp_path}\n"
    assert said.read_text() == expected


def test_a_program_that_dies_is_started_again_under_a_new_number(processes: Processes) -> None:
    first = processes.start("web/blue/0", launch())
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    samples.wait_until(lambda: only(processes).running and only(processes).start == 2)
    second = only(processes)
    assert second.identity != first.identity
    assert "SIGKILL" in second.note
    assert second.tag == first.tag


def test_how_it_ended_is_noted_with_its_last_words(processes: Processes) -> None:
    processes.start("web/blue/0", python("print('no database'); raise SystemExit(3)"))
    samples.wait_until(lambda: "exit code 3" in only(processes).note)
    assert "no database" in only(processes).note


def test_the_log_has_the_last_lines(processes: Processes) -> None:
    processes.start("web/blue/0", python("print(*range(100), sep='\\n'); raise SystemExit"))
    samples.wait_until(lambda: processes.log("web/blue/0").endswith("99"))
    assert processes.log("web/blue/0", 3) == "97\n98\n99"


async def test_a_stopped_program_is_gone_and_remembered(processes: Processes) -> None:
    first = processes.start("web/blue/0", launch(tag="release 1"))
    await processes.stop("web/blue/0")
    seen = only(processes)
    assert (seen.running, seen.kept, seen.pid) == (False, False, None)
    assert (seen.tag, seen.start) == ("release 1", first.start)
    assert "stopped" in seen.note


async def test_stopping_twice_or_what_never_was_is_harmless(processes: Processes) -> None:
    await processes.stop("web/blue/0")
    assert processes.look() == ()
    processes.start("web/blue/0", launch())
    await processes.stop("web/blue/0")
    once = only(processes)
    await processes.stop("web/blue/0")
    assert only(processes) == once


async def test_a_program_may_end_by_itself_when_asked_to(processes: Processes) -> None:
    text = (
        "import signal,sys,time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('goodbye'), sys.exit(0)))\n"
        "print('ready', flush=True)\n"
        "time.sleep(1000)"
    )
    processes.start("web/blue/0", python(text))
    await until(lambda: "ready" in processes.log("web/blue/0"))
    await processes.stop("web/blue/0")
    assert "goodbye" in processes.log("web/blue/0")
    assert "exit code 0" in only(processes).note


async def test_a_program_that_will_not_end_is_killed_after_its_time(processes: Processes) -> None:
    processes.start("web/blue/0", python(DEAF, stop_s=0.3))
    await until(lambda: "deaf" in processes.log("web/blue/0"))
    await processes.stop("web/blue/0")
    seen = only(processes)
    assert not seen.running
    assert "SIGKILL" in seen.note


async def test_a_program_that_stands_still_is_stopped_as_well(processes: Processes) -> None:
    seen = processes.start("web/blue/0", launch())
    assert seen.pid is not None
    os.kill(seen.pid, signal.SIGSTOP)
    await processes.stop("web/blue/0")
    assert not only(processes).running


async def test_a_program_that_keeps_dying_is_stopped_between_two_lives(
    processes: Processes,
) -> None:
    processes.start("web/blue/0", launch("false"))
    await until(lambda: only(processes).start >= 2 and not only(processes).running)
    assert only(processes).kept
    await processes.stop("web/blue/0")
    seen = only(processes)
    assert (seen.running, seen.kept) == (False, False)


async def test_starts_are_numbered_on_after_a_stop(processes: Processes) -> None:
    numbers = []
    for _ in range(3):
        numbers.append(processes.start("web/blue/0", launch()).start)
        await processes.stop("web/blue/0")
    assert numbers == [1, 2, 3]


async def test_a_forgotten_name_is_gone_and_its_numbers_are_never_given_again(
    processes: Processes,
) -> None:
    first = processes.start("web/blue/0", launch())
    await processes.stop("web/blue/0")
    processes.forget("web/blue/0")
    assert processes.look() == ()
    assert processes.log("web/blue/0") == ""
    assert processes.start("web/blue/0", launch(tag="another")).start > first.start


async def test_what_runs_is_not_forgotten(processes: Processes) -> None:
    first = processes.start("web/blue/0", launch())
    with pytest.raises(Refused, match="stop it first"):
        processes.forget("web/blue/0")
    assert only(processes) == first
    processes.forget("never/was")


async def test_many_are_stopped_side_by_side(processes: Processes) -> None:
    names = [f"web/blue/{n}" for n in range(4)]
    for name in names:
        processes.start(name, python(DEAF, stop_s=0.5))
    await until(lambda: all("deaf" in processes.log(name) for name in names))
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(processes.stop(name) for name in names))
    assert asyncio.get_running_loop().time() - began < 4 * 0.5
    assert not any(seen.running or seen.kept for seen in processes.look())


async def test_what_was_told_to_end_ends_without_anybody_waiting(processes: Processes) -> None:
    processes.start("web/blue/0", launch())
    processes.end("web/blue/0")
    await until(lambda: not only(processes).running and not only(processes).kept)
    assert await processes.ended("web/blue/0")


async def test_waiting_for_an_end_touches_nothing(processes: Processes) -> None:
    first = processes.start("web/blue/0", launch())
    assert not await processes.ended("web/blue/0", within_s=0.05)
    assert only(processes) == first


def test_a_process_belongs_to_the_name_that_began_it(processes: Processes) -> None:
    seen = processes.start("web/blue/0", launch())
    processes.start("web/blue/1", launch())
    assert seen.pid is not None
    assert processes.belongs("web/blue/0", seen.pid)
    assert not processes.belongs("web/blue/1", seen.pid)
    assert not processes.belongs("web/blue/0", os.getpid())


def test_a_launch_does_not_show_its_environment() -> None:
    """S90"""
    assert "hunter2" not in repr(Launch(("x",), {"PASSWORD": "hunter2"}, "/"))
