"""`adopt`: takes a site over whose journal was lost.

Everything is looked at and said first. The one rule: it takes the site from whoever drove it, so a
person confirms it; and it starts and stops nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestrator.core.adopt import Candidate
    from orchestrator.core.sight import Sighting
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.visit import Visit
    from orchestrator.engine.driver import Driver
    from orchestrator.ports.hosts import HostSeen


def adopt(
    ctx: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; nobody is asked.")] = False,
    serving: Annotated[
        list[str] | None,
        typer.Option(metavar="SERVICE=COLOR", help="Who serves, where the switch does not say."),
    ] = None,
) -> None:
    """Take a site over whose journal was lost.

    It looks at every host and at the switch, says what it found, and begins a new journal with a
    younger epoch. Nothing is started or stopped; whoever drove the site before changes nothing any
    more.
    """
    from orchestrator.doors.cli.visit import run

    run(ctx, lambda visit: _adopted(visit, serving or [], yes=yes))


async def _adopted(visit: Visit, serving: list[str], *, yes: bool) -> Answer:
    from orchestrator.core.record import Kind, Wanted, Wish
    from orchestrator.doors.cli import drive
    from orchestrator.doors.cli.opened import answer_for, stays
    from orchestrator.engine.driver import driving
    from orchestrator.engine.world import survey

    if visit.chronicle.open is not None:
        raise await stays(visit, visit.chronicle.open, "the site is this journal's")
    seen = await _hosts(visit)
    _must_be_seen(seen)
    if not _is_anothers(seen) and visit.chronicle.rollouts:
        return _nothing_to_do()
    chosen = _chosen(visit, await survey(visit.world, None), serving)
    text = _found(visit, seen, chosen)
    _confirmed(visit, text, yes=yes)
    found = text if yes else ""  # else it was said when it was asked for
    youngest = max((host.youngest for host in seen), default=0)
    async with driving(visit.world, by=visit.by, doing="adopting", beyond=youngest) as driver:
        if visit.world.hosts is not None:
            await visit.world.hosts.adopt(tuple(host.name for host in seen), driver.epoch)
        await _written_down(visit, driver, chosen)
    wish = Wish(tuple(Wanted(one.service, one.release) for one in chosen), Kind.ADOPT)
    if not chosen:
        return _taken_over(found)
    opened = await drive.open_and_drive(
        visit, wish, policy=visit.file.policy, doing="adopting what serves"
    )
    answer = await answer_for(visit, opened, wish)
    return replace(answer, text="\n".join(part for part in (found, answer.text) if part))


# -- Looking -------------------------------------------------------------------------------


async def _hosts(visit: Visit) -> tuple[HostSeen, ...]:
    from orchestrator.doors.cli.hosts import used

    if visit.world.hosts is None:
        return ()
    away = visit.chronicle.away
    return await visit.world.hosts.look(tuple(h for h in used(visit) if h not in away))


def _must_be_seen(seen: tuple[HostSeen, ...]) -> None:
    """One that was not would stay with the journal that is lost."""
    from orchestrator.core.words import sentence
    from orchestrator.doors.cli.answer import refused
    from orchestrator.doors.cli.exits import Exit
    from orchestrator.ports.hosts import Wrong

    unseen = [host for host in seen if host.wrong not in (None, Wrong.FOREIGN)]
    if unseen:
        raise refused(
            "\n".join(sentence(host.why) for host in unseen),
            *((f"bgctl without {h.name}", "adopt the site without it") for h in unseen),
            code=Exit.FORBIDDEN,
            outcome="not-all-seen",
        )


def _is_anothers(seen: tuple[HostSeen, ...]) -> bool:
    from orchestrator.ports.hosts import Wrong

    return any(host.wrong is Wrong.FOREIGN for host in seen)


def _chosen(visit: Visit, sighting: Sighting, serving: list[str]) -> tuple[Candidate, ...]:
    """Who serves; raises `Done` where nobody can say."""
    from orchestrator.core.adopt import candidates
    from orchestrator.doors.cli.answer import refused
    from orchestrator.doors.cli.exits import Exit

    said = dict(_named(visit, word) for word in serving)
    chosen, unsure = [], []
    for service, found in candidates(visit.world.site, sighting).items():
        fits = [one for one in found if said.get(service, one.color.value) == one.color.value]
        if service in said and not fits:
            raise refused(f"{service} does not run on {said[service]}.")
        if len(fits) > 1:
            unsure.append(service)
        chosen += fits[:1]
    if unsure:
        colors = " ".join(f"--serving {service}=COLOR" for service in unsure)
        raise refused(
            f"The switch does not say who serves, and both colors of {', '.join(unsure)} run.",
            (f"bgctl adopt {colors}", "say who does"),
            code=Exit.FORBIDDEN,
            outcome="nobody-knows",
        )
    return tuple(chosen)


def _named(visit: Visit, word: str) -> tuple[str, str]:
    from orchestrator.doors.cli.answer import refused
    from orchestrator.doors.cli.wishes import unknown

    service, _, color = word.partition("=")
    known = tuple(one.name for one in visit.world.site.services)
    if service not in known:
        raise refused(unknown(service, known))
    if color not in ("blue", "green"):
        raise refused(f"{word!r} names no color: write {service}=blue or {service}=green.")
    return service, color


# -- Saying --------------------------------------------------------------------------------


def _found(visit: Visit, seen: tuple[HostSeen, ...], chosen: tuple[Candidate, ...]) -> str:
    from orchestrator.doors.cli import render_hosts

    lines = [f"Found of the site {visit.file.name}:"]
    if seen:
        now = visit.world.clock.now()
        lines.append(render_hosts.table(seen, visit.chronicle, now, visit.paper()))
    for one in chosen:
        label, color = one.release.label, one.color.value
        lines.append(f"{one.service} {label} serves on {color}, {one.running} of it run.")
    quiet = {service.name for service in visit.file.services} - {one.service for one in chosen}
    lines += [f"Nothing serves {name}." for name in sorted(quiet)]
    return "\n".join(lines)


def _confirmed(visit: Visit, text: str, *, yes: bool) -> None:
    """On a terminal a person is asked; elsewhere it has to be said beforehand."""
    import sys

    from orchestrator.doors.cli.answer import refused
    from orchestrator.doors.cli.exits import Exit

    if yes:
        return
    if sys.stdin.isatty() and sys.stderr.isatty() and not visit.setting.json:
        question = "Take the site over? Whoever drove it cannot any more. [y/N] "
        print(f"{text}\n{question}", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return
        raise refused("Nothing was touched.", code=Exit.FORBIDDEN, outcome="not-confirmed")
    raise refused(
        f"{text}\nTaking it over needs a word: whoever drove it cannot any more.",
        ("bgctl adopt --yes", "take the site over"),
        code=Exit.FORBIDDEN,
        outcome="needs-yes",
    )


def _nothing_to_do() -> Answer:
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit

    return Answer(Exit.DONE, "nothing-to-do", text="Nothing to adopt: this journal is the site's.")


def _taken_over(found: str) -> Answer:
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit

    return Answer(Exit.DONE, "adopted", text=f"{found}\nThe site is taken over.".lstrip())


# -- What was lost with the journal --------------------------------------------------------


async def _written_down(visit: Visit, driver: Driver, chosen: tuple[Candidate, ...]) -> None:
    """How what lies staged is run was written down beside the journal: it is again, where its
    artifact is at hand and is the same. Of what serves it is said where it is not.
    """
    from orchestrator.core.adopt import Candidate
    from orchestrator.core.steps import Part
    from orchestrator.doors.cli.wishes import source_of

    installation = visit.world.installation
    serving = {(one.service, one.release) for one in chosen}
    staged = [
        Candidate(seen.service, seen.color, release, 0)
        for seen in await installation.look(driver.epoch)
        for release in seen.staged
        if (seen.service, release) not in serving
    ]
    for one in (*chosen, *staged):
        if await installation.service_as_staged(one.service, one.release) is not None:
            continue
        service = visit.world.site.service(one.service)
        source = source_of(visit.world.artifacts, service, one.release)
        part = Part(one.service, one.color, service.placement.count, one.release)
        if source is not None:
            await installation.stage(part, source, driver.epoch)
        elif one in chosen:
            visit.say(
                f"{one.service} {one.release.label}: its artifact is not at hand, so it cannot be"
                " started again from here; the next deploy does not need it."
            )
