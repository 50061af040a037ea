"""`deploy`: open a rollout for a wish, and drive it to the gate (or through it)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.doors.cli.stillness import HoldTime, NoHold, with_hold

if TYPE_CHECKING:
    from orchestrator.core.model import Policy
    from orchestrator.core.record import Wish
    from orchestrator.core.rollout import Rollout
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.visit import Visit


def deploy(  # noqa: PLR0913 - a parameter for each flag
    ctx: typer.Context,
    wish: Annotated[list[str], typer.Argument(metavar="WISH...", help="web=2, web=./build, or 2.")],
    switch: Annotated[
        bool, typer.Option("--switch", help="Grant the cutover, too: do not stop at the gate.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Bring the same release up anew (a rotated secret).")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait at the gate until somebody grants it.")
    ] = False,
    soak: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Watch that long under real traffic: 30s, 10m."),
    ] = None,
    hold: HoldTime = None,
    no_hold: NoHold = False,
) -> None:
    """Bring releases up on the idle color, prove them there, and stop at the gate.

    Nothing that serves is touched. `bgctl switch` then sends the traffic there, `bgctl backout`
    takes it away again.
    """
    from orchestrator.doors.cli.visit import run

    async def work(visit: Visit) -> Answer:
        from orchestrator.doors.cli.wishes import wish_of

        policy = with_hold(with_soak(visit.file.policy, soak), hold, no_hold)
        visit.use(visit.next_site)
        wanted = wish_of(wish, visit.file, visit.world.artifacts, again=again)
        visit.brings_up(wanted)
        return await _deployed(visit, wanted, policy, grant=switch, wait=wait)

    run(ctx, work)


def with_soak(policy: Policy, soak: str | None) -> Policy:
    """The policy with the flag applied; an outer limit that became too short grows along."""
    from orchestrator.config.words import seconds
    from orchestrator.doors.cli.answer import refused

    if soak is None:
        return policy
    soak_s = seconds(soak)
    if soak_s is None:
        raise refused(f"--soak {soak!r} is no time; write it with a unit: 500ms, 30s, 10m.")
    return replace(policy, soak_s=soak_s, soak_within_s=max(policy.soak_within_s, 10 * soak_s, 10))


async def _deployed(visit: Visit, wish: Wish, policy: Policy, *, grant: bool, wait: bool) -> Answer:
    from orchestrator.core.decide import For
    from orchestrator.doors.cli import drive
    from orchestrator.doors.cli.opened import answer_for
    from orchestrator.doors.cli.wishes import spoken

    await _ports_are_free(visit, wish)
    doing = f"deploying {spoken(wish)}"
    wait_for = (For.RETRY, For.GRANT) if wait else drive.RETRIES
    opened = await drive.open_and_drive(
        visit, wish, policy=policy, doing=doing, grant=grant, wait_for=wait_for
    )
    if isinstance(opened, drive.Other):
        await _make_room(visit, opened.rollout, wish)
        opened = await drive.open_and_drive(
            visit, wish, policy=policy, doing=doing, grant=grant, wait_for=wait_for
        )
    return await answer_for(visit, opened, wish)


async def _ports_are_free(visit: Visit, wish: Wish) -> None:
    """A stranger on a port is found before anything is opened. Raises `Done`.

    Only the colors that the wish goes to are asked: what serves now need not be well for a fix to
    go out.
    """
    from orchestrator.core.model import Color
    from orchestrator.doors.cli.answer import refused
    from orchestrator.engine.world import survey

    if visit.setting.ready is not None:
        return  # another world than this machine
    if all(service.placement.hosts for service in visit.world.site.services):
        return  # every host is asked for its own, before anything is opened
    from orchestrator.wiring import strangers

    sighting = await survey(visit.world, None)
    live = {w.service: sighting.share(w.service).live for w in wish.wanted}
    places = tuple((name, c) for name, color in live.items() for c in Color if c is not color)
    if taken := strangers(visit.world.site, places):
        what = "\n".join(f"{stranger}." for stranger in taken)
        raise refused(f"{what}\nNothing was started.", ("bgctl check", "says all that is wrong"))


async def _make_room(visit: Visit, rollout: Rollout, wish: Wish) -> None:
    """Another rollout is open: ask it to give way, where the site says so.

    Raises `Done` where it stays.
    """
    from orchestrator.core.model import Meanwhile
    from orchestrator.core.record import Asked, What
    from orchestrator.doors.cli import drive
    from orchestrator.doors.cli.opened import stays

    await visit.recall()
    if rollout.policy.meanwhile is not Meanwhile.REPLACE:
        raise await stays(visit, rollout)
    visit.say(f"Rollout {rollout.id} is asked to give way.")
    asked = await drive.ask(visit, Asked(rollout.id, What.WISH, visit.by, wish=wish))
    if visit.chronicle.open is not None and visit.chronicle.open.id == rollout.id:
        await drive.carry_on(visit, rollout.id, doing=f"taking rollout {rollout.id} back")
    if why := await drive.answer_to(visit, asked):
        raise await stays(visit, rollout, why)
