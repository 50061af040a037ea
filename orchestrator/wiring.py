"""The only module that knows everybody: from a site to a world that is ready.

Everything of a site lies below its state folder: the journal with the lease, the fence, the
processes and their logs, the releases, the switch's files. The one rule: nothing is decided here,
and nothing is touched; making a world ready creates no file.
"""

from __future__ import annotations

import os

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.envoy.switch import EnvoySwitch
from orchestrator.adapters.http.prober import NetworkProber
from orchestrator.adapters.local.artifacts import LocalArtifacts
from orchestrator.adapters.local.fence import LocalFence
from orchestrator.adapters.local.installation import LocalInstallation
from orchestrator.adapters.local.processes import LocalProcesses
from orchestrator.adapters.local.redact import Redactor
from orchestrator.adapters.sqlite.database import Database
from orchestrator.adapters.sqlite.journal import SqliteJournal
from orchestrator.adapters.sqlite.lease import SqliteLease
from orchestrator.core.model import Site
from orchestrator.engine.world import World
from orchestrator.ports.witness import Witness

_SECRETS = Redactor()
"""Every secret that this process has read, so that no text of it shows one."""


def clean(text: str) -> str:
    """The text without any secret that this process has read."""
    return _SECRETS.clean(text)


def ready(site: Site, *, witness: Witness) -> World:
    """The world of this site.

    While a rollout is open, `site` is the one that it was opened with.
    """
    clock = SystemClock()
    database = Database(site.state, site.name)
    fence = LocalFence(os.path.join(site.state, "fence"))
    processes = LocalProcesses(os.path.join(site.state, "run"))
    switch = EnvoySwitch(site, fence, processes)
    return World(
        site=site,
        journal=SqliteJournal(database, clock),
        lease=SqliteLease(database, clock),
        installation=LocalInstallation(
            site, fence, processes, inner=switch.inner_address, redactor=_SECRETS
        ),
        artifacts=LocalArtifacts(site),
        switch=switch,
        prober=NetworkProber(clock),
        clock=clock,
        witness=witness,
    )
