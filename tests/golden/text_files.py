"""Texts that are kept as files: compared, or, with UPDATE_GOLDEN=1, written anew."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "text"
UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"


def same_as_kept(name: str, text: str) -> None:
    """Fails with the difference where the file `name` says something else."""
    path = FOLDER / name
    if UPDATE:
        path.write_text(text + "\n", encoding="utf-8")
    assert path.is_file(), f"{name} is not kept yet: UPDATE_GOLDEN=1 writes it"
    assert text + "\n" == path.read_text(encoding="utf-8")


def kept(prefix: str) -> set[str]:
    return {path.name for path in FOLDER.glob(f"{prefix}*.txt")}
