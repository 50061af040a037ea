"""Stopping time while traffic changes color: hold, wait until nothing is in flight, flip, let go.

What to do after each look is `core.stillness`'s to say. The one rule: whatever happens, everything
is let go, and what was given up has flipped nothing. The write of the flip carries the latest
instant at which it may still be made, so a driver that slept in between writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.core.model import Color, Hold, Pin, Share
from orchestrator.core.record import StoodStill
from orchestrator.core.stillness import (
    Flip,
    GiveUp,
    Look,
    flip_by_s,
    next_of,
    standing_still,
)
from orchestrator.engine.driver import Driver
from orchestrator.ports.trouble import TooLate, Trouble

LOOK_S = 0.002  # a look costs less; what is in flight ends when it ends


class GivenUp(Trouble):
    """Time could not be stopped. Nothing flipped, and all who waited were let go."""


async def shift_held(
    driver: Driver, shares: Mapping[str, Share], pins: Mapping[Pin, Color], hold: Hold
) -> StoodStill:
    """Send traffic while time stands still. Raises `GivenUp`, and whatever the switch raises."""
    switch, clock, epoch = driver.world.switch, driver.world.clock, driver.epoch
    services = standing_still(driver.world.site, shares)
    try:
        from_s = await switch.hold(services, hold, epoch)
        streams = await _until_still(driver, hold, from_s)
        still_s = clock.now()
        by_s = from_s + flip_by_s(hold)
        await switch.send(dict(shares), dict(pins), epoch, not_after_s=by_s)
        to_s = clock.now()
    except TooLate as late:
        raise GivenUp(_given_up(late.why)) from late
    finally:
        waited = await switch.let_go(epoch)
    return StoodStill(
        still_s, to_s, len(waited), max(waited, default=0.0), _percentile(waited, 0.99), streams
    )


async def _until_still(driver: Driver, hold: Hold, from_s: float) -> int:
    """Return, with the number of streams left out, once nothing is in flight."""
    quiet = 0
    while True:
        if driver.stop.is_set():
            raise GivenUp(_given_up("the driver was told to stop"))
        held = await driver.world.switch.held(driver.epoch)
        age_s = driver.world.clock.now() - from_s
        match next_of(held, hold, age_s=age_s, quiet=quiet):
            case Flip():
                return held.streams
            case GiveUp(reason):
                raise GivenUp(_given_up(reason))
            case Look(seen_quiet):
                quiet = seen_quiet
                await driver.world.clock.sleep(LOOK_S)


def _given_up(reason: str) -> str:
    return f"time could not be stopped: {reason}; nothing flipped, all were let go"


def _percentile(values: tuple[float, ...], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0
