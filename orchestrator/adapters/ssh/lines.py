"""The protocol of the agent, as values: a request into a line, a line into an answer or trouble.

Pure. What a host says is data: its shape is checked here, its texts are made plain, and whatever
does not fit is `Unreachable`, for then nobody knows what happened. It refuses to know connections.
"""

from __future__ import annotations

import json
from typing import Any

from orchestrator.adapters.ssh.texts import plain
from orchestrator.core.model import Release
from orchestrator.ports.trouble import Refused, Superseded, Trouble, Unreachable

Json = dict[str, Any]

ANSWER_MAX = 256 * 1024 + 4096  # bytes of a line; the agent promises 256 KiB
REQUEST_MAX = 1024 * 1024

LIMITS_S = {
    "hello": 15.0,
    "look": 30.0,
    "facts": 20.0,
    "described": 20.0,
    "log": 20.0,
    "probe": 5.0,  # and what it may take itself
    "offer": 20.0,
    "point": 30.0,
    "remove": 120.0,
    "commit": 900.0,
    "start": 90.0,
    "stop": 60.0,  # and what the program may take itself
    "step_look": 20.0,  # and what the step may take itself
    "step_run": 20.0,
    "adopt": 20.0,
    "gone": 20.0,
    "readmit": 20.0,
    "proxy_config": 20.0,
    "proxy_look": 20.0,
    "proxy_held": 10.0,
    "proxy_lay": 20.0,
    "proxy_prepare": 20.0,
    "proxy_send": 20.0,
    "proxy_hold": 10.0,
    "proxy_let_go": 10.0,
    "proxy_servers": 20.0,
    "nginx_config": 20.0,
    "nginx_look": 20.0,
    "nginx_lay": 20.0,
    "nginx_prepare": 20.0,
    "nginx_send": 30.0,
}
LATE_S = 5.0  # a controller waits a little longer than the agent takes

_REMEDIES = {
    "foreign": "it is driven from elsewhere, and what runs there is not touched",
    "gone": "it was told gone; `bgctl readmit` takes it back",
    "no-room": "make room there, or keep fewer releases",
}


def line_of(request: Json) -> bytes:
    """`Refused` where it is larger than any agent takes."""
    data = json.dumps(request, separators=(",", ":")).encode() + b"\n"
    if len(data) > REQUEST_MAX:
        raise Refused(f"{request.get('verb')}: what is to be sent is larger than 1 MiB")
    return data


def read(line: bytes) -> Json | None:
    """An object; None where the line is none."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def trouble_in(answer: Json, host: str) -> Trouble | None:
    """What the agent says went wrong; None where it answers `ok`."""
    if isinstance(answer.get("ok"), dict):
        return None
    if isinstance(why := answer.get("superseded"), str):
        return Superseded(f"{host}: {plain(why)}")
    if isinstance(why := answer.get("refused"), str):
        remedy = _REMEDIES.get(str(answer.get("kind")), "")
        return Refused(f"{host}: {plain(why)}{f'; {remedy}' if remedy else ''}")
    if isinstance(why := answer.get("unsure"), str):
        return Unreachable(f"{host}: {plain(why)}")
    return senseless(host)


def senseless(host: str) -> Unreachable:
    return Unreachable(f"{host}: what its agent said is no answer")


def plain_release(release: Release | None) -> Json | None:
    return None if release is None else {"version": release.version, "digest": release.digest}
