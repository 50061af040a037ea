"""What everybody who runs steps of the user's own promises: on this machine, and on hosts.

The commands are real, and leave their traces in a folder. Each driver knows nothing from before.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from orchestrator.adapters.local.commands import LocalCommands
from orchestrator.adapters.local.fence import LocalFence
from orchestrator.adapters.ssh.agents import Agents
from orchestrator.adapters.ssh.asking import Asking
from orchestrator.adapters.ssh.commands import SshCommands
from orchestrator.adapters.ssh.shell import Shell
from orchestrator.core.model import At, Color, Command, Release, Secret, SecretFrom, Site
from orchestrator.core.sight import RunSeen
from orchestrator.core.steps import About, Run
from orchestrator.ports.commands import Commands
from orchestrator.ports.trouble import Refused, Superseded, Unsuccessful
from tests.adapters.local import samples
from tests.adapters.ssh.fleet import JOURNAL, shop_on_hosts

pytestmark = pytest.mark.timeout(120)


@dataclass
class Place:
    """`driver()`: another one. `on`: the hosts that steps are for here; none: this machine."""

    folder: Path
    site: Site
    make: Callable[[], Commands]
    on: tuple[str, ...] = ()
    made: list[Commands] = field(default_factory=list)

    def driver(self) -> Commands:
        self.made.append(self.make())
        return self.made[-1]

    def run(self, do: str, undo: str = "", *, holds: str = "", **more: object) -> Run:
        """Shell texts, each the only argument of a shell."""
        argvs = {k: ("sh", "-c", v) for k, v in (("undo", undo), ("holds", holds)) if v}
        fields = {"on": self.on, **argvs, **more}
        command = Command("own", At.AT_CLOSE, ("sh", "-c", do), **fields)  # type: ignore[arg-type]
        about = About("web", Color.GREEN, Release("2", "abcd1234"))
        return Run(command, self.on, about)

    def log(self, word: str) -> str:
        return f"echo {word} >> {self.folder}/log"

    @property
    def said(self) -> list[str]:
        path = self.folder / "log"
        return path.read_text().split() if path.exists() else []

    @property
    def places(self) -> int:
        return len(self.on) or 1


@asynccontextmanager
async def here(folder: Path) -> AsyncIterator[Place]:
    site = samples.site(folder)
    fence = str(folder / "state/fence")
    yield Place(folder, site, lambda: LocalCommands(site, LocalFence(fence)))


@asynccontextmanager
async def on_hosts(folder: Path) -> AsyncIterator[Place]:
    async def identity() -> str:
        return JOURNAL

    async with shop_on_hosts(folder) as shop:
        every: list[Agents] = []

        def make() -> Commands:
            every.append(Agents(Shell()))
            return SshCommands(shop.site, Asking(shop.site, identity, every[-1]))

        names = tuple(host.name for host in shop.site.hosts)
        yield Place(folder, shop.site, make, names)
        for agents in every:
            await agents.close()


PLACES: dict[str, Callable[[Path], AbstractAsyncContextManager[Place]]] = {
    "local": here,
    "ssh": on_hosts,
}


@pytest.fixture(params=PLACES)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    async with PLACES[request.param](tmp_path) as made:
        yield made


async def seen(place: Place, run: Run, rollout: int = 1) -> set[tuple[bool, bool]]:
    """(holds, something left), everywhere."""
    found = await place.driver().look((run,), rollout, None)
    assert [one.host for one in found] == list(run.places)
    assert all(isinstance(one, RunSeen) and one.step == "own" for one in found)
    return {(one.holds, one.left) for one in found}


async def test_done_twice_is_done_once_and_undone_twice_undone_once(place: Place) -> None:
    run = place.run(place.log("do"), place.log("undo"))
    assert await seen(place, run) == {(False, False)}
    await place.driver().undo(run, 1, 1)
    for _ in range(2):
        await place.driver().do(run, 1, 1)
    assert await seen(place, run) == {(True, True)}
    assert place.said == ["do"] * place.places
    for _ in range(2):
        await place.driver().undo(run, 1, 1)
    assert await seen(place, run) == {(False, False)}
    assert place.said == ["do"] * place.places + ["undo"] * place.places
    await place.driver().do(run, 1, 1)  # turned forward again
    assert place.said[-1] == "do"


async def test_what_another_rollout_did_does_not_count(place: Place) -> None:
    run = place.run(place.log("do"))
    await place.driver().do(run, 1, 1)
    assert await seen(place, run, 2) == {(False, False)}
    await place.driver().do(run, 2, 1)
    assert place.said == ["do"] * 2 * place.places


async def test_where_it_has_a_look_the_look_says_whether_it_holds(place: Place) -> None:
    flag = place.folder / "flag"
    run = place.run(f"touch {flag}", f"rm -f {flag}", holds=f"test -e {flag}")
    assert await seen(place, run) == {(False, False)}
    flag.touch()
    assert await seen(place, run) == {(True, False)}  # so it was before, and nothing is ours
    flag.unlink()
    await place.driver().do(run, 1, 1)
    assert await seen(place, run) == {(True, True)}
    flag.unlink()  # somebody else took it away
    assert await seen(place, run) == {(False, True)}
    await place.driver().do(run, 1, 1)
    await place.driver().undo(run, 1, 1)
    assert await seen(place, run) == {(False, False)}


async def test_an_undo_that_leaves_it_as_it_is_has_not_taken_it_back(place: Place) -> None:
    flag = place.folder / "flag"
    run = place.run(f"touch {flag}", "true", holds=f"test -e {flag}")
    await place.driver().do(run, 1, 1)
    await place.driver().undo(run, 1, 1)
    assert await seen(place, run) == {(True, True)}


async def test_what_ends_badly_says_so_with_its_last_words_and_has_to_be_taken_back(
    place: Place,
) -> None:
    run = place.run(f"{place.log('half')}; echo one; echo two >&2; exit 3", place.log("undo"))
    with pytest.raises(Unsuccessful) as trouble:
        await place.driver().do(run, 1, 1)
    assert "exit code 3; last words: one / two" in trouble.value.why
    for host in place.on:
        assert host in trouble.value.why
    assert await seen(place, run) == {(False, True)}
    await place.driver().undo(run, 1, 1)
    assert await seen(place, run) == {(False, False)}


async def test_secrets_reach_the_command_and_no_message(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_TEST", "hunter2-but-longer")
    secret = Secret(SecretFrom.ENV, ("OF_THE_TEST",))
    run = place.run(f"{place.log('$PASS')}; echo it is $PASS; exit 1", env=(("PASS", secret),))
    with pytest.raises(Unsuccessful) as trouble:
        await place.driver().do(run, 1, 1)
    assert place.said == ["hunter2-but-longer"] * place.places
    assert "it is ‹PASS›" in trouble.value.why
    assert "hunter2" not in trouble.value.why


async def test_words_are_filled_in_and_unknown_ones_refused(place: Place) -> None:
    words = "{site} {service} {color} {version} {release}" + (" {host}" if place.on else "")
    await place.driver().do(place.run(f"echo {words} >> {place.folder}/log"), 1, 1)
    assert place.said[:5] == [place.site.name, "web", "green", "2", "2@abcd"]
    assert {host in place.said for host in place.on} <= {True}
    with pytest.raises(Refused, match="nonsense"):
        await place.driver().check(place.run("echo {nonsense}"))


async def test_its_time_is_bounded_and_nothing_of_it_stays(place: Place) -> None:
    pids = place.folder / "pids"
    run = place.run(f"sleep 300 & echo $! >> {pids}; wait", timeout_s=1.0)
    began_s = time.monotonic()
    with pytest.raises(Unsuccessful, match="not done within 1 s, and ended"):
        await place.driver().do(run, 1, 1)
    assert time.monotonic() - began_s < 30
    await until_gone(*map(int, pids.read_text().split()))


async def test_a_woken_old_driver_runs_nothing(place: Place) -> None:
    """S3"""
    run = place.run(place.log("do"), place.log("undo"))
    await place.driver().look((run,), 1, 2)
    for what in (place.driver().do, place.driver().undo):
        with pytest.raises(Superseded):
            await what(run, 1, 1)
    with pytest.raises(Superseded):
        await place.driver().look((run,), 1, 1)
    assert place.said == []


async def test_a_look_that_no_decision_rests_on_raises_no_fence(place: Place) -> None:
    run = place.run(place.log("do"))
    await place.driver().look((run,), 1, None)
    await place.driver().do(run, 1, 1)
    assert place.said == ["do"] * place.places


async def test_a_step_without_an_undo_is_never_taken_back(place: Place) -> None:
    run = place.run(place.log("do"))
    await place.driver().do(run, 1, 1)
    with pytest.raises(Refused, match="no undo"):
        await place.driver().undo(run, 1, 1)


async def test_taken_back_after_the_close_its_look_counts_the_other_way_round(
    place: Place,
) -> None:
    flag = place.folder / "flag"
    flag.touch()
    forth = place.run(f"touch {flag}", f"rm -f {flag}", holds=f"test -e {flag}")
    run = replace(forth, back=True)
    assert await seen(place, run, 2) == {(False, False)}
    await place.driver().do(run, 2, 1)
    assert not flag.exists()
    assert await seen(place, run, 2) == {(True, True)}
    await place.driver().undo(run, 2, 1)
    assert flag.exists()
    assert await seen(place, run, 2) == {(False, False)}


# -- On this machine, where there is no agent that ends it ---------------------------------

DRIVER = """
import asyncio, sys
from pathlib import Path
from orchestrator.core.steps import Run
from orchestrator.core.model import At, Command
from tests.contracts.test_commands import here

async def main():
    async with here(Path(sys.argv[1])) as place:
        await place.driver().do(place.run(sys.argv[2]), 1, 1)

asyncio.run(main())
"""


async def test_a_driver_killed_in_the_middle_takes_its_command_along_and_the_next_runs_it_again(
    tmp_path: Path, root: Path
) -> None:
    pids = tmp_path / "pids"
    text = f"echo $$ >> {pids}; sleep 300 & echo $! >> {pids}; wait"
    argv = [sys.executable, "-c", DRIVER, str(tmp_path), text]
    driver = await asyncio.create_subprocess_exec(*argv, cwd=root)
    until = time.monotonic() + 30
    while not pids.exists() or len(pids.read_text().split()) < 2:
        assert time.monotonic() < until
        await asyncio.sleep(0.01)
    driver.kill()
    await driver.wait()
    async with here(tmp_path) as place:
        again = place.run(f"kill -0 $(cat {pids}) 2> /dev/null || {place.log('alone')}")
        assert await seen(place, again) == {(False, True)}
        await place.driver().do(again, 1, 2)
        assert place.said == ["alone"]
        assert await seen(place, again) == {(True, True)}
    await until_gone(*map(int, pids.read_text().split()))


async def test_a_program_that_is_not_there_is_named_before_anything_is_opened(
    tmp_path: Path,
) -> None:
    async with here(tmp_path) as place:
        run = place.run("true")
        gone = replace(run, command=replace(run.command, undo=("no-such-puppet",)))
        with pytest.raises(Refused, match="no-such-puppet"):
            await place.driver().check(gone)
        await place.driver().check(run)


async def until_gone(*pids: int) -> None:
    until = time.monotonic() + 20
    while any(lives(pid) for pid in pids):
        assert time.monotonic() < until, pids
        await asyncio.sleep(0.01)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
    finally:
        assert pid != os.getpid()
