"""The reference page of the site file, made from the example, the models and the table of refusals.

Nothing on the page is written twice, so nothing on it can be stale: `python -m tests.config.page`
writes it, and a test compares.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.config import words
from orchestrator.config.fit import NOT_KEPT
from orchestrator.config.schema import schema
from tests.config.refused import BASE, REFUSED, Refused

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "site-file.md"
EXAMPLE = ROOT / "orchestrator" / "config" / "example.yaml"
ON_HOSTS = EXAMPLE.with_name("example-hosts.yaml")
ON_NGINX = EXAMPLE.with_name("example-nginx.yaml")

SECTIONS = (
    ("", "The top of the file"),
    ("ServiceKeys", "`services.NAME`"),
    ("SecretKeys", "`services.NAME.env.VARIABLE`, where it is not a text"),
    ("InstanceKeys", "`services.NAME.instances`"),
    ("PortKeys", "`services.NAME.instances.ports`"),
    ("ProbeKeys", "`services.NAME.probes`, each"),
    ("ExpectKeys", "`services.NAME.probes`, `expect`"),
    ("ProbingKeys", "`services.NAME.probing`"),
    ("BehindKeys", "`services.NAME.behind`"),
    ("UnitKeys", "`services.NAME.unit`"),
    ("SwitchKeys", "`switches.NAME`"),
    ("EnvoyKeys", "`switches.NAME.envoy`"),
    ("HaproxyKeys", "`switches.NAME.haproxy`"),
    ("NginxKeys", "`switches.NAME.nginx`"),
    ("HostKeys", "`hosts.NAME`"),
    ("StepKeys", "`steps.NAME`"),
    ("InvariantKeys", "`invariants`, each"),
    ("RolloutKeys", "`rollout`"),
    ("GatesKeys", "`rollout.gates`"),
    ("GateKeys", "`rollout.gates.cutover`, where it is not `none`"),
    ("HoldKeys", "`rollout.hold`, where it is not a time"),
    ("SoakKeys", "`rollout.soak`, where it is not a time"),
)

LISTED = {"ProbeKeys": "probes", "InvariantKeys": "keys, below"}

HEAD = """\
# The site file

One file, `bg.yaml`, says what there is to deploy. `bgctl` finds it in the folder you are in or one
above it; `--site PATH` or `$BG_SITE` name another. `bgctl init` writes a first one, `bgctl check`
names everything that is wrong with it, and `bgctl schema` prints its JSON Schema: an editor that
knows YAML schemas completes and checks it while you write, because its first line says so:

```yaml
# yaml-language-server: $schema=bg.schema.json
```

What the file rests on:

* **Nothing is ignored.** An unknown key is a mistake, and so is one that this version does not
  keep. All mistakes are said in one go, with line and what to write instead; nothing is touched.
* **A text is what it looks like.** `on`, `no`, `1.10`, `0800` and `22:22` are texts; only `true`,
  `false` and plain whole numbers are more. Anchors, aliases and `<<` work; tags do not.
* **Times have a unit**: `500ms`, `30s`, `10m`, `24h`, `2d`.
* **Names** are a-z, 0-9 and `-`, a letter first, at most 31 characters.
* **Paths** start at the file's folder and stay in it. Only the file of a secret, the state folder
  and an Envoy of your own may lie elsewhere: write `/…` or `~/…`.
* **Secrets are named, not written down.** A variable whose name ends like a secret's (PASSWORD,
  TOKEN, SECRET, API_KEY, …) takes `{file: …}`, `{env: …}` or `{command: […]}`; the value is read
  when a process starts, and kept nowhere. `{value: …}` says that a text is no secret after all.
* **Templates** are filled in when a process starts: `{port}` `{color}` `{version}` `{instance}`
  `{release}` in `run`, `env` and probes, and in `run` and `env` also `{NAME.url}`, the address at
  which this color reaches a service that it `uses`. Other braces, and `${HOME}`, are left alone.
* **A rollout goes on with the file as it was read.** Change it meanwhile, and `bgctl resume` says
  what differs; the next deploy uses the new one.

## All of it, in one example
"""

KEYS = """\
## Every key

Keys without a default are required, unless it says that they may be left out.
"""

REFUSALS = """\
## What is refused, and what is said

Each line is what one change of a sound file gets. The command ends with 2, and nothing was touched.
"""


def page() -> str:
    """The whole page, as Markdown."""
    made = schema()
    sections = [_section(title, _model(made, name)) for name, title in SECTIONS]
    refused = [_refused(title, cases) for title, cases in REFUSED.items()]
    example = f"```yaml\n{EXAMPLE.read_text()}```\n"
    example += f"\n## And what is only for hosts\n\n```yaml\n{ON_HOSTS.read_text()}```\n"
    example += f"\n```yaml\n{ON_NGINX.read_text()}```\n"
    later = ", ".join(f"`{key}`" for key in sorted(NOT_KEPT))
    kept = f"Keys that other versions may keep are refused by name, wherever they stand: {later}.\n"
    base = f"The sound file:\n\n```yaml\n{BASE}```\n"
    return "\n".join([HEAD, example, KEYS, *sections, REFUSALS, *refused, kept, base])


def _model(made: dict[str, Any], name: str) -> dict[str, Any]:
    model: dict[str, Any] = made["$defs"][name] if name else made
    return model


def _section(title: str, model: dict[str, Any]) -> str:
    rows = ["| key | takes | default | what it does |", "|---|---|---|---|"]
    required = model.get("required", ())
    for key, one in model["properties"].items():
        default = "required" if key in required else _default(one)
        rows.append(f"| `{key}` | {_takes(one)} | {default} | {one['description']} |")
    return f"### {title}\n\n{model['description']}\n\n" + "\n".join(rows) + "\n"


def _default(one: dict[str, Any]) -> str:
    default = one.get("default")
    if isinstance(default, dict):
        return "as below" if default else "`{}`"
    return "may be left out" if default is None else f"`{default}`"


def _takes(one: dict[str, Any]) -> str:
    """What may stand there, in a few words."""
    if "oneOf" in one:
        return " or ".join(_takes(choice) for choice in one["oneOf"])
    if "enum" in one:
        return " · ".join(f"`{word}`" for word in one["enum"])
    if "const" in one:
        return f"`{str(one['const']).lower() if one['const'] is True else one['const']}`"
    if "$ref" in one:
        return "keys, below"
    kind = one["type"]
    if kind == "array":
        inside = one["items"].get("$ref", "").rpartition("/")[2]
        return f"list of {LISTED.get(inside, 'texts')}"
    if kind == "object":
        inner = one.get("additionalProperties") or next(iter(one["patternProperties"].values()))
        return f"by name: {_takes(inner)}"
    return _takes_text(one) if kind != "integer" else _takes_number(one)


def _takes_number(one: dict[str, Any]) -> str:
    return f"{one['minimum']} to {one['maximum']}"


def _takes_text(one: dict[str, Any]) -> str:
    patterns = {
        words.NAME: "name",
        words.VARIABLE: "variable",
        words.DURATION: "time",
        f"(?:keep|{words.DURATION})": "`keep` or time",
        words.LISTEN: "host:port",
        words.ROUTE: "path",
        words.HOST: "host",
        words.URL: "URL",
        words.PLACE: "path on a host",
        words.ADDRESS: "host name or IP address",
        words.USER: "user",
        r"/[^\s#]*": "path",
    }
    return patterns[one["pattern"][1:-1]] if "pattern" in one else "text"


def _refused(title: str, cases: tuple[Refused, ...]) -> str:
    rows = ["| what was written | what is said |", "|---|---|"]
    for case in cases:
        said = "<br>".join(_cell(said) for said in case.says)
        rows.append(f"| {case.about} | {said} |")
    return f"### {title}\n\n" + "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    line, colon, rest = text.partition(": ")
    said = f"line {line}: {rest}" if colon and line.isdecimal() else text
    return said.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


if __name__ == "__main__":
    PAGE.write_text(page())
