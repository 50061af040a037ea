"""Which verbs there are, and how each is made into a command of typer.

The one rule: a verb's module is loaded when that verb is asked for, so `bgctl --help` costs little
more than typer. Nothing here knows what a verb does.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

SECTIONS: dict[str, dict[str, str]] = {
    "Change what serves": {
        "deploy": "Bring releases up on the idle color, prove them, stop at the gate.",
        "switch": "Grant the cutover, and drive it and the soak.",
        "backout": "Go back, from anywhere.",
        "resume": "Go on with what was interrupted, paused or stuck.",
        "pause": "Stand still after the step at hand.",
    },
    "See": {
        "status": "Who serves, what goes on, how long the way back is open.",
        "hosts": "Each host, what is on it, and what is wrong with it.",
        "plan": "What would be done, and the way back beside it.",
        "prove": "Every state a deploy could get into, before it is opened.",
        "history": "Who did what, when and why.",
        "releases": "Which releases there are, and where they run.",
        "logs": "What the instances of a service said last.",
    },
    "Decide": {
        "grant": "Open a gate.",
        "deny": "Say no at a gate; the rollout goes back.",
        "retire": "Stop what does not serve any more.",
        "reconcile": "Put back, or accept, what somebody changed by hand.",
        "abandon": "Close a rollout and leave everything as it stands.",
        "without": "Go on without a host that is gone.",
        "readmit": "Take a host back that was taken out.",
        "adopt": "Take a site over whose journal was lost.",
        "tend": "Be there while no command runs: deadlines, standbys, drift.",
    },
    "Set up": {
        "init": "Write a first site file here.",
        "check": "Say everything that is wrong with the site and its world.",
        "schema": "Print the JSON Schema of the site file.",
        "shell-init": "What makes `bg deploy` work at a prompt.",
        "completion": "What completes our verbs in a shell.",
    },
}

MODULES = {
    "grant": "gates",
    "deny": "gates",
    "switch": "gates",
    "pause": "resume",
    "abandon": "resume",
    "prove": "plan",
    "reconcile": "upkeep",
    "readmit": "without",
    "retire": "upkeep",
    "releases": "history",
    "init": "first",
    "schema": "first",
    "shell-init": "shell",
    "completion": "shell",
}
"""Where a verb lives, where that is not the module of its own name."""

VERBS = tuple(verb for section in SECTIONS.values() for verb in section)


class _AsTyped:
    """Takes a word as it was typed.

    Typer has pydantic convert each of them, which takes longer to import than all of typer; a verb
    that wants a number reads it itself.
    """

    def coerce(self, value: Any, **_: Any) -> Any:
        return list(value) if isinstance(value, tuple) else value


def _as_typed(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        parameter._runtime_param = _AsTyped()
    return parameters


class Verbs(TyperGroup):
    """The verbs by name; each is made into a command when it is asked for."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = dict.fromkeys(VERBS)  # type: ignore[assignment]

    def get_params(self, ctx: Any) -> list[Any]:
        return _as_typed(super().get_params(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return command(cmd_name) if cmd_name in VERBS else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for title, verbs in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(verbs.items()))


class Verb(TyperCommand):
    """One verb. Its arguments are shown as their metavar says, without types and braces."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _as_typed(super().get_params(ctx))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["[OPTIONS]", *(p.metavar or p.name for p in self._arguments())]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        arguments = [(p.metavar or p.name, p.help) for p in self._arguments() if p.help]
        records = (p.get_help_record(ctx) for p in self.get_params(ctx) if not is_argument(p))
        for title, rows in (("Arguments", arguments), ("Options", [r for r in records if r])):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def _arguments(self) -> list[Any]:
        return [p for p in self.params if is_argument(p)]


def is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def command(verb: str) -> Any:
    """One verb as a command of typer."""
    module = import_module(f"orchestrator.doors.cli.{MODULES.get(verb, verb)}")
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(verb, cls=Verb, epilog="Options for every verb: see `bgctl --help`.")(
        getattr(module, verb.replace("-", "_"))
    )
    made = typer.main.get_command(alone)
    made.name = verb
    return made
