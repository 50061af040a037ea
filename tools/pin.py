"""Writes the requirements files: what pyproject.toml asks for, one version each, hashed.

pip resolves each group once per Python and machine (its dry run downloads nothing where the index
gives metadata alone) and reports which wheels it would take. All must agree on the versions; the
first decides. Where they come from is the business of whoever installs: no address is written.

    python tools/pin.py            takes the newest of everything
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PYTHONS = ("3.11", "3.12", "3.13")
MACHINES = ("x86_64", "aarch64")
GLIBC = ("2_31", "2_28", "2_17")  # Envoy's own floor first

Pins = dict[str, tuple[str, set[str]]]  # name -> version, hashes


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    run = project["project"]["dependencies"]
    dev = project["project"]["optional-dependencies"]["dev"]
    build = project["build-system"]["requires"]
    taken: Pins = {}
    groups = (
        ("requirements.txt", "What bgctl needs.", run, run),
        ("requirements-dev.txt", "What its tests need on top.", dev, [*run, *dev]),
        ("requirements-build.txt", "What builds it.", build, build),
    )
    for file, title, direct, resolved in groups:
        pins = resolve(resolved, taken)
        known = {} if file == "requirements-build.txt" else taken
        fresh = {name: pin for name, pin in pins.items() if name not in known}
        (ROOT / file).write_text(render(title, fresh, direct))
        taken |= pins
        print(f"{file}: {len(fresh)} packages", file=sys.stderr)


def resolve(wanted: list[str], taken: Pins) -> Pins:
    """One version per package over every Python and machine, and the hashes of all their wheels."""
    pins: Pins = {}
    for machine in MACHINES:
        for python in PYTHONS:
            for item in report(wanted, {**taken, **pins}, python, machine):
                name, version = normal(item["metadata"]["name"]), item["metadata"]["version"]
                digest = item["download_info"]["archive_info"]["hashes"]["sha256"]
                known, hashes = pins.setdefault(name, (version, set()))
                if known != version:
                    raise SystemExit(f"{name}: {known} and {version} (Python {python}, {machine})")
                hashes.add(digest)
    return pins


def report(wanted: list[str], pins: Pins, python: str, machine: str) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        constraints, answer = Path(folder, "constraints.txt"), Path(folder, "report.json")
        constraints.write_text("".join(f"{name}=={v}\n" for name, (v, _) in pins.items()))
        here = "sys_platform == 'linux'"  # pip reads markers for the machine it runs on
        names = [w.partition(";")[0].strip() if here in w else w for w in wanted]
        platforms = [f"--platform=manylinux_{g}_{machine}" for g in GLIBC]
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed",
             f"--target={folder}", f"--report={answer}", "--only-binary=:all:", *platforms,
             f"--platform=manylinux2014_{machine}", f"--python-version={python}",
             f"--constraint={constraints}", *names],
            check=True,
        )  # fmt: skip
        items: list[dict[str, Any]] = json.loads(answer.read_text())["install"]
        return items


def render(title: str, pins: Pins, direct: list[str]) -> str:
    markers = {normal(w.partition(">=")[0]): w.partition(";")[2].strip() for w in direct}
    lines = [f"# {title} Written by tools/pin.py; pip compares every hash (--require-hashes)."]
    for name, (version, hashes) in sorted(pins.items()):
        marker = f" ; {markers[name]}" if markers.get(name) else ""
        lines.append(f"{name}=={version}{marker} \\")
        lines.append(" \\\n".join(f"    --hash=sha256:{digest}" for digest in sorted(hashes)))
    return "\n".join(lines) + "\n"


def normal(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(".", "-")


if __name__ == "__main__":
    main()
