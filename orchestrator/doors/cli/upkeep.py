"""`retire` and `reconcile`: rollouts of their own, planned, proven and closed like any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestrator.core.drift import Drift
    from orchestrator.core.model import Release
    from orchestrator.core.record import Wish
    from orchestrator.core.sight import Sighting
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.visit import Visit


def retire(
    ctx: typer.Context,
    service: Annotated[
        list[str] | None, typer.Argument(metavar="[SERVICE...]", help="Only these; default: all.")
    ] = None,
) -> None:
    """Stop what does not serve any more.

    The instant way back ends with it; its releases stay on disk.
    """
    from orchestrator.doors.cli.visit import run

    run(ctx, lambda visit: _retired(visit, service or []))


def reconcile(
    ctx: typer.Context,
    accept: Annotated[
        bool, typer.Option("--accept", help="Leave it as it is, and do not tell of it again.")
    ] = False,
    why: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is recorded.")] = "",
) -> None:
    """Put back what somebody or something changed by hand, or accept it."""
    from orchestrator.doors.cli.visit import run

    run(ctx, lambda visit: _accepted(visit, why) if accept else _mended(visit))


async def _retired(visit: Visit, services: list[str]) -> Answer:
    from orchestrator.doors.cli import drive
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit
    from orchestrator.doors.cli.opened import answer_for
    from orchestrator.engine.world import survey

    _known(visit, services)
    wish = wish_to_retire(visit, await survey(visit.world, None), services)
    if not wish.wanted:
        return Answer(Exit.DONE, "nothing-to-do", text="Nothing to retire: only what serves runs.")
    opened = await drive.open_and_drive(
        visit, wish, policy=visit.file.policy, doing="retiring what does not serve"
    )
    return await answer_for(visit, opened)


def _known(visit: Visit, services: list[str]) -> None:
    from orchestrator.config.mistakes import choice
    from orchestrator.doors.cli.answer import refused

    known = tuple(service.name for service in visit.world.site.services)
    for name in services:
        if name not in known:
            raise refused(f"there is no service {name!r}: there is {choice(known)}")


def wish_to_retire(visit: Visit, sighting: Sighting, services: list[str]) -> Wish:
    """Of each service (of all, where none is named) what runs on the color that gets no traffic."""
    from orchestrator.core.record import Kind, Wanted, Wish

    wanted = tuple(
        Wanted(service.name, release)
        for service in visit.world.site.services
        if not services or service.name in services
        if (release := _idle_release(sighting, service.name)) is not None
    )
    return Wish(wanted, Kind.RETIRE)


def _idle_release(sighting: Sighting, service: str) -> Release | None:
    live = sighting.share(service).live
    if live is None:
        return None
    idle = sighting.at(service, live.other)
    releases = [i.release for i in idle.instances if i.running or i.kept]
    return next((r for r in (idle.current, *releases) if r is not None and r in releases), None)


# -- Drift ---------------------------------------------------------------------------------


async def _drifts(visit: Visit) -> tuple[Drift, ...]:
    """What differs from what should be.

    Raises `Done` where a rollout is open: it looks after its own.
    """
    from orchestrator.core.drift import drift
    from orchestrator.doors.cli.opened import stays
    from orchestrator.engine.world import survey

    if visit.chronicle.open is not None:
        raise await stays(visit, visit.chronicle.open)
    return drift(visit.chronicle, await survey(visit.world, None))


def _no_drift() -> Answer:
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit

    return Answer(Exit.DONE, "nothing-to-do", text="Nothing differs from what should be.")


async def _mended(visit: Visit) -> Answer:
    from orchestrator.doors.cli import drive
    from orchestrator.doors.cli.opened import answer_for

    drifts = await _drifts(visit)
    if not drifts:
        return _no_drift()
    for drift in drifts:
        visit.say(f"{drift.what}.")
    if any(not drift.service for drift in drifts):
        await bring_switch_up(visit)
    wish = wish_to_mend(visit, drifts)
    opened = await drive.open_and_drive(
        visit, wish, policy=visit.file.policy, doing="putting back what was changed"
    )
    return await answer_for(visit, opened)


def wish_to_mend(visit: Visit, drifts: tuple[Drift, ...]) -> Wish:
    from orchestrator.core.record import Kind, Wanted, Wish

    services = dict.fromkeys(d.service for d in drifts if d.service)
    serving = ((name, visit.chronicle.serves(name)) for name in services)
    return Wish(tuple(Wanted(name, s.release) for name, s in serving if s), Kind.MEND)


async def bring_switch_up(visit: Visit) -> None:
    """The switch itself is not what it should be: see to it that it runs.

    Raises `Refused`, `Busy`.
    """
    from orchestrator.engine.driver import driving
    from orchestrator.engine.world import survey

    async with driving(visit.world, by=visit.by, doing="bringing the switch up") as driver:
        await survey(visit.world, driver.epoch)  # raises the fence before anything is done
        await visit.world.switch.ensure(driver.epoch)


async def _accepted(visit: Visit, why: str) -> Answer:
    from orchestrator.core.record import Asked, What
    from orchestrator.doors.cli import drive
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit
    from orchestrator.engine.driver import driving

    drifts = await _drifts(visit)
    if not drifts:
        return _no_drift()
    lines = tuple(drift.what for drift in drifts)
    asked = Asked(None, What.ACCEPT, visit.by, why, target="\n".join(lines))
    entry = await drive.ask(visit, asked)
    async with driving(visit.world, by=visit.by, doing="accepting drift") as driver:
        await drive.answer(driver, entry.number, f"accepted by {visit.by}")
    return Answer(
        Exit.DONE,
        "accepted",
        text="\n".join(f"Accepted: {line}." for line in lines),
        records=await visit.records(),
        more={"accepted": list(lines)},
    )
