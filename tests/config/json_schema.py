"""As much of JSON Schema as our schema uses, so that tests can ask what an editor would say.

The one rule: a keyword that is not known here is an error, so nothing is let through unseen.
"""

from __future__ import annotations

import re
from typing import Any

_SAID_ONLY = {"$schema", "$defs", "title", "description", "default"}
_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}


def fits(data: Any, schema: dict[str, Any], root: dict[str, Any] | None = None) -> bool:
    """Whether the data is what the schema describes."""
    root = root or schema
    return all(_fits(word, data, schema, root) for word in schema if word not in _SAID_ONLY)


def _fits(word: str, data: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    wanted = schema[word]
    match word:
        case "$ref":
            return fits(data, root["$defs"][wanted.removeprefix("#/$defs/")], root)
        case "type":
            return any(
                _is(data, kind) for kind in ([wanted] if isinstance(wanted, str) else wanted)
            )
        case "const":
            return type(data) is type(wanted) and bool(data == wanted)
        case "enum":
            return data in wanted
        case "pattern":
            return not isinstance(data, str) or bool(re.search(wanted, data))
        case "minLength":
            return not isinstance(data, str) or len(data) >= wanted
        case "minimum":
            return not _is(data, "number") or data >= wanted
        case "maximum":
            return not _is(data, "number") or data <= wanted
        case "oneOf":
            return sum(fits(data, one, root) for one in wanted) == 1
        case "anyOf":
            return any(fits(data, one, root) for one in wanted)
        case "items" | "minItems":
            return not isinstance(data, list) or _items_fit(word, data, wanted, root)
        case _:
            return not isinstance(data, dict) or _keys_fit(word, data, schema, root)


def _items_fit(word: str, data: list[Any], wanted: Any, root: dict[str, Any]) -> bool:
    if word == "minItems":
        return len(data) >= int(wanted)
    return all(fits(item, wanted, root) for item in data)


def _keys_fit(word: str, data: dict[str, Any], schema: dict[str, Any], root: Any) -> bool:
    wanted = schema[word]
    match word:
        case "required":
            return set(wanted) <= set(data)
        case "dependentRequired":
            return all(set(needs) <= set(data) for key, needs in wanted.items() if key in data)
        case "minProperties":
            return len(data) >= int(wanted)
        case "maxProperties":
            return len(data) <= int(wanted)
        case "properties":
            return all(fits(data[key], one, root) for key, one in wanted.items() if key in data)
        case "patternProperties":
            pairs = [(k, one) for k in data for p, one in wanted.items() if re.search(p, k)]
            return all(fits(data[key], one, root) for key, one in pairs)
        case "additionalProperties":
            rest = [key for key in data if not _is_named(key, schema)]
            return not rest if wanted is False else all(fits(data[k], wanted, root) for k in rest)
        case _:
            raise AssertionError(f"the schema uses {word!r}, which these tests do not know")


def _is(data: Any, kind: str) -> bool:
    return isinstance(data, _TYPES[kind]) and (isinstance(data, bool) == (kind == "boolean"))


def _is_named(key: str, schema: dict[str, Any]) -> bool:
    patterns = schema.get("patternProperties", {})
    return key in schema.get("properties", {}) or any(re.search(p, key) for p in patterns)
