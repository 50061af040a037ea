"""Data of a file into its shape; every way in which it does not fit becomes a mistake.

The one rule: one mistake hides no other. What does not fit is noted, cut away, and the rest is
fitted again, so that the rules which compare things still see all that is sound. Says nothing
twice: what is missing because its place was cut, or because its name was misspelled, is not news.
"""

from __future__ import annotations

import copy
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from orchestrator.config.mistakes import Mistakes, Where, choice, dotted, nearest
from orchestrator.config.shape import SiteKeys
from orchestrator.config.words import carries_secret

ROUNDS_MAX = 20  # each takes something away or adds what was missing; five have always been enough

ROUNDS_MAX = 20  # each cuts something or adds what was missing; five have always been enough

NOT_KEPT = frozenset(
    {"agents", "resilient", "policies", "share", "shares", "mirror", "replay"}
    | {"snapshot", "schema", "expand", "contract", "database", "databases", "toggle", "toggles"}
    | {"kube", "kubernetes", "gateway", "caddy", "user", "rack", "tls"}
    | {"webhook", "webhooks", "grpc", "prometheus", "fence", "promote", "writer"}
)
_VALUES_NOT_KEPT = ("kube", "kubernetes", "postgres", "postgresql", "docker")

_ADVICE = {
    "site": "write `site: NAME` at the top",
    "services": "write `services:` with at least one",
    "artifact": "write `artifact: releases/{version}`, the folder or archive of a version",
    "run": 'write how it is started: `run: [bin/app, --port, "{port}"]`',
    "instances": "write `instances: {count: 2, ports: {blue: 8110, green: 8120}}`",
    "ports": "write the first port of each color: `ports: {blue: 8110, green: 8120}`",
    "blue": "write the first port of blue",
    "green": "write the first port of green",
    "probes": "a release that cannot be proven is never switched to; "
    "write `probes: [{tcp: true}]` at least",
    "envoy": 'write `envoy: {listen: "127.0.0.1:8080"}`',
    "haproxy": 'write `haproxy: {on: [proxy1], url: "http://shop.example"}`',
    "nginx": 'write `nginx: {on: [proxy1], url: "http://shop.example"}`',
    "listen": 'write `listen: "127.0.0.1:8080"`',
    "do": "write what is run: `do: [bin/migrate, up]`",
    "at": "write where it stands: `before-start`, `before-cutover`, `after-cutover` or `at-close`",
    "on": "name the hosts: `on: [proxy1, proxy2]`",
    "url": 'write where people reach it: `url: "http://shop.example"`',
    "switch": "name one of `switches`",
    "for": "write how long: `{for: 60s, within: 10m}`",
}
_STAND_INS: dict[str, Any] = {
    "site": "site",
    "artifact": "{version}",
    "run": ["run"],
    "instances": {"ports": {"blue": 1, "green": 2}},
    "ports": {"blue": 1, "green": 2},
    "blue": 1,
    "green": 2,
    "probes": [{"tcp": True}],
    "listen": "127.0.0.1:1",
    "on": ["host"],
    "url": "http://host:1",
    "do": ["do"],
    "at": "at-close",
    "switch": "switch",
    "for": "1s",
}


def fitted(data: dict[str, Any], mistakes: Mistakes) -> SiteKeys | None:
    """The data in its shape, less what does not fit; None: too little is left. Changes `data`."""
    for _ in range(ROUNDS_MAX):
        try:
            return SiteKeys.model_validate(data)
        except ValidationError as error:
            errors = [(_place(e["loc"], data), e) for e in error.errors(include_url=False)]
        meant = _note_unknown(errors, mistakes)
        for where, one in errors:
            if one["type"] == "missing":
                _note_missing(where, meant, mistakes)
            elif one["type"] != "extra_forbidden" and not mistakes.inside(where):
                mistakes.add(where, *_explained(where, one))
        for where, one in errors:
            mend = _stand_in if one["type"] == "missing" else _cut
            if not mend(data, where):
                return None
    return None


def _note_unknown(errors: list[tuple[Where, Any]], mistakes: Mistakes) -> set[Where]:
    """Notes unknown keys; the answer is which keys were meant by them."""
    meant: set[Where] = set()
    for where, one in errors:
        if one["type"] != "extra_forbidden":
            continue
        key, parent = str(where[-1]), where[:-1]
        known = known_keys(parent)
        if key in NOT_KEPT:
            mistakes.add(where, f"`{dotted(where)}` is not kept by this version", "remove it")
            meant |= {(*parent, name) for name in known}
            continue
        close = nearest(key, known)
        advice = f"did you mean `{close}`?" if close else f"known here: {choice(known)}"
        place = f" under {dotted(parent)}" if parent else ""
        mistakes.add(where, f"unknown key `{key}`{place}", advice)
        meant |= {(*parent, close)} if close else set()
    return meant


def _note_missing(where: Where, meant: set[Where], mistakes: Mistakes) -> None:
    if where not in meant and not mistakes.inside(where):
        key = str(where[-1])
        place = f" under {dotted(where[:-1])}" if where[:-1] else ""
        mistakes.at(
            mistakes.spot(where[:-1]),
            f"`{key}` is missing{place}",
            _ADVICE.get(key, ""),
            where=where,
        )


def _explained(where: Where, error: Any) -> tuple[str, str]:
    """What is wrong with a value, and what to write instead."""
    name, ctx, kind = dotted(where), error.get("ctx", {}), error["type"]
    shown = _shown(where, error["input"])
    match kind:
        case "bg":
            return f"{name} {ctx['what']}", ctx["instead"]
        case "literal_error":
            return _not_one_of(where, error["input"], ctx["expected"].replace("'", ""))
        case "greater_than_equal":
            return f"{name} is {shown}", f"it is at least {ctx['ge']}"
        case "less_than_equal":
            return f"{name} is {shown}", f"it is at most {ctx['le']}"
        case "too_short" | "string_too_short":
            return f"{name} is empty", _ADVICE.get(str(where[-1]), "write at least one")
        case _:
            wanted = _wanted(kind)
            advice = _ADVICE.get(str(where[-1]), "") if where else ""
            if kind.startswith("int") and str(error["input"]).isdecimal():
                advice = "write the number without quotes and without a 0 in front"
            return f"{name} should be {wanted}, not {shown}", advice


def _not_one_of(where: Where, value: Any, expected: str) -> tuple[str, str]:
    allowed = [word.strip().lower() for word in expected.replace(" or ", ", ").split(", ")]
    text = str(value)
    if text in _VALUES_NOT_KEPT or text.startswith(("postgres", "kube")):
        kind = text.partition(":")[0]
        return f"{dotted(where)}: `{kind}` is not kept by this version", f"write {choice(allowed)}"
    close = nearest(text, allowed)
    what = f"{dotted(where)} is {_shown(where, value)}"
    return (
        what,
        f"did you mean `{close}`?"
        if close and close != text.lower()
        else f"write {choice(allowed)}",
    )


def _wanted(kind: str) -> str:
    for start, words in _STARTS.items():
        if kind.startswith(start):
            return words
    return "something else"


_STARTS = {
    "int": "a whole number",
    "string": "a text",
    "list": "a list",
    "dict": "keys with values",
    "model": "keys with values",
    "bool": "true or false",
}


def _shown(where: Where, value: Any) -> str:
    """A value for people; nothing of what may be private."""
    if isinstance(value, dict | list):
        return "keys with values" if isinstance(value, dict) else "a list"
    if {"env", "run", "exec", "command"} & set(where) or carries_secret(str(value)):
        return {"str": "a text", "int": "a number", "bool": "true or false"}[type(value).__name__]
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= 42 else text[:40] + "…'"


# -- Places --------------------------------------------------------------------------------


def _place(loc: tuple[str | int, ...], data: Any) -> Where:
    """Where in the file an error is: its location without what only the models know of."""
    where: list[str | int] = []
    for at, part in enumerate(loc):
        inside = isinstance(data, dict) and part in data
        if inside or _has_item(data, part):
            data = data[part]
            where.append(part)
        elif at == len(loc) - 1 and isinstance(data, dict) and part != "[key]":
            where.append(part)
    return tuple(where)


def _has_item(data: Any, part: str | int) -> bool:
    return isinstance(data, list) and isinstance(part, int) and part < len(data)


def _cut(data: Any, where: Where) -> bool:
    """Takes a key out; an item leaves its place filled. False: nothing is left."""
    holder = _holder(data, where)
    if isinstance(holder, list) and where[-1] in range(len(holder)):
        holder[int(where[-1])] = {"tcp": True} if known_keys(where) else "item"
    elif isinstance(holder, dict):
        holder.pop(where[-1], None)
    return bool(where)


def _stand_in(data: Any, where: Where) -> bool:
    """Puts something sound where a key is missing, so that its neighbors can be judged."""
    holder, key = _holder(data, where), str(where[-1])
    if not isinstance(holder, dict) or key not in _STAND_INS:
        return False
    holder[key] = copy.deepcopy(_STAND_INS[key])
    return True


def _holder(data: Any, where: Where) -> Any:
    """The dict or list that a place is in; None where that itself is gone."""
    for part in where[:-1]:
        if (isinstance(data, dict) and part in data) or _has_item(data, part):
            data = data[part]
        else:
            return None
    return data if where else None


def known_keys(where: Where) -> tuple[str, ...]:
    """The keys that may stand at a place, in the order of the models."""
    kind: Any = SiteKeys
    for part in where:
        kind = _inside(_bare(kind), part)
    kind = _bare(kind)
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return ()
    return tuple(f.alias or name for name, f in kind.model_fields.items())


def _inside(kind: Any, part: str | int) -> Any:
    if get_origin(kind) in (dict, list):
        return get_args(kind)[-1]
    fields = {f.alias or name: f.annotation for name, f in kind.model_fields.items()}
    return fields[str(part)]


def _bare(kind: Any) -> Any:
    """The part of a type that has an inside: a model, a dict or a list."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        inner = [_bare(k) for k in get_args(kind)]
        return next((k for k in inner if get_origin(k) in (dict, list) or _is_model(k)), inner[0])
    return kind


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
