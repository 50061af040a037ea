"""The time of this machine."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """`ports.clock.Clock` as it is."""

    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0.0))
