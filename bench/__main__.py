"""Everything that is promised in figures: `python -m bench [--quick] [NAME…]`; no NAME: all of it.

Prints one table, and keeps it as Markdown and JSON beside the docs. Each measurement stands beside
what a user would pick instead, taken in the same run on the same machine: ratios carry over, times
do not. What was measured is kept at once, each measurement in place of its last one; on another
machine all begins anew. `--quick` keeps nothing.
"""

from __future__ import annotations

import datetime as dt
import importlib
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from bench.table import Row, as_markdown, as_text

MEASURES = (
    "flips",
    "near",
    "instead",
    "kills",
    "hold",
    "journal",
    "proving",
    "proxies",
    "hosts",
    "starting",
)
DOCS = Path(__file__).resolve().parent.parent / "docs"


def main() -> int:
    arguments = sys.argv[1:]
    quick = "--quick" in arguments
    chosen = [a for a in arguments if not a.startswith("-")] or list(MEASURES)
    rows: list[Row] = []
    for name in chosen:
        print(f"measuring: {name} …", file=sys.stderr, flush=True)
        found = importlib.import_module(f"bench.{name}").run(quick)
        rows += found
        if not quick:
            _keep(name, found)
    print(as_text(rows))
    return 0 if all(row.met is not False for row in rows) else 1


def _keep(name: str, rows: list[Row]) -> None:
    file = DOCS / "measured.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    if kept.get("machine") != _machine():
        kept = {"machine": _machine(), "measured": {}}
    day = dt.datetime.now().astimezone().date().isoformat()
    kept["measured"][name] = {"on": day, "rows": [row.to_data() for row in rows]}
    file.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    (DOCS / "measured.md").write_text(_page(kept))


def _page(kept: dict[str, Any]) -> str:
    text = "# What was measured\n\n"
    text += f"On a machine with {kept['machine']}, by `make bench`.\n"
    for name in (n for n in MEASURES if n in kept["measured"]):
        found = kept["measured"][name]
        text += f"\n## {name}, on {found['on']}\n\n"
        text += as_markdown([Row(**row) for row in found["rows"]])
    return text


def _machine() -> str:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    machine = f"{os.cpu_count()} cores, {pages / 2**30:.0f} GiB"
    machine += f", {platform.system()} {platform.machine()}"
    return f"{machine}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
