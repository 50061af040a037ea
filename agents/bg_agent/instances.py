"""What runs: each instance's unit, as systemd has it, under the number of its start.

systemd names a start by an InvocationID, which says nothing of its place among others. So the
first look that meets a new one gives it the next number of its instance, in the ledger.

The one rule: a number belongs to one start for ever. The release of a start is that of the unit
file at that moment, which is only ever replaced while no instance of its color is there.
"""

from __future__ import annotations

import re
import signal

from bg_agent import disk, journal, units
from bg_agent.asked import Release
from bg_agent.shelf import Shelf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from bg_agent.ledger import Ledger
    from bg_agent.places import Root
    from bg_agent.systemd import Systemd, UnitSeen

TOLD_MAX = 16  # so many instances' last words are looked up in one look
RESULTS = {
    "timeout": "did not begin, or end, within its time",
    "watchdog": "was ended by its watchdog",
    "oom-kill": "was ended for want of memory",
    "resources": "could not be started: something of its unit is missing",
    "protocol": "did not say that it is ready",
    "start-limit-hit": "was started too often",
}


class Colors:
    """One look at all instances of some colors."""

    def __init__(self, root: Root, systemd: Systemd, colors: Iterable[tuple[str, str]]) -> None:
        self._root, self._systemd, self._colors = root, systemd, list(colors)
        self._units: dict[str, UnitSeen] = {}
        self._indexes: dict[tuple[str, str], list[int]] = {}
        self._lookups = TOLD_MAX

    def look(self, ledger: Ledger, more: dict[tuple[str, str], list[int]] | None = None) -> None:
        """Raises Unsure where systemd does not answer. `more`: indexes looked at as well."""
        known = {
            one: {*_ever_started(ledger, one), *(more or {}).get(one, ())} for one in self._colors
        }
        names = [self._root.unit(*one, index) for one in known for index in sorted(known[one])]
        patterns = [self._root.template(*one).replace("@.", "@*.") for one in self._colors]
        self._units = self._systemd.show(names, patterns)
        for one in self._colors:
            self._indexes[one] = sorted(known[one] | set(_loaded(self._root, one, self._units)))

    def number(self, ledger: Ledger, *, durably: bool) -> dict[str, dict[str, Any]]:
        """The starts of the ledger with those that are new; written down where `durably`."""
        starts, changed = dict(ledger.starts), False
        for one in self._colors:
            release: Release | None = None
            for index, unit in self.units(one).items():
                name = name_of(*one, index)
                before = starts.get(name, {})
                if not unit.invocation or before.get("invocation") == unit.invocation:
                    continue
                release = release or written_for(self._root, one)
                starts[name] = {
                    "invocation": unit.invocation,
                    "start": int(before.get("start", 0)) + 1,
                    "release": release.plain() if release else None,
                }
                changed = True
        if changed and durably:
            ledger.write(starts=starts)
        return starts

    def units(self, one: tuple[str, str]) -> dict[int, UnitSeen]:
        return {index: self._units[self._root.unit(*one, index)] for index in self._indexes[one]}

    def release(
        self, one: tuple[str, str], index: int, starts: dict[str, dict[str, Any]]
    ) -> Release | None:
        """What an instance runs, or would run when it is started again."""
        start, unit = starts.get(name_of(*one, index), {}), self.units(one)[index]
        if unit.running and start.get("invocation") == unit.invocation and start.get("release"):
            return Release(**start["release"])
        return written_for(self._root, one)

    def seen(
        self, one: tuple[str, str], starts: dict[str, dict[str, Any]], boot: str
    ) -> list[dict[str, Any]]:
        """The instances that were ever started, as the protocol has them."""
        return [
            self._plain(one, index, unit, starts.get(name_of(*one, index), {}), boot)
            for index, unit in self.units(one).items()
            if name_of(*one, index) in starts or unit.kept
        ]

    def _plain(
        self, one: tuple[str, str], index: int, unit: UnitSeen, start: dict[str, Any], boot: str
    ) -> dict[str, Any]:
        pid, number = unit.pid, int(start.get("start", 0))
        words = (pid or unit.number("ExecMainPID"), unit.invocation[:8], boot[:4])
        ended = self._ended(one, index, unit, number)
        return {
            "index": index,
            "release": start.get("release"),
            "running": unit.running,
            "kept": unit.kept,
            "start": number,
            "identity": "pid %d, invocation %s, of boot %s" % words if unit.invocation else "",
            "pid": pid,
            "state": unit.state,
            "note": in_one_line(ended),
            "ended": ended,
        }

    # -- How it ended ------------------------------------------------------------------------

    def _ended(
        self, one: tuple[str, str], index: int, unit: UnitSeen, number: int
    ) -> dict[str, Any] | None:
        """The latest end; None: it never did, as far as systemd and its journal remember."""
        again = unit.number("NRestarts") > 0
        waits = unit.enabled and unit["ActiveState"] == "inactive" and not unit.invocation
        if waits and Shelf(self._root).current(*one)[0] != written_for(self._root, one):
            how = "will not be started again: its color points at another release"
            return {"start": number, "how": how, "lived_s": None, "words": []}
        if not unit.invocation or (unit.running and not again):
            return None
        beginning = unit["ActiveState"] == "activating" and unit["SubState"] != "auto-restart"
        if not unit.running and beginning and not again:
            return None
        return self._told(one, index, unit, number)

    def _told(
        self, one: tuple[str, str], index: int, unit: UnitSeen, number: int
    ) -> dict[str, Any] | None:
        told = journal.Told([])
        if self._lookups > 0:
            self._lookups -= 1
            told = journal.told(self._systemd.how, self._root.unit(*one, index))
        if not unit.running:
            how = _how(unit)
            words = told.words(unit.invocation)
            return {"start": number, "how": how, "lived_s": _lived_s(unit), "words": words}
        before = told.last_but(unit.invocation)
        how, words = told.how(before), told.words(before)
        return {"start": max(number - 1, 0), "how": how, "lived_s": None, "words": words}


def written_for(root: Root, one: tuple[str, str]) -> Release | None:
    """The release that the unit file of a color was written for; None: it is none of ours."""
    data = disk.read(root.unit_file(*one))
    if data is None:
        return None
    whose = units.whose(data.decode("utf-8", "replace"))
    ours = (whose.get("Site"), whose.get("Service"), whose.get("Color")) == (root.site, *one)
    return Release.from_folder(whose.get("Release", "")) if ours else None


def name_of(service: str, color: str, index: int) -> str:
    return "%s/%s/%d" % (service, color, index)


def in_one_line(ended: dict[str, Any] | None) -> str:
    if ended is None:
        return ""
    line = "start %d %s" % (ended["start"], ended["how"])
    if ended["lived_s"] is not None:
        line += " after %.1f s" % ended["lived_s"]
    if ended["words"]:
        line += "; last words: " + " / ".join(ended["words"][-3:])
    return line


def _how(unit: UnitSeen) -> str:
    code, status, result = unit.number("ExecMainCode"), unit["ExecMainStatus"], unit["Result"]
    if result in RESULTS:
        return RESULTS[result]
    if code == 1:
        why = {"203": " (it cannot be executed)", "226": " (its sandbox cannot be made)"}
        return "ended with exit code %s%s" % (status, why.get(status, ""))
    if code in (2, 3) and status.isdigit():
        try:
            return "was ended by %s" % signal.Signals(int(status)).name
        except ValueError:
            return "was ended by signal %s" % status
    return "ended (%s)" % result if result not in ("", "success") else "ended"


def _lived_s(unit: UnitSeen) -> float | None:
    begun = unit.number("ExecMainStartTimestampMonotonic")
    ended = unit.number("ExecMainExitTimestampMonotonic")
    return round((ended - begun) / 1e6, 3) if ended > begun > 0 else None


def _ever_started(ledger: Ledger, one: tuple[str, str]) -> list[int]:
    above = "%s/%s/" % one
    return [int(name[len(above) :]) for name in ledger.starts if name.startswith(above)]


def _loaded(root: Root, one: tuple[str, str], listed: Iterable[str]) -> list[int]:
    before, _, after = root.template(*one).partition("@")
    pattern = re.compile(re.escape(before + "@") + r"(\d{1,4})" + re.escape(after))
    return [int(found[1]) for found in map(pattern.fullmatch, listed) if found]
