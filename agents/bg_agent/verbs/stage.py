"""`offer`, `commit`, `remove`: how a release gets onto this host and off it again.

Bytes arrive by a session of their own, `put`; few of them come with `commit`. Long work (unpacking)
is done outside the fence into a folder that nobody sees, and the rename inside, checked again.

The one rule: nothing half staged is ever visible, and what is visible was checked to the digest.
"""

from __future__ import annotations

import hashlib
import os
import shutil

from bg_agent import archive, disk
from bg_agent.asked import Release, bad
from bg_agent.incoming import Incoming
from bg_agent.instances import Colors
from bg_agent.places import COLORS
from bg_agent.shelf import Shelf
from bg_agent.systemd import Systemd
from bg_agent.trouble import Refused, of_system
from bg_agent.verbs.look import DESCRIPTION_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from bg_agent.call import Call
    from bg_agent.ledger import Ledger

SIZE_MAX = 4 * 1024**3
DATA_MAX = 768 * 1024  # letters of base64, so that the whole request fits into its line
SPARE = 16 * 1024**2  # bytes that shall stay free
NO_WAY = "%s cannot be staged here"


def offer(call: Call) -> dict[str, Any]:
    service, release = call.asked.name("service"), call.asked.release()
    packed, size = call.asked.sha256("packed"), call.asked.number("size", SIZE_MAX)
    unpacked = call.asked.number("unpacked", SIZE_MAX, default=size)
    incoming, shelf = Incoming(call.root), Shelf(call.root)
    with call.fence.holding():
        incoming.clear_old()
        for leftover in shelf.leftovers(service):
            shelf.delete(leftover)
        staged, have = shelf.has(service, release), incoming.have(packed)
        need = 0 if staged else max(size - have, 0) + unpacked
        free = disk.free(call.root.at)
        if need and need + SPARE > free:
            words = (release.label, need + SPARE, free, disk.nearest(call.root.at))
            why = "%s needs %d bytes, and %d are free at %s; make room, or keep fewer releases"
            raise Refused(why % words, "no-room")
        if not staged:
            incoming.make()
            os.utime(incoming.path(packed)) if have else None
    return {"staged": staged, "have": min(have, size), "free": free, "need": need}


# -- Commit --------------------------------------------------------------------------------


def commit(call: Call) -> dict[str, Any]:
    service, release = call.asked.name("service"), call.asked.release()
    description = call.asked.text("description", DESCRIPTION_MAX)
    shelf = Shelf(call.root)
    with call.fence.holding():
        if shelf.has(service, release):
            shelf.describe(service, release, description)
            _forget(call)
            return {"staged": True}
        if not call.asked.has("packed"):
            raise Refused("%s is not staged here, its bytes are needed" % release.label)
        folder = shelf.new(service)
    try:
        _keep_what_came_along(call)
        _unpack(call, release, folder)
        with call.fence.holding():
            if not shelf.has(service, release):
                shelf.put(service, release, folder, description)
            Incoming(call.root).delete(call.asked.sha256("packed"))
    except OSError as error:
        raise of_system(NO_WAY % release.label, error) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"staged": True}


def _forget(call: Call) -> None:
    if call.asked.has("packed"):
        Incoming(call.root).delete(call.asked.sha256("packed"))


def _keep_what_came_along(call: Call) -> None:
    """Few bytes come with the request itself: an upload of their own would cost more than they."""
    if not call.asked.has("data"):
        return
    import base64

    try:
        data = base64.b64decode(call.asked.text("data", DATA_MAX), validate=True)
    except ValueError:
        raise bad("data is not base64") from None
    Incoming(call.root).keep(call.asked.sha256("packed"), data)


def _unpack(call: Call, release: Release, folder: str) -> None:
    packed, size = call.asked.sha256("packed"), call.asked.number("size", SIZE_MAX)
    stem, content = call.asked.text("stem", 255), call.asked.sha256("content")
    how = call.asked.text("how", DESCRIPTION_MAX)
    whole = hashlib.sha256(("bg release 1\n%s\n%s" % (content, how)).encode()).hexdigest()
    if not whole.startswith(release.digest):
        raise bad("%s: artifact and recipe do not give its digest" % release.label)
    incoming = Incoming(call.root)
    _check_bytes(incoming, packed, size, call)
    found, files = archive.unpack(
        incoming.path(packed),
        os.path.join(folder, "unpacked"),
        stem,
        lambda done: call.tell("unpacking", done, 0),
    )
    if found != content:
        incoming.delete(packed)
        raise Refused("what arrived is not the content of %s" % release.label, "damaged")
    os.rename(files, os.path.join(folder, "files"))
    shutil.rmtree(os.path.join(folder, "unpacked"), ignore_errors=True)
    disk.sync_folder(folder)


def _check_bytes(incoming: Incoming, packed: str, size: int, call: Call) -> None:
    have = incoming.have(packed)
    if have != size:
        raise Refused("%d of %d bytes are here; send the rest" % (have, size))
    if incoming.digest(packed, lambda done: call.tell("checking", done, size)) != packed:
        incoming.delete(packed)
        raise Refused("what arrived has another digest; it was deleted, send it again", "damaged")


# -- Remove --------------------------------------------------------------------------------


def remove(call: Call) -> dict[str, Any]:
    service, release = call.asked.name("service"), call.asked.release()
    shelf = Shelf(call.root)
    with call.fence.holding() as ledger:
        gone = None
        if shelf.has(service, release):
            _refuse_used(call, ledger, service, release)
            gone = shelf.take(service, release)
    if gone is not None:
        shelf.delete(gone)
    return {"removed": gone is not None}


def _refuse_used(call: Call, ledger: Ledger, service: str, release: Release) -> None:
    for color in COLORS:
        if Shelf(call.root).current(service, color)[0] == release:
            why = "%s %s points at %s: it stays" % (color, service, release.label)
            raise Refused(why)
    pairs = [(service, color) for color in COLORS]
    colors = Colors(call.root, Systemd(call.host.how), pairs)
    colors.look(ledger)
    starts = colors.number(ledger, durably=True)
    for one in pairs:
        for index, unit in colors.units(one).items():
            if unit.kept and colors.release(one, index, starts) == release:
                name = call.root.unit(*one, index)
                raise Refused("%s runs %s: it stays" % (name, release.label))
