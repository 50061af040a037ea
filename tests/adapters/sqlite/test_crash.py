"""S11: whatever stops the writer, what was acknowledged is there, and what was torn is never
parsed.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from functools import reduce
from pathlib import Path

import pytest

from orchestrator.adapters.sqlite.database import PAGE
from orchestrator.core.chronicle import Chronicle, fold
from orchestrator.core.record import Ended
from tests.adapters.sqlite.kept import Kept, kept
from tests.conftest import ROOT
from tests.contracts.histories import Writer

SEED = int(os.environ.get("BG_SEED", "1"))


async def test_a_power_cut_leaves_the_old_state_or_the_new_one(tmp_path: Path) -> None:
    """The WAL cut off at any byte: some prefix of what was committed, each commit whole or not at
    all.
    """
    with kept(tmp_path / "state") as there:
        epoch = await there.begin()
        sizes = [written(there)]
        for last in range(1, 13, 2):  # two records to a commit
            records = (Ended(1, last, False), Ended(1, last + 1, False))
            await there.journal.append(last, records, epoch=epoch)
            sizes.append(written(there))
        file, wal = there.path.read_bytes(), _wal(there).read_bytes()
    chance = random.Random(SEED)
    cuts = {*sizes, *(s - 1 for s in sizes), *(chance.randrange(sizes[-1]) for _ in range(60))}
    for number, cut in enumerate(sorted(cuts)):
        commits = sum(size <= cut for size in sizes)
        numbers = await _read(_copy(tmp_path / str(number), file, wal[:cut]))
        assert numbers == ([*range(1, 2 * commits)] if commits else []), (
            f"cut at {cut}, seed {SEED}"
        )


async def test_a_torn_last_write_is_as_if_it_had_not_been(tmp_path: Path) -> None:
    """Bytes of the last commit that never reached the disk are zeroes, or those of long ago."""
    with kept(tmp_path / "state") as there:
        epoch = await there.begin()
        before = written(there)
        await there.journal.append(1, (Ended(1, 1, False),), epoch=epoch)
        file, wal, end = there.path.read_bytes(), _wal(there).read_bytes(), written(there)
    chance = random.Random(SEED)
    for number in range(40):
        torn = bytearray(wal)
        at = chance.randrange(before, end - 512)
        torn[at : at + 512] = bytes(chance.randrange(256) for _ in range(512))
        assert await _read(_copy(tmp_path / str(number), file, bytes(torn))) == [1], f"torn at {at}"


def _wal(there: Kept) -> Path:
    return there.path.with_name("journal.db-wal")


def written(there: Kept) -> int:
    """How much of the WAL is frames (after 32 bytes, 24 and a page each); the rest is reserved."""
    frames = len(_wal(there).read_bytes().rstrip(b"\0")) - 32
    return 32 + -(-frames // (24 + PAGE)) * (24 + PAGE)


def _copy(folder: Path, file: bytes, wal: bytes) -> Path:
    folder.mkdir()
    (folder / "journal.db").write_bytes(file)
    (folder / "journal.db-wal").write_bytes(wal)
    return folder


async def _read(folder: Path) -> list[int]:
    with kept(folder) as copy:
        entries = await copy.journal.news(0)
        assert (await copy.journal.recall()).chronicle == reduce(fold, entries, Chronicle())
        return [entry.number for entry in entries]


WRITER = """
import asyncio, random, sys
from tests.adapters.sqlite.test_crash import write_for_ever
asyncio.run(write_for_ever(sys.argv[1], int(sys.argv[2])))
"""


async def write_for_ever(folder: str, seed: int) -> None:
    """Rollout after rollout, each acknowledged number on a line of its own."""
    with kept(Path(folder)) as there:
        writer = Writer(
            there.journal,
            await there.lease.take("ann@box", "deploying", 60.0),
            there.clock,
            random.Random(seed).randrange,
        )
        recalled = await there.journal.recall()
        writer.chronicle, writer.last = recalled.chronicle, recalled.last
        while True:
            if writer.chronicle.open is None:
                await writer.open()
            await writer.go_on()
            print(writer.last, flush=True)


def killed_after(folder: Path, life: int, words: int) -> int:
    """Let one write until it has said so many words, and kill it. The last number that it said."""
    argv = [sys.executable, "-c", WRITER, str(folder), str(life)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=ROOT) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(words)]
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.read().splitlines(keepends=True)
    return int([line for line in lines if line.endswith(b"\n")][-1])


@pytest.mark.parametrize("round_", range(3))
async def test_a_writer_killed_anywhere_loses_nothing_it_acknowledged(
    tmp_path: Path, round_: int
) -> None:
    """S1: killed again and again on one journal, and each next life goes on from there."""
    chance = random.Random(SEED * 10 + round_)
    for life in range(4):
        acknowledged = killed_after(tmp_path / "state", life, chance.randrange(1, 150))
        with kept(tmp_path / "state") as there:
            entries, recalled = await there.journal.news(0), await there.journal.recall()
            holder = await there.lease.holder()
        assert [e.number for e in entries] == list(range(1, len(entries) + 1))
        assert acknowledged <= len(entries) <= acknowledged + 3, "three are written between words"
        assert recalled.chronicle == reduce(fold, entries, Chronicle())
        assert holder is not None and not holder.alive
