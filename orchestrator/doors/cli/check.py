"""`check`: everything that is wrong with the site file and with the world it names.

It looks, and touches nothing. The one rule: each finding is a line that says what is wrong and what
to do; all of them in one go, not the first. The file's own mistakes come first, for nothing else
can be asked before it is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from orchestrator.core.model import Site
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.visit import Visit

SHOWN = 8  # versions in a line


def check(ctx: typer.Context) -> None:
    """Say everything that is wrong with the site file and with the world it names: the switch,
    ports, hosts, artifacts, secrets.

    Nothing is touched. Exits with 0 where all is well, and with 2 where something is wrong.
    """
    from orchestrator.doors.cli.visit import run

    run(ctx, _checked)


@dataclass(frozen=True, slots=True)
class Finding:
    wrong: bool
    what: str


async def _checked(visit: Visit) -> Answer:
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit

    findings = [finding async for finding in _findings(visit)]
    wrong = [finding.what for finding in findings if finding.wrong]
    return Answer(
        Exit.BAD_INPUT if wrong else Exit.DONE,
        "wrong" if wrong else "all-well",
        text="\n".join(_lines(visit, f"well   {f.what}") for f in findings if not f.wrong),
        problem="\n".join(f"wrong  {what}" for what in wrong),
        more={"findings": [{"wrong": f.wrong, "what": f.what} for f in findings]},
    )


def _lines(visit: Visit, line: str) -> str:
    """Fitted to a terminal; one line for whoever reads lines."""
    import sys

    fitted = visit.paper().wrapped(line, later=" " * 7) if sys.stdout.isatty() else [line]
    return "\n".join(fitted)


async def _findings(visit: Visit) -> AsyncIterator[Finding]:
    site = visit.file
    count = len(site.services)
    yield Finding(False, f"the site {site.name}: {count} service{'s' if count != 1 else ''}")
    yield _state(site)
    entries = f"{visit.last} entries" if visit.last else "empty so far"
    yield Finding(False, f"the journal can be read: {entries}")
    for finding in (*_envoy(site), *_ports(site), *_artifacts(visit)):
        yield finding
    for finding in (*await _hosts(visit), *await _proxies(visit.next_site), *await _secrets(site)):
        yield finding
    for finding in await _own_steps(visit.next_site):
        yield finding


def _state(site: Site) -> Finding:
    """Whether the state folder can be written, or made."""
    import os
    from pathlib import Path

    from orchestrator.doors.cli.render_status import ROOM_MIN
    from orchestrator.doors.cli.reserve import room_at

    place = Path(site.state)
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    if not there.is_dir():
        return Finding(True, f"state: {there} is no folder; name another one in `state:`")
    if not os.access(there, os.W_OK | os.X_OK):
        return Finding(True, f"state: {there} cannot be written; make it yours, or name another")
    room = room_at(str(there))
    if room is not None and room < ROOM_MIN:
        return Finding(True, f"state: the disk of {there} is full ({room // 1000} kB free)")
    return Finding(False, f"the state folder {place} can be written")


def _envoy(site: Site) -> list[Finding]:
    from orchestrator.ports.trouble import Refused
    from orchestrator.wiring import envoys

    try:
        return [Finding(False, f"{name}: Envoy {what}") for name, what in envoys(site).items()]
    except Refused as refused:
        return [Finding(True, refused.why)]


def _ports(site: Site) -> list[Finding]:
    from orchestrator.wiring import strangers

    advice = "end that program, or name another port in the site file"
    taken = [Finding(True, f"{what}; {advice}") for what in strangers(site)]
    return taken or [Finding(False, "every port is free, or ours")]


def _artifacts(visit: Visit) -> list[Finding]:
    from orchestrator.doors.cli.wishes import newest_first

    found = []
    for service in visit.file.services:
        versions = visit.world.artifacts.available(service)
        if versions:
            shown = newest_first(versions, SHOWN)
            found.append(Finding(False, f"{service.name}: {service.artifact} finds {shown}"))
        else:
            what = f"{service.name}: nothing is at {service.artifact}; put a release there"
            found.append(Finding(True, f"{what}, a folder or an archive"))
    return found


async def _hosts(visit: Visit) -> list[Finding]:
    """But for those that were taken out: nobody asks them to be well."""
    from orchestrator.wiring import hosts

    found = [Finding(wrong, what) for wrong, what in await hosts(visit.next_site)]
    back = "`bgctl readmit` takes it back"
    return [*found, *(Finding(False, f"{h}: taken out; {back}") for h in visit.chronicle.away)]


async def _own_steps(site: Site) -> list[Finding]:
    from orchestrator.wiring import own_steps

    return [Finding(wrong, what) for wrong, what in await own_steps(site)]


async def _proxies(site: Site) -> list[Finding]:
    from orchestrator.wiring import proxies

    return [Finding(wrong, what) for wrong, what in await proxies(site)]


async def _secrets(site: Site) -> list[Finding]:
    from orchestrator.core.model import Secret
    from orchestrator.wiring import unreadable_secrets

    wrong = [Finding(True, what) for what in await unreadable_secrets(site)]
    named = [v for s in site.services for _, v in s.recipe.env if isinstance(v, Secret)]
    if wrong or not named:
        return wrong
    return [Finding(False, f"every secret can be read ({len(named)})")]
