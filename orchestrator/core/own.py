"""The user's own steps in a plan: which of them, about which service, and where they stand.

A deploy runs those of the site; a backout after the close takes back what the rollout that it
undoes did, once traffic is where it belongs. The one rule is that of every part: only what did not
hold when the plan was opened is in it, so that an undo never takes away what was there before.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.core.chronicle import Chronicle
from orchestrator.core.model import At, Command, Site
from orchestrator.core.record import Kind, Wish
from orchestrator.core.sight import Sighting
from orchestrator.core.steps import About, Prove, Run, Shift, Start, Step, title, undoable


def with_own(
    steps: tuple[Step, ...],
    site: Site,
    wish: Wish,
    abouts: tuple[About, ...],
    *,
    sighting: Sighting,
    chronicle: Chronicle,
) -> tuple[tuple[Step, ...], tuple[str, ...]]:
    """A plain plan with them, and what people should know of them before they say yes.

    `abouts`: the services that change, as the plan brings them up.
    """
    own = _Own(site, abouts, sighting, chronicle.away)
    if wish.kind is Kind.BACKOUT:
        ran = chronicle.ran(wish.undoes)
        return _after(steps, Shift, own.back(ran)), _that_stay(ran)
    steps = _before(steps, (Start, Prove), own.at(At.BEFORE_START))
    steps = _before(steps, (Shift,), own.at(At.BEFORE_CUTOVER))
    steps = _after(steps, Shift, own.at(At.AFTER_CUTOVER))
    steps = (*steps, *own.at(At.AT_CLOSE))
    stop = next((step for step in steps if not undoable(step)), None)
    return steps, (_no_way_back(title(stop)),) if stop else ()


@dataclass(frozen=True, slots=True)
class _Own:
    site: Site
    abouts: tuple[About, ...]
    sighting: Sighting
    away: tuple[str, ...]  # hosts that are gone

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


# -- Where they stand ----------------------------------------------------------------------


def _before(
    steps: tuple[Step, ...], kinds: tuple[type, ...], runs: tuple[Run, ...]
) -> tuple[Step, ...]:
    at = next((i for i, step in enumerate(steps) if isinstance(step, kinds)), len(steps))
    return (*steps[:at], *runs, *steps[at:])


def _after(steps: tuple[Step, ...], kind: type, runs: tuple[Run, ...]) -> tuple[Step, ...]:
    at = next((i + 1 for i, step in enumerate(steps) if isinstance(step, kind)), len(steps))
    return (*steps[:at], *runs, *steps[at:])


# -- What people should know ---------------------------------------------------------------


def _that_stay(ran: tuple[Run, ...]) -> tuple[str, ...]:
    return tuple(
        f"{run.command.name} has no undo: what it did stays."
        for run in ran
        if not run.home and not run.command.leave
    )


def _no_way_back(name: str) -> str:
    return (
        f"{name} has no undo. Once it was begun, this rollout cannot go back; only a new one can"
        " bring the older release up again."
    )
