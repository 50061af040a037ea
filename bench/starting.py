"""How long the command takes to start, against `python -c 'import typer'`, in pairs by turns."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.table import Row

BIN = Path(sys.executable).parent
BASE = [sys.executable, "-c", "import typer"]
HELP_MOST, STATUS_MOST = 1.3, 2.5


def run(quick: bool) -> list[Row]:
    rounds = 7 if quick else 31
    with tempfile.TemporaryDirectory() as folder:
        site = _site(Path(folder))
        status = [str(BIN / "bgctl"), "--site", str(site), "status"]
        subprocess.run(status, capture_output=True, check=True)  # the site file is read and cached
        return [
            _row("`bgctl --help`", [str(BIN / "bgctl"), "--help"], HELP_MOST, rounds),
            _row("`bgctl status`", status, STATUS_MOST, rounds),
        ]


def _site(folder: Path) -> Path:
    from orchestrator.config.init import first_files

    for name, text in first_files(folder).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "bg.yaml"


def _row(name: str, argv: list[str], most: float, rounds: int) -> Row:
    pairs = [(_timed(argv), _timed(BASE)) for _ in range(rounds)]
    ratio = statistics.median(ours / base for ours, base in pairs)
    ours_ms = statistics.median(ours for ours, _ in pairs) * 1000
    base_ms = statistics.median(base for _, base in pairs) * 1000
    return Row(
        name,
        f"{ratio:.2f} × ({ours_ms:.0f} ms)",
        f"≤ {most} ×",
        ratio <= most,
        f"median of {rounds} pairs, against `python -c 'import typer'` ({base_ms:.0f} ms)",
    )


def _timed(argv: list[str]) -> float:
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    began = time.perf_counter()
    subprocess.run(argv, capture_output=True, check=True, env=env)
    return time.perf_counter() - began
