"""Drift: what somebody or something changed by hand, seen by holding a sighting against the
chronicle.

`drift` looks at a site between rollouts, `fallen` inside an open one, `astray` at hosts at any
time. `known` fills what could not be seen of the traffic with what the journal says: unseen is not
nothing, and a plan that took it for nothing would forget who served. Each difference is one
sentence, the same for the same difference, so that a person can accept it; and it says what putting
it back needs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from orchestrator.core.chronicle import Chronicle, Serving, Standby
from orchestrator.core.model import Color, Share
from orchestrator.core.rollout import Rollout
from orchestrator.core.sight import Astray, InstallationSeen, Sighting, holds
from orchestrator.core.steps import Before, Flip, Part, Shift, Stage, Start, Wire, Wiring
from orchestrator.core.words import joined


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference between what should be and what was seen."""

    service: str
    what: str  # one sentence, the same for the same difference
    share: Share | None = None  # what the traffic should be, where that differs
    part: Part | None = None  # what should lie there and run, where that or its traffic differs
    files: Part | None = None  # what should lie there, whether it runs or not
    flips: tuple[Flip, ...] = ()  # all traffic as it should be, where nobody can see how it is
    wirings: tuple[Wiring, ...] = ()  # where inner addresses should lead, where they do not
    out: str = ""  # a host that gets requests though it was taken out
    starts: int = 0  # of all instances so far, where it is about what runs: it grows with each
    shut: str = ""  # a host that gets none though nobody took it out: a person may mean that

    @property
    def of_what_serves(self) -> bool:
        """Something of what serves can be put back: what runs, or where traffic goes."""
        return bool(self.part or self.share or self.flips or self.wirings)


def accepted_as(drift: Drift) -> str:
    """The memory of a person who accepts it: not for ever, where something was started since."""
    many = "starts" if drift.starts > 1 else "start"
    return f"{drift.what} (after {drift.starts} {many})" if drift.starts else drift.what


def known(chronicle: Chronicle, sighting: Sighting) -> Sighting:
    """The sighting, with the journal's word on what the switch does not show."""
    if sighting.switch.up or not chronicle.serving:
        return sighting
    shares, pins = dict(sighting.switch.shares), dict(chronicle.pins) | dict(sighting.switch.pins)
    for serving in chronicle.serving:
        if shares.get(serving.service, Share()) == Share():
            shares[serving.service] = Share.all_to(serving.color)
    seen = replace(sighting.switch, shares=tuple(shares.items()), pins=tuple(pins.items()))
    return replace(sighting, switch=seen)


def drift(chronicle: Chronicle, sighting: Sighting) -> tuple[Drift, ...]:
    """What somebody or something changed since the last rollout closed, less what was accepted."""
    found: list[Drift] = []
    if not sighting.switch.up and chronicle.serving:  # before anything serves there is none
        found.append(_switch_drift(chronicle, sighting))
    for serving in chronicle.serving:
        found += _traffic_drift(serving, sighting)
        found += _instance_drift(serving, sighting)
    if sighting.switch.up:
        found += _address_drift(chronicle, sighting)
    found += astray(chronicle, sighting)
    for standby in chronicle.standbys:
        running = sighting.at(standby.service, standby.color).running(standby.release)
        if running < standby.count:
            who = f"{standby.service} {standby.color.value}, the standby,"
            starts = _starts(sighting.at(standby.service, standby.color))
            what = f"{who} runs {running} of {standby.count}"
            found.append(Drift(standby.service, what, starts=starts))
        found += _lost_standby(standby, sighting)
    # What was accepted before starts were counted is accepted by its sentence alone.
    return tuple(d for d in found if not {d.what, accepted_as(d)} & set(chronicle.accepted))


def _starts(seen: InstallationSeen) -> int:
    return sum(instance.start for instance in seen.instances)


def astray(chronicle: Chronicle, sighting: Sighting) -> tuple[Drift, ...]:
    """Hosts that a switch treats otherwise than it was said of them, once anybody serves."""
    return tuple(map(_astray_drift, sighting.switch.astray)) if chronicle.serving else ()


def _astray_drift(one: Astray) -> Drift:
    colors = {service: [c.value for s, c in one.of if s == service] for service, _ in one.of}
    who = joined(s if len(cs) == len(Color) else f"{s} {cs[0]}" for s, cs in colors.items())
    where = f"({who}, at {joined(one.at)})"
    service = one.of[0][0]
    if one.shut:
        what = f"no new requests go to {one.host}, which nobody took out {where}"
        return Drift(service, what, shut=one.host)
    return Drift(service, f"requests go to {one.host}, which was taken out {where}", out=one.host)


def _lost_standby(standby: Standby, sighting: Sighting) -> list[Drift]:
    """What has lost its files cannot be started any more, and no backout could bring it back."""
    seen = sighting.at(standby.service, standby.color)
    if standby.release in seen.staged or not sighting.saw(standby.service, standby.color):
        return []
    who = f"{standby.service} {standby.color.value}, the standby,"
    # Taking the mend back must not delete what the color points at.
    before = Before(seen.current, seen.running(standby.release), staged=True)
    part = Part(standby.service, standby.color, standby.count, standby.release, before)
    what = f"{who} has lost the files of {standby.release.label}"
    return [Drift(standby.service, what, files=part)]


def mendable(drifts: tuple[Drift, ...]) -> tuple[Drift, ...]:
    """Those that one rollout can put back: of each service, what serves before what stands by."""
    serving = {d.service for d in drifts if d.of_what_serves}
    return tuple(d for d in drifts if d.files is None or d.service not in serving)


def _switch_drift(chronicle: Chronicle, sighting: Sighting) -> Drift:
    what = f"the switch is not well: {sighting.switch.note or 'no answer'}"
    shares = ((s, Share.all_to(s.color)) for s in chronicle.serving)
    flips = tuple(Flip(s.service, share, share, _part(s, s.count)) for s, share in shares)
    wirings = tuple(Wiring(pin, color, color) for pin, color in chronicle.pins)
    return Drift("", what, flips=flips, wirings=wirings)


def _traffic_drift(serving: Serving, sighting: Sighting) -> list[Drift]:
    share = sighting.share(serving.service)
    wanted = Share.all_to(serving.color)
    if share == wanted or not sighting.switch.up:
        return []
    what = (
        f"{serving.service}: traffic goes {share.blue} % blue, {share.green} % green;"
        f" it should all go to {serving.color.value}"
    )
    return [Drift(serving.service, what, share=wanted, part=_part(serving))]


def _instance_drift(serving: Serving, sighting: Sighting) -> list[Drift]:
    seen = sighting.at(serving.service, serving.color)
    if not sighting.saw(serving.service, serving.color):
        return []
    fewer = [
        Drift(serving.service, what, part=_part(serving), starts=_starts(seen))
        for what in _running_less(serving, seen)
    ]
    found: list[str] = []
    who = f"{serving.service} {serving.color.value}, which serves,"
    if serving.release not in seen.staged:
        found.append(f"{who} has lost the files of {serving.release.label}")
    alone = seen.unkept(serving.release)
    if alone:
        found.append(f"{who} has nobody to start it again: {alone} of its keepers are gone")
    return [*fewer, *(Drift(serving.service, what, part=_part(serving)) for what in found)]


def _running_less(serving: Serving, seen: InstallationSeen) -> list[str]:
    running = seen.running(serving.release)
    if running >= serving.count:
        return []
    what = (
        f"{serving.service} {serving.color.value}, which serves, runs {running} of {serving.count}"
    )
    others = {
        i.release.label
        for i in seen.instances
        if i.running and i.release not in (None, serving.release)
    }
    if others:
        what += f" of {serving.release.label}; it also runs {', '.join(sorted(others))}"
    return [what]


def _address_drift(chronicle: Chronicle, sighting: Sighting) -> list[Drift]:
    """Inner addresses of whoever serves or stands by that lead elsewhere than they were wired."""
    callers = {(s.service, s.color) for s in chronicle.serving}
    callers |= {(s.service, s.color) for s in chronicle.standbys}
    return [
        Drift(
            pin.caller,
            f"{pin.caller} {pin.color.value} reaches {seen.value if seen else 'no'} {pin.callee};"
            f" it should reach {color.value} {pin.callee}",
            wirings=(Wiring(pin, seen, color),),
        )
        for pin, color in chronicle.pins
        if (pin.caller, pin.color) in callers and (seen := sighting.pin(pin)) is not color
    ]


def _part(serving: Serving, ran: int = 0) -> Part:
    before = Before(serving.release, ran, staged=True) if ran else Before()
    return Part(serving.service, serving.color, serving.count, serving.release, before)


# -- Inside an open rollout ----------------------------------------------------------------


def fallen(rollout: Rollout, sighting: Sighting) -> int | None:
    """The lowest step that is done and does not hold any more, in an open rollout; None: all hold.

    Retire is not asked: a later Start may have brought the same release back on purpose.
    """
    if rollout.backing_out:
        return None
    for index, step in enumerate(rollout.steps[: rollout.done]):
        if isinstance(step, Stage | Wire | Start | Shift) and not holds(step, sighting):
            if isinstance(step, Wire) and _rewired(step, rollout):
                continue
            return index
    return None


def _rewired(wire: Wire, rollout: Rollout) -> bool:
    """Whether a later step that is done moved one of these addresses on."""
    later = {
        w.pin for s in rollout.steps[: rollout.done] if isinstance(s, Shift) for w in s.wirings
    }
    return any(w.pin in later for w in wire.wirings)
