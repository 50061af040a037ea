"""The visitors of the shop: they never stop asking, and afterwards say what they saw.

The asking and the counting are `e2e.load`'s. Here it is cut into beats for the picture, and held
against what bg wrote down about its switches, so that an answer by the old color after a switch was
acknowledged would be found. The one rule: what is in the table was counted, not assumed.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from e2e.load import SAMPLE, Flip, Visitors, older
from examples.shop.picture import Beat, Counts

RATE = 100.0  # a second
AT_MOST_S = 300.0


@dataclass(frozen=True, slots=True)
class Switching:
    """One switch as bg wrote it down: "deploy, 1 → 2", and when it was, by this machine's clock."""

    what: str
    flip: Flip


class Crowd:
    """Everybody who visits the shop, in this process."""

    def __init__(self, url: str) -> None:
        self.load = Visitors(url, rate=RATE, seconds=AT_MOST_S)
        self.before: Counter[str] = Counter()
        self.bad = 0
        self.task = asyncio.create_task(self.load.run())

    def beat(self) -> tuple[Beat, Counts]:
        """Who answered most since the last beat, and everything that was counted so far."""
        counts = self.load.counts
        since, self.before = counts.by - self.before, Counter(counts.by)
        bad, self.bad = counts.torn + counts.lost > self.bad, counts.torn + counts.lost
        most = max(since, key=lambda who: since[who], default="web . ").split(" ")
        beat = Beat("!", "bad") if bad else Beat(most[1], most[2])
        return beat, Counts(counts.sent, counts.lost, counts.torn)

    async def leave(self) -> None:
        """Nobody asks any more; whoever asked is waited for."""
        self.load.stop()
        await self.task

    def releases(self) -> set[str]:
        """Every release that ever answered."""
        return {who.split()[1] for who in self.load.counts.by}

    def late(self, switches: list[Switching]) -> int:
        """Answers by the old color to requests sent after the switch was acknowledged."""
        return older(self.load.samples, [switch.flip for switch in switches])

    def took_s(self) -> list[float]:
        """How long each answer took, the quickest first."""
        return sorted(self.load.samples[1::SAMPLE])


def switchings(
    rollouts: list[dict[str, Any]], records: list[dict[str, Any]]
) -> Iterator[Switching]:
    """Every switch in the journal of the site, from `bgctl -o json history`."""
    opened: dict[str, Any] = {}
    began = 0.0
    for entry in records:
        record = entry["record"]
        match record["is"]:
            case "Opened":
                opened = record
            case "Began":
                began = entry["at"]
            case "Ended" if any(fact["is"] == "Flipped" for fact in record["facts"]):
                yield switching(
                    rollouts, opened["plan"][record["step"]], record, began, entry["at"]
                )


def switching(
    rollouts: list[dict[str, Any]], step: dict[str, Any], record: dict[str, Any], *when: float
) -> Switching:
    rollout = next(r for r in rollouts if r["id"] == record["rollout"])
    change = rollout["changes"][0]
    was = change["before"]["version"] if change["before"] else "nothing"
    share = step["flips"][0]["before" if record["undoing"] else "after"]
    color = max(share, key=lambda name: 0 if name == "is" else share[name])
    offset = time.monotonic() - time.time()
    began, acknowledged = (at + offset for at in when)
    what = f"{rollout['kind']}, {was} → {change['after']['version']}"
    return Switching(what, Flip(color, began, acknowledged))
