"""Bringing instances of a color up, as systemd units.

In one section, in this order: secrets, the color's symlink, the unit, then enable and start. Cut
off anywhere, nothing wrong runs: a unit starts only the release it was written for, and only where
its color points at it. Doing it again makes it whole.

The one rule: what runs already is left alone, and what runs another release refuses the whole.
"""

from __future__ import annotations

import os
import time

from bg_agent import commands, disk, host, listeners, running, units
from bg_agent.asked import shown
from bg_agent.instances import Colors, name_of, written_for
from bg_agent.shelf import Shelf
from bg_agent.trouble import Refused, Unsure
from bg_agent.verbs.hello import NO_LINGERING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from bg_agent.asked import Release
    from bg_agent.epoch import Fence
    from bg_agent.ledger import Ledger
    from bg_agent.places import Root
    from bg_agent.systemd import Systemd, UnitSeen
    from bg_agent.units import Launch

EXECUTED_S = 5.0
POLL_S = 0.01, 0.05  # it grows from the first to the second
CREDENTIALS_SINCE = 247


def start(root: Root, fence: Fence, launch: Launch, systemd: Systemd) -> list[dict[str, Any]]:
    """The instances as they are then."""
    one = (launch.service, launch.color)
    version = _prepare(root, launch, systemd)
    colors = Colors(root, systemd, [one])
    with fence.holding() as ledger:
        if not Shelf(root).has(launch.service, launch.release):
            raise Refused("%s %s is not staged here" % (launch.service, launch.release.label))
        colors.look(ledger, {one: [asked.index for asked in launch.instances]})
        starts = colors.number(ledger, durably=True)
        releases = {index: colors.release(one, index, starts) for index in colors.units(one)}
        _refuse_others(root, launch, colors.units(one), releases)
        _check_ports(root, launch, colors.units(one))
        _note(ledger, launch)
        _lay_down(root, launch, version)
        _set_up(root, launch, systemd, colors.units(one))
    _await(root, launch, systemd)
    with fence.holding() as ledger:
        colors.look(ledger)
        starts = colors.number(ledger, durably=True)
        return colors.seen(one, starts, host.boot())


# -- What can be known before --------------------------------------------------------------


def _prepare(root: Root, launch: Launch, systemd: Systemd) -> int:
    """The version of systemd; the program is found, and who it runs as."""
    if root.host.how == "user" and not host.lingers():
        raise Refused(NO_LINGERING)
    if root.host.how == "sudo" and not launch.user:
        launch.user = host.user()
    files = Shelf(root).files(launch.service, launch.release)
    given = launch.instances[0]
    launch.program = program(given.argv[0], given.env, files, root.current(*_color(launch)))
    version = systemd.version()
    if launch.credentials and version < CREDENTIALS_SINCE:
        why = "credentials need systemd %d, this host has %d"
        raise Refused(why % (CREDENTIALS_SINCE, version))
    return version


def program(name: str, env: dict[str, str], files: str, current: str) -> str:
    """The absolute path that is executed. Refused where there is no such program."""
    if "/" not in name:
        for folder in (env.get("PATH") or running.PATH).split(":"):
            path = os.path.join(folder, name)
            if folder.startswith("/") and _executable(path):
                return path
        raise Refused("there is no program %s on this host" % shown(name))
    there = os.path.normpath(os.path.join(files, name))  # an absolute name stands for itself
    if not os.path.isabs(name) and not there.startswith(files + "/"):
        raise Refused("%s leads out of the release" % shown(name), "bad-request")
    if not _executable(there):
        raise Refused("%s is no program that can be executed" % shown(name))
    return there if os.path.isabs(name) else current + "/files/" + there[len(files) + 1 :]


def _executable(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


# -- In the section: what stands in the way ------------------------------------------------


def _refuse_others(
    root: Root, launch: Launch, seen: dict[int, UnitSeen], releases: dict[int, Release | None]
) -> None:
    path = root.unit_file(*_color(launch))
    there = written_for(root, _color(launch))
    if os.path.islink(path) and os.path.realpath(path) == os.devnull:
        raise Refused("%s is masked; `systemctl unmask` it" % os.path.basename(path), "masked")
    if there is None and os.path.lexists(path):
        raise Refused("%s is there and was not written by this site" % path, "taken")
    for index, unit in seen.items():
        name = root.unit(*_color(launch), index)
        if unit.masked:
            raise Refused("%s is masked; `systemctl unmask %s`" % (name, name), "masked")
        if unit.kept and releases[index] != launch.release:
            other = releases[index]
            label = other.label if other else "something else"
            raise Refused("%s runs %s, not %s; stop it first" % (name, label, launch.release.label))


def _check_ports(root: Root, launch: Launch, seen: dict[int, UnitSeen]) -> None:
    """A stranger on the port would be probed, and perhaps served, in place of ours."""
    wanted = {one.port: one for one in launch.instances if one.port and not seen[one.index].running}
    taken = listeners.on_ports(wanted)
    for port, one in wanted.items():
        name = root.unit(*_color(launch), one.index)
        for listener in taken[port]:
            if listener.unit != name:
                words = (port, name, listener)
                why = "port %d of %s is taken by %s; nothing was started"
                raise Refused(why % words, "taken")


# -- In the section: the effect ------------------------------------------------------------


def _note(ledger: Ledger, launch: Launch) -> None:
    """That these were ever started is known before they are."""
    names = [name_of(*_color(launch), one.index) for one in launch.instances]
    new: dict[str, dict[str, Any]] = {name: {} for name in names if name not in ledger.starts}
    if new:
        ledger.write(starts=dict(ledger.starts, **new))


def _lay_down(root: Root, launch: Launch, version: int) -> None:
    """Secrets and symlink. Instances that run keep theirs: they are read at a restart."""
    color = _color(launch)
    private = os.path.join(root.private(*color), launch.release.digest)
    disk.make_folder(os.path.dirname(root.releases(launch.service)), 0o755)
    disk.make_folder(os.path.join(root.at, "private"))
    disk.make_folder(private)
    for one in launch.instances:
        text = units.environment_text(launch, one)
        disk.write_if_other("%s/%d.env" % (private, one.index), text.encode())
    for name, data in launch.credentials.items():
        disk.make_folder(private + "/credentials")
        disk.write_if_other("%s/credentials/%s" % (private, name), data)
    Shelf(root).point(launch.service, launch.color, launch.release)
    path = root.unit_file(*color)
    disk.make_folder(os.path.dirname(path), 0o755)
    disk.write_if_other(path, units.unit_text(root, launch, version).encode(), disk.READABLE)


def _set_up(root: Root, launch: Launch, systemd: Systemd, before: dict[int, UnitSeen]) -> None:
    """systemd is told: it reads the unit, enables and starts what does not run."""
    how, color = systemd.how, _color(launch)
    if how == "sudo" and any(unit["LoadState"] == "not-found" for unit in before.values()):
        systemd.do(commands.link(how, root.unit_file(*color)))
    wanted = {one.index: root.unit(*color, one.index) for one in launch.instances}
    systemd.do(commands.enable(how, [*wanted.values()]))
    systemd.do(commands.reload(how))
    missing = [name for index, name in wanted.items() if not before[index].running]
    dead = [name for index, name in wanted.items() if before[index]["ActiveState"] == "failed"]
    if dead:
        systemd.try_to(commands.reset_failed(how, dead))
    if missing:
        systemd.do(commands.start(how, missing))


def _await(root: Root, launch: Launch, systemd: Systemd) -> None:
    """Until each was executed, or its failure to be can be seen; bounded, and no more than that."""
    names = [root.unit(*_color(launch), one.index) for one in launch.instances]
    until, pause_s = time.monotonic() + EXECUTED_S, POLL_S[0]
    while time.monotonic() < until:
        try:
            if all(unit.settled(launch.notify) for unit in systemd.show(names).values()):
                return
        except Unsure:
            pass  # it is looked at once more afterwards
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, POLL_S[1])


def _color(launch: Launch) -> tuple[str, str]:
    return launch.service, launch.color
