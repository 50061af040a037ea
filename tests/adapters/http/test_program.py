"""A probe that is a program: how it ends, what it leaves behind, and what is told of it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.http.prober import NetworkProber
from orchestrator.core.health import Found, Sample
from orchestrator.core.model import ExecProbe
from orchestrator.ports.prober import Target
from tests.adapters.http.answers import WORDS


async def ran(
    code: str, *, timeout_s: float = 10.0, env: dict[str, str] | None = None, cwd: str = "/"
) -> Sample:
    return await run((sys.executable, "-c", code), timeout_s=timeout_s, env=env, cwd=cwd)


async def run(
    argv: tuple[str, ...],
    *,
    timeout_s: float = 10.0,
    env: dict[str, str] | None = None,
    cwd: str = "/",
) -> Sample:
    target = Target("127.0.0.1", 1, WORDS, env or {}, cwd)
    began_s = time.monotonic()
    sample = await NetworkProber(SystemClock()).sample(target, (ExecProbe(argv),), timeout_s)
    assert time.monotonic() - began_s < timeout_s + 2.0
    assert len(sample.why) <= 200 and sample.why.isprintable()
    return sample


async def test_what_exits_with_zero_is_good() -> None:
    sample = await ran("print('fine')")
    assert (sample.found, sample.why) == (Found.GOOD, "")


async def test_what_exits_otherwise_is_bad_and_its_last_line_is_told() -> None:
    code = "import sys; print('one', flush=True); print('no database', file=sys.stderr); exit(3)"
    sample = await ran(code)
    assert sample.found is Found.BAD
    assert sample.why.endswith(": exit code 3: no database")


async def test_it_has_the_environment_and_the_folder_of_the_instance_and_nothing_else(
    tmp_path: Path,
) -> None:
    code = (
        "import os; assert os.getcwd() == os.environ['WHERE'];"
        " assert not set(os.environ) - {'WHERE', 'LC_CTYPE'}, os.environ"
    )
    sample = await ran(code, env={"WHERE": str(tmp_path)}, cwd=str(tmp_path))
    assert sample.found is Found.GOOD, sample.why


async def test_templates_in_its_words_are_filled_in() -> None:
    code = "import sys; assert sys.argv[1:] == ['20010', 'green', '{x}']"
    argv = (sys.executable, "-c", code, "{port}", "{color}", "{x}")
    assert (await run(argv)).found is Found.GOOD


async def test_it_reads_nothing() -> None:
    assert (await ran("import sys; assert sys.stdin.read() == ''")).found is Found.GOOD


async def test_what_cannot_be_run_is_bad() -> None:
    sample = await run(("/nowhere/probe",))
    assert (sample.found, sample.why) == (Found.BAD, "probe: no such file or directory")


async def test_what_takes_too_long_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    """S41: no probe leaves anything behind that runs on."""
    code = (
        "import subprocess, sys, os, time;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "open('pids', 'w').write(f'{os.getpid()} {child.pid}\\n');"
        "time.sleep(60)"
    )
    sample = await ran(code, timeout_s=1.5, cwd=str(tmp_path))
    assert sample.found is Found.BAD and sample.why.endswith("no answer within 1.5 s")
    await until_gone([int(pid) for pid in (tmp_path / "pids").read_text().split()])


async def until_gone(pids: list[int]) -> None:
    until_s = time.monotonic() + 10
    while left := [pid for pid in pids if _runs(pid)]:
        assert time.monotonic() < until_s, left
        await asyncio.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return b") Z " not in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False


async def test_output_without_end_is_not_kept() -> None:
    """S81: it is read, so that nobody waits for us, and thrown away."""
    code = "for _ in range(2000): print('x' * 10_000, flush=True)\nexit('the end')"
    sample = await ran(code)
    assert sample.found is Found.BAD and sample.why.endswith("exit code 1: the end")


async def test_something_left_behind_that_holds_the_output_open_is_not_waited_for(
    tmp_path: Path,
) -> None:
    code = (
        "import subprocess, sys;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(30)']);"
        "open('pid', 'w').write(str(child.pid))"
    )
    try:
        assert (await ran(code, timeout_s=20.0, cwd=str(tmp_path))).found is Found.GOOD
    finally:
        os.kill(int((tmp_path / "pid").read_text()), 9)


async def test_no_secret_of_the_instance_is_told() -> None:
    """S90: every value of its environment is blotted out, also in what the program itself says."""
    code = "import os; exit('cannot log in with ' + os.environ['PASSWORD'] + '!')"
    sample = await ran(code, env={"PASSWORD": "hunter22"})
    assert sample.why.endswith("exit code 1: cannot log in with •••!")


async def test_hostile_output_is_told_in_one_printable_line() -> None:
    """S81."""
    sample = await ran(r"exit('\x1b[31mred\x07 \u202e alert')", env={"PYTHONIOENCODING": "utf-8"})
    assert sample.why.endswith("exit code 1: red· · alert")
