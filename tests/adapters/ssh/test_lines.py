"""What the controller knows of the agent's verbs without asking it."""

from __future__ import annotations

from bg_agent.table import VERBS

from orchestrator.adapters.ssh.lines import LIMITS_S


def test_every_verb_of_the_agent_has_the_same_time_limit_here() -> None:
    assert {name: verb.limit_s for name, verb in VERBS.items()} == LIMITS_S
