"""Which host keys are known, and what to say of one that is not.

The user's own files count: `UserKnownHostsFile` and `GlobalKnownHostsFile` of their configuration,
else the usual ones; names may be hashed, keys revoked or those of an authority.

The one rule: there is no way to go on without a known key. A configuration that switches the check
off is refused, not followed.

A file is read once as long as it stays the same: reading a thousand keys anew for each of a
thousand hosts takes longer than connecting to them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from orchestrator.ports.trouble import Refused


class WrongKey(Refused):
    """The host shows a key that cannot be believed."""


USUAL = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2", "/etc/ssh/ssh_known_hosts")


class Known:
    """The known hosts of one process, read when they are first asked for."""

    def __init__(self) -> None:
        self._read: dict[tuple[tuple[str, int, int, int], ...], Any] = {}

    def keys(self, configured: Any, host: str) -> Any:
        """An `SSHKnownHosts`. `Refused`, or ValueError where a line makes no sense."""
        from asyncssh import read_known_hosts

        paths = files(configured, host)
        state = tuple(_state(path) for path in paths)
        if state not in self._read:
            self._read = {state: read_known_hosts(paths)}  # what it was before is of no use
        return self._read[state]


def files(configured: Any, host: str) -> Sequence[str]:
    """The files there are; none: no key is known. `Refused`."""
    if configured is None:
        raise Refused(
            f"{host}: your SSH configuration keeps no known hosts (UserKnownHostsFile none), and bg"
            " connects to no host whose key it cannot check; name a file there"
        )
    paths = [os.path.expanduser(path) for path in configured or USUAL]
    return [path for path in paths if os.path.isfile(path) and os.access(path, os.R_OK)]


def _state(path: str) -> tuple[str, int, int, int]:
    """Another one for other bytes: a key is trusted, or revoked, from the next connection on."""
    seen = os.stat(path)
    return path, seen.st_ino, seen.st_size, seen.st_mtime_ns


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
