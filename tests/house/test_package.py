"""What is shipped: one version, said once; one wheel with one package; two commands that exist."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

import orchestrator
from tests.house import tracked


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from what lies here."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, check=False, cwd=tracked.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("bgctl-*.whl"))


def test_the_changelog_begins_with_the_version_of_the_package(root: Path) -> None:
    changes = (root / "CHANGELOG.md").read_text()
    heading = re.search(r"^## \[?v?(\d+\.\d+\.\d+)", changes, re.MULTILINE)
    assert heading is not None, "CHANGELOG.md has no heading like `## 0.1.0`"
    assert heading.group(1) == orchestrator.__version__


def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {tracked.name(path) for path in tracked.files(under="orchestrator", new=True)}
    package.add("orchestrator/adapters/ssh/agent.pyz")  # what runs on hosts, zipped on the way
    info = f"bgctl-{orchestrator.__version__}.dist-info/"
    assert {name for name in names if not name.startswith(info)} == package
    assert f"{info}licenses/LICENSE" in names


@pytest.mark.parametrize(
    "file",
    ["config/example.yaml", "adapters/local/keeper/__main__.py", "py.typed", "doors/cli/app.py"],
)
def test_what_is_read_at_run_time_travels_in_the_wheel(wheel: Path, file: str) -> None:
    assert f"orchestrator/{file}" in zipfile.ZipFile(wheel).namelist()


def test_the_command_starts_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    for arguments in (["--help"], ["schema"]):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "orchestrator", *arguments],
            check=False, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "site"), "PATH": ""},
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()


def test_the_command_has_three_names() -> None:
    scripts = project()["scripts"]
    assert set(scripts) == {"bgctl", "bg", "kubectl-bg"}
    assert set(scripts.values()) == {"orchestrator.doors.cli.app:main"}


def test_everything_pinned_has_hashes_and_no_address(root: Path) -> None:
    for path in root.glob("requirements*.txt"):
        pins = [line for line in path.read_text().splitlines() if not line.startswith(("#", " "))]
        assert pins, path
        assert all(re.match(r"[a-z0-9-]+==\S+ .*\\$", line) for line in pins), path
        assert "://" not in path.read_text()


def test_everything_asked_for_is_pinned(root: Path) -> None:
    asked = {
        "requirements.txt": project()["dependencies"],
        "requirements-dev.txt": project()["optional-dependencies"]["dev"],
    }
    for file, wanted in asked.items():
        pinned = set(re.findall(r"^([a-z0-9-]+)==", (root / file).read_text(), re.MULTILINE))
        names = {re.split(r"[><=; ]", name)[0].lower() for name in wanted}
        assert names <= pinned, file


def test_the_readme_begins_with_the_two_commands_that_exist(root: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE))
    said = re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)", (root / "README.md").read_text())
    assert list(dict.fromkeys(said))[:2] == ["demo", "test"]
    assert set(said) <= targets


def project() -> dict[str, Any]:
    text = (tracked.ROOT / "pyproject.toml").read_text()
    value: dict[str, Any] = tomllib.loads(text)["project"]
    return value
