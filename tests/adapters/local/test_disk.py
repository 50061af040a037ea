"""Files that survive whatever happens to their writer (S10, S11, S91)."""

from __future__ import annotations

import errno
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.ports.trouble import Refused
from orchestrator.releases import disk
from tests.adapters.local.samples import ROOT

WRITING = """
import sys
from orchestrator.releases import disk
for number in range(10**6):
    disk.write(sys.argv[1], b"%d" % (number % 10) * 200_000)
    print(number, flush=True)
"""


def test_a_file_is_whole_whenever_its_writer_was_killed(tmp_path: Path) -> None:
    """S11, S91"""
    path, lots = tmp_path / "file", random.Random(1)
    argv = (sys.executable, "-c", WRITING, str(path))
    for _ in range(5):
        with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "0\n"
            time.sleep(lots.random() * 0.02)  # the sampled moment
            writer.kill()
        data = path.read_bytes()
        assert len(data) == 200_000
        assert len(set(data)) == 1


def test_what_is_written_is_private(tmp_path: Path) -> None:
    """S91"""
    disk.make_folder(str(tmp_path / "a" / "b"))
    disk.write(str(tmp_path / "a" / "b" / "file"), b"x")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "a" / "b" / "file").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == {"file"}


def test_what_is_not_there_is_read_as_nothing_and_deleted_without_a_word(tmp_path: Path) -> None:
    assert disk.read(str(tmp_path / "nothing")) is None
    disk.delete(str(tmp_path / "nothing"))
    disk.write(str(tmp_path / "file"), b"x")
    disk.delete(str(tmp_path / "file"))
    assert disk.read(str(tmp_path / "file")) is None


def test_what_the_disk_refuses_is_told_with_what_was_being_done() -> None:
    """S10"""
    full = OSError(errno.ENOSPC, "No space left on device", "/state/x")
    with pytest.raises(Refused, match=r"staging web failed: No space"), disk.told("staging web"):
        raise full
