"""Who may import whom: the contracts of `.importlinter`, and what they cannot say."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PURE = {
    "__future__", "abc", "bisect", "collections", "copy", "dataclasses", "enum", "functools",
    "hashlib", "heapq", "itertools", "json", "math", "operator", "re", "string", "types", "typing",
}  # fmt: skip
"""What core may use of the standard library: values and functions of values."""

PROMISES = PURE | {"contextlib"}
"""What ports may use: a lock taken for a while is a promise, too."""

KEEPER = "orchestrator.adapters.local.keeper"
PROGRAMS = (
    "orchestrator/adapters/local/keeper/*.py",
    "orchestrator/adapters/local/errand.py",
    "agents/**/*.py",
)
"""Programs that are run by path, by whatever Python is there: nothing of the package in them."""


def test_every_floor_of_the_house_imports_only_what_lies_below_it(root: Path) -> None:
    lint = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    done = subprocess.run(lint, check=False, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_core_uses_only_pure_parts_of_the_standard_library(root: Path) -> None:
    assert strangers(root / "orchestrator" / "core", PURE) == {}


def test_ports_use_only_what_a_promise_can_be_written_with(root: Path) -> None:
    assert strangers(root / "orchestrator" / "ports", PROMISES) == {}


def programs(root: Path) -> list[Path]:
    return [path for pattern in PROGRAMS for path in sorted(root.glob(pattern))]


def test_the_keeper_is_among_the_programs(root: Path) -> None:
    assert root / KEEPER.replace(".", "/") / "__main__.py" in programs(root)


def test_programs_that_run_by_themselves_import_only_the_standard_library(root: Path) -> None:
    own = {path.stem for path in (root / "agents").glob("*")}
    for program in programs(root):
        kept = {name for name in modules(program) if not name.startswith(f"{KEEPER}.")}
        foreign = tops(kept) - set(sys.stdlib_module_names) - own
        assert not foreign, f"{program}: {sorted(foreign)}"


def test_programs_that_run_by_themselves_are_read_by_python_3_8(root: Path) -> None:
    for program in programs(root):
        try:
            ast.parse(program.read_text(), str(program), feature_version=(3, 8))
        except SyntaxError as error:
            pytest.fail(f"{program}: {error}")


def strangers(folder: Path, allowed: set[str]) -> dict[str, list[str]]:
    found = {
        str(path): sorted(imported(path) - allowed - {"orchestrator"})
        for path in sorted(folder.glob("*.py"))
    }
    return {path: names for path, names in found.items() if names}


def imported(path: Path) -> set[str]:
    """The top names of everything a file imports, wherever in the file."""
    return tops(modules(path))


def tops(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def modules(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: a relative import"
            names.add(node.module or "")
    return names
