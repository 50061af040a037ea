"""A site file as it can be kept while something runs: what runs keeps the ports it was started on.

A port of the file counts for a color from the deploy on that brings it up anew. The one rule: the
switch is never told of an address at which nobody of the color that serves can be, nor, on the way
back, of the one that stands by. Everything else that the file says counts at once.
"""

from __future__ import annotations

from dataclasses import replace

from orchestrator.core.chronicle import Chronicle
from orchestrator.core.model import Color, Service, Site


def settled(site: Site, chronicle: Chronicle, *, anew: frozenset[str] = frozenset()) -> Site:
    """The site, with the ports of whatever serves or stands by as they were when it came up.

    `anew`: the services whose idle color is to be brought up anew, so that no standby counts.
    """
    standbys = (s for s in chronicle.standbys if s.port and s.service not in anew)
    ports = {(s.service, s.color): s.port for s in standbys}
    ports |= {(s.service, s.color): s.port for s in chronicle.serving if s.port}
    services = tuple(_settled(service, ports) for service in site.services)
    return site if services == site.services else replace(site, services=services)


def _settled(service: Service, ports: dict[tuple[str, Color], int]) -> Service:
    place = service.placement
    blue = ports.get((service.name, Color.BLUE), place.blue_port)
    green = ports.get((service.name, Color.GREEN), place.green_port)
    if (blue, green) == (place.blue_port, place.green_port):
        return service
    return replace(service, placement=replace(place, blue_port=blue, green_port=green))
