"""An artifact as one file to send: an archive as it is, a folder as a tar of it.

The one rule: the same content gives the same bytes, so that an upload that was cut goes on where it
ended, also under another driver. A tar has no name on the disk, so it goes with this process,
however that ends. Blocks; runs in a thread.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from orchestrator.ports.trouble import Refused
from orchestrator.releases import archive, disk

CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Packed:
    path: str
    digest: str  # SHA-256 of the bytes
    size: int
    content: str  # the artifact's digest
    stem: str  # what a folder around everything in it has to be called to be taken off
    made: IO[bytes] | None = None  # the tar, where one was made for this; it is gone once closed

    def pieces(self, offset: int) -> Iterator[bytes]:
        with disk.told(f"reading {self.path}"), open(self.path, "rb") as file:
            file.seek(offset)
            while data := file.read(CHUNK // 4):
                yield data

    def throw_away(self) -> None:
        if self.made is not None:
            self.made.close()


def pack(source: str, folder: str) -> Packed:
    """`folder`: where a tar may be made. `Refused` says what is wrong with the artifact."""
    content = archive.digest(source)
    if not os.path.isdir(source):
        return _measured(source, content, archive.stem(source), None)
    with disk.told(f"packing {source}"):
        disk.make_folder(folder)
        made: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - Packed closes it
        try:
            with tarfile.open(fileobj=made, mode="w") as tar:
                _fill(tar, source, "")
            made.flush()
            return _measured(f"/proc/self/fd/{made.fileno()}", content, "", made)
        except BaseException:
            made.close()
            raise


def _measured(path: str, content: str, stem: str, made: IO[bytes] | None) -> Packed:
    whole, size = hashlib.sha256(), 0
    with disk.told(f"reading {path}"), open(path, "rb") as file:
        while data := file.read(CHUNK):
            whole.update(data)
            size += len(data)
    return Packed(path, whole.hexdigest(), size, content, stem, made)


def _fill(tar: tarfile.TarFile, source: str, above: str) -> None:
    """Names, bytes, links, and whether a file may be executed: what counts, and nothing else."""
    with os.scandir(os.path.join(source, above)) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        name = f"{above}/{entry.name}" if above else entry.name
        seen = os.lstat(entry.path)
        info = tarfile.TarInfo(name)
        if stat.S_ISLNK(seen.st_mode):
            info.type, info.linkname = tarfile.SYMTYPE, os.readlink(entry.path)
            tar.addfile(info)
        elif stat.S_ISDIR(seen.st_mode):
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
            _fill(tar, source, name)
        elif stat.S_ISREG(seen.st_mode):
            info.mode = 0o755 if seen.st_mode & 0o111 else 0o644
            info.size = seen.st_size
            with open(os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                tar.addfile(info, file)
        else:
            raise Refused(f"{entry.path} is a device, a pipe or a socket")
