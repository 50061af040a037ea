"""One rollout after another, with the driver killed on the way: the story that kill tests tell.

A verb is typed, and may be killed at a point (`e2e.killed`); so may whoever goes on after it, and
whoever goes on after that; then one is left alone, and has to get where the verb leads. The one
rule: what is typed next is what a person would type who knows only what bgctl says. It refuses to
know where the site's instances run.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Protocol

import pytest

from e2e.place import Finished, Standing

CHAINED_MAX = 4
BEGINNING = 12  # points that any command has, however little is left to do
PATIENCE = 8  # commands that are left alone before a story has to be where it should

Verb = tuple[str, ...]


class Place(Protocol):
    """A site of its own, and the real command on it."""

    def bg(self, *arguments: str, at: int | None = None) -> Finished: ...

    def standing(self) -> Standing: ...


class Story:
    def __init__(self, place: Place, draw: random.Random) -> None:
        self.place, self.draw = place, draw
        self.kills = 0
        self.points: dict[str, int] = {}  # how many a verb has, as counted where it was told at 0
        self.told: list[str] = []

    def tell(self, verb: Verb, at: int | None) -> Finished:
        finished = self.place.bg(*verb, at=at)
        self.kills += finished.killed
        self.told.append(f"{' '.join(verb)} at {at}: {finished.code}")
        assert finished.code != 1, self._say(finished)
        if at == 0:
            self.points[verb[0]] = finished.points
        return finished

    def until(self, there: Callable[[], bool], verb: Verb, first: int | None) -> None:
        """A verb, killed at `first` and then at points drawn; then left alone until it is there."""
        finished, left = self.tell(verb, first), self.points.get(verb[0], 0) - (first or 0)
        for _ in range(self.draw.randrange(CHAINED_MAX)):
            if not finished.killed:
                break
            at = self.draw.randint(1, max(left, BEGINNING))
            finished, left = self.tell(self._again(verb), at), left - at
        for _ in range(PATIENCE):
            if there():
                return
            finished = self.tell(self._again(verb), None)
        pytest.fail(f"it never got there: {self._say(finished)}")

    def _again(self, verb: Verb) -> Verb:
        """What a person types next: go on, where something is open; else the same again."""
        way = self.place.standing().way
        if way and verb[0] != "switch" and not (verb[0] == "backout" and way != "back"):
            return ("resume",)
        return verb[:1] if verb[0] == "switch" else verb  # how to hold was said with the grant

    def serves(self, version: str) -> bool:
        standing = self.place.standing()
        return standing.versions == {version} and standing.way is None

    def at_gate(self) -> bool:
        return self.place.standing().at_gate

    def verbs(
        self, new: str = "2", *, stop_at_gate: bool = False
    ) -> list[tuple[Verb, Callable[[], bool]]]:
        """A cycle: a release is brought up beside 1, perhaps switched to, and backed out of."""
        switch: list[tuple[Verb, Callable[[], bool]]] = [(("switch",), lambda: self.serves(new))]
        return [
            (("deploy", new), self.at_gate),
            *([] if stop_at_gate else switch),
            (("backout",), lambda: self.serves("1")),
        ]

    def _say(self, finished: Finished) -> str:
        return "\n".join([*self.told, str(finished)])


def stopped(pid: int) -> bool:
    """Whether a child stopped itself (True) or came to its end (False)."""
    seen = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    return seen is not None and seen.si_code == os.CLD_STOPPED
