"""Whether an answer is the one that was expected. Pure: an answer in, the first difference out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.adapters.http.text import filled, one_line
from orchestrator.core.model import HttpProbe

SHOWN = 60
"""How much of a value is shown; the rest of a body never is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`cut`: the body was longer than what was read of it."""

    status: int
    headers: tuple[tuple[str, str], ...]  # names in lower case
    body: bytes
    cut: bool = False


class _Missing:
    """There is no such field."""


def missed(probe: HttpProbe, answer: Answer, words: Mapping[str, str]) -> str:
    """The first thing that is not as expected, in words; empty where everything is."""
    if answer.status != probe.status:
        return f"status {answer.status} instead of {probe.status}"
    for name, template in probe.headers:
        if why := _header_missed(name, filled(template, words), answer):
            return why
    if probe.body is not None and (why := _body_missed(filled(probe.body, words), answer)):
        return why
    if probe.json:
        return _json_missed(probe.json, answer, words)
    return ""


def _header_missed(name: str, wanted: str, answer: Answer) -> str:
    values = [value for key, value in answer.headers if key == name.lower()]
    if wanted in values or wanted == ", ".join(values):
        return ""
    if not values:
        return f"the header {name} is missing"
    return f"the header {name} is {_shown(', '.join(values))} instead of {_shown(wanted)}"


def _body_missed(wanted: str, answer: Answer) -> str:
    if wanted.encode() in answer.body:
        return ""
    where = f"the first {len(answer.body)} bytes of the body" if answer.cut else "the body"
    return f"{where} do{'es' if not answer.cut else ''} not contain {_shown(wanted)}"


def _json_missed(
    fields: tuple[tuple[str, str], ...], answer: Answer, words: Mapping[str, str]
) -> str:
    if answer.cut:
        return f"the body is longer than {len(answer.body)} bytes"
    try:
        # Numbers stay as they were written: `1.10` is not `1.1`, and a huge one costs nothing.
        data = json.loads(answer.body, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return "the body is not JSON"
    for path, template in fields:
        wanted, value = filled(template, words), _field(data, path)
        if isinstance(value, _Missing):
            return f"the field {path} is missing"
        if _text(value) != wanted:
            return f"{path} is {_shown(_text(value))} instead of {_shown(wanted)}"
    return ""


def _field(data: Any, path: str) -> Any:
    for key in path.split("."):
        if isinstance(data, dict) and key in data:
            data = data[key]
        elif isinstance(data, list) and key.isdecimal() and int(key) < len(data):
            data = data[int(key)]
        else:
            return _Missing()
    return data


def _text(value: Any) -> str:
    """As JSON writes it: `true`, `null`, `[1,2]`; text as it is."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _shown(value: str) -> str:
    return repr(one_line(value, SHOWN))
