"""Everything that is promised in figures, measured in one run: `python -m bench [--quick] [NAME…]`.

Prints one table, and writes it as Markdown and JSON beside the docs. Each measurement stands beside
what a user would pick instead, taken in the same run on the same machine: ratios carry over, times
do not.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from pathlib import Path

from bench.table import Row, as_markdown, as_text

MEASURES = ("flips", "kills", "hold", "journal", "proving", "proxies", "starting")
DOCS = Path(__file__).resolve().parent.parent / "docs"


def main() -> int:
    arguments = sys.argv[1:]
    quick = "--quick" in arguments
    chosen = [a for a in arguments if not a.startswith("-")] or list(MEASURES)
    rows: list[Row] = []
    for name in chosen:
        print(f"measuring: {name} …", file=sys.stderr, flush=True)
        rows += importlib.import_module(f"bench.{name}").run(quick)
    print(as_text(rows))
    if not quick and chosen == list(MEASURES):
        _write(rows)
    return 0 if all(row.met is not False for row in rows) else 1


def _write(rows: list[Row]) -> None:
    machine = f"{os.cpu_count()} cores, {_memory()}, {platform.system()} {platform.machine()}"
    machine += f", Python {platform.python_version()}"
    text = f"# What was measured\n\nOn a machine with {machine}, by `make bench`.\n\n"
    (DOCS / "measured.md").write_text(text + as_markdown(rows))
    data = {"machine": machine, "rows": [row.to_data() for row in rows]}
    (DOCS / "measured.json").write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def _memory() -> str:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{pages / 2**30:.0f} GiB"


if __name__ == "__main__":
    sys.exit(main())
