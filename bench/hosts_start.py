"""How an agent starts on a host: to its first answer, against `python3 -c pass`, in pairs by turns.

On every Python from 3.8 to the newest that is here. The agent lies unpacked beside its archive, as
it does on a host; it is asked `hello`, and the time ends with the last byte of the answer.
"""

from __future__ import annotations

import os
import pwd
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.table import Row

ROOT = Path(__file__).resolve().parent.parent
MOST = 1.3
QUIET = subprocess.DEVNULL
HELLO = b'{"id":1,"verb":"hello"}\n'


def rows(rounds: int) -> list[Row]:
    return [_row(version, python, rounds) for version, python in pythons().items()]


def pythons() -> dict[str, str]:
    """The system's, and of those that pyenv keeps the oldest that will do and the newest."""
    home = os.environ.get("PYENV_ROOT", pwd.getpwuid(os.getuid()).pw_dir + "/.pyenv")
    found = {
        tuple(map(int, path.name.split("."))): str(path / "bin/python3")
        for path in Path(home, "versions").glob("3.*")
        if path.name.replace(".", "").isdigit() and (path / "bin/python3").exists()
    }
    able = sorted(version for version in found if version >= (3, 8))
    chosen = {".".join(map(str, version)): found[version] for version in {*able[:1], *able[-1:]}}
    usual = shutil.which("python3", path="/usr/bin:/bin")
    return chosen or {"of this system": usual or sys.executable}


def _row(version: str, python: str, rounds: int) -> Row:
    with tempfile.TemporaryDirectory(prefix="bg-agent-") as folder:
        serve = [python, "-I", "-S", _laid(python, Path(folder)), "serve", "--base", folder]
        bare = [python, "-c", "pass"]
        for argv in (serve, bare):
            _first_answer_s(argv)
        pairs = [(_first_answer_s(serve), _first_answer_s(bare)) for _ in range(rounds)]
    ratio = statistics.median(ours / base for ours, base in pairs)
    ours_ms, base_ms = (1000 * statistics.median(pair[n] for pair in pairs) for n in (0, 1))
    return Row(
        f"an agent's first answer, Python {version}",
        f"{ratio:.2f} × ({ours_ms:.0f} ms)",
        f"≤ {MOST} ×",
        ratio <= MOST,
        f"median of {rounds} pairs, against `python3 -c pass` ({base_ms:.0f} ms)",
    )


def _laid(python: str, folder: Path) -> str:
    archive = folder / "agent.pyz"
    subprocess.run([sys.executable, ROOT / "agents/build.py", archive], check=True, stdout=QUIET)
    unpack = [python, "-I", "-S", str(archive), "unpack"]
    return subprocess.run(unpack, check=True, capture_output=True, text=True).stdout.strip()


def _first_answer_s(argv: list[str]) -> float:
    """To the answer, or where none is given, to its end."""
    began = time.perf_counter()
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        assert process.stdin and process.stdout
        if "serve" in argv:
            process.stdin.write(HELLO)
            process.stdin.flush()
            process.stdout.readline()
            took = time.perf_counter() - began
            process.stdin.close()
            process.wait()
            return took
        process.wait()
    return time.perf_counter() - began
