"""What a durable step costs, and how soon the next driver goes on after a kill.

A step is what the journal sees of one: `Began` and `Ended`, each compared with what was read,
fenced by the lease's epoch, and synced. Beside it, in the same rounds on the same disk: two raw
lines appended and synced, which is the least that two durable lines can cost; and a step of a
general durable-execution library on SQLite.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

from bench.table import Row
from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.sqlite import journal as inside
from orchestrator.adapters.sqlite.database import Database
from orchestrator.adapters.sqlite.journal import SqliteJournal
from orchestrator.adapters.sqlite.lease import SqliteLease
from orchestrator.core.chronicle import Chronicle
from orchestrator.core.decide import decide
from orchestrator.core.record import Began, Closed, Ended, Entry, Opened, Outcome, to_json
from tests.contracts.histories import opened

ROOT = Path(__file__).resolve().parent.parent
RAW_MAX, DBOS_MIN, RESUME_MAX_S = 1.5, 5.0, 0.050
ROLLOUT = 20  # records to a closed rollout, in the long journal


def run(quick: bool) -> list[Row]:
    with _folder() as folder:
        rows = [_against_raw(folder, rounds=4 if quick else 20)]
        rows.append(_against_dbos(folder, rounds=1 if quick else 5))
        return [*rows, _resuming(folder, quick)]


@contextmanager
def _folder() -> Iterator[Path]:
    """On the disk of the checkout: other folders may lie in memory, where a sync costs nothing."""
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=ROOT) as folder:
        yield Path(folder)


class Driven:
    """A journal with one open rollout, and a driver that writes steps to it."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(folder, "shop")
        self.journal = SqliteJournal(self.database, SystemClock())
        self.lease = SqliteLease(self.database, SystemClock())
        self.epoch = self.last = 0

    async def begin(self) -> None:
        self.epoch = await self.lease.take("bench", "measuring", 600.0)
        record = opened(Chronicle(), "1")
        await self.journal.append(0, (record,), epoch=self.epoch)
        self.last = 1

    async def step(self) -> None:
        for record in (Began(1, 0, False, 1), Ended(1, 0, False)):
            await self.journal.append(self.last, (record,), epoch=self.epoch)
            self.last += 1


# -- Against two raw lines -----------------------------------------------------------------


def _against_raw(folder: Path, rounds: int) -> Row:
    """Step by step in turn, each round on a new journal and a new file."""
    pairs = [asyncio.run(_round(folder / f"raw{i}", steps=40)) for i in range(rounds)]
    ratio = median(ours / raw for ours, raw in pairs)
    ours, raw = (median(column) for column in zip(*pairs, strict=True))
    return Row(
        "a fenced durable step, against two raw synced lines",
        f"{ratio:.2f} ×",
        f"≤ {RAW_MAX} ×",
        ratio <= RAW_MAX,
        f"{_us(ours)} against {_us(raw)}; median of {rounds} rounds of 40, each on a new journal",
    )


async def _round(folder: Path, steps: int) -> tuple[float, float]:
    driven = Driven(folder)
    await driven.begin()
    ours, raw = [], []
    file = os.open(folder / "raw", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for _ in range(steps):
            began_s = time.perf_counter()
            await driven.step()
            between_s = time.perf_counter()
            for record in (Began(1, 0, False, 1), Ended(1, 0, False)):
                os.write(file, (to_json(record) + "\n").encode())
                os.fsync(file)
            ours.append(between_s - began_s)
            raw.append(time.perf_counter() - between_s)
    finally:
        os.close(file)
        driven.database.drop()
    return median(ours), median(raw)


# -- Against a general library -------------------------------------------------------------


def _against_dbos(folder: Path, rounds: int) -> Row:
    name = "the same step on DBOS with SQLite, against ours"
    python = _with_dbos(folder / "venv")
    if python is None:
        return Row(name, "not measured", f"≥ {DBOS_MIN:g} ×", None, "dbos could not be installed")
    pairs = []
    for i in range(rounds):
        theirs = _dbos_step_s(python, folder / f"dbos{i}")
        ours, _ = asyncio.run(_round(folder / f"ours{i}", steps=200))
        pairs.append((theirs, ours))
    ratio = median(theirs / ours for theirs, ours in pairs)
    theirs, ours = (median(column) for column in zip(*pairs, strict=True))
    return Row(
        name,
        f"{ratio:.1f} ×",
        f"≥ {DBOS_MIN:g} ×",
        ratio >= DBOS_MIN,
        f"{_us(theirs)} against {_us(ours)}; median of {rounds} rounds of 200",
    )


def _with_dbos(venv: Path) -> Path | None:
    """A Python that can import dbos, in an environment made for this and thrown away."""
    python = venv / "bin" / "python"
    for argv in (
        [sys.executable, "-m", "venv", str(venv)],
        [str(python), "-m", "pip", "install", "--quiet", "dbos"],
    ):
        if subprocess.run(argv, check=False, capture_output=True).returncode != 0:
            return None
    return python


def _dbos_step_s(python: Path, folder: Path) -> float:
    folder.mkdir()
    script = Path(__file__).with_name("dbos_steps.py")
    argv = [str(python), str(script), str(folder / "dbos.sqlite"), "200"]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, cwd=folder)
    return float(done.stdout.splitlines()[-1])


# -- SIGKILL, and the first new step -------------------------------------------------------


def _resuming(folder: Path, quick: bool) -> Row:
    closed = 500 if quick else 5_000
    short, long = folder / "short", folder / "long"
    asyncio.run(_write_history(short, closed=0))
    records = asyncio.run(_write_history(long, closed=closed))
    pairs = [(_resume_s(short), _resume_s(long)) for _ in range(3 if quick else 11)]
    beyond_s = median(after_long - after_short for after_short, after_long in pairs)
    return Row(
        f"SIGKILL to the first new step, {records:,} records against an empty journal",
        f"{1000 * beyond_s:+.0f} ms",
        f"≤ {1000 * RESUME_MAX_S:.0f} ms",
        beyond_s <= RESUME_MAX_S,
        f"{1000 * median(p[1] for p in pairs):.0f} ms in all, from the kill over the start of a new"
        f" process to its first Began synced; {closed:,} closed rollouts and an open one",
    )


async def _write_history(folder: Path, closed: int) -> int:
    """So many closed rollouts of twenty records each and an open one. The number of records."""
    driven = Driven(folder)
    epoch = await driven.lease.take("bench", "writing", 600.0)
    entries = tuple(_history(closed, epoch))
    await driven.database.write(lambda c: inside._insert(c, entries))
    await driven.journal.recall()  # keeps the fold, as each Closed would have
    await driven.lease.give_up(epoch)
    driven.database.drop()
    return len(entries)


def _history(closed: int, epoch: int) -> Iterator[Entry]:
    first = opened(Chronicle(), "1")
    number = 0
    for rollout in range(1, closed + 2):
        for record in _rollout(first, rollout, open_=rollout == closed + 1):
            number += 1
            yield Entry(number, 1_700_000_000.0 + number, epoch, record)


def _rollout(
    first: Opened, rollout: int, *, open_: bool
) -> Iterator[Opened | Began | Ended | Closed]:

    yield replace(first, rollout=rollout)
    steps = len(first.plan)
    for step in range(0 if open_ else (ROLLOUT - 2) // 2):
        yield Began(rollout, step % steps, False, 1)
        yield Ended(rollout, step % steps, False)
    if not open_:
        yield Closed(rollout, Outcome.ABANDONED)


def _resume_s(folder: Path) -> float:
    """From the kill of one driver to the first step of the next, a new process."""
    with _driver(folder) as (killed, said):
        json.loads(said())
        began_s = time.perf_counter()
        killed.send_signal(signal.SIGKILL)
    with _driver(folder) as (following, said):
        json.loads(said())
        took_s = time.perf_counter() - began_s
        following.kill()
    return took_s


@contextmanager
def _driver(folder: Path) -> Iterator[tuple[subprocess.Popen[str], Callable[[], str]]]:
    argv = [sys.executable, "-c", DRIVER, str(folder)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline


DRIVER = "import sys; from bench.journal import drive; drive(sys.argv[1])"


def drive(folder: str) -> None:
    """Take over, recall, decide, begin a step; say so, and wait to be killed."""

    async def first_step() -> int:
        driven = Driven(Path(folder))
        epoch = await driven.lease.take("bench", "resuming", 600.0)
        recalled = await driven.journal.recall()
        rollout = recalled.chronicle.open
        assert rollout is not None
        decide(rollout, time.time())
        began = Began(rollout.id, rollout.done, False, rollout.attempt)
        (entry,) = await driven.journal.append(recalled.last, (began,), epoch=epoch)
        return entry.number

    print(json.dumps(asyncio.run(first_step())), flush=True)
    signal.pause()


def _us(seconds: float) -> str:
    return f"{1e6 * seconds:.0f} µs"
