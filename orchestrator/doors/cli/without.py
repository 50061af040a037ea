"""`without` and `readmit`: what a person says of a host that is gone, and of one that is back.

The one rule: whether a host is gone is a person's word, and whether the site can go on without it
is not. Taken out, nobody speaks to it; what it does when it wakes concerns nobody until it is
readmitted, and then it is looked at first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestrator.core.record import Entry
    from orchestrator.core.rollout import Rollout
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.visit import Visit
    from orchestrator.engine.driver import Driver
    from orchestrator.ports.hosts import Kept, OnHost

HostName = Annotated[str, typer.Argument(metavar="HOST", help="A host of the site file.")]
Why = Annotated[str, typer.Option(metavar="TEXT", help="Why; it is recorded.")]


def without(ctx: typer.Context, host: HostName, why: Why = "") -> None:
    """Go on without a host that is gone, until `bgctl readmit`.

    Plans, switches and the open rollout count it no more. Refused where a service would be left
    with nothing, or with fewer instances than the site asks for.
    """
    from orchestrator.doors.cli.visit import run

    run(ctx, lambda visit: _taken_out(visit, host, why), needs_file=False)


def readmit(ctx: typer.Context, host: HostName, why: Why = "") -> None:
    """Take a host back that was taken out.

    It is looked at first, and what should not run there any more is stopped; the next deploy, or
    `bgctl reconcile`, brings it to where the others are.
    """
    from orchestrator.doors.cli.visit import run

    run(ctx, lambda visit: _taken_back(visit, host, why))


# -- Without -------------------------------------------------------------------------------


async def _taken_out(visit: Visit, host: str, why: str) -> Answer:
    rollout = visit.chronicle.open
    if rollout is not None:
        return await _from_rollout(visit, rollout, host, why)
    return await _from_site(visit, host, why)


async def _from_rollout(visit: Visit, rollout: Rollout, host: str, why: str) -> Answer:
    """It shrinks at once, whoever drives it; then it is driven on."""
    from orchestrator.core.record import Asked, Outcome, What
    from orchestrator.core.rollout import why_not_without
    from orchestrator.doors.cli import drive
    from orchestrator.doors.cli.answer import refused
    from orchestrator.doors.cli.endings import ended

    if cannot := why_not_without(rollout, host):
        raise _refused(visit, host, cannot)
    asked = await drive.ask(visit, Asked(rollout.id, What.WITHOUT, visit.by, why, target=host))
    if host in visit.chronicle.away:
        visit.use(visit.site)
        await _tell_it(visit, host, why)
    standing = await drive.carry_on(
        visit, rollout.id, doing=f"going on without {host}, rollout {rollout.id}"
    )
    if reason := await drive.answer_to(visit, asked):
        raise refused(f"It was not done: {reason}.")
    if left := await _still_there(visit, host):
        visit.say(left)
    wanted = Outcome.BACKED_OUT if rollout.backing_out else Outcome.ROLLED_OUT
    return await ended(visit, standing, rollout.id, wanted=wanted)


async def _from_site(visit: Visit, host: str, why: str) -> Answer:
    """Under the lease, so that no plan with the host in it is opened meanwhile."""
    from orchestrator.core.away import why_not
    from orchestrator.core.record import Asked, What
    from orchestrator.doors.cli import drive
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit
    from orchestrator.doors.cli.opened import stays

    async with drive.at_site(visit, f"taking {host} out") as driver:
        if driver.chronicle.open is not None:
            raise await stays(visit, driver.chronicle.open)
        if cannot := why_not(visit.next_site, host):
            raise _refused(visit, host, cannot)
        await drive.ask(visit, Asked(None, What.WITHOUT, visit.by, why, target=host))
        told = await _gone(visit, driver, host, why)
    visit.use(visit.site)
    await _switch_sends_right(visit, f"taking {host} out of the switch")
    out = f"{host} is taken out: nothing counts on it until `bgctl readmit {host}`."
    return Answer(
        Exit.DONE,
        "without",
        text="\n".join(line for line in (out, told, await _still_there(visit, host)) if line),
        next=((f"bgctl readmit {host}", "take it back"), ("bgctl hosts", "what is on each")),
        records=await visit.records(),
        more={"without": list(visit.chronicle.away)},
    )


def _refused(visit: Visit, host: str, why: str) -> Exception:
    from orchestrator.core.words import sentence
    from orchestrator.doors.cli.answer import refused
    from orchestrator.doors.cli.exits import Exit

    if host not in {known.name for known in visit.world.site.hosts} or "already" in why:
        return refused(sentence(why), ("bgctl hosts", "which hosts there are"))
    return refused(sentence(why), code=Exit.FORBIDDEN, outcome="too-few")


async def _tell_it(visit: Visit, host: str, why: str) -> None:
    """Where nobody drives at this moment: the host itself is told, should it hear it."""
    from orchestrator.engine.driver import driving
    from orchestrator.ports.trouble import Busy

    try:
        async with driving(visit.world, by=visit.by, doing=f"telling {host}") as driver:
            await _gone(visit, driver, host, why)
    except Busy:
        return  # whoever drives does not speak to it any more


async def _gone(visit: Visit, driver: Driver, host: str, why: str) -> str:
    """What the host said to it. Nothing rests on that: it may be dead, or wake any time."""
    from orchestrator.doors.cli.hosts import of
    from orchestrator.ports.trouble import Refused, Unreachable

    try:
        await of(visit).tell_gone(host, why or f"taken out by {visit.by}", driver.epoch)
    except (Refused, Unreachable) as trouble:
        return f"It was not told so itself: {trouble.why}."
    return "It was told so itself, and refuses everybody; what runs there goes on running."


async def _still_there(visit: Visit, host: str) -> str:
    """What the switch still has there, counted; and what it cannot do about it."""
    from orchestrator.core.words import counted, sentence
    from orchestrator.ports.trouble import Trouble

    try:
        seen = await visit.world.switch.look(None)
    except Trouble:
        return ""  # whoever looks next is told
    left = sum(count for name, count in seen.lingering if name == host)
    said = [sentence(one) for one in visit.world.switch.remarks() if host in one.split()]
    if left:
        said.insert(0, f"{host} still answers {counted(left, 'request')}; no new ones go there.")
    return "\n".join(said)


async def _switch_sends_right(visit: Visit, doing: str, *, back: tuple[str, ...] = ()) -> None:
    """The switch sends to the hosts that are there now; none that was never used is begun.

    `back`: hosts that were out until now.
    """
    from orchestrator.engine.driver import driving
    from orchestrator.engine.world import survey
    from orchestrator.ports.trouble import Refused, Unreachable

    if not visit.chronicle.serving:
        return
    try:
        async with driving(visit.world, by=visit.by, doing=doing) as driver:
            await survey(visit.world, driver.epoch)  # raises the fence before anything is done
            if back:
                await visit.world.switch.admit(back, driver.epoch)
            await visit.world.switch.ensure(driver.epoch)
    except (Refused, Unreachable) as trouble:
        visit.say(f"The switch was not told: {trouble.why}")


# -- Readmit -------------------------------------------------------------------------------


async def _taken_back(visit: Visit, host: str, why: str) -> Answer:
    from orchestrator.doors.cli import drive
    from orchestrator.doors.cli.answer import refused
    from orchestrator.doors.cli.opened import stays

    if visit.chronicle.open is not None:
        raise await stays(visit, visit.chronicle.open, f"{host} is taken back once it has closed")
    if host not in {known.name for known in visit.file.hosts}:
        raise refused(f"The site has no host {host!r}.", ("bgctl hosts", "which there are"))
    async with drive.at_site(visit, f"taking {host} back") as driver:
        if driver.chronicle.open is not None:
            raise await stays(visit, driver.chronicle.open)
        stopped = await _looked_at(visit, driver, host)
        asked = await _recorded(visit, host, why) if host in visit.chronicle.away else None
    visit.use(visit.site)
    await _switch_sends_right(visit, f"taking {host} back into the switch", back=(host,))
    return await _is_back(visit, host, stopped, asked)


async def _looked_at(visit: Visit, driver: Driver, host: str) -> tuple[OnHost, ...]:
    """What is there and should not be is stopped before anything is sent to it."""
    from orchestrator.doors.cli.answer import refused
    from orchestrator.doors.cli.exits import Exit
    from orchestrator.doors.cli.hosts import of
    from orchestrator.ports.trouble import Refused, Unreachable

    try:
        return await of(visit).readmit(host, _may_run(visit), driver.epoch)
    except (Refused, Unreachable) as trouble:
        raise refused(
            f"{host} is not taken back: {trouble.why}.",
            ("bgctl hosts", "what is wrong with each"),
            code=Exit.FORBIDDEN,
            outcome="not-readmitted",
        ) from trouble


def _may_run(visit: Visit) -> Kept:
    """What serves, and what stands by."""
    chronicle = visit.chronicle
    serving = ((s.service, s.color, s.release) for s in chronicle.serving)
    return frozenset((*serving, *((s.service, s.color, s.release) for s in chronicle.standbys)))


async def _recorded(visit: Visit, host: str, why: str) -> Entry:
    from orchestrator.core.record import Asked, What
    from orchestrator.doors.cli import drive

    return await drive.ask(visit, Asked(None, What.READMIT, visit.by, why, target=host))


async def _is_back(
    visit: Visit, host: str, stopped: tuple[OnHost, ...], asked: Entry | None
) -> Answer:
    from orchestrator.core.drift import drift
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit
    from orchestrator.doors.cli.upkeep import told_of
    from orchestrator.engine.world import survey

    drifts = drift(visit.chronicle, await survey(visit.world, None))
    was = [_named(one) for one in stopped]
    lines = [f"{host} is back." if asked else f"{host} was not taken out; it was looked at."]
    lines += [f"{what} still ran there, and was stopped." for what in was]
    lines += [told_of(one) for one in drifts]
    reconcile = (("bgctl reconcile", "bring it to where the others are; the next deploy does too"),)
    return Answer(
        Exit.DONE,
        "readmitted",
        text="\n".join(lines),
        next=reconcile if drifts else (),
        records=await visit.records(),
        more={"without": list(visit.chronicle.away), "stopped": was},
    )


def _named(one: OnHost) -> str:
    label = one.release.label if one.release else "something"
    return f"{one.service} {one.color.value} {label}"
