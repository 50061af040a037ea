"""The fence between processes: a driver that was stopped, killed or woken cannot do harm (S3)."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.adapters.local.fence import LocalFence
from orchestrator.ports.trouble import Refused, Superseded, Unreachable
from tests.adapters.local.samples import ROOT

HOLDING = """
import sys
from orchestrator.adapters.local.fence import LocalFence
fence = LocalFence(sys.argv[1])
with fence.holding(int(sys.argv[2])):
    print("inside", flush=True)
    sys.stdin.readline()
print("outside", flush=True)
sys.stdin.readline()
try:
    with fence.holding(int(sys.argv[2])):
        print("again", flush=True)
except Exception as trouble:
    print(type(trouble).__name__, flush=True)
"""


@contextmanager
def another(path: Path, epoch: int) -> Iterator[subprocess.Popen[str]]:
    """Another driver, inside the fence."""
    argv = (sys.executable, "-c", HOLDING, str(path), str(epoch))
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as driver:
        try:
            assert heard(driver) == "inside"
            yield driver
        finally:
            driver.kill()


def heard(driver: subprocess.Popen[str]) -> str:
    assert driver.stdout is not None
    return driver.stdout.readline().strip()


def say(driver: subprocess.Popen[str]) -> None:
    assert driver.stdin is not None
    driver.stdin.write("\n")
    driver.stdin.flush()


def test_two_drivers_are_never_inside_at_once(tmp_path: Path) -> None:
    path = tmp_path / "fence"
    impatient = LocalFence(str(path), wait_s=0.05)
    held = pytest.raises(Unreachable, match="held by another process")
    with another(path, 1), held, impatient.holding(2):
        raise AssertionError("inside")
    assert LocalFence(str(path)).youngest() == 1


def test_a_driver_killed_inside_leaves_the_fence_free(tmp_path: Path) -> None:
    path = tmp_path / "fence"
    with another(path, 1) as driver:
        os.kill(driver.pid, signal.SIGSTOP)
        driver.kill()
        with LocalFence(str(path)).holding(2):
            pass


def test_a_driver_that_wakes_up_finds_the_younger_epoch(tmp_path: Path) -> None:
    """S3"""
    path = tmp_path / "fence"
    with another(path, 1) as driver:
        say(driver)
        assert heard(driver) == "outside"
        os.kill(driver.pid, signal.SIGSTOP)
        with LocalFence(str(path)).holding(2):
            pass
        os.kill(driver.pid, signal.SIGCONT)
        say(driver)
        assert heard(driver) == "Superseded"


def test_a_child_does_not_hold_the_fence_of_its_parent(tmp_path: Path) -> None:
    fence = LocalFence(str(tmp_path / "fence"), wait_s=0.05)
    with fence.holding(1):
        child = subprocess.Popen(("sleep", "1000"), close_fds=False)
    try:
        with another(tmp_path / "fence", 2):
            pass
    finally:
        child.kill()
        child.wait()


def test_the_epoch_is_whole_whenever_its_writer_was_killed(tmp_path: Path) -> None:
    """S11, S91"""
    text = (
        "import sys\n"
        "from orchestrator.adapters.local.fence import LocalFence\n"
        "for epoch in range(1, 10**6):\n"
        "    with LocalFence(sys.argv[1]).holding(epoch):\n"
        "        pass\n"
        "    print(epoch, flush=True)\n"
    )
    seen = 0
    for round_ in range(4):
        path = tmp_path / f"fence{round_}"
        argv = (sys.executable, "-c", text, str(path))
        with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as driver:
            for _ in range(random.Random(round_).randrange(1, 40)):
                seen = int(heard(driver))
            driver.kill()
        assert LocalFence(str(path)).youngest() >= seen
        fence = LocalFence(str(path))
        with fence.holding(10**6), pytest.raises(Superseded), fence.holding(seen):
            pass


def test_a_damaged_epoch_is_refused_and_not_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / "fence.epoch").write_text("seven")
    with pytest.raises(Refused, match=r"fence\.epoch holds no epoch"):
        LocalFence(str(tmp_path / "fence")).youngest()


def test_a_state_folder_that_cannot_be_made_is_refused_with_its_name(tmp_path: Path) -> None:
    """S10"""
    (tmp_path / "state").write_text("a file")
    fence = LocalFence(str(tmp_path / "state" / "fence"))
    with pytest.raises(Refused, match=r"taking the fence failed.*state"), fence.holding(1):
        pass


def test_the_files_of_the_fence_are_private(tmp_path: Path) -> None:
    """S91"""
    with LocalFence(str(tmp_path / "state" / "fence")).holding(1):
        pass
    assert (tmp_path / "state" / "fence.epoch").exists()
    for path in ((tmp_path / "state"), *(tmp_path / "state").iterdir()):
        assert path.stat().st_mode & 0o077 == 0
