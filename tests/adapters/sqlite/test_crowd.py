"""One driver writes, many ask: nobody waits long, nothing is lost, nothing is doubled."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from pathlib import Path

from orchestrator.core.record import Asked, Ended, What
from orchestrator.ports.trouble import Raced
from tests.adapters.sqlite.kept import Kept, kept
from tests.conftest import ROOT

ASKERS, EACH = 20, 5

ASKER = """
import asyncio, sys
from tests.adapters.sqlite.test_crowd import ask
asyncio.run(ask(sys.argv[1], sys.argv[2]))
"""


async def ask(folder: str, name: str) -> None:
    """Each request on a connection of its own."""
    with kept(Path(folder)) as there:
        for number in range(EACH):
            await there.journal.ask(Asked(1, What.PAUSE, name, str(number)))


async def test_twenty_who_ask_neither_stop_the_driver_nor_lose_a_word(tmp_path: Path) -> None:
    with kept(tmp_path) as there:
        epoch = await there.begin()
        askers = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", ASKER, str(tmp_path), f"asker {i}", cwd=ROOT
            )
            for i in range(ASKERS)
        ]
        everybody = asyncio.gather(*(asker.wait() for asker in askers))
        facts, slowest_s = await _drive_until(everybody, there, epoch)
        assert await everybody == [0] * ASKERS
        entries = await there.journal.news(0)
    assert [e.number for e in entries] == list(range(1, len(entries) + 1))
    asked = [e.record for e in entries if isinstance(e.record, Asked)]
    assert Counter((a.by, a.why) for a in asked) == Counter(
        (f"asker {i}", str(number)) for i in range(ASKERS) for number in range(EACH)
    )
    assert [e.record.step for e in entries if isinstance(e.record, Ended)] == list(range(facts))
    assert slowest_s < 5.0, "one writer among many was stalled"


async def _drive_until(
    everybody: asyncio.Future[list[int]], there: Kept, epoch: int
) -> tuple[int, float]:
    """Write one fact after the other, each appended again unchanged after the news, as a driver
    does.
    """
    last, facts, slowest_s = 1, 0, 0.0
    while not everybody.done():
        began_s = time.monotonic()
        while True:
            try:
                await there.journal.append(last, (Ended(1, facts, False),), epoch=epoch)
                break
            except Raced:
                last += len(await there.journal.news(last))
        last, facts = last + 1, facts + 1
        slowest_s = max(slowest_s, time.monotonic() - began_s)
        await asyncio.sleep(0.002)
    return facts, slowest_s
