"""`probe`: one look at the health of something, from this host.

What is found is told, and judged by the controller. The one rule: an ill target is an answer, and
it comes in time, whatever the target does.
"""

from __future__ import annotations

import signal
import socket
import time

from bg_agent import commands, running, texts, units
from bg_agent.asked import Asked, bad, encodable
from bg_agent.shelf import Shelf
from bg_agent.trouble import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from bg_agent.call import Call

TIMEOUT_MAX_S = 60.0
OUTPUT = 4096


def probe(call: Call) -> dict[str, Any]:
    given = call.asked.object("probe")
    timeout_s = call.asked.seconds("timeout_s", TIMEOUT_MAX_S, 2.0)
    kinds = [kind for kind in ("tcp", "http", "exec") if given.has(kind)]
    if len(kinds) != 1:
        raise bad("a probe is one of tcp, http and exec")
    with call.fence.holding():
        pass
    if kinds[0] == "exec":
        return _exec(call, given.object("exec"), timeout_s)
    asked, until = given.object(kinds[0]), time.monotonic() + timeout_s
    address = (asked.text("host", 255, 1), asked.number("port", 65535, 1))
    try:
        if kinds[0] == "http":
            from bg_agent import exchange

            return exchange.get(address, *_path(asked), until)
        socket.create_connection(address, timeout_s).close()
    except (OSError, UnicodeError) as error:
        return {"failed": _why(error)}
    return {"connected": True}


def _path(asked: Asked) -> tuple[str, str]:
    host = asked.text("virtual_host", 255, 1) if asked.has("virtual_host") else ""
    return asked.text("path", 4096, 1), host


def _why(error: Exception) -> str:
    if isinstance(error, socket.timeout):
        return "no answer in time"
    return getattr(error, "strerror", None) or "no such host"


def _exec(call: Call, asked: Asked, timeout_s: float) -> dict[str, Any]:
    argv = [encodable(one, "exec") for one in asked.items("argv") if isinstance(one, str)]
    if not argv or argv != asked.items("argv"):
        raise bad("exec: argv is a list of texts, at least one")
    env = units.environment(asked.pairs("env"), "exec")
    folder = Shelf(call.root).files(asked.name("service"), asked.release())
    user = asked.user()
    if user and call.host.how == "root":
        argv = commands.as_user(user, argv)
    env.setdefault("PATH", running.PATH)
    how = running.How(timeout_s, keep=OUTPUT, env=env, cwd=folder, ends_with_us=True)
    try:
        done = running.run(argv, how)
    except Refused as error:
        return {"failed": error.why}
    output = (done.out + done.err)[-OUTPUT:].decode("utf-8", "replace")
    code = done.code
    return {
        "exit": code if code is not None and code >= 0 else None,
        "signal": signal.Signals(-code).name if code is not None and code < 0 else None,
        "output": texts.plain(output),
        "timed_out": code is None,
    }
