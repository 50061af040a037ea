"""One command at work on one site: what it has at hand, and how it begins and ends.

A verb is an async function from a `Visit` to an `Answer`; `run` gives it the one and tells the
other. It is also where everything that can go wrong becomes an exit code. The site that is used is
the one that the open rollout was opened with, else the file's: the file as it is now never changes
what is under way.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import typer

from orchestrator.config.mistakes import BadSite
from orchestrator.core.away import without
from orchestrator.core.chronicle import Chronicle, fold
from orchestrator.core.model import Color, Site
from orchestrator.core.record import Entry
from orchestrator.core.sight import Sighting
from orchestrator.doors.cli import answer as answers
from orchestrator.doors.cli.answer import Answer, Done
from orchestrator.doors.cli.exits import Exit
from orchestrator.doors.cli.paper import Paper, capital, paper_for
from orchestrator.doors.cli.picture import Picture
from orchestrator.doors.cli.setting import Setting, who
from orchestrator.doors.cli.stops import Stops
from orchestrator.doors.cli.told import Told
from orchestrator.engine.world import World, survey
from orchestrator.ports.lease import Holder
from orchestrator.ports.trouble import Trouble

if TYPE_CHECKING:
    from orchestrator.doors.cli.live import Talk

Work = Callable[["Visit"], Awaitable[Answer]]

    from pathlib import Path
    from orchestrator.engine.driver import Seen


@dataclass(slots=True)
class Visit:
    setting: Setting
    file: Site  # as its file says now
    world: World  # of the site that is used
    chronicle: Chronicle  # the fold up to `last`
    last: int
    began: int  # the newest entry when the command began
    told: Told
    stops: Stops
    by: str
    left: list[World] = field(default_factory=list)  # of sites that were used before

    def say(self, sentence: str) -> None:
        self.told.say(sentence)

    async def recall(self) -> Chronicle:
        """Everything, anew; and the world of the site that counts now."""
    seen: Seen | None = None  # what was seen last by who drove here
        recalled = await self.world.journal.recall()
        self.chronicle, self.last = recalled.chronicle, recalled.last
        self.told.know(self.chronicle, self.last)
        self.use(self.site)
        return self.chronicle

    @property
    def site(self) -> Site:
        """The site that counts now: that of the open rollout, where there is one."""
        return self.chronicle.open.site if self.chronicle.open else self.next_site

    @property
    def next_site(self) -> Site:
        """The site that the next plan is of: the file's, without the hosts that are gone."""
        return without(self.file, self.chronicle.away)

    def use(self, site: Site) -> None:
        if site != self.world.site:
            self.left.append(self.world)
            self.world = _ready(self.setting, site, self.told)

    async def leave(self) -> None:
        """Hang up where nobody speaks any more: in the worlds of sites that were used before."""
        left, self.left = self.left, []
        for world in left:
            await world.close()

    def read_file_again(self) -> str:
        """For whoever stays long.

        What is wrong with it by now; then the one read before is kept.
        """
        try:
            self.file = _read(self.setting)
            return ""
        except BadSite as bad:
            return str(bad)

    async def catch_up(self) -> bool:
        """Read what was written since, and tell it; whether there was any."""
        entries = await self.world.journal.news(self.last)
        for entry in entries:
            self.chronicle = fold(self.chronicle, entry)
            self.last = entry.number
            self.told.tell(entry)
        return bool(entries)

    def paper(self, *, fit: bool = False) -> Paper:
        """What the answer is written on. `fit`: for a picture that is drawn again and again."""
        paper = paper_for(sys.stdout, fit=fit)
        return paper if self.setting.color else replace(paper, color=False)

    async def records(self) -> tuple[Entry, ...]:
        """What was written since the command began."""
        return await self.world.journal.news(self.began)

    async def picture(self, sighting: Sighting | None = None) -> Picture:
        """What is true now. Looks, unless somebody just did."""
        chronicle, holder = await self._remembered()
        switch, services = self.world.switch, self.world.site.services
        outer = ((s.name, switch.outer_address(s.name)) for s in services)
        seen = sighting or self._just_seen() or await survey(self.world, None)
        ask = services if chronicle.rollouts else ()  # asking for a preview may choose its port
        inner = (((s.name, c), switch.preview_address(s.name, c)) for s in ask for c in Color)
        return Picture(
            site=self.world.site,
            chronicle=chronicle,
            sighting=seen,
            now=self.world.clock.now(),
            holder=holder,
            addresses={name: url for name, url in outer if url},
            previews={place: url for place, url in inner if url},
            room=room_at(self.world.site.state),
        )

    async def _remembered(self) -> tuple[Chronicle, Holder | None]:
        """What the journal says.

        One that cannot be read hides no world: then what was seen has to do.
        """
        try:
            chronicle = (await self.world.journal.recall()).chronicle
            return chronicle, await self.world.lease.holder()
        except Trouble:
            return self.chronicle, None


def run(ctx: typer.Context, work: Work) -> None:
    """The whole of a verb. Ends with `typer.Exit` and the code."""
    setting: Setting = ctx.obj
    gc.freeze()
    gc.enable()
    answer, picture = asyncio.run(_visited(setting, work))
    with suppress(BrokenPipeError):  # whoever read it went away (`| head`): the code still counts
        answers.tell(answer, picture, as_json=setting.json, color=setting.color)
    raise typer.Exit(int(answer.exit))


async def _visited(setting: Setting, work: Work) -> tuple[Answer, Picture | None]:
    stops = Stops()
    visit: Visit | None = None
    try:
        with stops.listening():
            visit = _arrive(setting, stops)
    def _just_seen(self) -> Sighting | None:
        fresh = self.seen is not None and self.seen.fresh(self.world.clock.now())
        return self.seen.sighting if self.seen and fresh else None

            await visit.recall()
            visit.began = visit.last
            answer = await work(visit)
    except Done as done:
        answer = done.answer
    except asyncio.CancelledError:
        answer = Answer(Exit.INTERRUPTED, "interrupted", problem="Interrupted.")
    except BadSite as bad:
        answer = Answer(Exit.BAD_INPUT, "bad-input", problem=str(bad))
    except Trouble as trouble:
        answer = await _in_trouble(trouble, visit)
    except Exception as error:
        from orchestrator.doors.cli.troubled import bug

        answer = bug(error)
    finally:
        if visit is not None:
            visit.told.end()
    if visit is not None:
        answer = replace(answer, problem=_begun(answer.problem, visit.file))
    picture = await _seen(visit, answer)
    if visit is not None:
        visit.left.append(visit.world)
        await visit.leave()
    return answer, picture


def _begun(problem: str, site: Site) -> str:
    """Each of its lines with a capital letter, but for the names of the site."""
    names = [service.name for service in site.services]
    names += [*(spec.name for spec in site.switches), *(spec.name for spec in site.proxies)]
    return "\n".join(capital(line, names) for line in problem.split("\n"))


def room_at(state: str) -> int | None:
    """The bytes that are free for the journal; None where nobody can say."""
    import os

    try:
        disk = os.statvfs(state)
    except OSError:  # there is no state folder yet
        return None
    return disk.f_bavail * disk.f_frsize


def _arrive(setting: Setting, stops: Stops) -> Visit:
    """At the site, before anything of its journal was read. Raises `BadSite`."""
    site = _read(setting)
    stops.told = told = Told(lambda: _talk(setting, site))
    return Visit(
        setting=setting,
        file=site,
        world=_ready(setting, site, told),
        chronicle=Chronicle(),
        last=0,
        began=0,
        told=told,
        stops=stops,
        by=who(),
    )


def _read(setting: Setting) -> Site:
    from pathlib import Path

    from orchestrator.config.load import find, load

    return load(find(Path(setting.site or ".")))


def _ready(setting: Setting, site: Site, told: Told) -> World:
    if setting.ready is not None:
        world: World = setting.ready(site, witness=told)
        return world
    from orchestrator.wiring import ready

    return ready(site, witness=told)


def _talk(setting: Setting, site: Site) -> Talk:
    from orchestrator.doors.cli.live import talk_for

    paper = paper_for(sys.stderr)
    paper = paper if setting.color else replace(paper, color=False)
    return talk_for(
        sys.stderr, site.name, log_format=setting.log_format, redact=_clean, paper=paper
    )


def _clean(text: str) -> str:
    from orchestrator.wiring import clean

    return clean(text)


async def _in_trouble(trouble: Trouble, visit: Visit | None) -> Answer:
    """What a trouble means depends on whether a rollout is open: before, nothing was touched."""
    from orchestrator.doors.cli.troubled import answer_to

    is_open = False
    if visit is not None:
        try:
            is_open = (await visit.world.journal.recall()).chronicle.open is not None
        except Trouble:
            is_open = visit.chronicle.open is not None
    return answer_to(trouble, is_open=is_open)


async def _seen(visit: Visit | None, answer: Answer) -> Picture | None:
    if visit is None or (answer.whole and not visit.setting.json):
        return None
    try:
        return await visit.picture()
    except Trouble:
        return None
