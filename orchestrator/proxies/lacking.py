"""What the user's configuration of a proxy lacks, said to people. Pure text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

SHOWN = 12  # lines of what is missing in the sentence of a deploy


def told_of(lacking: Iterable[str], sizes: Mapping[str, int]) -> tuple[str, ...]:
    """`lacking`: each as `section: line`; `sizes`: how many lines each section has.

    A section that lacks all of its lines is one line.
    """
    told: dict[str, list[str]] = {}
    for line in lacking:
        name = next((name for name in sizes if line.startswith(f"{name}: ")), line)
        told.setdefault(name, []).append(line)
    return tuple(
        line
        for name, lines in told.items()
        for line in (
            [f"{name}: all of its {len(lines)} lines"]
            if len(lines) == sizes.get(name, 0) > 1
            else lines
        )
    )


def sentence(where: str, told: tuple[str, ...], shown: int | None, program: str) -> str:
    """`shown`: so many of the lines are named; None: all. `program`: as `bgctl init` knows it."""
    left = len(told[shown:]) if shown is not None else 0
    more = f"\n  … and {left} more: `bgctl check` names all" if left else ""
    lines = "".join(f"\n  {line}" for line in told[:shown])
    return f"{where} lacks (`bgctl init {program}` prints all lines):{lines}{more}"
