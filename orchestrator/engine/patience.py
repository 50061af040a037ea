"""How often and how long to try again, as named values with reasons.

Only `Unreachable` is worth trying again: we do not know whether it happened, so somebody looks in
between. `Refused` is an answer. Bounded in attempts and in time, with sleep from the clock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from orchestrator.ports.clock import Clock
from orchestrator.ports.trouble import Unreachable

T = TypeVar("T")

TRIES = 3  # a lost reply is common, three in a row are an outage: then the journal should say so
FIRST_PAUSE_S = 0.1  # long enough for a restarting proxy, short against a step
LONGEST_PAUSE_S = 2.0


async def patiently(clock: Clock, attempt: Callable[[], Awaitable[T]]) -> T:
    """The result of `attempt`, tried again while it is `Unreachable`; the last one is raised."""
    from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt
    from tenacity.wait import wait_exponential

    async def once() -> T:  # tenacity awaits only what is declared async, and a lambda is not
        return await attempt()

    retrying = AsyncRetrying(
        stop=stop_after_attempt(TRIES),
        wait=wait_exponential(multiplier=FIRST_PAUSE_S, max=LONGEST_PAUSE_S),
        retry=retry_if_exception_type(Unreachable),
        sleep=clock.sleep,
        reraise=True,
    )
    return await retrying(once)
