"""What things are called inside Envoy: clusters, runtime keys, addresses; and which switch is at
home for what.

Every service has one *home*: the switch whose Envoy has its clusters, shares, previews and the
inner addresses that lead to it. So no fact is kept by two Envoys, and they cannot disagree. Pure
text; knows neither files nor Envoy's configuration.
"""

from __future__ import annotations

import ipaddress

from orchestrator.core.model import Color, Pin, Service, Site, SwitchSpec

RUNTIME = "bg"  # the name of the runtime layer, and the first part of every key
SERVED = 100  # the value of a key that is on; off is 0

GENERATION = "bg.generation"
GENERATIONS = (
    2**31
)  # generations count below this; it and its complement are weights that add up to it

GATE = "bg.gate"  # the cluster that requests wait at
GATE_SOCKET = "gate.sock"  # in the switch's folder: nobody else can stand there


def home(site: Site, service: Service) -> SwitchSpec | None:
    """The switch that keeps the service; None where the site has no switch at all."""
    wanted = service.behind.switch if service.behind else None
    named = next((spec for spec in site.switches if spec.name == wanted), None)
    return named or (site.switches[0] if site.switches else None)


def at_home(site: Site, spec: SwitchSpec) -> tuple[Service, ...]:
    return tuple(service for service in site.services if home(site, service) == spec)


def pins(site: Site, spec: SwitchSpec) -> tuple[Pin, ...]:
    """The inner addresses that lead to services at home at this switch, sorted."""
    return tuple(
        sorted(
            (
                Pin(caller.name, color, callee.name)
                for callee in at_home(site, spec)
                for caller, _ in site.callers_of(callee.name)
                for color in Color
            ),
            key=pin_place,
        )
    )


# -- Clusters and keys ---------------------------------------------------------------------


def cluster(service: str, color: Color) -> str:
    return f"{service}_{color.value}"


def preview_cluster(service: str, color: Color) -> str:
    return f"{service}_{color.value}.preview"


def stream_cluster(service: str, color: Color) -> str:
    """The same instances, for what lasts: so Envoy counts it apart. Only where the site holds."""
    return f"{service}_{color.value}.stream"


def clusters_of(site: Site, service: str, color: Color) -> tuple[str, ...]:
    """Those that lead real traffic there, each counted by Envoy on its own."""
    if site.policy.hold is None:
        return (cluster(service, color),)
    return cluster(service, color), stream_cluster(service, color)


def share_prefix(service: str) -> str:
    """Envoy adds the cluster's name: `bg.web.web_blue` is the weight of web's blue cluster."""
    return f"bg.{service}"


def share_key(service: str, color: Color) -> str:
    return f"{share_prefix(service)}.{cluster(service, color)}"


def stream_key(service: str, color: Color) -> str:
    return f"{share_prefix(service)}.{stream_cluster(service, color)}"


def hold_key(service: str) -> str:
    """On where new requests to the service wait."""
    return f"bg.{service}.hold"


def served_key(service: str) -> str:
    """On where anybody serves. Weights that are all 0 would be the wrong way to say nobody."""
    return f"bg.{service}.served"


def pin_key(pin: Pin, leads_to: Color) -> str:
    return f"bg.pin.{pin.caller}.{pin.color.value}.{pin.callee}.{leads_to.value}"


Ends = tuple[tuple[str, int], ...]


def ends(site: Site, service: Service, color: Color) -> Ends:
    """Host and port of each instance: on this machine, or on the hosts that it is on and that are
    not away.
    """
    place = service.placement
    addresses = {host.name: host.address for host in site.hosts}
    hosts = [addresses[name] for name in place.hosts] or ["127.0.0.1"] * place.count
    return tuple((hosts[i], place.port(color, i)) for i in place.instances)


# -- Addresses -----------------------------------------------------------------------------


def is_address(host: str) -> bool:
    """Envoy listens at addresses; the one name that means the same everywhere is let pass."""
    try:
        ipaddress.ip_address(address(host))
    except ValueError:
        return False
    return True


def address(host: str) -> str:
    return "127.0.0.1" if host == "localhost" else host


def probe_place(spec: SwitchSpec) -> str:
    return f"probe/{spec.name}"


def pin_place(pin: Pin) -> str:
    return f"inner/{pin.caller}/{pin.color.value}/{pin.callee}"


def preview_place(service: str, color: Color) -> str:
    return f"preview/{service}/{color.value}"


def places(site: Site) -> tuple[str, ...]:
    """Every address of the site that needs a port of its own choosing."""
    return tuple(place for spec in site.switches for place in places_at(site, spec))


def places_at(site: Site, spec: SwitchSpec) -> tuple[str, ...]:
    return (
        probe_place(spec),
        *(pin_place(pin) for pin in pins(site, spec)),
        *(preview_place(s.name, color) for s in at_home(site, spec) for color in Color),
    )
