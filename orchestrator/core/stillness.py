"""Stopping time: the dance of a hold, decided from what was seen and the clock.

    hold · wait until nothing is in flight · flip · verify at every worker · let go

New requests wait at the edge, those in flight finish, everything changes color in one write, and
the waiting ones go on into the new world. Every exit is safe: where the time is nearly over, where
a request got through or the switch was started again, or where too many wait, nothing flips and all
are let go.

The one rule: a hold that was lost, that leaked or that outlived its bound must not flip. So the
clock is asked once more by whoever writes the flip, right before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.core.model import Hold, Site, Streams

QUIET_LOOKS = 2  # one look may fall between a request's arrival and its being counted
MARGIN = 0.9  # of the bound: what is left is for the flip itself


@dataclass(frozen=True, slots=True)
class Held:
    """What the switch says while it holds, in one look."""

    in_flight: int  # requests that are being worked on, of all services that are to flip
    waiting: int  # requests that wait at the gate
    leaked: int = 0  # requests that got through although they should have waited
    restarted: bool = False  # whether the switch was started anew since the hold began
    streams: int = 0  # upgraded or streaming connections: left out, and counted


@dataclass(frozen=True, slots=True)
class Flip:
    """Nothing is in flight: now."""


@dataclass(frozen=True, slots=True)
class Look:
    """Not yet: look again. `quiet`: how many looks in a row saw nothing in flight."""

    quiet: int = 0


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Let all go, flip nothing."""

    reason: str


def standing_still(site: Site, services: Iterable[str]) -> tuple[str, ...]:
    """These, and whoever calls them, directly or through others: one of those, still at work, could
    see both worlds in one request.
    """
    found = dict.fromkeys(services)
    new = list(found)
    while new:
        callers = [caller.name for caller, _ in site.callers_of(new.pop())]
        new += [name for name in callers if name not in found]
        found |= dict.fromkeys(callers)
    return tuple(found)


Next = Flip | Look | GiveUp


def next_of(held: Held, hold: Hold, *, age_s: float, quiet: int) -> Next:
    """What to do after a look. `age_s`: since the hold began; `quiet`: from the look before."""
    if held.restarted:
        return GiveUp("the switch was started again while it held")
    if held.leaked:
        return GiveUp(f"{held.leaked} requests got through although time was stopped")
    if held.waiting > hold.waiting:
        return GiveUp(f"more than {hold.waiting} requests were waiting")
    if age_s >= hold.for_s * MARGIN:
        return GiveUp(_still_busy(held, hold))
    quiet = 0 if _busy(held, hold) else quiet + 1
    return Flip() if quiet >= QUIET_LOOKS else Look(quiet)


def flip_by_s(hold: Hold) -> float:
    """How long after its beginning a hold may flip at the latest, in seconds."""
    return hold.for_s * MARGIN


def _busy(held: Held, hold: Hold) -> int:
    return held.in_flight + (held.streams if hold.streams is Streams.WAIT else 0)


def _still_busy(held: Held, hold: Hold) -> str:
    if busy := _busy(held, hold):
        what = "request was" if busy == 1 else "requests were"
        return f"{busy} {what} still in flight after {hold.for_s * MARGIN:.3g} s"
    return f"the {hold.for_s:g} s that time may stand still were over"
