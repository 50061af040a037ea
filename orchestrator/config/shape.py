"""The shape of a site file: every key, its type, its default, and the sentence that says what it does.

These models are the source of the JSON Schema and of the reference. The one rule: what can be told from one
value alone is told here; whatever needs two values to be compared is a matter of `rules`. Defaults are
written as a person would write them, so they read the same in an editor.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from orchestrator.config import words


def wrong(what: str, instead: str = "") -> PydanticCustomError:
    """What a validator raises: `what` follows the name of the place in the message."""
    return PydanticCustomError("bg", "{what}", {"what": what, "instead": instead})


# -- The types of values -------------------------------------------------------------------


def _as_text(value: Any) -> Any:
    """Numbers and true/false are kept as they were written: the reader made only those it can write back."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else value


def _with_unit(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        raise wrong("has no unit", f"write `{value}s` for seconds; units are ms, s, m, h and d")
    return value


def _duration(text: str) -> str:
    if words.seconds(text) is None:
        raise wrong(f"is no duration: {text[:40]!r}", "write `500ms`, `30s`, `10m`, `24h` or `2d`")
    return text


def _standby(text: str) -> str:
    return text if text == "keep" else _duration(text)


def _argv(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return _refuse_line(value)


def _refuse_line(line: str) -> Any:
    """A command written as one text. There is no shell, so it is shown how to write it as a list."""
    try:
        argv = shlex.split(line)
    except ValueError:
        argv = []
    if not argv or len(line) > 80 or words.carries_secret(line) or any("=" in word for word in argv):
        argv = ["bin/app", "--port", "{port}"]
    listed = ", ".join(f'"{word}"' if set(word) & set("{}[],:#&*!|>'\"%@` ") else word for word in argv)
    raise wrong("is one text, and there is no shell to take it apart", f"write a list: `[{listed}]`")


def _listen(value: Any) -> Any:
    if isinstance(value, int) or isinstance(value, str) and words.listen_address(value) is None:
        port = value if isinstance(value, int) and 1 <= value <= 65535 else 8080
        raise wrong("is not an address with a port", f'write `"127.0.0.1:{port}"`')
    return value


def _fits(pattern: str, what: str, instead: str) -> Callable[[str], str]:
    import re

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise wrong(f"{what}: {text[:40]!r}", instead)
        return text

    return check


def _kind(value: Any) -> str:
    return "<keys>" if isinstance(value, dict | BaseModel) else "<text>"


def _schema(**schema: Any) -> WithJsonSchema:
    return WithJsonSchema(schema)


NAME_ADVICE = "names are like `web` or `web-2`: a-z, 0-9 and `-`, a letter first, at most 31"

Name = Annotated[
    str,
    AfterValidator(_fits(words.NAME, "is no name", NAME_ADVICE)),
    _schema(type="string", pattern=f"^{words.NAME}$"),
]
Variable = Annotated[
    str,
    AfterValidator(_fits(words.VARIABLE, "is no name for a variable", "use A-Z, a-z, 0-9 and `_`")),
    _schema(type="string", pattern=f"^{words.VARIABLE}$"),
]
Text = Annotated[
    str, BeforeValidator(_as_text), _schema(type=["string", "number", "boolean"])
]
Duration = Annotated[
    str,
    BeforeValidator(_with_unit),
    AfterValidator(_duration),
    _schema(type="string", pattern=f"^{words.DURATION}$"),
]
Standby = Annotated[
    str,
    BeforeValidator(_with_unit),
    AfterValidator(_standby),
    _schema(type="string", pattern=f"^(?:keep|{words.DURATION})$"),
]
Argv = Annotated[
    list[Annotated[str, BeforeValidator(_as_text), _schema(type=["string", "number", "boolean"])]],
    Field(min_length=1),
    BeforeValidator(_argv),
]
Listen = Annotated[str, BeforeValidator(_listen), _schema(type="string", pattern=f"^{words.LISTEN}$")]
RoutePath = Annotated[
    str,
    AfterValidator(_fits(words.ROUTE, "is no path to route by", "write `/` or `/api`, without a `/` at the end")),
    _schema(type="string", pattern=f"^{words.ROUTE}$".replace(r"[^\s/?#{}]", r"[^\s/?#{}]")),
]
Host = Annotated[
    str,
    AfterValidator(_fits(words.HOST, "is no host name", "write `shop.example`, without scheme and port")),
    _schema(type="string", pattern=f"^{words.HOST}$"),
]
ProbePath = Annotated[
    str,
    AfterValidator(_fits(r"/[^\s#]*", "is no path to ask for", "write `/healthz`, from the first `/` on")),
    _schema(type="string", pattern=r"^/[^\s#]*$"),
]
FilledText = Annotated[str, StringConstraints(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Keys(BaseModel):
    """Some keys of the file. Unknown ones are mistakes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, validate_by_name=False)


# -- A service -----------------------------------------------------------------------------


class SecretKeys(Keys):
    """A value that is not in this file. It is read when a process starts, and kept nowhere else."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    file: FilledText | None = Field(None, description="the first line of this file, relative to the site's folder")
    env: Variable | None = Field(None, description="a variable of the environment bgctl runs in")
    command: Argv | None = Field(None, description="what this argv prints, without the newline at its end")
    value: Text | None = Field(None, description="a text that is no secret, though its name sounds like one")


Value = Annotated[
    Annotated[Text, Tag("<text>")] | Annotated[SecretKeys, Tag("<keys>")], Discriminator(_kind)
]


class PortKeys(Keys):
    """The first port of each color; a color takes `count` ports from there."""

    blue: Port = Field(description="the first port of blue")
    green: Port = Field(description="the first port of green")


class InstanceKeys(Keys):
    """Where a color of the service runs, and how often."""

    on: Literal["local"] = Field("local", description="where: `local` is this machine")
    count: int = Field(1, ge=1, le=1000, description="how many instances each color has")
    ports: PortKeys = Field(description="the first port of each color; instance 0 gets it, 1 the next")


class ExpectKeys(Keys):
    """What makes an answer a good one. The texts may hold templates."""

    status: int = Field(200, ge=100, le=599, description="the status of the answer")
    headers: dict[str, Text] = Field({}, description="headers of the answer, compared exactly")
    json_: dict[str, Text] = Field({}, alias="json", description="fields of a JSON answer: `a.b: text`")
    body: Text | None = Field(None, description="a text the answer contains")


class ProbeKeys(Keys):
    """One way to look at the health of an instance: http, tcp or exec."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["http"]}, {"required": ["tcp"]}, {"required": ["exec"]}],
            "dependentRequired": {"expect": ["http"], "host": ["http"]},
        }
    )

    http: ProbePath | None = Field(None, description="GET this path from the instance itself")
    tcp: Literal[True] | None = Field(None, description="well when the instance's port accepts a connection")
    exec: Argv | None = Field(None, description="well when this argv ends with 0, run as the instance is")
    expect: ExpectKeys = Field(ExpectKeys(), description="(http) what the answer has to be")
    host: Host | None = Field(None, description="(http) the Host header of the request")


class ProbingKeys(Keys):
    """How often to look, and how many looks make a verdict."""

    every: Duration = Field("500ms", description="the time between two looks")
    well: int = Field(3, ge=1, le=1000, description="so many good looks in a row make an instance well")
    ill: int = Field(3, ge=1, le=1000, description="so many bad looks in a row make it ill")
    within: Duration = Field("30s", description="the deadline: who is not well by then does not get traffic")
    timeout: Duration = Field("2s", description="how long one look may take")


class BehindKeys(Keys):
    """Which requests at a switch belong to the service."""

    switch: Name = Field(description="the name of one of `switches`")
    path: RoutePath = Field("/", description="the path and what lies under it; /api does not match /apis")
    host: Host | None = Field(None, description="only requests for this host")


class ServiceKeys(Keys):
    """One program of the site. It has two colors, each with its instances."""

    artifact: FilledText = Field(description="where a version lies: a folder or an archive, relative to this file")
    run: Argv = Field(description="how it is started, from its release's folder: an argv, no shell")
    env: dict[Variable, Value] = Field({}, description="its environment; nothing else is inherited")
    stop: Duration = Field("10s", description="how long it may take to end after SIGTERM; then SIGKILL")
    instances: InstanceKeys = Field(description="where and how often it runs")
    probes: list[ProbeKeys] = Field(min_length=1, description="what proves an instance well; all of them have to")
    probing: ProbingKeys = Field(ProbingKeys(), description="how often and how long to look")
    behind: BehindKeys | None = Field(None, description="the requests it gets from outside; none without it")
    uses: dict[Name, Literal["any", "same", "newer"]] = Field(
        {},
        description="services it calls, at `{NAME.url}`. any: follows the live color; same: its own generation, "
        "never mixed; newer: a new caller needs the new one, an old caller bears both",
    )


# -- Switches and the rollout --------------------------------------------------------------


class EnvoyKeys(Keys):
    """An Envoy that bg runs."""

    listen: Listen = Field(description="the address people reach")
    binary: FilledText | None = Field(None, description="which Envoy; default: the one installed with bgctl")
    workers: int = Field(2, ge=1, le=64, description="its worker threads")


class SwitchKeys(Keys):
    """What decides which color gets traffic."""

    envoy: EnvoyKeys = Field(description="the switch is an Envoy")


class GateKeys(Keys):
    """Where a rollout waits for a person."""

    owner: Text | None = Field(None, description="who may grant it, recorded and shown")
    timeout: Duration = Field("24h", description="how long it stays open")
    otherwise: Literal["back-out", "stay"] = Field(
        "back-out", description="after that: back-out goes back, stay waits for a person to decide"
    )


class GatesKeys(Keys):
    """The points where a rollout waits."""

    cutover: Annotated[
        Annotated[Literal["none"], Tag("<text>")] | Annotated[GateKeys, Tag("<keys>")], Discriminator(_kind)
    ] = Field(GateKeys(), description="before traffic is switched; `none`: switched as soon as it is proven")


class SoakKeys(Keys):
    """How long the new color is watched under real traffic."""

    for_: Duration = Field(alias="for", description="well for so long")
    within: Duration | None = Field(None, description="the outer limit; default: ten times `for`, at least 10s")


class RolloutKeys(Keys):
    """How carefully."""

    gates: GatesKeys = Field(GatesKeys(), description="where it waits for a person")
    soak: Annotated[
        Annotated[Duration, Tag("<text>")] | Annotated[SoakKeys, Tag("<keys>")], Discriminator(_kind)
    ] = Field("60s", description="how long the new color is watched under real traffic; `0s`: not at all")
    meanwhile: Literal["refuse", "replace"] = Field(
        "refuse", description="what a new wish does to a rollout that is open"
    )
    standby: Standby = Field(
        "keep", description="how long the old color stays warm; keep: until the next deploy needs its place"
    )
    tries: int = Field(3, ge=1, le=100, description="how often a step may fail before it is given up")
    keep: int = Field(3, ge=1, le=1000, description="how many releases of a service stay on disk")
    drain: Duration = Field("30s", description="how long requests may take to end on the old color")
    lease: Duration = Field("10s", description="after so long without a sign, a driver is replaced")


class SiteKeys(Keys):
    """A site: what one file describes."""

    site: Name = Field(description="the name of the site; journal and releases are kept under it")
    services: dict[Name, ServiceKeys] = Field(min_length=1, description="the programs, by name")
    switches: dict[Name, SwitchKeys] = Field({}, description="what brings people's requests to them, by name")
    rollout: RolloutKeys = Field(RolloutKeys(), description="how carefully a release is brought out")
    drift: Literal["tell", "mend"] = Field(
        "tell", description="when somebody changed something by hand: say so, or put it back"
    )
    journal: Literal["sqlite"] = Field("sqlite", description="where what happened is written down")
    state: FilledText | None = Field(
        None, description="the folder of journal, releases and logs; default: $XDG_STATE_HOME/bgctl/SITE"
    )
