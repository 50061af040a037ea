"""One upload: raw bytes on stdin, appended to what is here, synced, one line on stdout.

It runs in a session of its own, so that a long upload is in nobody's way. The one rule: it writes
only into the file that is named by the digest of the whole, from the offset that was asked for, and
never more than was announced.
"""

from __future__ import annotations

import os
import select
import signal
import time

from bg_agent import lock, wire
from bg_agent.asked import Asked, bad
from bg_agent.call import fence_of
from bg_agent.incoming import Incoming
from bg_agent.places import Host
from bg_agent.trouble import Refused, Trouble, of_system
from bg_agent.verbs.stage import SIZE_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bg_agent.epoch import Fence

READ = 1024 * 1024
IDLE_S = 60.0
SYNC_EVERY = 32 * READ
ENDED_S = 5.0


def put(options: dict[str, str]) -> int:
    """The exit code: 0 where all that came is on the disk."""
    try:
        have = _put(options)
    except Trouble as trouble:
        os.write(1, wire.encode(trouble.line()))
        return 1
    except OSError as error:
        os.write(1, wire.encode(of_system("receiving", error).line()))
        return 1
    os.write(1, wire.encode({"ok": {"have": have}}))
    return 0


def _put(options: dict[str, str]) -> int:
    numbers = ("epoch", "size", "offset")
    given = {key: _number(key, text) if key in numbers else text for key, text in options.items()}
    asked = Asked(given, "put")
    asked.only("site", "journal", "epoch", "packed", "size", "offset", "how", "base")
    root = Host(options.get("how", ""), options.get("base", "")).site(asked.name("site"))
    fence = fence_of(asked, root, effect=True)
    packed, size = asked.sha256("packed"), asked.number("size", SIZE_MAX)
    incoming = Incoming(root)
    with fence.holding():
        incoming.make()
    held = _alone(incoming.lock(packed), fence)
    try:
        return _receive(incoming.path(packed), asked.number("offset", size), size)
    finally:
        held.close()


def _number(key: str, text: str) -> int:
    if not text.isdigit() or len(text) > 18:
        raise bad("put: %s is no number" % key)
    return int(text)


def _alone(path: str, fence: Fence) -> lock.Held:
    """Whoever comes last sends; an upload that was cut may still hang there."""
    epoch = fence.epoch or 0
    held = lock.take(path, epoch, 0.2)
    if held is None:
        lock.end(*lock.holder(path)[:2], number=signal.SIGTERM)
        held = lock.take(path, epoch, ENDED_S)
    if held is None:
        raise Refused("another upload of the same bytes does not end", "busy")
    return held


def _receive(path: str, offset: int, size: int) -> int:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        here = os.fstat(file).st_size
        if offset > here:
            raise Refused("%d bytes are here, the offset is %d" % (here, offset), "bad-request")
        os.ftruncate(file, offset)
        os.lseek(file, offset, os.SEEK_SET)
        try:
            have = _copy(file, offset, size)
        finally:
            os.fsync(file)
    finally:
        os.close(file)
    return have


def _copy(file: int, have: int, size: int) -> int:
    synced, until = have, time.monotonic() + IDLE_S
    while have < size:
        if not select.select([0], [], [], max(until - time.monotonic(), 0))[0]:
            raise Refused("no bytes came for %g s; %d are here" % (IDLE_S, have))
        data = os.read(0, READ)
        if not data:
            return have
        if have + len(data) > size:
            raise bad("more bytes came than were announced")
        rest = memoryview(data)
        while rest:
            written = os.write(file, rest)
            rest, have = rest[written:], have + written
        if have - synced >= SYNC_EVERY:
            os.fsync(file)
            synced = have
        until = time.monotonic() + IDLE_S
    return have
