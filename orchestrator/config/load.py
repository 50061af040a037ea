"""A site file as a `Site`, or everything that is wrong with it.

The one rule: what is not understood is refused, all of it in one go, with line and what to write
instead. The second time the same file is read from a cache, so that a quick command need not pay
for YAML and validation; what only a first reading needs is imported late. Looks at nothing but the
file: whether artifacts, programs and secrets are there is not asked here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.core.model import Site

if TYPE_CHECKING:
    from orchestrator.config.mistakes import BadSite

NAMES = ("bg.yaml", "bg.yml")
BYTES_MAX = 256 * 1024


def load(path: Path) -> Site:
    """The site that the file describes, with all defaults filled in. Raises `BadSite`."""
    from orchestrator.config import cache

    raw = _read(path)
    folder, homes = str(path.absolute().parent), state_home()
    key = cache.key(raw, folder, homes)
    site = cache.recall(path, key)
    if site is None:
        site = parse(raw, file=_shown(path), folder=folder, state_home=homes)
        cache.keep(path, key, site)
    return site


def find(start: Path) -> Path:
    """The site file of a folder: `bg.yaml` or `bg.yml` there, or in the nearest folder above.

    A file is its own answer, so `--site` and `$BG_SITE` may name either. Raises `BadSite`.
    """
    start = start.absolute()
    if start.is_file():
        return start
    if not start.exists():
        raise _unusable(_shown(start), "there is no such file", "`bgctl init` writes a first one")
    for folder in (start, *start.parents):
        for name in NAMES:
            if (folder / name).is_file():
                return folder / name
    what = f"there is no {NAMES[0]} here, nor in a folder above"
    raise _unusable(str(start), what, "`bgctl init` writes a first one")


def parse(raw: bytes, *, file: str, folder: str, state_home: str) -> Site:
    """The bytes of a site file as a `Site`; `file` is its name in messages. Raises `BadSite`."""
    from orchestrator.config import build, document, fit, rules
    from orchestrator.config.mistakes import Mistakes

    mistakes = Mistakes(file)
    if len(raw) > BYTES_MAX:
        raise _unusable(file, "the file is too large", f"it has at most {BYTES_MAX} bytes")
    data = document.read(raw, mistakes)
    names = rules.Names(*(_names(data.get(key)) for key in ("services", "switches", "hosts")))
    keys = fit.fitted(data, mistakes)
    if keys is not None:
        rules.judge(keys, names, mistakes)
    mistakes.end()
    assert keys is not None
    return build.site_from(keys, folder=folder, state_home=state_home)


def _names(section: Any) -> tuple[str, ...]:
    return tuple(section) if isinstance(section, dict) else ()


def _read(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(BYTES_MAX + 1)
    except FileNotFoundError:
        what, advice = "there is no such file", "`bgctl init` writes a first one"
    except IsADirectoryError:
        what, advice = "this is a folder", "name the file in it"
    except (OSError, ValueError) as error:
        what, advice = f"cannot be read: {getattr(error, 'strerror', None) or error}", ""
    raise _unusable(_shown(path), what, advice)


def _unusable(file: str, what: str, instead: str) -> BadSite:
    """The file as a whole, in one mistake."""
    from orchestrator.config.mistakes import BadSite, Mistake

    return BadSite((Mistake(file, 0, 0, what, instead),))


def _shown(path: Path) -> str:
    """The path as people see it: short where it lies below the folder they are in."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def state_home() -> str:
    return _home("XDG_STATE_HOME", ".local/state")


def _home(variable: str, default: str) -> str:
    """An XDG base directory; one that is not absolute counts as not set, as they demand."""
    named = os.environ.get(variable, "")
    return named if os.path.isabs(named) else os.path.join(os.path.expanduser("~"), default)
