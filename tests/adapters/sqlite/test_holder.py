"""Whose process it is that holds the lease: told by start time and boot, ended only if it is surely
that one.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.adapters.sqlite import machine
from orchestrator.ports.trouble import Busy
from tests.adapters.sqlite.kept import Kept, by_hand, kept

TERM_S = 10.0


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that never held anything, under a number that a holder once had."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Kept]:
    with kept(tmp_path) as there:
        yield there


async def held_by(there: Kept, pid: int, **changes: str | int) -> None:
    """The lease as this process would hold it, but for what is changed."""
    await there.lease.take("ann@box", "deploying web 2", TERM_S)
    values = {"pid": pid, "started": machine.started(pid) or 0} | changes
    with by_hand(there.path) as connection:
        for name, value in values.items():
            connection.execute(f"UPDATE lease SET {name} = ?", (value,))


async def test_a_stranger_who_got_the_number_of_a_dead_holder_is_not_ended(
    there: Kept, stranger: subprocess.Popen[bytes]
) -> None:
    await held_by(there, stranger.pid, started=12345)
    there.clock.pass_by(TERM_S + 1)
    assert await there.lease.take("bob@box", "resuming", TERM_S) == 2
    assert stranger.poll() is None


async def test_a_holder_from_before_the_machine_was_started_anew_is_gone(
    there: Kept, stranger: subprocess.Popen[bytes]
) -> None:
    await held_by(there, stranger.pid, boot="before")
    assert await there.lease.take("bob@box", "resuming", TERM_S) == 2
    assert stranger.poll() is None


async def test_a_holder_on_another_machine_is_waited_for_and_never_ended(
    there: Kept, stranger: subprocess.Popen[bytes]
) -> None:
    await held_by(there, stranger.pid, machine="elsewhere pid:[1]")
    holder = await there.lease.holder()
    assert holder is not None and holder.alive and holder.pid is None
    with pytest.raises(Busy, match="elsewhere"):
        await there.lease.take("bob@box", "resuming", TERM_S)
    there.clock.pass_by(TERM_S + 1)
    assert not (await there.lease.holder() or holder).alive
    assert await there.lease.take("bob@box", "resuming", TERM_S) == 2
    assert stranger.poll() is None


async def test_a_holder_in_the_same_process_is_superseded_not_ended(there: Kept) -> None:
    """Two drives in one program: whoever is past its term finds a younger epoch."""
    first = await there.lease.take("ann@box", "tending", TERM_S)
    with pytest.raises(Busy):
        await there.lease.take("ann@box", "deploying", TERM_S)
    there.clock.pass_by(TERM_S + 1)
    assert await there.lease.take("ann@box", "deploying", TERM_S) == first + 1


async def test_a_zombie_holds_nothing(there: Kept, stranger: subprocess.Popen[bytes]) -> None:
    """It is dead; only its parent has not asked for its last word yet."""
    await held_by(there, stranger.pid)
    with pytest.raises(Busy):
        await there.lease.take("bob@box", "resuming", TERM_S)
    stranger.kill()
    assert await until_taken(there) == 2


STOPPED_IN_A_WRITE = """\
import asyncio, os, signal, sys
from pathlib import Path
from tests.adapters.sqlite.kept import kept

with kept(Path(sys.argv[1])) as there:
    asyncio.run(there.lease.take("ann@box", "deploying web 2", float(sys.argv[2])))
    there.database._connection().execute("BEGIN IMMEDIATE")
    print("writing", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
"""


@contextlib.contextmanager
def stopped_in_a_write(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-c", STOPPED_IN_A_WRITE, str(folder), str(TERM_S)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == b"writing\n"
            yield process
        finally:
            process.kill()


async def test_a_holder_that_was_stopped_while_it_wrote_is_ended_after_its_term(
    tmp_path: Path,
) -> None:
    """S3: it keeps the journal locked, so who it is has to be read beside its lock."""
    with stopped_in_a_write(tmp_path) as holder, kept(tmp_path, patience_s=0.2) as there:
        with pytest.raises(Busy, match="deploying web 2, by ann@box"):
            await there.lease.take("bob@box", "resuming", TERM_S)
        assert holder.poll() is None
        there.clock.pass_by(TERM_S + 1)
        assert await there.lease.take("bob@box", "resuming", TERM_S) == 2
        assert holder.wait(5) == -signal.SIGKILL


async def until_taken(there: Kept) -> int:
    async with asyncio.timeout(10):
        while True:
            try:
                return await there.lease.take("bob@box", "resuming", TERM_S)
            except Busy:
                await asyncio.sleep(0.005)
