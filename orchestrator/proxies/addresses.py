"""Who is where at the proxies of a site: homes, keys, and the ports of addresses.

Every service has one *home*: the switch whose proxies have its ways, its previews and the inner
addresses that lead to it. The one rule: all of it follows from the site alone, so every controller,
and whoever lost its state folder, names the same things. Pure text and numbers.
"""

from __future__ import annotations

import zlib
from urllib.parse import urlsplit

from orchestrator.core.model import Color, Pin, ProxyKind, ProxySpec, Route, Service, Site

NOBODY = "none"  # in a proxy's file of colors: neither color
FIRST, LAST = 20000, 31999  # below what a kernel gives to outgoing connections


def home(site: Site, service: Service) -> ProxySpec | None:
    """The switch that keeps the service; None where another kind of switch does."""
    wanted = service.behind.switch if service.behind else None
    named = next((spec for spec in site.proxies if spec.name == wanted), None)
    if named or wanted or site.switches:
        return named
    return site.proxies[0] if site.proxies else None


def at_home(site: Site, spec: ProxySpec) -> tuple[Service, ...]:
    kept = ((service, home(site, service)) for service in site.services)
    return tuple(service for service, at in kept if at is not None and at.name == spec.name)


def out(site: Site, spec: ProxySpec) -> tuple[str, ...]:
    """The hosts of services at home here that were taken out, sorted."""
    return tuple(sorted({host for one in at_home(site, spec) for host in one.placement.away}))


def pins(site: Site, spec: ProxySpec) -> tuple[Pin, ...]:
    """The inner addresses that lead to services at home here, sorted."""
    found = (
        Pin(caller.name, color, callee.name)
        for callee in at_home(site, spec)
        for caller, _ in site.callers_of(callee.name)
        for color in Color
    )
    return tuple(sorted(found, key=pin_key))


def routes(
    site: Site, spec: ProxySpec, *, narrow_first: bool = False
) -> tuple[tuple[str, Route], ...]:
    """The services that people reach here, each with its way; whoever says less comes first."""
    found = [
        (service.name, service.behind)
        for service in at_home(site, spec)
        if service.behind and service.behind.switch == spec.name
    ]

    def narrowness(item: tuple[str, Route]) -> tuple[bool, int, str]:
        route = item[1]
        return route.host is not None, len(route.path.rstrip("/")), route.path

    return tuple(sorted(found, key=narrowness, reverse=narrow_first))


# -- Keys of the colors -------------------------------------------------------------------


def pin_key(pin: Pin) -> str:
    """The key of a service is its name, which has no dots."""
    return f"{pin.caller}.{pin.color.value}.{pin.callee}"


def keys(site: Site, spec: ProxySpec) -> tuple[str, ...]:
    services = (service.name for service in at_home(site, spec))
    return (*services, *map(pin_key, pins(site, spec)))


# -- Addresses ----------------------------------------------------------------------------


def pin_place(pin: Pin) -> str:
    return f"inner/{pin.caller}/{pin.color.value}/{pin.callee}"


def preview_place(service: str, color: Color) -> str:
    return f"preview/{service}/{color.value}"


def asked_place(spec: ProxySpec) -> str:
    """Where an nginx says what it serves, on its own host."""
    return f"asked/{spec.name}"


def places(site: Site) -> tuple[str, ...]:
    """Every address of the site at proxies that has a port of its own."""
    asked = (asked_place(spec) for spec in site.proxies if spec.kind is ProxyKind.NGINX)
    return (*asked, *_reached(site))


def _reached(site: Site) -> tuple[str, ...]:
    return tuple(
        place
        for spec in site.proxies
        for place in (
            *map(pin_place, pins(site, spec)),
            *(preview_place(s.name, color) for s in at_home(site, spec) for color in Color),
        )
    )


def ports(site: Site) -> dict[str, int]:
    """A place's port follows from its own name and the site's. Two that meet, or one that meets a
    port of the site file, is resolved in the order of names.
    """
    taken = _given_away(site)
    found: dict[str, int] = {}
    for place in sorted(places(site)):
        port = FIRST + zlib.crc32(f"{site.name} {place}".encode()) % (LAST - FIRST + 1)
        while port in taken:
            port = FIRST + (port - FIRST + 1) % (LAST - FIRST + 1)
        taken.add(port)
        found[place] = port
    return found


def _given_away(site: Site) -> set[int]:
    instances = {
        service.placement.port(color, index)
        for service in site.services
        for color in Color
        for index in range(service.placement.count)
    }
    return instances | {outer_port(spec) for spec in site.proxies}


def outer_port(spec: ProxySpec) -> int:
    parts = urlsplit(spec.url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def reached_at(spec: ProxySpec) -> str:
    """The name or address under which all proxies of the switch answer."""
    return urlsplit(spec.url).hostname or "127.0.0.1"


def servers_of(site: Site, service: Service, color: Color) -> tuple[tuple[str, str], ...]:
    """Name and address of each instance of a color."""
    addresses = {host.name: host.address for host in site.hosts}
    place = service.placement
    return tuple(
        (place.hosts[index], f"{addresses[place.hosts[index]]}:{place.port(color, index)}")
        for index in (place.instances if place.hosts else ())
    ) or tuple(
        (f"i{index}", f"127.0.0.1:{place.port(color, index)}") for index in range(place.count)
    )
