"""The command lines of the system's own programs, as data.

Pure. The one rule: every argument is a name that was checked, or comes after `--`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX = {
    "root": ["systemctl"],
    "user": ["systemctl", "--user"],
    "sudo": ["sudo", "-n", "systemctl"],
}
SHOWN = (
    "Id", "LoadState", "ActiveState", "SubState", "Result", "MainPID", "InvocationID", "NRestarts",
    "ExecMainCode", "ExecMainStatus", "ExecMainPID", "ExecMainStartTimestampMonotonic",
    "ExecMainExitTimestampMonotonic", "UnitFileState",
)  # fmt: skip


def systemctl(how: str, verb: str, *words: str) -> list[str]:
    return [*PREFIX[how], "--no-pager", "--no-ask-password", verb, *words]


def show(how: str, units: Sequence[str]) -> list[str]:
    """Units by name, and of patterns those that are loaded (with --all: also where they rest)."""
    # A look needs no rights, so it does not go through sudo.
    looking = "root" if how == "sudo" else how
    return systemctl(looking, "show", "--all", "--property=" + ",".join(SHOWN), "--", *units)


def start(how: str, units: Sequence[str]) -> list[str]:
    """Not waited for: a start is over when it is seen."""
    return systemctl(how, "start", "--no-block", "--", *units)


def stop(how: str, units: Sequence[str]) -> list[str]:
    return systemctl(how, "stop", "--no-block", "--", *units)


def kill(how: str, units: Sequence[str]) -> list[str]:
    return systemctl(how, "kill", "--signal=SIGKILL", "--", *units)


def enable(how: str, units: Sequence[str]) -> list[str]:
    """systemd knows of it after the next `reload`, which by itself it would do here as well."""
    return systemctl(how, "enable", "--quiet", "--no-reload", "--", *units)


def disable(how: str, units: Sequence[str]) -> list[str]:
    return systemctl(how, "disable", "--quiet", "--", *units)


def link(how: str, path: str) -> list[str]:
    """As `enable`: to be followed by `reload`."""
    return systemctl(how, "link", "--quiet", "--no-reload", "--", path)


def reset_failed(how: str, units: Sequence[str]) -> list[str]:
    return systemctl(how, "reset-failed", "--", *units)


def reload(how: str) -> list[str]:
    return systemctl(how, "daemon-reload")


def journal(how: str, unit: str, lines: int, form: str) -> list[str]:
    """The newest lines of a unit's log: `form` is json or cat."""
    which = "--user-unit" if how == "user" else "--unit"
    argv = ["journalctl", "--quiet", "--no-pager", "--lines=%d" % lines, "--output=" + form]
    if form == "json":
        fields = "MESSAGE,_SYSTEMD_INVOCATION_ID,INVOCATION_ID,USER_INVOCATION_ID"
        argv.append("--output-fields=" + fields)
    return [*argv, which, unit]


def nginx(how: str, config: str, *words: str) -> list[str]:
    """Test (`-t -q`), print (`-T -q`) or reload (`-s reload`) the nginx of this configuration."""
    return [*(("sudo", "-n") if how == "sudo" else ()), "nginx", "-c", config, *words]


def as_user(user: str, argv: Sequence[str]) -> list[str]:
    """The command, run as this user and in its groups."""
    flags = ("--reuid=" + user, "--regid=" + user, "--init-groups")
    return ["setpriv", *flags, "--", *argv]
