"""The command `bgctl`: which verbs there are, and the options they all share.

The one rule: nothing is imported before it is needed. A verb's module is loaded when that verb is
called, so `bgctl --help` costs little more than typer. This module knows the names of the verbs and
nothing of what they do.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from orchestrator.doors.cli.exits import Exit
from orchestrator.doors.cli.setting import Setting, hoisted, wants_json

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
        records = (p.get_help_record(ctx) for p in self.get_params(ctx) if not _is_argument(p))
        for title, rows in (("Arguments", arguments), ("Options", [r for r in records if r])):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def _arguments(self) -> list[Any]:
        return [p for p in self.params if _is_argument(p)]


def _is_argument(parameter: Any) -> bool:
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


def options_of(verb: str) -> dict[str, str]:
    """Each option of a verb and what it does; those for every verb last."""
    params = [*command(verb).params, *typer.main.get_command(app).params]
    found = {name: p.help or "" for p in params if not _is_argument(p) for name in p.opts}
    return found | {"--help": "Show what it does."}


app = typer.Typer(
    cls=Verbs,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="A WISH is web=2 (a version), web=./build (a path), or 2 (every service)."
    " Exit codes: see docs/exit-codes.md.",
)


def _version(asked: bool) -> None:
    if asked:
        from orchestrator import __version__

        print(f"bgctl {__version__}")
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    site: Annotated[
        str | None,
        typer.Option(envvar="BG_SITE", show_envvar=False, metavar="FILE",
                     help="The site file or its folder (default: $BG_SITE, else bg.yaml"
                     " here or above)."),
    ] = None,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="text|json", help="How the answer is written.")
    ] = "text",
    log_format: Annotated[
        str, typer.Option(metavar="plain|json", help="How the talk on stderr is written.")
    ] = "plain",
    no_color: Annotated[
        bool, typer.Option("--no-color", help="No color, as with NO_COLOR.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Which bgctl it is.")
    ] = False,
) -> None:  # fmt: skip
    """Blue/green deployments: bring a release up beside the one that serves, prove it, switch, and
    back out.

    `bgctl deploy web=2`, then `bgctl switch`, and at any time `bgctl backout`.
    """
    for name, value, known in (
        ("-o", output, ("text", "json")),
        ("--log-format", log_format, ("plain", "json")),
    ):
        if value not in known:
            raise typer.BadParameter(f"{value!r} is none of {', '.join(known)}", param_hint=name)
    ctx.obj = Setting(site, output == "json", log_format, not no_color, ready=ctx.obj)


def main() -> NoReturn:
    """Ends at once: taking apart what was imported would take as long as some verbs do."""
    gc.disable()  # until the verb is loaded: nothing of what is imported becomes garbage
    code = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def run(argv: list[str], ready: Callable[..., Any] | None = None) -> int:
    """The whole command, and its exit code. Writes to stdout and stderr.

    `ready`: makes the world of a site; for another one than that of this machine.
    """
    try:
        command = typer.main.get_command(app)
        code = command.main(hoisted(argv) or ["--help"], "bgctl", standalone_mode=False, obj=ready)
        return int(code or 0)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except SystemExit as ended:  # whoever read our help went away
        return int(ended.code or 0)
    except Exception as error:
        return _ended_badly(error, wants_json(argv))


def _ended_badly(error: Any, as_json: bool) -> int:
    """A verb, option or argument that there is not; or a mistake of ours outside of any verb."""
    from orchestrator.doors.cli.answer import Answer, tell
    from orchestrator.doors.cli.troubled import bug

    if hasattr(error, "format_message") and not as_json:
        error.show()
        return Exit.BAD_INPUT
    answer = bug(error)
    if hasattr(error, "format_message"):
        problem = error.format_message()
        answer = Answer(
            Exit.BAD_INPUT,
            "bad-input",
            problem=problem,
            next=(("bgctl --help", "the verbs and options"),),
        )
    tell(answer, None, as_json=as_json, color=False)
    return answer.exit
