"""The routes: which request leads where. They never name a live color; runtime keys do.

A *way* is what follows a match: the weighted clusters of a service, one cluster, or a refusal. Each
place people or callers come in through is a list of routes that `ways` built. Where the site holds,
each outer route has a twin before it, behind a key of its own, that waits at the gate and is chosen
again afterwards; and what lasts (upgrades, event streams) leads to the same instances through a
cluster of its own, so that Envoy counts it apart. Inner addresses never hold: requests in flight
could not end. The one rule: where no key says otherwise, the answer is 503 with a sentence, never a
color somebody guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestrator.adapters.envoy import names
from orchestrator.core.model import Color, Pin, Route, Service, Site, SwitchSpec

Json = dict[str, Any]

# An instance that dies takes with it what it was working on. What may be asked again is asked of
# another instance of the same color: anything it cannot have seen, and reads it had not answered.
_UNSEEN = "connect-failure,refused-stream,reset-before-request"
_READS = f"{_UNSEEN},reset"
_READ_METHODS = "GET|HEAD|OPTIONS"

# What lasts, as far as a request says so itself.
_STREAMS: tuple[Json, ...] = (
    {"name": "upgrade", "string_match": {"exact": "websocket", "ignore_case": True}},
    {"name": "accept", "string_match": {"contains": "text/event-stream", "ignore_case": True}},
)


def outer(site: Site, spec: SwitchSpec) -> list[Json]:
    """The virtual hosts people reach.

    A route without a host is below every host; longest path first.
    """
    behind = [
        (service, service.behind)
        for service in names.at_home(site, spec)
        if service.behind and service.behind.switch == spec.name
    ]
    hosts = sorted({route.host for _, route in behind if route.host})
    return [
        {
            "name": host or "anyone",
            "domains": [host or "*"],
            "routes": [
                entry
                for service, route in sorted(behind, key=lambda item: _order(item[1]))
                if route.host in (host, None)
                for entry in _shared(service, _path(route), holds=site.policy.hold is not None)
            ],
        }
        for host in (*hosts, None)
    ]


def inner(pin: Pin, *, holds: bool = False) -> list[Json]:
    """An inner address leads to one color, or, while it is not wired, to nobody."""
    match: Json = {"prefix": "/"}
    wired = [entry for color in Color for entry in _inner_ways(match, pin, color, holds=holds)]
    whose = f"this inner address of {pin.caller} {pin.color.value}"
    return [_host([*wired, _refusal(match, f"bg: {whose} leads to no color of {pin.callee} yet")])]


def _inner_ways(match: Json, pin: Pin, color: Color, *, holds: bool) -> list[Json]:
    wired = match | _when(names.pin_key(pin, color))
    lasting = {"cluster": names.stream_cluster(pin.callee, color)}
    return [
        *(_streams(wired, lasting) if holds else []),
        *ways(wired, {"cluster": names.cluster(pin.callee, color)}),
    ]


def preview(service: str, color: Color) -> list[Json]:
    """One color, whoever serves.

    Its cluster answers 503 while Envoy's own check finds no instance well.
    """
    return [_host(ways({"prefix": "/"}, {"cluster": names.preview_cluster(service, color)}))]


def ways(match: Json, way: Json) -> list[Json]:
    """The routes to one way: what only reads, and everything else."""
    reads = [{"name": ":method", "string_match": {"safe_regex": {"regex": _READ_METHODS}}}]
    return [
        {"match": {**match, "headers": reads}, "route": _action(way, _READS)},
        {"match": match, "route": _action(way, _UNSEEN)},
    ]


def _streams(match: Json, way: Json) -> list[Json]:
    return [
        {"match": {**match, "headers": [kind]}, "route": _action(way, _UNSEEN)} for kind in _STREAMS
    ]


def _shared(service: Service, match: Json, *, holds: bool) -> list[Json]:
    """The routes to whoever serves; where nobody does, a sentence. Those that wait come first."""
    served = match | _when(names.served_key(service.name))
    held = match | _when(names.hold_key(service.name))
    nobody = _refusal(match, f"bg: nobody serves {service.name} now")
    if not holds:
        return [*ways(served, _shares(service)), nobody]
    waits = ({**entry, "typed_per_filter_config": _WAITS} for entry in _all_ways(held, service))
    return [*waits, *_all_ways(served, service), nobody]


def _all_ways(match: Json, service: Service) -> list[Json]:
    lasting = _shares(service, names.stream_cluster)
    return [*_streams(match, lasting), *ways(match, _shares(service))]


def _shares(service: Service, named: Callable[[str, Color], str] = names.cluster) -> Json:
    return {
        "weighted_clusters": {
            "runtime_key_prefix": names.share_prefix(service.name),
            "clusters": [{"name": named(service.name, color), "weight": 1} for color in Color],
        }
    }


def _action(way: Json, retry_on: str) -> Json:
    return {
        **way,
        "timeout": "0s",  # a stream takes as long as it takes; the listener ends idle ones
        "retry_policy": {
            "retry_on": retry_on,
            "num_retries": 4,
            "retry_back_off": {"base_interval": "0.001s", "max_interval": "0.02s"},
            "retry_host_predicate": [
                {
                    "name": "envoy.retry_host_predicates.previous_hosts",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.retry.host"
                        ".previous_hosts.v3.PreviousHostsPredicate"
                    },
                }
            ],
            "host_selection_retry_max_attempts": 5,
        },
    }


def _order(route: Route) -> tuple[bool, int, str]:
    return route.host is None, -len(route.path), route.path


def _path(route: Route) -> Json:
    path = route.path.rstrip("/")
    return {"path_separated_prefix": path} if path else {"prefix": "/"}


def _when(key: str) -> Json:
    return {
        "runtime_fraction": {
            "default_value": {"numerator": 0, "denominator": "HUNDRED"},
            "runtime_key": key,
        }
    }


def _refusal(match: Json, sentence: str) -> Json:
    return {
        "match": match,
        "direct_response": {"status": 503, "body": {"inline_string": sentence + "\n"}},
    }


def _host(routes: list[Json]) -> Json:
    return {"name": "anyone", "domains": ["*"], "routes": routes}


# -- Waiting -------------------------------------------------------------------------------

GATE, RECHOOSE = "bg.hold", "bg.rechoose"  # two filters of the edge, off unless a route says so
RECHOOSE_SCRIPT = "function envoy_on_request(handle) handle:clearRouteCache() end"
_ON: Json = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {}}
_WAITS: Json = {GATE: _ON, RECHOOSE: _ON}


# -- What the probe asks -------------------------------------------------------------------

LUA = "bg.says"
AT = "x-bg-at"
SCRIPT = """
worker = tostring({})
function envoy_on_request(handle)
  local says = handle:filterContext():get("says")
  handle:respond({[":status"] = "200", ["x-bg-worker"] = worker}, says)
end
"""
# Each worker runs a Lua of its own, so the address of a table tells workers apart.


def probe(site: Site, spec: SwitchSpec, config: str) -> list[Json]:
    """What a worker says about itself: `/config`, `/generation`, `/share/<service>`,
    `/pin/<caller>/<color>/<callee>`.

    Shares and generation are asked for at a place: of a hundred requests numbered by the header
    `x-bg-at`, which color would get this one? The worker answers from the very keys and weights
    that it sends traffic by.
    """
    return [
        _host(
            [
                _answer({"path": "/config"}, config),
                _weighed({"path": "/generation"}, names.GENERATION, ("reached", "ahead")),
                *(entry for s in names.at_home(site, spec) for entry in _asked_share(s.name)),
                *(entry for pin in names.pins(site, spec) for entry in _asked_pin(pin)),
            ]
        )
    ]


def _asked_share(service: str) -> list[Json]:
    match: Json = {"path": f"/share/{service}"}
    served = {**match, **_when(names.served_key(service))}
    colors = tuple(names.cluster(service, color) for color in Color)
    return [
        _weighed(served, names.share_prefix(service), colors),
        _answer(match, "nobody"),
    ]


def _asked_pin(pin: Pin) -> list[Json]:
    match: Json = {"path": f"/pin/{pin.caller}/{pin.color.value}/{pin.callee}"}
    return [
        *(_answer({**match, **_when(names.pin_key(pin, color))}, color.value) for color in Color),
        _answer(match, "nobody"),
    ]


def _weighed(match: Json, prefix: str, clusters: tuple[str, ...]) -> Json:
    return {
        "match": match,
        "route": {
            "weighted_clusters": {
                "runtime_key_prefix": prefix,
                "header_name": AT,
                "clusters": [
                    {"name": name, "weight": 1, "typed_per_filter_config": _says(name)}
                    for name in clusters
                ],
            }
        },
    }


def _answer(match: Json, text: str) -> Json:
    return {
        "match": match,
        "route": {"cluster": "none"},
        "typed_per_filter_config": _says(text),
    }


def _says(text: str) -> Json:
    return {
        LUA: {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.LuaPerRoute",
            "filter_context": {"says": text},
        }
    }
