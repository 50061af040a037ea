"""`adopt`, `gone`, `readmit`: whose a site is here, and whether the host belongs to it.

The one rule: only who is younger than everybody before may take a site over, and only its own
journal may say that the host is gone or back.
"""

from __future__ import annotations

from bg_agent.epoch import foreign, refuse_older, section
from bg_agent.ledger import Ledger
from bg_agent.texts import one_line
from bg_agent.trouble import Superseded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from bg_agent.call import Call


def adopt(call: Call) -> dict[str, Any]:
    fence = call.fence
    assert fence.epoch is not None
    with section(call.root, fence.epoch):
        ledger = Ledger(call.root.ledger)
        before, mine = ledger.journal, ledger.journal == fence.journal
        refuse_older(ledger, fence.epoch)
        if fence.epoch == ledger.youngest and not mine and before:
            why = "epoch %d was here before; take a younger one to adopt" % ledger.youngest
            raise Superseded(why, youngest=ledger.youngest)
        ledger.write(journal=fence.journal, youngest=fence.epoch)
        return {"before": before or None, "youngest": fence.epoch}


def gone(call: Call) -> dict[str, Any]:
    why = one_line(call.asked.text("why", 1000, 1))
    _set(call, why)
    return {"gone": why}


def readmit(call: Call) -> dict[str, Any]:
    _set(call, None)
    return {"gone": None}


def _set(call: Call, why: str | None) -> None:
    fence = call.fence
    assert fence.epoch is not None
    with section(call.root, fence.epoch):
        ledger = Ledger(call.root.ledger)
        if ledger.journal and ledger.journal != fence.journal:
            raise foreign(ledger, call.root.site)
        refuse_older(ledger, fence.epoch)
        ledger.write(journal=fence.journal, youngest=fence.epoch, gone=why)
