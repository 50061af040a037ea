"""Facts of the host itself: its boot, its clock, who we are on it.

The one rule: cheap, for the first answer waits for it.
"""

from __future__ import annotations

import os


def boot() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read(64).strip()
    except OSError:
        return ""


def user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return "uid %d" % os.geteuid()


def lingers() -> bool:
    """Whether the systemd of this user stays when its last session ends."""
    return os.geteuid() == 0 or os.path.exists("/var/lib/systemd/linger/" + user())
