"""The shelf: releases as they lie on this machine, and which of them each color points at.

    releases/<service>/<version>@<digest>/files/        what the artifact held
    releases/<service>/<version>@<digest>/staged.json   the service as the site described it then
    releases/<service>/.new-<pid>-<started>-…           half staged, or half deleted: never seen
    pointers/<service>/<color>                          the release, as JSON

The one rule: what can be seen is whole. A release appears by one rename and goes by one; a pointer
changes by one. It takes no fence (whoever calls does) and refuses to know what runs.
"""

from __future__ import annotations

import json
import os
import re
import secrets as chance
import shutil
from collections.abc import Iterator

from orchestrator.adapters.local.keeper import living
from orchestrator.core.model import Color, Release, Service
from orchestrator.ports.trouble import Refused
from orchestrator.releases import description, disk

VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}")
DIGEST = re.compile(r"[0-9a-f]{8,64}")

_NEW = re.compile(r"\.new-(\d+)-(\d+)-[0-9a-f]+")


class Shelf:
    def __init__(self, state: str) -> None:
        self._releases = os.path.join(state, "releases")
        self._pointers = os.path.join(state, "pointers")

    # -- Releases ----------------------------------------------------------------------------

    def staged(self, service: str) -> frozenset[Release]:
        try:
            names = os.listdir(self._of(service))
        except FileNotFoundError:
            return frozenset()
        return frozenset(_release(name) for name in names if not name.startswith("."))

    def has(self, service: str, release: Release) -> bool:
        return os.path.isdir(self._at(service, release))

    def files(self, service: str, release: Release) -> str:
        """The working folder of whatever runs this release."""
        return os.path.join(self._at(service, release), "files")

    def described(self, service: str, release: Release) -> Service | None:
        path = os.path.join(self._at(service, release), "staged.json")
        text = disk.read(path)
        return None if text is None else description.read(text, path)

    def describe(self, service: Service, release: Release) -> None:
        """Write down the service as it is described now, beside the release, where it changed."""
        self._describe(service, self._at(service.name, release))

    def new(self, service: str) -> str:
        """A folder that nobody sees, beside the releases of the service."""
        above = self._of(service)
        disk.make_folder(above)
        folder = os.path.join(above, f".new-{_mark()}-{chance.token_hex(4)}")
        os.mkdir(folder, 0o700)
        return folder

    def put(self, service: Service, release: Release, folder: str, files: str) -> None:
        """Make `folder` (from `new`) the release. Its files, synced, lie at `files` below it."""
        os.rename(files, os.path.join(folder, "files"))
        shutil.rmtree(os.path.join(folder, "unpacked"), ignore_errors=True)
        self._describe(service, folder)
        disk.sync_folder(folder)
        at = self._at(service.name, release)
        os.rename(folder, at)
        disk.sync_folder(os.path.dirname(at))

    def take(self, service: str, release: Release) -> str | None:
        """Make the release vanish; what is left of it is to be deleted. None: it was not there."""
        at = self._at(service, release)
        gone = os.path.join(os.path.dirname(at), f".new-{_mark()}-{chance.token_hex(4)}")
        try:
            os.rename(at, gone)
        except FileNotFoundError:
            return None
        disk.sync_folder(os.path.dirname(at))
        return gone

    def delete(self, folder: str) -> None:
        """Delete what nobody sees, and the folder of the service when it was the last."""
        shutil.rmtree(folder, ignore_errors=True)
        try:
            os.rmdir(os.path.dirname(folder))
        except OSError:
            pass

    def leftovers(self, service: str) -> Iterator[str]:
        """What was half staged or half deleted by somebody who is gone."""
        above = self._of(service)
        for name in os.listdir(above) if os.path.isdir(above) else ():
            maker = _NEW.fullmatch(name)
            if maker and not living.alive(int(maker[1]), int(maker[2])):
                yield os.path.join(above, name)

    # -- Pointers ----------------------------------------------------------------------------

    def pointed(self, service: str, color: Color) -> Release | None:
        text = disk.read(self._pointer(service, color))
        return None if text is None else from_tag(text.decode())

    def point(self, service: str, color: Color, release: Release | None) -> None:
        path = self._pointer(service, color)
        if self.pointed(service, color) == release:
            return
        if release is None:
            disk.delete(path)
            return
        disk.make_folder(os.path.dirname(path))
        disk.write(path, tag(release).encode())

    # -- Where -------------------------------------------------------------------------------

    def _at(self, service: str, release: Release) -> str:
        if not VERSION.fullmatch(release.version) or not DIGEST.fullmatch(release.digest):
            raise Refused(f"{release.version!r} is no version: letters, digits and . _ + - only")
        return os.path.join(self._of(service), f"{release.version}@{release.digest}")

    def _of(self, service: str) -> str:
        if not VERSION.fullmatch(service):
            raise Refused(f"{service!r} is no name of a service: letters, digits and . _ + - only")
        return os.path.join(self._releases, service)

    def _pointer(self, service: str, color: Color) -> str:
        return os.path.join(self._pointers, service, color.value)

    def _describe(self, service: Service, folder: str) -> None:
        data = description.text_of(service).encode()
        path = os.path.join(folder, "staged.json")
        if disk.read(path) != data:
            disk.write(path, data)


def tag(release: Release) -> str:
    """A release as one line: in pointers, and as the tag of a process."""
    return json.dumps({"version": release.version, "digest": release.digest})


def from_tag(text: str) -> Release | None:
    """None where it is none of ours."""
    try:
        data = json.loads(text)
        return Release(str(data["version"]), str(data["digest"]))
    except (ValueError, KeyError, TypeError):
        return None


def _release(folder: str) -> Release:
    version, _, digest = folder.rpartition("@")
    return Release(version, digest)


def _mark() -> str:
    me = living.process(os.getpid())
    return f"{os.getpid()}-{me.started if me else 0}"
