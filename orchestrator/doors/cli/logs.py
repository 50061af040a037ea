"""`logs`: what the instances of a service said last, each line with its instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.doors.cli.setting import number

if TYPE_CHECKING:
    from orchestrator.core.model import Color
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.visit import Visit

FOLLOW_S = 0.3
FOLLOW_LINES = 400  # more than a program says between two looks


def logs(
    ctx: typer.Context,
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="One of the site.")],
    color: Annotated[
        str | None, typer.Argument(metavar="[COLOR]", help="blue or green; default: both.")
    ] = None,
    lines: Annotated[
        str,
        typer.Option("-n", metavar="LINES", show_default=False, help="Of each instance; = 20."),
    ] = "20",
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until Ctrl-C.")] = False,
) -> None:
    """What the instances of a service said last."""
    from orchestrator.doors.cli.visit import run

    count = number(lines, "-n")

    async def work(visit: Visit) -> Answer:
        colors = _colors(visit, service, color)
        if follow:
            return await _followed(visit, service, colors, count)
        return await _told(visit, service, colors, count)

    run(ctx, work, needs_file=False)


def _colors(visit: Visit, service: str, color: str | None) -> tuple[Color, ...]:
    from orchestrator.core.model import Color
    from orchestrator.doors.cli.answer import refused
    from orchestrator.doors.cli.wishes import unknown

    known = tuple(s.name for s in visit.world.site.services)
    if service not in known:
        raise refused(unknown(service, known))
    if color is None:
        return tuple(Color)
    if color not in {c.value for c in Color}:
        raise refused(f"There is no color {color!r}: there is `blue` or `green`.")
    return (Color(color),)


async def _read(
    visit: Visit, service: str, colors: tuple[Color, ...], lines: int
) -> dict[str, list[str]]:
    """The last lines of each instance, by `web green #0`; in the order of colors and instances."""
    numbers = visit.world.site.service(service).placement.instances
    found = {}
    for color in colors:
        for instance in numbers:
            text = await visit.world.installation.log(service, color, instance, lines)
            found[f"{service} {color.value} #{instance}"] = text.splitlines()[-lines:]
    return found


async def _told(visit: Visit, service: str, colors: tuple[Color, ...], lines: int) -> Answer:
    from orchestrator.doors.cli import render
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit

    found = await _read(visit, service, colors, lines)
    said = [f"{who} | {render.harmless(line)}" for who, lines in found.items() for line in lines]
    text = "\n".join(said) or "Nothing was said yet."
    return Answer(Exit.DONE, "told", text=text, more={"logs": found}, whole=True)


async def _followed(visit: Visit, service: str, colors: tuple[Color, ...], lines: int) -> Answer:
    from orchestrator.doors.cli import render
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit

    before: dict[str, list[str]] = {}
    with visit.stops.patiently():
        while not visit.stops.asked:
            now = await _read(visit, service, colors, FOLLOW_LINES)
            for who, said in now.items():
                new = added(before[who], said) if who in before else said[-lines:]
                for line in new:
                    print(f"{who} | {render.harmless(line)}", flush=True)
            before = now
            await visit.world.clock.sleep(FOLLOW_S)
    return Answer(Exit.DONE, "told", whole=True)


def added(before: list[str], now: list[str]) -> list[str]:
    """The lines at the end of `now` that were not there before, where both are tails of one log."""
    for start in range(len(before) + 1):
        kept = before[start:]
        if now[: len(kept)] == kept and (kept or not before):
            return now[len(kept) :]
    return now
