"""The site as the newest rollout was opened with it, kept where it is found without the site file.

    STATE/site.json                     the site as it was read, from which file, when, for which
                                        rollout; beside the journal
    $XDG_STATE_HOME/bgctl/.files/HASH   for each file that a site was read from, its state folder

The one rule: the way back needs no site file. One that is broken, or gone, still leads to the
journal: by its path, by what can be read of it, or by the name of the site. Holds secrets by name
alone, as the file does, and is private all the same: 0600, written beside, synced, renamed. What
cannot be written is let be, for a full disk must not keep anybody from going back.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config.load import BYTES_MAX, NAMES, state_home
from orchestrator.core.model import Site
from orchestrator.core.record import Unknown, plain, read
from orchestrator.releases import disk

FILE = "site.json"
FILES = ".files"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A site as it was read. `file`: absolute; `at_s`: since 1970; `rollout`: that it was for."""

    site: Site
    file: str
    at_s: float
    rollout: int


def accept(accepted: Accepted) -> None:
    """Keep it, in place of the one before. One at a time: whoever holds the lease."""
    state = accepted.site.state
    with suppress(OSError):
        text = json.dumps(plain(accepted), separators=(",", ":")).encode()
        disk.make_folder(state)
        disk.write(os.path.join(state, FILE), text)
        leads = _leading_from(accepted.file)
        if disk.read(leads) != os.fsencode(state):
            disk.make_folder(os.path.dirname(leads))
            _forget_what_is_gone(os.path.dirname(leads))
            disk.write(leads, os.fsencode(state))


def at(state: str) -> Accepted | None:
    """What is kept in this state folder."""
    try:
        raw = disk.read(os.path.join(state, FILE))
        kept: Accepted | None = read(Accepted, json.loads(raw)) if raw else None
        return kept
    except (OSError, ValueError, RecursionError, Unknown):
        return None


def remembered(named: str | None) -> Accepted | None:
    """What was kept of the site that `--site` (None: the folder we are in) names: by the path of
    its file, there or not, else by its name. None: nothing was.
    """
    start = Path(named or ".").absolute()
    for file in _files(start):
        found = at(state) if (state := _state_of(file)) else None
        if found is not None or file.is_file():
            return found
    name = named if named and not start.exists() and os.sep not in named else None
    return next((kept for kept in _all(name) if kept.site.name == name), None) if name else None


def _files(start: Path) -> Iterator[Path]:
    """Where the file may be, or was; in the order of `load.find`."""
    if not start.is_dir():
        yield start
        return
    for folder in (start, *start.parents):
        yield from (folder / name for name in NAMES)


def _state_of(file: Path) -> str | None:
    """The state folder of the site that this file described last."""
    try:
        raw = disk.read(_leading_from(str(file)))
        return os.fsdecode(raw) if raw else _as_written(file)
    except OSError:
        return None


_KEY = r"^%s:[ \t]*[\"']?([^\"'#\r\n]*[^\"'#\s])"


def _as_written(file: Path) -> str | None:
    """As its own lines name it, whatever is wrong with the others."""
    if not file.is_file():
        return None
    with open(file, "rb") as source:
        text = source.read(BYTES_MAX).decode(errors="replace")
    state, site = (re.search(_KEY % key, text, re.MULTILINE) for key in ("state", "site"))
    if state is not None:
        return os.path.normpath(file.parent / os.path.expanduser(state[1]))
    return os.path.join(_home(), site[1]) if site and os.sep not in site[1] else None


def _all(name: str) -> Iterator[Accepted]:
    """Every site that is kept; the one whose state folder is the usual one of this name first."""
    states = [os.path.join(_home(), name)]
    with suppress(OSError):
        folder = os.path.join(_home(), FILES)
        files = (disk.read(os.path.join(folder, one)) for one in sorted(os.listdir(folder)))
        states += [os.fsdecode(raw) for raw in files if raw]
    yield from (kept for state in states if (kept := at(state)) is not None)


def _leading_from(file: str) -> str:
    """By whatever path one came to its folder."""
    folder, name = os.path.split(os.path.abspath(file))
    there = os.path.join(os.path.realpath(folder), name)
    return os.path.join(_home(), FILES, hashlib.sha256(os.fsencode(there)).hexdigest()[:24])


def _forget_what_is_gone(folder: str) -> None:
    """Files whose state folder is not there any more lead nowhere."""
    for name in os.listdir(folder):
        leads = os.path.join(folder, name)
        raw = disk.read(leads)
        if raw is not None and not os.path.isdir(os.fsdecode(raw)):
            disk.delete(leads)


def _home() -> str:
    return os.path.join(state_home(), "bgctl")
