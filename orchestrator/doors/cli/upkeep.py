"""`retire` and `reconcile`: rollouts of their own, planned, proven and closed like any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestrator.core.chronicle import Serving
    from orchestrator.core.drift import Drift
    from orchestrator.core.model import Release
    from orchestrator.core.record import Wish
    from orchestrator.core.sight import Sighting
    from orchestrator.core.steps import Part
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

    run(ctx, lambda visit: _accepted(visit, why) if accept else _mended(visit), needs_file=False)


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
    return await answer_for(visit, opened, wish)


def _known(visit: Visit, services: list[str]) -> None:
    from orchestrator.doors.cli.answer import refused
    from orchestrator.doors.cli.wishes import unknown

    known = tuple(service.name for service in visit.world.site.services)
    for name in services:
        if name not in known:
            raise refused(unknown(name, known))


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


async def _drifts(visit: Visit) -> tuple[tuple[Drift, ...], Sighting]:
    """What differs from what should be, and the look that showed it.

    Raises `Done` where a rollout is open: it looks after its own.
    """
    from orchestrator.core.drift import drift
    from orchestrator.doors.cli.opened import stays
    from orchestrator.engine.world import survey

    if visit.chronicle.open is not None:
        raise await stays(visit, visit.chronicle.open)
    sighting = await survey(visit.world, None)
    return drift(visit.chronicle, sighting), sighting


def _no_drift() -> Answer:
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit

    return Answer(Exit.DONE, "nothing-to-do", text="Nothing differs from what should be.")


async def _mended(visit: Visit) -> Answer:
    from orchestrator.doors.cli import drive
    from orchestrator.doors.cli.opened import answer_for

    drifts, sighting = await _drifts(visit)
    if not drifts:
        return _no_drift()
    for drift in drifts:
        visit.say(told_of(drift))
    if any(not drift.service or drift.out for drift in drifts):
        await bring_switch_up(visit)
    if shut := tuple(drift.shut for drift in drifts if drift.shut):
        await _let_in(visit, shut)
    if all(drift.out or drift.shut for drift in drifts):
        return await _about_hosts(visit)
    wish = wish_to_mend(visit, drifts, sighting)
    opened = await drive.open_and_drive(
        visit, wish, policy=visit.file.policy, doing="putting back what was changed"
    )
    return await answer_for(visit, opened, wish)


def told_of(drift: Drift) -> str:
    """One difference as a sentence of its own."""
    from orchestrator.core.words import sentence
    from orchestrator.doors.cli.paper import briefly, capital

    return sentence(capital(briefly(drift.what), (drift.service,)))


def wish_to_mend(visit: Visit, drifts: tuple[Drift, ...], sighting: Sighting) -> Wish:
    """Every service that putting this back is about, with what should serve; its artifact, where
    the files of that are lost.
    """
    from orchestrator.core.drift import mendable
    from orchestrator.core.record import Kind, Wanted, Wish

    drifts = mendable(drifts)
    lost = {d.service: d.files for d in drifts if d.files is not None}
    services = dict.fromkeys(name for d in drifts for name in _about(d) if name)
    serving = [s for name in services if (s := visit.chronicle.serves(name)) is not None]
    should = [lost.get(s.service, s) for s in serving]
    wanted = (Wanted(s.service, s.release, _source(visit, s, sighting)) for s in should)
    return Wish(tuple(wanted), Kind.MEND)


def _about(drift: Drift) -> tuple[str, ...]:
    flips = (flip.service for flip in drift.flips)
    return (drift.service, *flips, *(wiring.pin.caller for wiring in drift.wirings))


def _source(visit: Visit, serving: Serving | Part, sighting: Sighting) -> str | None:
    """Where to stage it from, should it be lost; what cannot be had is named."""
    from orchestrator.doors.cli.wishes import source_of

    seen = sighting.at(serving.service, serving.color)
    if serving.release in seen.staged or not sighting.saw(serving.service, serving.color):
        return None
    service = visit.world.site.service(serving.service)
    source = source_of(visit.world.artifacts, service, serving.release)
    if source is None:
        visit.say(
            f"{service.name} {serving.release.label} has lost its files, and {service.artifact}"
            " does not have the same ones: put them there and `bgctl reconcile` again, or deploy"
            " another release."
        )
    return source


async def bring_switch_up(visit: Visit) -> None:
    """The switch itself is not what it should be: see to it that it runs.

    Raises `Refused`, `Busy`.
    """
    from orchestrator.engine.driver import driving
    from orchestrator.engine.world import survey

    async with driving(visit.world, by=visit.by, doing="bringing the switch up") as driver:
        await survey(visit.world, driver.epoch)  # raises the fence before anything is done
        await visit.world.switch.ensure(driver.epoch)


async def _let_in(visit: Visit, hosts: tuple[str, ...]) -> None:
    """A person's word, written down first: these hosts get requests as all others do."""
    from orchestrator.core.record import Asked, What
    from orchestrator.doors.cli import drive
    from orchestrator.doors.cli.opened import stays
    from orchestrator.engine.world import survey

    async with drive.at_site(visit, f"letting {', '.join(hosts)} in") as driver:
        if driver.chronicle.open is not None:
            raise await stays(visit, driver.chronicle.open)
        for host in hosts:
            await drive.ask(visit, Asked(None, What.READMIT, visit.by, target=host))
        await survey(visit.world, driver.epoch)  # raises the fence before anything is done
        await visit.world.switch.admit(hosts, driver.epoch)


async def _about_hosts(visit: Visit) -> Answer:
    """Nothing else differed; the look afterwards says whether it took."""
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit

    left, _ = await _drifts(visit)
    if left:
        problem = "\n".join(map(told_of, left))
        return Answer(Exit.STUCK, "drift", problem=problem, records=await visit.records())
    text = "It was put back: the switch sends where it should."
    return Answer(Exit.DONE, "put-back", text=text, records=await visit.records())


async def _accepted(visit: Visit, why: str) -> Answer:
    from orchestrator.core.drift import accepted_as
    from orchestrator.core.record import Asked, What
    from orchestrator.doors.cli import drive
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit
    from orchestrator.engine.driver import driving

    drifts, _ = await _drifts(visit)
    if not drifts:
        return _no_drift()
    lines = tuple(accepted_as(drift) for drift in drifts)
    asked = Asked(None, What.ACCEPT, visit.by, why, target="\n".join(lines))
    entry = await drive.ask(visit, asked)
    async with driving(visit.world, by=visit.by, doing="accepting drift") as driver:
        await drive.answer(driver, entry.number, f"accepted by {visit.by}")
    return Answer(
        Exit.DONE,
        "accepted",
        text="\n".join(f"Accepted: {told_of(drift)}" for drift in drifts),
        records=await visit.records(),
        more={"accepted": list(lines)},
    )
