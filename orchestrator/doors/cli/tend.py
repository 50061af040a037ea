"""`tend`: to be there when no command runs.

It drives whatever is open and has something to do, lets the deadlines of gates pass, retires
standbys whose time is over, and tells of drift or mends it. The one rule: it holds the lease only
while it drives, so that every other command finds its place; what it finds busy it leaves to
whoever is at it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestrator.core.drift import Drift
    from orchestrator.core.record import Wish
    from orchestrator.core.sight import Sighting
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.visit import Visit

TURN_S = 1.0


def tend(
    ctx: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="One turn, for cron.")] = False,
) -> None:
    """Drive whatever is open, let deadlines pass, retire standbys in time, watch for drift.

    Ends with SIGTERM.
    """
    from orchestrator.doors.cli.visit import run

    run(ctx, lambda visit: _tended(visit, once=once), needs_file=False)


async def _tended(visit: Visit, *, once: bool) -> Answer:
    told: set[str] = set()
    if once:
        return await _turn(visit, told)
    _tell_systemd(f"READY=1\nSTATUS=tending {visit.file.name}")
    try:
        return await _until_asked_to_end(visit, told)
    finally:
        _tell_systemd("STOPPING=1")


async def _until_asked_to_end(visit: Visit, told: set[str]) -> Answer:
    while True:
        answer = await _patiently(visit, told)
        _say_once(visit, told, answer.problem)
        if await _rested(visit):
            return answer
        _say_once(visit, told, visit.read_file_again())
        await visit.recall()
        await visit.leave()


async def _patiently(visit: Visit, told: set[str]) -> Answer:
    """One turn of many: whatever is wrong outside is told, and looked at again in the next one."""
    from orchestrator.ports.trouble import Damaged, Trouble

    try:
        return await _turn(visit, told)
    except Damaged:
        raise
    except Trouble as trouble:
        _say_once(visit, told, trouble.why)
        return _quiet(trouble.why, "trouble")


def _tell_systemd(words: str) -> None:
    """Where it started us as `Type=notify`; nobody else is told."""
    import os
    import socket
    from contextlib import suppress

    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.connect("\0" + address[1:] if address[0] == "@" else address)
        out.send(words.encode())


def _say_once(visit: Visit, told: set[str], text: str) -> None:
    if text and text not in told:
        told.add(text)
        visit.say(text)


async def _rested(visit: Visit) -> bool:
    """Wait for the next turn, and read what others wrote; whether somebody asked us to end."""
    with visit.stops.patiently():
        if not visit.stops.asked:
            await visit.world.clock.sleep(TURN_S)
    await visit.catch_up()
    visit.began = visit.last
    return visit.stops.asked


async def _turn(visit: Visit, told: set[str]) -> Answer:
    """One turn. `told`: what was said before, so that each is said once."""
    from orchestrator.ports.trouble import Busy, Superseded

    try:
        if visit.chronicle.open is not None:
            return await _drive_open(visit)
        return await _look_after(visit, told)
    except (Busy, Superseded) as trouble:
        return _quiet(trouble.why)


def _quiet(text: str, outcome: str = "tended") -> Answer:
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit

    return Answer(Exit.DONE, outcome, text=text)


async def _drive_open(visit: Visit) -> Answer:
    from orchestrator.core.decide import For, Wait, decide
    from orchestrator.core.record import Outcome
    from orchestrator.doors.cli import drive
    from orchestrator.doors.cli.endings import ended
    from orchestrator.engine.advance import Standing

    rollout = visit.chronicle.open
    assert rollout is not None
    move = decide(rollout, visit.world.clock.now())
    if isinstance(move, Wait) and move.what is not For.RETRY:
        standing = Standing(visit.chronicle, move)
    else:
        standing = await drive.drive_once(visit, rollout.id, doing=f"tending rollout {rollout.id}")
    wanted = Outcome.BACKED_OUT if rollout.backing_out else Outcome.ROLLED_OUT
    return await ended(visit, standing, rollout.id, wanted=wanted)


async def _look_after(visit: Visit, told: set[str]) -> Answer:
    from orchestrator.core.drift import drift
    from orchestrator.doors.cli.upkeep import told_of, wish_to_retire
    from orchestrator.engine.world import survey

    await _answer_those_who_asked(visit)
    if visit.file_at is not None and (waiting := _waiting_wish(visit)) is not None:
        return await _taken_up(visit, waiting)
    sighting = await survey(visit.world, None)
    if services := _over(visit):
        wish = wish_to_retire(visit, sighting, services)
        if wish.wanted:
            return await _opened(visit, wish, "retiring standbys whose time is over")
    drifts = drift(visit.chronicle, sighting)
    for one in drifts:
        _say_once(visit, told, told_of(one))
    if not drifts:
        told.clear()
        return _quiet("Nothing to do.")
    if not visit.file.policy.mend_drift:
        return _quiet("\n".join(map(told_of, drifts)), "drift")
    return await _put_back(visit, drifts, sighting, told)


async def _put_back(
    visit: Visit, drifts: tuple[Drift, ...], sighting: Sighting, told: set[str]
) -> Answer:
    """What could not be put back is not tried again before something else differs."""
    from orchestrator.doors.cli.exits import Exit
    from orchestrator.doors.cli.opened import can_be_put_back
    from orchestrator.doors.cli.upkeep import bring_switch_up, told_of, wish_to_mend

    tried = "\n".join(one.what for one in drifts)
    if tried in told or not any(map(can_be_put_back, drifts)):
        return _quiet("\n".join(map(told_of, drifts)), "drift")
    if any(not one.service or one.out for one in drifts):
        await bring_switch_up(visit)
    wish = wish_to_mend(visit, drifts, sighting)
    answer = await _opened(visit, wish, "putting back what was changed")
    if answer.exit is not Exit.DONE:
        told.add(tried)
    return answer


def _over(visit: Visit) -> list[str]:
    """The services whose standby's time is over."""
    now = visit.world.clock.now()
    standbys = visit.chronicle.standbys
    return [s.service for s in standbys if s.until_s is not None and s.until_s <= now]


def _waiting_wish(visit: Visit) -> Wish | None:
    from orchestrator.core.record import Asked, What

    for entry in visit.chronicle.asked:
        match entry.record:
            case Asked(rollout=None, what=What.WISH, wish=wish) if wish is not None:
                return wish
    return None


async def _taken_up(visit: Visit, wish: Wish) -> Answer:
    visit.brings_up(wish)
    try:
        return await _opened(visit, wish, "taking up a wish that waited")
    finally:
        visit.anew = frozenset()


async def _opened(visit: Visit, wish: Wish, doing: str) -> Answer:
    from orchestrator.doors.cli import drive
    from orchestrator.doors.cli.opened import answer_for

    opened = await drive.open_and_drive(visit, wish, policy=visit.file.policy, doing=doing)
    return await answer_for(visit, opened, wish)


async def _answer_those_who_asked(visit: Visit) -> None:
    """Requests that name a rollout which has closed."""
    from orchestrator.doors.cli import drive
    from orchestrator.engine.driver import driving

    if any(entry.record.rollout is not None for entry in visit.chronicle.asked):
        async with driving(visit.world, by=visit.by, doing="answering") as driver:
            await drive.answer_strays(driver)
