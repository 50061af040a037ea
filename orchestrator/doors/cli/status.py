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

    run(ctx, _watched if watch else _once)


async def _once(visit: Visit) -> Answer:
    from orchestrator.doors.cli import render
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit

    picture = await visit.picture()
    is_open = picture.chronicle.open
    more = render.status_data(picture) if visit.setting.json else {}
    text = "" if visit.setting.json else render.status(picture, visit.paper())
    return Answer(
        Exit.DONE, "seen", text=text, more=more, whole=True, rollout=is_open.id if is_open else None
    )


async def _watched(visit: Visit) -> Answer:
    import sys

    from orchestrator.doors.cli import render
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit
    from orchestrator.doors.cli.live import watch

    async def once() -> str:
        await visit.recall()
        return render.status(await visit.picture(), visit.paper())

    await watch(once, WATCH_S, stream=sys.stdout)
    return Answer(Exit.DONE, "seen", whole=True)
