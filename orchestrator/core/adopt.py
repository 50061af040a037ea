"""From what serves already to the plan that writes it down: for a site whose journal was lost.

The plan is Prove · Shift. It proves that what serves answers, and sends the traffic where it goes
already, so where all is as it was found nothing is done at all; what is left is a journal that
knows who serves. The one rule: nothing is started and nothing is stopped.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.core.model import Color, Pin, Release, Share, Site
from orchestrator.core.plan import Plan, Unplannable
from orchestrator.core.record import Wish
from orchestrator.core.sight import Sighting
from orchestrator.core.steps import Before, Flip, Part, Prove, Shift, Wiring


@dataclass(frozen=True, slots=True)
class Candidate:
    """A color of a service that serves, or could be what served."""

    service: str
    color: Color
    release: Release
    running: int


def candidates(site: Site, sighting: Sighting) -> dict[str, tuple[Candidate, ...]]:
    """By service: the color that has the traffic; where nobody can say, all colors that run."""
    return {service.name: _of(service.name, sighting) for service in site.services}


def _of(service: str, sighting: Sighting) -> tuple[Candidate, ...]:
    live = sighting.share(service).live
    found = []
    for color in (live,) if live else tuple(Color):
        seen = sighting.at(service, color)
        if seen.current is not None and (live or seen.running(seen.current)):
            running = seen.running(seen.current)
            found.append(Candidate(service, color, seen.current, running))
    return tuple(found)


def plan_adopt(site: Site, wish: Wish, sighting: Sighting) -> Plan | Unplannable:
    """The wish names the release that serves of each service; its color is where that runs."""
    if sighting.unreached:
        return Unplannable(
            f"not everything could be seen: {'; '.join(sighting.unreached)}",
            "Mend that first, or `bgctl without HOST` where a host is gone.",
        )
    there = candidates(site, sighting)
    chosen = {}
    for wanted in wish.wanted:
        fits = [one for one in there[wanted.service] if one.release == wanted.release]
        if not fits:
            return Unplannable(
                f"{wanted.service} {wanted.release.label} does not serve any more",
                "Look again: `bgctl hosts`, `bgctl status`.",
            )
        chosen[wanted.service] = fits[0]
    if not chosen:
        return Plan(())
    parts = tuple(_part(site, one) for one in chosen.values())
    flips = tuple(
        Flip(one.service, sighting.share(one.service), Share.all_to(one.color))
        for one in chosen.values()
    )
    return Plan((Prove(parts, lenient=True), Shift(flips, _wirings(site, chosen, sighting))))


def _part(site: Site, one: Candidate) -> Part:
    count = site.service(one.service).placement.count
    return Part(one.service, one.color, count, one.release, Before(one.release, count, staged=True))


def _wirings(site: Site, chosen: dict[str, Candidate], sighting: Sighting) -> tuple[Wiring, ...]:
    """Inner addresses as they lead; where nobody can say, to what serves."""
    wirings = []
    for one in chosen.values():
        for use in site.service(one.service).uses:
            pin = Pin(one.service, one.color, use.callee)
            seen, callee = sighting.pin(pin), chosen.get(use.callee)
            leads_to = seen or (callee.color if callee else None)
            if leads_to is not None:
                wirings.append(Wiring(pin, seen, leads_to))
    return tuple(wirings)
