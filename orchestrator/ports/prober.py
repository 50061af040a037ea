"""Probes.

One look at the health of one instance, bounded in size and time, never raising for an ill target.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from orchestrator.core.health import Sample
from orchestrator.core.model import Probe


@dataclass(frozen=True, slots=True)
class Target:
    """What is probed.

    The instance itself (or the switch, while soaking), and what its templates mean.
    """

    host: str
    port: int
    words: Mapping[
        str, str
    ]  # version, color, instance, release, port … for templates in expectations
    env: Mapping[str, str] | None = None  # for exec probes
    cwd: str | None = None  # as the installation names it
    path_prefix: str = ""


class Prober(Protocol):
    async def sample(self, target: Target, probes: tuple[Probe, ...], timeout_s: float) -> Sample:
        """All probes, side by side;

        GOOD only where all are. Ends within `timeout_s`, whatever the target does.
        """
        ...
