"""The fence: check and effect under one lock.

Where the thing that is changed cannot compare epochs itself (a file, a process on this machine),
every effect and every look that a decision rests on happens while the fence is held. It keeps the
youngest epoch it has seen, durably, and refuses an older one. A check followed by an effect
outside the lock is no fence against a driver that was stopped between the two.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Fence(Protocol):
    def holding(self, epoch: int | None) -> AbstractContextManager[None]:
        """Hold the lock for a short, synchronous effect.

        An epoch older than the youngest seen raises `Superseded`; a younger one is written down
        (synced) before the effect. None: a look no decision rests on; no lock is taken, nothing
        raised.
        """
        ...

    def youngest(self) -> int:
        """The youngest epoch seen; 0 where there was none."""
        ...
