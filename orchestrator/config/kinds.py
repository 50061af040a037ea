"""The kinds of values in a site file, each with its check and its JSON Schema.

The one rule: a kind is told from one value alone, and its message says what to write. Knows no
key.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from orchestrator.config import words


def wrong(what: str, instead: str = "") -> PydanticCustomError:
    """What a validator raises: `what` follows the name of the place in the message."""
    return PydanticCustomError("bg", "{what}", {"what": what, "instead": instead})


def _as_text(value: Any) -> Any:
    """Numbers and true/false as they were written: the reader made only what it can write back."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else value


def _with_unit(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        raise wrong("has no unit", f"write `{value}s` for seconds; units are ms, s, m, h and d")
    return value


def _duration(text: str) -> str:
    if words.seconds(text) is None:
        if re.fullmatch(words.DURATION, text):
            raise wrong("is longer than ten years", "write `24h` or `2d`")
        raise wrong(f"is no duration: {text[:40]!r}", "write `500ms`, `30s`, `10m`, `24h` or `2d`")
    return text


def _standby(text: str) -> str:
    if text != "keep" and words.seconds(text) is None:
        raise wrong(f"is no duration: {text[:40]!r}", "write `keep`, or a time like `1h`")
    return text


def _argv(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return _refuse_line(value)


def _refuse_line(line: str) -> Any:
    """A command as one text: there is no shell, so the message shows it as a list."""
    try:
        argv = shlex.split(line)
    except ValueError:
        argv = []
    if (
        not argv
        or len(line) > 80
        or words.carries_secret(line)
        or any("=" in word for word in argv)
    ):
        argv = ["bin/app", "--port", "{port}"]
    listed = ", ".join(
        f'"{word}"' if set(word) & set("{}[],:#&*!|>'\"%@` ") else word for word in argv
    )
    raise wrong(
        "is one text, and there is no shell to take it apart", f"write a list: `[{listed}]`"
    )


def _undo(value: Any) -> Any:
    """`leave`, or else a command as one text."""
    if value in ("none", "nothing", "no", "never", "stay", "stays", "keep"):
        raise wrong("says nothing about the way back", "write `leave` where what it did may stay")
    return value if value == "leave" or not isinstance(value, str) else _refuse_line(value)


def _local(value: Any) -> Any:
    if value in ("hosts", "host", "ssh"):
        raise wrong("does not say which hosts", "name them: `on: [web1, web2]`")
    return value


def _listen(value: Any) -> Any:
    if isinstance(value, int) or (isinstance(value, str) and not words.listen_address(value)):
        port = value if isinstance(value, int) and 1 <= value <= 65535 else 8080
        raise wrong("is not an address with a port", f'write `"127.0.0.1:{port}"`')
    return value


def _url(text: str) -> str:
    if not words.web_address(text):
        raise wrong("is no URL that people reach", "write `http://shop.example`, without a path")
    return text.rstrip("/")


def _fits(pattern: str, what: str, instead: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise wrong(f"{what}: {text[:40]!r}", instead)
        return text

    return check


def text_or_list(value: Any) -> str:
    return "<list>" if isinstance(value, list | tuple) else "<text>"


def text_or_keys(value: Any) -> str:
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
Text = Annotated[str, BeforeValidator(_as_text), _schema(type=["string", "number", "boolean"])]
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
Leave = Annotated[Literal["leave"], BeforeValidator(_undo), _schema(const="leave")]
Local = Annotated[Literal["local"], BeforeValidator(_local), _schema(const="local")]
Listen = Annotated[
    str, BeforeValidator(_listen), _schema(type="string", pattern=f"^{words.LISTEN}$")
]
RoutePath = Annotated[
    str,
    AfterValidator(_fits(words.ROUTE, "is no path to route by", "write `/` or `/api`")),
    _schema(type="string", pattern=f"^{words.ROUTE}$"),
]
Host = Annotated[
    str,
    AfterValidator(
        _fits(words.HOST, "is no host name", "write `shop.example`, without scheme and port")
    ),
    _schema(type="string", pattern=f"^{words.HOST}$"),
]
ProbePath = Annotated[
    str,
    AfterValidator(
        _fits(r"/[^\s#]*", "is no path to ask for", "write `/healthz`, from the first `/` on")
    ),
    _schema(type="string", pattern=r"^/[^\s#]*$"),
]
Address = Annotated[
    str,
    AfterValidator(
        _fits(words.ADDRESS, "is no address of a host", "write `web1.example` or an IP address")
    ),
    _schema(type="string", pattern=f"^{words.ADDRESS}$"),
]
User = Annotated[
    str,
    AfterValidator(_fits(words.USER, "is no name of a user", "write it as `ssh` takes it")),
    _schema(type="string", pattern=f"^{words.USER}$"),
]
UnitKey = Annotated[
    str,
    AfterValidator(
        _fits(words.UNIT_KEY, "is no key of a unit", "write it as systemd does: `MemoryMax`")
    ),
    _schema(type="string", pattern=f"^{words.UNIT_KEY}$"),
]
Url = Annotated[str, AfterValidator(_url), _schema(type="string", pattern=f"^{words.URL}$")]
Place = Annotated[
    str,
    AfterValidator(
        _fits(words.PLACE, "is no path on a host", "write `/etc/haproxy/bg`, from the first `/` on")
    ),
    _schema(type="string", pattern=f"^{words.PLACE}$"),
]
FilledText = Annotated[str, StringConstraints(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65535)]
