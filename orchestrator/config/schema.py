"""The JSON Schema of a site file, so that editors complete it and mark mistakes.

The one rule: it is made from the models, nothing is said twice. It knows shapes only; what has to
fit together is for `load` to judge.
"""

from __future__ import annotations

from typing import Any

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """A draft 2020-12 schema, with the description and the default of every key."""
    from orchestrator.config.shape import SiteKeys

    made: dict[str, Any] = _tidy(SiteKeys.model_json_schema(by_alias=True))
    return {"$schema": DIALECT, "title": "A site of bg", **made}


def _tidy(node: Any) -> Any:
    """Without titles, which repeat the keys, and without null, which `load` never takes."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    choices = [c for c in node.get("anyOf", ()) if c != {"type": "null"}]
    if choices:
        node = {k: v for k, v in node.items() if k != "anyOf"}
        node |= choices[0] if len(choices) == 1 else {"anyOf": choices}
    if "patternProperties" in node:
        node = {"additionalProperties": False, **node}  # a name that fits no pattern is none
    return {
        key: _tidy(value)
        for key, value in node.items()
        if value is not None and not (key == "title" and isinstance(value, str))
    }
