"""One command at work on one site: what it has at hand, and how it begins and ends.

A verb is an async function from a `Visit` to an `Answer`; `run` gives it the one and tells the
other. It is also where everything that can go wrong becomes an exit code. The site that is used is
the one that the open rollout was opened with, else the file's: the file as it is now never changes
what is under way. Where the file cannot be used, verbs that look or go back take what was kept of
it (`doors.cli.arrival`).
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
from orchestrator.core.record import Entry, Wish
from orchestrator.core.settled import settled
from orchestrator.core.sight import Sighting
from orchestrator.doors.cli import answer as answers
from orchestrator.doors.cli import arrival, reserve
from orchestrator.doors.cli.answer import Answer, Done
from orchestrator.doors.cli.arrival import Arrived
from orchestrator.doors.cli.exits import Exit
from orchestrator.doors.cli.paper import Paper, capital, paper_for
from orchestrator.doors.cli.picture import Picture
from orchestrator.doors.cli.setting import Setting, who
from orchestrator.doors.cli.stops import Stops
from orchestrator.doors.cli.told import Told
from orchestrator.engine.world import World, survey
from orchestrator.ports.lease import Holder
from orchestrator.ports.trouble import Damaged, Trouble

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.doors.cli.live import Talk
    from orchestrator.engine.driver import Seen

Work = Callable[["Visit"], Awaitable[Answer]]


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
    file_at: Path | None  # where the file lies; None: `file` is what was kept of it
    anew: frozenset[str] = frozenset()  # the services whose idle color is to be brought up anew
    left: list[World] = field(default_factory=list)  # of sites that were used before
    seen: Seen | None = None  # what was seen last by who drove here

    def say(self, sentence: str) -> None:
        self.told.say(sentence)

    async def recall(self) -> Chronicle:
        """Everything, anew; and the world of the site that counts now."""
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
        """The site that the next plan is of: the file's, without the hosts that are gone, and with
        the ports of what runs.
        """
        return settled(without(self.file, self.chronicle.away), self.chronicle, anew=self.anew)

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
            found = arrival.by_file(self.setting)
            self.file, self.file_at = found.site, found.file
            return ""
        except BadSite as bad:
            return str(bad)

    def accept(self) -> None:
        """Keep the site file as it is now, for whoever has to go back without it; and room."""
        reserve.put_aside(self.world.site.state)
        if self.file_at is None:
            return
        from orchestrator.config.accepted import Accepted, accept

        now, number = self.world.clock.now(), self.chronicle.rollouts + 1
        accept(Accepted(self.file, str(self.file_at), now, number))

    def brings_up(self, wish: Wish) -> None:
        """The next plan is of this deploy: what it brings up anew gets the ports of the file."""
        ready = {(s.service, s.release) for s in self.chronicle.standbys if not wish.again}
        anew = (w.service for w in wish.wanted if (w.service, w.release) not in ready)
        self.anew = frozenset(anew)
        self.use(self.site)

    def go_by(self, found: Arrived) -> None:
        self.file, self.file_at = found.site, found.file
        self.say(found.warning)

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
            room=reserve.room_at(self.world.site.state),
            reserved=reserve.is_there(self.world.site.state),
        )

    def _just_seen(self) -> Sighting | None:
        seen = self.seen
        return seen.sighting if seen and seen.fresh(self.world.clock.now()) else None

    async def _remembered(self) -> tuple[Chronicle, Holder | None]:
        """What the journal says.

        One that cannot be read hides no world: then what was seen has to do.
        """
        try:
            chronicle = (await self.world.journal.recall()).chronicle
            return chronicle, await self.world.lease.holder()
        except Trouble:
            return self.chronicle, None


def run(ctx: typer.Context, work: Work, *, needs_file: bool = True) -> None:
    """The whole of a verb. Ends with `typer.Exit` and the code.

    `needs_file`: it may begin something new; else what was kept of a broken site file will do.
    """
    setting: Setting = ctx.obj
    gc.freeze()
    gc.enable()
    answer, picture = asyncio.run(_visited(setting, work, needs_file=needs_file))
    with suppress(BrokenPipeError):  # whoever read it went away (`| head`): the code still counts
        answers.tell(answer, picture, as_json=setting.json, color=setting.color)
    raise typer.Exit(int(answer.exit))


async def _visited(
    setting: Setting, work: Work, *, needs_file: bool
) -> tuple[Answer, Picture | None]:
    stops = Stops()
    visit: Visit | None = None
    try:
        with stops.listening():
            visit = _arrive(setting, stops, needs_file=needs_file)
            await _recall(visit, needs_file=needs_file)
            visit.began = visit.last
            answer = await work(visit)
    except Done as done:
        answer = done.answer
    except asyncio.CancelledError:
        answer = Answer(Exit.INTERRUPTED, "interrupted", problem="Interrupted.")
    except BadSite as bad:
        still = arrival.still(setting)
        answer = Answer(Exit.BAD_INPUT, "bad-input", problem=str(bad), next=still)
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


def _arrive(setting: Setting, stops: Stops, *, needs_file: bool) -> Visit:
    """At the site, before anything of its journal was read. Raises `BadSite`."""
    found = arrival.by_file(setting) if needs_file else arrival.by_file_or_memory(setting)
    site = found.site
    stops.told = told = Told(lambda: _talk(setting, site))
    visit = Visit(
        setting=setting,
        file=site,
        world=_ready(setting, site, told),
        chronicle=Chronicle(),
        last=0,
        began=0,
        told=told,
        stops=stops,
        by=who(),
        file_at=found.file,
    )
    if found.warning:
        visit.say(found.warning)
    return visit


async def _recall(visit: Visit, *, needs_file: bool) -> None:
    """Where the file leads to no journal of its site any more, what it led to before counts."""
    trouble: Damaged | None = None
    try:
        await visit.recall()
    except Damaged as damaged:
        trouble = damaged
    look = visit.file_at is not None and visit.last == 0 and not needs_file
    found = arrival.of_before(visit.setting, visit.file) if look else None
    if found is not None:
        visit.go_by(found)
        visit.use(visit.site)
        await visit.recall()
    elif trouble is not None:
        raise trouble


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
