"""YAML text as plain data, with the line of every key.

The one rule: a text means what it looks like. Scalars are read by the small rules below and not by
those of YAML 1.1, so `on`, `no`, `1.10`, `0800` and `22:22` stay the texts they are; only `true`,
`false` and plain whole numbers are more. Keys are always texts. Written twice, empty, tagged, too
deep, too many: a mistake. Refuses to know which keys a site has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from orchestrator.config.mistakes import Mistakes, Spot, Where, dotted

if TYPE_CHECKING:
    from yaml import ScalarNode

NODES_MAX = 20_000  # counted after aliases are followed, so a few lines cannot become a billion
DEPTH_MAX = 30

_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_PLAIN = ("str", "int", "float", "bool", "null", "timestamp", "merge", "value")
_EMPTY = ("", "~", "null", "Null", "NULL")
_MERGE = "tag:yaml.org,2002:merge"


def read(raw: bytes, mistakes: Mistakes) -> dict[str, Any]:
    """The data of a site file: dicts, lists, str, int and bool. Fills `mistakes` and its spots.

    Raises `BadSite` where there is nothing to go on with: not YAML, empty, not a mapping.
    """
    text = _decoded(raw, mistakes)
    root = _composed(text, mistakes)
    mistakes.end()
    if root is None:
        mistakes.at((0, 0), "the file is empty", "`bgctl init` writes a first one")
        mistakes.end()
    if root.id != "mapping":
        shape = "a list" if root.id == "sequence" else "one text"
        mistakes.at(
            _spot(root), f"the file is {shape}, not keys with values", "begin with `site: NAME`"
        )
        mistakes.end()
    data = _Reader(mistakes).mapping(root, ())
    return dict(data)


def _decoded(raw: bytes, mistakes: Mistakes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        mistakes.at((line, 1), "a byte that is not UTF-8", "save the file as UTF-8")
        mistakes.end()
        raise


def _composed(text: str, mistakes: Mistakes) -> Any:
    """The root node; None for an empty file. Depth comes first, for composing nests as deep."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth = 0
    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > DEPTH_MAX:
                mistakes.at(
                    _spot(event), "nested too deep", f"a site file has at most {DEPTH_MAX} levels"
                )
                return None
        return yaml.compose(text, Loader=loader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, int(error.position)) + 1
        mistakes.at((line, 1), "a character that YAML does not allow", "remove it")
    except yaml.MarkedYAMLError as error:
        _note_yaml(error, text, mistakes)
    return None


def _note_yaml(error: Any, text: str, mistakes: Mistakes) -> None:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = text.split("\n")
    indent = re.match(r"\s*", lines[line - 1] if line <= len(lines) else "")
    if "\t" in (indent.group() if indent else "") or "'\\t'" in str(error.problem):
        mistakes.at((line, column), "a tab in the indentation", "YAML wants spaces")
    elif "single document" in str(error.context):
        mistakes.at((line, column), "a second document begins (`---`)", "a site is one document")
    else:
        mistakes.at(
            (line, column), f"not YAML: {error.problem or error.context}", _yaml_advice(error)
        )


def _yaml_advice(error: Any) -> str:
    problem = str(error.problem)
    if "mapping values are not allowed" in problem:
        return "a text with `: ` in it needs quotes, and keys side by side the same indentation"
    if "block end" in problem or "block" in str(error.context):
        return "look at the indentation of this line and the one before"
    if "cannot start any token" in problem:
        return "a text that begins with a special character needs quotes"
    if "undefined alias" in problem:
        return "`*name` repeats what `&name` marks; a text that begins with `*` needs quotes"
    if "expected ',' or" in problem or "node content" in problem:
        return "close what was opened before; a text with `{…}` or `,` in it needs quotes"
    return ""


class _Reader:
    """Walks the nodes once, every alias as if it were written out, within the bounds."""

    def __init__(self, mistakes: Mistakes) -> None:
        self.mistakes = mistakes
        self.visits = 0

    def value(self, node: Any, where: Where) -> Any:
        self.visits += 1
        if self.visits > NODES_MAX or len(where) > DEPTH_MAX:
            self.mistakes.at(
                _spot(node), "aliases that multiply or contain themselves", "write it out"
            )
            self.mistakes.end()
        if node.id == "mapping":
            return self.mapping(node, where)
        if node.id == "sequence":
            return self.items(node, where)
        return self.scalar(node, where)

    def items(self, node: Any, where: Where) -> list[Any]:
        self.untagged(node, "seq", where)
        items = []
        for at, item in enumerate(node.value):
            self.mistakes.spots[*where, at] = _spot(item)
            items.append(self.value(item, (*where, at)))
        return items

    def scalar(self, node: ScalarNode, where: Where) -> str | int | bool | None:
        text, kind = str(node.value), node.tag.removeprefix("tag:yaml.org,2002:")
        if node.style or kind not in _PLAIN:  # quoted, a block, or tagged
            self.untagged(node, "str", where)
            return text
        if text in _EMPTY:
            self.mistakes.add(
                where, f"{dotted(where)} has no value", "write one, or remove the line"
            )
            return None
        if text in ("true", "false") and kind == "bool":
            return text == "true"
        return int(text) if kind == "int" and _NUMBER.fullmatch(text) else text

    def mapping(self, node: Any, where: Where) -> Any:
        template = _unquoted(node)
        if template and where:
            self.mistakes.add(
                where, f"{dotted(where)}: {template} without quotes", f'write `"{template}"`'
            )
            return template
        self.untagged(node, "map", where)
        data: dict[str, Any] = {}
        for key, value, inherited in self.pairs(node, where, depth=0):
            if not (inherited and key.value in data):
                self.entry(key, value, where=where, data=data)
        return data

    def pairs(self, node: Any, where: Where, *, depth: int) -> Iterator[tuple[Any, Any, bool]]:
        """Keys and values, its own first, then what `<<: *base` takes over."""
        yield from ((key, value, depth > 0) for key, value in node.value if key.tag != _MERGE)
        for key, value in node.value:
            if key.tag != _MERGE:
                continue
            for source in value.value if value.id == "sequence" else [value]:
                self.visits += 1
                if source.id != "mapping" or depth > DEPTH_MAX or self.visits > NODES_MAX:
                    self.mistakes.at(
                        _spot(key),
                        "`<<` takes over the keys of a mapping",
                        "`<<: *base`",
                        where=where,
                    )
                    self.mistakes.end()
                yield from self.pairs(source, where, depth=depth + 1)

    def entry(self, key: Any, value: Any, *, where: Where, data: dict[str, Any]) -> None:
        self.visits += 1
        if key.id != "scalar":
            self.mistakes.at(
                _spot(key),
                f"a key under {dotted(where)} that is not a text",
                "a text that begins with `{` or `[` needs quotes",
                where=where,
            )
            return
        name, here = key.value, (*where, key.value)
        if name in data:
            first = self.mistakes.spots[here][0]
            what = f"{dotted(here)} is written twice, first on line {first}"
            self.mistakes.at(_spot(key), what, "keep one of them", where=here)
            return
        self.mistakes.spots[here] = _spot(key)
        data[name] = self.value(value, here)

    def untagged(self, node: Any, kind: str, where: Where) -> None:
        if node.tag not in (f"tag:yaml.org,2002:{kind}", "!"):
            self.mistakes.at(
                _spot(node),
                f"the tag `{node.tag}`",
                "a site file has no tags; remove it",
                where=where,
            )


def _unquoted(node: Any) -> str | None:
    """The template somebody meant by a mapping of one word to nothing: `{port}` needs quotes."""
    if not node.flow_style or len(node.value) != 1:
        return None
    key, value = node.value[0]
    empty = key.id == "scalar" and value.id == "scalar" and value.value == "" and not value.style
    return f"{{{key.value}}}" if empty else None


def _spot(node: Any) -> Spot:
    return node.start_mark.line + 1, node.start_mark.column + 1
