"""Releases on this host, and what each color points at.

The one rule: what can be seen is whole. A release appears by one rename and goes by one; a color
moves by one. It takes no fence (whoever calls does) and refuses to know what runs.
"""

from __future__ import annotations

import os
import re

from bg_agent import disk, lock, units
from bg_agent.asked import Release, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from bg_agent.places import Root

_NEW = re.compile(r"\.new-(\d+)-(\d+)-[0-9a-f]+")


class Shelf:
    def __init__(self, root: Root) -> None:
        self._root = root

    def staged(self, service: str) -> list[Release]:
        try:
            names = sorted(os.listdir(self._root.releases(service)))
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [one for one in map(Release.from_folder, names) if one is not None]

    def at(self, service: str, release: Release) -> str:
        return os.path.join(self._root.releases(service), release.folder)

    def has(self, service: str, release: Release) -> bool:
        return os.path.isdir(self.at(service, release))

    def files(self, service: str, release: Release) -> str:
        return os.path.join(self.at(service, release), "files")

    def described(self, service: str, release: Release) -> str | None:
        data = disk.read(os.path.join(self.at(service, release), "staged.json"))
        return None if data is None else data.decode("utf-8", "replace")

    def describe(self, service: str, release: Release, description: str) -> None:
        path = os.path.join(self.at(service, release), "staged.json")
        disk.write_if_other(path, description.encode())

    def new(self, service: str) -> str:
        """A folder that nobody sees, beside the releases of the service."""
        above = self._root.releases(service)
        disk.make_folder(above, 0o755)
        folder = self._hidden(service)
        os.mkdir(folder, 0o755)
        return folder

    def _hidden(self, service: str) -> str:
        words = (os.getpid(), lock.started(os.getpid()), os.urandom(4).hex())
        return os.path.join(self._root.releases(service), ".new-%d-%d-%s" % words)

    def put(self, service: str, release: Release, folder: str, description: str) -> None:
        """Make `folder` (from `new`, with `files` in it, synced) the release."""
        disk.write(os.path.join(folder, "staged.json"), description.encode())
        disk.write(os.path.join(folder, units.mark(release)), b"", disk.READABLE)
        os.chmod(folder, 0o755)  # noqa: S103 - programs of other users run what lies there
        at = self.at(service, release)
        os.rename(folder, at)
        disk.sync_folder(os.path.dirname(at))

    def take(self, service: str, release: Release) -> str | None:
        """Make the release vanish; what is left of it is to be deleted. None: it was not there."""
        if not self.has(service, release):
            return None
        gone = self._hidden(service)
        os.rename(self.at(service, release), gone)
        disk.sync_folder(self._root.releases(service))
        return gone

    def delete(self, folder: str) -> None:
        """Delete what nobody sees, and the folder of the service when it was the last."""
        import shutil  # here and not above: it loads every kind of compression

        shutil.rmtree(folder, ignore_errors=True)
        try:
            os.rmdir(os.path.dirname(folder))
        except OSError:
            pass

    def leftovers(self, service: str) -> Iterator[str]:
        """What was half staged or half deleted by somebody who is gone."""
        above = self._root.releases(service)
        for name in os.listdir(above) if os.path.isdir(above) else ():
            maker = _NEW.fullmatch(name)
            if maker and lock.started(int(maker[1])) != int(maker[2]):
                yield os.path.join(above, name)

    # -- Colors ------------------------------------------------------------------------------

    def current(self, service: str, color: str) -> tuple[Release | None, str]:
        """The release the color points at, and a remark where it is none of ours."""
        path = self._root.current(service, color)
        try:
            target = os.readlink(path)
        except FileNotFoundError:
            return None, ""
        except OSError:
            return None, "%s is no symlink; somebody changed it by hand" % path
        release = Release.from_folder(os.path.basename(target))
        if release is None or target != self._target(service, release):
            return None, "%s points at %s; somebody changed it by hand" % (path, shown(target))
        missing = "" if self.has(service, release) else "%s points at nothing" % path
        return release, missing

    def point(self, service: str, color: str, release: Release | None) -> None:
        path = self._root.current(service, color)
        if release is None:
            disk.delete(path)
            disk.remove_empty(os.path.dirname(path))
            return
        if self.current(service, color)[0] == release:
            return
        disk.make_folder(os.path.dirname(path), 0o755)
        disk.link(path, self._target(service, release))

    def _target(self, service: str, release: Release) -> str:
        """Relative, so that the base may be moved."""
        return "../../releases/%s/%s" % (service, release.folder)
