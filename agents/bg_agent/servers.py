"""The servers of a HAProxy's backends: which of them get new requests.

A server is `ready`, or it is kept out by hand or by bg: `drain` (whoever sticks to it still gets
there) or `maint` (nobody does). What it answers already goes on to its end either way, and HAProxy
forgets all of it at its next start. The one rule: what was set is looked at again. It refuses to
know why a host is out.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bg_agent.haproxy import Runtime

READY, DRAIN, MAINT = "ready", "drain", "maint"
TOLD_MAX = 1000  # servers that are named in one answer
_MAINT_BITS, _DRAIN_BITS = 0x03, 0x18  # of srv_admin_state: set there, or taken over from another
_BATCH = 4 * 1024  # of commands in one line; a quarter of HAProxy's usual buffer


def states(runtime: Runtime, prefix: str) -> dict[tuple[str, str], str]:
    """Of each server, by backend and name, as HAProxy says."""
    found = {}
    for line in runtime.ask("show servers state").splitlines():
        row = line.split(" ")
        if len(row) > 6 and row[1].startswith(prefix) and row[6].isdigit():
            found[row[1], row[3]] = _state(int(row[6]))
    return found


def astray(runtime: Runtime, prefix: str, out: list[str]) -> dict[str, str]:
    """Each `BACKEND/SERVER` that is not as it should be, with what it is: servers of these names
    get no new requests, all others do.
    """
    wrong = {
        "%s/%s" % name: state
        for name, state in states(runtime, prefix).items()
        if state != (MAINT if name[1] in out else READY)
    }
    return dict(sorted(wrong.items())[:TOLD_MAX])


def lingering(runtime: Runtime, prefix: str, out: list[str]) -> dict[str, int]:
    """Of each `BACKEND/SERVER` of these names the requests it still answers, where there are any.
    Where nobody is out, nobody is asked.
    """
    head, *lines = runtime.ask("show stat -1 4 -1").splitlines() if out else [""]
    names, found = head.lstrip("# ").split(","), {}
    for line in lines:
        row = dict(zip(names, line.split(",")))
        count = row.get("scur", "")
        if row.get("svname") not in out or not row.get("pxname", "").startswith(prefix):
            continue
        if count.isdigit() and int(count):
            found["%s/%s" % (row["pxname"], row["svname"])] = int(count)
    return dict(sorted(found.items())[:TOLD_MAX])


def keep(runtime: Runtime, backends: list[str], wanted: dict[str, str]) -> list[str]:
    """Servers of these names become so, in these backends; those that are not there are nobody's.
    Each `BACKEND/SERVER` that did not become so.
    """
    there = [name for name in _in(runtime, backends) if name[1] in wanted]
    line = ""
    for backend, server in there:
        line += "set server %s/%s state %s;" % (backend, server, wanted[server])
        if len(line) > _BATCH:
            runtime.ask(line)
            line = ""
    if line:
        runtime.ask(line)
    now = _in(runtime, backends) if there else {}
    return ["%s/%s" % name for name in there if now.get(name) != wanted[name[1]]][:TOLD_MAX]


def _in(runtime: Runtime, backends: list[str]) -> dict[tuple[str, str], str]:
    here = set(backends)
    return {name: state for name, state in states(runtime, "").items() if name[0] in here}


def _state(admin: int) -> str:
    if admin & _MAINT_BITS:
        return MAINT
    return DRAIN if admin & _DRAIN_BITS else READY
