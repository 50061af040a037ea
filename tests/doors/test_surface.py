"""The surface of the command: its verbs, options and words. What changes here is noticed by people.

`BG_GOLDEN=write` writes the files anew; look at the difference before you keep it.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.doors.cli import app
from orchestrator.doors.cli.exits import Exit
from orchestrator.doors.cli.setting import hoisted

CASES = {"bgctl": ["--help"], **{verb: [verb, "--help"] for verb in app.VERBS}}


@pytest.mark.parametrize("name", CASES)
def test_the_help_of_every_verb_is_as_it_was(
    name: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("BG_SITE", raising=False)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert app.run(CASES[name]) == 0
    golden = root / "tests" / "golden" / "cli" / f"{name}.txt"
    if os.environ.get("BG_GOLDEN") == "write":
        golden.write_text(out.getvalue())
    assert out.getvalue() == golden.read_text()


def test_every_golden_file_belongs_to_a_verb(root: Path) -> None:
    files = {path.stem for path in (root / "tests" / "golden" / "cli").glob("*.txt")}
    assert files == set(CASES)


def test_no_line_of_help_is_wider_than_a_terminal(root: Path) -> None:
    for path in (root / "tests" / "golden" / "cli").glob("*.txt"):
        wide = [line for line in path.read_text().splitlines() if len(line) > 80]
        assert not wide, f"{path.name}: {wide}"


def test_the_exit_codes_are_those_that_are_written_down(root: Path) -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (root / "docs" / "exit-codes.md").read_text().splitlines()
        if line.startswith("| ") and line[2].isdigit()
    ]
    assert {(int(row[0]), row[1]) for row in rows} == {(e.value, e.means) for e in Exit}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["deploy", "web=2", "-o", "json"], ["-o", "json", "deploy", "web=2"]),
        (["status", "--site=x.yaml", "-w"], ["--site=x.yaml", "status", "-w"]),
        (["switch", "--no-color", "--why", "x"], ["--no-color", "switch", "--why", "x"]),
        (["switch", "--why", "--", "-o", "json"], ["switch", "--why", "--", "-o", "json"]),
        (["logs", "web", "-o"], ["-o", "logs", "web"]),
    ],
)
def test_options_for_every_verb_may_stand_anywhere(typed: list[str], meant: list[str]) -> None:
    assert hoisted(typed) == meant


@pytest.mark.parametrize(
    "words", [["nonsense"], ["deploy"], ["deploy", "--nonsense", "2"], ["-o", "xml", "status"]]
)
def test_a_mistyped_command_is_bad_input_and_touches_nothing(words: list[str]) -> None:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = app.run(words)
    assert (code, out.getvalue()) == (Exit.BAD_INPUT, "")
    assert "Usage" in err.getvalue()


HEAVY = {
    "asyncio",
    "sqlite3",
    "yaml",
    "pydantic",
    "rich",
    "structlog",
    "tenacity",
    "orchestrator.engine",
}


def test_help_imports_nothing_that_takes_long() -> None:
    code = (
        "import sys; from orchestrator.doors.cli import app; assert app.run(['--help']) == 0;"
        " print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert HEAVY & set(done.stderr.split()) == set()
