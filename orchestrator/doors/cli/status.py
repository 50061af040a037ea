"""`status`: who serves, what goes on, and how long the way back is open.

It looks, and touches nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.visit import Visit

WATCH_S = 0.5


def status(
    ctx: typer.Context,
    watch: Annotated[
        bool, typer.Option("-w", "--watch", help="Again and again, in place.")
    ] = False,
) -> None:
    """Who serves, what goes on, and how long the way back is open."""
    from orchestrator.doors.cli.visit import run

    run(ctx, _watched if watch else _once, needs_file=False)


async def _once(visit: Visit) -> Answer:
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit

    picture = await visit.picture()
    if visit.setting.json:
        from orchestrator.doors.cli.render_data import status_data

        return Answer(Exit.DONE, "seen", more=status_data(picture), whole=True)
    from orchestrator.doors.cli.render_status import status as rendered

    return Answer(Exit.DONE, "seen", text=rendered(picture, visit.paper()), whole=True)


async def _watched(visit: Visit) -> Answer:
    import sys

    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit
    from orchestrator.doors.cli.live import watch
    from orchestrator.doors.cli.render_status import status as rendered
    from orchestrator.doors.cli.screen import pressed_q

    async def once() -> str:
        await visit.recall()
        paper = visit.paper(fit=True)
        return rendered(await visit.picture(), paper, watching=True)

    with visit.stops.patiently(), pressed_q() as pressed:
        ended = lambda: visit.stops.asked or pressed()  # noqa: E731 - one line, said once
        await watch(once, WATCH_S, stream=sys.stdout, ended=ended)
    return Answer(Exit.DONE, "seen", whole=True)
