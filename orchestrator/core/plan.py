"""From what was seen and what is wished to steps.

`plan` answers with a `Plan`, or with `Unplannable`: a reason and what to do. It derives
everything from the sighting, so an interrupted or hand-changed world gives a right plan; the
chronicle only says which releases are worth keeping. The plain plan is

    Stage · Drain · Retire · Wire · Start · Prove · Gate(cutover) · Shift · Soak · Tidy

and each step, and each part in it, is there only if it did not hold. Staging comes first because
it fails most often, and then costs nobody the way back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from orchestrator.core.chronicle import Chronicle
from orchestrator.core.model import Color, Coupling, Pin, Policy, Release, Share, Site
from orchestrator.core.own import with_own
from orchestrator.core.record import Kind, Wish
from orchestrator.core.sight import InstallationSeen, Sighting
from orchestrator.core.steps import (
    About,
    Before,
    Drain,
    Flip,
    Gate,
    Part,
    Prove,
    Retire,
    Shift,
    Soak,
    Stage,
    Start,
    Step,
    Tidy,
    Wire,
    Wiring,
    undoable,
)


@dataclass(frozen=True, slots=True)
class Plan:
    steps: tuple[Step, ...]
    remarks: tuple[str, ...] = ()  # what people should know before they say yes

    @property
    def no_return(self) -> int | None:
        """The index of the first step from which the releases of before cannot be reached again."""
        return next((i for i, step in enumerate(self.steps) if not undoable(step)), None)

    @property
    def reuses_standby(self) -> int | None:
        """The index of the step at which the instant way back to an older release ends."""
        return next((i for i, step in enumerate(self.steps) if isinstance(step, Retire)), None)


@dataclass(frozen=True, slots=True)
class Unplannable:
    reason: str
    advice: str


@dataclass(frozen=True, slots=True)
class _Move:
    """One service of the wish: from where to where."""

    service: str
    live: Color | None
    to: Color
    release: Release
    seen: InstallationSeen  # the color it goes to
    count: int
    again: bool  # what runs there of the same release is no use
    irreplaceable: bool = False  # its files are lost: what runs of it is all that can be had

    @property
    def staged(self) -> bool:
        return self.release in self.seen.staged

    @property
    def ready(self) -> bool:
        """The release runs there already, in full: a standby."""
        enough = 1 if self.irreplaceable else self.count
        pointed = self.seen.current == self.release and self.seen.agreed
        return self.seen.running(self.release) >= enough and pointed and not self.again


def plan(
    site: Site, wish: Wish, sighting: Sighting, *, policy: Policy, chronicle: Chronicle
) -> Plan | Unplannable:
    """The steps from the sighting to the wish. No steps: nothing to do."""
    if why := _cannot_see(site, wish, sighting):
        return why
    moves = _moves(site, wish, sighting)
    if not moves:
        return Plan(())
    if lost := next((m for m in moves if m.irreplaceable and not m.ready), None):
        return _lost(lost)
    lenient = wish.kind is Kind.BACKOUT
    stage = Stage(tuple(_part(m) for m in moves if not m.staged and not (lenient and m.ready)))
    leftovers = tuple(part for m in moves if not m.ready for part in _leftovers(m.seen, site))
    wire = Wire(_wirings_inside(site, moves, sighting))
    start = Start(tuple(_part(m) for m in moves if not m.ready))
    prove = Prove(tuple(_part(m) for m in moves), lenient)
    serves_now = any(m.live for m in moves)
    shift = Shift(
        tuple(_flip(m, sighting) for m in moves),
        _wirings_outside(site, moves, sighting),
        policy.hold if serves_now else None,  # where nobody is served, nobody can wait
    )
    soak = Soak(prove.parts)
    steps: tuple[Step, ...] = (
        *((stage,) if stage.parts else ()),
        *((Drain(leftovers), Retire(leftovers)) if leftovers else ()),
        *((wire,) if wire.wirings else ()),
        *((start,) if start.parts else ()),
        prove,
        *((Gate("cutover"),) if policy.cutover and serves_now and not lenient else ()),
        shift,
        *((soak,) if policy.soak_s and not lenient else ()),
        *_tidy(moves, sighting, policy, chronicle),
    )
    abouts = tuple(About(m.service, m.to, m.release) for m in moves)
    steps, own = with_own(steps, site, wish, abouts, sighting=sighting, chronicle=chronicle)
    return Plan(steps, (*_remarks(site, moves, shift, leftovers), *own))


def plan_retire(site: Site, services: tuple[str, ...], sighting: Sighting) -> Plan | Unplannable:
    """Stop what runs on the idle colors of these services."""
    if sighting.unreached or not sighting.switch.up:
        return unseen(sighting, site)
    parts = tuple(
        part
        for service in services
        if (share := sighting.share(service)).live
        for part in _leftovers(sighting.at(service, share.live.other), site)
    )
    return Plan((Drain(parts), Retire(parts))) if parts else Plan(())


# -- Seeing --------------------------------------------------------------------------------


def unseen(sighting: Sighting, site: Site | None = None) -> Unplannable:
    hosts = site.hosts if site else ()
    gone = " Where a host is gone, `bgctl without HOST` goes on without it." if hosts else ""
    what = "; ".join(sighting.unreached) or sighting.switch.note or "the switch does not answer"
    return Unplannable(
        f"not everything could be seen: {what}",
        "Mend that first; `bgctl check` says what is wrong." + gone,
    )


def _cannot_see(site: Site, wish: Wish, sighting: Sighting) -> Unplannable | None:
    if sighting.unreached:
        return unseen(sighting, site)
    for wanted in wish.wanted:
        share = sighting.share(wanted.service)
        if share.split:
            return Unplannable(
                f"{wanted.service} is shared between the colors"
                f" ({share.blue} % blue, {share.green} % green), so neither is idle",
                "Put it back first with `bgctl reconcile`.",
            )
    return None


def _moves(site: Site, wish: Wish, sighting: Sighting) -> tuple[_Move, ...]:
    """Going back to what has lost its files, and has no artifact, can do with what runs of it."""
    moves = []
    for wanted in wish.wanted:
        move = _move(site, wanted.service, wanted.release, sighting, again=wish.again)
        if move is None:
            continue
        lost = wish.kind is Kind.BACKOUT and not move.staged and wanted.source is None
        moves.append(replace(move, irreplaceable=lost))
    return tuple(moves)


def _lost(move: _Move) -> Unplannable:
    what = f"{move.service} {move.release.label}"
    return Unplannable(
        f"the way back to {what} is lost: its files are gone, none of it runs, and its artifact is"
        " not at hand",
        "Put the same artifact back where the site file finds it, or deploy another release.",
    )


def _move(
    site: Site, service: str, release: Release, sighting: Sighting, *, again: bool
) -> _Move | None:
    """Where a service of the wish goes; None where it is there already."""
    live = sighting.share(service).live
    count = site.service(service).placement.count
    live_seen = sighting.at(service, live) if live else None
    if live_seen is not None and live_seen.current == release and not again:
        return None
    to = live.other if live else _best_idle(service, release, sighting)
    seen = sighting.at(service, to)
    return _Move(service, live, to, release, seen, count, again)


def _best_idle(service: str, release: Release, sighting: Sighting) -> Color:
    """Where nothing serves: the color that runs the release already, else blue."""
    green = sighting.at(service, Color.GREEN)
    return Color.GREEN if green.running(release) and green.current == release else Color.BLUE


# -- Parts ---------------------------------------------------------------------------------


def _part(move: _Move) -> Part:
    before = Before(
        current=move.seen.current,
        running=0,
        staged=move.release in move.seen.staged,
    )
    return Part(move.service, move.to, move.count, move.release, before)


def _leftovers(seen: InstallationSeen, site: Site) -> tuple[Part, ...]:
    """One part for each release that runs (or would be started again) on a color that does not
    serve.
    """
    releases = dict.fromkeys(
        i.release for i in seen.instances if (i.running or i.kept) and i.release is not None
    )
    return tuple(
        Part(
            seen.service,
            seen.color,
            site.service(seen.service).placement.up_to(
                max(i.index for i in seen.instances if i.release == release)
            ),
            release,
            Before(seen.current, seen.running(release), staged=True),
        )
        for release in releases
    )


def _flip(move: _Move, sighting: Sighting) -> Flip:
    back = part_that_serves(move.service, move.live, sighting, move.count)
    return Flip(move.service, Share.all_to(move.live), Share.all_to(move.to), back)


def part_that_serves(
    service: str, live: Color | None, sighting: Sighting, count: int
) -> Part | None:
    """The installation that serves; None where nothing does."""
    seen = sighting.at(service, live) if live else None
    if live is None or seen is None or seen.current is None:
        return None
    before = Before(seen.current, seen.running(seen.current), staged=True)
    return Part(service, live, count, seen.current, before)


# -- Inner addresses -----------------------------------------------------------------------


def _leads_to(
    callee: str, moves: tuple[_Move, ...], sighting: Sighting, *, after: bool
) -> Color | None:
    """The color of a callee in the new world (`after`), or the one that serves it now."""
    move = next((m for m in moves if m.service == callee), None)
    if move is not None and (after or move.live is None):
        return move.to
    return sighting.share(callee).live


def _wirings_inside(site: Site, moves: tuple[_Move, ...], sighting: Sighting) -> tuple[Wiring, ...]:
    """The inner addresses of the new color of each caller in the wish.

    Into its own world, before it starts.
    """
    wirings = []
    for move in moves:
        for use in site.service(move.service).uses:
            pin = Pin(move.service, move.to, use.callee)
            follows = use.coupling is Coupling.ANY
            color = _leads_to(use.callee, moves, sighting, after=not follows)
            before = sighting.pin(pin)
            if color is not None and before is not color:
                wirings.append(Wiring(pin, before, color))
    return tuple(wirings)


def _wirings_outside(
    site: Site, moves: tuple[_Move, ...], sighting: Sighting
) -> tuple[Wiring, ...]:
    """The inner addresses that move with the shift.

    Of callers outside the wish, and those that follow the live color.
    """
    inside = {m.service for m in moves}
    wirings = []
    for move in moves:
        for caller, use in site.callers_of(move.service):
            follows = use.coupling is Coupling.ANY
            if caller.name in inside and not follows:
                continue
            colors = tuple(Color) if follows else (sighting.share(caller.name).live,)
            for color in colors:
                if color is None:
                    continue
                pin = Pin(caller.name, color, move.service)
                before = _seen_or_wired(pin, moves, sighting, site)
                if before is not move.to:
                    wirings.append(Wiring(pin, before, move.to))
    return tuple(wirings)


def _seen_or_wired(
    pin: Pin, moves: tuple[_Move, ...], sighting: Sighting, site: Site
) -> Color | None:
    """Where an address will lead just before the shift."""
    wired = {w.pin: w.after for w in _wirings_inside(site, moves, sighting)}
    return wired.get(pin, sighting.pin(pin))


# -- Tidy, and what people should know -----------------------------------------------------


def _tidy(
    moves: tuple[_Move, ...], sighting: Sighting, policy: Policy, chronicle: Chronicle
) -> tuple[Tidy, ...]:
    """Releases beyond `keep`, newest first by when they served, that nothing points at and no way
    back needs.
    """
    gone: list[tuple[str, Release]] = []
    for move in moves:
        colors = [sighting.at(move.service, color) for color in Color]
        staged = colors[0].staged | colors[1].staged
        needed = {move.release, *(c.current for c in colors)}
        needed |= {i.release for c in colors for i in c.instances if i.running or i.kept}
        lately = [r for r in chronicle.served_lately(move.service) if r in staged - needed]
        never = sorted(staged - needed - set(lately), key=lambda r: (r.version, r.digest))
        room = max(policy.keep - len([r for r in needed if r is not None]), 0)
        gone += [(move.service, release) for release in [*lately, *never][room:]]
    return (Tidy(tuple(gone)),) if gone else ()


def _remarks(
    site: Site, moves: tuple[_Move, ...], shift: Shift, leftovers: tuple[Part, ...]
) -> tuple[str, ...]:
    inside = {m.service for m in moves}
    outside = sorted({w.pin.caller for w in shift.wirings} - inside)
    mixed = (_moves_along(caller, shift) for caller in outside)
    lost = (
        f"{part.service} {part.color.value} ({part.release.label}) is stopped to make room:"
        " the instant way back to it ends there."
        for part in leftovers
    )
    return (*mixed, *lost)


def _moves_along(caller: str, shift: Shift) -> str:
    if shift.hold is not None:
        return (
            f"{caller} is not in the wish and moves with the cutover: time stands still for it, so"
            f" no request sees both the old and the new {_callees(caller, shift)}."
        )
    return (
        f"{caller} is not in the wish and moves with the cutover: a request inside it at that"
        f" instant may see both the old and the new {_callees(caller, shift)}."
        f" Take it along, the same release started again, to rule that out."
    )


def _callees(caller: str, shift: Shift) -> str:
    return " and ".join(sorted({w.pin.callee for w in shift.wirings if w.pin.caller == caller}))
