"""The fence of a site: whose it is, and who drives.

The one rule: with an epoch, check and effect are one section under the site's lock, and a younger
epoch is on the disk before anything else is done. Without one (a look that no decision rests on)
nothing is locked, nothing raised and nothing written; only a host told gone refuses it.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager

from bg_agent import lock
from bg_agent.ledger import Ledger
from bg_agent.trouble import Refused, Superseded, of_system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from bg_agent.places import Root

WAIT_S = 20.0
ENDED_S = 5.0  # until a holder that was killed is gone


class Fence:
    """Of one request: the journal and epoch it came with."""

    __slots__ = ("epoch", "journal", "root")

    def __init__(self, root: Root, journal: str, epoch: int | None) -> None:
        self.root, self.journal, self.epoch = root, journal, epoch

    @contextmanager
    def holding(self) -> Iterator[Ledger]:
        """The ledger, with the right to write it where there is an epoch."""
        if self.epoch is None:
            ledger = Ledger(self.root.ledger)
            _refuse_gone(ledger)
            yield ledger
            return
        with section(self.root, self.epoch):
            ledger = Ledger(self.root.ledger)
            _refuse_gone(ledger)
            self._pass(ledger, self.epoch)
            yield ledger

    def _pass(self, ledger: Ledger, epoch: int) -> None:
        if ledger.journal and ledger.journal != self.journal:
            raise foreign(ledger, self.root.site)
        refuse_older(ledger, epoch)
        if epoch > ledger.youngest or not ledger.journal:
            ledger.write(journal=self.journal, youngest=epoch)


def foreign(ledger: Ledger, site: str) -> Refused:
    return Refused(
        "the site %s on this host belongs to another journal; "
        "if that one is lost, `bgctl adopt` takes it over" % site,
        "foreign",
        journal=ledger.journal,
        youngest=ledger.youngest,
    )


def refuse_older(ledger: Ledger, epoch: int) -> None:
    if epoch < ledger.youngest:
        words = (ledger.youngest, epoch)
        why = "epoch %d drives here now; this was epoch %d" % words
        raise Superseded(why, youngest=ledger.youngest)


def _refuse_gone(ledger: Ledger) -> None:
    if ledger.gone is not None:
        why = "this host was told gone (%s); `bgctl readmit` lets it come back" % ledger.gone
        raise Refused(why, "gone")


# -- The lock: entered by one thread of one process at a time --------------------------------

_TURNS: dict[str, threading.Lock] = {}


@contextmanager
def section(root: Root, epoch: int) -> Iterator[None]:
    turn = _TURNS.setdefault(root.lock, threading.Lock())
    if not turn.acquire(timeout=WAIT_S):
        raise Refused("something else is being done to %s on this host" % root.site, "busy")
    try:
        try:
            held = _take(root, epoch)
        except OSError as error:
            raise of_system("the lock of the site cannot be taken", error) from None
        try:
            yield
        finally:
            held.close()
    finally:
        turn.release()


def _take(root: Root, epoch: int) -> lock.Held:
    """Waits for somebody else's section. They are short: one that stands still is ended."""
    held = lock.take(root.lock, epoch, WAIT_S)
    if held is None:
        pid, begun, noted = lock.holder(root.lock)
        if noted < epoch:
            lock.end(pid, begun)
            held = lock.take(root.lock, epoch, ENDED_S)
    if held is None:
        raise Refused("another session holds %s on this host" % root.site, "busy")
    return held
