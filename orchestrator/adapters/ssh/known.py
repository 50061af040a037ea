"""Which host keys are known, and what to say of one that is not.

The user's own files count: `UserKnownHostsFile` and `GlobalKnownHostsFile` of their configuration,
else the usual ones; names may be hashed, keys revoked or those of an authority.

The one rule: there is no way to go on without a known key. A configuration that switches the check
off is refused, not followed.
"""

from __future__ import annotations

import os
from typing import Any

from orchestrator.ports.trouble import Refused


class WrongKey(Refused):
    """The host shows a key that cannot be believed."""


USUAL = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2", "/etc/ssh/ssh_known_hosts")


def files(configured: Any, host: str) -> list[str] | bytes:
    """What asyncssh takes: the files there are; nothing known where there are none. `Refused`."""
    if configured is None:
        raise Refused(
            f"{host}: your SSH configuration keeps no known hosts (UserKnownHostsFile none), and bg"
            " connects to no host whose key it cannot check; name a file there"
        )
    paths = [os.path.expanduser(path) for path in configured or USUAL]
    there = [path for path in paths if os.path.isfile(path) and os.access(path, os.R_OK)]
    return there or b""


def disproved(why: str, host: str, address: str, *, known: bool) -> WrongKey:
    """The refusal of a key, with what to do. `known`: another key of this host is known."""
    said = f"{host} ({address})"
    if "revoked" in why:
        return WrongKey(
            f"{said} shows a host key that is revoked in known_hosts; give it a new one"
        )
    if known:
        return WrongKey(
            f"{said} shows another host key than the one that is known: it was set up anew, or"
            f" somebody stands in between. Find out which; if it is right, `ssh-keygen -R"
            f" {address}` and `ssh {address}` once"
        )
    return WrongKey(
        f"{said} shows a host key that is not in known_hosts; compare it, and `ssh {address}` once"
    )
