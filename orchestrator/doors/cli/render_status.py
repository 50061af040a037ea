"""The site in one picture: who serves, what goes on, what it waits for, what may be asked.

What was seen is shown as seen; what only the journal knows is called so. Every question that a
person has at three in the morning has its line. The tree itself is in `render_tree`, the open
rollout in `render_rollout`.
"""

from __future__ import annotations

from orchestrator.core.chronicle import Gone, Standby
from orchestrator.core.drift import Drift, astray, drift
from orchestrator.core.narrate import narrate
from orchestrator.core.words import joined, sentence, span
from orchestrator.doors.cli.paper import Ink, Paper, briefly
from orchestrator.doors.cli.picture import Picture, left_over, next_steps, serving_line, warm
from orchestrator.doors.cli.render_history import past_in_words
from orchestrator.doors.cli.render_rollout import rollout_lines
from orchestrator.doors.cli.render_tree import tree
from orchestrator.doors.cli.render_trouble import next_lines

ROOM_MIN = 1_000_000  # bytes; a rollout and its way back are written into that with ease
LOOK_ON = "bgctl status -w"


def status(picture: Picture, paper: Paper, *, watching: bool = False) -> str:
    """The whole picture; it ends with `serving_line`. Where the paper is not high enough, less.

    `watching`: by whoever looks on already.
    """
    whole = _drawn(picture, paper, watching=watching)
    if paper.height is None or whole.count("\n") < paper.height:
        return whole
    brief = _drawn(picture, paper, brief=True, watching=watching)
    if brief.count("\n") < paper.height:
        return brief
    return _drawn(picture, paper, brief=True, dense=True)


def _drawn(
    picture: Picture, paper: Paper, *, brief: bool = False, dense: bool = False,
    watching: bool = False,
) -> str:  # fmt: skip
    """`brief`: without what is as it should be; `dense`: without empty lines and advice, too."""
    blocks = [
        tree(picture, paper, brief=brief, dense=dense),
        _unseen(picture, paper),
        _gone(picture, paper),
        _drift(picture, paper),
        _room(picture, paper),
        rollout_lines(picture, paper, dense=dense),
        [] if brief else _newest(picture, paper),
        _standbys(picture, paper),
        _left_over(picture, paper),
        _requests(picture, paper),
        [] if dense else _next(picture, paper, watching=watching),
        _last(picture, paper),
    ]
    text = ("\n" if dense else "\n\n").join("\n".join(lines) for lines in blocks if lines)
    return text.replace("\n\n", "\n") if dense else text


# -- What is not as it should be -----------------------------------------------------------


def _unseen(picture: Picture, paper: Paper) -> list[str]:
    sighting = picture.sighting
    if sighting is None:
        return ["Nobody looked: this is what the journal knows."]
    lines = [line for why in sighting.unreached for line in paper.wrapped(why, first="  ")]
    if not sighting.switch.up:
        note = sighting.switch.note or "it does not answer"
        lines += paper.wrapped(f"the switch: {briefly(note)}", first="  ")
    return [paper.ink(Ink.BAD, "Could not be seen:"), *lines] if lines else []


def _gone(picture: Picture, paper: Paper) -> list[str]:
    """Hosts that nothing counts on."""
    return [
        line
        for gone in picture.chronicle.gone
        for line in paper.wrapped(
            f"{taken_out(gone, picture.now, paper)}. `bgctl readmit {gone.host}` takes it back."
        )
    ]


def taken_out(gone: Gone, now: float, paper: Paper) -> str:
    """Who took a host out, when and why."""
    why = f": {gone.why}" if gone.why else ""
    return f"{gone.host} was taken out by {gone.by} at {paper.clock(gone.since_s, now)}{why}"


def drifts(picture: Picture) -> tuple[str, ...]:
    """What was changed by hand, as sentences; none where a look fell short.

    While a rollout is open, of hosts alone: it looks after all else.
    """
    return tuple(d.what for d in _differences(picture))


def _differences(picture: Picture) -> tuple[Drift, ...]:
    sighting = picture.sighting
    if sighting is None or sighting.unreached:
        return ()
    if picture.chronicle.open is not None:
        return astray(picture.chronicle, sighting)
    return drift(picture.chronicle, sighting)


def _noted(picture: Picture) -> list[str]:
    """What the switch says of itself though it does what it should."""
    sighting = picture.sighting
    if sighting is None or not sighting.switch.up or not picture.chronicle.serving:
        return []
    return [sighting.switch.note] if sighting.switch.note else []


def _drift(picture: Picture, paper: Paper) -> list[str]:
    said = [d.what for d in _differences(picture) if d.service]  # of the switch it is said above
    said += _noted(picture)
    found = [line for what in said for line in paper.wrapped(sentence(briefly(what)), first="  ")]
    return [paper.ink(Ink.BAD, "Not as it should be:"), *found] if found else []


def _room(picture: Picture, paper: Paper) -> list[str]:
    """A full disk closes the way back: what cannot be written down is not done."""
    if picture.room is None or picture.room >= ROOM_MIN:
        return []
    full = f"The disk of the state folder is full ({picture.room // 1000} kB free)"
    said = (
        f"{full}: what cannot be written down is not done, neither a rollout nor the way back."
        " Make room there first."
    )
    if picture.reserved:
        said = f"{full}: no rollout can be opened. Room for one backout is put aside; make more."
    return [paper.ink(Ink.BAD, line) for line in paper.wrapped(said)]


def _newest(picture: Picture, paper: Paper) -> list[str]:
    """How the newest rollout ended, while none is open."""
    if picture.chronicle.open is not None or not picture.chronicle.past:
        return []
    return paper.wrapped(past_in_words(picture.chronicle.past[-1], picture.now, paper))


# -- Standbys, requests, the end -----------------------------------------------------------


def _standbys(picture: Picture, paper: Paper) -> list[str]:
    groups: dict[tuple[int, float | None], list[Standby]] = {}
    for standby in picture.chronicle.standbys:
        if warm(standby, picture.sighting):
            groups.setdefault((standby.rollout, standby.until_s), []).append(standby)
    return [
        line
        for (_, until_s), group in groups.items()
        for line in paper.wrapped(_standby(group, until_s, picture, paper))
    ]


def _standby(group: list[Standby], until_s: float | None, picture: Picture, paper: Paper) -> str:
    what = joined(f"{s.service} {s.release.version}" for s in group)
    colors = joined(s.color.value for s in group)
    stands = f"{what} {'stands' if len(group) == 1 else 'stand'} by on {colors}"
    if until_s is None:
        return f"{stands} until the next deploy needs the place, or `bgctl retire`."
    clock, left = paper.clock(until_s, picture.now), until_s - picture.now
    if left <= 0:
        return f"{stands}; the time for that was over at {clock}.{_tended(picture)}"
    return f"{stands} until {clock}, {span(left)} from now.{_tended(picture)}"


def _left_over(picture: Picture, paper: Paper) -> list[str]:
    """Its world was reused in part, or somebody started it: nobody else would stop it."""
    found = left_over(picture.chronicle, picture.sighting)
    if not found:
        return []
    what = joined(f"{service} on {color.value}" for service, color in found)
    one = len(found) == 1
    named = " ".join(service for service, _ in found)
    verb, is_ = ("runs", "is") if one else ("run", "are")
    said = f"{what} still {verb} and {is_} no way back any more: `bgctl retire {named}` stops"
    return paper.wrapped(f"{said} {'it' if one else 'them'}.")


def _tended(picture: Picture) -> str:
    if picture.driven:
        return ""
    return " Nobody tends, so that takes effect at the next command, or with `bgctl tend`."


def _requests(picture: Picture, paper: Paper) -> list[str]:
    waiting = [
        line for e in picture.chronicle.asked for line in paper.wrapped(narrate(e, ()), first="  ")
    ]
    return ["Asked for, and not taken up yet:", *waiting] if waiting else []


def _next(picture: Picture, paper: Paper, *, watching: bool) -> list[str]:
    steps = next_steps(picture.chronicle, picture.now, picture.sighting, driven=picture.driven)
    if picture.chronicle.open is None and not drifts(picture) and picture.chronicle.serving:
        return []  # the last line says it all
    if watching:
        steps = tuple(step for step in steps if step.command != LOOK_ON)
    return ["Next:", *next_lines(steps, paper)] if steps else []


def _last(picture: Picture, paper: Paper) -> list[str]:
    line = serving_line(picture.chronicle, picture.sighting, picture.now)
    return [paper.ink(Ink.STRONG, part) for part in paper.wrapped(line)]
