"""How a release gets onto a host: whole, checked, and where it belongs, or not at all.

The agent and the controller's shelf must agree on every archive: what one accepts and how it is
called, the other does and calls it the same.
"""

from __future__ import annotations

import base64
import gzip
import io
import os
import random
import signal
import stat
import subprocess
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bg_agent import archive as agents_archive
from bg_agent.trouble import Refused as AgentRefused

from orchestrator.ports.trouble import Refused
from orchestrator.releases import archive
from tests.agents.conftest import Speak
from tests.agents.programs import packed
from tests.agents.systemd import FakeSystemd
from tests.agents.talk import JOURNAL, Agent, Packed, tar_of

EVERY_PYTHON = True
Put = Callable[..., subprocess.CompletedProcess[bytes]]
Stage = Callable[[Packed], Packed]


def files(base: Path, one: Packed) -> Path:
    folder = f"{one.version}@{one.release['digest']}"
    return base / "shop" / "releases" / one.service / folder / "files"


def staged(agent: Agent) -> list[dict[str, str]]:
    (service,) = agent.ok("look", services=["web"])["services"]
    found: list[dict[str, str]] = service["staged"]
    return found


# -- The way it should be ------------------------------------------------------------------


def test_few_bytes_come_with_the_commit_itself(agent: Agent, base: Path, tmp_path: Path) -> None:
    one = packed(tmp_path, "1")
    agent.ok("offer", **one.bytes)
    agent.ok("commit", **one.whole, data=base64.b64encode(one.data).decode())
    assert archive.digest(str(files(base, one))) == one.content
    assert not list((base / "shop/incoming").iterdir())


def test_bytes_that_came_along_are_checked_like_all_others(agent: Agent, tmp_path: Path) -> None:
    one = packed(tmp_path, "1")
    agent.ok("offer", **one.bytes)
    other = bytes([one.data[0] ^ 1]) + one.data[1:]
    kind, _ = agent.refused("commit", **one.whole, data=base64.b64encode(other).decode())
    assert kind == "damaged"
    kind, _ = agent.refused("commit", **one.whole, data="no base64")
    assert kind == "bad-request"
    assert staged(agent) == []


def test_what_was_staged_is_what_was_sent_and_points_at_nothing(
    agent: Agent, stage: Stage, base: Path, tmp_path: Path
) -> None:
    one = stage(packed(tmp_path, "1"))
    assert archive.digest(str(files(base, one))) == one.content
    assert staged(agent) == [one.release]
    assert agent.ok("described", service="web", release=one.release) == {"description": "{}"}
    (service,) = agent.ok("look", services=["web"])["services"]
    assert service["colors"]["blue"] == {"current": None, "remark": None, "instances": []}
    assert not list((base / "shop" / "incoming").iterdir())


def test_the_same_release_is_sent_once(agent: Agent, stage: Stage, tmp_path: Path) -> None:
    one = stage(packed(tmp_path, "1"))
    assert agent.ok("offer", **one.bytes)["staged"] is True
    again = {**one.whole, "packed": None, "description": "new probes"}
    assert agent.ok("commit", **again) == {"staged": True}
    described = agent.ok("described", service="web", release=one.release)
    assert described == {"description": "new probes"}


def test_a_cut_upload_goes_on_where_it_was_cut(
    agent: Agent, put: Put, base: Path, tmp_path: Path
) -> None:
    """S84: at a few places, the first byte and the last included."""
    one = packed(tmp_path, "1")
    for cut in (1, 5000, len(one.data) - 1):
        have = agent.ok("offer", **one.bytes)["have"]
        assert put(one, have, one.data[have:cut]).returncode == 0
        assert agent.ok("offer", **one.bytes)["have"] == cut
        assert f"{cut} of {len(one.data)} bytes" in agent.refused("commit", **one.whole)[1]
    assert put(one, len(one.data) - 1).returncode == 0
    agent.ok("commit", **one.whole)
    assert archive.digest(str(files(base, one))) == one.content


def test_an_upload_that_hangs_makes_place_for_the_next(
    agent: Agent, put: Put, command: Callable[..., list[str]], system: FakeSystemd, tmp_path: Path
) -> None:
    """S83: the line of the first is black-holed, so nobody ends it."""
    one = packed(tmp_path, "1")
    words = ["--site", "shop", "--journal", JOURNAL, "--epoch", "1", "--packed", one.sha256]
    argv = command("put", *words, "--size", str(len(one.data)), "--offset", "0")
    hanging = subprocess.Popen(argv, env=system.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert hanging.stdin
    hanging.stdin.write(one.data[:10])
    hanging.stdin.flush()
    until = time.monotonic() + 20
    while agent.ok("offer", **one.bytes)["have"] < 10:
        assert time.monotonic() < until
    assert put(one, 10).returncode == 0
    assert hanging.wait(10) == -signal.SIGTERM
    hanging.communicate()
    agent.ok("commit", **one.whole)


def test_an_archive_in_a_folder_of_its_own_name_is_that_folder(
    agent: Agent, put: Put, base: Path, tmp_path: Path
) -> None:
    inner = tmp_path / "made" / "web-2"
    (inner / "bin").mkdir(parents=True)
    (inner / "bin/web").write_text("#!/bin/sh\n")
    source = tmp_path / "web-2.tar.gz"
    source.write_bytes(gzip.compress(tar_of(inner.parent)))
    one = Packed("web", "2", source.read_bytes(), archive.digest(str(source)), stem="web-2")
    agent.ok("offer", **one.bytes)
    put(one)
    agent.ok("commit", **one.whole)
    assert (files(base, one) / "bin/web").is_file()


def test_whatever_the_umask_of_the_user_programs_can_read_what_is_theirs_alone(
    command: Callable[..., list[str]], system: FakeSystemd, put: Put, base: Path, tmp_path: Path
) -> None:
    """S82, S91."""
    one = packed(tmp_path, "1")
    strange = ["sh", "-c", 'umask 777; exec "$@"', "sh"]
    with Agent([*strange, *command("serve")], env=system.env) as agent:
        agent.ok("offer", **one.bytes)
        assert put(one).returncode == 0
        agent.ok("commit", **one.whole)
        instances = [{"index": 0, "argv": ["bin/web"], "env": {}}]
        launch = {"service": "web", "color": "blue", "release": one.release}
        agent.ok("start", **launch, instances=instances)
    root = base / "shop"
    modes = {str(p.relative_to(root)): stat.S_IMODE(p.lstat().st_mode) for p in root.rglob("*")}
    assert modes[str((files(base, one) / "bin").relative_to(root))] == 0o755
    assert modes[str((files(base, one) / "bin/web").relative_to(root))] == 0o755
    assert modes[str((files(base, one) / "version").relative_to(root))] == 0o644
    closed = {name for name, mode in modes.items() if not mode & 0o077}
    assert {"ledger", "lock", "private", "private/web", "incoming"} <= closed


# -- The ways it should not be -------------------------------------------------------------


def test_bytes_of_another_digest_are_refused_and_deleted(
    agent: Agent, put: Put, tmp_path: Path
) -> None:
    """S84."""
    one = packed(tmp_path, "1")
    put(one, 0, one.data[:-512] + b"x" * 512)
    kind, why = agent.refused("commit", **one.whole)
    assert (kind, "another digest" in why) == ("damaged", True)
    assert agent.ok("offer", **one.bytes)["have"] == 0
    assert staged(agent) == []


def test_another_content_or_recipe_than_the_release_s_is_refused(
    agent: Agent, put: Put, base: Path, tmp_path: Path
) -> None:
    """S88: a release is its bytes and how they are run, whatever it is called."""
    one, other = packed(tmp_path, "1"), packed(tmp_path, "2")
    put(one)
    for wrong in ({"content": other.content}, {"how": "{}"}, {"release": other.release}):
        assert agent.refused("commit", **{**one.whole, **wrong})[0] == "bad-request"
    lying = Packed("web", "1", one.data, other.content)
    assert agent.refused("commit", **lying.whole)[0] == "damaged"
    assert staged(agent) == []
    assert not list((base / "shop" / "releases").glob("web/.new*"))


def test_more_or_other_than_was_announced_is_refused(
    agent: Agent, put: Put, tmp_path: Path
) -> None:
    one = packed(tmp_path, "1")
    assert b"more bytes came" in put(one, 0, one.data + b"x").stdout
    assert b"bad-request" in put(one, len(one.data) + 1, b"").stdout


def test_where_there_is_no_room_nothing_is_begun(agent: Agent, base: Path, tmp_path: Path) -> None:
    """S84: asked first."""
    one = packed(tmp_path, "1")
    seen = os.statvfs(tmp_path)
    size = min(4 * 1024**3, seen.f_bavail * seen.f_frsize)
    if size == 4 * 1024**3:
        more = {"size": size, "unpacked": size}
        assert agent.ok("offer", **{**one.bytes, **more})["need"] == 2 * size
        return
    kind, why = agent.refused("offer", **{**one.bytes, "size": size})
    assert (kind, "are free at" in why) == ("no-room", True)
    assert not (base / "shop" / "incoming").exists()


def test_half_staged_leftovers_of_the_dead_are_cleared_away(
    agent: Agent, base: Path, tmp_path: Path
) -> None:
    agent.ok("look", services=["web"])
    folder = base / "shop" / "releases" / "web"
    for name in (".new-999999-1-abcd", f".new-{os.getpid()}-1-abcd"):
        (folder / name / "unpacked").mkdir(parents=True)
    agent.ok("offer", **packed(tmp_path, "1").bytes)
    assert not folder.exists() or not list(folder.iterdir())


# -- Hostile archives, and two who must agree ----------------------------------------------


def tar_with(*members: tuple[str, dict[str, Any]], data: bytes = b"x") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, more in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in more.items():
                setattr(info, key, value)
            if info.type != tarfile.REGTYPE:
                info.size = 0
            tar.addfile(info, io.BytesIO(data) if info.type == tarfile.REGTYPE else None)
    return out.getvalue()


def zip_with(*names: str, mode: int = 0o100644) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            made.writestr(info, "x")
    return out.getvalue()


LINK, SAME, DEVICE, PIPE = (
    {"type": kind} for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)
)
HOSTILE = {
    "..": tar_with(("../x", {})),
    ".. below": tar_with(("a/../../x", {})),
    "absolute": tar_with(("/etc/x", {})),
    "link out": tar_with(("a", {**LINK, "linkname": "../x"})),
    "absolute link": tar_with(("a", {**LINK, "linkname": "/etc"})),
    "link down and up": tar_with(("a/b", {**LINK, "linkname": "c/../../.."})),
    "file behind a link": tar_with(("a", {**LINK, "linkname": "b"}), ("a/x", {})),
    "hard link out": tar_with(("a", {**SAME, "linkname": "../x"})),
    "hard link to nothing": tar_with(("a", {**SAME, "linkname": "b"})),
    "hard link to a link": tar_with(
        ("l", {**LINK, "linkname": "x"}), ("a", {**SAME, "linkname": "l"})
    ),
    "device": tar_with(("a", DEVICE)),
    "pipe": tar_with(("a", PIPE)),
    "setuid": tar_with(("a", {"mode": 0o4755})),
    "twice": tar_with(("a", {}), ("a", {})),
    "a line break": tar_with(("a\nb", {})),
    "no archive": b"hello" * 200,
    "nothing": b"",
    "half a tar": tar_with(("a", {}), data=b"x" * 5000)[:3000],
    "half a gz": gzip.compress(tar_with(("a", {})))[:-9],
    "a zip with ..": zip_with("../x"),
    "a zip with a device": zip_with("a", mode=0o20644),
    "a zip with setuid": zip_with("a", mode=0o104755),
    "a bomb": gzip.compress(tar_with(("a", {}), data=bytes(80 * 1024**2))),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=list(HOSTILE))
def test_a_hostile_archive_leaves_nothing_and_gets_a_sentence(data: bytes, tmp_path: Path) -> None:
    """S84, S92: and the controller refuses it as well."""
    source = tmp_path / "artifact"
    source.write_bytes(data)
    with pytest.raises(Refused):
        archive.digest(str(source))
    with pytest.raises(AgentRefused) as refused:
        agents_archive.unpack(str(source), str(tmp_path / "out" / "x"), "", lambda _: None)
    assert refused.value.more["kind"] == "damaged"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["artifact", "out"]


def test_a_hostile_archive_over_the_wire_is_refused_and_cleared_away(
    agent: Agent, put: Put, base: Path, tmp_path: Path
) -> None:
    """S92."""
    one = Packed("web", "1", HOSTILE["link out"], "0" * 64)
    agent.ok("offer", **one.bytes)
    put(one)
    assert agent.refused("commit", **one.whole)[0] == "damaged"
    assert staged(agent) == []
    assert not list(base.glob("shop/releases/web/.new*"))


def random_folder(folder: Path, draw: random.Random) -> None:
    folder.mkdir()
    inside = [folder]
    for n in range(draw.randrange(1, 12)):
        at = draw.choice(inside) / draw.choice(("a", "b", "ü", "x y", "z")) / str(n)
        kind = draw.choice(("file", "file", "program", "folder", "link", "same"))
        at.parent.mkdir(exist_ok=True)
        before = sorted(path for path in folder.rglob("*") if path.is_file())
        if kind == "folder":
            at.mkdir()
            inside.append(at)
        elif kind == "link":
            at.symlink_to(draw.choice(("nowhere", "../" + at.name, ".")))
        elif kind == "same" and before:
            at.hardlink_to(draw.choice(before))
        else:
            at.write_bytes(draw.randbytes(draw.randrange(3000)))
            at.chmod(0o755 if kind == "program" else 0o640)


@pytest.mark.parametrize("seed", range(12))
def test_the_agent_and_the_shelf_call_every_artifact_by_the_same_digest(
    seed: int, tmp_path: Path
) -> None:
    random_folder(tmp_path / "web-2", random.Random(seed))
    whole = archive.digest(str(tmp_path / "web-2"))
    forms: dict[str, Callable[[bytes], bytes]] = {"web-2.tar": bytes, "web-2.tgz": gzip.compress}
    for name, pack in forms.items():
        for around, stem in ((tmp_path / "web-2", ""), (tmp_path, "web-2")):
            source = tmp_path / "out" / name
            source.parent.mkdir(exist_ok=True)
            data = tar_of(around) if not stem else below(tmp_path, "web-2")
            source.write_bytes(pack(data))
            target = tmp_path / "out" / f"{name}{stem}.d"
            found = agents_archive.unpack(str(source), str(target), stem, lambda _: None)
            assert found[0] == whole == archive.digest(str(source))
            assert archive.digest(found[1]) == whole


def below(folder: Path, name: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.add(folder / name, name)
    return out.getvalue()


def test_zips_have_the_same_digest_too(tmp_path: Path) -> None:
    source = tmp_path / "a.zip"
    source.write_bytes(zip_with("a/b", "c", mode=0o100755))
    found = agents_archive.unpack(str(source), str(tmp_path / "x"), "", lambda _: None)
    assert found[0] == archive.digest(str(source))


# -- Pointing and removing -----------------------------------------------------------------


def test_a_color_moves_by_one_rename_and_only_to_what_is_staged(
    agent: Agent, stage: Stage, base: Path, tmp_path: Path
) -> None:
    one, two = stage(packed(tmp_path, "1")), packed(tmp_path, "2")
    link = base / "shop" / "current" / "web" / "blue"
    for _ in range(2):
        agent.ok("point", service="web", color="blue", release=one.release)
        assert link.resolve() == files(base, one).parent
    refused = agent.refused("point", service="web", color="blue", release=two.release)
    assert "not staged" in refused[1]
    assert link.resolve() == files(base, one).parent
    for _ in range(2):
        agent.ok("point", service="web", color="blue", release=None)
        assert not link.is_symlink()


def test_a_release_that_a_color_points_at_stays(
    agent: Agent, stage: Stage, base: Path, tmp_path: Path
) -> None:
    one = stage(packed(tmp_path, "1"))
    agent.ok("point", service="web", color="green", release=one.release)
    assert (
        "green web points at 1@" in agent.refused("remove", service="web", release=one.release)[1]
    )
    agent.ok("point", service="web", color="green", release=None)
    assert agent.ok("remove", service="web", release=one.release) == {"removed": True}
    assert agent.ok("remove", service="web", release=one.release) == {"removed": False}
    assert not list((base / "shop" / "releases").rglob("*.*"))


@pytest.mark.parametrize("target", ["/etc", "../../../x", "../../releases/web/nothing", "."])
def test_a_color_changed_by_hand_is_seen_as_that(speak: Speak, base: Path, target: str) -> None:
    agent = speak()
    agent.ok("look", services=["web"])
    link = base / "shop" / "current" / "web" / "blue"
    link.parent.mkdir(parents=True)
    link.symlink_to(target)
    (service,) = agent.ok("look", services=["web"])["services"]
    assert service["colors"]["blue"]["current"] is None
    assert "changed it by hand" in service["colors"]["blue"]["remark"]
