"""A desk at which commands are typed: the real command, in this process, on a world of memory.

The site file is real and lies in a folder of the test; what it describes is not, so a whole story
takes a moment and every kind of trouble can be arranged. `e2e/` and `test_on_this_machine` tell the
same stories on real processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.adapters.memory.clock import SimulatedClock
from orchestrator.adapters.memory.fuse import Hook, nothing_happens
from orchestrator.adapters.memory.process import Process
from orchestrator.adapters.memory.witness import MemoryWitness
from orchestrator.adapters.memory.world import ILL, WELL, Health
from orchestrator.adapters.memory.world import World as Truth
from orchestrator.config.load import load
from orchestrator.core.chronicle import Chronicle
from orchestrator.core.model import Site
from orchestrator.doors.cli import app
from orchestrator.doors.cli.exits import Exit
from orchestrator.engine.world import World
from orchestrator.ports.witness import Witness

SITE = """\
site: shop
services:
  web:
    artifact: releases/web-{version}
    run: [bin/web, --port, "{port}", --api, "{api.url}"]
    instances: {count: 2, ports: {blue: 21100, green: 21110}}
    probes: [{http: /healthz}]
    probing: {every: 100ms, within: 5s}
    behind: {switch: edge}
    uses: {api: same}
  api:
    artifact: releases/api-{version}
    run: [bin/api, --port, "{port}"]
    instances: {count: 2, ports: {blue: 21120, green: 21130}}
    probes: [{http: /healthz}]
    probing: {every: 100ms, within: 5s}
    behind: {switch: edge, path: /api}
switches:
  edge: {envoy: {listen: "127.0.0.1:21080"}}
rollout:
ROLLOUT
state: state
"""
ROLLOUT = {"soak": "2s", "gates": "{cutover: {timeout: 1h}}"}


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        """stdout as one JSON object."""
        value: dict[str, Any] = json.loads(self.out)
        return value

    @property
    def last(self) -> str:
        return self.out.rstrip().rpartition("\n")[2]


class Desk:
    """`desk("deploy", "2")` types `bgctl deploy 2`. Releases 1, 2 and 4 are good; 3 is ill."""

    def __init__(self, folder: Path, *, site: str = SITE, **rollout: str) -> None:
        self.site = site
        self.file = folder / "bg.yaml"
        self.rule(**rollout)
        self.truth = Truth(load(self.file))
        self.hook: Hook | None = None  # trouble for the commands to come
        for version, health in {"1": WELL, "2": WELL, "3": ILL, "4": WELL}.items():
            self.offer("web", version, health)
            self.offer("api", version)

    def rule(self, **rollout: str) -> None:
        """Write the site file with these rules, e.g. `soak="5s"`."""
        keys = "".join(f"  {key}: {value}\n" for key, value in (ROLLOUT | rollout).items())
        self.file.write_text(self.site.replace("ROLLOUT\n", keys))

    def offer(self, service: str, version: str, health: Health = WELL) -> None:
        self.truth.offer(service, version, health)

    def __call__(self, *words: str) -> Said:
        self.truth.clock = SimulatedClock(self.truth.clock.now())  # each command has its own loop
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = app.run(["--site", str(self.file), *words], self.ready)
        return Said(code, out.getvalue(), err.getvalue())

    def chronicle(self) -> Chronicle:
        """What all that was done so far adds up to."""
        journal = self.ready(load(self.file), witness=MemoryWitness()).journal
        return asyncio.run(journal.recall()).chronicle

    def ready(self, site: Site, *, witness: Witness) -> World:
        """A process of its own for each world, as for each command."""
        hook = self.hook or nothing_happens
        p = Process(self.truth, hook, site=site)
        hosts = p.hosts if any(service.placement.hosts for service in site.services) else None
        return World(
            site,
            p.journal,
            p.lease,
            p.installation,
            p.artifacts,
            p.switch,
            p.prober,
            p.clock,
            witness,
            p.commands,
            hosts=hosts,
        )


def with_standby(folder: Path) -> Desk:
    """Release 2 serves on green, 1 stands by on blue."""
    made = Desk(folder)
    assert made("deploy", "1").code == Exit.DONE
    assert made("deploy", "2", "--switch").code == Exit.DONE
    return made


def serve(desk: Desk) -> str:
    """Which versions serve, as the world has it: `web 1, api 1`."""
    found = ((name, desk.truth.serves(name)) for name in ("web", "api"))
    return ", ".join(f"{name} {r.version if r else '-'}" for name, r in found)


def one_line(text: str) -> str:
    return " ".join(text.split())
