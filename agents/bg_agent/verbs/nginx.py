"""`nginx_…`: who gets traffic at the nginx of this host.

    nginx_lay      the file of colors, where it is missing or lacks a key
    nginx_config   the configuration as nginx reads it, and whether a running one has bg's lines
    nginx_look     who gets traffic, by every worker and by the file; who is still on the way out
    nginx_prepare  the next colors beside the file, and the configuration tested
    nginx_send     the file in use, a reload; done when every worker in service is of it

The one rule: a flip happens only to the very nginx it was prepared at, and a reload that nginx
refuses leaves the file as it was. Everything goes through the fence of the site.
"""

from __future__ import annotations

import re
import time

from bg_agent import commands, disk, nginx, running, texts
from bg_agent.asked import Asked, bad
from bg_agent.nginx import NOBODY, Agreed, Away, Colors
from bg_agent.trouble import Refused
from bg_agent.verbs import proxied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from bg_agent.call import Call

VARIABLE = re.compile(r"[a-z][a-z0-9_]{0,60}")
CONFIG_MAX = 2 * 1024 * 1024
TEXT_MAX = 160 * 1024  # what of it is sent
LOOK_S = 1.0  # until all workers are heard; a reload by hand passes in less
COMMAND_S = 10.0
TOO_LATE = "it arrived after its time was over"


class _Proxy:
    """What every verb here is told: the port it answers at, its configuration, bg's folder."""

    def __init__(self, call: Call) -> None:
        asked = call.asked
        self.how = call.host.how
        self.site = asked.name("site")
        self.port = asked.number("port", 65535, 1)
        self.config = proxied.path(asked, "config")
        self.colors = Colors(proxied.path(asked, "maps"), self.site)

    def agreed(self, within_s: float = LOOK_S) -> Agreed:
        return nginx.agreed(self.port, self.site, within_s)

    def command(self, *words: str, keep: int = 64 * 1024) -> running.Finished:
        around = running.surroundings()
        around["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"  # a login of a user may lack these
        argv = commands.nginx(self.how, self.config, *words)
        return running.run(argv, running.How(COMMAND_S, keep=keep, env=around))


def nginx_lay(call: Call) -> dict[str, Any]:
    proxy, keys = _Proxy(call), proxied.keys(call.asked, "keys")
    variables = _variables(call.asked, keys)
    with call.fence.holding():
        file, _ = proxy.colors.read()
        lacking = {key: NOBODY for key in keys if key not in (file or {})}
        if lacking or file is None:
            proxied.begin(proxy.colors.folder)
            runs = _unless_away(proxy)
            laid = {key: runs.get(key, NOBODY) if file is None else NOBODY for key in lacking}
            disk.write(proxy.colors.at, proxy.colors.written(laid, variables), disk.READABLE)
    return {}


def nginx_config(call: Call) -> dict[str, Any]:
    """`text`: what `nginx -T` prints. `why`: why it prints nothing, or nobody has the lines."""
    proxy = _Proxy(call)
    with call.fence.holding():
        proxied.refuse_closed(proxy.colors.folder)
        done = proxy.command("-T", "-q", keep=CONFIG_MAX)
        text = _shorter(done.out.decode("utf-8", "replace"))
        if done.cut or len(text) > TEXT_MAX:
            raise Refused("the configuration of nginx is too long: %s" % proxy.config, "other")
        found: dict[str, Any] = {"text": text, "keys": []}
        if done.code != 0:
            return dict(found, up=False, tested=False, why=_said(done))
        try:
            keys = sorted(proxy.agreed().colors)
        except Away as away:
            return dict(found, up=False, tested=True, why=str(away))
        return dict(found, up=True, tested=True, keys=keys)


def nginx_look(call: Call) -> dict[str, Any]:
    proxy = _Proxy(call)
    with call.fence.holding():
        file, whole = proxy.colors.read()
        seen: dict[str, Any] = {"file": file, "whole": whole, "cuts": proxy.colors.cut()}
        try:
            now = proxy.agreed()
            older = len(now.workers.leaving)
            return dict(seen, up=True, process=now.process, older=older, running=now.colors)
        except Away as away:
            return dict(seen, up=False, why=str(away))


# -- Sending -----------------------------------------------------------------------------------


def nginx_prepare(call: Call) -> dict[str, Any]:
    """`before`: what is in use; `wanted`: what will be. An nginx that is away has no process."""
    proxy, keys = _Proxy(call), proxied.keys(call.asked, "keys")
    changes, variables = proxied.colors(call.asked, "changes"), _variables(call.asked, keys)
    with call.fence.holding():
        file, whole = proxy.colors.read()
        try:
            now = proxy.agreed()
            process, runs, why = now.process, now.colors, ""
            _refuse_without_lines(keys, runs)
        except Away as away:
            process, runs, why = "", {}, str(away)
        base = file if file is not None and whole else runs or file or {}
        wanted = {key: changes.get(key, base.get(key, NOBODY)) for key in keys}
        before = {key: (runs or base).get(key, NOBODY) for key in keys}
        proxied.begin(proxy.colors.folder)
        disk.write_beside(proxy.colors.at, proxy.colors.written(wanted, variables))
        if process and not (runs == wanted == file):
            _refuse_untested(proxy)
        answer = {"process": process, "why": why, "before": before, "wanted": wanted}
        return dict(answer, clock_s=time.monotonic())


def _refuse_without_lines(keys: list[str], runs: dict[str, str]) -> None:
    lacking = [key for key in keys if key not in runs]
    if lacking:
        raise Refused("nginx runs without bg's lines for %s: reload it" % lacking[0], "other")


def _refuse_untested(proxy: _Proxy) -> None:
    """A configuration that nginx would not take at a reload is said before anything is changed."""
    done = proxy.command("-t", "-q")
    if done.code != 0:
        raise Refused("nginx would not be reloaded as it lies there: %s" % _said(done), "other")


def nginx_send(call: Call) -> dict[str, Any]:
    """`flipped`: every worker in service says so, and the file. `laid`: only the file, nginx being
    away as prepared. `late`: `until_s` was over before, by the clock that `prepare` told. Where
    neither is so, `why` says why; then a reload may be under way, and has to be taken back.
    """
    proxy, wanted = _Proxy(call), proxied.colors(call.asked, "wanted")
    process = call.asked.text("process", 40)
    until_s = call.asked.seconds("until_s", 1e12, 1e12)
    variables = _variables(call.asked, list(wanted))
    with call.fence.holding():
        try:
            now: Agreed | None = proxy.agreed(min(LOOK_S, max(until_s - time.monotonic(), 0.01)))
            here, why = now.process if now else "", ""
        except Away as away:
            now, here, why = None, "", str(away)
        if time.monotonic() > until_s:
            return _answer(TOO_LATE, late=True)
        if here != process:
            return _answer(why or "nginx was started again")
        data = proxy.colors.written(wanted, variables)
        if now and _does(now, wanted) and disk.read(proxy.colors.at) == data:
            return _answer()
        if disk.lies_beside(proxy.colors.at) != data:
            return _answer("what was prepared does not lie there any more")
        if now is None:
            _put(proxy)
            return dict(_answer("nginx is away"), laid=True)
        return _answer(_reloaded(proxy, now, wanted, until_s))


def _answer(why: str = "", *, late: bool = False) -> dict[str, Any]:
    return {"flipped": not why, "laid": False, "late": late, "why": why}


def _put(proxy: _Proxy) -> None:
    disk.put_beside(proxy.colors.at)
    disk.sync_folder(proxy.colors.folder)


def _reloaded(proxy: _Proxy, was: Agreed, wanted: dict[str, str], until_s: float) -> str:
    """Why it has not come about in time; empty: it has."""
    old, cut = disk.read(proxy.colors.at), nginx.cut_short()
    _put(proxy)
    done = proxy.command("-s", "reload")
    if done.code != 0:
        if old is not None:
            disk.write(proxy.colors.at, old, disk.READABLE)
        return "nginx was not reloaded: %s" % _said(done)
    why = "the workers of before are still in service"
    while time.monotonic() < until_s:
        try:
            now = proxy.agreed(max(until_s - time.monotonic(), 0.01))
        except Away as away:
            why = str(away)
            continue
        if now.process != was.process:
            return "nginx was started again"
        if _does(now, wanted) and not now.workers.serving & was.workers.serving:
            proxy.colors.note_cut(max(nginx.cut_short() - cut, 0))
            return ""
        time.sleep(nginx.AGAIN_S)
    return why


def _does(now: Agreed, wanted: dict[str, str]) -> bool:
    return all(now.colors.get(key) == color for key, color in wanted.items())


# -- Reading -----------------------------------------------------------------------------------


def _said(done: running.Finished) -> str:
    """What nginx minds, or the last that it, or sudo, said."""
    lines = done.err.decode("utf-8", "replace").splitlines()
    minded = next((line for line in lines if "[emerg]" in line), "")
    return texts.one_line(minded.partition("[emerg]")[2].strip()) if minded else done.said


def _shorter(text: str) -> str:
    """Without comments and indents, but for the names of the files."""
    lines = (line.strip() for line in text.splitlines())
    kept = (one for one in lines if one[:1] != "#" or one.startswith("# configuration file "))
    return "\n".join(one for one in kept if one)


def _unless_away(proxy: _Proxy) -> dict[str, str]:
    try:
        return proxy.agreed().colors
    except Away:
        return {}


def _variables(asked: Asked, keys: list[str]) -> dict[str, str]:
    given = asked.pairs("variables", 5000)
    for key in keys:
        name = given.get(key)
        if not isinstance(name, str) or not VARIABLE.fullmatch(name):
            raise bad("variables: %s has none: letters, digits and _" % key)
    return {key: str(given[key]) for key in keys}
