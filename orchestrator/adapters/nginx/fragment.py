"""The lines that have to be in the user's nginx configuration, as data and as text.

The configuration stays the user's; bg needs upstreams per color, a server per inner address and
preview, one on 127.0.0.1 that says which colors each worker has, and a few lines in the server that
people reach. The one rule: no line names a live color; the included file does, and where it names
nobody the answer is 503, never a color somebody guessed. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.adapters.nginx import names
from orchestrator.core.model import Color, Pin, ProxySpec, Route, Service, Site
from orchestrator.proxies import addresses
from orchestrator.proxies.addresses import NOBODY


@dataclass(frozen=True, slots=True)
class Block:
    """A directive with others in it; an empty head: these lines stand at the level of `http`.

    `anywhere`: they may stand in any such block of the user's.
    """

    head: str
    body: tuple[str | Block, ...]
    own: tuple[str, ...] = ()  # printed before them, and the user's to change
    label: str = ""  # what people call it, where the head says nothing
    anywhere: bool = False


def fragment(site: Site, spec: ProxySpec) -> str:
    """What `bgctl init nginx` prints."""
    where = "inside of `http`: as a file in conf.d, say"
    parts = [f"# What bg needs of nginx for the site {site.name}, {where}.\n"]
    parts += ["\n".join(_printed(block)) + "\n" for block in blocks(site, spec)]
    return "\n".join(parts)


def blocks(site: Site, spec: ProxySpec) -> tuple[Block, ...]:
    services, ports = addresses.at_home(site, spec), addresses.ports(site)
    return (
        Block("", (f"include {names.colors_file(site, spec)};",)),
        _way(site, spec),
        Block(f"map $http_upgrade {names.upgrade(site)}", ("default upgrade;", '"" "";')),
        _outer(site, spec),
        *(_inner(site, pin, ports[addresses.pin_place(pin)]) for pin in addresses.pins(site, spec)),
        *(
            _preview(site, service, color, ports[addresses.preview_place(service.name, color)])
            for service in services
            for color in Color
        ),
        *(b for service in services for color in Color for b in _upstreams(site, service, color)),
        _asked(site, spec),
    )


def _printed(block: Block, depth: int = 0) -> Iterator[str]:
    space = "    " * depth
    if block.head:
        yield f"{space}{block.head} {{"
    inside = space + ("    " if block.head else "")
    yield from (inside + line for line in block.own)
    for one in block.body:
        if isinstance(one, Block):
            yield from _printed(one, depth + 1)
        else:
            yield inside + one
    if block.head:
        yield f"{space}}}"


# -- What people reach ---------------------------------------------------------------------


def _way(site: Site, spec: ProxySpec) -> Block:
    """Which service a request is for, with its color: the first that matches."""
    lines = [
        f'"{_matching(route)}" {name}.{names.color(site, name)};'
        for name, route in addresses.routes(site, spec, narrow_first=True)
    ]
    return Block(f"map $host$uri {names.way(site)}", (f"default {NOBODY};", *lines))


def _matching(route: Route) -> str:
    host = re.escape(route.host.lower()) if route.host else "[^/]*"
    path = _quoted(re.escape(route.path.rstrip("/")))
    return f"~^{host}{path}(/|$)" if path else f"~^{host}/"


def _quoted(pattern: str) -> str:
    """As it has to be written between the quotes of a configuration."""
    return pattern.replace("\\\\", "\\\\\\\\").replace('"', '\\"')


def _outer(site: Site, spec: ProxySpec) -> Block:
    way = names.way(site)
    location = _location(site, way, f"{names.prefix(site)}{way}")
    own = (
        "# This location may stand in a server of your own instead.",
        f"listen {addresses.outer_port(spec)};",
    )
    return Block("server", (location,), own, label="server that people reach", anywhere=True)


def _location(site: Site, color: str, upstream: str) -> Block:
    nobody = Block(f"if ({color} ~ {NOBODY}$)", ('return 503 "nobody serves this";',))
    return Block("location /", (nobody, f"proxy_pass http://{upstream};"), _headers(site))


def _headers(site: Site) -> tuple[str, ...]:
    return (
        "proxy_http_version 1.1;",
        "proxy_set_header Host $http_host;",
        "proxy_set_header Upgrade $http_upgrade;",
        f"proxy_set_header Connection {names.upgrade(site)};",
        "proxy_buffering off;",
    )


# -- Inner addresses and previews ----------------------------------------------------------


def _inner(site: Site, pin: Pin, port: int) -> Block:
    color = names.inner_color(site, pin)
    location = _location(site, color, names.upstream(site, pin.callee, color))
    label = f"server of the inner address {addresses.pin_key(pin)}"
    return Block("server", (f"listen {port};", location), label=label)


def _preview(site: Site, service: Service, color: Color, port: int) -> Block:
    way = f"proxy_pass http://{names.preview_upstream(site, service.name, color)};"
    location = Block("location /", (way,), _headers(site))
    label = f"server of the preview {service.name} {color.value}"
    return Block("server", (f"listen {port};", location), label=label)


# -- Upstreams -----------------------------------------------------------------------------


def _upstreams(site: Site, service: Service, color: Color) -> tuple[Block, Block]:
    there = addresses.servers_of(site, service, color)
    servers = tuple(f"server {address};" for _, address in there)
    way = names.upstream(site, service.name, color)
    preview = names.preview_upstream(site, service.name, color)
    kept = ("keepalive 64;",)
    return Block(f"upstream {way}", servers, kept), Block(f"upstream {preview}", servers)


# -- What it says of itself ----------------------------------------------------------------


def _asked(site: Site, spec: ProxySpec) -> Block:
    """Each worker has a socket of its own there (`reuseport`), so that every one can be asked."""
    colors = (
        f'add_header bg-color "{key} {names.color(site, key)}";'
        for key in addresses.keys(site, spec)
    )
    lines = ("add_header bg-worker $pid;", *colors, "return 204;")
    location = Block(f"location = /bg/{site.name}", lines)
    listen = f"listen 127.0.0.1:{names.asked_port(site, spec)} reuseport;"
    own = ("access_log off;",)
    return Block("server", (listen, location), own, label="server that bg asks")
