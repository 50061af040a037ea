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

from e2e.load import Counts as Counted
from e2e.load import Flip, Visitors, older
from examples.shop.picture import Beat, Counts

RATE = 100.0  # a second
AT_MOST_S = 300.0


@dataclass(frozen=True, slots=True)
class Switching:
    """One switch as bg wrote it down: "deploy, 1 → 2", and when it was, by this machine's clock."""

    what: str
    flip: Flip


class Crowd:
    """Everybody who visits the shop, in this process; through each of its doors as many."""

    def __init__(self, *urls: str, only: tuple[str, ...] = ()) -> None:
        """`only`: kinds of requests (see `e2e.load`); none named: all."""
        rate = RATE / len(urls)
        self.loads = [Visitors(u, rate=rate, seconds=AT_MOST_S, seed=i) for i, u in enumerate(urls)]
        for load in self.loads:
            load.only = only
        self.before: Counter[str] = Counter()
        self.bad = 0
        self.tasks = [asyncio.create_task(load.run()) for load in self.loads]

    def counts(self) -> Counted:
        """Everything that was counted so far."""
        each = [load.counts for load in self.loads]
        whole = Counted()
        for one in each:
            whole.sent, whole.lost = whole.sent + one.sent, whole.lost + one.lost
            whole.torn, whole.answered = whole.torn + one.torn, whole.answered + one.answered
            whole.why_lost += one.why_lost
            whole.by += one.by
        return whole

    def beat(self) -> tuple[Beat, Counts]:
        """Who answered most since the last beat, and everything that was counted so far."""
        counts = self.counts()
        since, self.before = counts.by - self.before, Counter(counts.by)
        bad, self.bad = counts.torn + counts.lost > self.bad, counts.torn + counts.lost
        most = max(since, key=lambda who: since[who], default="web . ").split(" ")
        beat = Beat("!", "bad") if bad else Beat(most[1], most[2])
        return beat, Counts(counts.sent, counts.lost, counts.torn)

    async def leave(self) -> None:
        """Nobody asks any more; whoever asked is waited for."""
        for load in self.loads:
            load.stop()
        await asyncio.gather(*self.tasks)

    def late(self, switches: list[Switching]) -> int:
        """Answers by the old color to requests sent after the switch was acknowledged."""
        flips = [switch.flip for switch in switches]
        return sum(older(load.samples, flips) for load in self.loads)


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
