"""What all rollouts of a site add up to.

Who serves, which standbys are warm, what was done, what waits.

The fold over the whole journal, the open rollout inside it. It is also what the world is held
against (`core.drift`). A journal may keep it folded as a cache; the records are the truth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from orchestrator.core.model import Color, Pin, Release, later
from orchestrator.core.record import (
    Answered,
    Asked,
    Closed,
    Entry,
    Granted,
    Kind,
    Opened,
    Outcome,
    Record,
    What,
)
from orchestrator.core.rollout import Rollout, evolve
from orchestrator.core.steps import Part, Retire, Run, Shift, Start, Wire, flips_of

PAST_KEPT = 50


@dataclass(frozen=True, slots=True)
class Serving:
    service: str
    color: Color
    release: Release
    count: int
    since_s: float
    rollout: int
    hosts: tuple[str, ...] = ()  # that it is placed on; those that are gone are not in `count`
    port: int = later(0)  # the first of its color; 0: it was not kept yet when it came up


@dataclass(frozen=True, slots=True)
class Gone:
    """A host that a person took out, until it is readmitted."""

    host: str
    by: str
    since_s: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Standby:
    """One service of an old world that is still warm.

    `whole`: nothing of its world was reused since.
    """

    service: str
    color: Color
    release: Release
    count: int
    rollout: int  # the rollout that moved the traffic away: its world
    until_s: float | None = None
    port: int = later(0)  # as of `Serving`


@dataclass(frozen=True, slots=True)
class Change:
    """What a closed rollout did to one service."""

    service: str
    before: Release | None
    after: Release
    color: Color  # that it serves on since


@dataclass(frozen=True, slots=True)
class Past:
    """A rollout that closed, in short."""

    id: int
    kind: Kind
    outcome: Outcome
    by: str
    opened_s: float
    closed_s: float
    changes: tuple[Change, ...] = ()
    undoes: int | None = None
    reason: str = ""  # why it turned, where it did
    remarks: tuple[str, ...] = ()
    wanted: tuple[tuple[str, Release], ...] = ()  # (service, release); also where it failed
    ran: tuple[Run, ...] = ()  # the steps of the user's own that it did


@dataclass(frozen=True, slots=True)
class Chronicle:
    open: Rollout | None = None
    rollouts: int = 0  # how many were opened so far: also the number of the newest
    serving: tuple[Serving, ...] = ()
    standbys: tuple[Standby, ...] = ()
    past: tuple[Past, ...] = ()  # the newest PAST_KEPT, oldest first
    pins: tuple[tuple[Pin, Color], ...] = ()  # where inner addresses were led
    accepted: tuple[str, ...] = ()  # drift that a person accepted, as text
    asked: tuple[Entry, ...] = ()  # requests to the site not yet met or answered
    gone: tuple[Gone, ...] = ()  # hosts that were taken out

    @property
    def away(self) -> tuple[str, ...]:
        """The names of the hosts that were taken out."""
        return tuple(gone.host for gone in self.gone)

    def serves(self, service: str) -> Serving | None:
        return next((s for s in self.serving if s.service == service), None)

    def standby(self, service: str) -> Standby | None:
        return next((s for s in self.standbys if s.service == service), None)

    def ran(self, rollout: int | None) -> tuple[Run, ...]:
        """The steps of the user's own that this closed rollout did."""
        return next((p.ran for p in self.past if p.id == rollout), ())

    def served_lately(self, service: str) -> tuple[Release, ...]:
        """The releases that served, newest first, each once."""
        seen: dict[Release, None] = {}
        if (now := self.serves(service)) is not None:
            seen[now.release] = None
        for past in reversed(self.past):
            for change in past.changes:
                if change.service == service:
                    seen.setdefault(change.after)
                    if change.before is not None:
                        seen.setdefault(change.before)
        return tuple(seen)


def fold(chronicle: Chronicle, entry: Entry) -> Chronicle:
    """The chronicle after this entry."""
    record = entry.record
    match record:
        case Opened(rollout=number) if chronicle.open is not None:
            raise ValueError(f"entry {entry.number}: {number} opened while another is open")
        case Opened(rollout=number):
            opened = evolve(None, entry)
            asked = tuple(e for e in chronicle.asked if not _taken_up(e, opened))
            return replace(chronicle, open=opened, rollouts=number, asked=asked)
        case Asked(rollout=None, what=What.WITHOUT) if chronicle.open is None:
            return _without(chronicle, record, entry.at_s)
        case Asked(rollout=None, what=What.READMIT) if chronicle.open is None:
            left = tuple(gone for gone in chronicle.gone if gone.host != record.target)
            return _counted(replace(chronicle, gone=left))
        case Asked(rollout=None):
            return replace(chronicle, asked=(*chronicle.asked, entry))
        case Asked(rollout=number) if chronicle.open is None or chronicle.open.id != number:
            return replace(chronicle, asked=(*chronicle.asked, entry))
        case Answered(request=request) if any(e.number == request for e in chronicle.asked):
            accepted = _accepted(chronicle, request, record.reason)
            asked = tuple(e for e in chronicle.asked if e.number != request)
            return replace(chronicle, asked=asked, accepted=accepted)
        case Granted(rollout=number) if chronicle.open is None or chronicle.open.id != number:
            return replace(chronicle, asked=(*chronicle.asked, entry))
        case _ if chronicle.open is None or record.rollout not in (None, chronicle.open.id):
            raise ValueError(f"entry {entry.number}: {_of_what(record)}, which is not open")
        case Closed():
            rollout = evolve(chronicle.open, entry)
            return _closed(replace(chronicle, open=None), rollout, entry.at_s, record.remark)
        case _:
            went_on = evolve(chronicle.open, entry)
            fewer = went_on.site != chronicle.open.site
            chronicle = replace(chronicle, open=went_on)
            if isinstance(record, Asked) and fewer:
                return _without(chronicle, record, entry.at_s)
            return chronicle


# -- Hosts that are gone -------------------------------------------------------------------


def _without(chronicle: Chronicle, asked: Asked, at_s: float) -> Chronicle:
    """Whoever asks of the site has looked whether it can be, under the lease."""
    if asked.target in chronicle.away:
        return chronicle
    gone = Gone(asked.target, asked.by, at_s, asked.why)
    return _counted(replace(chronicle, gone=(*chronicle.gone, gone)))


def _counted(chronicle: Chronicle) -> Chronicle:
    """How many of each service there are on the hosts that are not gone."""
    serving = tuple(replace(s, count=_there(s, chronicle)) for s in chronicle.serving)
    most = {s.service: s.count for s in serving}
    standbys = tuple(
        replace(s, count=min(s.count, most.get(s.service, s.count))) for s in chronicle.standbys
    )
    return replace(chronicle, serving=serving, standbys=standbys)


def _there(serving: Serving, chronicle: Chronicle) -> int:
    if not serving.hosts:
        return serving.count
    return sum(host not in chronicle.away for host in serving.hosts)


def _of_what(record: Record) -> str:
    return f"{type(record).__name__} of rollout {record.rollout}"


def _taken_up(entry: Entry, opened: Rollout) -> bool:
    record = entry.record
    return isinstance(record, Asked) and record.what is What.WISH and record.wish == opened.wish


def _accepted(chronicle: Chronicle, request: int, reason: str) -> tuple[str, ...]:
    """Accepting drift is answered with what was accepted; that line is the memory of it."""
    asked = next(e.record for e in chronicle.asked if e.number == request)
    if isinstance(asked, Asked) and asked.what is What.ACCEPT and asked.target:
        return (*chronicle.accepted, *asked.target.split("\n"))
    return chronicle.accepted


# -- A rollout closes ----------------------------------------------------------------------


def _closed(chronicle: Chronicle, rollout: Rollout, at_s: float, remark: str) -> Chronicle:
    went = rollout.outcome is Outcome.ROLLED_OUT or (
        rollout.outcome is Outcome.ABANDONED and rollout.done > rollout.shift_at
    )
    past = Past(
        id=rollout.id,
        kind=rollout.wish.kind,
        outcome=rollout.outcome or Outcome.ABANDONED,
        by=rollout.by,
        opened_s=rollout.opened_s,
        closed_s=at_s,
        changes=_changes(rollout) if went else (),
        undoes=rollout.wish.undoes,
        reason=rollout.turned,
        remarks=rollout.remarks or ((remark,) if remark else ()),
        wanted=tuple((w.service, w.release) for w in rollout.wish.wanted),
        ran=tuple(s for s in rollout.steps[: rollout.done] if isinstance(s, Run)) if went else (),
    )
    asked = (*chronicle.asked, *_not_met(rollout))
    chronicle = replace(chronicle, past=(*chronicle.past, past)[-PAST_KEPT:], asked=asked)
    chronicle = replace(chronicle, standbys=_standbys_left(chronicle, rollout))
    if not went:
        return chronicle
    chronicle = replace(chronicle, accepted=_still_accepted(chronicle, rollout))
    return replace(_moved(chronicle, rollout, at_s), pins=_wired(chronicle, rollout))


def _still_accepted(chronicle: Chronicle, rollout: Rollout) -> tuple[str, ...]:
    """What was accepted of a service ends with the rollout that brings it to what it should be: the
    same difference is another one then. So does what was accepted of the switch, which was seen to.
    """
    about = {w.service for w in rollout.wish.wanted} | {f.service for f in flips_of(rollout.steps)}
    ended = (*(f"{name}{sign}" for name in about for sign in (" ", ":")), "the switch ")
    return tuple(what for what in chronicle.accepted if not what.startswith(ended))


def _not_met(rollout: Rollout) -> tuple[Entry, ...]:
    """Requests that nobody came to any more. They still get an answer."""
    met = (
        entry.number
        for entry in rollout.asked
        if isinstance(entry.record, Asked) and entry.record.what is What.ABANDON
    )
    first = next(met, None) if rollout.outcome is Outcome.ABANDONED else None
    return tuple(entry for entry in rollout.asked if entry.number != first)


def _changes(rollout: Rollout) -> tuple[Change, ...]:
    return tuple(
        Change(flip.service, flip.back.release if flip.back else None, after, color)
        for flip in flips_of(rollout.steps)
        if (color := flip.after.live) and (after := rollout_release(rollout, flip.service, color))
    )


def rollout_release(rollout: Rollout, service: str, color: Color) -> Release | None:
    """Which release a rollout brings up on this color of a service."""
    wanted = rollout.wish.of(service)
    if wanted is not None:
        return wanted.release
    parts = (p for s in rollout.steps if isinstance(s, Start) for p in s.parts)
    return next((p.release for p in parts if (p.service, p.color) == (service, color)), None)


def _standbys_left(chronicle: Chronicle, rollout: Rollout) -> tuple[Standby, ...]:
    """A standby belongs to a world.

    Once any of it was reused or lost, all of it stops being a way back.
    """
    back = rollout.outcome in (Outcome.BACKED_OUT, Outcome.REPLACED)
    used = {(lost.service, lost.color) for lost in rollout.lost}
    if not back:
        for step in rollout.steps[: rollout.touched]:
            if isinstance(step, Retire | Start):
                used |= {(p.service, p.color) for p in step.parts}
            if isinstance(step, Shift):
                used |= {(f.service, f.after.live) for f in step.flips if f.after.live}
    broken = {s.rollout for s in chronicle.standbys if (s.service, s.color) in used}
    return tuple(s for s in chronicle.standbys if s.rollout not in broken)


def _moved(chronicle: Chronicle, rollout: Rollout, at_s: float) -> Chronicle:
    """Who serves since, and who waits: what ran when the traffic left it on purpose."""
    flips = flips_of(rollout.steps)
    if not flips:
        return chronicle
    serving = {s.service: s for s in chronicle.serving}
    standbys = list(chronicle.standbys)
    for flip in flips:
        color = flip.after.live
        if color is None or (release := rollout_release(rollout, flip.service, color)) is None:
            continue
        place = rollout.site.service(flip.service).placement
        port = place.port(color, 0)
        serving[flip.service] = Serving(
            flip.service, color, release, place.count, at_s, rollout.id, place.hosts, port
        )
        ran = flip.back is not None and flip.back.before.running > 0
        if flip.back is not None and ran and rollout.wish.kind is not Kind.MEND:
            standbys.append(_standby(flip.back, rollout, at_s))
    return replace(chronicle, serving=tuple(serving.values()), standbys=tuple(standbys))


def _wired(chronicle: Chronicle, rollout: Rollout) -> tuple[tuple[Pin, Color], ...]:
    pins = dict(chronicle.pins)
    for step in rollout.steps[: rollout.done]:
        if isinstance(step, Wire | Shift):
            pins |= {wiring.pin: wiring.after for wiring in step.wirings}
    return tuple(pins.items())


def _standby(back: Part, rollout: Rollout, at_s: float) -> Standby:
    keep_s = rollout.policy.standby_s
    until_s = None if keep_s is None else at_s + keep_s
    ran = min(back.count, back.before.running)
    port = rollout.site.service(back.service).placement.port(back.color, 0)
    return Standby(back.service, back.color, back.release, ran, rollout.id, until_s, port)


# -- What a backout would undo -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Backout:
    """What `backout` means when no rollout is open.

    The rollout it undoes, and what it brings back.
    """

    undoes: Past
    wanted: tuple[tuple[str, Release], ...]


class Nothing(Enum):
    """Why there is nothing to back out."""

    ALREADY_BACK = "already back"
    BACKED_OUT_BEFORE = "it was backed out before"
    FIRST = "nothing served before it"
    NONE = "no rollout has changed anything yet"


def backout_of(chronicle: Chronicle) -> Backout | Nothing:
    """The last rollout that changed what serves and was neither a backout nor a mend, undone."""
    last = chronicle.past[-1] if chronicle.past else None
    if last and last.kind is Kind.DEPLOY and last.outcome is Outcome.BACKED_OUT:
        return Nothing.ALREADY_BACK
    undone = {p.undoes for p in chronicle.past if p.kind is Kind.BACKOUT and p.changes}
    for past in reversed(chronicle.past):
        if past.kind is not Kind.DEPLOY or all(c.before == c.after for c in past.changes):
            continue  # the same release brought up again changes nothing that could be undone
        if past.id in undone:
            return Nothing.BACKED_OUT_BEFORE
        wanted = tuple((c.service, c.before) for c in past.changes if c.before is not None)
        return Backout(past, wanted) if wanted else Nothing.FIRST
    return Nothing.NONE
