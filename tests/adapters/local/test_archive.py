"""Artifacts as people bring them, and as nobody should (S84, S92)."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import socket
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.ports.trouble import Refused
from orchestrator.releases import archive
from orchestrator.releases.members import Limits
from tests.adapters.local.samples import files_below

CONTENT = {
    "bin/run": (b"#!/bin/sh\nexec sleep 9\n", 0o755),
    "etc/settings.json": (b"{}", 0o644),
    "empty": (b"", 0o600),
    "ünïcode name": (b"\x00\xff" * 40_000, 0o640),
}
LINKS = {"bin/also": "run", "current": "etc", "etc/up": "../bin/run"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A decent artifact."""
    top = tmp_path / "web-2"
    for name, (data, mode) in CONTENT.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(mode)
    for name, target in LINKS.items():
        (top / name).symlink_to(target)
    return top


# -- The same content is the same artifact ---------------------------------------------------


def as_tar(folder: Path, path: Path, mode: str, arcname: str = ".") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        tar.add(folder, arcname=arcname)
    return path


def as_zip(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in sorted(files_below(folder), reverse=True):
            one = folder / name
            info = zipfile.ZipInfo(name + "/" if one.is_dir() and not one.is_symlink() else name)
            info.external_attr = os.lstat(one).st_mode << 16
            if one.is_symlink():
                packed.writestr(info, os.readlink(one))
            else:
                packed.writestr(info, b"" if one.is_dir() else one.read_bytes())
    return path


def backwards(folder: Path, path: Path) -> Path:
    """Other times, owners, order and format; no entries for folders at all."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for name in sorted(files_below(folder), reverse=True):
            if (folder / name).is_symlink() or (folder / name).is_file():
                info = tar.gettarinfo(folder / name, arcname=f"./{name}")
                info.mtime, info.uid, info.uname = 1, 4711, "nobody"
                data = (folder / name).read_bytes() if info.isreg() else b""
                tar.addfile(info, io.BytesIO(data))
    return path


PACKED: dict[str, Callable[[Path, Path], Path]] = {
    "a.tar": lambda folder, to: as_tar(folder, to / "a.tar", "w"),
    "a.tar.gz": lambda folder, to: as_tar(folder, to / "a.tar.gz", "w:gz"),
    "a.tar.xz": lambda folder, to: as_tar(folder, to / "a.tar.xz", "w:xz"),
    "a.tar.bz2": lambda folder, to: as_tar(folder, to / "a.tar.bz2", "w:bz2"),
    "a.zip": lambda folder, to: as_zip(folder, to / "a.zip"),
    "wrong.name": lambda folder, to: as_tar(folder, to / "wrong.name", "w:gz"),
    "other order": lambda folder, to: backwards(folder, to / "b.tar"),
    "in a folder of its name": lambda folder, to: as_tar(folder, to / "w.tgz", "w:gz", "w"),
}


@pytest.mark.parametrize("how", PACKED)
def test_an_archive_is_the_folder_it_was_made_of(folder: Path, tmp_path: Path, how: str) -> None:
    packed = PACKED[how](folder, tmp_path)
    assert archive.digest(str(packed)) == archive.digest(str(folder))


@pytest.mark.parametrize("how", [*PACKED, "the folder itself"])
def test_what_is_unpacked_is_what_was_packed(folder: Path, tmp_path: Path, how: str) -> None:
    packed = folder if how == "the folder itself" else PACKED[how](folder, tmp_path)
    digest, lies_at = archive.unpack(str(packed), str(tmp_path / "out"))
    assert digest == archive.digest(str(folder)) == archive.digest(lies_at)
    assert files_below(lies_at) == files_below(folder)
    for name, (data, mode) in CONTENT.items():
        assert (Path(lies_at) / name).read_bytes() == data
        assert os.access(Path(lies_at) / name, os.X_OK) == bool(mode & 0o100)
    for name, target in LINKS.items():
        assert os.readlink(Path(lies_at) / name) == target


CHANGES: dict[str, Callable[[Path], object]] = {
    "a byte": lambda folder: (folder / "etc/settings.json").write_bytes(b"[]"),
    "a name": lambda folder: (folder / "empty").rename(folder / "Empty"),
    "a file more": lambda folder: (folder / "more").write_bytes(b""),
    "a folder more": lambda folder: (folder / "more").mkdir(),
    "a file less": lambda folder: (folder / "empty").unlink(),
    "may be executed": lambda folder: (folder / "empty").chmod(0o755),
    "another target": lambda folder: os.replace(folder / "bin/also", folder / "current"),
    "a file for a link": lambda folder: os.replace(folder / "empty", folder / "current"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_other_content_is_another_artifact(folder: Path, what: str) -> None:
    before = archive.digest(str(folder))
    CHANGES[what](folder)
    assert archive.digest(str(folder)) != before


def test_times_and_modes_beyond_executing_change_nothing(folder: Path) -> None:
    before = archive.digest(str(folder))
    os.utime(folder / "empty", (1, 1))
    (folder / "empty").chmod(0o444)
    assert archive.digest(str(folder)) == before


def test_the_digest_of_an_artifact_stays_what_it_is(tmp_path: Path) -> None:
    """Releases on disk are named by it: another way to count would orphan them all."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "run").write_bytes(b"x")
    (tmp_path / "a" / "run").chmod(0o755)
    (tmp_path / "a" / "link").symlink_to("run")
    assert archive.digest(str(tmp_path / "a"))[:16] == "ea26412c70195f44"


# -- What must not be in one (S92) ---------------------------------------------------------


def member(name: str, kind: bytes = tarfile.REGTYPE, **more: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in more.items():
        setattr(info, key, value)
    return info


def link(name: str, target: str) -> tarfile.TarInfo:
    return member(name, tarfile.SYMTYPE, linkname=target)


BAD: dict[str, tuple[tuple[tarfile.TarInfo, ...], str]] = {
    "up": ((member("../evil"),), r"\.\./evil leads out"),
    "up inside": ((member("a/../../evil"),), "leads out"),
    "absolute": ((member("/etc/evil"),), "absolute path"),
    "link away": ((link("a", "/etc/passwd"),), "a is a link out of its folder, to /etc/passwd"),
    "link up": ((link("a/b", "../../evil"),), "link out of its folder"),
    "link through a link": ((link("x/y/s", "../.."), link("evil", "x/y/s/../z")), "link out of"),
    "behind a link": ((link("a", "b"), member("a/evil")), "a/evil lies behind a link"),
    "link over a folder": ((member("a/fine"), link("a", "b")), "is there twice"),
    "behind a file": ((member("a"), member("a/evil")), "lies behind a file"),
    "hard link away": ((member("evil", tarfile.LNKTYPE, linkname="/etc/passwd"),), "absolute"),
    "hard link up": ((member("evil", tarfile.LNKTYPE, linkname="../x"),), "leads out"),
    "hard link to nothing": ((member("evil", tarfile.LNKTYPE, linkname="x"),), "no file that came"),
    "hard link to a link": (
        (link("a", "b"), member("evil", tarfile.LNKTYPE, linkname="a")),
        "no file that came",
    ),
    "twice": ((member("a"), member("./a")), "a is there twice"),
    "device": ((member("dev", tarfile.CHRTYPE),), "dev is a device"),
    "disk": ((member("dev", tarfile.BLKTYPE),), "is a device"),
    "pipe": ((member("pipe", tarfile.FIFOTYPE),), "a pipe"),
    "unknown kind": ((member("odd", b"Q"),), "kind|damaged"),
    "setuid": ((member("su", mode=0o4755),), "su has setuid"),
    "setgid": ((member("su", mode=0o2755),), "setgid"),
    "control characters": ((member("a\x1b[31m\n"),), r"\\x1b"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_leaves_its_folder_or_is_no_file_is_refused(tmp_path: Path, case: str) -> None:
    """S92: by name, by `digest` and by `unpack` alike, and nothing of it is written."""
    members, why = BAD[case]
    with tarfile.open(tmp_path / "evil.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for one in members:
            tar.addfile(one)
    for attempt in (
        lambda: archive.digest(str(tmp_path / "evil.tar")),
        lambda: archive.unpack(str(tmp_path / "evil.tar"), str(tmp_path / "in/out")),
    ):
        with pytest.raises(Refused, match=why) as trouble:
            attempt()
        assert "evil.tar" in trouble.value.why
        assert "\x1b" not in trouble.value.why
    written = files_below(tmp_path) - {"evil.tar", "in", "in/out"}
    assert all(name.startswith("in/out/") and "evil" not in name for name in written)


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil"])
def test_a_zip_cannot_lead_out_either(tmp_path: Path, name: str) -> None:
    """S92"""
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as packed:
        packed.writestr(name, b"x")
    with pytest.raises(Refused, match=r"leads out|absolute"):
        archive.unpack(str(tmp_path / "evil.zip"), str(tmp_path / "in/out"))
    assert files_below(tmp_path) == {"evil.zip", "in", "in/out"}


def test_a_zip_with_a_link_out_of_it_is_refused(tmp_path: Path) -> None:
    """S92"""
    info = zipfile.ZipInfo("evil")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as packed:
        packed.writestr(info, "/etc/passwd")
    with pytest.raises(Refused, match="link out"):
        archive.digest(str(tmp_path / "evil.zip"))


def test_a_wrapping_folder_does_not_let_its_links_out(tmp_path: Path) -> None:
    """S92: a link into what is around the folder that becomes the top."""
    with tarfile.open(tmp_path / "w.tar", "w") as tar:
        tar.addfile(link("w/evil", "../secret"))
    with pytest.raises(Refused, match="link out"):
        archive.digest(str(tmp_path / "w.tar"))


def test_a_folder_is_held_to_the_same(folder: Path) -> None:
    """S92"""
    (folder / "bin" / "evil").symlink_to("/etc/passwd")
    with pytest.raises(Refused, match=r"bin/evil is a link out of its folder, to /etc/passwd"):
        archive.digest(str(folder))


@pytest.mark.parametrize("what", ["pipe", "socket", "setuid"])
def test_a_folder_holds_files_only(folder: Path, what: str) -> None:
    """S92"""
    evil = folder / "evil"
    with socket.socket(socket.AF_UNIX) as listener:
        match what:
            case "pipe":
                os.mkfifo(evil)
            case "socket":
                listener.bind(str(evil))
            case _:
                evil.write_bytes(b"")
                evil.chmod(0o4755)
        with pytest.raises(Refused, match=r"evil (is|has)"):
            archive.digest(str(folder))


# -- Bombs ---------------------------------------------------------------------------------

TIGHT = Limits(total=3_000_000, members=50, ratio=100, ratio_from=100_000)


def test_more_bytes_than_anybody_needs_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as tar:
        tar.addfile(member("zeros", size=4_000_000), io.BytesIO(bytes(4_000_000)))
    with pytest.raises(Refused, match="zeros unpacks to more than"):
        archive.unpack(str(tmp_path / "bomb.tar.gz"), str(tmp_path / "out"), TIGHT)


def test_a_zip_that_lies_about_its_size_is_caught_by_what_comes(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("zeros", bytes(2_900_000))
    with pytest.raises(Refused, match="more than 100 times its size"):
        archive.digest(str(tmp_path / "bomb.zip"), TIGHT)


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "many.tar", "w") as tar:
        for number in range(60):
            tar.addfile(member(f"f{number}"))
    with pytest.raises(Refused, match="more than 50 members"):
        archive.digest(str(tmp_path / "many.tar"), TIGHT)


def test_a_header_cannot_claim_the_memory(tmp_path: Path) -> None:
    """A name of two megabytes, compressed to nothing."""
    with tarfile.open(tmp_path / "long.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(member("x", pax_headers={"comment": "y" * 2_000_000}))
    with pytest.raises(Refused, match="header of"):
        archive.digest(str(tmp_path / "long.tar.gz"))


# -- Damage (S84) --------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["a.tar", "a.tar.gz", "a.tar.xz", "a.tar.bz2", "a.zip"])
def test_an_archive_that_was_cut_is_refused_wherever_it_was_cut(
    folder: Path, tmp_path: Path, how: str
) -> None:
    """S84"""
    whole = PACKED[how](folder, tmp_path).read_bytes()
    end = whole.rstrip(b"\0") if how == "a.tar" else whole
    lots = random.Random(how)
    some = {0, 1, 100, len(end) - 1, len(end) - 9, *(lots.randrange(len(end)) for _ in range(25))}
    for length in sorted(some):
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(Refused, match="cut"):
            archive.digest(str(tmp_path / "cut"))


@pytest.mark.parametrize("how", ["a.tar.gz", "a.tar.xz", "a.tar.bz2", "a.zip", "a.tar"])
def test_hostile_bytes_are_refused_or_read_and_never_break_anything(
    folder: Path, tmp_path: Path, how: str
) -> None:
    whole = bytearray(PACKED[how](folder, tmp_path).read_bytes())
    lots = random.Random(how)
    for _ in range(40):
        broken = bytearray(whole)
        for _ in range(lots.randrange(1, 4)):
            broken[lots.randrange(min(len(broken), 3000))] = lots.randrange(256)
        (tmp_path / "broken").write_bytes(broken)
        try:
            assert len(archive.digest(str(tmp_path / "broken"))) == 64
        except Refused as trouble:
            assert "broken" in trouble.why


@pytest.mark.parametrize("data", [b"", b"hello\n" * 100, b"\x7fELF" + bytes(600), b"PK"])
def test_what_is_no_archive_is_refused_with_what_would_be_one(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "web").write_bytes(data)
    with pytest.raises(Refused, match=r"is not an archive; an artifact is a folder, \.tar"):
        archive.digest(str(tmp_path / "web"))


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_what_is_compressed_and_no_archive_is_refused(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    (tmp_path / "web").write_bytes(pack(b"hello\n" * 1000))
    with pytest.raises(Refused, match="damaged"):
        archive.digest(str(tmp_path / "web"))


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("a", b"x")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(Refused, match="encrypted"):
        archive.digest(str(tmp_path / "a.zip"))


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="No such file"):
        archive.digest(str(tmp_path / "nothing"))
