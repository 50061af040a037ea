"""What things are called inside HAProxy: map files, backends, frontends, variables.

The one rule: all of it follows from the site alone, so every controller, and whoever lost its state
folder, names the same things. Pure text.
"""

from __future__ import annotations

from orchestrator.core.model import Color, Pin, ProxySpec, Site
from orchestrator.proxies.addresses import pin_key

CONFIG = "/etc/haproxy/haproxy.cfg"  # where nothing runs that could say which files it read


# -- Files ---------------------------------------------------------------------------------


def file(site: Site, spec: ProxySpec, end: str) -> str:
    return f"{spec.maps.rstrip('/')}/{site.name}.{end}"


def colors_map(site: Site, spec: ProxySpec) -> str:
    return file(site, spec, "colors.map")


def holds_map(site: Site, spec: ProxySpec) -> str:
    return file(site, spec, "holds.map")


def waits_map(site: Site, spec: ProxySpec) -> str:
    return file(site, spec, "waits.map")


def lua_file(site: Site, spec: ProxySpec) -> str:
    return file(site, spec, "hold.lua")


# -- In the configuration ------------------------------------------------------------------


def prefix(site: Site) -> str:
    return f"bg.{site.name}."


def backend(site: Site, service: str, color: Color | str) -> str:
    return f"{prefix(site)}{service}.{color.value if isinstance(color, Color) else color}"


def stream_backend(site: Site, service: str, color: Color | str) -> str:
    """The same instances, for what lasts, so that it is counted apart. Where the site holds."""
    return f"{backend(site, service, color)}.stream"


def preview_backend(site: Site, service: str, color: Color) -> str:
    """The same instances, seen through a preview: that is no traffic."""
    return f"{backend(site, service, color)}.preview"


def backends(site: Site, service: str, color: Color) -> tuple[str, ...]:
    """All that lead to these instances."""
    stream = (stream_backend(site, service, color),) if site.policy.hold is not None else ()
    return (backend(site, service, color), preview_backend(site, service, color), *stream)


def inner_frontend(site: Site, pin: Pin) -> str:
    return f"{prefix(site)}inner.{pin_key(pin)}"


def preview_frontend(site: Site, service: str, color: Color) -> str:
    return f"{prefix(site)}preview.{service}.{color.value}"


def variable(site: Site, name: str) -> str:
    return f"txn.bg_{plain(site)}_{name}"


def plain(site: Site) -> str:
    """For where HAProxy and Lua want letters, digits and _ only."""
    return site.name.replace("-", "_")
