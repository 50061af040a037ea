"""S24: one of several proxies does not take the flip."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.ports.trouble import Refused, Superseded, Unreachable
from orchestrator.proxies.far import Args, Far
from orchestrator.proxies.flips import Patience
from tests.adapters.proxies.place import ALL_BLUE, ALL_GREEN, Place, new_place

BOTH_BLUE = {"web": ALL_BLUE, "api": ALL_BLUE}
BOTH_GREEN = {"web": ALL_GREEN, "api": ALL_GREEN}
LITTLE = Patience(follow_s=0.4, back_s=2.0)


@pytest.fixture
async def place(kind: type[Place], tmp_path: Path) -> AsyncIterator[Place]:
    """Blue serves both, on three proxies."""
    async with new_place(kind, tmp_path, proxies=3) as made:
        await made.switch.send(BOTH_BLUE, {}, 1)
        yield made


def colors(place: Place) -> dict[str, str]:
    """What each proxy itself says of web and api."""
    said = {host: place.colors(host) for host in place.programs}
    return {host: f"{one['web']} {one['api']}" for host, one in said.items()}


def failing(
    place: Place, host: str, verb: str, times: float, error: Callable[[], BaseException]
) -> None:
    """Raise at so many of the host's questions of that kind."""
    asked: Counter[tuple[str, str]] = Counter()
    wanted = (host, f"{place.verbs}_{verb}")

    def between(at: str, what: str) -> None:
        asked[at, what] += 1
        if (at, what) == wanted and asked[wanted] <= times:
            raise error()

    place.near.between = between


async def test_a_proxy_that_follows_late_is_brought_along(place: Place) -> None:
    failing(place, "proxy2", "send", 2, lambda: Unreachable("cut"))
    await place.switch.send(BOTH_GREEN, {}, 1)
    assert set(colors(place).values()) == {"green green"}


async def test_where_one_does_not_follow_the_others_are_taken_back_within_a_bound(
    place: Place,
) -> None:
    failing(place, "proxy2", "send", 9e9, lambda: Unreachable("cut"))
    switch, began = place.another(patience=Patience(0.4, 1.0)), time.monotonic()
    with pytest.raises(Unreachable, match=r"proxy2: .*not all could be taken back: proxy2"):
        await switch.send(BOTH_GREEN, {}, 1)
    assert time.monotonic() - began < 3
    assert set(colors(place).values()) == {"blue blue"}
    place.near.between = lambda host, verb: None
    assert (await switch.look(None)).up


async def test_a_proxy_that_does_not_answer_makes_no_mixture_last(place: Place) -> None:
    """S24, S83: what was on its way to it and arrives later changes nothing there."""
    slow = Slow(place.near, "proxy2", f"{place.verbs}_send")
    began = time.monotonic()
    with pytest.raises(Unreachable, match=r"proxy2: no answer within 0.4 s.*all were taken back"):
        await place.another(slow, patience=LITTLE).send(BOTH_GREEN, {}, 1)
    assert time.monotonic() - began < 2
    async with asyncio.timeout(5):
        assert not (await slow.arrived)["flipped"]
    assert set(colors(place).values()) == {"blue blue"}


class Slow:
    """One host hears what is sent to it a second late, and nobody hears its answer."""

    arrived: asyncio.Task[dict[str, Any]]

    def __init__(self, far: Far, host: str, verb: str) -> None:
        self._far, self._host, self._verb = far, host, verb

    async def ask(self, host: str, verb: str, args: Args, epoch: int | None) -> dict[str, Any]:
        if (host, verb) == (self._host, self._verb) and args["wanted"]["web"] == "green":
            self.arrived = asyncio.create_task(self._later(args, epoch))
            await asyncio.sleep(30)
        return await self._far.ask(host, verb, args, epoch)

    async def _later(self, args: Args, epoch: int | None) -> dict[str, Any]:
        await asyncio.sleep(1.0)
        return await self._far.ask(self._host, self._verb, args, epoch)


async def test_what_arrives_after_its_time_changes_nothing(place: Place) -> None:
    proxy = place.switch._everyone[0]
    prepared = await proxy.prepare({"web": "green"}, 1)
    sent = await proxy.send(prepared, 1, within_s=-0.01)
    assert (sent.flipped, sent.late) == (False, True)
    assert set(colors(place).values()) == {"blue blue"}


async def test_nothing_is_changed_where_one_cannot_be_prepared(place: Place) -> None:
    failing(place, "proxy3", "prepare", 9e9, lambda: Refused("disk full"))
    with pytest.raises(Refused, match="disk full"):
        await place.switch.send(BOTH_GREEN, {}, 1)
    assert set(colors(place).values()) == {"blue blue"}


async def test_nothing_is_changed_where_one_is_away(place: Place) -> None:
    place.kill("proxy3")
    with pytest.raises(Unreachable, match=f"proxy3: {place.away}.*nothing was changed"):
        await place.switch.send(BOTH_GREEN, {}, 1)
    assert set(colors(place).values()) == {"blue blue"}


async def test_one_that_dies_in_the_middle_comes_back_in_the_color_of_the_others(
    place: Place,
) -> None:
    def dies() -> BaseException:
        place.kill("proxy2")
        return Unreachable("cut")

    failing(place, "proxy2", "send", 1, dies)
    with pytest.raises(Unreachable, match="all were taken back"):
        await place.another(patience=LITTLE).send(BOTH_GREEN, {}, 1)
    place.start("proxy2")
    assert set(colors(place).values()) == {"blue blue"}
    assert (await place.switch.look(None)).up


async def test_one_that_is_started_again_in_the_middle_is_brought_along(place: Place) -> None:
    """What was prepared is gone with the process it was prepared at."""

    def between(host: str, verb: str) -> None:
        if (host, verb) == ("proxy2", f"{place.verbs}_send"):
            place.near.between = lambda *_: None
            place.kill("proxy2")
            place.start("proxy2")

    place.near.between = between
    await place.switch.send(BOTH_GREEN, {}, 1)
    assert set(colors(place).values()) == {"green green"}


async def test_whoever_is_superseded_in_the_middle_takes_nothing_back(place: Place) -> None:
    """S3: what is half done is the younger driver's to finish."""
    failing(place, "proxy2", "send", 9e9, lambda: Superseded("epoch 2 drives"))
    with pytest.raises(Superseded):
        await place.switch.send(BOTH_GREEN, {}, 1)
    assert colors(place)["proxy2"] == "blue blue"
    assert colors(place)["proxy1"] == "green green"


async def test_nobody_is_sent_where_no_switch_leads(place: Place) -> None:
    with pytest.raises(Refused, match="no switch of the site has mail"):
        await place.switch.send({"mail": ALL_BLUE}, {}, 1)
