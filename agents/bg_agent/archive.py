"""Unpacking an archive that arrived: tar (plain, gz, xz, bz2) or zip, told by its first bytes.

It is read once, each member is checked before its bytes are touched, and what is written is written
into a folder that is new and ours, links last, everything synced.

The one rule: whatever the readers of archives raise on hostile bytes is damage, and nothing else.
It agrees with the controller's shelf in everything that is accepted, and in the digest.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
import zipfile

from bg_agent import disk, members
from bg_agent.asked import shown
from bg_agent.members import FILE, FOLDER, LINK, SAME, Inventory, Member, MiB
from bg_agent.trouble import Refused, Trouble, of_system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO, Any

    Chunks = Callable[[], Iterator[bytes]]
    Found = tuple[Member, Chunks]
    Progress = Callable[[int], None]

CHUNK = 256 * 1024
PADDING_MAX = 64 * MiB
READ_MAX = MiB  # no header of an archive needs more at once


def unpack(source: str, folder: str, stem: str, tell: Progress) -> tuple[str, str]:
    """Write the content into `folder` (made here). Returns its digest and where it lies.

    `stem`: how the one folder around all has to be called to be taken off. `tell` gets the bytes
    written so far.
    """
    inventory = Inventory(os.stat(source).st_size)
    os.makedirs(folder, 0o755)
    for member, chunks in _reading(_in_archive(source, inventory), inventory):
        _write(folder, inventory.checked(member), chunks, inventory)
        tell(inventory.total)
    for name, target in inventory.links.items():
        os.symlink(target, os.path.join(folder, name))
    for name, kind in inventory.kinds.items():
        if kind == FOLDER:
            disk.sync_folder(os.path.join(folder, name))
    disk.sync_folder(folder)
    top = inventory.top(stem)
    return inventory.digest(top), os.path.join(folder, top) if top else folder


# -- Writing -------------------------------------------------------------------------------


def _reading(found: Iterator[Any], inventory: Inventory) -> Iterator[Any]:
    while True:
        try:
            one = next(found)
        except StopIteration:
            return
        except Trouble:
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno:
                raise of_system("reading the archive", error) from None
            words = (type(error).__name__, shown(str(error)))
            why = "the archive is damaged or cut short (%s: %s)" % words
            raise Refused(why, "damaged") from None
        yield one


def _write(folder: str, member: Member, chunks: Chunks, inventory: Inventory) -> None:
    path = os.path.join(folder, member.name)
    content = ""
    if member.kind == FOLDER:
        os.makedirs(path, 0o755, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    if member.kind in (FILE, SAME):
        runs = member.runs
        if member.kind == SAME:
            runs = inventory.entries[member.target][0]
            chunks = _bytes_of(os.path.join(folder, member.target))
        content = _write_file(path, 0o755 if runs else 0o644, chunks, inventory)
    if member.name:
        inventory.add(member, content)


def _write_file(path: str, mode: int, chunks: Chunks, inventory: Inventory) -> str:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(path, flags, mode)
    whole = hashlib.sha256()
    try:
        os.fchmod(file, mode)
        for data in _reading(chunks(), inventory):
            inventory.count(len(data))
            whole.update(data)
            disk.write_all(file, data)
        os.fsync(file)
    finally:
        os.close(file)
    return whole.hexdigest()


def _bytes_of(path: str) -> Chunks:
    def chunks() -> Iterator[bytes]:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            yield from _pieces(file)

    return chunks


# -- Archives ------------------------------------------------------------------------------


def _in_archive(source: str, inventory: Inventory) -> Iterator[Found]:
    with open(source, "rb") as file:
        head = file.read(262)
        file.seek(0)
        if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            yield from _in_zip(file, inventory)
            return
        opened = _opened(file, head)
        if opened is None:
            raise Refused("what arrived is no tar and no zip archive", "damaged")
        yield from _in_tar(opened, inventory)


def _opened(file: IO[bytes], head: bytes) -> IO[bytes] | None:
    """The tar inside its compression; None where it is none."""
    if head.startswith(b"\x1f\x8b"):
        import gzip

        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]
    if head.startswith(b"\xfd7zXZ\x00"):
        import lzma

        return lzma.LZMAFile(file)
    if head.startswith(b"BZh"):
        import bz2

        return bz2.BZ2File(file)
    return file if head[257:262] == b"ustar" else None


class _Bounded:
    """A file that is never asked for much at once: a header cannot claim the whole memory."""

    def __init__(self, file: IO[bytes], inventory: Inventory) -> None:
        self._file, self._inventory = file, inventory

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= READ_MAX:
            self._inventory.refuse("has a header of %d bytes" % size)
        return self._file.read(size)

    def seek(self, place: int, whence: int = 0) -> int:
        if place > members.TOTAL_MAX * 2:
            self._inventory.refuse("claims to be larger than anything bg unpacks")
        return self._file.seek(place, whence)

    def tell(self) -> int:
        return self._file.tell()


def _in_tar(file: IO[bytes], inventory: Inventory) -> Iterator[Found]:
    bounded: Any = _Bounded(file, inventory)
    with tarfile.open(fileobj=bounded, mode="r:", errorlevel=2) as tar:
        for info in tar:
            yield _tar_member(info, inventory), _tar_bytes(tar, info)
            tar.members = []  # type: ignore[attr-defined]  # it would remember them all
        # It takes a damaged header for the end. The end is a block of zeros.
        bounded.seek(tar.offset)
        if bounded.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise EOFError("no end of archive")
        # What follows is padding; at its end the compression says whether all of it was right.
        for _ in range(PADDING_MAX // CHUNK):
            if not bounded.read(CHUNK):
                return
        inventory.refuse("goes on after its end")


def _tar_member(info: tarfile.TarInfo, inventory: Inventory) -> Member:
    if info.isdir():
        return Member(info.name, FOLDER)
    if info.issym():
        return Member(info.name, LINK, target=info.linkname)
    if info.islnk():
        return Member(info.name, SAME, target=info.linkname)
    if not info.isreg():
        inventory.refuse("is a device, a pipe or of an unknown kind", info.name)
    return _file(info.name, info.mode, info.size, inventory)


def _tar_bytes(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Chunks:
    def chunks() -> Iterator[bytes]:
        file = tar.extractfile(info) if info.isreg() else None
        if file is not None:
            with file:
                yield from _pieces(file)

    return chunks


def _in_zip(file: IO[bytes], inventory: Inventory) -> Iterator[Found]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            yield _zip_member(archive, info, inventory), _zip_bytes(archive, info)


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, inventory: Inventory) -> Member:
    mode = info.external_attr >> 16
    if info.flag_bits & 1:
        inventory.refuse("is encrypted", info.filename)
    if info.is_dir():
        return Member(info.filename, FOLDER)
    if stat.S_ISLNK(mode):
        if info.file_size > 4096:
            inventory.refuse("is a link with a target of no sensible length", info.filename)
        target = archive.read(info).decode("utf-8", "surrogateescape")
        return Member(info.filename, LINK, target=target)
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        inventory.refuse("is a device, a pipe or of an unknown kind", info.filename)
    return _file(info.filename, mode, info.file_size, inventory)


def _zip_bytes(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Chunks:
    def chunks() -> Iterator[bytes]:
        if not info.is_dir() and not stat.S_ISLNK(info.external_attr >> 16):
            with archive.open(info) as file:
                yield from _pieces(file)

    return chunks


def _file(name: str, mode: int, size: int, inventory: Inventory) -> Member:
    if mode & (stat.S_ISUID | stat.S_ISGID):
        inventory.refuse("has setuid or setgid set", name)
    return Member(name, FILE, runs=bool(mode & 0o111), size=size)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while True:
        data = file.read(CHUNK)
        if not data:
            return
        yield data
