"""The README's two commands, as a newcomer types them: in a fresh clone, with nothing set up.

`make test` leaves these out itself (they are slow), so it does not run inside itself for ever.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def clone(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh") / "bg"
    subprocess.run(["git", "clone", "--quiet", str(root), str(folder)], check=True)
    return folder


def test_the_first_command_shows_the_whole_story_and_loses_nothing(clone: Path) -> None:
    done = make(clone, "demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list((clone / "examples" / "shop").glob("state*")), "it left something behind"


def test_the_second_command_is_green(clone: Path) -> None:
    done = make(clone, "test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout.splitlines()[-1]


def make(clone: Path, target: str) -> subprocess.CompletedProcess[str]:
    known = ("VIRTUAL_ENV", "PYTHONPATH", "BG_SITE", "MAKEFLAGS")
    plain = {name: value for name, value in os.environ.items() if name not in known}
    return subprocess.run(
        ["make", "--no-print-directory", target], check=False, cwd=clone,
        env={**plain, "CI": "true"}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
