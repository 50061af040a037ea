"""The command `bgctl`: the options that all verbs share, and the beginning and end of a call.

The one rule: whatever happens, it ends with one of the exit codes, and nothing is imported before
it is needed. It knows nothing of what the verbs do.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, NoReturn

import typer

from orchestrator.doors.cli.exits import Exit
from orchestrator.doors.cli.setting import Setting, hoisted, wants_json
from orchestrator.doors.cli.verbs import VERBS, Verbs, command, is_argument

__all__ = ["VERBS", "app", "main", "options_of", "run"]

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


def options_of(verb: str) -> dict[str, str]:
    """Each option of a verb and what it does; those for every verb last."""
    params = [*command(verb).params, *typer.main.get_command(app).params]
    found = {name: p.help or "" for p in params if not is_argument(p) for name in p.opts}
    return found | {"--help": "Show what it does."}


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
