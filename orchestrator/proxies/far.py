"""How a proxy on another host is spoken to: one question, one answer, through what runs there.

The one rule: an answer comes from a host, so it is read with suspicion; what makes no sense is as
good as no answer. It refuses to know how the question travels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from orchestrator.ports.trouble import Unreachable

Args = Mapping[str, Any]


class Far(Protocol):
    async def ask(self, host: str, verb: str, args: Args, epoch: int | None) -> dict[str, Any]:
        """What the host of this name found or did; values of JSON both ways.

        Site and journal go along by themselves. Raises `Refused`, `Superseded`, `Unreachable`, and
        bounds its time.
        """
        ...


def named(host: str, why: str) -> str:
    """With the host's name, once."""
    return why if why.startswith(f"{host}: ") else f"{host}: {why}"


class Answer:
    """One answer of one host. Everything raises `Unreachable` where it is not as it must be."""

    def __init__(self, host: str, said: dict[str, Any]) -> None:
        self._host, self._said = host, said

    def yes(self, key: str) -> bool:
        value = self._said.get(key)
        if not isinstance(value, bool):
            raise self._senseless(key)
        return value

    def number(self, key: str) -> int:
        value = self._said.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._senseless(key)
        return value

    def seconds(self, key: str) -> float:
        value = self._said.get(key)
        if not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0:
            raise self._senseless(key)
        return float(value)

    def words(self, key: str) -> str:
        """For people: one line, printable, bounded; empty where there is none."""
        value = self._said.get(key)
        text = value if isinstance(value, str) else ""
        return "".join(c if c.isprintable() else " " for c in text)[:300].strip()

    def text(self, key: str) -> str:
        value = self._said.get(key)
        if not isinstance(value, str):
            raise self._senseless(key)
        return value

    def list(self, key: str) -> tuple[str, ...]:
        value = self._said.get(key)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self._senseless(key)
        return tuple(value)

    def counts(self, key: str) -> tuple[int, ...]:
        value = self._said.get(key)
        if not isinstance(value, list) or not all(type(one) is int and one >= 0 for one in value):
            raise self._senseless(key)
        return tuple(value)

    def texts(self, key: str) -> dict[str, str] | None:
        value = self._said.get(key)
        if value is None:
            return None
        if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
            raise self._senseless(key)
        return dict(value)

    def numbers(self, key: str) -> dict[str, int]:
        value = self._said.get(key)
        if not isinstance(value, dict) or not all(type(one) is int for one in value.values()):
            raise self._senseless(key)
        return dict(value)

    def lists(self, key: str) -> dict[str, tuple[str, ...]]:
        value = self._said.get(key)
        if not isinstance(value, dict):
            raise self._senseless(key)
        return {name: Answer(self._host, {key: one}).list(key) for name, one in value.items()}

    def _senseless(self, key: str) -> Unreachable:
        return Unreachable(f"{self._host}: its answer makes no sense ({key})")
