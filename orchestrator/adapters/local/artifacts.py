"""From what somebody typed to a release: `2`, `2@ab12`, `./build`.

A version is looked for where the site says artifacts are, then among what is staged; a path (it has
a slash) is taken as it is, and its name is the version. The digest is of the artifact *and* the
recipe: other bytes, or the same bytes run otherwise, are another release, whatever it is called.

The one rule: what is found was read, whole, and checked. Nothing is written, and nothing is run.
"""

from __future__ import annotations

import glob
import os
import re

from orchestrator.adapters.local.shelf import VERSION, Shelf
from orchestrator.core.model import Release, Service, Site
from orchestrator.ports.artifacts import Artifact
from orchestrator.ports.trouble import Refused
from orchestrator.releases import archive
from orchestrator.releases.identity import release_digest
from orchestrator.releases.members import printable

SHOWN = 12  # versions in a message


class LocalArtifacts:
    """`Artifacts` of a site's folder and its shelf."""

    def __init__(self, site: Site) -> None:
        self._folder = site.folder
        self._shelf = Shelf(site.state)

    def find(self, service: Service, wanted: str) -> Artifact:
        if "/" in wanted:
            return self._at_path(service, os.path.join(self._folder, wanted))
        version, _, prefix = wanted.partition("@")
        _check_version(service, version)
        path = self._path_of(service, version)
        if os.path.lexists(path):
            release = _release(service, version, path)
            if release.digest.startswith(prefix):
                return Artifact(release, path)
        return Artifact(self._among_staged(service, wanted, version, prefix), None)

    def _at_path(self, service: Service, path: str) -> Artifact:
        path = os.path.normpath(path)
        if not os.path.exists(path):
            raise Refused(f"{service.name}: there is nothing at {printable(path)}")
        version = archive.stem(path)
        _check_version(service, version)
        return Artifact(_release(service, version, path), path)

    def _path_of(self, service: Service, version: str) -> str:
        pattern = service.artifact.replace("{version}", version)
        return os.path.normpath(os.path.join(self._folder, pattern))

    def _among_staged(self, service: Service, wanted: str, version: str, prefix: str) -> Release:
        staged = self._shelf.staged(service.name)
        found = [r for r in staged if r.version == version and r.digest.startswith(prefix)]
        if len(found) == 1:
            return found[0]
        if found:
            labels = ", ".join(sorted(f"{r.version}@{r.digest[:8]}" for r in found))
            raise Refused(f"{service.name}: {wanted} could be any of {labels}; say which")
        raise Refused(
            f"{service.name}: no release {wanted}: nothing at {self._path_of(service, version)}, "
            f"and nothing staged. There is: {self._existing(service)}"
        )

    def available(self, service: Service) -> tuple[str, ...]:
        before, _, after = service.artifact.partition("{version}")
        start, end = (os.path.join(self._folder, before), after)
        paths = glob.glob(f"{glob.escape(start)}*{glob.escape(end)}")
        names = {path[len(start) : len(path) - len(end)] for path in paths}
        return tuple(sorted(name for name in names if VERSION.fullmatch(name)))

    def _existing(self, service: Service) -> str:
        """The versions that could have been asked for, the highest first, bounded."""
        names = set(self.available(service))
        names |= {f"{release.label} (staged)" for release in self._shelf.staged(service.name)}
        ordered = sorted(names, key=_numbers, reverse=True)
        more = f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else ""
        return ", ".join(ordered[:SHOWN]) + more if ordered else "none yet"


def _numbers(name: str) -> list[tuple[int, str]]:
    """Numbers count as numbers: 10 comes after 9."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _release(service: Service, version: str, path: str) -> Release:
    return Release(version, release_digest(archive.digest(path), service.recipe))


def _check_version(service: Service, version: str) -> None:
    if not VERSION.fullmatch(version):
        raise Refused(
            f"{service.name}: {printable(version)!r} is no version: letters, digits and . _ + - "
            "(a path has a slash: ./build)"
        )
