"""Health in three values. UNSURE is not WELL.

A *sample* is one look: GOOD, BAD, or UNKNOWN where nothing could be found out. `judge` turns the
samples of one start of one release into a *verdict*; `judge_soak` does so under real traffic.
Samples of another start never count: whoever calls begins anew when the start number changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from orchestrator.core.model import Probing


class Found(Enum):
    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Sample:
    found: Found
    at_s: float = 0.0  # when it ended, by the clock that made it
    why: str = ""  # for people: what was seen instead; bounded, no secrets


class Verdict(Enum):
    WELL = "well"
    ILL = "ill"
    UNSURE = "unsure"


def last_in_a_row(samples: tuple[Sample, ...], found: Found) -> int:
    """How many of the newest samples are all `found`."""
    count = 0
    for sample in reversed(samples):
        if sample.found is not found:
            break
        count += 1
    return count


def judge(samples: tuple[Sample, ...], probing: Probing, *, over: bool) -> Verdict:
    """The verdict while bringing up: WELL after `well` good in a row.

    A slow start is not an illness, so bad samples make ILL only when the time is `over`; a target
    that flaps is UNSURE to the end.
    """
    if last_in_a_row(samples, Found.GOOD) >= probing.well:
        return Verdict.WELL
    if over and last_in_a_row(samples, Found.BAD) >= min(probing.ill, max(len(samples), 1)):
        return Verdict.ILL
    return Verdict.UNSURE


def judge_soak(samples: tuple[Sample, ...], probing: Probing) -> Verdict:
    """The verdict of something that was well:

    ILL after `ill` bad in a row, at once; WELL while the newest is good.
    """
    if last_in_a_row(samples, Found.BAD) >= probing.ill:
        return Verdict.ILL
    return Verdict.WELL if last_in_a_row(samples, Found.GOOD) else Verdict.UNSURE
