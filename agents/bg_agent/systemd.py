"""systemd on this host: what it says of units, and telling it what to do.

The one rule: what it answers to a command is not believed, only whether it took it; what is true is
what `show` says afterwards. A command it does not answer in time is `Unsure`.
"""

from __future__ import annotations

import re

from bg_agent import commands, running
from bg_agent.trouble import Refused, Unsure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

WITHIN_S = 15.0
ALIVE = ("active", "reloading", "activating", "deactivating")
NO_BUS = re.compile(r"(?i)failed to connect to|not been booted with systemd|no medium found")


class UnitSeen:
    """One unit, as `systemctl show` has it."""

    __slots__ = ("_said",)

    def __init__(self, said: dict[str, str]) -> None:
        self._said = said

    def __getitem__(self, name: str) -> str:
        return self._said.get(name, "")

    def number(self, name: str) -> int:
        text = self._said.get(name, "")
        return int(text) if text.isdigit() else 0

    @property
    def pid(self) -> int | None:
        return self.number("MainPID") or None

    @property
    def invocation(self) -> str:
        return self["InvocationID"]

    @property
    def masked(self) -> bool:
        return self["LoadState"] == "masked"

    @property
    def running(self) -> bool:
        return self.pid is not None

    @property
    def kept(self) -> bool:
        """Something is left of it, or would start it again."""
        return self.enabled or self["ActiveState"] in ALIVE or self.running

    @property
    def enabled(self) -> bool:
        return self["UnitFileState"] in ("enabled", "enabled-runtime")

    def settled(self, notify: bool) -> bool:
        """Executed, or its failure to be is there to see. One that says when it is ready may
        take its time for that.
        """
        if self["ActiveState"] == "activating":
            return (notify and self.running) or self["SubState"] == "auto-restart"
        return self["ActiveState"] != "inactive" or bool(self.invocation)

    @property
    def state(self) -> str:
        return "%s/%s" % (self["ActiveState"], self["SubState"])


class Systemd:
    """By one of the hands: root, user or sudo."""

    __slots__ = ("how",)

    def __init__(self, how: str) -> None:
        self.how = how

    def version(self) -> int:
        """254 and the like; 0: it does not say."""
        done = running.run(["systemctl", "--version"], running.How(WITHIN_S))
        found = re.match(rb"systemd (\d+)", done.out)
        return int(found[1]) if found else 0

    def show(self, units: Sequence[str], patterns: Sequence[str] = ()) -> dict[str, UnitSeen]:
        """Every one of the units by name, also those that are not there; and the loaded ones that
        fit a pattern.
        """
        if not units and not patterns:
            return {}
        out = self._ask(commands.show(self.how, [*units, *patterns]))
        seen = [_pairs(block) for block in out.strip("\n").split("\n\n")]
        found = {one["Id"]: UnitSeen(one) for one in seen if "Id" in one}
        missing = [unit for unit in units if unit not in found]
        if missing:
            raise Unsure("systemd said nothing of %s" % missing[0])
        return found

    def do(self, argv: Sequence[str]) -> None:
        """A command that has to be taken. Refused with what it said."""
        done = running.run(argv, running.How(WITHIN_S))
        if done.code is None:
            raise Unsure("%s did not answer within %g s" % (_named(argv), WITHIN_S))
        if done.code != 0:
            kind = "masked" if b"masked" in done.err else "other"
            raise Refused("%s: %s" % (_named(argv), _remedied(done.said, self.how)), kind)

    def try_to(self, argv: Sequence[str]) -> None:
        """A command that may find nothing to do."""
        done = running.run(argv, running.How(WITHIN_S))
        if done.code is None:
            raise Unsure("%s did not answer within %g s" % (_named(argv), WITHIN_S))

    def _ask(self, argv: Sequence[str]) -> str:
        done = running.run(argv, running.How(WITHIN_S, keep=4 * 1024 * 1024))
        if done.code != 0 or done.cut:
            said = "it did not answer in time" if done.code is None else done.said
            raise Unsure("systemd: %s" % _remedied(said, self.how))
        return done.out.decode("utf-8", "replace")


def trouble(how: str) -> str | None:
    """Why systemd does not answer in this way, in a sentence; None: it does."""
    try:
        done = running.run(commands.systemctl(how, "show-environment"), running.How(WITHIN_S))
    except Refused as error:
        return error.why
    if done.code == 0:
        return None
    return _remedied("no answer in time" if done.code is None else done.said, how)


def _remedied(said: str, how: str) -> str:
    if how == "sudo" and re.search(r"password|tty|sudoers|not allowed", said):
        return "%s; sudo has to let this user run systemctl without a password or tty" % said
    if how == "user" and NO_BUS.search(said):
        return "%s; `loginctl enable-linger` for this user makes its systemd stay" % said
    return said


def _named(argv: Sequence[str]) -> str:
    return " ".join([one for one in argv if not one.startswith("-")][:3])


def _pairs(block: str) -> dict[str, str]:
    pairs = [line.partition("=") for line in block.splitlines() if "=" in line]
    return {key: value for key, _, value in pairs}
