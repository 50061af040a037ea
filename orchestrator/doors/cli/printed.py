"""`init haproxy` and its like: what stands elsewhere for a site, printed for whoever puts it there.

The one rule: stdout is the text and nothing else, so that it can be piped to where it belongs; what
there is to say about it goes to stderr. Nothing is written and nobody is asked.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.setting import Setting


def printed(ctx: typer.Context, what: str) -> None:
    """`what`: one of `first.PRINTED`. Ends with `typer.Exit` and the code."""
    from orchestrator.config.mistakes import BadSite
    from orchestrator.doors.cli.answer import Answer, tell
    from orchestrator.doors.cli.exits import Exit

    setting: Setting = ctx.obj
    try:
        answer = _OF[what](_file(setting))
    except BadSite as bad:
        answer = Answer(Exit.BAD_INPUT, "bad-input", problem=str(bad))
    if answer.exit is Exit.DONE and not setting.json:
        sys.stdout.write(answer.text)
    else:
        tell(answer, None, as_json=setting.json, color=setting.color)
    raise typer.Exit(int(answer.exit))


def _file(setting: Setting) -> Path:
    from pathlib import Path

    from orchestrator.config.load import find

    return find(Path(setting.site or "."))


def _haproxy(file: Path) -> Answer:
    return _lines(file, "haproxy", "the haproxy.cfg")


def _nginx(file: Path) -> Answer:
    return _lines(file, "nginx", "the nginx configuration")


def _lines(file: Path, kind: str, place: str) -> Answer:
    """The lines for each switch; which hosts need them is a comment before them."""
    from orchestrator.config.load import load
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit
    from orchestrator.wiring import fragments

    site = load(file)
    found = fragments(site, kind)
    if not found:
        problem = f"No switch of {site.name} is of the kind `{kind}`: there is nothing to print."
        return Answer(Exit.BAD_INPUT, "bad-input", problem=problem)
    texts = (
        f"# Switch {name}: for {place} of {', '.join(hosts)}.\n{text}"
        for name, hosts, text in found
    )
    fragments_of = [
        {"switch": name, "hosts": list(hosts), "text": text} for name, hosts, text in found
    ]
    return Answer(Exit.DONE, "printed", text="\n".join(texts), more={"fragments": fragments_of})


def _systemd(file: Path) -> Answer:
    """For root a unit of the system, for everybody else one of their own."""
    from orchestrator.config.load import load
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit
    from orchestrator.doors.cli.unit import name_of, unit

    site = load(file)
    user = "root" if os.geteuid() == 0 else None
    text = unit(
        site,
        (*_ourselves(), "--site", str(file.absolute()), "tend"),
        user=user,
        state_home=os.environ.get("XDG_STATE_HOME"),
    )
    return Answer(Exit.DONE, "printed", text=text, more={"unit": name_of(site), "text": text})


def _ourselves() -> tuple[str, ...]:
    """How this command is started, wherever one stands."""
    import shutil

    typed = shutil.which(sys.argv[0]) or ""
    if typed.rpartition("/")[2] in ("bgctl", "bg", "kubectl-bg"):
        return (os.path.abspath(typed),)
    return (sys.executable, "-m", "orchestrator")


_OF = {"haproxy": _haproxy, "nginx": _nginx, "systemd": _systemd}
