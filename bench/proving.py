"""How long the proof of a plan over ten services takes: every state, before anything is opened."""

from __future__ import annotations

import statistics
import time

from bench.table import Row
from orchestrator.core.chronicle import Chronicle
from orchestrator.core.health import Verdict
from orchestrator.core.model import (
    Color,
    Placement,
    Recipe,
    Release,
    Service,
    Share,
    Site,
    TcpProbe,
    Use,
)
from orchestrator.core.plan import Plan, plan
from orchestrator.core.prove import Proof, prove
from orchestrator.core.record import Opened, Served, Wanted, Wish
from orchestrator.core.sight import InstallationSeen, InstanceSeen, Sighting, SwitchSeen

SERVICES, MOST_S = 10, 0.5
OLDER, OLD, NEW = (Release(str(n), str(n) * 64) for n in range(3))


def run(quick: bool) -> list[Row]:
    opened, sighting = ten_services()
    times = []
    for _ in range(3 if quick else 9):
        began = time.perf_counter()
        proof = prove(opened, sighting)
        times.append(time.perf_counter() - began)
    assert isinstance(proof, Proof), proof
    median_s = statistics.median(times)
    return [
        Row(
            f"`prove` of a plan over {SERVICES} services",
            f"{median_s:.2f} s",
            f"≤ {MOST_S} s",
            median_s <= MOST_S,
            f"{proof.steps} steps, {proof.states} states: one fault, one restart, one request,"
            " and the driver dying anywhere, any number of times",
        )
    ]


def ten_services() -> tuple[Opened, Sighting]:
    """A chain of services, each using the next, all on blue, with an older standby on green."""
    names = [f"s{n}" for n in range(SERVICES)]
    services = tuple(
        Service(
            name,
            "releases/{version}",
            Recipe(("run",)),
            Placement(2, 20000 + 20 * n, 20010 + 20 * n),
            (TcpProbe(),),
            uses=(Use(names[n + 1]),) if n + 1 < SERVICES else (),
        )
        for n, name in enumerate(names)
    )
    site = Site("bench", services)
    staged = frozenset({OLDER, OLD})
    installations = tuple(
        InstallationSeen(name, color, staged, release, _instances(release))
        for name in names
        for color, release in ((Color.BLUE, OLD), (Color.GREEN, OLDER))
    )
    shares = tuple((name, Share.all_to(Color.BLUE)) for name in names)
    sighting = Sighting(installations, SwitchSeen(shares))
    wish = Wish(tuple(Wanted(name, NEW) for name in names))
    planned = plan(site, wish, sighting, policy=site.policy, chronicle=Chronicle())
    assert isinstance(planned, Plan)
    before = tuple(Served(name, Share.all_to(Color.BLUE), OLD, Verdict.WELL) for name in names)
    return Opened(1, planned.steps, site, site.policy, wish, before, "bench"), sighting


def _instances(release: Release) -> tuple[InstanceSeen, ...]:
    return tuple(InstanceSeen(n, release, True, 1) for n in range(2))
