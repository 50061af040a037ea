"""`history` and `releases`: what was, and what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.doors.cli.setting import number

if TYPE_CHECKING:
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.visit import Visit

ENTRIES = 1000
SHOWN = 12  # versions that can be had


def history(
    ctx: typer.Context,
    rollout: Annotated[
        str | None, typer.Argument(metavar="[ROLLOUT]", help="One rollout, entry by entry.")
    ] = None,
    last: Annotated[
        str, typer.Option("-n", metavar="COUNT", show_default=False, help="Only the newest; = 20.")
    ] = "20",
) -> None:
    """Who did what, when and why: the rollouts of this site, or one of them entry by entry."""
    from orchestrator.doors.cli.visit import run

    if rollout is None:
        count = number(last, "-n")
        run(ctx, lambda visit: _all(visit, count), needs_file=False)
    else:
        which = number(rollout, "ROLLOUT")
        run(ctx, lambda visit: _story(visit, which), needs_file=False)


def releases(ctx: typer.Context) -> None:
    """Which releases lie staged, which can be had, where they run and when they served."""
    from orchestrator.doors.cli.visit import run

    run(ctx, _releases, needs_file=False)


async def _all(visit: Visit, last: int) -> Answer:
    from dataclasses import replace

    from orchestrator.doors.cli import render
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit

    chronicle = replace(visit.chronicle, past=visit.chronicle.past[-last:])
    if visit.setting.json:
        return Answer(Exit.DONE, "told", more=render.history_data(chronicle))
    text = render.history(chronicle, visit.world.clock.now(), visit.paper())
    return Answer(Exit.DONE, "told", text=text)


async def _story(visit: Visit, rollout: int) -> Answer:
    from orchestrator.doors.cli import render
    from orchestrator.doors.cli.answer import Answer, refused
    from orchestrator.doors.cli.exits import Exit

    entries = await visit.world.journal.history(rollout=rollout, last=ENTRIES)
    if not entries:
        count = visit.chronicle.rollouts
        there = f"there are 1 to {count}" if count > 1 else "there is 1" if count else "none yet"
        raise refused(f"There is no rollout {rollout}: {there}.", ("bgctl history", "all of them"))
    if visit.setting.json:
        more = render.story_data(entries)
        return Answer(Exit.DONE, "told", more=more, rollout=rollout, records=entries)
    return Answer(Exit.DONE, "told", text=render.rollout_story(entries, visit.paper()))


async def _releases(visit: Visit) -> Answer:
    from orchestrator.doors.cli import render
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit
    from orchestrator.doors.cli.wishes import newest_first

    picture = await visit.picture()
    artifacts, services = visit.world.artifacts, visit.world.site.services
    can_be_had = {service.name: artifacts.available(service) for service in services}
    if visit.setting.json:
        more = render.releases_data(picture) | {"available": can_be_had}
        return Answer(Exit.DONE, "told", more=more)
    paper = visit.paper()
    had = [
        line
        for name, versions in can_be_had.items()
        for line in paper.wrapped(f"{name} can be had: {newest_first(versions, SHOWN) or 'none'}")
    ]
    text = "\n".join((render.releases(picture, paper), *had))
    return Answer(Exit.DONE, "told", text=text)
