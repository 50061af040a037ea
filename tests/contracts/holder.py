"""A process that holds a lease, for tests that stop it, kill it, or take over from it.

`python -m tests.contracts.holder FOLDER SITE` reads one JSON list per line, `[verb, argument …]`,
does it and answers with one line: `["ok", result]`, or `["Busy", why]` with the name of the
trouble.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.sqlite.database import Database
from orchestrator.adapters.sqlite.journal import SqliteJournal
from orchestrator.adapters.sqlite.lease import SqliteLease
from orchestrator.core.record import Asked, What
from orchestrator.ports.trouble import Trouble


async def main(folder: str, site: str) -> None:
    database = Database(folder, site)
    lease, journal = SqliteLease(database, SystemClock()), SqliteJournal(database, SystemClock())

    async def write(epoch: int) -> int:
        last = (await journal.recall()).last
        await journal.append(last, (Asked(None, What.RETIRE, "holder"),), epoch=epoch)
        return last + 1

    verbs = {
        "take": lease.take,
        "renew": lease.renew,
        "give_up": lease.give_up,
        "write": write,
    }
    for line in sys.stdin:
        verb, *arguments = json.loads(line)
        print(json.dumps(await answer(verbs[verb], arguments)), flush=True)
    database.drop()


async def answer(verb: Any, arguments: list[Any]) -> list[Any]:
    try:
        return ["ok", await verb(*arguments)]
    except Trouble as trouble:
        return [type(trouble).__name__, trouble.why]


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
