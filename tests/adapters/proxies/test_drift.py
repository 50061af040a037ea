"""What is seen of proxies that were reloaded, killed, edited, or that do not agree."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.core.model import Color, Pin, Share
from orchestrator.ports.trouble import Refused, Unreachable
from tests.adapters.proxies.place import ALL_BLUE, ALL_GREEN, Place, new_place

BLUE = Color.BLUE


@pytest.fixture
async def place(kind: type[Place], tmp_path: Path) -> AsyncIterator[Place]:
    """Green serves both, on two proxies."""
    async with new_place(kind, tmp_path) as made:
        await made.serve_all()
        pins = {Pin("web", color, "api"): color for color in Color}
        await made.switch.send({"web": ALL_GREEN, "api": ALL_GREEN}, pins, 1)
        yield made


async def test_requests_go_where_the_file_says_and_inner_calls_to_their_own_world(
    place: Place,
) -> None:
    for _ in range(8):
        said = (await place.get()).said
        assert (said["color"], said["api"]["color"]) == ("green", "green")
    assert (await place.get("/api/x")).said["service"] == "api"
    assert (await place.get("/apis")).said["service"] == "web"
    host, port = place.switch.inner_address(Pin("web", BLUE, "api"))
    assert (host, (await place.get("/", port)).color) == ("127.0.0.1", "blue")


async def test_a_color_that_nobody_serves_is_answered_with_a_sentence(place: Place) -> None:
    await place.switch.send({"web": Share()}, {}, 1)
    answer = await place.get()
    assert (answer.status, answer.body) == (503, "nobody serves this")


async def test_a_preview_answers_from_its_color_or_not_at_all(place: Place) -> None:
    """S27"""
    url = place.switch.preview_address("web", BLUE) or ""
    port = int(url.rsplit(":", 1)[1].strip("/"))
    assert (await place.get("/", port)).color == "blue"
    for instance in range(2):
        place.servers.pop(("web", BLUE, instance)).close()
    assert (await place.get("/", port)).status in (502, 503)


async def test_a_reload_by_hand_keeps_the_color(place: Place) -> None:
    """S25"""
    for host in place.hosts:
        place.reload(host)
    look = await place.switch.look(None)
    assert (look.share("web"), look.up) == (ALL_GREEN, True)
    assert (await place.get()).color == "green"


async def test_a_proxy_that_is_killed_comes_back_with_the_color(place: Place) -> None:
    """S25"""
    place.kill("proxy2")
    look = await place.switch.look(None)
    assert not look.up
    assert f"proxy2: {place.away}" in look.note
    place.start("proxy2")
    look = await place.switch.look(None)
    assert (look.share("web"), look.up, look.note) == (ALL_GREEN, True, "")


async def test_a_flip_by_hand_is_seen_and_named_and_the_next_send_puts_it_right(
    place: Place,
) -> None:
    """S26"""
    place.flip_by_hand("proxy1")
    look = await place.switch.look(None)
    assert not look.up
    assert "do not agree: proxy1 serves web from blue, proxy2 serves web from green" in look.note
    await place.switch.send({"web": ALL_GREEN}, {}, 1)
    look = await place.switch.look(None)
    assert (look.share("web"), look.up, look.note) == (ALL_GREEN, True, "")


async def test_a_file_edited_by_hand_is_seen_and_changes_nothing_until_it_is_put_right(
    place: Place,
) -> None:
    """S26"""
    place.edit("proxy2")
    look = await place.switch.look(None)
    assert not look.up
    assert "proxy2: it serves web from green, its file says blue" in look.note
    assert "proxy2: the colors' file is not as bg wrote it" in look.note
    await place.switch.send({"api": ALL_BLUE}, {}, 1)
    look = await place.switch.look(None)
    assert (look.share("web"), look.share("api"), look.up) == (ALL_GREEN, ALL_BLUE, True)


async def test_a_file_that_is_lost_is_drift(place: Place) -> None:
    place.file("proxy1").unlink()
    look = await place.switch.look(None)
    assert not look.up
    assert "proxy1: it has no file to be started again with" in look.note


async def test_what_the_configuration_lacks_is_said_line_by_line_also_before_a_deploy(
    place: Place,
) -> None:
    line = place.take_line("proxy1", "api.blue.preview")
    with pytest.raises(Refused, match=rf"proxy1: .*lacks.*\n.*{re.escape(line)}$"):
        await place.switch.ensure(1)
    (first, *others) = await place.switch.examined()
    assert first[0]
    assert first[1].endswith(line)
    assert not any(wrong for wrong, _ in others)


async def test_a_proxy_that_is_away_is_not_ensured(place: Place) -> None:
    place.kill("proxy1")
    with pytest.raises((Refused, Unreachable), match="proxy1"):
        await place.switch.ensure(1)
