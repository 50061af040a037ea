"""The user's own steps in a plan: which of them, about which service, and where they stand.

A deploy runs those of the site; a backout after the close takes back what the rollout that it
undoes did, once traffic is where it belongs. The one rule is that of every part: only what did not
hold when the plan was opened is in it, so that an undo never takes away what was there before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.core.model import At, Command, Site
from orchestrator.core.sight import Sighting
from orchestrator.core.steps import About, Run, Step, title, undoable


@dataclass(frozen=True, slots=True)
class Own:
    """What a plan knows of them: the services that change, what was seen, which hosts are gone."""

    site: Site
    abouts: tuple[About, ...]
    sighting: Sighting
    away: tuple[str, ...] = ()

    def at(self, at: At) -> tuple[Run, ...]:
        """Those that stand there, in the order of the file."""
        found = (self._run(c) for c in self.site.steps if c.at is at)
        return tuple(run for run in found if run is not None)

    def back(self, ran: tuple[Run, ...]) -> tuple[Run, ...]:
        """What an earlier rollout ran and can be taken back, in the reverse order."""
        backs = (Run(r.command, r.hosts, r.about, back=True) for r in reversed(ran) if r.home)
        found = (self._where_it_does_not_hold(back) for back in backs)
        return tuple(run for run in found if run is not None)

    def _run(self, command: Command) -> Run | None:
        about = next((a for a in self.abouts if a.service == command.of), None)
        if command.of is not None and about is None:
            return None
        return self._where_it_does_not_hold(Run(command, command.on, about))

    def _where_it_does_not_hold(self, run: Run) -> Run | None:
        """What nobody looked at is not known to hold."""
        there = (place for place in run.places if place not in self.away)
        seen = {place: self.sighting.ran(run.command.name, place) for place in there}
        missing = tuple(place for place, one in seen.items() if one is None or not one.holds)
        if not missing:
            return None
        return Run(run.command, tuple(p for p in missing if p), run.about, run.back)


def remarks_on(steps: Iterable[Step], ran: tuple[Run, ...] = ()) -> tuple[str, ...]:
    """What people should know of them before they say yes."""
    stop = next((s for s in steps if not undoable(s)), None)
    forth = (_no_way_back(title(stop)),) if stop else ()
    stays = (
        f"{run.command.name} has no undo: what it did stays."
        for run in ran
        if not run.home and not run.command.leave
    )
    return (*forth, *stays)


def _no_way_back(name: str) -> str:
    return (
        f"{name} has no undo. Once it was begun, this rollout cannot go back; only a new one can"
        " bring the older release up again."
    )
