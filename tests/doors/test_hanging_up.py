"""Whoever used a world hangs up: at the end of a command, and where a site changes under it."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from orchestrator.core.model import Site
from orchestrator.doors.cli import app
from orchestrator.engine.world import World
from orchestrator.ports.witness import Witness
from tests.doors.desk import Desk


@dataclass
class Lines:
    """Makes worlds, and counts those that nobody has hung up on yet."""

    desk: Desk
    made: int = 0
    most: int = 0
    soaks: list[str] = field(default_factory=list)  # the next words of the site file
    open: set[int] = field(default_factory=set)

    def __call__(self, *words: str) -> int:
        return app.run(["--site", str(self.desk.file), *words], self.ready)

    def ready(self, site: Site, *, witness: Witness) -> World:
        self.made += 1
        number = self.made
        self.open.add(number)
        self.most = max(self.most, len(self.open))

        async def close() -> None:
            self.open.discard(number)

        if self.soaks:
            self.desk.rule(soak=self.soaks.pop(0))
        elif self.made > 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return replace(self.desk.ready(site, witness=witness), close=close)


@pytest.fixture
def lines(tmp_path: Path) -> Lines:
    return Lines(Desk(tmp_path))


def test_a_command_hangs_up_at_its_end_whatever_it_ended_with(lines: Lines) -> None:
    assert lines("status") == 0
    assert lines("switch") == 2
    assert (lines.made, lines.open) == (2, set())


def test_both_worlds_of_a_command_are_hung_up_on(lines: Lines) -> None:
    """The file changed since the rollout was opened."""
    lines.desk("deploy", "1")
    lines.desk("deploy", "2")
    lines.desk.rule(soak="7s")
    assert lines("switch") == 0
    assert (lines.made, lines.open) == (2, set())


def test_a_site_that_changes_again_and_again_leaves_no_lines_open_while_it_is_tended(
    lines: Lines,
) -> None:
    lines.soaks = [f"{n}s" for n in range(10, 16)]
    lines("tend")
    assert lines.made > 6
    assert lines.most <= 2
    assert not lines.open
