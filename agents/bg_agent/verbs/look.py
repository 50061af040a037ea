"""`look`, `described`, `log`: what lies here, what runs, what it said.

The one rule: what is said of a color was seen in one section, so it belongs together.
"""

from __future__ import annotations

import time

from bg_agent import host, journal
from bg_agent.instances import Colors, written_for
from bg_agent.places import COLORS
from bg_agent.shelf import Shelf
from bg_agent.systemd import Systemd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from bg_agent.call import Call
    from bg_agent.ledger import Ledger
    from bg_agent.places import Root

DESCRIPTION_MAX = 256 * 1024


def look(call: Call) -> dict[str, Any]:
    services = call.asked.names("services")
    with call.fence.holding() as ledger:
        colors = Colors(call.root, Systemd(call.host.how), _both(services))
        colors.look(ledger)
        starts = colors.number(ledger, durably=call.fence.epoch is not None)
        seen = [_service(call.root, service, colors, starts) for service in services]
        return dict(_head(ledger), services=seen)


def described(call: Call) -> dict[str, Any]:
    service, release = call.asked.name("service"), call.asked.release()
    with call.fence.holding():
        return {"description": Shelf(call.root).described(service, release)}


def log(call: Call) -> dict[str, Any]:
    service, color = call.asked.name("service"), call.asked.color()
    unit = call.root.unit(service, color, call.asked.number("index", 9999))
    lines = call.asked.number("lines", 1000, 1)
    with call.fence.holding():
        pass  # the log is nobody's effect: it is read outside
    return {"text": journal.log(call.host.how, unit, lines)}


def _head(ledger: Ledger) -> dict[str, Any]:
    return {
        "boot": host.boot(),
        "clock_s": round(time.time(), 3),
        "journal": ledger.journal or None,
        "youngest": ledger.youngest,
    }


def _both(services: list[str]) -> list[tuple[str, str]]:
    return [(service, color) for service in dict.fromkeys(services) for color in COLORS]


def _service(
    root: Root, service: str, colors: Colors, starts: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    shelf, boot = Shelf(root), host.boot()
    return {
        "service": service,
        "staged": [release.plain() for release in shelf.staged(service)],
        "colors": {
            color: _color(
                root, (service, color), colors.seen((service, color), starts, boot), colors
            )
            for color in COLORS
        },
    }


def _color(
    root: Root, one: tuple[str, str], instances: list[dict[str, Any]], colors: Colors
) -> dict[str, Any]:
    release, remark = Shelf(root).current(*one)
    units = colors.units(one)
    masked = [root.unit(*one, index) for index, unit in units.items() if unit.masked]
    if masked and not remark:
        remark = "%s is masked" % masked[0]
    if any(unit.kept for unit in units.values()) and written_for(root, one) is None and not remark:
        remark = "%s was not written by this site" % root.unit_file(*one)
    return {
        "current": release.plain() if release else None,
        "remark": remark or None,
        "instances": instances,
    }
