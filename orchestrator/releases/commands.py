"""A command of the user's own as it is run: words filled in, secrets read; and how it ended, told.

Pure but for the reading of secrets. The one rule: what a command says reaches people as its last
few lines, plain, and without any secret that was read for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.core.model import Recipe
from orchestrator.core.steps import Run
from orchestrator.core.words import span
from orchestrator.releases import secrets
from orchestrator.releases.redact import Redactor
from orchestrator.releases.templates import fill

LINES, WIDTH = 5, 200  # of what is shown of the last words
_ORDERS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Order:
    """What to run. The environment is what the file says; what is inherited comes to it."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    within_s: float


async def order_of(
    run: Run, argv: tuple[str, ...], words: Mapping[str, str], folder: str, redactor: Redactor
) -> Order:
    """Templates filled, secrets read (relative to `folder`). `Refused` says which cannot be had."""
    command = run.command
    values = await secrets.resolve(Recipe((), command.env), folder, redactor)
    title = f"steps.{command.name}"
    env = {
        name: fill(value, words, f"{title}, env {name}") if isinstance(value, str) else values[name]
        for name, value in command.env
    }
    return Order(tuple(fill(word, words, title) for word in argv), env, command.timeout_s)


def words_of(site: str, run: Run, host: str = "") -> dict[str, str]:
    """What the templates of a step mean; on this machine there is no `{host}`."""
    words = {"site": site}
    if host:
        words["host"] = host
    if run.about is not None:
        words |= {
            "service": run.about.service,
            "color": run.about.color.value,
            "version": run.about.release.version,
            "release": run.about.release.label,
        }
    return words


def ended_badly(run: Run, code: int | None, said: str, redactor: Redactor) -> str:
    """`exit code 3; last words: … / …`"""
    if code is None:
        how = f"not done within {span(run.command.timeout_s)}, and ended"
    else:
        how = f"ended by signal {-code}" if code < 0 else f"exit code {code}"
    plain = redactor.clean(_ORDERS.sub("", said))
    last = [line.strip()[:WIDTH] for line in plain.splitlines() if line.strip()][-LINES:]
    return f"{how}; last words: {' / '.join(last)}" if last else how
