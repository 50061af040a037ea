"""Zips the agent into one `agent.pyz`: the same bytes every time, whoever builds it, wherever.

    python agents/build.py [FILE]        writes it (agent.pyz), and says its content hash

The one rule: nothing but names and bytes of the modules goes in: no times, no modes, no compression
that differs between versions. The content hash is of the modules and is written into the package,
so a running agent can say which one it is.
"""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = HERE / "bg_agent"
STAMP = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows
MARK = 'CONTENT = "unbuilt"'


def modules() -> dict[str, bytes]:
    """What goes in, by its name in the archive, in the order of the names."""
    found = {"__main__.py": (HERE / "start.py").read_bytes()}
    for path in PACKAGE.rglob("*.py"):
        found[path.relative_to(HERE).as_posix()] = path.read_bytes()
    return dict(sorted(found.items()))


def content(found: dict[str, bytes]) -> str:
    """The content hash: of every name and its bytes."""
    whole = hashlib.sha256(b"bg agent 1\n")
    for name, data in found.items():
        whole.update(b"%d:%s%d:" % (len(name), name.encode(), len(data)) + data)
    return whole.hexdigest()


def build(target: Path) -> str:
    """Write the archive, beside and renamed. Returns its content hash."""
    found = modules()
    digest = content(found)
    first = found["bg_agent/__init__.py"]
    if first.count(MARK.encode()) != 1:
        raise SystemExit("bg_agent/__init__.py has lost its place for the content hash")
    found["bg_agent/__init__.py"] = first.replace(b"unbuilt", digest.encode())
    beside = target.with_name(target.name + ".new")
    with zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED) as archive:
        for name, data in found.items():
            entry = zipfile.ZipInfo(name, STAMP)
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data)
    beside.rename(target)
    return digest


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "agent.pyz")
    sys.stdout.write(build(target) + "\n")
