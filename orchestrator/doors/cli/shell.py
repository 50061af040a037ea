"""`shell-init` and `completion`: what a shell evaluates. Nothing of a site is needed for it."""

from __future__ import annotations

from typing import Annotated

import typer

Shell = Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")]


def shell_init(ctx: typer.Context, shell: Shell) -> None:
    """What makes `bg deploy` work at a prompt and leaves job control alone: eval "$(bgctl shell-
    init bash)".
    """
    from orchestrator.doors.cli.app import VERBS
    from orchestrator.doors.cli.shell_init import script

    _known(shell)
    print(script(shell, VERBS))


def completion(ctx: typer.Context, shell: Shell) -> None:
    """What completes our verbs and options in a shell."""
    from orchestrator.doors.cli.app import VERBS, options_of
    from orchestrator.doors.cli.completion import script

    _known(shell)
    print(script(shell, {verb: options_of(verb) for verb in VERBS}))


def _known(shell: str) -> None:
    from orchestrator.doors.cli.shell_init import SHELLS

    if shell not in SHELLS:
        raise typer.BadParameter(f"{shell!r} is none of {', '.join(SHELLS)}", param_hint="SHELL")
