"""What is known of a site at one instant, and what follows from it: who serves, the way back, what to do next.

The pictures for people and the data for programs both begin here, so that they cannot tell different stories.
What was seen goes before what the journal remembers; where nothing could be seen, that is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.core.chronicle import Chronicle
from orchestrator.core.health import Verdict
from orchestrator.core.model import Color, Site
from orchestrator.core.sight import Sighting
from orchestrator.ports.lease import Holder


@dataclass(frozen=True, slots=True)
class Picture:
    site: Site
    chronicle: Chronicle
    sighting: Sighting | None  # None: nobody looked
    now: float  # seconds since 1970
    holder: Holder | None = None  # who drives; None: nobody
    addresses: Mapping[str, str] = field(default_factory=dict)  # service -> the URL people reach it at
    previews: Mapping[tuple[str, Color], str] = field(default_factory=dict)  # one color, by URL
    verdicts: Mapping[tuple[str, Color], Verdict] = field(default_factory=dict)  # sampled just now


@dataclass(frozen=True, slots=True)
class NextStep:
    command: str  # "bgctl switch"
    does: str  # "grant the cutover and drive it"


def next_steps(chronicle: Chronicle, now: float) -> tuple[NextStep, ...]:
    """What may be asked for now, the likeliest first."""
    raise NotImplementedError


def serving_line(chronicle: Chronicle, sighting: Sighting | None, now: float) -> str:
    """The last line of every command: who serves, and the way back. One line, no newline."""
    raise NotImplementedError
