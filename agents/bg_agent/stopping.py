"""Taking instances of a color down, until nothing of them is left.

In a section they are disabled and told to stop; the waiting is done outside it. systemd sends
SIGKILL when their time is over; where that is not enough we send it once more, and then say so.

The one rule: only instances of the release that was named. What they needed to start (secrets, the
unit) goes when the last of them is gone, so nothing can come back by itself.
"""

from __future__ import annotations

import os
import shutil
import time

from bg_agent import commands, disk
from bg_agent.asked import Release
from bg_agent.instances import Colors, written_for
from bg_agent.trouble import Unsure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bg_agent.call import Call
    from bg_agent.systemd import Systemd, UnitSeen

GRACE_S = 5.0  # beyond the unit's own time to stop
KILLED_S = 10.0
POLL_S = 0.05


class Wanted:
    """Who shall stop."""

    __slots__ = ("color", "release", "stop_s")

    def __init__(self, color: tuple[str, str], release: Release, stop_s: float) -> None:
        self.color, self.release, self.stop_s = color, release, stop_s


def stop(call: Call, systemd: Systemd, wanted: Wanted) -> list[int]:
    """The indexes that were there and are gone. Raises Unsure where one does not end."""
    names: dict[int, str] = {}
    for hard, within_s in ((False, wanted.stop_s + GRACE_S), (True, KILLED_S)):
        with call.fence.holding() as ledger:
            colors = Colors(call.root, systemd, [wanted.color])
            colors.look(ledger)
            starts = colors.number(ledger, durably=True)  # also one that ends here unseen
            seen = colors.units(wanted.color)
            left = {
                index: call.root.unit(*wanted.color, index)
                for index, unit in seen.items()
                if unit.kept and colors.release(wanted.color, index, starts) == wanted.release
            }
            names.update(left)
            _tell_to_stop(systemd, left, seen, hard=hard)
        if _gone(call, systemd, [*left.values()], within_s):
            with call.fence.holding():
                _clear(call, systemd, wanted)
            return sorted(names)
    raise Unsure("%s does not end" % ", ".join(left.values()))


def _tell_to_stop(
    systemd: Systemd, names: dict[int, str], seen: dict[int, UnitSeen], *, hard: bool
) -> None:
    how = systemd.how
    enabled = [name for index, name in names.items() if seen[index].enabled]
    if enabled:
        systemd.do(commands.disable(how, enabled))
    if names:
        systemd.do(commands.stop(how, [*names.values()]))
        if hard:
            systemd.try_to(commands.kill(how, [*names.values()]))


def _gone(call: Call, systemd: Systemd, names: list[str], within_s: float) -> bool:
    until = time.monotonic() + within_s
    while True:
        left = [name for name, unit in systemd.show(names).items() if unit.kept]
        if not left:
            return True
        if time.monotonic() >= until:
            return False
        call.tell("stopping", len(names) - len(left), len(names))
        time.sleep(POLL_S)


def _clear(call: Call, systemd: Systemd, wanted: Wanted) -> None:
    """The unit, then the secrets; checked again, for somebody may have started it meanwhile."""
    root = call.root
    if written_for(root, wanted.color) == wanted.release:
        path = root.unit_file(*wanted.color)
        failed = os.path.basename(path).replace("@.", "@*.")
        systemd.try_to(commands.reset_failed(systemd.how, [failed]))
        if systemd.how == "sudo":
            systemd.try_to(commands.disable(systemd.how, [os.path.basename(path)]))
        disk.delete(path)
        systemd.do(commands.reload(systemd.how))
    private = root.private(*wanted.color)
    shutil.rmtree(os.path.join(private, wanted.release.digest), ignore_errors=True)
    for folder in (private, os.path.dirname(private)):
        disk.remove_empty(folder)
