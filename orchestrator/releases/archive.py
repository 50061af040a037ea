"""Artifacts as people bring them: a folder, or a tar (plain, gz, xz, bz2) or zip archive.

What an archive is, is told by its first bytes, not by its name. It is read once, bounded in every
direction, and each member is checked before its bytes are touched; `digest` throws the bytes away,
`unpack` writes them. An archive in which everything lies in one folder of the archive's own name
(`web-2/…` in `web-2.tar.gz`) is that folder.

The one rule: what is written was checked first, into a folder that is new and ours, links last. It
refuses to know releases; recipes are no part of an artifact.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from typing import IO, Any, TypeVar

from orchestrator.ports.trouble import Refused, Trouble
from orchestrator.releases import disk
from orchestrator.releases.members import Inventory, Kind, Limits, Member, MiB, printable

CHUNK = 256 * 1024
LIMITS = Limits()
PADDING_MAX = 64 * MiB
READ_MAX = MiB  # no header of an archive needs more at once
ENDINGS = (".tar.gz", ".tar.xz", ".tar.bz2", ".tgz", ".txz", ".tbz2", ".tar", ".zip")
KINDS = "a folder, .tar, .tar.gz, .tar.xz, .tar.bz2 or .zip"

Chunks = Callable[[], Iterator[bytes]]
Found = tuple[Member, Chunks]
T = TypeVar("T")


def digest(source: str, limits: Limits = LIMITS) -> str:
    """The digest of a folder's or an archive's content. `Refused` says what is wrong with it."""
    inventory = _inventory(source, limits)
    for member, chunks in _members(source, inventory):
        if member.name:
            inventory.add(member, _sum(inventory, chunks(), None))
    return inventory.digest(_top(source, inventory))


def unpack(source: str, folder: str, limits: Limits = LIMITS) -> tuple[str, str]:
    """Write the content into `folder` (made here), synced. Returns its digest and where it lies.

    It lies in `folder`, or one below where the archive has a folder of its own name around all.
    """
    inventory = _inventory(source, limits)
    with disk.told(f"unpacking {source}"):
        os.makedirs(folder, 0o755)
    for member, chunks in _members(source, inventory):
        with disk.told(f"unpacking {source}"):
            _write(folder, member, chunks, inventory)
    top = _top(source, inventory)
    with disk.told(f"unpacking {source}"):
        for name, target in inventory.links.items():
            os.symlink(target, os.path.join(folder, name))
        for name, kind in inventory.kinds.items():
            if kind is Kind.FOLDER:
                disk.sync_folder(os.path.join(folder, name))
        disk.sync_folder(folder)
    return inventory.digest(top), os.path.join(folder, top) if top else folder


def stem(path: str) -> str:
    """Its name without what says how it is packed: `web-2` of `dist/web-2.tar.gz`."""
    name = os.path.basename(os.path.normpath(path))
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)] or name


# -- One pass ------------------------------------------------------------------------------


def _inventory(source: str, limits: Limits) -> Inventory:
    with disk.told(f"reading {source}"):
        seen = os.stat(source)
    packed = None if stat.S_ISDIR(seen.st_mode) else seen.st_size
    return Inventory(printable(source), packed, limits)


def _members(source: str, inventory: Inventory) -> Iterator[Found]:
    """Each member, checked, with a way to its bytes that holds until the next is asked for."""
    found = _in_folder(source, inventory) if inventory.packed is None else _in_archive(source)
    for member, chunks in _reading(found, inventory):
        yield inventory.checked(member), chunks


def _reading(found: Iterator[T], inventory: Inventory) -> Iterator[T]:
    """What the readers of archives raise on hostile bytes is no closed set: all of it is damage."""
    while True:
        try:
            one = next(found)
        except StopIteration:
            return
        except Trouble:
            raise
        except Exception as error:
            raise _damaged(inventory, error) from error
        yield one


def _damaged(inventory: Inventory, error: Exception) -> Refused:
    if isinstance(error, OSError) and error.errno:
        return Refused(f"reading {inventory.source} failed: {error.strerror}")
    kind = type(error).__name__
    return Refused(f"{inventory.source} is damaged or cut short ({kind}: {printable(str(error))})")


def _sum(inventory: Inventory, chunks: Iterator[bytes], file: int | None) -> str:
    whole = hashlib.sha256()
    for data in _reading(chunks, inventory):
        inventory.count(len(data))
        whole.update(data)
        if file is not None:
            disk.write_all(file, data)
    return whole.hexdigest()


def _write(folder: str, member: Member, chunks: Chunks, inventory: Inventory) -> None:
    path = os.path.join(folder, member.name)
    content = ""
    match member.kind:
        case Kind.FOLDER:
            os.makedirs(path, 0o755, exist_ok=True)
        case Kind.FILE | Kind.SAME:
            os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
            runs = member.runs
            if member.kind is Kind.SAME:
                runs = inventory.entries[member.target].runs
                chunks = _bytes_of(os.path.join(folder, member.target))
            content = _write_file(path, 0o755 if runs else 0o644, chunks, inventory)
        case Kind.LINK:
            os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    if member.name:
        inventory.add(member, content)


def _write_file(path: str, mode: int, chunks: Chunks, inventory: Inventory) -> str:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(path, flags, mode)
    try:
        os.fchmod(file, mode)
        content = _sum(inventory, chunks(), file)
        os.fsync(file)
    finally:
        os.close(file)
    return content


def _top(source: str, inventory: Inventory) -> str:
    top = inventory.only_folder()
    return top if inventory.packed is not None and top and top == stem(source) else ""


# -- Folders -------------------------------------------------------------------------------


def _in_folder(source: str, inventory: Inventory) -> Iterator[Found]:
    """Everything below, a folder before what is in it. Follows no link but the source itself."""
    waiting = [""]
    while waiting:
        above = waiting.pop()
        with os.scandir(os.path.join(source, above)) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            name = f"{above}/{entry.name}" if above else entry.name
            yield _on_disk(entry.path, name, inventory)
            if entry.is_dir(follow_symlinks=False):
                waiting.append(name)


def _on_disk(path: str, name: str, inventory: Inventory) -> Found:
    seen = os.lstat(path)
    if stat.S_ISDIR(seen.st_mode):
        return Member(name, Kind.FOLDER), _nothing
    if stat.S_ISLNK(seen.st_mode):
        return Member(name, Kind.LINK, target=os.readlink(path)), _nothing
    if not stat.S_ISREG(seen.st_mode):
        raise inventory.refused("is a device, a pipe or a socket", name)
    return _file(name, seen.st_mode, seen.st_size, inventory), _bytes_of(path)


def _bytes_of(path: str) -> Chunks:
    def chunks() -> Iterator[bytes]:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            yield from _pieces(file)

    return chunks


# -- Archives ------------------------------------------------------------------------------


def _in_archive(source: str) -> Iterator[Found]:
    inventory = Inventory(printable(source))  # only for the words of a refusal
    with open(source, "rb") as file:
        head = file.read(262)
        file.seek(0)
        if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            yield from _in_zip(file, inventory)
        elif (opened := _opened(file, head)) is not None:
            yield from _in_tar(opened, inventory)
        else:
            raise Refused(f"{inventory.source} is not an archive; an artifact is {KINDS}")


def _opened(file: IO[bytes], head: bytes) -> IO[bytes] | None:
    """The tar inside its compression; None where it is none. These modules are seldom needed."""
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
            raise self._inventory.refused(f"has a header of {size:,} bytes")
        return self._file.read(size)

    def seek(self, place: int, whence: int = 0) -> int:
        if place > LIMITS.total * 2:
            raise self._inventory.refused("claims to be larger than anything bg unpacks")
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
        raise inventory.refused("goes on after its end")


def _tar_member(info: tarfile.TarInfo, inventory: Inventory) -> Member:
    if info.isdir():
        return Member(info.name, Kind.FOLDER)
    if info.issym():
        return Member(info.name, Kind.LINK, target=info.linkname)
    if info.islnk():
        return Member(info.name, Kind.SAME, target=info.linkname)
    if not info.isreg():
        raise inventory.refused("is a device, a pipe or of an unknown kind", info.name)
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
        raise inventory.refused("is encrypted", info.filename)
    if info.is_dir():
        return Member(info.filename, Kind.FOLDER)
    if stat.S_ISLNK(mode):
        if info.file_size > 4096:
            raise inventory.refused("is a link with a target of no sensible length", info.filename)
        target = archive.read(info).decode("utf-8", "surrogateescape")
        return Member(info.filename, Kind.LINK, target=target)
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise inventory.refused("is a device, a pipe or of an unknown kind", info.filename)
    return _file(info.filename, mode, info.file_size, inventory)


def _zip_bytes(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Chunks:
    def chunks() -> Iterator[bytes]:
        if not info.is_dir() and not stat.S_ISLNK(info.external_attr >> 16):
            with archive.open(info) as file:
                yield from _pieces(file)

    return chunks


def _file(name: str, mode: int, size: int, inventory: Inventory) -> Member:
    if mode & (stat.S_ISUID | stat.S_ISGID):
        raise inventory.refused("has setuid or setgid set", name)
    return Member(name, Kind.FILE, runs=bool(mode & 0o111), size=size)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while data := file.read(CHUNK):
        yield data


def _nothing() -> Iterator[bytes]:
    return iter(())
