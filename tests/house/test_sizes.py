"""The sizes of the house: what fits on a screen can be read, what does not is split.

An exception needs a reason, and one that is no longer needed is a mistake, too.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.house import tracked

LINES_MAX = 400  # of a module
TEST_LINES_MAX = 600  # of one with tests: each of them is read alone
BODY_MAX = 40  # lines of a function, without its docstring
PARAMETERS_MAX = 6

EXCEPTIONS: dict[str, str] = {
    # "path" or "path::function": "why it is clearer this way",
    "orchestrator/doors/cli/deploy.py::deploy": "a verb's parameters are its options, one each",
}


class Function(NamedTuple):
    place: str  # path::name
    lines: int
    parameters: int


def test_no_module_is_longer_than_four_hundred_lines() -> None:
    long = {tracked.name(path): lines_of(path) for path in tracked.files(".py") if is_long(path)}
    assert {path for path in long if path not in EXCEPTIONS} == set(), long


def test_no_function_is_longer_than_forty_lines() -> None:
    long = [f"{f.place} has {f.lines}" for f in functions() if f.lines > BODY_MAX and unlisted(f)]
    assert not long, "\n".join(long)


def test_no_function_takes_more_than_six_parameters() -> None:
    wide = [f"{f.place}: {f.parameters}" for f in functions() if f.parameters > PARAMETERS_MAX]
    assert not [place for place in wide if place.partition(": ")[0] not in EXCEPTIONS], wide


def test_every_module_says_what_it_is() -> None:
    silent = [
        tracked.name(path)
        for path in tracked.files(".py")
        if (text := path.read_text()).strip() and not ast.get_docstring(ast.parse(text))
    ]
    assert not silent


def test_every_exception_is_still_needed_and_has_a_reason() -> None:
    large = {f.place for f in functions() if f.lines > BODY_MAX or f.parameters > PARAMETERS_MAX}
    large |= {tracked.name(path) for path in tracked.files(".py") if is_long(path)}
    assert set(EXCEPTIONS) <= large
    assert all(len(reason) > 20 for reason in EXCEPTIONS.values())


def unlisted(function: Function) -> bool:
    return function.place not in EXCEPTIONS


def is_long(path: Path) -> bool:
    test = tracked.name(path).startswith(("tests/", "e2e/"))
    return lines_of(path) > (TEST_LINES_MAX if test else LINES_MAX)


def lines_of(path: Path) -> int:
    return len(path.read_text().splitlines())


@cache
def functions() -> tuple[Function, ...]:
    return tuple(
        measured(f"{tracked.name(path)}::{node.name}", node)
        for path in tracked.files(".py")
        for node in ast.walk(ast.parse(path.read_text(), str(path)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def measured(place: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Function:
    end = node.end_lineno or node.lineno
    lines = end - node.lineno + 1
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    given = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return Function(place, lines, len([name for name in given if name not in ("self", "cls")]))
