"""The ports of the addresses nobody chose: inner ones, previews, probes.

The one rule: chosen once, kept for the life of the site, because programs that run know them. They
lie in one synced file; a place that is new gets a port that is free at that moment. Knows nothing
of what is served there.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.adapters.envoy import files, names
from orchestrator.core.model import Color, Site
from orchestrator.ports.trouble import Refused

FIRST, LAST = 23000, 31999  # below what a kernel gives to outgoing connections


class Places:
    """The ports of a site, in `ports.json` of this folder."""

    def __init__(self, site: Site, folder: str) -> None:
        self._site = site
        self._folder = folder
        self._path = os.path.join(folder, "ports.json")
        self._ports: dict[str, int] = {}

    def port(self, place: str) -> int:
        """The port of a place (`names.places`).

        Chooses for all that have none. `Refused`: none is left.
        """
        return self.all()[place]

    def all(self) -> dict[str, int]:
        wanted = names.places(self._site)
        if not all(place in self._ports for place in wanted):
            self._ports = self._kept()
        if not all(place in self._ports for place in wanted):
            with self._alone():
                self._ports = self._kept()
                self._choose([place for place in wanted if place not in self._ports])
        return self._ports

    def _kept(self) -> dict[str, int]:
        text = files.read(self._path)
        if text is None:
            return {}
        try:
            return {str(place): int(port) for place, port in json.loads(text).items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise Refused(
                f"{self._path} is damaged ({error}). Programs that run know these ports:"
                " put the file back."
            ) from error

    def _choose(self, new: list[str]) -> None:
        taken = set(self._ports.values()) | _ports_of(self._site)
        free = _free(taken, zlib.crc32(self._folder.encode()))
        for place in new:
            self._ports[place] = next(free)
        files.write(self._path, json.dumps(self._ports, indent=1) + "\n")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        files.make_folder(self._folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
        with open(os.open(f"{self._path}.lock", flags, 0o600), "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _ports_of(site: Site) -> set[int]:
    """What the site file gives away itself."""
    instances = {
        service.placement.port(color, i)
        for service in site.services
        for color in Color
        for i in range(service.placement.count)
    }
    return instances | {spec.port for spec in site.switches}


def _free(taken: set[int], seed: int) -> Iterator[int]:
    """Free ports, begun at a place of this site's own, so that two sites seldom want the same."""
    count = LAST - FIRST + 1
    for step in range(count):
        port = FIRST + (seed + step) % count
        if port not in taken and is_free("127.0.0.1", port):
            yield port
    raise Refused(f"no port between {FIRST} and {LAST} is free for the inner addresses of the site")


def is_free(host: str, port: int) -> bool:
    """Whether a program could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True
