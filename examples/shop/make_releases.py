"""Makes the releases of the shop, below `releases/`, from the one source beside it.

A release is a folder or an archive: web comes as the one, api as the other, so both are seen. The
same source gives the same bytes every time, so a release made again is the same release. What is
already there as it should be is left alone.

    1, 2, 4   good
    3         web runs, and answers 500 when asked for its health
    5         web cannot even start
"""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
VERSIONS = ("1", "2", "3", "4", "5")
FAULTS = {("web", "3"): "ill", ("web", "5"): "crash"}


def make(folder: Path) -> None:
    """All releases, below this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for version in VERSIONS:
        as_folder(folder / f"web-{version}", files_of("web", version))
        as_archive(folder / f"api-{version}.tar.gz", files_of("api", version))


def files_of(service: str, version: str) -> dict[str, bytes]:
    release = {"service": service, "version": version, "fault": FAULTS.get((service, version))}
    return {
        "release.json": json.dumps(release, indent=1).encode() + b"\n",
        "shop.py": (HERE / "shop.py").read_bytes(),
    }


def as_folder(place: Path, files: dict[str, bytes]) -> None:
    place.mkdir(exist_ok=True)
    for name, data in files.items():
        replace(place / name, data)


def as_archive(place: Path, files: dict[str, bytes]) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    replace(place, gzip.compress(packed.getvalue(), mtime=0))


def replace(place: Path, data: bytes) -> None:
    if place.exists() and place.read_bytes() == data:
        return
    beside = place.with_name(f".{place.name}.{os.getpid()}")
    beside.write_bytes(data)
    beside.replace(place)


if __name__ == "__main__":
    make(HERE / "releases")
