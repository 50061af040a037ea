"""What is wrong with a site file, all of it at once, each with its line and what to write instead.

The one rule: a mistake never shows a value that could be a secret; whoever notes one says where it
is and what belongs there. A `BadSite` is the only thing `load` raises.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

Where = tuple[str | int, ...]  # ("services", "web", "probes", 0): keys and positions from the top
Spot = tuple[int, int]  # line and column, both from 1; line 0: the file as a whole


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong. `what` says it, `instead` what to do about it (may be empty)."""

    file: str
    line: int
    column: int
    what: str
    instead: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.what}" + (f"; {self.instead}" if self.instead else "")


class BadSite(Exception):
    """The site file cannot be used. Nothing was touched. The text has one line for each mistake."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = mistakes


@dataclass(slots=True)
class Mistakes:
    """Gathers what is wrong with one file; knows the line of every key."""

    file: str
    spots: dict[Where, Spot] = field(default_factory=dict)
    found: list[tuple[Where, Mistake]] = field(default_factory=list)

    def at(self, spot: Spot, what: str, instead: str = "", *, where: Where = ()) -> None:
        mistake = Mistake(self.file, spot[0], spot[1], what, instead)
        if all(mistake != known for _, known in self.found):
            self.found.append((where, mistake))

    def add(self, where: Where, what: str, instead: str = "") -> None:
        self.at(self.spot(where), what, instead, where=where)

    def spot(self, where: Where) -> Spot:
        """Line and column of the key or item, or of what should have held it."""
        while where and where not in self.spots:
            where = where[:-1]
        return self.spots.get(where, (1, 1))

    def inside(self, where: Where) -> bool:
        """Whether something is known to be wrong at this place or inside it."""
        return any(known[: len(where)] == where for known, _ in self.found)

    def about(self, where: Where) -> bool:
        """Whether something is known to be wrong here, inside, or with what holds it."""
        return self.inside(where) or any(
            known and where[: len(known)] == known for known, _ in self.found
        )

    def end(self) -> None:
        """Raises `BadSite` with all that was found, in the order of the file; or returns."""
        if self.found:
            raise BadSite(
                tuple(sorted((m for _, m in self.found), key=lambda m: (m.line, m.column)))
            )


def dotted(where: Where) -> str:
    """`services.web.probes[0].http`, as messages name a place."""
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the top"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    import difflib

    close = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def choice(known: Iterable[str]) -> str:
    """``` `a`, `b` or `c` ```, for sentences."""
    quoted = [f"`{word}`" for word in known]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)
