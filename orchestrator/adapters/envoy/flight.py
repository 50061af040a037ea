"""What is in flight at one Envoy, from its own numbers. Pure: statistics in, counts out.

Envoy counts requests by cluster: those being worked on, and those that wait for a connection. What
waits at the gate is in neither. The one rule: a request is never overlooked. One that is between
two tries is in no cluster for up to 80 ms; it is found as the difference of what came in and what
is accounted for. The other way round, an answer that a slow client still reads is no work of
anybody's, so a difference alone only counts until that time is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestrator.adapters.envoy import names
from orchestrator.core.model import Color

Numbers = Mapping[str, str]

ACTIVE = r"^cluster\..*\.upstream_rq_(pending_)?active$"
EVERYTHING = (
    r"^cluster\..*\.upstream_rq_((pending_)?active|retry)$"
    r"|^http\..*\.downstream_rq_active$"
    r"|^http\.outer\.ext_authz\.failure_mode_allowed$"
)
GATE = r"^cluster\.bg\.gate\.membership_healthy$|^listener_manager\.total_.*_draining$"

_OWN = ("admin", "probe")  # what bg itself asks


@dataclass(frozen=True, slots=True)
class Flight:
    """One look."""

    requests: int  # at the services asked about
    streams: int  # at them, too: what lasts, counted apart
    loose: int  # came in, and is at no service: between two tries, or being read by its client
    waiting: int  # at the gate
    leaked: int  # let in although the gate gave no answer, since Envoy's start
    retried: int  # tries again at the services asked about, since Envoy's start


def counted(numbers: Numbers, services: Iterable[str]) -> Flight:
    """What is in flight at these services."""
    asked = [(name, color) for name in services for color in Color]
    came_in = sum(_came_in(numbers))
    waiting = active(numbers, names.GATE)
    everywhere = sum(active(numbers, cluster) for cluster in _clusters(numbers))
    return Flight(
        requests=sum(active(numbers, names.cluster(*one)) for one in asked),
        streams=sum(active(numbers, names.stream_cluster(*one)) for one in asked),
        loose=max(came_in - everywhere, 0),
        waiting=waiting,
        leaked=sum(int(v) for k, v in numbers.items() if k.endswith("failure_mode_allowed")),
        retried=sum(_number(numbers, names.cluster(*one), "upstream_rq_retry") for one in asked),
    )


def active(numbers: Numbers, cluster: str) -> int:
    """Requests in flight at a cluster."""
    kinds = ("upstream_rq_active", "upstream_rq_pending_active")
    return sum(_number(numbers, cluster, kind) for kind in kinds)


def gate_is_ready(numbers: Numbers) -> bool:
    """Whether Envoy sees the gate, and no connection is left that does not know of it."""
    draining = sum(int(v) for k, v in numbers.items() if k.startswith("listener_manager."))
    return _number(numbers, names.GATE, "membership_healthy") > 0 and not draining


def _came_in(numbers: Numbers) -> Iterable[int]:
    own = {f"http.{name}.downstream_rq_active" for name in _OWN}
    end = ".downstream_rq_active"
    return (
        int(value)
        for name, value in numbers.items()
        if name.startswith("http.") and name.endswith(end) and name not in own
    )


def _clusters(numbers: Numbers) -> Iterable[str]:
    end = ".upstream_rq_active"
    return (k[len("cluster.") : -len(end)] for k in numbers if k.endswith(end))


def _number(numbers: Numbers, cluster: str, kind: str) -> int:
    return int(numbers.get(f"cluster.{cluster}.{kind}", 0))
