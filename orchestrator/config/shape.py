"""The shape of a site file: every key, its kind, its default, and what it does.

These models are the source of the JSON Schema and of the reference. The one rule: what can be told
from one value alone is told here; whatever needs two values to be compared is a matter of `rules`.
Defaults are written as a person would write them, so they read the same in an editor.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from orchestrator.config.careful import Keys, RolloutKeys
from orchestrator.config.kinds import (
    Address,
    Argv,
    Duration,
    FilledText,
    Host,
    Leave,
    Listen,
    Local,
    Name,
    Place,
    Port,
    ProbePath,
    RoutePath,
    Text,
    UnitKey,
    Url,
    User,
    Variable,
    text_or_keys,
    text_or_list,
)

# -- A service -----------------------------------------------------------------------------


class SecretKeys(Keys):
    """A value that is not in this file. It is read when a process starts, and kept nowhere else."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    file: FilledText | None = Field(
        default=None, description="what this file says, without the newline at its end"
    )
    env: Variable | None = Field(
        default=None, description="a variable of the environment bgctl runs in"
    )
    command: Argv | None = Field(
        default=None, description="what this argv prints, without the newline at its end"
    )
    value: Text | None = Field(
        default=None, description="a text that is no secret, though its name sounds like one"
    )


Value = Annotated[
    Annotated[Text, Tag("<text>")] | Annotated[SecretKeys, Tag("<keys>")],
    Discriminator(text_or_keys),
]


class PortKeys(Keys):
    """The first port of each color; a color takes `count` ports from there."""

    blue: Port = Field(description="the first port of blue")
    green: Port = Field(description="the first port of green")


class InstanceKeys(Keys):
    """Where a color of the service runs, and how often."""

    on: Annotated[
        Annotated[Local, Tag("<text>")]
        | Annotated[list[Name], Field(min_length=1, max_length=1000), Tag("<list>")],
        Discriminator(text_or_list),
    ] = Field(
        default="local",
        description="where: `local` is this machine; `[web1, web2]` one on each of these hosts",
    )
    count: int = Field(
        default=1, ge=1, le=1000, description="(local) how many instances each color has"
    )
    ports: PortKeys = Field(
        description="the first port of each color; instance 0 gets it, 1 the next. On hosts it is"
        " the same on each"
    )


class ExpectKeys(Keys):
    """What makes an answer a good one. The texts may hold templates."""

    status: int = Field(default=200, ge=100, le=599, description="the status of the answer")
    headers: dict[str, Text] = Field(
        default={}, description="headers of the answer, compared exactly"
    )
    json_: dict[str, Text] = Field(
        default={}, alias="json", description="fields of a JSON answer: `a.b: text`"
    )
    body: Text | None = Field(default=None, description="a text the answer contains")


class ProbeKeys(Keys):
    """One way to look at the health of an instance: http, tcp or exec."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["http"]}, {"required": ["tcp"]}, {"required": ["exec"]}],
            "dependentRequired": {"expect": ["http"], "host": ["http"]},
        }
    )

    http: ProbePath | None = Field(
        default=None, description="GET this path from the instance itself"
    )
    tcp: Literal[True] | None = Field(
        default=None, description="well when the instance's port accepts a connection"
    )
    exec: Argv | None = Field(
        default=None, description="well when this argv ends with 0, run as the instance is"
    )
    expect: ExpectKeys = Field(default=ExpectKeys(), description="(http) what the answer has to be")
    host: Host | None = Field(default=None, description="(http) the Host header of the request")


class ProbingKeys(Keys):
    """How often to look, and how many looks make a verdict."""

    every: Duration = Field(default="500ms", description="the time between two looks")
    well: int = Field(
        default=3, ge=1, le=1000, description="so many good looks in a row make an instance well"
    )
    ill: int = Field(default=3, ge=1, le=1000, description="so many bad looks in a row make it ill")
    within: Duration = Field(
        default="30s", description="the deadline: who is not well by then does not get traffic"
    )
    timeout: Duration = Field(default="2s", description="how long one look may take")


class BehindKeys(Keys):
    """Which requests at a switch belong to the service."""

    switch: Name = Field(description="the name of one of `switches`")
    path: RoutePath = Field(
        default="/", description="the path and what lies under it; /api does not match /apis"
    )
    host: Host | None = Field(default=None, description="only requests for this host")


UnitValue = Annotated[
    Annotated[Text, Tag("<text>")] | Annotated[list[Text], Tag("<list>")],
    Discriminator(text_or_list),
]


class UnitKeys(Keys):
    """Settings of a unit of systemd, by section; a list gives a key several times."""

    unit: dict[UnitKey, UnitValue] = Field(default={}, alias="Unit", description="`[Unit]`")
    service: dict[UnitKey, UnitValue] = Field(
        default={}, alias="Service", description="`[Service]`"
    )
    install: dict[UnitKey, UnitValue] = Field(
        default={}, alias="Install", description="`[Install]`"
    )


class ServiceKeys(Keys):
    """One program of the site. It has two colors, each with its instances."""

    artifact: FilledText = Field(
        description="where a version lies: a folder or an archive, relative to this file"
    )
    run: Argv = Field(description="how it is started, from its release's folder: an argv, no shell")
    env: dict[Variable, Value] = Field(
        default={}, description="its environment; nothing else is inherited"
    )
    stop: Duration = Field(
        default="10s", description="how long it may take to end after SIGTERM; then SIGKILL"
    )
    instances: InstanceKeys = Field(description="where and how often it runs")
    probes: list[ProbeKeys] = Field(
        min_length=1, description="what proves an instance well; all of them have to"
    )
    probing: ProbingKeys = Field(
        default=ProbingKeys(), description="how often and how long to look"
    )
    unit: UnitKeys = Field(
        default=UnitKeys(), description="(on hosts) what its systemd unit says besides, and instead"
    )
    behind: BehindKeys | None = Field(
        default=None, description="the requests it gets from outside; none without it"
    )
    uses: dict[Name, Literal["any", "same", "newer"]] = Field(
        default={},
        description="services it calls, at `{NAME.url}`. same: its own generation, never mixed; "
        "any: follows the live color; newer: a new caller needs the new one, an old one bears both",
    )


# -- Hosts ---------------------------------------------------------------------------------


class HostKeys(Keys):
    """A machine with systemd, sshd and Python 3.8 or later; ~/.ssh/config says what is not said."""

    address: Address | None = Field(
        default=None, description="where ssh and probes reach it; default: its name"
    )
    user: User | None = Field(default=None, description="who logs in")
    port: Port | None = Field(default=None, description="the port of its sshd")
    how: Literal["root", "user", "sudo"] | None = Field(
        default=None,
        description="who manages its units: root, the user's own systemd, or `sudo -n systemctl`;"
        " default: root where root logs in, else user",
    )


# -- Switches, and the whole --------------------------------------------------------------


class EnvoyKeys(Keys):
    """An Envoy that bg runs."""

    listen: Listen = Field(description="the address people reach")
    binary: FilledText | None = Field(
        default=None, description="which Envoy; default: the one installed with bgctl"
    )
    workers: int = Field(default=2, ge=1, le=64, description="its worker threads")


class HaproxyKeys(Keys):
    """The HAProxies of some hosts, all switched together. Their configuration stays yours."""

    on: list[Name] = Field(min_length=1, max_length=1000, description="the hosts they run on")
    url: Url = Field(description="where people reach them: the name under which all of them answer")
    socket: Place = Field(
        default="/run/haproxy/admin.sock", description="the runtime socket, on each of these hosts"
    )
    maps: Place = Field(
        default="/etc/haproxy/bg", description="the folder that bg writes its maps in, on each"
    )


class NginxKeys(Keys):
    """The nginxes of some hosts, all reloaded together. Their configuration stays yours."""

    on: list[Name] = Field(min_length=1, max_length=1000, description="the hosts they run on")
    url: Url = Field(description="where people reach them: the name under which all of them answer")
    config: Place = Field(
        default="/etc/nginx/nginx.conf", description="its configuration, on each of these hosts"
    )
    maps: Place = Field(
        default="/etc/nginx/bg", description="the folder that bg writes its colors in, on each"
    )


class SwitchKeys(Keys):
    """What decides which color gets traffic: one of these, and the same for all of a site."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": [k]} for k in ("envoy", "haproxy", "nginx")]}
    )

    envoy: EnvoyKeys | None = Field(default=None, description="the switch is an Envoy")
    haproxy: HaproxyKeys | None = Field(
        default=None, description="the switch is made of HAProxies on hosts; see docs/haproxy.md"
    )
    nginx: NginxKeys | None = Field(
        default=None,
        description="the switch is made of nginxes on hosts; a flip may cut requests short, see"
        " docs/nginx.md",
    )

    @property
    def on_hosts(self) -> tuple[str, HaproxyKeys | NginxKeys] | None:
        """The kind and its keys, where it is made of proxies on hosts."""
        if self.haproxy is not None:
            return "haproxy", self.haproxy
        return ("nginx", self.nginx) if self.nginx is not None else None


class InvariantKeys(Keys):
    """What has to be there of a service: `bgctl without HOST` is refused where it would not be."""

    service: Name = Field(description="one of `services`")
    serving: int = Field(
        ge=1,
        le=1000,
        description="so many of its instances are left at least, whatever is taken out",
    )


class StepKeys(Keys):
    """A step of your own: a command that stands in every deploy, at one of four places."""

    do: Argv = Field(description="what is run: an argv, no shell; 0 is done")
    undo: (
        Annotated[
            Annotated[Leave, Tag("<text>")] | Annotated[Argv, Tag("<list>")],
            Discriminator(text_or_list),
        ]
        | None
    ) = Field(
        default=None,
        description="what takes it back; `leave`: what it did may stay. Without it nothing takes it"
        " back, and the step is the point of no return",
    )
    holds: Argv | None = Field(
        default=None,
        description="the look: ends with 0 where it is so already, and changes nothing. Without it"
        " the step is done once in each rollout",
    )
    at: Literal["before-start", "before-cutover", "after-cutover", "at-close"] = Field(
        description="where it stands: before the new color starts; granted, and right before"
        " traffic moves; right after; at the very end"
    )
    of: Name | None = Field(
        default=None,
        description="the service it is about: only where that one changes, and with its"
        " `{service}` `{color}` `{version}` `{release}`; default: the only one, else none",
    )
    on: Annotated[
        Annotated[Literal["controller", "hosts"], Tag("<text>")]
        | Annotated[list[Name], Field(min_length=1, max_length=1000), Tag("<list>")],
        Discriminator(text_or_list),
    ] = Field(
        default="controller",
        description="where: `controller` is where bgctl runs, in the folder of this file;"
        " `[web1, web2]` on each of these hosts; `hosts` on each host of its service",
    )
    timeout: Duration = Field(
        default="5m", description="how long it may take, 1h at most; then all of it is killed"
    )
    env: dict[Variable, Value] = Field(
        default={}, description="its environment; of ours it inherits PATH, HOME, LANG and TZ"
    )


class SiteKeys(Keys):
    """A site: what one file describes."""

    site: Name = Field(description="the name of the site; journal and releases are kept under it")
    services: dict[Name, ServiceKeys] = Field(min_length=1, description="the programs, by name")
    switches: dict[Name, SwitchKeys] = Field(
        default={}, description="what brings people's requests to them, by name"
    )
    hosts: dict[Name, HostKeys] = Field(
        default={}, description="the machines that services can be on, by name"
    )
    rollout: RolloutKeys = Field(
        default=RolloutKeys(), description="how carefully a release is brought out"
    )
    steps: dict[Name, StepKeys] = Field(
        default={}, description="steps of your own in every deploy, by name, in this order"
    )
    invariants: list[InvariantKeys] = Field(
        default=[], description="what has to be there, whichever hosts are taken out"
    )
    drift: Literal["tell", "mend"] = Field(
        default="tell",
        description="when somebody changed something by hand: say so, or put it back",
    )
    journal: Literal["sqlite"] = Field(
        default="sqlite", description="where what happened is written down"
    )
    state: FilledText | None = Field(
        default=None,
        description="the folder of journal, releases and logs; default: $XDG_STATE_HOME/bgctl/SITE",
    )
