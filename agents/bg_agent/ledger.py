"""The ledger of a site on this host: what must not be forgotten, and must be writable when the disk
is full.

    journal     the identity of the journal the site belongs to; empty: nobody's yet
    youngest    the youngest epoch seen
    gone        why it was told gone; None: it was not
    starts      per instance (`web/blue/0`): its last start's number, InvocationID and release

It is one file of two places of fixed size, written in turn over what is the older of them, and
synced. So nothing new has to be found on the disk, and a writer that is killed in the middle leaves
the other place as it was. The one rule: the youngest place whose digest is right counts.
"""

from __future__ import annotations

import os

from bg_agent import disk, wire
from bg_agent.trouble import Refused, of_system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PLACE = 64 * 1024  # bytes of each of the two
HEAD = b"bg ledger 1"
EMPTY: dict[str, Any] = {"journal": "", "youngest": 0, "gone": None, "starts": {}}


class Ledger:
    """As read. `write` makes it durable; one writer at a time, the site's lock sees to that."""

    __slots__ = ("_number", "_path", "kept")

    def __init__(self, path: str) -> None:
        """Raises Refused (`damaged`) where neither place can be read."""
        self._path = path
        self._number, self.kept = _newest(path)

    @property
    def journal(self) -> str:
        return str(self.kept["journal"])

    @property
    def youngest(self) -> int:
        return int(self.kept["youngest"])

    @property
    def gone(self) -> str | None:
        why = self.kept["gone"]
        return None if why is None else str(why)

    @property
    def starts(self) -> dict[str, dict[str, Any]]:
        starts: dict[str, dict[str, Any]] = self.kept["starts"]
        return starts

    def write(self, **changes: Any) -> None:
        """Keep it with these changes, synced. Refused where it cannot be."""
        kept = dict(self.kept, **changes)
        data = _sealed(self._number + 1, kept)
        try:
            if self._number == 0:
                disk.make_folder(os.path.dirname(self._path), 0o755)
                disk.write(self._path, data + bytes(PLACE))
            else:
                _overwrite(self._path, PLACE * (self._number % 2), data)
        except OSError as error:
            raise of_system("the ledger of the site cannot be written", error) from None
        self._number, self.kept = self._number + 1, kept


def _newest(path: str) -> tuple[int, dict[str, Any]]:
    try:
        data = disk.read(path, 2 * PLACE)
    except OSError as error:
        raise of_system("the ledger of the site cannot be read", error) from None
    if data is None:
        return 0, dict(EMPTY, starts={})
    found = [one for one in map(_opened, (data[:PLACE], data[PLACE:])) if one is not None]
    if not found:
        raise Refused(
            "%s is damaged: nothing says whose this site is. Delete it, and adopt the site" % path,
            "damaged",
        )
    return max(found, key=lambda one: one[0])


def _sealed(number: int, kept: dict[str, Any]) -> bytes:
    text = wire.encode(kept)
    data = b"%s %d %d %s\n%s" % (HEAD, number, len(text), _digest(number, text), text)
    if len(data) > PLACE:
        raise Refused("the ledger of the site is full: too many instances on one host", "no-room")
    return data + bytes(PLACE - len(data))


def _opened(place: bytes) -> tuple[int, dict[str, Any]] | None:
    try:
        head, _, rest = place.partition(b"\n")
        number, length, digest = head[len(HEAD) :].split()
        text = rest[: int(length)]
        if not head.startswith(HEAD) or _digest(int(number), text) != digest:
            return None
        return int(number), dict(EMPTY, **wire.decode(text))
    except (ValueError, TypeError):
        return None


def _digest(number: int, text: bytes) -> bytes:
    digest: str = _sha256()(b"%d\n%s" % (number, text)).hexdigest()
    return digest.encode()


def _sha256() -> Callable[[bytes], Any]:
    """Python's own, which needs no OpenSSL: loading that takes longer than all else of a look."""
    for name in ("_sha256", "_sha2"):  # until Python 3.11, and since
        try:
            found: Callable[[bytes], Any] = __import__(name).sha256
        except ImportError:
            continue
        return found
    import hashlib

    return hashlib.sha256


def _overwrite(path: str, at: int, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.lseek(file, at, os.SEEK_SET)
        disk.write_all(file, data)
        os.fsync(file)
    finally:
        os.close(file)
