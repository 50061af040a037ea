"""The template unit of one service and color, and the environment files of its instances.

Pure: a `Launch` in, texts out. What is the same for all instances stands in the unit; a word that
differs (`--port 8110`) becomes a variable of the instance's environment file, `${BG_ARG_3}`.

The one rule: a unit runs only the release it was written for. It asserts that its color points at
that, so whatever is moved or cut off in between, nothing is ever mixed.
"""

from __future__ import annotations

import re

from bg_agent import quoting
from bg_agent.asked import VARIABLE, Release, bad, encodable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from bg_agent.places import Root

SECTIONS = ("Unit", "Service", "Install")
OURS = ("ExecStart", "WorkingDirectory", "EnvironmentFile", "LoadCredential")
KEY = re.compile(r"[A-Z][A-Za-z0-9]{1,60}")
ARGUMENT = "BG_ARG_%d"
VALUES_MAX = 100


class Instance:
    """One instance as asked for: its argv and environment, complete."""

    __slots__ = ("argv", "env", "index", "port")

    def __init__(self, index: int, argv: Sequence[str], env: dict[str, str], port: int) -> None:
        self.index, self.argv, self.env, self.port = index, tuple(argv), env, port


class Launch:
    """What one color is to run. Instances have argvs of the same length, and the same program."""

    __slots__ = (
        "color", "credentials", "instances", "notify", "program", "release", "service", "stop_s",
        "unit", "user",
    )  # fmt: skip

    def __init__(self, service: str, color: str, release: Release) -> None:
        self.service, self.color, self.release = service, color, release
        self.instances: list[Instance] = []
        self.program = ""  # absolute
        self.stop_s, self.notify, self.user = 10.0, False, ""
        self.unit: dict[str, dict[str, list[str]]] = {}
        self.credentials: dict[str, bytes] = {}


# -- The unit ------------------------------------------------------------------------------


def unit_text(root: Root, launch: Launch, systemd: int) -> str:
    """The whole unit file. `systemd` is its version on this host."""
    sections = _defaults(root, launch, systemd)
    for section in SECTIONS:
        given = launch.unit.get(section, {})
        kept = [(key, value) for key, value in sections[section] if key not in given]
        sections[section] = kept + [(key, one) for key, values in given.items() for one in values]
    _add_ours(sections, root, launch)
    blocks = []
    for section, lines in sections.items():
        blocks.append("\n".join(["[%s]" % section] + ["%s=%s" % one for one in lines]))
    head = "# Written by bg for %s %s; a start writes it anew.\n" % (launch.color, launch.service)
    return head + "\n\n".join(blocks) + "\n"


def _defaults(root: Root, launch: Launch, systemd: int) -> dict[str, list[tuple[str, str]]]:
    """What the site's `unit:` may replace, key by key."""
    words = (root.site, launch.service, launch.color)
    service = [
        ("Type", "notify" if launch.notify else "exec" if systemd >= 240 else "simple"),
        ("TimeoutStopSec", "%gs" % launch.stop_s),
        *_again(systemd),
        ("LimitCORE", "0"),
        ("UMask", "0022"),
        ("NoNewPrivileges", "yes"),
        *(_hardening(root) if root.host.how != "user" else ()),
        *((("User", launch.user),) if launch.user else ()),
    ]
    return {
        "Unit": [
            ("Description", "%s: %s %s, instance %%i" % words),
            ("After", "network-online.target"),
            ("StartLimitIntervalSec", "0"),
        ],
        "Service": service,
        "Install": [("WantedBy", root.host.wanted_by)],
    }


def _again(systemd: int) -> list[tuple[str, str]]:
    """Restarted for ever; the pauses grow where systemd knows how."""
    if systemd < 254:
        return [("Restart", "always"), ("RestartSec", "1s")]
    return [
        ("Restart", "always"),
        ("RestartSec", "200ms"),
        ("RestartSteps", "6"),
        ("RestartMaxDelaySec", "10s"),
    ]


def _hardening(root: Root) -> list[tuple[str, str]]:
    """What a manager of users cannot do without more rights than it has."""
    return [
        ("ProtectSystem", "strict"),
        ("ReadWritePaths", quoting.quoted(root.at)),
        ("InaccessiblePaths", quoting.quoted("-" + root.at + "/private")),
        ("PrivateTmp", "yes"),
        ("ProtectKernelTunables", "yes"),
        ("ProtectKernelModules", "yes"),
        ("ProtectControlGroups", "yes"),
        ("LockPersonality", "yes"),
        ("RestrictRealtime", "yes"),
    ]


def _add_ours(sections: dict[str, list[tuple[str, str]]], root: Root, launch: Launch) -> None:
    """What nobody may replace."""
    current = root.current(launch.service, launch.color)
    private = "%s/%s" % (root.private(launch.service, launch.color), launch.release.digest)
    marker = "%s/%s" % (current, mark(launch.release))
    sections["Unit"].append(("AssertPathExists", quoting.line(marker)))
    sections["Service"] += [
        ("WorkingDirectory", quoting.line(current + "/files")),
        ("EnvironmentFile", quoting.line(private) + "/%i.env"),
        *(
            ("LoadCredential", "%s:%s/credentials/%s" % (name, quoting.line(private), name))
            for name in sorted(launch.credentials)
        ),
        ("ExecStart", command_line(launch)),
    ]
    sections["X-Bg"] = [
        ("Site", root.site),
        ("Service", launch.service),
        ("Color", launch.color),
        ("Release", launch.release.folder),
    ]


def mark(release: Release) -> str:
    """The empty file in a release's folder that a unit asserts."""
    return ".release-" + release.digest


def command_line(launch: Launch) -> str:
    """`ExecStart=`: the program's path, its argv[0] exactly as given, and the rest."""
    argvs = [one.argv for one in launch.instances]
    words = [_word(n, argvs) for n in range(len(argvs[0]))]
    return " ".join([quoting.quoted("@" + launch.program), *words])


def _word(n: int, argvs: list[tuple[str, ...]]) -> str:
    same = {argv[n] for argv in argvs}
    return quoting.word(argvs[0][n]) if len(same) == 1 else '"${%s}"' % (ARGUMENT % n)


def whose(text: str) -> dict[str, str]:
    """The section `X-Bg` of a unit file: Site, Service, Color, Release; empty: not one of ours."""
    _, _, ours = text.partition("\n[X-Bg]\n")
    pairs = [line.partition("=") for line in ours.splitlines() if "=" in line]
    return {key: value for key, _, value in pairs}


# -- The environment -----------------------------------------------------------------------


def environment_text(launch: Launch, instance: Instance) -> str:
    """The environment file of one instance: its variables, and its words of the command line."""
    argvs = [one.argv for one in launch.instances]
    lines = [quoting.variable(name, value) for name, value in sorted(instance.env.items())]
    for n, own in enumerate(instance.argv):
        if len({argv[n] for argv in argvs}) > 1:
            lines.append(quoting.variable(ARGUMENT % n, own))
    return "".join(lines)


# -- What the site says --------------------------------------------------------------------


def settings(given: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """The site's `unit:`, checked: {section: {key: value or values}}."""
    checked: dict[str, dict[str, list[str]]] = {}
    for section, pairs in given.items():
        if section not in SECTIONS or not isinstance(pairs, dict):
            raise bad("unit: sections are Unit, Service and Install")
        checked[section] = {key: _values(key, value) for key, value in pairs.items()}
    return checked


def _values(key: str, value: Any) -> list[str]:
    if not KEY.fullmatch(key):
        raise bad("unit: a key is letters and digits, a capital first")
    if key in OURS:
        raise bad("unit: %s is bg's own, see `run:` and `env:`" % key)
    values = value if isinstance(value, list) else [value]
    if len(values) > VALUES_MAX:
        raise bad("unit: %s has too many values" % key)
    return [_value(key, one) for one in values]


def _value(key: str, value: Any) -> str:
    if value is True or value is False:
        return "yes" if value else "no"
    text = str(value) if isinstance(value, (int, float)) else value
    if not isinstance(text, str) or len(text) > 4096:
        raise bad("unit: %s is no text" % key)
    encodable(text, "unit: %s" % key)
    if any(ord(one) < 32 for one in text) or text.endswith("\\"):
        raise bad("unit: %s has to be one line" % key)
    return text


def environment(given: dict[str, Any], where: str) -> dict[str, str]:
    """Variables, checked. The values are in no message."""
    for name, value in given.items():
        if not VARIABLE.fullmatch(name) or name.startswith("BG_ARG_"):
            raise bad("%s: the name of a variable is not one" % where)
        if not isinstance(value, str):
            raise bad("%s: env %s is no text" % (where, name))
        encodable(value, "%s: env %s" % (where, name))
    return given
