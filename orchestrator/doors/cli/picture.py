"""What is known of a site at one instant, and what follows: who serves, the way back, what next.

The pictures for people and the data for programs both begin here, so that they cannot tell
different stories. What was seen goes before what the journal remembers; where nothing could be
seen, that is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from orchestrator.core.chronicle import Backout, Chronicle, Nothing, Standby, backout_of
from orchestrator.core.decide import For, Wait, decide
from orchestrator.core.drift import drift
from orchestrator.core.health import Verdict
from orchestrator.core.model import Color, Release, Share, Site
from orchestrator.core.rollout import Rollout
from orchestrator.core.sight import Sighting
from orchestrator.core.words import joined, share_of
from orchestrator.doors.cli.paper import capital
from orchestrator.ports.lease import Holder


@dataclass(frozen=True, slots=True)
class Picture:
    site: Site
    chronicle: Chronicle
    sighting: Sighting | None  # None: nobody looked
    now: float  # seconds since 1970
    holder: Holder | None = None  # who drives; None: nobody
    addresses: Mapping[str, str] = field(default_factory=dict)  # service -> URL for people
    previews: Mapping[tuple[str, Color], str] = field(default_factory=dict)  # one color, by URL
    verdicts: Mapping[tuple[str, Color], Verdict] = field(default_factory=dict)  # sampled just now
    reserved: bool = False  # room is put aside for a backout
    room: int | None = None  # bytes free where the journal lies; None: nobody looked

    @property
    def driven(self) -> bool:
        """Whether somebody is there who lets time-outs take effect."""
        return self.holder is not None and self.holder.alive and not self.overdue

    @property
    def overdue(self) -> bool:
        """Whether its term ran out with its process still there: it is stopped, or cannot write."""
        holder = self.holder
        return holder is not None and holder.alive and self.now > holder.until_s


# -- Who serves ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Serves:
    """Who serves one service: as seen, or, where nobody could see it, as the journal has it."""

    service: str
    share: Share
    release: Release | None
    seen: bool
    runs: int | None = None  # of the color that serves; None: nobody could see
    count: int = 0  # how many should

    @property
    def silent(self) -> bool:
        """All traffic goes to a color of which nothing runs."""
        return self.runs == 0


def who_serves(chronicle: Chronicle, sighting: Sighting | None) -> tuple[Serves, ...]:
    """One for each service that is known, in the order in which people named them."""
    if sighting is None or not sighting.switch.up:
        return tuple(
            _counted(
                Serves(s.service, Share.all_to(s.color), s.release, seen=False), chronicle, sighting
            )
            for s in chronicle.serving
        )
    known = [s.service for s in chronicle.serving]
    known += [w.service for w in chronicle.open.wish.wanted] if chronicle.open else []
    known += [name for name, _ in sighting.switch.shares]
    return tuple(_seen(name, chronicle, sighting) for name in dict.fromkeys(known))


def _seen(service: str, chronicle: Chronicle, sighting: Sighting) -> Serves:
    share, known = sighting.share(service), chronicle.serves(service)
    release = sighting.at(service, share.live).current if share.live else None
    if known and known.color is share.live and not sighting.saw(service, known.color):
        return Serves(service, share, known.release, seen=False)
    return _counted(Serves(service, share, release, seen=True), chronicle, sighting)


def _counted(serves: Serves, chronicle: Chronicle, sighting: Sighting | None) -> Serves:
    """With how many run of the color that serves, where that could be seen."""
    color = serves.share.live
    if sighting is None or color is None or not sighting.saw(serves.service, color):
        return serves
    seen = sighting.at(serves.service, color)
    known = chronicle.serves(serves.service)
    count = known.count if known else len(seen.instances)
    release = serves.release or (known.release if known and known.color is color else None)
    return replace(serves, release=release, runs=seen.running(), count=max(count, 1))


def serving_line(chronicle: Chronicle, sighting: Sighting | None, now: float) -> str:
    """The last line of every command: who serves, and the way back. One line, no newline."""
    serving = who_serves(chronicle, sighting)
    back = way_back(chronicle, now, sighting)
    line = f"{_who(serving)}; {back}" if back else _who(serving)
    return capital(line, [s.service for s in serving]) + "."


def who_serves_in_words(chronicle: Chronicle, sighting: Sighting | None) -> str:
    """`web 2 and api 2 serve on green`, without a full stop."""
    return _who(who_serves(chronicle, sighting))


def _who(serving: tuple[Serves, ...]) -> str:
    live = [s for s in serving if s.share.live]
    said = [
        f"{joined(names)} {'serves' if len(names) == 1 else 'serve'} on {color}"
        for color, names in _by_color([s for s in live if not s.silent]).items()
    ]
    said += _should([s for s in live if s.silent])
    said += [f"{s.service} goes to {share_of(s.share)}" for s in serving if s.share.split]
    silent = [s.service for s in serving if not s.share.live and not s.share.split]
    if not said:
        return "nothing serves"
    if silent:
        said.append(f"nothing serves {joined(silent)}")
    unsure = "" if all(s.seen for s in serving) else "as far as the journal knows, "
    return unsure + ", ".join(said)


def _by_color(serving: Iterable[Serves]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for s in serving:
        groups.setdefault(share_of(s.share), []).append(_named(s))
    return groups


def _named(serves: Serves) -> str:
    return f"{serves.service} {serves.release.version}" if serves.release else serves.service


def _should(silent: list[Serves]) -> list[str]:
    """Never that something serves which does not run."""
    counts = dict.fromkeys(_by_color(silent), 0)
    for s in silent:
        counts[share_of(s.share)] += s.count
    return [
        f"{joined(names)} should serve on {color}, and 0 of {counts[color]} run there"
        for color, names in _by_color(silent).items()
    ]


# -- The way back --------------------------------------------------------------------------


def way_back(chronicle: Chronicle, now: float, sighting: Sighting | None = None) -> str:
    """Whether and how it can be left again, in words; empty where there is nowhere to go."""
    if chronicle.open is not None:
        return _way_back_inside(chronicle.open)
    backout = backout_of(chronicle)
    if backout is Nothing.ALREADY_BACK:
        return _still_warm(chronicle, sighting)
    if not isinstance(backout, Backout):
        return ""
    standbys = instant_standbys(chronicle, backout, sighting)
    to = versions(release for _, release in backout.wanted)
    if standbys:
        colors = joined(s.color.value for s in standbys)
        over = any(s.until_s is not None and s.until_s <= now for s in standbys)
        still = "still open, but due to end" if over else "open"
        return f"the way back to {to} is {still} (standby {colors}): `bgctl backout`"
    if lost := _without_files(backout, sighting):
        only = "only its artifact" if len(lost) == 1 else "only their artifacts"
        return f"the files of {joined(lost)} are gone: {only} can open the way back to {to} again"
    return f"the way back to {to} is not instant, it has to be started again: `bgctl backout`"


def _without_files(backout: Backout, sighting: Sighting | None) -> list[str]:
    """What would have to be started again, and lies nowhere any more."""
    if sighting is None or sighting.unreached:
        return []
    seen = {pair: [sighting.at(pair[0], color) for color in Color] for pair in backout.wanted}
    return [
        f"{service} {release.label}"
        for (service, release), colors in seen.items()
        if not any(c.lies(release) or c.running(release) for c in colors)
    ]


def _still_warm(chronicle: Chronicle, sighting: Sighting | None) -> str:
    """The standby that a deploy left alone which then went back."""
    standbys = [s for s in chronicle.standbys if warm(s, sighting)]
    if not standbys:
        return ""
    named = joined(
        f"{joined(names)} on {color}"
        for color, names in _by_color(
            Serves(s.service, Share.all_to(s.color), s.release, seen=True) for s in standbys
        ).items()
    )
    to = " ".join(f"--to {s.service}={s.release.version}" for s in standbys)
    if len({s.release.version for s in standbys}) == 1 and len(standbys) == len(chronicle.serving):
        to = f"--to {standbys[0].release.version}"
    return f"{named} still {'stands' if len(standbys) == 1 else 'stand'} by: `bgctl backout {to}`"


def _way_back_inside(rollout: Rollout) -> str:
    if rollout.stuck:
        return f"rollout {rollout.id} is stuck and needs a person"
    if rollout.backing_out:
        return f"rollout {rollout.id} is going back"
    if rollout.may_turn_back:
        return f"rollout {rollout.id} is open and can go back: `bgctl backout`"
    return f"rollout {rollout.id} is past its point of no return"


def instant_standbys(
    chronicle: Chronicle, backout: Backout, sighting: Sighting | None = None
) -> tuple[Standby, ...]:
    """The standbys that a backout would only have to switch to; none where any is missing."""
    found = []
    for service, release in backout.wanted:
        standby = chronicle.standby(service)
        if standby is None or standby.release != release or not warm(standby, sighting):
            return ()
        found.append(standby)
    return tuple(found)


def left_over(chronicle: Chronicle, sighting: Sighting | None) -> tuple[tuple[str, Color], ...]:
    """What still runs beside what serves and is no way back any more, as (service, color); while no
    rollout is open.
    """
    if sighting is None or chronicle.open is not None:
        return ()
    stands_by = {(s.service, s.color) for s in chronicle.standbys}
    idle = ((s.service, s.color.other) for s in chronicle.serving)
    return tuple(one for one in idle if one not in stands_by and sighting.at(*one).running())


def warm(standby: Standby, sighting: Sighting | None) -> bool:
    """Whether it was seen to run; what nobody looked at is believed."""
    if sighting is None or sighting.unreached:
        return True
    return sighting.at(standby.service, standby.color).running(standby.release) > 0


def versions(releases: object) -> str:
    """`1`; `1 and 7`: the names of releases, each once."""
    return joined(r.version for r in releases)  # type: ignore[attr-defined]


# -- What to do next -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NextStep:
    command: str  # "bgctl switch"
    does: str  # "grant the cutover and drive it"


def waits_for(rollout: Rollout, now: float) -> Wait | None:
    """What an open rollout waits for; None: nothing, it can go on."""
    move = decide(rollout, now)
    return move if isinstance(move, Wait) else None


def next_steps(
    chronicle: Chronicle, now: float, sighting: Sighting | None = None, *, driven: bool = False
) -> tuple[NextStep, ...]:
    """What may be asked for now, the likeliest first. `driven`: somebody is at it."""
    if chronicle.open is not None:
        return _inside(chronicle.open, now, driven)
    steps = []
    if sighting is not None and drift(chronicle, sighting):
        steps += [
            NextStep("bgctl reconcile", "put back what was changed"),
            NextStep("bgctl reconcile --accept", "accept it as it is"),
        ]
    if isinstance(backout := backout_of(chronicle), Backout):
        to = versions(release for _, release in backout.wanted)
        steps.append(NextStep("bgctl backout", f"go back to {to}"))
    if chronicle.standbys:
        steps.append(NextStep("bgctl retire", "stop the standby and give up the instant way back"))
    elif left_over(chronicle, sighting):
        steps.append(NextStep("bgctl retire", "stop what still runs and is no way back any more"))
    if not chronicle.serving:
        steps.append(NextStep("bgctl deploy VERSION", "bring a first release up"))
    return tuple(steps)


def _inside(rollout: Rollout, now: float, driven: bool) -> tuple[NextStep, ...]:
    wait = waits_for(rollout, now)
    back = (
        (NextStep("bgctl backout", "go back to what was before"),) if rollout.may_turn_back else ()
    )
    match wait:
        case Wait(For.GRANT):
            deny = NextStep("bgctl deny cutover", "refuse it, which goes back")
            return (NextStep("bgctl switch", "grant the cutover and drive it"), *back, deny)
        case Wait(For.PERSON):
            return _stuck(rollout, back)
        case Wait(For.PAUSED):
            return (NextStep("bgctl resume", "go on"), *back)
        case _ if driven:
            pause = NextStep("bgctl pause", "stand still after this step")
            return (NextStep("bgctl status -w", "look on"), *back, pause)
        case _:
            return (NextStep("bgctl resume", "go on with it"), *back)


def _stuck(rollout: Rollout, back: tuple[NextStep, ...]) -> tuple[NextStep, ...]:
    forward = (
        (NextStep("bgctl resume --forward", "go forward again"),)
        if rollout.backing_out and not rollout.replaced
        else ()
    )
    hosts = any(service.placement.hosts for service in rollout.site.services)
    without = (NextStep("bgctl without HOST", "go on without a host that is gone"),)
    return (
        NextStep("bgctl resume", "try again, once what stood in the way is gone"),
        *(without if hosts else ()),
        *back,
        *forward,
        NextStep("bgctl abandon", "leave everything as it is and close the rollout"),
    )
