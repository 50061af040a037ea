"""`backout`: go back, from anywhere.

While a rollout is open, the same plan is undone from wherever it stands; after it closed, a new one
brings the older releases back. Neither depends on the color that is left.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestrator.core.chronicle import Backout, Chronicle, Nothing
    from orchestrator.core.model import Release
    from orchestrator.core.record import Outcome, Wanted, Wish
    from orchestrator.core.rollout import Rollout
    from orchestrator.core.sight import Sighting
    from orchestrator.doors.cli.answer import Answer, Done
    from orchestrator.doors.cli.visit import Visit
    from orchestrator.engine.advance import Standing


def backout(
    ctx: typer.Context,
    to: Annotated[
        list[str] | None,
        typer.Option(metavar="RELEASE", help="Further back: any staged release, web=1 or 1."),
    ] = None,
    why: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is recorded.")] = "",
) -> None:
    """Go back to what served before, from wherever things stand.

    An open rollout is taken back; after it closed, what the last one brought is undone. The data
    gathered since stays.
    """
    from orchestrator.doors.cli import reserve
    from orchestrator.doors.cli.visit import run

    async def work(visit: Visit) -> Answer:
        if reserve.give_back(visit.world.site.state):
            visit.say(
                "The disk of the state folder is full; this goes by the room put aside for it."
            )
        rollout = visit.chronicle.open
        if rollout is not None and to:
            from orchestrator.doors.cli.opened import stays

            raise await stays(visit, rollout)
        if rollout is not None:
            return await _turn(visit, rollout, why)
        return await _undo_closed(visit, to or [])

    run(ctx, work, needs_file=False)


# -- An open rollout -----------------------------------------------------------------------


async def _turn(visit: Visit, rollout: Rollout, why: str) -> Answer:
    from orchestrator.core.record import Asked, Kind, Outcome, What
    from orchestrator.doors.cli import drive
    from orchestrator.doors.cli.answer import refused
    from orchestrator.doors.cli.endings import ended
    from orchestrator.doors.cli.exits import Exit

    request, wanted = Asked(rollout.id, What.BACK, visit.by, why), Outcome.BACKED_OUT
    if rollout.wish.kind is Kind.BACKOUT and not rollout.backing_out:
        visit.say(f"Rollout {rollout.id} is a backout; going on with it.")
        request, wanted = replace(request, what=What.RETRY), Outcome.ROLLED_OUT
    elif rollout.backing_out:
        visit.say(f"Rollout {rollout.id} is going back already; going on with that.")
        request = replace(request, what=What.RETRY)
    asked = None
    if request.what is What.BACK or rollout.stuck:
        asked = await drive.ask(visit, request)
    if visit.chronicle.open is None:  # it closed in this very moment
        return await _undo_closed(visit, [])
    standing = await drive.carry_on(visit, rollout.id, doing=f"backing out of rollout {rollout.id}")
    reason = await drive.answer_to(visit, asked) if asked else ""
    if reason and not _as_wanted(standing, rollout.id, wanted):
        raise refused(f"It does not go back: {reason}.", code=Exit.FORBIDDEN)
    return await ended(visit, standing, rollout.id, wanted=wanted)


def _as_wanted(standing: Standing, rollout: int, wanted: Outcome) -> bool:
    """Whether it goes where it was asked to, whoever asked first."""
    from orchestrator.core.record import Kind

    is_open = standing.chronicle.open
    if is_open is not None and is_open.id == rollout:
        return is_open.backing_out or is_open.wish.kind is Kind.BACKOUT
    return any(p.id == rollout and p.outcome is wanted for p in standing.chronicle.past)


# -- After it closed -----------------------------------------------------------------------


async def _undo_closed(visit: Visit, to: list[str]) -> Answer:
    from orchestrator.doors.cli import drive
    from orchestrator.doors.cli.opened import answer_for
    from orchestrator.doors.cli.wishes import spoken

    wish = await _further(visit, to) if to else await _one_back(visit)
    opened = await drive.open_and_drive(
        visit, wish, policy=visit.file.policy, doing=f"backing out to {spoken(wish)}"
    )
    return await answer_for(visit, opened, wish)


async def _one_back(visit: Visit) -> Wish:
    from orchestrator.core.chronicle import Nothing, backout_of
    from orchestrator.core.record import Kind, Wish
    from orchestrator.engine.world import survey

    found = backout_of(visit.chronicle)
    if isinstance(found, Nothing):
        raise _nothing(found)
    _knows(visit, tuple(service for service, _ in found.wanted))
    visit.say(_undoes(found))
    sighting = await survey(visit.world, None)
    wanted = tuple(_wanted(visit, *pair, sighting) for pair in found.wanted)
    return Wish(wanted, Kind.BACKOUT, undoes=found.undoes.id)


def _knows(visit: Visit, services: tuple[str, ...]) -> None:
    """Where the file has no such service any more, the site of before is gone back to."""
    from orchestrator.doors.cli import arrival
    from orchestrator.doors.cli.answer import refused
    from orchestrator.doors.cli.exits import Exit

    def unknown() -> str:
        known = {service.name for service in visit.file.services}
        return ", ".join(name for name in services if name not in known)

    if not (names := unknown()):
        return
    why = f"The site file has no {names} any more, which has to go back"
    if found := arrival.remembered(visit.setting, why):
        visit.go_by(found)
        visit.use(visit.site)
    if unknown():
        raise refused(
            f"{why}.", ("bgctl backout", "once it is there again"),
            code=Exit.FORBIDDEN, outcome="not-in-the-file",
        )  # fmt: skip


def _wanted(visit: Visit, service: str, release: Release, sighting: Sighting) -> Wanted:
    """With its artifact, where what was staged of it is lost."""
    from orchestrator.core.model import Color
    from orchestrator.core.record import Wanted
    from orchestrator.doors.cli.wishes import source_of

    if any(release in sighting.at(service, color).staged for color in Color):
        return Wanted(service, release)
    described = visit.world.site.service(service)
    return Wanted(service, release, source_of(visit.world.artifacts, described, release))


async def _further(visit: Visit, to: list[str]) -> Wish:
    from orchestrator.core.chronicle import Nothing, backout_of
    from orchestrator.core.record import Kind, Wish
    from orchestrator.doors.cli.wishes import staged_wish
    from orchestrator.engine.world import survey

    sighting = await survey(visit.world, None)
    wanted = staged_wish(to, visit.file, sighting, visit.chronicle)
    found = backout_of(_without_those_that_went_back(visit.chronicle))
    undoes = None if isinstance(found, Nothing) else found.undoes.id
    return Wish(wanted, Kind.BACKOUT, undoes=undoes)


def _without_those_that_went_back(chronicle: Chronicle) -> Chronicle:
    """A deploy that went back left what is to be undone as it was."""
    from orchestrator.core.record import Kind

    past = tuple(p for p in chronicle.past if p.changes or p.kind is not Kind.DEPLOY)
    return replace(chronicle, past=past)


def _undoes(found: Backout) -> str:
    from orchestrator.doors.cli.paper import moment

    past = found.undoes
    back = ", ".join(f"{service} goes back to {r.version}" for service, r in found.wanted)
    return f"This undoes rollout {past.id} of {moment(past.closed_s)}, by {past.by}: {back}."


def _nothing(found: Nothing) -> Done:
    from orchestrator.core.chronicle import Nothing
    from orchestrator.doors.cli.answer import Answer, Done, refused
    from orchestrator.doors.cli.exits import Exit

    match found:
        case Nothing.ALREADY_BACK:
            text = "Nothing to back out: the last rollout went back already."
            return Done(Answer(Exit.DONE, "already-back", text=text))
        case Nothing.BACKED_OUT_BEFORE:
            return refused(
                "Nothing to back out: the last rollout was backed out before.",
                ("bgctl backout --to RELEASE", "goes further back"),
                ("bgctl releases", "what lies staged"),
                outcome="nothing-to-back-out",
            )
        case Nothing.FIRST:
            return refused(
                "Nothing served before it, so there is nothing to go back to.",
                ("bgctl deploy WISH", "brings something else up"),
                code=Exit.FORBIDDEN,
                outcome="first",
            )
        case Nothing.NONE:
            return refused(
                "Nothing to back out: no rollout has changed anything yet.",
                outcome="nothing-to-back-out",
            )
