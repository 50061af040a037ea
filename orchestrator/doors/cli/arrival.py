"""How a command comes to its site: by the site file, or, on the way back, by what was kept of it.

The one rule: a file that cannot be used keeps nobody from looking, going on or going back, and
nothing new is begun with anything but the file as it is now. Whoever goes by memory is told so, and
why.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.config.mistakes import BadSite
from orchestrator.core.model import Site
from orchestrator.doors.cli.paper import moment
from orchestrator.doors.cli.setting import Setting

if TYPE_CHECKING:
    from orchestrator.config.accepted import Accepted

Steps = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Arrived:
    """`file`: that the site was read from now; None: it was not, and `warning` says why."""

    site: Site
    file: Path | None
    warning: str = ""


def by_file(setting: Setting) -> Arrived:
    """Raises `BadSite`."""
    from orchestrator.config.load import find, load

    file = find(Path(setting.site or "."))
    return Arrived(load(file), file)


def by_file_or_memory(setting: Setting) -> Arrived:
    """Raises `BadSite` where the file cannot be used and nothing was kept of it."""
    try:
        return by_file(setting)
    except BadSite as bad:
        if (kept := _kept(setting)) is None:
            raise
        return by_memory(kept, _first_of(bad))


def by_memory(kept: Accepted, why: str) -> Arrived:
    return Arrived(kept.site, None, f"{why}; going by the site as of {_when(kept)}.")


def of_before(setting: Setting, site: Site) -> Arrived | None:
    """The site that the file described when a rollout was last opened with it, where that was
    another one than now: another name, or another state folder.
    """
    kept = _kept(setting)
    if kept is None or (kept.site.name, kept.site.state) == (site.name, site.state):
        return None
    has = "has no journal" if kept.site.state != site.state else "has the journal of another"
    name = Path(kept.file).name
    why = f"{name} describes the site {site.name} in {site.state} now, which {has}"
    return by_memory(kept, f"{why}; the site before was {kept.site.name} in {kept.site.state}")


def remembered(setting: Setting, why: str) -> Arrived | None:
    """What was kept, for whoever cannot do with the file though it can be read."""
    return by_memory(kept, why) if (kept := _kept(setting)) is not None else None


def still(setting: Setting) -> Steps:
    """What can be typed though the file cannot be used."""
    if (kept := _kept(setting)) is None:
        return ()
    return (
        ("bgctl check", "everything that is wrong with the file"),
        ("bgctl status", f"goes by the site as of {_when(kept)}, for now"),
        ("bgctl backout", "goes back by that, too"),
    )


def _kept(setting: Setting) -> Accepted | None:
    from orchestrator.config import accepted

    return accepted.remembered(setting.site)


def _first_of(bad: BadSite) -> str:
    more = len(bad.mistakes) - 1
    return f"{bad.mistakes[0]}{f' (and {more} more: `bgctl check`)' if more else ''}"


def _when(kept: Accepted) -> str:
    return f"{moment(kept.at_s)}, as it was read for rollout {kept.rollout}"
