"""`init` and `schema`: a first site file, and what may stand in one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.setting import Setting


PRINTED = ("haproxy", "nginx", "systemd")
"""What is printed for a site that there is already; a folder of that name is `./haproxy`."""


def init(
    ctx: typer.Context,
    folder: Annotated[
        str, typer.Argument(metavar="[FOLDER|haproxy|nginx|systemd]", help="Default: here.")
    ] = ".",
) -> None:
    """Write a first site file, its schema and a first release.

    What is there already is left alone. `init haproxy`, `init nginx` and `init systemd` write
    nothing: they print the lines that the site needs in the configuration of its proxies, and a
    unit for `bgctl tend`.
    """
    from pathlib import Path

    if folder in PRINTED:
        from orchestrator.doors.cli.printed import printed

        printed(ctx, folder)
    else:
        _say(ctx.obj, _first(Path(folder)))


def schema(ctx: typer.Context) -> None:
    """Print the JSON Schema of the site file, for editors."""
    import json

    from orchestrator.config.schema import schema as made

    print(json.dumps(made(), indent=2))


def _first(folder: Path) -> Answer:
    from orchestrator.config.init import SITE_FILE, first_files
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit

    if (folder / SITE_FILE).exists():
        problem = f"{folder / SITE_FILE} is there already; it was left alone."
        return Answer(
            Exit.BAD_INPUT, "exists", problem=problem, next=(("bgctl check", "what it says"),)
        )
    try:
        written = [_write(folder / name, text) for name, text in first_files(folder).items()]
    except OSError as error:
        problem = f"{folder} cannot be written: {error.strerror}"
        return Answer(Exit.BAD_INPUT, "cannot-write", problem=problem)
    return Answer(
        Exit.DONE,
        "written",
        text="\n".join(f"Wrote {path}." for path in written),
        next=(("bgctl check", "says what is wrong"), ("bgctl deploy web=1.0", "brings it up")),
        more={"files": written},
    )


def _write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "x") as file:
        file.write(text)
    return str(path)


def _say(setting: Setting, answer: Answer) -> None:
    from orchestrator.doors.cli.answer import tell

    tell(answer, None, as_json=setting.json, color=setting.color)
    raise typer.Exit(int(answer.exit))
