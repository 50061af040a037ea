"""What was: the rollouts of a site in short, one of them as a story, and the releases there are."""

from __future__ import annotations

from orchestrator.core.chronicle import Chronicle, Past
from orchestrator.core.model import Color, Release
from orchestrator.core.narrate import narrate, wish_in_words
from orchestrator.core.record import Entry, Kind, Opened, Outcome, Wanted, Wish
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
KINDS = {
    Kind.DEPLOY: "a deploy",
    Kind.BACKOUT: "a backout",
    Kind.RETIRE: "a retirement",
    Kind.MEND: "a mend",
    Kind.ADOPT: "an adoption",
}
INKS = {Outcome.ROLLED_OUT: Ink.GOOD, Outcome.BACKED_OUT: Ink.CARE, Outcome.ABANDONED: Ink.BAD}


# -- All rollouts --------------------------------------------------------------------------


def history(chronicle: Chronicle, now: float, paper: Paper) -> str:
    """The rollouts, newest last: when, who, what, how it ended and why."""
    lines = [line for past in chronicle.past for line in _past(past, now, paper)]
    if (rollout := chronicle.open) is not None:
        way = "going back" if rollout.backing_out else "open"
        state = "stuck" if rollout.stuck else way
        when = paper.clock(rollout.opened_s, now)
        head = f"{rollout.id:>4}  {when}  {wish_in_words(rollout.wish)}, by {rollout.by}"
        lines += [paper.ink(Ink.STRONG, harmless(head))]
        lines += paper.wrapped(": ".join(s for s in (state, rollout.turned) if s), first=" " * 6)
    return "\n".join(lines) or "Nothing happened here yet."


def _past(past: Past, now: float, paper: Paper) -> list[str]:
    wish = Wish(tuple(Wanted(s, r) for s, r in past.wanted), past.kind, undoes=past.undoes)
    head = f"{past.id:>4}  {paper.clock(past.opened_s, now)}  {wish_in_words(wish)}, by {past.by}"
    lines = [paper.ink(Ink.STRONG, line) for line in paper.wrapped(head, later=" " * 6)]
    ended = f"{ENDED[past.outcome]} after {span(past.closed_s - past.opened_s)}"
    told = paper.wrapped(": ".join((ended, *_how(past))), first=" " * 6)
    told[0] = told[0].replace(ended, paper.ink(INKS.get(past.outcome, Ink.FAINT), ended), 1)
    return [*lines, *told]


def _how(past: Past) -> tuple[str, ...]:
    """Why it turned, where it did; else what it changed; and what there is to remark."""
    groups: dict[str, list[str]] = {}
    for c in past.changes:
        before = f"{c.before.version} → " if c.before and c.before != c.after else ""
        groups.setdefault(c.color.value, []).append(f"{c.service} {before}{c.after.version}")
    changes = "; ".join(f"{joined(said)} on {color}" for color, said in groups.items())
    why = past.reason if past.outcome is not Outcome.ROLLED_OUT else ""
    said = "; ".join(s for s in (why, changes, *past.remarks) if s)
    return (said,) if said else ()


def past_in_words(past: Past, now: float, paper: Paper) -> str:
    """One sentence on a rollout that closed."""
    kind = KINDS[past.kind]
    ended = {Outcome.ROLLED_OUT: "was done", Outcome.REPLACED: "made place for another wish"}.get(
        past.outcome, f"was {ENDED[past.outcome]}"
    )
    why = f": {past.reason}" if past.reason and past.outcome is not Outcome.ROLLED_OUT else ""
    when = paper.clock(past.closed_s, now)
    lost = "".join(f"; {remark}" for remark in past.remarks)
    return sentence(f"Rollout {past.id}, {kind} by {past.by}, {ended} at {when}{why}{lost}")


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
