"""What is not as bg left it: a killed Envoy, an edited file, a writer that was stopped."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.core.model import Share
from orchestrator.core.sight import Sighting, SwitchSeen
from orchestrator.ports.trouble import Refused, Superseded, Unreachable
from tests.adapters.envoy.edge import (
    ALL_BLUE,
    ALL_GREEN,
    BLUE,
    GREEN,
    NOBODY,
    WEB_BLUE,
    WEB_GREEN,
    Edge,
    eventually,
    fence_of,
)
from tests.conftest import ROOT


async def until_up(edge: Edge) -> SwitchSeen:
    async def up() -> bool:
        return (await edge.switch.look(None)).up

    await eventually(up)
    return await edge.switch.look(None)


def share(look: SwitchSeen, service: str = "web") -> Share:
    return Sighting(switch=look).share(service)


def edited(edge: Edge, **keys: int) -> str:
    """The runtime file with other numbers in it. `web_blue` is `bg.web.web_blue`."""
    document = json.loads(edge.runtime.read_text())
    layer = document["resources"][0]["layer"]
    for key, value in keys.items():
        layer[f"bg.web.{key}"] = value
    return json.dumps(document)


def by_rename(edge: Edge, text: str) -> None:
    beside = edge.runtime.with_name("by-hand")
    beside.write_text(text)
    beside.rename(edge.runtime)


# -- Killed, and started again -------------------------------------------------------------


async def test_a_killed_envoy_comes_back_with_the_same_colors(edge: Edge) -> None:
    """S25: its keeper starts it again, and the file is what it starts with."""
    await edge.switch.send({"web": ALL_GREEN, "api": ALL_BLUE}, {WEB_GREEN: GREEN}, 1)
    before = await edge.switch.look(1)
    first = edge.pid()
    os.kill(first, signal.SIGKILL)
    after = await until_up(edge)
    assert edge.pid() != first
    assert (after.shares, after.pins) == (before.shares, before.pins)
    assert (await edge.get("/")).color == "green"


async def test_an_envoy_that_is_gone_is_seen_at_once_with_its_last_words(edge: Edge) -> None:
    """S25: seen within a second, and not taken for nobody being served."""
    await edge.switch.send({"web": ALL_GREEN}, {}, 1)
    edge.processes.end("envoy/edge", hard=True)
    await edge.processes.ended("envoy/edge")
    began = time.monotonic()
    look = await edge.switch.look(None)
    assert time.monotonic() - began < 1
    assert not look.up
    assert look.note.startswith("edge: Envoy is not there (")
    await edge.switch.ensure(1)
    assert share(await edge.switch.look(1)) == ALL_GREEN


async def test_what_was_sent_while_envoy_was_dead_is_acknowledged_once_it_is_back(
    edge: Edge,
) -> None:
    await edge.switch.send({"web": ALL_BLUE}, {}, 1)
    os.kill(edge.pid(), signal.SIGKILL)
    await edge.switch.send({"web": ALL_GREEN}, {}, 1)
    assert (await edge.get("/")).color == "green"


async def test_a_stopped_envoy_is_not_believed_to_have_taken_anything(edge: Edge) -> None:
    await edge.switch.send({"web": ALL_BLUE}, {}, 1)
    pid, hasty = edge.pid(), edge.another(taken_s=0.5)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(Unreachable, match="not every worker"):
            await hasty.send({"web": ALL_GREEN}, {}, 1)
    finally:
        os.kill(pid, signal.SIGCONT)
        hasty.close()
    assert share(await until_up(edge)) == ALL_GREEN


# -- Edited by hand ------------------------------------------------------------------------


async def test_an_edit_in_place_is_seen_although_envoy_does_not_notice_it(edge: Edge) -> None:
    """S26: Envoy serves on as before; started again, it would not."""
    await edge.switch.send({"web": ALL_BLUE}, {}, 1)
    edge.runtime.write_text(edited(edge, web_blue=0, web_green=100))
    look = await edge.switch.look(1)
    assert not look.up
    assert "it serves web from blue, its file says from green" in look.note
    assert (await edge.get("/")).color == "blue"


async def test_an_edit_by_rename_is_seen_as_the_drift_it_is(edge: Edge) -> None:
    """S26: it took effect, so that is who serves; and the file is not ours."""
    await edge.switch.send({"web": ALL_BLUE}, {}, 1)
    by_rename(edge, edited(edge, web_blue=30, web_green=70))

    async def taken() -> bool:
        return share(await edge.switch.look(1)) != ALL_BLUE

    await eventually(taken)  # nobody acknowledges what is done by hand
    look = await edge.switch.look(1)
    assert share(look) == Share(30, 70)
    assert look.up
    assert "runtime.json is not as bg wrote it" in look.note


@pytest.mark.parametrize("text", ["", "{", '{"resources": []}', "[]", "null"])
async def test_a_damaged_file_is_seen_and_mended_by_the_next_send(edge: Edge, text: str) -> None:
    """S26: what is not named stays as the workers have it, for the file knows nothing any more."""
    await edge.switch.send({"web": ALL_BLUE, "api": Share(30, 70)}, {WEB_BLUE: BLUE}, 1)
    edge.runtime.write_text(text)
    assert "runtime.json is not as bg wrote it" in (await edge.switch.look(1)).note
    await edge.switch.send({"web": ALL_GREEN}, {}, 1)
    look = await edge.switch.look(1)
    assert (look.up, look.note) == (True, "")
    assert (share(look), share(look, "api")) == (ALL_GREEN, Share(30, 70))
    assert Sighting(switch=look).pin(WEB_BLUE) is BLUE


async def test_a_deleted_file_is_seen_and_written_again_by_ensure(edge: Edge) -> None:
    await edge.switch.send({"web": ALL_BLUE}, {}, 1)
    edge.runtime.unlink()
    look = await edge.switch.look(1)
    assert not look.up
    assert "it has no file to be started again with" in look.note
    await edge.switch.ensure(1)
    look = await edge.switch.look(1)
    assert (look.up, share(look)) == (True, ALL_BLUE)


async def test_a_send_does_not_put_an_edit_in_place_into_effect(edge: Edge) -> None:
    """S26: somebody wrote green for web in place; sending api somewhere must not make that true."""
    await edge.switch.send({"web": ALL_BLUE}, {}, 1)
    edge.runtime.write_text(edited(edge, web_blue=0, web_green=100))
    await edge.switch.send({"api": ALL_GREEN}, {}, 1)
    look = await edge.switch.look(1)
    assert (share(look), share(look, "api")) == (ALL_BLUE, ALL_GREEN)


async def test_with_a_damaged_file_and_no_envoy_nothing_is_guessed(edge: Edge) -> None:
    await edge.switch.send({"web": ALL_BLUE}, {}, 1)
    edge.processes.end("envoy/edge", hard=True)
    await edge.processes.ended("envoy/edge")
    edge.runtime.write_text("{")
    with pytest.raises(Refused, match="Put the file back"):
        await edge.switch.send({"web": ALL_GREEN}, {}, 1)
    assert edge.runtime.read_text() == "{"
    assert not (await edge.switch.look(None)).up


async def test_an_envoy_started_with_a_damaged_file_serves_nobody_rather_than_a_guess(
    edge: Edge,
) -> None:
    await edge.switch.send({"web": ALL_GREEN}, {}, 1)
    edge.runtime.write_text("{")
    os.kill(edge.pid(), signal.SIGKILL)

    async def back() -> bool:
        look = await edge.switch.look(None)
        return bool(look.shares) and share(look) == NOBODY

    await eventually(back)
    look = await edge.switch.look(None)
    assert "runtime.json is not as bg wrote it" in look.note
    assert (await edge.get("/")).status == 503


# -- Writers that were stopped -------------------------------------------------------------

WRITER = """
import asyncio, sys
from pathlib import Path
from orchestrator.adapters.envoy.switch import EnvoySwitch
from orchestrator.adapters.local.fence import LocalFence
from orchestrator.adapters.local.processes import LocalProcesses
from orchestrator.core.model import Color, Share
from orchestrator.ports.trouble import Superseded
from tests.adapters.envoy.edge import site

async def main(state, port, epoch):
    described = site(Path(state), int(port))
    fence, processes = LocalFence(state + "/fence"), LocalProcesses(state + "/run")
    switch = EnvoySwitch(described, fence, processes)
    print("ready", flush=True)
    try:
        for turn in range(100000):
            color = (Color.BLUE, Color.GREEN)[turn % 2]
            await switch.send({"web": Share.all_to(color)}, {}, int(epoch))
    except Superseded:
        print("superseded", flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_writer_that_was_stopped_finds_itself_superseded_when_it_wakes(
    edge: Edge,
) -> None:
    """S3: stopped anywhere, even inside the fence; then its successor ends it first."""
    argv = (sys.executable, "-c", WRITER, edge.site.state, str(edge.port), "1")
    writer = await asyncio.create_subprocess_exec(*argv, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert writer.stdout
        assert await writer.stdout.readline() == b"ready\n"
        await asyncio.sleep(0.3)
        os.kill(writer.pid, signal.SIGSTOP)
        if not held(edge):
            await edge.switch.look(2)
            await edge.switch.send({"web": ALL_GREEN}, {}, 2)
            os.kill(writer.pid, signal.SIGCONT)
            assert await writer.stdout.readline() == b"superseded\n"
        else:  # it holds the lock: whoever takes the lease over ends it, and the lock is free
            writer.kill()
            await writer.wait()
            await edge.switch.look(2)
            await edge.switch.send({"web": ALL_GREEN}, {}, 2)
        assert share(await edge.switch.look(2)) == ALL_GREEN
    finally:
        if writer.returncode is None:
            writer.kill()
        await writer.communicate()


def held(edge: Edge) -> bool:
    """Whether somebody else is inside the fence."""
    with open(Path(edge.site.state) / "fence", "rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


async def test_an_older_epoch_is_refused_before_it_writes(edge: Edge) -> None:
    with fence_of(edge.site).holding(7):
        pass
    before = edge.runtime.read_text()
    with pytest.raises(Superseded):
        await edge.switch.send({"web": ALL_GREEN}, {}, 6)
    assert edge.runtime.read_text() == before
