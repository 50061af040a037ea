"""What bg left on a host: files, units, agents, and every start that systemd wrote down.

The one rule: nothing here is asked of bg. Files are read where the host sees them, starts are
counted in the host's own log, by InvocationID.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from e2e.hosts import traces
from e2e.hosts.host import Host

PLACES = (
    "home/deploy",
    "etc/systemd/system",
    "etc/haproxy",
    "run/systemd/system",
    "tmp",
    "var/tmp",
)
STARTED = "MESSAGE_ID=39f53479d3a045ac8e11786248231fbf"  # systemd: a unit was started
PRIVATE = re.compile(r"(systemd-private-)\w+-(.*)-\w+$")  # a unit's own /tmp, named by chance
T = TypeVar("T")


def of_each(hosts: Iterable[Host], look: Callable[[Host], T]) -> dict[str, T]:
    """The same look at every host, side by side."""
    named = {host.name: host for host in hosts}
    with ThreadPoolExecutor(len(named)) as pool:
        return dict(zip(named, pool.map(look, named.values()), strict=True))


def files(host: Host) -> set[str]:
    """Every file, folder and link there, as the host sees them."""
    root = f"/proc/{host._leader}/root"
    found = set()
    for place in PLACES:
        for folder, folders, names in os.walk(f"{root}/{place}"):
            found |= {f"{folder}/{name}"[len(root) :] for name in (*folders, *names)}
            folders[:] = [name for name in folders if not PRIVATE.match(name)]
    return {PRIVATE.sub(r"\1\2", name) for name in found}


def units(host: Host) -> dict[str, str]:
    """bg's units that systemd knows, also those that failed: the state of each."""
    asked = ["systemctl", "list-units", "--all", "--plain", "--no-legend", "bg-*"]
    lines = (line.split() for line in host.run(asked).stdout.splitlines())
    return {line[0]: f"{line[2]}/{line[3]}" for line in lines if line}


def agents(host: Host) -> list[str]:
    """The command lines of agents that run there."""
    found = []
    for group in traces.groups(f"bgh{host.number}/{host.name}"):
        for file in group.rglob("cgroup.procs"):
            found += [_command_line(pid) for pid in file.read_text().split()]
    return [line for line in found if "/.cache/bg/" in line or "agent.pyz" in line]


def _command_line(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def starts(host: Host) -> Counter[str]:
    """How often each of bg's units was started since the host booted: unit -> InvocationIDs."""
    fields = "--output-fields=UNIT,INVOCATION_ID"
    asked = ["journalctl", "--quiet", "--output=json", fields, STARTED]
    lines = map(json.loads, host.run(asked).stdout.splitlines())
    ours = (one for one in lines if one.get("UNIT", "").startswith("bg-"))
    return Counter(unit for unit, _ in {(one["UNIT"], one["INVOCATION_ID"]) for one in ours})


def unpacked(host: Host, base: str) -> dict[str, tuple[int, int]]:
    """The releases below `base`, each with what tells it from one unpacked a second time."""
    root = Path(f"/proc/{host._leader}/root")
    marks = (root / base.lstrip("/")).glob("*/.release-*")
    found = {mark.parent.name: mark.stat() for mark in marks}
    return {name: (seen.st_ino, seen.st_mtime_ns) for name, seen in found.items()}
