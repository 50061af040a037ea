"""Envoy's whole configuration, as data: a small bootstrap, and listeners, clusters and routes in
watched files.

Pure: a site, a switch and the ports chosen for it go in, JSON comes out. The one rule: nothing in
here changes at a cutover. Shares and pins are runtime keys, in a file of their own (`runtime`);
these files change when the site does, and Envoy takes that over without a restart.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.adapters.envoy import names, routes, waiting
from orchestrator.core.model import Color, HttpProbe, Service, Site, SwitchSpec

Json = dict[str, Any]

BOOTSTRAP, CLUSTERS, LISTENERS, ROUTES, PROBE = (
    "bootstrap.json",
    "clusters.json",
    "listeners.json",
    "routes.json",
    "probe.json",
)
RUNTIME = "runtime/runtime.json"
ADMIN = "admin.sock"

_API = "type.googleapis.com/envoy."
_TABLE = "config.route.v3.RouteConfiguration"
_IDLE = "3600s"


@dataclass(frozen=True, slots=True)
class Files:
    """What lies in the folder of one switch, by name.

    `version` is what the probe answers once a worker has it.
    """

    bootstrap: str
    clusters: str
    listeners: str
    routes: str
    probe: str
    version: str


def files(site: Site, spec: SwitchSpec, ports: Mapping[str, int], folder: str) -> Files:
    """Everything but the runtime file.

    `ports` has one for each of `names.places`; `folder` is absolute.
    """
    clusters = _clusters(site, spec)
    listeners = _listeners(site, spec, ports, folder)
    outer = _table("outer", routes.outer(site, spec))
    version = _digest([clusters, listeners, outer])
    return Files(
        bootstrap=_text(_bootstrap(site, folder)),
        clusters=_resources("config.cluster.v3.Cluster", clusters),
        listeners=_resources("config.listener.v3.Listener", listeners),
        routes=_resources(_TABLE, [outer]),
        probe=_resources(_TABLE, [_table("probe", routes.probe(site, spec, version))]),
        version=version,
    )


def command(binary: str, spec: SwitchSpec, folder: str) -> tuple[str, ...]:
    """How this Envoy is run.

    Without hot restart, so that any number of them can live on one machine.
    """
    return (
        binary,
        "--config-path",
        f"{folder}/{BOOTSTRAP}",
        "--concurrency",
        str(spec.workers),
        "--disable-hot-restart",
        "--drain-time-s",
        "30",
        "--log-level",
        "warning",
    )


def with_those_of(before: str | None, wanted: str) -> str:
    """The resources that are wanted, and those that only were there before."""
    old, new = _items(before or ""), _items(wanted)
    if old.keys() <= new.keys():
        return wanted
    items = list((old | new).values())
    return _text({"version_info": _digest(items), "resources": items})


def version_in(text: str) -> str:
    """The version that Envoy calls a file by; "" where it has none."""
    try:
        return str(json.loads(text)["version_info"])
    except (ValueError, LookupError, TypeError):
        return ""


def _items(text: str) -> dict[str, Json]:
    try:
        return {item["name"]: item for item in json.loads(text)["resources"]}
    except (ValueError, LookupError, TypeError):
        return {}


# -- Bootstrap -----------------------------------------------------------------------------


def _bootstrap(site: Site, folder: str) -> Json:
    # The admin path is relative to the working folder: a socket's path may have 107 bytes, a state
    # folder more. No admin layer: it would hide the runtime file, and die with the process.
    return {
        "node": {"id": site.name, "cluster": "bg"},
        "admin": {"address": {"pipe": {"path": ADMIN, "mode": 0o600}}},
        "dynamic_resources": {
            "lds_config": _watched(f"{folder}/{LISTENERS}"),
            "cds_config": _watched(f"{folder}/{CLUSTERS}"),
        },
        "layered_runtime": {
            "layers": [
                {
                    "name": names.RUNTIME,
                    "rtds_layer": {
                        "name": names.RUNTIME,
                        "rtds_config": _watched(f"{folder}/{RUNTIME}"),
                    },
                }
            ]
        },
    }


def _watched(path: str) -> Json:
    return {"resource_api_version": "V3", "path_config_source": {"path": path}}


# -- Clusters ------------------------------------------------------------------------------


def _clusters(site: Site, spec: SwitchSpec) -> list[Json]:
    services = [
        cluster
        for service in names.at_home(site, spec)
        for color in Color
        for cluster in (
            *(
                _cluster(name, names.ends(site, service, color))
                for name in _leading_to(site, service, color)
            ),
            _preview_cluster(service, color, names.ends(site, service, color)),
        )
    ]
    return services if site.policy.hold is None else [*services, waiting.cluster()]


def _leading_to(site: Site, service: Service, color: Color) -> tuple[str, ...]:
    return names.clusters_of(site, service.name, color)


def _cluster(name: str, ends: names.Ends) -> Json:
    """Who gets traffic. An instance that refuses connections is passed over by the routes' retries.

    It is not left out for a while (outlier detection): when a whole color came back, the first
    instance to do so would be the one left out.
    """
    return {**_endpoints(name, ends), "lb_policy": "LEAST_REQUEST"}


def _preview_cluster(service: Service, color: Color, ends: names.Ends) -> Json:
    """Who answers a preview: only instances that Envoy's own check finds well, so 503 while there
    is none.
    """
    return {
        **_endpoints(names.preview_cluster(service.name, color), ends),
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "health_checks": [
            {
                "timeout": "1s",
                "interval": "0.5s",
                "no_traffic_interval": "0.5s",
                "no_traffic_healthy_interval": "0.5s",
                "unhealthy_threshold": 1,
                "healthy_threshold": 1,
                **check_of(service),
            }
        ],
    }


def check_of(service: Service) -> Json:
    """The service's first http probe as far as Envoy can ask it (path, host, status); else that a
    connection opens.
    """
    for probe in service.probes:
        if isinstance(probe, HttpProbe) and "{" not in probe.path + (probe.host or ""):
            asked: Json = {
                "path": probe.path,
                "expected_statuses": [{"start": probe.status, "end": probe.status + 1}],
            }
            return {"http_health_check": asked | ({"host": probe.host} if probe.host else {})}
    return {"tcp_health_check": {}}


def _endpoints(name: str, ends: names.Ends) -> Json:
    by_name = not all(names.is_address(host) for host, _ in ends)
    return {
        "name": name,
        "type": "STRICT_DNS" if by_name else "STATIC",
        "connect_timeout": "1s",
        "circuit_breakers": waiting.UNLIMITED,
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _API + "extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http_protocol_options": {}},
                # Shorter than any common server's own (2 s and more): a server that hangs up just
                # as a request is sent on a kept connection costs that request.
                "common_http_protocol_options": {"idle_timeout": "1s"},
            }
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": _address(*end)}} for end in ends]}
            ],
        },
    }


# -- Listeners and their route tables ------------------------------------------------------


def _listeners(site: Site, spec: SwitchSpec, ports: Mapping[str, int], folder: str) -> list[Json]:
    """The outer routes and the probe's change with the site, so they have files of their own (one
    table is all that Envoy takes from a file) and no listener is drained for them. The tables of
    the other listeners are theirs for life.
    """
    probe = names.probe_place(spec)
    holds = site.policy.hold is not None
    own = {names.pin_place(p): routes.inner(p, holds=holds) for p in names.pins(site, spec)} | {
        names.preview_place(service.name, color): routes.preview(service.name, color)
        for service in names.at_home(site, spec)
        for color in Color
    }
    edge = [*waiting.filters(site.policy.hold), _router()]
    outer = _http("outer", {"rds": _rds("outer", f"{folder}/{ROUTES}")}, edge, edge=True)
    says = waiting.lua(routes.LUA, routes.SCRIPT)
    asked = _http("probe", {"rds": _rds("probe", f"{folder}/{PROBE}")}, [says, _router()])
    return [
        _listener("outer", (names.address(spec.host), spec.port), outer),
        *(
            _listener(place, ("127.0.0.1", ports[place]), _http(place, table, [_router()]))
            for place, hosts in own.items()
            for table in ({"route_config": _table(place, hosts)},)
        ),
        _listener("probe", ("127.0.0.1", ports[probe]), asked),
    ]


def _table(name: str, hosts: list[Json]) -> Json:
    return {"name": name, "ignore_port_in_host_matching": True, "virtual_hosts": hosts}


def _rds(name: str, path: str) -> Json:
    return {"route_config_name": name, "config_source": _watched(path)}


def _listener(name: str, address: tuple[str, int], connections: Json) -> Json:
    manager = "envoy.filters.network.http_connection_manager"
    return {
        "name": name,
        "address": _address(*address),
        # Else a second Envoy could listen at the same address in silence, and get half of the
        # traffic.
        "enable_reuse_port": False,
        # Without, whoever wakes first takes the connection, and workers are loaded unevenly.
        "connection_balance_config": {"exact_balance": {}},
        "filter_chains": [{"filters": [{"name": manager, "typed_config": connections}]}],
    }


def _http(name: str, table: Json, filters: list[Json], *, edge: bool = False) -> Json:
    return {
        "@type": _API + "extensions.filters.network.http_connection_manager.v3"
        ".HttpConnectionManager",
        "stat_prefix": name,
        **table,
        "use_remote_address": edge,
        "skip_xff_append": not edge,
        "generate_request_id": edge,
        "server_header_transformation": "PASS_THROUGH",
        "common_http_protocol_options": {"idle_timeout": _IDLE},
        "http_protocol_options": {"accept_http_10": True, "default_host_for_http_10": "localhost"},
        "stream_idle_timeout": _IDLE,
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "http_filters": filters,
    }


def _router() -> Json:
    return {
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": _API + "extensions.filters.http.router.v3.Router",
            "suppress_envoy_headers": True,
        },
    }


def _address(host: str, port: int) -> Json:
    return {"socket_address": {"address": host, "port_value": port}}


# -- Text ----------------------------------------------------------------------------------


def _resources(kind: str, items: list[Json]) -> str:
    typed = [{"@type": _API + kind, **item} for item in items]
    return _text({"version_info": _digest(items), "resources": typed})


def _digest(value: object) -> str:
    return hashlib.sha256(_text(value).encode()).hexdigest()[:16]


def _text(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
