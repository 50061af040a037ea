"""A site's journal under construction: whole rollouts at a stroke, on the world they leave."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.core.chronicle import (
    Backout,
    backout_of,
    fold,
)
from orchestrator.core.model import Policy, Release
from orchestrator.core.record import (
    Began,
    Closed,
    Ended,
    Entry,
    Kind,
    Opened,
    Outcome,
    Record,
    Turned,
    Way,
    Wish,
)
from orchestrator.core.steps import Retire, Shift, Start, Wire
from tests.core.made import (
    NOTHING,
    NOW,
    QUICK,
    R1,
    R2,
    SHOP,
    Scene,
    opened,
    wish,
    wish_for,
)


class Journal:
    """A site's journal under construction: whole rollouts at a stroke, on the world they leave."""

    def __init__(self, scene: Scene | None = None) -> None:
        self.scene = scene or Scene()
        self.entries: list[Entry] = []
        self.chronicle = NOTHING

    def write(self, *records: Record) -> Journal:
        for record in records:
            number = len(self.entries) + 1
            entry = Entry(number, NOW + number, 1, record)
            self.entries.append(entry)
            self.chronicle = fold(self.chronicle, entry)
        return self

    def opens(self, wanted: Wish, policy: Policy = QUICK) -> Opened:
        record = replace(
            opened(self.scene, wanted, policy=policy), rollout=self.chronicle.rollouts + 1
        )
        self.write(record)
        return record

    def goes(
        self, wanted: Wish, outcome: Outcome = Outcome.ROLLED_OUT, policy: Policy = QUICK
    ) -> Journal:
        """A whole rollout. The world follows where it rolled out."""
        record = self.opens(wanted, policy)
        for n in range(len(record.plan)):
            self.write(Began(record.rollout, n, False, 1), Ended(record.rollout, n, False))
        if outcome is Outcome.BACKED_OUT:
            self.write(Turned(record.rollout, Way.BACK, "why"))
            for n in reversed(range(len(record.plan))):
                self.write(Began(record.rollout, n, True, 2), Ended(record.rollout, n, True))
        else:
            self.follow(record)
        return self.write(Closed(record.rollout, outcome))

    def follow(self, record: Opened) -> None:
        for step in record.plan:
            if isinstance(step, Retire):
                for part in step.parts:
                    self.scene.instances.pop((part.service, part.color), None)
            if isinstance(step, Start):
                for part in step.parts:
                    self.scene.runs(part.service, part.color, part.release)
            if isinstance(step, Wire | Shift):
                for w in step.wirings:
                    self.scene.pins[w.pin] = w.after
            if isinstance(step, Shift):
                for flip in step.flips:
                    self.scene.shares[flip.service] = flip.after

    def backs_out(self, **releases: Release) -> Journal:
        found = backout_of(self.chronicle)
        assert isinstance(found, Backout), found
        return self.goes(replace(wish_for(releases, kind=Kind.BACKOUT), undoes=found.undoes.id))


def first() -> Journal:
    return Journal().goes(wish(web=R1))


def second() -> Journal:
    return first().goes(wish(web=R2))


def pair() -> Journal:
    journal = Journal(Scene(SHOP)).goes(wish(web=R1, api=R1))
    return journal.goes(wish(web=R2, api=R2))
