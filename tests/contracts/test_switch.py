"""What every switch promises.

One write is one instant, what is not named stays, and an older epoch is refused.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.adapters.memory.process import Process
from orchestrator.adapters.memory.switch import MemorySwitch
from orchestrator.adapters.memory.world import World
from orchestrator.core.model import Hold, Policy, Share, Site
from orchestrator.core.sight import Sighting
from orchestrator.core.stillness import Held
from orchestrator.ports.switch import Switch
from orchestrator.ports.trouble import Refused, Superseded, TooLate
from orchestrator.proxies.switch import ProxySwitch
from tests.adapters.envoy.edge import (
    ALL_BLUE,
    ALL_GREEN,
    BLUE,
    GREEN,
    NOBODY,
    WEB_BLUE,
    WEB_GREEN,
    edge_of,
    new_edge,
    site,
)
from tests.adapters.haproxy.place import HaproxyPlace
from tests.adapters.nginx.place import NginxPlace
from tests.adapters.proxies.place import new_place
from tests.conftest import find_ports


@pytest.fixture(params=["memory", "envoy", "haproxy", "nginx"])
async def switch(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Switch]:
    """A switch that was made sure of, before anything was sent."""
    if request.param == "memory":
        made: Switch = Process(World(described(tmp_path))).switch
        await made.ensure(1)
        yield made
    elif request.param == "haproxy":
        async with new_place(HaproxyPlace, tmp_path) as haproxies:
            yield haproxies.switch
    elif request.param == "nginx":
        async with new_place(NginxPlace, tmp_path) as nginxes:
            yield nginxes.switch
    else:
        async with new_edge(tmp_path) as edge:
            await edge.switch.ensure(1)
            yield edge.switch


@pytest.fixture(params=["memory", "envoy", "haproxy"])
async def holding(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Switch]:
    """A switch that can hold."""
    policy = Policy(hold=Hold(2.0))
    if request.param == "memory":
        made: Switch = Process(World(replace(described(tmp_path), policy=policy))).switch
        await made.ensure(1)
        yield made
    elif request.param == "haproxy":
        async with new_place(HaproxyPlace, tmp_path, policy=policy) as place:
            yield place.switch
    else:
        async with edge_of(
            replace(site(tmp_path / "state", find_ports(20)), policy=policy)
        ) as edge:
            await edge.switch.ensure(1)
            yield edge.switch


def clock_of(switch: Switch) -> Callable[[], float]:
    return switch._world.clock.now if isinstance(switch, MemorySwitch) else time.time


def described(folder: Path) -> Site:
    return site(folder, 20000)


async def seen(switch: Switch) -> Sighting:
    look = await switch.look(None)
    assert look.up, look.note
    return Sighting(switch=look)


async def test_at_first_nobody_is_served_and_no_inner_address_is_wired(switch: Switch) -> None:
    look = await seen(switch)
    assert [look.share(name) for name in ("web", "api")] == [NOBODY, NOBODY]
    assert look.pin(WEB_BLUE) is None


async def test_what_was_sent_is_seen(switch: Switch) -> None:
    await switch.send({"web": ALL_BLUE, "api": ALL_GREEN}, {WEB_BLUE: GREEN}, 1)
    look = await seen(switch)
    assert (look.share("web"), look.share("api")) == (ALL_BLUE, ALL_GREEN)
    assert look.pin(WEB_BLUE) is GREEN


async def test_what_is_not_named_stays_as_it_was(switch: Switch) -> None:
    await switch.send({"web": ALL_BLUE, "api": ALL_BLUE}, {WEB_BLUE: BLUE}, 1)
    await switch.send({"web": ALL_GREEN}, {}, 1)
    await switch.send({}, {WEB_GREEN: GREEN}, 1)
    look = await seen(switch)
    assert (look.share("web"), look.share("api")) == (ALL_GREEN, ALL_BLUE)
    assert (look.pin(WEB_BLUE), look.pin(WEB_GREEN)) == (BLUE, GREEN)


async def test_a_share_is_seen_to_the_percent_or_refused(switch: Switch) -> None:
    for share in (Share(1, 99), Share(37, 63), Share(99, 1), ALL_BLUE, NOBODY):
        if isinstance(switch, ProxySwitch) and share.split:
            with pytest.raises(Refused, match="all traffic"):
                await switch.send({"web": share}, {}, 1)
            continue
        await switch.send({"web": share}, {}, 1)
        assert (await seen(switch)).share("web") == share


async def test_sending_the_same_twice_changes_nothing(switch: Switch) -> None:
    for _ in range(2):
        await switch.send({"web": ALL_GREEN}, {WEB_GREEN: GREEN}, 1)
        look = await seen(switch)
        assert (look.share("web"), look.pin(WEB_GREEN)) == (ALL_GREEN, GREEN)


async def test_making_sure_again_changes_no_share_and_no_pin(switch: Switch) -> None:
    share = ALL_GREEN if isinstance(switch, ProxySwitch) else Share(20, 80)
    await switch.send({"web": share}, {WEB_BLUE: BLUE}, 1)
    before = await switch.look(None)
    await switch.ensure(2)
    assert await switch.look(None) == before


async def test_an_older_epoch_changes_nothing_and_sees_nothing(switch: Switch) -> None:
    """S3: who was paused while somebody younger took over."""
    await switch.send({"web": ALL_BLUE}, {}, 1)
    await switch.look(2)
    with pytest.raises(Superseded):
        await switch.look(1)
    with pytest.raises(Superseded):
        await switch.send({"web": ALL_GREEN}, {}, 1)
    with pytest.raises(Superseded):
        await switch.ensure(1)
    with pytest.raises(Superseded):
        await switch.remove(1)
    assert (await seen(switch)).share("web") == ALL_BLUE


async def test_a_look_without_an_epoch_fences_nobody(switch: Switch) -> None:
    await switch.look(None)
    await switch.send({"web": ALL_BLUE}, {}, 1)
    assert (await seen(switch)).share("web") == ALL_BLUE


async def test_it_is_not_taken_away_while_anybody_is_served(switch: Switch) -> None:
    await switch.send({"web": ALL_BLUE}, {}, 1)
    with pytest.raises(Refused):
        await switch.remove(1)
    await switch.send({"web": NOBODY}, {}, 1)
    await switch.remove(1)
    await switch.remove(1)


async def test_a_switch_that_was_taken_away_comes_back_serving_nobody(switch: Switch) -> None:
    await switch.send({"web": ALL_BLUE}, {}, 1)
    await switch.send({"web": NOBODY}, {}, 1)
    await switch.remove(1)
    await switch.ensure(1)
    assert (await seen(switch)).share("web") == NOBODY


async def test_a_site_that_wants_no_hold_cannot_and_letting_go_is_harmless(switch: Switch) -> None:
    with pytest.raises(Refused):
        await switch.hold(("web",), Hold(1.0), 1)
    with pytest.raises(Refused):
        await switch.held(1)
    assert await switch.let_go(1) == ()


async def test_a_hold_ends_with_the_write_that_flips_and_nobody_waits_any_more(
    holding: Switch,
) -> None:
    """S29"""
    await holding.send({"web": ALL_BLUE, "api": ALL_BLUE}, {}, 1)
    before_s = clock_of(holding)()
    began_s = await holding.hold(("web", "api"), Hold(2.0), 1)
    assert before_s <= began_s <= clock_of(holding)()
    assert await holding.held(1) == Held(in_flight=0, waiting=0)
    await holding.send({"web": ALL_GREEN, "api": ALL_GREEN}, {}, 1, not_after_s=began_s + 2.0)
    assert await holding.let_go(1) == ()
    look = await seen(holding)
    assert (look.share("web"), look.share("api")) == (ALL_GREEN, ALL_GREEN)
    with pytest.raises(Refused):
        await holding.held(1)


async def test_what_comes_too_late_writes_nothing(holding: Switch) -> None:
    await holding.send({"web": ALL_BLUE}, {}, 1)
    began_s = await holding.hold(("web",), Hold(2.0), 1)
    with pytest.raises(TooLate):
        await holding.send({"web": ALL_GREEN}, {}, 1, not_after_s=began_s - 0.01)
    await holding.let_go(1)
    assert (await seen(holding)).share("web") == ALL_BLUE


async def test_letting_go_flips_nothing_and_can_be_done_again(holding: Switch) -> None:
    await holding.send({"web": ALL_BLUE}, {}, 1)
    await holding.hold(("web",), Hold(2.0), 1)
    for _ in range(2):
        assert await holding.let_go(1) == ()
    assert (await seen(holding)).share("web") == ALL_BLUE


async def test_an_older_driver_neither_holds_nor_flips_but_may_always_let_go(
    holding: Switch,
) -> None:
    """S3: who was stopped while it held, and wakes after somebody younger took over."""
    await holding.send({"web": ALL_BLUE}, {}, 1)
    began_s = await holding.hold(("web",), Hold(2.0), 1)
    await holding.look(2)
    with pytest.raises(Superseded):
        await holding.held(1)
    with pytest.raises(Superseded):
        await holding.send({"web": ALL_GREEN}, {}, 1, not_after_s=began_s + 2.0)
    await holding.let_go(1)
    with pytest.raises(Superseded):
        await holding.hold(("web",), Hold(2.0), 1)
    await holding.let_go(1)
    assert (await seen(holding)).share("web") == ALL_BLUE


async def test_every_address_is_one_of_its_own(switch: Switch) -> None:
    inner = [switch.inner_address(pin) for pin in (WEB_BLUE, WEB_GREEN)]
    previews = [switch.preview_address(s, c) for s in ("web", "api") for c in (BLUE, GREEN)]
    assert len({*inner, *previews}) == 6
    assert inner == [switch.inner_address(pin) for pin in (WEB_BLUE, WEB_GREEN)]
    assert str(switch.outer_address("api")).endswith("/api")
