"""Everything the journal may say: nine kinds of record, to and from JSON, with a version.

A record is one durable line of what happened. An `Entry` is a record as the journal keeps it:
with its number, its time and who wrote it. The one rule: unknown is a refusal. A kind, a field or
a version that this code does not know raises `Unknown`; nothing is guessed, and no field is left
out because it had its default, so a later default cannot reinterpret history. Only what came later
than the first journals (`model.later`) is: there its default says what not having it meant.
"""

from __future__ import annotations

import json
from dataclasses import Field, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from orchestrator.core.health import Verdict
from orchestrator.core.model import Color, Policy, Release, Share, Site
from orchestrator.core.steps import Step

VERSION = 1
FLOAT_MAX = 1.7976931348623157e308  # beyond it, and what is no number at all, is refused


class Unknown(ValueError):
    """The journal says something that this version does not know."""


class Missing(Unknown):
    """A field that this version knows is not there: it was written before that was released."""


# -- What a rollout is opened with ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    service: str
    release: Release
    source: str | None = None  # absolute path of the artifact; None: only the staged copy


class Kind(Enum):
    """Why a rollout was opened."""

    DEPLOY = "deploy"
    BACKOUT = "backout"
    RETIRE = "retire"
    MEND = "mend"
    ADOPT = "adopt"  # what serves already, in a journal that was begun anew


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to run."""

    wanted: tuple[Wanted, ...]
    kind: Kind = Kind.DEPLOY
    again: bool = False  # bring the same release up anew
    undoes: int | None = None  # a backout: the rollout that it undoes

    def of(self, service: str) -> Wanted | None:
        return next((w for w in self.wanted if w.service == service), None)


@dataclass(frozen=True, slots=True)
class Served:
    """Who served a service at the opening, and how well."""

    service: str
    share: Share
    release: Release | None
    verdict: Verdict


# -- Facts: what looks found ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FoundWell:
    service: str
    color: Color
    instance: int
    start: int


@dataclass(frozen=True, slots=True)
class LeftOpen:
    """Connections that were still open when the drain time was over.

    They are closed with the color.
    """

    service: str
    color: Color
    connections: int


@dataclass(frozen=True, slots=True)
class NoStandby:
    """A way back that was lost, as a remark."""

    service: str
    color: Color
    why: str


@dataclass(frozen=True, slots=True)
class Flipped:
    """How long the flip took.

    From the end of the last probe to the acknowledgement of every worker.
    """

    took_s: float


@dataclass(frozen=True, slots=True)
class StoodStill:
    """Time stood still: between these instants neither world worked on a request."""

    from_s: float  # seconds since 1970
    to_s: float
    waited: int  # requests that waited, and went on into the new world
    longest_s: float
    p99_s: float
    streams: int = 0  # long-lived connections that went on meanwhile, not counted as requests


@dataclass(frozen=True, slots=True)
class LeftAsItIs:
    """A step of the user's own that could not be taken back, as a remark."""

    step: str
    why: str


Fact = FoundWell | LeftOpen | NoStandby | Flipped | StoodStill | LeftAsItIs


# -- The nine kinds ------------------------------------------------------------------------


class Trouble(Enum):
    REFUSED = "refused"  # turn back at once
    UNREACHABLE = "unreachable"
    DID_NOT_TAKE = "did-not-take"
    ILL = "ill"


class What(Enum):
    BACK = "back"
    FORWARD = "forward"
    RETRY = "retry"
    DENY = "deny"
    PAUSE = "pause"
    GO_ON = "go-on"
    WITHOUT = "without"
    READMIT = "readmit"
    RETIRE = "retire"
    MEND = "mend"
    ACCEPT = "accept"
    ABANDON = "abandon"
    WISH = "wish"


class Way(Enum):
    BACK = "back"
    FORWARD = "forward"


class Outcome(Enum):
    ROLLED_OUT = "rolled-out"
    BACKED_OUT = "backed-out"
    REPLACED = "replaced"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Opened:
    rollout: int
    plan: tuple[Step, ...]
    site: Site  # as read; secrets by name
    policy: Policy  # the site's, with the command's flags applied
    wish: Wish
    before: tuple[Served, ...]
    by: str


@dataclass(frozen=True, slots=True)
class Began:
    rollout: int
    step: int  # index into the plan
    undoing: bool
    attempt: int
    until: float | None = None  # when a wait that begins here ends, seconds since 1970


@dataclass(frozen=True, slots=True)
class Ended:
    rollout: int
    step: int
    undoing: bool
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    rollout: int
    step: int
    undoing: bool
    kind: Trouble
    reason: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody wants something of a rollout, or (None) of the site."""

    rollout: int | None
    what: What
    by: str
    why: str = ""
    target: str = ""  # a gate, a host, a service
    wish: Wish | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    rollout: int
    gate: str
    attempt: int
    by: str
    why: str = ""
    hold: float | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that cannot be met, and why. `request` is the number of its entry."""

    request: int
    reason: str
    rollout: int | None = None


@dataclass(frozen=True, slots=True)
class Turned:
    rollout: int
    way: Way
    reason: str
    request: int | None = None  # whose wish it was; None: our own decision


@dataclass(frozen=True, slots=True)
class Closed:
    rollout: int
    outcome: Outcome
    remark: str = ""


Record = Opened | Began | Ended | Failed | Asked | Granted | Answered | Turned | Closed
Request = Asked | Granted
FACTS = (Ended, Failed)


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as the journal keeps it."""

    number: int  # 1, 2, 3 …
    at_s: float  # seconds since 1970, by the writer's clock
    epoch: int  # of the driver's lease; 0 for whoever only asks
    record: Record


# -- JSON ----------------------------------------------------------------------------------


def to_json(record: Record) -> str:
    """One line of JSON, keys in the order of the fields; the same record gives the same bytes."""
    data = {"v": VERSION, **plain(record)}
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def from_json(text: str) -> Record:
    """The record of a line. Raises `Unknown` for anything this version does not know."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unknown(f"a record that is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise Unknown("a record that is not an object")
    version = data.pop("v", None)
    if type(version) is not int or version != VERSION:
        raise Unknown(f"a record of version {version}; this version of bg knows {VERSION}")
    return cast(Record, read(Record, data))


def plain(value: Any) -> Any:
    """A value of core as JSON data. Dataclasses carry their kind in `is`."""
    if is_dataclass(value) and not isinstance(value, type):
        return {"is": type(value).__name__} | {
            f.name: plain(getattr(value, f.name)) for f in fields(value) if not _unsaid(value, f)
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value


def _unsaid(value: Any, one: Field[Any]) -> bool:
    """Whether a field that came later has the meaning it had before there was one."""
    return _came_later(one) and bool(getattr(value, one.name) == one.default)


def _came_later(one: Field[Any]) -> bool:
    return "later" in one.metadata


def read(kind: Any, data: Any) -> Any:
    """JSON data as a value of this type. Raises `Unknown` with the place where it does not fit.

    A field that came later and is not there has its default.
    """
    if get_origin(kind) in (Union, UnionType):
        return _read_one_of(get_args(kind), data)
    if get_origin(kind) is tuple:
        return _read_tuple(get_args(kind), data)
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(data)
        except ValueError as error:
            raise Unknown(f"{data!r} is no {kind.__name__}") from error
    if is_dataclass(kind):
        return _read_dataclass(cast(type, kind), data)
    if kind is float and type(data) in (int, float) and abs(data) <= FLOAT_MAX:
        return float(data)
    if kind in (int, str, bool) and type(data) is kind:
        return data
    raise Unknown(f"{data!r} where {getattr(kind, '__name__', kind)} was expected")


def _read_one_of(kinds: tuple[Any, ...], data: Any) -> Any:
    if data is None and NoneType in kinds:
        return None
    if isinstance(data, dict):
        named = [k for k in kinds if isinstance(k, type) and k.__name__ == data.get("is")]
        if not named:
            known = ", ".join(getattr(k, "__name__", "?") for k in kinds)
            raise Unknown(f"{data.get('is')!r} is none of {known}")
        return read(named[0], data)
    for kind in kinds:
        if kind is NoneType or is_dataclass(kind):
            continue
        try:
            return read(kind, data)
        except Unknown:
            continue
    raise Unknown(f"{data!r} fits none of the types expected")


def _read_tuple(args: tuple[Any, ...], data: Any) -> tuple[Any, ...]:
    if not isinstance(data, list):
        raise Unknown(f"{data!r} where a list was expected")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(read(args[0], item) for item in data)
    if len(args) != len(data):
        raise Unknown(f"a list of {len(data)} where {len(args)} were expected")
    return tuple(read(kind, item) for kind, item in zip(args, data, strict=True))


def _read_dataclass(kind: type, data: Any) -> Any:
    if not isinstance(data, dict):
        raise Unknown(f"{data!r} where {kind.__name__} was expected")
    if data.get("is") != kind.__name__:
        raise Unknown(f"{data.get('is')!r} where {kind.__name__} was expected")
    hints = _hints(kind)
    unknown = sorted(set(data) - set(hints) - {"is"})
    if unknown:
        raise Unknown(f"{kind.__name__} with the unknown field {unknown[0]!r}")
    missing = [f.name for f in fields(kind) if f.name not in data and not _came_later(f)]
    if missing:
        raise Missing(f"{kind.__name__} without the field {missing[0]!r}")
    return kind(**{name: read(hint, data[name]) for name, hint in hints.items() if name in data})


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
