"""`init systemd`: a unit for `bgctl tend`, as text.

Pure: a site and who runs it go in, a unit comes out. The one rule: what tends may come and go, what
it started stays. So only its own process is ended (`KillMode=process`), and there is a sandbox only
where services are on hosts: on this machine they would be inside it, too.
"""

from __future__ import annotations

from orchestrator.core.model import Site

SANDBOX = (
    "NoNewPrivileges=yes",
    "PrivateTmp=yes",
    "ProtectSystem=full",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectControlGroups=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
)


def unit(
    site: Site, argv: tuple[str, ...], *, user: str | None, state_home: str | None = None
) -> str:
    """`argv`: what to run, whole. `user`: who runs a unit of the system; None: a unit of the
    user's own. `state_home`: $XDG_STATE_HOME, where it is not the usual one.
    """
    on_hosts = any(service.placement.hosts for service in site.services)
    lines = [
        *_head(site, user),
        "[Unit]",
        f"Description=bg tends the site {site.name}",
        "Wants=network-online.target",
        "After=network-online.target",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=notify",
        f"ExecStart={' '.join(map(_quoted, argv))}",
        f"WorkingDirectory={_escaped(site.folder)}",
        *([f"User={user}"] if user not in (None, "root") else []),
        *([f"Environment={_quoted(f'XDG_STATE_HOME={state_home}')}"] if state_home else []),
        "Restart=always",
        "RestartSec=2",
        "# Ended in the middle of a turn: what was open goes on when it is there again.",
        "SuccessExitStatus=130",
        "# What it started goes on when it ends.",
        "KillMode=process",
        "TimeoutStopSec=90",
        *(SANDBOX if on_hosts and user is not None else ()),
        "",
        "[Install]",
        f"WantedBy={'default.target' if user is None else 'multi-user.target'}",
    ]
    return "\n".join(lines) + "\n"


def name_of(site: Site) -> str:
    return f"bg-tend-{site.name}.service"


def _head(site: Site, user: str | None) -> tuple[str, ...]:
    """How it gets to where it belongs."""
    name = name_of(site)
    if user is None:
        return (
            f"# bgctl init systemd > ~/.config/systemd/user/{name}",
            f"# systemctl --user daemon-reload && systemctl --user enable --now {name}",
            "# `loginctl enable-linger` once, so that it stays when you log out.",
            "",
        )
    return (
        f"# bgctl init systemd > /etc/systemd/system/{name}",
        f"# systemctl daemon-reload && systemctl enable --now {name}",
        "",
    )


def _quoted(word: str) -> str:
    """A word of a command line of systemd: nothing in it means anything."""
    text = _escaped(word).replace("$", "$$")
    if not any(c.isspace() or c in "\"'\\;" for c in text):
        return text
    inner = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inner}"'


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
