"""A scene of a demo: one command, run as it would be typed, and shown while it runs.

What it says is passed on as it comes, the last line of its answer ends the scene, and what bg wrote
down about its switches is read for the last table. The one rule: nothing here knows how bg works
inside.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.shop.picture import Picture
from examples.shop.visitors import Crowd, Switching, switchings

BGCTL = Path(sys.executable).with_name("bgctl")
BEAT_S = 0.25


@dataclass(frozen=True, slots=True)
class Scene:
    title: str
    verb: tuple[str, ...]
    code: int = 0  # how the command has to end
    kill_at: str = ""  # SIGKILL as soon as it says something with these words


async def act(scene: Scene, site: Path, show: Picture) -> bool:
    """One command, as it would be typed: its talk as it comes, then the last line of its answer."""
    show.scene(scene.title, f"bgctl {' '.join(scene.verb)}")
    process = await bgctl(site, *scene.verb)
    answer, _ = await asyncio.gather(last_line(process), follow(process, scene, show))
    code = await process.wait()
    if code < 0:
        answer = "killed, with the new release half brought up; the old one serves"
    show.end(answer or f"ended with {code}", good=code == scene.code)
    return code == scene.code


async def bgctl(site: Path, *arguments: str) -> Process:
    argv = (str(BGCTL), "--site", str(site), *arguments)
    return await asyncio.create_subprocess_exec(*argv, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)


async def follow(process: Process, scene: Scene, show: Picture) -> None:
    assert process.stderr is not None
    async for raw in process.stderr:
        if line := raw.decode(errors="replace").rstrip():
            show.line(line)
        if scene.kill_at and scene.kill_at in line:
            process.kill()


async def last_line(process: Process) -> str:
    assert process.stdout is not None
    lines = (await process.stdout.read()).decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


async def keep_showing(crowd: Crowd, show: Picture) -> None:
    while True:
        await asyncio.sleep(BEAT_S)
        show.beat(*crowd.beat())


async def written_down(site: Path) -> list[Switching]:
    """Every switch, as the journal has it."""
    rollouts = (await asked(site, "history"))["rollouts"]
    numbers = [str(rollout["id"]) for rollout in rollouts]
    told = await asyncio.gather(*(asked(site, "history", number) for number in numbers))
    return [one for story in told for one in switchings(rollouts, story["records"])]


async def asked(site: Path, *arguments: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(await said(site, "-o", "json", *arguments))
    return answer


async def said(site: Path, *arguments: str) -> str:
    """All of a command's answer."""
    out, _ = await (await bgctl(site, *arguments)).communicate()
    return out.decode()
