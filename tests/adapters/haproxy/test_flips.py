"""S24: one of several proxies does not take the flip."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.haproxy.proxy import Proxy
from orchestrator.ports.trouble import Refused, Superseded, Unreachable
from orchestrator.proxies.far import Args
from orchestrator.proxies.flips import Patience
from tests.adapters.haproxy.place import ALL_BLUE, ALL_GREEN, Near, Place, new_place

BOTH_BLUE = {"web": ALL_BLUE, "api": ALL_BLUE}
BOTH_GREEN = {"web": ALL_GREEN, "api": ALL_GREEN}


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """Blue serves both, on three proxies."""
    async with new_place(tmp_path, proxies=3) as made:
        await made.switch.send(BOTH_BLUE, {}, 1)
        yield made


def colors(place: Place) -> dict[str, str]:
    """What each HAProxy itself says of web and api."""
    found = {}
    for host in place.programs:
        entries = place.runtime(host).entries(str(place.map(host))) or {}
        found[host] = f"{entries['web']} {entries['api']}"
    return found


def failing(
    host: str, verb: str, times: float, error: Callable[[], BaseException]
) -> Callable[[str, str], None]:
    """Raise at so many of the host's questions of that kind."""
    asked: Counter[tuple[str, str]] = Counter()

    def between(at: str, what: str) -> None:
        asked[at, what] += 1
        if (at, what) == (host, verb) and asked[at, what] <= times:
            raise error()

    return between


async def test_a_proxy_that_follows_late_is_brought_along(place: Place) -> None:
    place.near.between = failing("proxy2", "proxy_send", 3, lambda: Unreachable("cut"))
    await place.switch.send(BOTH_GREEN, {}, 1)
    assert set(colors(place).values()) == {"green green"}


async def test_where_one_does_not_follow_the_others_are_taken_back_within_a_bound(
    place: Place,
) -> None:
    place.near.between = failing("proxy2", "proxy_send", 9e9, lambda: Unreachable("cut"))
    switch, began = place.another(patience=Patience(0.3, 0.5)), time.monotonic()
    with pytest.raises(Unreachable, match=r"proxy2: cut.*not all could be taken back: proxy2"):
        await switch.send(BOTH_GREEN, {}, 1)
    assert time.monotonic() - began < 4
    assert set(colors(place).values()) == {"blue blue"}
    place.near.between = lambda host, verb: None
    assert (await switch.look(None)).up


async def test_a_proxy_that_does_not_answer_makes_no_mixture_last(place: Place) -> None:
    """S24, S83: what was on its way to it and arrives later changes nothing there."""
    arrived = asyncio.Event()

    class Slow(Near):
        async def ask(self, host: str, verb: str, args: Args, epoch: int | None) -> dict[str, Any]:
            if (host, verb) == ("proxy2", "proxy_send") and args["wanted"]["web"] == "green":
                late = asyncio.create_task(self._later(host, args, epoch))
                await asyncio.sleep(30)
                await late
            return await super().ask(host, verb, args, epoch)

        async def _later(self, host: str, args: Args, epoch: int | None) -> None:
            await asyncio.sleep(1.0)
            said = await super().ask(host, "proxy_send", args, epoch)
            assert not said["flipped"]
            arrived.set()

    switch = place.another(Slow(place.folder, place.site.name), patience=Patience(0.3, 2.0))
    began = time.monotonic()
    with pytest.raises(Unreachable, match=r"proxy2: no answer within 0.3 s.*all were taken back"):
        await switch.send(BOTH_GREEN, {}, 1)
    assert time.monotonic() - began < 1.0
    async with asyncio.timeout(5):
        await arrived.wait()
    assert set(colors(place).values()) == {"blue blue"}


async def test_what_arrives_after_its_time_changes_nothing(place: Place) -> None:
    proxy = Proxy(place.site, place.site.proxies[0], "proxy1", place.near)
    prepared = await proxy.prepare({"web": "green"}, 1)
    sent = await proxy.send(prepared, 1, within_s=-0.01)
    assert (sent.flipped, sent.late) == (False, True)
    assert set(colors(place).values()) == {"blue blue"}


async def test_nothing_is_changed_where_one_cannot_be_prepared(place: Place) -> None:
    place.near.between = failing("proxy3", "proxy_prepare", 9e9, lambda: Refused("disk full"))
    with pytest.raises(Refused, match="disk full"):
        await place.switch.send(BOTH_GREEN, {}, 1)
    assert set(colors(place).values()) == {"blue blue"}


async def test_nothing_is_changed_where_a_haproxy_is_away(place: Place) -> None:
    place.kill("proxy3")
    with pytest.raises(Unreachable, match=r"proxy3: HAProxy does not answer.*nothing was changed"):
        await place.switch.send(BOTH_GREEN, {}, 1)
    assert set(colors(place).values()) == {"blue blue"}


async def test_a_haproxy_that_dies_in_the_middle_comes_back_in_the_color_of_the_others(
    place: Place,
) -> None:
    def dies() -> BaseException:
        place.kill("proxy2")
        return Unreachable("cut")

    place.near.between = failing("proxy2", "proxy_send", 1, dies)
    with pytest.raises(Unreachable, match="all were taken back"):
        await place.another(patience=Patience(0.3, 2.0)).send(BOTH_GREEN, {}, 1)
    place.start("proxy2")
    assert set(colors(place).values()) == {"blue blue"}
    assert (await place.switch.look(None)).up


async def test_a_haproxy_that_is_started_again_in_the_middle_is_brought_along(
    place: Place,
) -> None:
    """What was prepared is gone with the process it was prepared at."""

    def between(host: str, verb: str) -> None:
        if (host, verb) == ("proxy2", "proxy_send"):
            place.near.between = lambda *_: None
            place.kill("proxy2")
            place.start("proxy2")

    place.near.between = between
    await place.switch.send(BOTH_GREEN, {}, 1)
    assert set(colors(place).values()) == {"green green"}


async def test_whoever_is_superseded_in_the_middle_takes_nothing_back(place: Place) -> None:
    """S3: what is half done is the younger driver's to finish."""
    place.near.between = failing("proxy2", "proxy_send", 9e9, lambda: Superseded("epoch 2 drives"))
    with pytest.raises(Superseded):
        await place.switch.send(BOTH_GREEN, {}, 1)
    assert colors(place)["proxy2"] == "blue blue"
    assert colors(place)["proxy1"] == "green green"


async def test_nobody_is_sent_where_no_switch_leads(place: Place) -> None:
    with pytest.raises(Refused, match="no switch of the site has mail"):
        await place.switch.send({"mail": ALL_BLUE}, {}, 1)


async def test_what_nobody_took_is_not_kept_in_haproxy(place: Place) -> None:
    place.near.between = failing("proxy3", "proxy_prepare", 5, lambda: Refused("full"))
    for _ in range(5):
        with pytest.raises(Refused):
            await place.switch.send(BOTH_GREEN, {}, 1)
    await place.switch.send(BOTH_GREEN, {}, 1)
    for line in place.runtime("proxy1").ask("show map").splitlines():
        if "colors.map" in line:
            assert line.endswith("entry_cnt=4")
