"""`hello`: who is speaking, on what host. Answered always, also by a host told gone.

The one rule: without `closely` it runs nothing and imports next to nothing.
"""

from __future__ import annotations

import os
import sys
import time

import bg_agent
from bg_agent import disk, host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from bg_agent.places import Host


def hello(request: dict[str, Any], here: Host) -> dict[str, Any]:
    found = {
        "version": bg_agent.VERSION,
        "protocol": bg_agent.PROTOCOL,
        "hash": bg_agent.CONTENT,
        "python": "%d.%d.%d" % sys.version_info[:3],
        "user": host.user(),
        "uid": os.geteuid(),
        "how": here.how,
        "base": here.base,
        "boot": host.boot(),
        "clock_s": round(time.time(), 3),
        "free": _free(here.base),
    }
    if request.get("site") is not None:
        found.update(_of_site(request, here))
    if request.get("closely"):
        found.update(_closely(here))
    return found


def _free(base: str) -> int | None:
    try:
        return disk.free(base)
    except OSError:
        return None


def _of_site(request: dict[str, Any], here: Host) -> dict[str, Any]:
    from bg_agent.asked import Asked
    from bg_agent.ledger import Ledger

    root = here.site(Asked(request).name("site"))
    ledger = Ledger(root.ledger)
    return {
        "root": root.at,
        "journal": ledger.journal or None,
        "youngest": ledger.youngest,
        "gone": ledger.gone,
    }


def _closely(here: Host) -> dict[str, Any]:
    from bg_agent import running, systemd
    from bg_agent.trouble import Refused

    trouble = systemd.trouble(here.how)
    lingers = host.lingers()
    if trouble is None and here.how == "user" and not lingers:
        trouble = NO_LINGERING
    try:
        sudo = running.run(["sudo", "-n", "systemctl", "--version"], running.How(5.0)).code == 0
    except Refused:
        sudo = False
    try:
        version = systemd.Systemd(here.how).version()
    except Refused:
        version = 0
    return {
        "systemd": version or None,
        "answers": trouble is None or trouble is NO_LINGERING,
        "lingers": lingers,
        "sudo": sudo,
        "trouble": trouble,
    }


NO_LINGERING = (
    "programs of this user would end with its session; `loginctl enable-linger` lets them stay"
)
