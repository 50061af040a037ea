"""What a measurement is, and how the table of all of them looks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    `met`: None where there is no target, only something to compare with.
    """

    name: str
    value: str
    target: str = ""
    met: bool | None = None
    note: str = ""

    @property
    def mark(self) -> str:
        return {True: "met", False: "MISSED", None: ""}[self.met]

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


HEADINGS = ("what", "measured", "target", "", "how")


def as_markdown(rows: list[Row]) -> str:
    """The table for docs/."""
    lines = [_line(HEADINGS), _line(("---",) * len(HEADINGS))]
    lines += [_line((r.name, r.value, r.target, r.mark, r.note)) for r in rows]
    return "\n".join(lines) + "\n"


def as_text(rows: list[Row]) -> str:
    """The table for a terminal: names and figures, the notes below each."""
    widths = [max(len(text) for text in column) for column in zip(*_cells(rows), strict=True)]
    lines = []
    for row, cells in zip(rows, _cells(rows), strict=True):
        lines.append("  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)).rstrip())
        if row.note:
            lines.append(f"    {row.note}")
    return "\n".join(lines) + "\n"


def _cells(rows: list[Row]) -> list[tuple[str, str, str, str]]:
    return [(r.name, r.value, r.target and f"target {r.target}", r.mark) for r in rows]


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
