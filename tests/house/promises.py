"""Which test covers which promise: the last column of docs/promises.md, from the tests themselves.

    python -m tests.house.promises        writes the column anew

A test covers a promise when its name or its docstring, or its module's docstring, names the number
(`S21`).
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "promises.md"
NUMBER = re.compile(r"(?<![A-Za-z0-9])[Ss](\d{1,2})(?![0-9])")
ROW = re.compile(r"^\| (S\d+) \| (.*?) \| (.*?) \|$")


@cache
def covered() -> dict[str, dict[str, list[str]]]:
    """By number: test files, and the tests in each that name it (none: the module does)."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted([*ROOT.glob("tests/**/test_*.py"), *ROOT.glob("e2e/**/test_*.py")]):
        tree = ast.parse(path.read_text())
        name = str(path.relative_to(ROOT))
        for number in NUMBER.findall(ast.get_docstring(tree) or ""):
            found[f"S{number}"].setdefault(name, [])
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_test(node):
                text = f"{node.name.replace('_', ' ')} {ast.get_docstring(node) or ''}"
                for number in dict.fromkeys(NUMBER.findall(text)):
                    found[f"S{number}"][name].append(node.name)
    return found


def _is_test(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return node.name.startswith("test_")


def written() -> str:
    """The page as it should be."""
    found = covered()
    lines = []
    for line in PAGE.read_text().splitlines():
        if row := ROW.match(line):
            files = found.get(row[1], {})
            links = ", ".join(f"[{Path(f).stem}](../{f})" for f in files) or "none yet"
            line = f"| {row[1]} | {row[2]} | {links} |"
        lines.append(line)
    return "\n".join(lines) + "\n"


def listed() -> list[str]:
    return [row[1] for line in PAGE.read_text().splitlines() if (row := ROW.match(line))]


if __name__ == "__main__":
    PAGE.write_text(written())
