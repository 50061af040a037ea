"""What things are called inside nginx: the file of colors, variables, upstreams, ports.

The one rule: all of it follows from the site alone, so every controller, and whoever lost its state
folder, names the same things. Pure text.
"""

from __future__ import annotations

import hashlib

from orchestrator.core.model import Color, Pin, ProxySpec, Site
from orchestrator.proxies.addresses import asked_place, keys, ports

LONGEST = 40  # of a variable: nginx's table of them has places of 64 bytes


def colors_file(site: Site, spec: ProxySpec) -> str:
    """It is included by the user's configuration, at the level of `http`."""
    return f"{spec.maps.rstrip('/')}/{site.name}.colors.conf"


def asked_port(site: Site, spec: ProxySpec) -> int:
    """Where it answers with the colors that it has, on 127.0.0.1 only."""
    return ports(site)[asked_place(spec)]


# -- Variables -----------------------------------------------------------------------------


def color(site: Site, key: str) -> str:
    """The variable that holds the color of a key."""
    return _variable(site, "color", *key.split("."))


def way(site: Site) -> str:
    """Service and color of a request of people, as the end of an upstream's name."""
    return _variable(site, "way")


def upgrade(site: Site) -> str:
    """What the header `Connection` says to an instance."""
    return _variable(site, "connection")


def variables(site: Site, spec: ProxySpec) -> dict[str, str]:
    """Of each key, without the `$`."""
    return {key: color(site, key)[1:] for key in keys(site, spec)}


def _variable(site: Site, *words: str) -> str:
    """Letters, digits and _ only, and no two alike: nginx does not tell cases apart either."""
    name = "__".join(_plain(word) for word in (f"bg_{_plain(site.name)}", *words))
    if len(name) > LONGEST:
        name = f"bg_{hashlib.sha256(name.encode()).hexdigest()[:20]}"
    return f"${name}"


def _plain(name: str) -> str:
    """Two underscores part the words; the two that a name may have go on with an `x`."""
    return name.replace("--", "_-x").replace("-", "_")


# -- Upstreams -----------------------------------------------------------------------------


def prefix(site: Site) -> str:
    return f"bg.{site.name}."


def upstream(site: Site, service: str, color_: Color | str) -> str:
    return f"{prefix(site)}{service}.{color_.value if isinstance(color_, Color) else color_}"


def preview_upstream(site: Site, service: str, color_: Color) -> str:
    """The same instances, seen through a preview: that is no traffic."""
    return f"{upstream(site, service, color_)}.preview"


def inner_color(site: Site, pin: Pin) -> str:
    return color(site, f"{pin.caller}.{pin.color.value}.{pin.callee}")
