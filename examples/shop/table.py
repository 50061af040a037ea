"""The last table of the demo: what visitors counted, and how long each switch took."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from examples.shop.visitors import Crowd, Switching


def told(
    crowd: Crowd,
    switches: list[Switching],
    ashamed: dict[str, int],
    *,
    excused: dict[str, int] | None = None,
) -> bool:
    """Prints it. False where a number in it is not what it should be.

    `ashamed`: what else must not have happened, and how often it did. `excused`: why requests were
    lost that nothing could have saved, and how many.
    """
    counts = crowd.counts()
    ashamed = {
        "lost": counts.lost - sum((excused or {}).values()),
        "answered by old and new at once": counts.torn,
        "answered by the old color after a switch": crowd.late(switches),
        **ashamed,
    }
    grid = Table.grid(padding=(0, 3))
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_row("requests sent", f"{counts.sent:,}")
    for what, count in ashamed.items():
        grid.add_row(what, str(count), style="bold red" if count else None)
    for what, count in (excused or {}).items():
        grid.add_row(what, str(count))
    for one in switches:
        grid.add_row(
            f"{one.what}, to {one.flip.color}", in_ms(one.flip.acknowledged - one.flip.began)
        )
    console = Console(highlight=False)
    console.print("\nWhat the visitors counted, and how long each switch took", style="bold")
    console.print(grid)
    for why, count in counts.why_lost.items():
        console.print(f"lost: {count} × {why}", style="red")
    return counts.sent > 0 and not any(ashamed.values())


def in_ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
