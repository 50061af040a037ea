"""Bytes that are arriving: one file per digest, appended to, whole or not.

What is here is nothing yet: it becomes a release by `commit`, or it is cleared away a day later.
The one rule: whatever is cut off, the bytes that were synced are a beginning of the right file, or
the digest says that they are not.
"""

from __future__ import annotations

import hashlib
import os
import time

from bg_agent import disk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from bg_agent.places import Root

OLD_S = 24 * 3600
CHUNK = 1024 * 1024


class Incoming:
    def __init__(self, root: Root) -> None:
        self._folder = root.incoming

    def path(self, packed: str) -> str:
        return os.path.join(self._folder, packed + ".part")

    def lock(self, packed: str) -> str:
        return os.path.join(self._folder, packed + ".lock")

    def make(self) -> None:
        disk.make_folder(os.path.dirname(self._folder), 0o755)
        disk.make_folder(self._folder, 0o700)

    def keep(self, packed: str, data: bytes) -> None:
        """All of them at once; an upload that still hangs there writes into nothing any more."""
        self.make()
        disk.write(self.path(packed), data)

    def have(self, packed: str) -> int:
        try:
            return os.stat(self.path(packed)).st_size
        except FileNotFoundError:
            return 0

    def digest(self, packed: str, tell: Callable[[int], None]) -> str:
        """Of the bytes that are here. Raises FileNotFoundError."""
        whole, done = hashlib.sha256(), 0
        with open(self.path(packed), "rb") as file:
            while True:
                data = file.read(CHUNK)
                if not data:
                    return whole.hexdigest()
                whole.update(data)
                done += len(data)
                tell(done)

    def delete(self, packed: str) -> None:
        for path in (self.path(packed), self.lock(packed)):
            disk.delete(path)

    def clear_old(self) -> None:
        """What nobody asked for during a day."""
        before = time.time() - OLD_S
        for name in os.listdir(self._folder) if os.path.isdir(self._folder) else ():
            path = os.path.join(self._folder, name)
            try:
                if os.lstat(path).st_mtime < before:
                    os.unlink(path)
            except OSError:
                pass
