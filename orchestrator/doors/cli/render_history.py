"""What was: the rollouts of a site in short, one of them as a story, and the releases there are."""

from __future__ import annotations

from orchestrator.core.chronicle import Chronicle, Past
from orchestrator.core.model import Color, Release
from orchestrator.core.narrate import narrate
from orchestrator.core.record import Entry, Kind, Opened, Outcome
from orchestrator.core.steps import Step
from orchestrator.core.words import joined, sentence, span
from orchestrator.doors.cli.paper import Ink, Paper, harmless
from orchestrator.doors.cli.picture import Picture

ENDED = {
    Outcome.ROLLED_OUT: "done",
    Outcome.BACKED_OUT: "backed out",
    Outcome.REPLACED: "made place for another",
    Outcome.ABANDONED: "abandoned as it was",
}
INKS = {Outcome.ROLLED_OUT: Ink.GOOD, Outcome.BACKED_OUT: Ink.CARE, Outcome.ABANDONED: Ink.BAD}


# -- All rollouts --------------------------------------------------------------------------


def history(chronicle: Chronicle, now: float, paper: Paper) -> str:
    """The rollouts, newest last: when, who, what, how it ended and why."""
    lines = [line for past in chronicle.past for line in _past(past, now, paper)]
    if (rollout := chronicle.open) is not None:
        when = paper.clock(rollout.opened_s, now)
        way = "going back" if rollout.backing_out else "open"
        state = "stuck" if rollout.stuck else way
        head = f"{rollout.id:>4}  {when:<16}  {rollout.wish.kind.value}, {state}, by {rollout.by}"
        lines += [paper.ink(Ink.STRONG, harmless(head))]
        lines += paper.wrapped(rollout.turned, first=" " * 6) if rollout.turned else []
    return "\n".join(lines) or "Nothing happened here yet."


def _past(past: Past, now: float, paper: Paper) -> list[str]:
    when = paper.clock(past.opened_s, now)
    took = span(past.closed_s - past.opened_s)
    head = f"{past.id:>4}  {when:<16}  {past.kind.value}, "
    tail = f"{ENDED[past.outcome]} after {took}, by {past.by}"
    ink = INKS.get(past.outcome, Ink.FAINT)
    lines = [head + paper.ink(ink, harmless(tail))]
    return [*lines, *(line for said in _told(past) for line in paper.wrapped(said, first=" " * 6))]


def _told(past: Past) -> tuple[str, ...]:
    changes = joined(
        f"{c.service} {c.before.version if c.before else 'nothing'} → {c.after.version}"
        f" on {c.color.value}"
        for c in past.changes
    )
    undoes = f"it undid rollout {past.undoes}" if past.undoes is not None else ""
    return tuple(said for said in (changes, undoes, past.reason, *past.remarks) if said)


def past_in_words(past: Past, now: float, paper: Paper) -> str:
    """One sentence on a rollout that closed."""
    kind = {Kind.DEPLOY: "a deploy", Kind.BACKOUT: "a backout"}.get(past.kind, past.kind.value)
    ended = {Outcome.ROLLED_OUT: "was done", Outcome.REPLACED: "made place for another wish"}.get(
        past.outcome, f"was {ENDED[past.outcome]}"
    )
    why = f": {past.reason}" if past.reason and past.outcome is not Outcome.ROLLED_OUT else ""
    when = paper.clock(past.closed_s, now)
    return sentence(f"Rollout {past.id}, {kind} by {past.by}, {ended} at {when}{why}")


# -- One rollout as a story ----------------------------------------------------------------


def rollout_story(entries: tuple[Entry, ...], paper: Paper) -> str:
    """Each entry as one sentence with its time. The entries of one rollout, `Opened` first."""
    steps: tuple[Step, ...] = ()
    lines: list[str] = []
    day = ""
    for entry in entries:
        if isinstance(entry.record, Opened):
            steps = entry.record.plan
        if paper.day(entry.at_s) != day:
            day = paper.day(entry.at_s)
            lines.append(paper.ink(Ink.STRONG, day))
        lines += paper.wrapped(narrate(entry, steps), first=f"{paper.clock(entry.at_s)}  ")
    return "\n".join(lines) or "No such rollout is in the journal."


# -- Releases ------------------------------------------------------------------------------


def releases(picture: Picture, paper: Paper) -> str:
    """For each service the releases that lie staged or served lately, and where they run."""
    lines: list[str] = []
    for service in picture.site.services:
        lines.append(paper.ink(Ink.STRONG, service.name))
        known = known_releases(picture, service.name)
        alike = [r.version for r in known]
        for release in known:
            name = release.label if alike.count(release.version) > 1 else release.version
            said = joined(where_is(release, service.name, picture)) or "not staged any more"
            lines += paper.wrapped(said, first=f"  {harmless(name).ljust(12)}  ")
        if not known:
            lines.append("  none yet")
    return "\n".join(lines)


def known_releases(picture: Picture, service: str) -> tuple[Release, ...]:
    """Those that served, newest first, then those that only lie there."""
    lately = picture.chronicle.served_lately(service)
    staged: set[Release] = set()
    if picture.sighting is not None:
        for color in Color:
            staged |= picture.sighting.at(service, color).staged
    rest = sorted(staged - set(lately), key=lambda r: (r.version, r.digest))
    return (*lately, *rest)


def where_is(release: Release, service: str, picture: Picture) -> tuple[str, ...]:
    """What a release does just now: `serves on green`, `stands by on blue`, `staged`."""
    sighting = picture.sighting
    if sighting is None:
        return ()
    found = []
    standby = picture.chronicle.standby(service)
    for color in Color:
        seen = sighting.at(service, color)
        if seen.running(release) and sighting.share(service).of(color):
            found.append(f"serves on {color.value}")
        elif seen.running(release):
            by = standby is not None and (standby.color, standby.release) == (color, release)
            found.append(f"{'stands by' if by else 'runs'} on {color.value}")
    staged = any(release in sighting.at(service, color).staged for color in Color)
    return tuple(found) or (("staged",) if staged else ())
