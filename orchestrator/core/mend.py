"""From what somebody changed by hand to the steps that put it back.

What should lie there is laid, what should run is started and proven, traffic and inner addresses go
where they should. The one rule: nothing is stopped, and taking a mend back stops and deletes
nothing either. What counts as changed, `core.drift` says.
"""

from __future__ import annotations

from orchestrator.core.drift import Drift
from orchestrator.core.model import Hold, Share
from orchestrator.core.plan import Plan, Unplannable, part_that_serves, unseen
from orchestrator.core.sight import Sighting, holds
from orchestrator.core.steps import Before, Flip, Part, Prove, Shift, Stage, Start


def plan_mend(
    drifts: tuple[Drift, ...], sighting: Sighting, hold: Hold | None = None
) -> Plan | Unplannable:
    """Put back what somebody changed: start what should serve, prove it, send the traffic there."""
    if sighting.unreached:
        return unseen(sighting)
    parts = []
    for d in drifts:
        if d.part is not None:
            seen = sighting.at(d.part.service, d.part.color)
            if any(i.running and i.release != d.part.release for i in seen.instances):
                return Unplannable(
                    f"{d.what}: bg does not stop a release that it did not put there",
                    "Stop it by hand, or accept it with `bgctl reconcile --accept`.",
                )
            # It is meant to run: taking the mend back must not stop what serves.
            before = Before(seen.current, d.part.count, staged=True)
            parts.append(Part(d.part.service, d.part.color, d.part.count, d.part.release, before))
    files = tuple(d.files for d in drifts if d.files is not None)
    flips = tuple(_flip(d, d.share, sighting) for d in drifts if d.share is not None)
    flips += tuple(flip for d in drifts for flip in d.flips)
    wirings = tuple(w for d in drifts for w in d.wirings)
    hold = hold if any(flip.before != Share() for flip in flips) else None
    proven = tuple(dict.fromkeys(parts))
    lost = tuple(p for p in (*proven, *files) if not holds(Stage((p,)), sighting))
    started = tuple(p for p in proven if not holds(Start((p,)), sighting))
    return Plan(
        (
            *((Stage(lost),) if lost else ()),
            *((Start(started),) if started else ()),
            *((Prove(proven, lenient=True),) if proven else ()),
            *((Shift(flips, wirings, hold=hold),) if flips or wirings else ()),
        )
    )


def _flip(drift: Drift, wanted: Share, sighting: Sighting) -> Flip:
    """Traffic goes where it should; whoever has it now is what taking that back needs."""
    share = sighting.share(drift.service)
    count = drift.part.count if drift.part else 0
    return Flip(
        drift.service, share, wanted, part_that_serves(drift.service, share.live, sighting, count)
    )
