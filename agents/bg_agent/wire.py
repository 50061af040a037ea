"""Lines of JSON, in and out: bounded, ASCII on the way out, and without the cost of `json`.

The module `json` brings `re` and costs more than all the rest of a start; the C code behind it does
not. Where an interpreter has none of it, `json` itself is taken.

The one rule: whatever the bytes are, reading them ends soon, and with a value or a ValueError.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LINE_MAX = 1024 * 1024  # bytes of a request
ANSWER_MAX = 256 * 1024  # bytes of an answer
DIGITS_MAX = 18


def decode(line: bytes) -> Any:
    """One JSON value. ValueError for whatever is none, is too deep, or has absurd numbers."""
    text = line.decode("utf-8").strip(" \t\r\n")
    try:
        value, end = _scanner()(text, 0)
    except (StopIteration, RecursionError):
        raise ValueError("no JSON") from None
    if end != len(text):
        raise ValueError("more than one JSON value")
    return value


def encode(value: Any) -> bytes:
    """One line with its end. TypeError for what is no JSON."""
    return (_text(value) + "\n").encode("ascii")


class _Rules:
    """What the scanner asks for."""

    strict = True
    object_hook = object_pairs_hook = None
    memo: dict[str, str] = {}  # noqa: RUF012 - only the pure Python scanner looks at it

    @staticmethod
    def parse_int(digits: str) -> int:
        if len(digits) > DIGITS_MAX:
            raise ValueError("a number of %d digits" % len(digits))
        return int(digits)

    @staticmethod
    def parse_float(digits: str) -> float:
        value = float(digits)
        if value in (float("inf"), float("-inf")):
            raise ValueError("a number beyond all numbers")
        return value

    @staticmethod
    def parse_constant(name: str) -> float:
        raise ValueError("%s is no JSON" % name)


_SCANNERS: list[Any] = []


def _scanner() -> Any:
    if not _SCANNERS:
        try:
            from _json import make_scanner
        except ImportError:
            import json

            rules = _Rules
            decoder = json.JSONDecoder(
                parse_int=rules.parse_int,
                parse_float=rules.parse_float,
                parse_constant=rules.parse_constant,
            )
            _SCANNERS.append(decoder.scan_once)  # type: ignore[attr-defined]
        else:
            _SCANNERS.append(make_scanner(_Rules()))  # type: ignore[arg-type]
    return _SCANNERS[0]


def _text(value: Any) -> str:
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if value - value == 0 else "null"
    if isinstance(value, dict):
        pairs = ["%s:%s" % (_quoted(str(key)), _text(one)) for key, one in value.items()]
        return "{%s}" % ",".join(pairs)
    if isinstance(value, (list, tuple)):
        return "[%s]" % ",".join([_text(one) for one in value])
    raise TypeError("%s is no JSON" % type(value).__name__)


def _quoted(text: str) -> str:
    try:
        from _json import encode_basestring_ascii
    except ImportError:
        from json.encoder import encode_basestring_ascii
    return encode_basestring_ascii(text)
