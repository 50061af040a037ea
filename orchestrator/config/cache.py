"""The site as it was read last time, kept beside nothing anybody depends on.

One file for each site file, in `$XDG_CACHE_HOME/bgctl/`, mode 0600, written beside and renamed.
The one rule: it may be wrong in any way and nobody notices. It counts only when it was made from
the very same bytes, by the very same code, and is whole; in every other case it is as if it were
not there. Neither a full disk nor a folder that cannot be written is trouble.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from orchestrator.core.model import Site
from orchestrator.core.record import Unknown, plain, read

_SIZE_MAX = 4 * 1024 * 1024


def key(raw: bytes, *inputs: str) -> str | None:
    """What the site was read from: its bytes, where paths start, and the code that reads it.

    None where the code cannot be looked at (run from an archive): then nothing is cached.
    """
    digest = hashlib.sha256(raw)
    for text in inputs:
        digest.update(b"\0" + os.fsencode(text))
    try:
        return digest.hexdigest() + _code()
    except OSError:
        return None


def recall(path: Path, key: str | None) -> Site | None:
    """The site read before under this key; None where there is none that can be trusted."""
    try:
        with open(_file(path), "rb") as file:
            seen = os.fstat(file.fileno())
            if seen.st_uid != os.geteuid() or seen.st_mode & 0o022 or seen.st_size > _SIZE_MAX:
                return None
            made_from, _, rest = file.read().partition(b"\n")
        checked, _, text = rest.partition(b"\n")
        if key is None or made_from != key.encode() or checked != _sum(text):
            return None
        site: Site = read(Site, json.loads(text))
        return site
    except (OSError, ValueError, RecursionError, Unknown):
        return None


def keep(path: Path, key: str | None, site: Site) -> None:
    """Remember it. Does nothing where that is not possible."""
    if key is None:
        return
    text = json.dumps(plain(site), separators=(",", ":")).encode()
    target = _file(path)
    beside = f"{target}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as file:
            file.write(key.encode() + b"\n" + _sum(text) + b"\n" + text)
        os.replace(beside, target)
    except OSError:
        _remove(beside)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


def _file(path: Path) -> str:
    from orchestrator.config.load import _home

    name = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:24]
    return os.path.join(_home("XDG_CACHE_HOME", ".cache"), "bgctl", f"site-{name}.json")


def _sum(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode()


def _code() -> str:
    """The digest of the code that reads and keeps a site; what other code kept is not believed."""
    from orchestrator.core import model, record

    folder = os.path.dirname(__file__)
    mine = (
        os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".py")
    )
    digest = hashlib.sha256()
    for file in (*mine, str(model.__file__), str(record.__file__)):
        with open(file, "rb") as source:
            digest.update(source.read())
    return digest.hexdigest()
