"""The lines that have to be in the user's haproxy.cfg, as data and as text.

The configuration stays the user's; bg needs a runtime socket, backends per color, a frontend per
inner address and preview, and a few lines in the frontend that people reach. The one rule: no line
names a live color; the map does, and where it names nobody the answer is 503, never a color
somebody guessed. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.adapters.haproxy import lua, names
from orchestrator.core.model import Color, Pin, ProxySpec, Route, Service, Site
from orchestrator.proxies import addresses

_LASTS = ("{ req.hdr(upgrade) -m found }", "{ req.hdr(accept) -m sub -i text/event-stream }")


@dataclass(frozen=True, slots=True)
class Section:
    """`anywhere`: the lines may stand in any frontend of the user's, together and in this order."""

    head: str
    lines: tuple[str, ...]
    own: tuple[str, ...] = ()  # printed before them, and the user's to change
    anywhere: bool = False


def fragment(site: Site, spec: ProxySpec) -> str:
    """What `bgctl init haproxy` prints."""
    parts = [
        f"# What bg needs of HAProxy for the site {site.name}; times are your own `defaults`.\n"
    ]
    for section in sections(site, spec):
        lines = "".join(f"    {line}\n" for line in (*section.own, *section.lines))
        parts.append(f"{section.head}\n{lines}")
    return "\n".join(parts)


def sections(site: Site, spec: ProxySpec) -> tuple[Section, ...]:
    services = addresses.at_home(site, spec)
    ports = addresses.ports(site)
    return (
        _global(site, spec),
        _outer(site, spec),
        *(
            _inner(site, spec, pin, ports[addresses.pin_place(pin)])
            for pin in addresses.pins(site, spec)
        ),
        *(
            _preview(site, service, color, ports[addresses.preview_place(service.name, color)])
            for service in services
            for color in Color
        ),
        *(s for service in services for color in Color for s in _backends(site, service, color)),
        _nobody(site),
    )


def _global(site: Site, spec: ProxySpec) -> Section:
    load = f"lua-load-per-thread {names.lua_file(site, spec)}"
    socket = f"stats socket {spec.socket} mode 660 level admin"
    return Section("global", (socket, load) if site.policy.hold else (socket,))


# -- What people reach ---------------------------------------------------------------------


def _outer(site: Site, spec: ProxySpec) -> Section:
    service, color = names.variable(site, "service"), names.variable(site, "color")
    lines = [
        f"http-request set-var({service}) str({name}) if {condition}"
        for name, route in addresses.routes(site, spec)  # the last that matches wins
        for condition in (_matching(route),)
    ]
    if site.policy.hold is not None:
        held = f"{{ var({service}),map_str_int({names.holds_map(site, spec)},0) gt 0 }}"
        lines.append(f"http-request lua.{lua.action(site)} if {held}")
    lookup = f"var({service}),map_str({names.colors_map(site, spec)},{addresses.NOBODY})"
    lines.append(f"http-request set-var({color}) {lookup}")
    ours = f"{{ var({service}) -m found }}"
    # A backend that does not exist would lead to the default one of the user's.
    nobody = f"{{ var({color}) -m str {addresses.NOBODY} }}"
    lines.append(f"use_backend {names.prefix(site)}nobody if {ours} {nobody}")
    lines += _ways(site, f"%[var({service})]", f"%[var({color})]", ours)
    own = (
        "# These lines may stand in a frontend of your own instead.",
        f"bind :{addresses.outer_port(spec)}",
    )
    return Section(f"frontend {names.prefix(site)}edge", tuple(lines), own, anywhere=True)


def _matching(route: Route) -> str:
    host = f"{{ req.hdr(host),field(1,:) -i {route.host} }} " if route.host else ""
    path = route.path.rstrip("/")
    if not path:
        return host.strip() or "TRUE"
    return f"{host}{{ path {path} }} || {host}{{ path_beg {path}/ }}"


def _ways(site: Site, service: str, color: str, condition: str = "") -> list[str]:
    """To the backend of a color; what lasts to that of its own."""
    way = names.backend(site, service, color)
    plain = f"use_backend {way}" + (f" if {condition}" if condition else "")
    if site.policy.hold is None:
        return [plain]
    lasting = [
        f"use_backend {names.stream_backend(site, service, color)} if {condition} {lasts}"
        for lasts in _LASTS
    ]
    return [*(" ".join(line.split()) for line in lasting), plain]


# -- Inner addresses and previews ----------------------------------------------------------


def _inner(site: Site, spec: ProxySpec, pin: Pin, port: int) -> Section:
    color = names.variable(site, "color")
    lookup = (
        f"str({addresses.pin_key(pin)}),map_str({names.colors_map(site, spec)},{addresses.NOBODY})"
    )
    lines = (
        f"bind :{port}",
        "mode http",
        f"http-request set-var({color}) {lookup}",
        *_ways(site, pin.callee, f"%[var({color})]"),
        f"default_backend {names.prefix(site)}nobody",
    )
    return Section(f"frontend {names.inner_frontend(site, pin)}", lines)


def _preview(site: Site, service: Service, color: Color, port: int) -> Section:
    way = names.preview_backend(site, service.name, color)
    lines = (f"bind :{port}", "mode http", f"default_backend {way}")
    return Section(f"frontend {names.preview_frontend(site, service.name, color)}", lines)


# -- Backends ------------------------------------------------------------------------------


def _backends(site: Site, service: Service, color: Color) -> list[Section]:
    ways = [
        names.backend(site, service.name, color),
        names.preview_backend(site, service.name, color),
    ]
    if site.policy.hold is not None:
        ways.insert(1, names.stream_backend(site, service.name, color))
    servers = tuple(
        f"server {name} {address}" for name, address in addresses.servers_of(site, service, color)
    )
    # What no instance can have seen is asked of another one.
    again = ("mode http", "retries 3", "option redispatch 1")
    return [Section(f"backend {way}", (*again, *servers)) for way in ways]


def _nobody(site: Site) -> Section:
    answer = 'http-request return status 503 content-type text/plain string "nobody serves this"'
    return Section(f"backend {names.prefix(site)}nobody", ("mode http", answer))
