"""`--hold` and `--no-hold`: how long time may stand still for this cutover, and whether.

The one rule: a command may only shorten what the site says. How long a request can wait is built
into the switch, and counts where the driver is stopped.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestrator.core.model import Policy

HoldTime = Annotated[
    str | None,
    typer.Option("--hold", metavar="TIME", help="Shorten the site's `hold`: 500ms, 1s."),
]
NoHold = Annotated[bool, typer.Option("--no-hold", help="Do not stop time, though the site does.")]


def with_hold(policy: Policy, hold: str | None, no_hold: bool) -> Policy:
    """The policy with the flags applied. Raises `Done`."""
    asked_s = hold_s(policy, hold, no_hold)
    if asked_s is None or policy.hold is None:
        return policy
    return replace(policy, hold=replace(policy.hold, for_s=asked_s) if asked_s else None)


def hold_s(policy: Policy, hold: str | None, no_hold: bool) -> float | None:
    """What the flags say, in seconds; 0: no hold, None: nothing. Raises `Done`."""
    from orchestrator.config.words import seconds
    from orchestrator.core.words import span
    from orchestrator.doors.cli.answer import refused

    if hold is None:
        return 0.0 if no_hold and policy.hold is not None else None
    if no_hold:
        raise refused("--hold and --no-hold contradict each other.")
    if policy.hold is None:
        raise refused("--hold: there is no hold to shorten; write `hold` under `rollout` first.")
    asked_s = seconds(hold)
    if not asked_s:
        raise refused(f"--hold {hold!r} is no time; write it with a unit: 500ms, 1s.")
    if asked_s > policy.hold.for_s:
        raise refused(f"--hold {hold} is longer than the {span(policy.hold.for_s)} of the site.")
    return asked_s
