"""Whether this machine can have hosts: it takes Debian, root, and a few programs.

`tools/hosts` brings the programs; nobody else can help.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

PROGRAMS = ("debootstrap", "systemd-nspawn", "ip", "nft", "nsenter", "ssh", "ssh-keygen")


def missing() -> str:
    """A sentence; empty: nothing is missing."""
    if not Path("/etc/debian_version").exists():
        return "real hosts need a Debian machine: their disk is made with debootstrap"
    if os.geteuid() != 0:
        return "real hosts need root: they are booted with systemd-nspawn"
    lacking = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"real hosts need {', '.join(lacking)}: run tools/hosts first" if lacking else ""
