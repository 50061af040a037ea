"""`proxy_…`: who gets traffic at the HAProxy of this host, and the hold of new requests.

    proxy_lay      the files it is started with, where they are missing
    proxy_config   its configuration as it lies there, and what of it is running
    proxy_look     who gets traffic, by the socket and by the file; what is in flight
    proxy_prepare  the next colors, beside the file and as a version of the map that nobody uses yet
    proxy_send     both of them in use; read again, both
    proxy_hold     new requests to these services wait until a deadline; asked again, it moves
    proxy_held     what is in flight and what waits
    proxy_let_go   nobody waits any more
    proxy_servers  hosts that get no new requests, and hosts that get them again

The one rule: a flip happens only to the very process it was prepared at, and where a hold is asked
for, only while that hold stands. Everything goes through the fence of the site.
"""

from __future__ import annotations

import time

from bg_agent import disk, haproxy, servers
from bg_agent.asked import Asked
from bg_agent.haproxy import NOBODY, Away, Files, Runtime
from bg_agent.trouble import Refused
from bg_agent.verbs import proxied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from bg_agent.call import Call

TERM_MAX_S = 2.0
LUA_MAX = 16 * 1024
CONFIG_MAX = 160 * 1024


class _Proxy:
    """What every verb here is told: where the socket is, and the folder of the maps."""

    def __init__(self, asked: Asked) -> None:
        self.site = asked.name("site")
        self.prefix = "bg.%s." % self.site
        self.runtime = Runtime(proxied.path(asked, "socket"))
        self.files = Files(proxied.path(asked, "maps"), self.site)

    def running(self) -> dict[str, str] | None:
        return self.runtime.entries(self.files.colors)


def proxy_lay(call: Call) -> dict[str, Any]:
    proxy, keys = _Proxy(call.asked), proxied.keys(call.asked, "keys")
    lua = call.asked.text("lua", LUA_MAX)
    services = call.asked.names("services", 1000)
    with call.fence.holding():
        files = proxy.files
        proxied.begin(files.folder)
        if files.read_colors()[0] is None:
            running = _unless_away(proxy) or {}
            entries = {key: running.get(key, NOBODY) for key in keys}
            disk.write(files.colors, haproxy.text_of(entries), disk.READABLE)
        holds = "".join("%s 0\n" % name for name in sorted(services))
        disk.write_if_other(files.holds, holds.encode(), disk.READABLE)
        if disk.read(files.waits) is None:
            disk.write(files.waits, b"", disk.READABLE)
        if lua:
            disk.write_if_other(files.lua, lua.encode(), disk.READABLE)
    return {}


def proxy_config(call: Call) -> dict[str, Any]:
    proxy = _Proxy(call.asked)
    path = proxied.path(call.asked, "config")
    with call.fence.holding():
        closed = proxied.why_closed(proxy.files.folder)
        try:
            pid = proxy.runtime.pid()
            maps = proxy.runtime.ask("show map")
            servers = proxy.runtime.servers(proxy.prefix)
        except Refused as refused:
            why = "; ".join(one for one in (refused.why, closed) if one)
            raise Refused(why, "not-permitted") from None
        except Away as away:
            return {"up": False, "why": str(away), "text": _texts([path]), "files": [path]}
        if closed:
            raise Refused(closed, "not-permitted")
        found = haproxy.started_with(pid) or [path]
        all_maps = (proxy.files.colors, proxy.files.holds, proxy.files.waits)
        loaded = [name for name in all_maps if "(%s)" % name in maps]
        return {
            "up": True,
            "files": found,
            "text": _texts(found),
            "maps": loaded,
            "servers": servers,
        }


def proxy_look(call: Call) -> dict[str, Any]:
    proxy, ends_holds = _Proxy(call.asked), call.asked.yes("ends_holds")
    out = call.asked.names("out", 1000) if call.asked.has("out") else []
    with call.fence.holding():
        file, whole = proxy.files.read_colors()
        seen: dict[str, Any] = {"file": file, "whole": whole}
        try:
            if ends_holds and call.fence.epoch is not None:
                _end_holds(proxy)
            pid = proxy.runtime.pid()
            seen.update(
                up=True,
                pid=pid,
                older=haproxy.older(pid),
                running=proxy.running(),
                counts=proxy.runtime.counts(proxy.prefix),
                astray=servers.astray(proxy.runtime, proxy.prefix, out),
                lingers=servers.lingering(proxy.runtime, proxy.prefix, out),
            )
        except Away as away:
            seen.update(up=False, why=str(away))
        return seen


# -- Sending -----------------------------------------------------------------------------------


def proxy_prepare(call: Call) -> dict[str, Any]:
    """`before`: what is in use; `wanted`: what will be. A HAProxy that is away has pid 0."""
    proxy, keys = _Proxy(call.asked), proxied.keys(call.asked, "keys")
    changes = proxied.colors(call.asked, "changes")
    with call.fence.holding():
        file, whole = proxy.files.read_colors()
        try:
            pid, running, why = proxy.runtime.pid(), proxy.running(), ""
        except Away as away:
            pid, running, why = 0, None, str(away)
        if pid and running is None:
            raise Refused("HAProxy has no map %s: its configuration lacks it" % proxy.files.colors)
        base = file if file is not None and whole else running or file or {}
        wanted = {key: changes.get(key, base.get(key, NOBODY)) for key in keys}
        before = {key: (running or base).get(key, NOBODY) for key in keys}
        proxied.begin(proxy.files.folder)
        proxy.files.write_beside(wanted)
        answer: dict[str, Any] = {"pid": 0, "version": 0, "why": why}
        if pid:
            answer = _laid(proxy, pid, wanted)
        return dict(answer, before=before, wanted=wanted, clock_s=time.monotonic())


def _laid(proxy: _Proxy, pid: int, wanted: dict[str, str]) -> dict[str, Any]:
    try:
        version = proxy.runtime.lay(proxy.files.colors, wanted)
        if proxy.runtime.entries(proxy.files.colors, version) != wanted:
            raise Refused("HAProxy did not take the next colors as they were given")
    except Away as away:
        return {"pid": 0, "version": 0, "why": str(away)}
    return {"pid": pid, "version": version, "why": ""}


def proxy_send(call: Call) -> dict[str, Any]:
    """`flipped`: socket and file say so. `laid`: only the file, HAProxy being away as prepared.
    `late`: the hold that was asked for does not stand, or `until_s` is over by the clock that
    `prepare` told. Nothing was changed where neither is so, and `why` says why.
    """
    proxy, wanted = _Proxy(call.asked), proxied.colors(call.asked, "wanted")
    held = call.asked.names("held", 1000)
    pid, version = call.asked.number("pid", 2**31), call.asked.number("version", 2**32)
    until_s = call.asked.seconds("until_s", 1e12, 1e12)
    with call.fence.holding():
        why = _in_the_way(proxy, pid, held)
        if not why and not proxy.files.lies_beside(wanted):
            why = "what was prepared does not lie there any more"
        if not why and time.monotonic() > until_s:
            why = TOO_LATE
        if why:
            late = why in (NOT_HELD, TOO_LATE)
            return {"flipped": False, "laid": False, "late": late, "why": why}
        proxy.files.put()
        try:
            said = _commit(proxy, version) if pid else ""
            disk.sync_folder(proxy.files.folder)
            running = proxy.running() if pid else None
        except Away as away:
            said, running = str(away), None
        flipped = running == wanted and proxy.files.read_colors() == (wanted, True)
        why = "" if flipped else said or "HAProxy shows other colors"
        return {"flipped": flipped, "laid": not pid, "late": False, "why": why}


NOT_HELD = "the hold does not stand any more"
TOO_LATE = "it arrived after its time was over"


def _in_the_way(proxy: _Proxy, pid: int, held: list[str]) -> str:
    """Why what was prepared is not for what is here now; empty: it is."""
    try:
        here, why = proxy.runtime.pid(), ""
    except Away as away:
        here, why = 0, str(away)
    if here != pid:
        return why or "HAProxy was started again"
    return NOT_HELD if held and not _stands(proxy, held) else ""


def _commit(proxy: _Proxy, version: int) -> str:
    return proxy.runtime.ask("commit map @%d %s" % (version, proxy.files.colors)).strip()[:200]


# -- Time --------------------------------------------------------------------------------------


def proxy_hold(call: Call) -> dict[str, Any]:
    proxy, services = _Proxy(call.asked), call.asked.names("services", 1000)
    term_s = call.asked.seconds("term_s", TERM_MAX_S, 0.5)
    first = call.asked.yes("first")
    with call.fence.holding():
        try:
            pid = proxy.runtime.pid()
            if first and proxy.runtime.entries(proxy.files.waits) is None:
                raise Refused("HAProxy has no map %s: it cannot hold" % proxy.files.waits)
            until = "%d" % ((time.time() + term_s) * 1000)
            proxy.runtime.set(proxy.files.holds, dict.fromkeys(services, until))
            stands = _stands(proxy, services)
            waits = _waits(proxy) if first else {}
        except Away as away:
            return {"up": False, "why": str(away)}
        older = haproxy.older(pid) if first else 0
        return {"up": True, "pid": pid, "older": older, "stands": stands, "waits": waits}


def proxy_held(call: Call) -> dict[str, Any]:
    proxy = _Proxy(call.asked)
    with call.fence.holding():
        try:
            counts = proxy.runtime.counts(proxy.prefix)
            waits, pid = _waits(proxy), proxy.runtime.pid()
        except Away as away:
            return {"up": False, "why": str(away)}
        return {"up": True, "pid": pid, "counts": counts, "waits": waits}


def proxy_let_go(call: Call) -> dict[str, Any]:
    proxy, services = _Proxy(call.asked), call.asked.names("services", 1000)
    with call.fence.holding():
        try:
            proxy.runtime.set(proxy.files.holds, dict.fromkeys(services, "0"))
            return {"up": True, "waits": _waits(proxy)}
        except Away as away:
            return {"up": False, "why": str(away)}


def _stands(proxy: _Proxy, services: list[str]) -> bool:
    now_ms = time.time() * 1000
    holds = proxy.runtime.entries(proxy.files.holds) or {}
    deadlines = [holds.get(name, "") for name in services]
    return all(one.isdigit() and int(one) > now_ms for one in deadlines)


def _end_holds(proxy: _Proxy) -> None:
    """Those that a dead driver left."""
    holds = proxy.runtime.entries(proxy.files.holds) or {}
    left = {name: "0" for name, until in holds.items() if until != "0"}
    proxy.runtime.set(proxy.files.holds, left)


def _waits(proxy: _Proxy) -> dict[str, int]:
    """What the threads of HAProxy note of those who wait, added up."""
    found: dict[str, int] = {}
    for key, value in (proxy.runtime.entries(proxy.files.waits) or {}).items():
        name = key.partition(".")[2]
        if name and value.isdigit():
            found[name] = found.get(name, 0) + int(value)
    return found


# -- Hosts -------------------------------------------------------------------------------------


def proxy_servers(call: Call) -> dict[str, Any]:
    """`left`: what of it did not become so."""
    proxy, backends = _Proxy(call.asked), proxied.backends(call.asked, "backends")
    wanted = dict.fromkeys(call.asked.names("back", 1000), servers.READY)
    wanted.update(dict.fromkeys(call.asked.names("out", 1000), servers.MAINT))
    with call.fence.holding():
        try:
            return {"up": True, "left": servers.keep(proxy.runtime, backends, wanted)}
        except Away as away:
            return {"up": False, "why": str(away)}


# -- Reading -----------------------------------------------------------------------------------


def _unless_away(proxy: _Proxy) -> dict[str, str] | None:
    try:
        return proxy.running()
    except Away:
        return None


def _texts(paths: list[str]) -> str:
    """All of them, one after the other. Refused where one may not be read."""
    text = ""
    for path in paths:
        for one in _files_of(path):
            text += (disk.read(one, CONFIG_MAX) or b"").decode("utf-8", "replace") + "\n"
    return text[:CONFIG_MAX]


def _files_of(path: str) -> list[str]:
    import os

    if not os.path.isdir(path):
        return [path]
    return [os.path.join(path, name) for name in sorted(os.listdir(path)) if name.endswith(".cfg")]
