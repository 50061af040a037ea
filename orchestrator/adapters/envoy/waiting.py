"""How requests wait, as data: the filters of the edge, and the cluster of the gate.

Two filters, off unless a route switches them on, so they cost nothing while nobody holds: one asks
the gate before a request is let in, one chooses its route again afterwards, because the colors may
have changed meanwhile. The one rule: what the gate cannot answer for goes on. Pure.
"""

from __future__ import annotations

from typing import Any

from orchestrator.adapters.envoy import gate, names, routes
from orchestrator.core.model import Hold

Json = dict[str, Any]

_API = "type.googleapis.com/envoy."
_PLENTY = 65536  # the switch must not be the limit; Envoy's own: 1,024 requests, 3 retries
UNLIMITED: Json = {
    "thresholds": [
        {
            "max_connections": _PLENTY,
            "max_pending_requests": _PLENTY,
            "max_requests": _PLENTY,
            "max_retries": _PLENTY,
        }
    ]
}


def filters(hold: Hold | None) -> list[Json]:
    """Wait at the gate, then choose the route again.

    How long a request may wait is built in here: it counts where the driver is stopped.
    """
    if hold is None:
        return []
    kind = _API + "extensions.filters.http.ext_authz.v3.ExtAuthz"
    asked = {"uri": "http://gate", "cluster": names.GATE, "timeout": f"{hold.for_s:g}s"}
    gates = {
        "@type": kind,
        "transport_api_version": "V3",
        "failure_mode_allow": True,
        "http_service": {"server_uri": asked, "path_prefix": gate.WAIT},
    }
    return [
        {"name": routes.GATE, "disabled": True, "typed_config": gates},
        {**lua(routes.RECHOOSE, routes.RECHOOSE_SCRIPT), "disabled": True},
    ]


def lua(name: str, script: str) -> Json:
    return {
        "name": name,
        "typed_config": {
            "@type": _API + "extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": script},
        },
    }


def cluster() -> Json:
    """Where requests wait: a socket of the driver, only there while it holds.

    A driver that died refuses connections, and everything goes on at once. One that was stopped is
    found out by the health check: nobody new waits for it, and who waits does so to the bound.
    """
    here = {"endpoint": {"address": {"pipe": {"path": names.GATE_SOCKET}}}}
    check = {
        "timeout": "0.4s",
        "interval": "0.2s",
        "no_traffic_interval": "0.2s",
        "no_traffic_healthy_interval": "0.2s",
        "unhealthy_threshold": 1,
        "healthy_threshold": 1,
        "http_health_check": {"path": gate.HERE, "host": "bg"},
    }
    return {
        "name": names.GATE,
        "type": "STATIC",
        "connect_timeout": "1s",
        "circuit_breakers": UNLIMITED,
        # Workers hear at once whether it is there; by default they may hear a second later.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}, "update_merge_window": "0s"},
        "health_checks": [check],
        "load_assignment": {"cluster_name": names.GATE, "endpoints": [{"lb_endpoints": [here]}]},
    }
