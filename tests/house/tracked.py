"""The files that belong to the repository: what git tracks."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def files(*suffixes: str, under: str = ".", new: bool = False) -> list[Path]:
    """Absolute paths below a folder, sorted; `new`: also what the next `git add` would take.

    Only those with one of the suffixes, where any is given.
    """
    kinds = ["--cached", "--others", "--exclude-standard"] if new else ["--cached"]
    listed = subprocess.run(
        ["git", "ls-files", "-z", *kinds, "--", under],
        cwd=ROOT, capture_output=True, check=True, text=True,
    )  # fmt: skip
    paths = sorted(ROOT / name for name in set(listed.stdout.split("\0")) if name)
    return [p for p in paths if p.is_file() and (not suffixes or p.suffix in suffixes)]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
