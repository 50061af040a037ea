"""Many hosts as one installation: put together, staged, and what one of them lacks."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.ssh import seen
from orchestrator.adapters.ssh.packing import pack
from orchestrator.adapters.ssh.staging import FEW
from orchestrator.core.model import Color, Recipe, Secret, SecretFrom
from orchestrator.core.sight import InstallationSeen, Sighting, holds, undone
from orchestrator.core.steps import Stage, Start
from orchestrator.ports.installation import PartlySeen
from orchestrator.ports.trouble import Refused, Unreachable
from tests.adapters.local.samples import at, part
from tests.adapters.ssh.fleet import HostsShop, shop_on_hosts


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[HostsShop]:
    async with shop_on_hosts(tmp_path) as made:
        yield made


def root(shop: HostsShop, n: int) -> Path:
    return shop.servers[n].system.home / ".local/share/bg/shop"


def kept(shop: HostsShop) -> list[Path]:
    """The files of the state folder here."""
    return [path for path in Path(shop.site.state).rglob("*") if path.is_file()]


async def look(shop: HostsShop) -> InstallationSeen:
    return at(await shop.driver().look(None), Color.BLUE)


async def test_what_lies_on_some_hosts_only_is_neither_staged_nor_gone(shop: HostsShop) -> None:
    """S88"""
    release, source = shop.release("1")
    one = part(release)
    await shop.driver().stage(one, source, 1)
    shutil.rmtree(next((root(shop, 1) / "releases/web").iterdir()))
    found = await look(shop)
    assert not found.staged
    assert found.partly == {release}
    sighting = Sighting((found,))
    assert not holds(Stage((one,)), sighting)
    assert not undone(Stage((one,)), sighting)
    await shop.driver().remove("web", release, 1)
    assert not (await look(shop)).partly


async def test_hosts_that_point_elsewhere_do_not_agree(shop: HostsShop) -> None:
    """S88"""
    release, source = shop.release("1")
    one = part(release)
    await shop.driver().stage(one, source, 1)
    await shop.driver().start(one, 1)
    assert holds(Start((one,)), Sighting((await look(shop),)))
    (root(shop, 1) / "current/web/blue").unlink()
    found = await look(shop)
    assert not found.agreed
    assert not holds(Start((one,)), Sighting((found,)))
    await shop.driver().start(one, 1)
    assert (await look(shop)).agreed


async def test_a_host_that_does_not_answer_is_named_and_nothing_is_said_of_its_services(
    shop: HostsShop,
) -> None:
    """S80"""
    shop.servers[1].know(shop.servers[0].line())
    with pytest.raises(PartlySeen, match="web2") as partly:
        await shop.driver().look(1)
    assert "web1" not in partly.value.why
    assert partly.value.seen == ()


async def test_bytes_that_are_there_are_not_sent_again(shop: HostsShop, tmp_path: Path) -> None:
    """S84: an upload that was cut goes on where it ended."""
    shop.make("1", large="x" * 3_000_000)
    release, source = shop.release("1")
    packed = pack(source, str(tmp_path / "packed"))
    await shop.driver().look(1)
    incoming = root(shop, 1) / "incoming"
    incoming.mkdir(mode=0o700)
    part_file = incoming / f"{packed.digest}.part"
    part_file.write_bytes(b"".join(packed.pieces(0))[:1_000_000])
    packed.throw_away()
    await shop.driver().stage(part(release), source, 1)
    offsets = [[c for c in one.commands if " put " in c] for one in shop.servers]
    assert "--offset 0" in offsets[0][0]
    assert "--offset 1000000" in offsets[1][0]
    assert (await look(shop)).staged == {release}


async def test_few_bytes_go_along_and_need_no_upload_of_their_own(shop: HostsShop) -> None:
    release, source = shop.release("1")
    await shop.driver().stage(part(release), source, 1)
    assert not [c for one in shop.servers for c in one.commands if " put " in c]
    web = (await shop.driver().look(None))[0]
    assert release in web.staged


async def test_a_release_that_is_there_is_sent_nowhere(shop: HostsShop) -> None:
    shop.make("1", large="x" * FEW)
    release, source = shop.release("1")
    await shop.driver().stage(part(release), source, 1)
    before = [len([c for c in one.commands if " put " in c]) for one in shop.servers]
    await shop.driver().stage(part(release), source, 1)
    after = [len([c for c in one.commands if " put " in c]) for one in shop.servers]
    assert before == after == [1, 1]


async def test_nothing_that_was_packed_stays_here(shop: HostsShop) -> None:
    """S13"""
    release, source = shop.release("1")
    await shop.driver().stage(part(release), source, 1)
    await shop.driver().remove("web", release, 1)
    assert not kept(shop)


def test_what_is_packed_has_no_name_here_so_no_death_leaves_it(tmp_path: Path) -> None:
    """S1, S13"""
    source, folder = tmp_path / "release", tmp_path / "packed"
    source.mkdir()
    (source / "app").write_text("x" * 1_000_000)
    packed = pack(str(source), str(folder))
    try:
        assert list(folder.iterdir()) == []
        assert b"x" * 1_000_000 in b"".join(packed.pieces(0))
        assert len(b"".join(packed.pieces(512))) == packed.size - 512
    finally:
        packed.throw_away()


async def test_a_recipe_is_believed_only_where_it_was_written_down_here(shop: HostsShop) -> None:
    """S81: a host cannot make the controller read a file or run a command."""
    release, source = shop.release("1")
    await shop.driver().stage(part(release), source, 1)
    shutil.rmtree(Path(shop.site.state) / "hosts")
    assert await shop.driver().service_as_staged("web", release) is None
    with pytest.raises(Refused, match="was not staged from here"):
        await shop.driver().start(part(release), 1)


async def test_another_journal_changes_nothing(shop: HostsShop) -> None:
    """S86"""
    release, source = shop.release("1")
    await shop.driver().stage(part(release), source, 1)
    other = shop.driver("another")
    assert at(await other.look(None), Color.BLUE).staged == {release}
    with pytest.raises(PartlySeen, match="driven from elsewhere"):
        await other.look(9)
    with pytest.raises(Refused, match=r"web1, web2: .*another journal"):
        await other.remove("web", release, 9)
    assert (await look(shop)).staged == {release}


async def test_secrets_are_on_no_command_line_and_in_files_of_their_user_alone(
    tmp_path: Path,
) -> None:
    """S90, S91"""
    (tmp_path / "db").write_text("hunter2-hunter2\n")
    secret = Secret(SecretFrom.FILE, ("db",))
    async with shop_on_hosts(tmp_path, Recipe(("sleep", "1000"), (("DB", secret),))) as shop:
        release, source = shop.release("1")
        await shop.driver().stage(part(release), source, 1)
        await shop.driver().start(part(release), 1)
        for n, one in enumerate(shop.servers):
            assert not any("hunter2" in command for command in one.commands)
            files = [p for p in root(shop, n).rglob("*") if p.is_file()]
            holding = [p for p in files if b"hunter2" in p.read_bytes()]
            assert holding
            assert {p.stat().st_mode & 0o777 for p in holding} == {0o600}
        assert not any(b"hunter2" in p.read_bytes() for p in kept(shop))


@pytest.mark.parametrize(
    "release",
    [
        {"version": "../../x", "digest": "ab12ab12"},
        {"version": "1", "digest": "../x"},
        {"version": "\x1b[31m", "digest": "ab12ab12"},
        {"version": 1, "digest": "ab12ab12"},
        {"version": "1" * 1000, "digest": "ab12ab12"},
        "1",
    ],
)
async def test_what_a_host_calls_a_release_is_checked(shop: HostsShop, release: object) -> None:
    """S81"""
    answers: dict[str, dict[str, Any]] = {
        host: {
            "services": [
                {"service": s, "staged": [release], "colors": {"blue": {}, "green": {}}}
                for s in ("web", "api")
            ]
        }
        for host in ("web1", "web2")
    }
    with pytest.raises(Unreachable, match="web1: what its agent said is no answer"):
        seen.merged(shop.site, answers, lambda service, release, text: text)
