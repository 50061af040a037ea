"""The tree: services, their two colors, and the instances of each, as they were seen.

A color's line says its release, its share of the traffic, what it is just now, and how many run. An
instance that is as it should be takes a few characters; one that is not has a line of its own.
"""

from __future__ import annotations

from dataclasses import replace

from orchestrator.core.health import Verdict
from orchestrator.core.model import Color, Service
from orchestrator.core.sight import InstallationSeen, InstanceSeen
from orchestrator.core.steps import Shift
from orchestrator.doors.cli.paper import HARD_SPACE, Ink, Paper, harmless
from orchestrator.doors.cli.picture import Picture, warm

INK_OF = {Color.BLUE: Ink.BLUE, Color.GREEN: Ink.GOOD}
STOPPED = " was stopped:"  # how the note of an instance begins that was asked to end
INSTANCES_SHOWN = 4  # of those that are as they should be; the rest is counted


def tree(picture: Picture, paper: Paper, *, brief: bool = False, dense: bool = False) -> list[str]:
    """The lines of the tree. `brief`: without the instances that are as they should be; `dense`:
    without where to look at a color, too.
    """
    if dense:
        picture = replace(picture, previews={})
    at = paper.clock(picture.now)
    title = f"site {harmless(picture.site.name)}"
    lines = [paper.ink(Ink.STRONG, title) + paper.apart(title, at)[len(title) :]]
    if picture.sighting is None:
        return lines
    services = picture.site.services
    for service in services:
        last = service is services[-1]
        lines.append(_service(service, picture, paper, last))
        trunk = "   " if last else "│  "
        for color in Color:
            seen = picture.sighting.at(service.name, color)
            lines += [trunk + line for line in _color(seen, picture, paper, brief)]
    return lines


def _service(service: Service, picture: Picture, paper: Paper, last: bool) -> str:
    branch = f"{'└' if last else '├'}─ {service.name}"
    address = picture.addresses.get(service.name, "")
    line = paper.apart(branch, address) if address else branch
    return line[:3] + paper.ink(Ink.STRONG, service.name) + line[len(branch) :]


# -- One color -----------------------------------------------------------------------------


def _color(seen: InstallationSeen, picture: Picture, paper: Paper, brief: bool) -> list[str]:
    branch, trunk = ("└─", "   ") if seen.color is Color.GREEN else ("├─", "│  ")
    name = paper.ink(INK_OF[seen.color], seen.color.value.ljust(5))
    looked = picture.sighting
    if looked and looked.unreached and not looked.saw(seen.service, seen.color):
        known = f"  {_known(seen, picture).ljust(6)}  {_share(seen, picture).rjust(5)}  "
        return [f"{branch} {name}{known}{paper.ink(Ink.BAD, 'was not seen')}"]
    if seen.current is None and seen.empty:
        return [f"{branch} {name}  {paper.ink(Ink.FAINT, 'empty')}"]
    release = harmless(seen.current.version) if seen.current else "?"
    state, ink = _state(seen, picture)
    running = _running(seen, picture)
    fixed = f"  {release.ljust(6)}  {_share(seen, picture).rjust(5)}  "
    room = paper.width - 3 - len(branch) - 6 - len(fixed) - len(state) - len(running)
    line = f"{branch} {name}{fixed}{paper.ink(ink, state)}"
    share = picture.sighting.share(seen.service).of(seen.color) if picture.sighting else 0
    below = _instances(seen, share, paper, brief) + _preview(seen, picture, paper)
    if room >= 2:
        line += f"{' ' * room}{running}"
    else:
        below = [running, *below]
    return [line, *(f"{trunk}  {text}" for text in below)]


def _known(seen: InstallationSeen, picture: Picture) -> str:
    """The release that is there as far as the journal knows."""
    chronicle = picture.chronicle
    there = (chronicle.serves(seen.service), chronicle.standby(seen.service))
    found = next((one.release for one in there if one and one.color is seen.color), None)
    return harmless(found.version) if found else "?"


def _share(seen: InstallationSeen, picture: Picture) -> str:
    sighting = picture.sighting
    if sighting is None or not sighting.switch.up:
        return "? %"
    return f"{sighting.share(seen.service).of(seen.color)} %"


def _state(seen: InstallationSeen, picture: Picture) -> tuple[str, Ink]:
    """What this color is just now, in a word or two, and how that looks."""
    verdict = verdict_of(seen, picture)
    well = f", {verdict.value}" if verdict else ""
    word, ink = _word(seen, picture)
    if verdict is Verdict.ILL:
        ink = Ink.BAD
    if verdict is Verdict.WELL and ink is Ink.CARE:
        ink = Ink.GOOD
    return word + well, Ink.CARE if verdict is Verdict.UNSURE else ink


def _word(seen: InstallationSeen, picture: Picture) -> tuple[str, Ink]:
    sighting, chronicle = picture.sighting, picture.chronicle
    if sighting is not None and not sighting.switch.up:
        serving = chronicle.serves(seen.service)
        if serving is not None and serving.color is seen.color:
            return "served last", Ink.CARE
    elif sighting is not None and sighting.share(seen.service).of(seen.color):
        return ("serves", Ink.GOOD) if seen.running() else ("should serve", Ink.BAD)
    if seen.empty:
        return "stopped", Ink.FAINT
    standby = chronicle.standby(seen.service)
    if standby is not None and standby.color is seen.color and warm(standby, sighting):
        return "stands by", Ink.FAINT
    if chronicle.open is None:
        return "idle", Ink.FAINT
    flips = [f for s in chronicle.open.steps if isinstance(s, Shift) for f in s.flips]
    if any(f.back and (f.service, f.back.color) == (seen.service, seen.color) for f in flips):
        return "stands by", Ink.FAINT
    return "going down" if chronicle.open.backing_out else "coming up", Ink.CARE


def verdict_of(seen: InstallationSeen, picture: Picture) -> Verdict | None:
    """What is known of its health: sampled just now, or found by the open rollout."""
    if (sampled := picture.verdicts.get((seen.service, seen.color))) is not None:
        return sampled
    found = picture.chronicle.open.found_well() if picture.chronicle.open else {}
    place = (seen.service, seen.color.value)
    running = [i for i in seen.instances if i.running]
    if running and all(found.get((*place, i.index)) == i.start for i in running):
        return Verdict.WELL
    return None


def _running(seen: InstallationSeen, picture: Picture) -> str:
    wanted = picture.site.service(seen.service).placement.count
    return f"{seen.running(seen.current)} of {max(wanted, len(seen.instances))} run"


def _preview(seen: InstallationSeen, picture: Picture, paper: Paper) -> list[str]:
    url = picture.previews.get((seen.service, seen.color))
    share = picture.sighting.share(seen.service) if picture.sighting else None
    return (
        [paper.ink(Ink.FAINT, f"look at it: {url}")]
        if url and share and not share.of(seen.color) and seen.running()
        else []
    )


# -- Its instances -------------------------------------------------------------------------


def _instances(seen: InstallationSeen, share: int, paper: Paper, brief: bool) -> list[str]:
    if seen.empty and not any(i.note for i in seen.instances):
        return []
    odd = [i for i in seen.instances if not i.running or i.release != seen.current]
    fine = [i for i in seen.instances if i not in odd]
    if seen.empty and not share:  # how it ended where that was asked for is no news
        odd = [i for i in odd if STOPPED not in i.note]
    lines = _fine(fine, paper) if fine and not brief else []
    return lines + [line for one in odd for line in _odd(one, paper)]


def _fine(instances: list[InstanceSeen], paper: Paper) -> list[str]:
    """All of them side by side."""
    shown = instances[:INSTANCES_SHOWN]
    named = [f"#{i.index} {_pid(i)} start {i.start}".replace(" ", HARD_SPACE) for i in shown]
    more = len(instances) - len(named)
    said = " · ".join([*named, *([f"{more} more"] if more else [])])
    return [paper.ink(Ink.FAINT, line) for line in paper.less(9).wrapped(said)]


def _odd(one: InstanceSeen, paper: Paper) -> list[str]:
    if one.running:
        label = one.release.label if one.release else "something unknown"
        said = f"#{one.index} {_pid(one)} start {one.start} runs {label}"
    elif one.kept:
        said = f"#{one.index} died and is being started again (start {one.start})"
    else:
        said = f"#{one.index} does not run"
    old = STOPPED in one.note and not one.note.startswith(f"start {one.start} ")
    note = f": {one.note.strip()}" if one.note and not one.running and not old else ""
    wrapped = paper.less(9).wrapped(said + note, later="   ")
    return [paper.ink(Ink.BAD, line) for line in wrapped]


def _pid(one: InstanceSeen) -> str:
    return one.identity.split(",")[0]
