"""Installations on this machine: real programs, real kills, real strangers on the ports."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.adapters.local import listeners
from orchestrator.adapters.local.installation import LocalInstallation
from orchestrator.adapters.local.keeper import living
from orchestrator.adapters.local.processes import LocalProcesses
from orchestrator.core.model import Color, Placement, Recipe, Release, Secret, SecretFrom, TcpProbe
from orchestrator.core.steps import Part
from orchestrator.ports.trouble import Refused, Superseded
from tests.adapters.local import samples
from tests.adapters.local.samples import Shop, at, files_below, part, pids_with, until

SERVE = (sys.executable, "-I", "-S", "serve.py", "{port}")
WHO = (("WHO", "{version} {color} {instance} {release} {host} {api.url} {{}}"),)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with samples.shop_in(tmp_path) as found:
        yield found


@pytest.fixture
async def serving(tmp_path: Path) -> AsyncIterator[Shop]:
    """A shop whose programs answer who they are."""
    site = samples.site(tmp_path, SERVE, env=WHO, count=1)
    async with samples.shop_in(tmp_path, site) as found:
        found.make("1", **{"serve.py": samples.SERVER})
        yield found


async def staged(shop: Shop, version: str = "1", count: int = 2) -> Part:
    release, source = shop.release(version)
    await shop.driver().stage(part(release, count=count), source, 1)
    return part(release, count=count)


async def answer(shop: Shop, color: Color = Color.BLUE) -> str:
    """What the first instance says, once it listens."""
    host, port = shop.driver().address("web", color, 0)
    await until(lambda: listeners.on_port(port))

    def asked() -> str:
        with urllib.request.urlopen(f"http://{host}:{port}/", timeout=5) as reply:
            text: bytes = reply.read()
            return text.decode()

    return await asyncio.to_thread(asked)


# -- What a program gets -------------------------------------------------------------------


async def test_a_program_runs_in_its_files_with_every_word_in_its_place(serving: Shop) -> None:
    one = await staged(serving, count=1)
    for color, inner in ((Color.BLUE, 19000), (Color.GREEN, 19001)):
        await serving.driver().start(part(one.release, color, 1), 1)
        said = await answer(serving, color)
        label, value = one.release.label, color.value
        assert said.startswith(f"1 {value} 0 {label} 127.0.0.1 http://127.0.0.1:{inner} {{}} ")
    for color in Color:
        await serving.driver().stop(part(one.release, color, 1), 1)


async def test_a_program_of_the_artifact_is_found_by_its_path(shop: Shop) -> None:
    shop.describe(recipe=Recipe(("bin/web", "{port}"), (), 2.0))
    bin_ = Path(shop.make("1")) / "bin"
    await asyncio.to_thread(bin_.mkdir)
    (bin_ / "web").write_text("#!/bin/sh\nexec sleep 1000\n")
    (bin_ / "web").chmod(0o755)
    one = await staged(shop)
    await shop.driver().start(one, 1)
    assert at(await shop.driver().look(1), Color.BLUE).running(one.release) == 2


async def test_a_program_gets_the_environment_of_the_recipe_and_four_words_of_ours(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEAKED", "by whoever started it")
    monkeypatch.setenv("TZ", "UTC")
    shop.describe(recipe=Recipe(("sh", "-c", "env; exec sleep 1000"), (("MINE", "x"),), 2.0))
    one = await staged(shop, count=1)
    await shop.driver().start(one, 1)
    await until(lambda: "MINE=x" in shop.processes.log("web/blue/0"))
    names = {line.partition("=")[0] for line in shop.processes.log("web/blue/0").splitlines()}
    assert names <= {"PATH", "HOME", "LANG", "TZ", "MINE", "PWD", "_", "SHLVL", "OLDPWD"}
    assert "TZ" in names


async def test_probes_see_the_surroundings_of_their_instance(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "db").write_text("hunter22\n")
    env = (("DB", Secret(SecretFrom.FILE, ("db",))), ("PORT", "{port}"))
    shop.describe(recipe=Recipe(samples.WAITING, env, 2.0))
    one = await staged(shop)
    env_seen, cwd = await shop.driver().surroundings(one, 1)
    assert env_seen["DB"] == "hunter22"
    assert env_seen["PORT"] == str(shop.site.service("web").placement.blue_port + 1)
    assert (Path(cwd) / "who").read_text() == "1"


# -- What is refused, and nothing touched ----------------------------------------------------


async def refused(shop: Shop, one: Part, why: str) -> None:
    """The start is refused, the color points where it did, and nothing runs."""
    before = at(await shop.driver().look(1), Color.BLUE)
    with pytest.raises(Refused, match=why):
        await shop.driver().start(one, 1)
    assert at(await shop.driver().look(1), Color.BLUE) == before


async def test_a_word_that_nobody_knows_is_refused_by_name(shop: Shop) -> None:
    shop.describe(recipe=Recipe(("sleep", "{prot}"), (), 2.0))
    await refused(shop, await staged(shop), r"web 1@.*run: unknown word \{prot\}")


async def test_a_service_that_is_not_used_has_no_address(shop: Shop) -> None:
    shop.describe(recipe=Recipe(samples.WAITING, (("MAIL", "{mail.url}"),), 2.0))
    await refused(shop, await staged(shop), r"env MAIL: unknown word \{mail\.url\}")


async def test_a_secret_that_cannot_be_read_is_refused_by_name(shop: Shop) -> None:
    recipe = Recipe(samples.WAITING, (("DB", Secret(SecretFrom.FILE, ("nowhere",))),), 2.0)
    shop.describe(recipe=recipe)
    await refused(shop, await staged(shop), "the secret DB")


async def test_a_port_that_a_stranger_has_is_refused_with_who_it_is(shop: Shop) -> None:
    """S85"""
    one = await staged(shop)
    port = shop.site.service("web").placement.blue_port + 1
    for address in ("127.0.0.1", "0.0.0.0"):
        with socket.create_server((address, port)):
            await refused(shop, one, rf"port {port} of web/blue/1 is taken by pid {os.getpid()} \(")
    with socket.create_server(("::", port), family=socket.AF_INET6):
        await refused(shop, one, f"port {port}")
    await shop.driver().start(one, 1)


async def test_a_missing_program_is_refused_and_nothing_stays_running(shop: Shop) -> None:
    shop.describe(recipe=Recipe(("bin/nothing",), (), 2.0))
    one = await staged(shop)
    with pytest.raises(Refused, match="web/blue/0 cannot be run: bin/nothing: No such file"):
        await shop.driver().start(one, 1)
    assert at(await shop.driver().look(1), Color.BLUE).empty


async def test_a_color_that_runs_another_release_keeps_its_pointer(shop: Shop) -> None:
    one = await staged(shop, "1")
    await shop.driver().start(one, 1)
    await refused(shop, await staged(shop, "2"), "web/blue/0 runs 1@.*, not 2@.*; stop it first")


def test_a_service_cannot_be_called_out_of_the_state_folder(tmp_path: Path) -> None:
    """S92"""
    site = samples.site(tmp_path)
    evil = replace(site, services=(replace(site.services[0], name="../../evil"),))
    shop = Shop(tmp_path, LocalProcesses(str(tmp_path / "run")), evil)
    with pytest.raises(Refused, match="is no name of a service"):
        asyncio.run(shop.driver().look(1))


# -- Leftovers, kills ------------------------------------------------------------------------


async def test_what_a_dead_instance_left_on_its_port_is_ours_and_not_in_the_way(
    serving: Shop,
) -> None:
    """S13"""
    text = "import os\nif os.fork(): os.execvp('sleep', ['sleep', '1000'])\n" + samples.SERVER
    serving.make("1", **{"serve.py": text})
    one = await staged(serving, count=1)
    await serving.driver().start(one, 1)
    left = (await answer(serving)).split()[-1]
    (seen,) = serving.processes.look("web/blue/0")
    assert seen.pid is not None
    os.kill(samples.keeper_pid(serving.processes, "web/blue/0"), signal.SIGKILL)
    os.kill(seen.pid, signal.SIGKILL)
    await until(lambda: not serving.processes.look("web/blue/0")[0].running)
    await serving.driver().start(one, 1)
    assert (await answer(serving)).split()[-1] != left


async def test_an_instance_without_a_keeper_gets_one_and_is_not_doubled(shop: Shop) -> None:
    one = await staged(shop)
    await shop.driver().start(one, 1)
    before = at(await shop.driver().look(1), Color.BLUE)
    os.kill(samples.keeper_pid(shop.processes, "web/blue/1"), signal.SIGKILL)
    await until(lambda: not shop.processes.look("web/blue/1")[0].kept)
    assert at(await shop.driver().look(1), Color.BLUE).running(one.release) == 2
    await shop.driver().start(one, 1)
    assert at(await shop.driver().look(1), Color.BLUE) == before


async def test_starting_what_runs_asks_for_no_secret_again(shop: Shop, tmp_path: Path) -> None:
    secret = tmp_path / "db"
    secret.write_text("hunter22")
    shop.describe(recipe=Recipe(samples.WAITING, (("DB", Secret(SecretFrom.FILE, ("db",))),), 2.0))
    one = await staged(shop)
    await shop.driver().start(one, 1)
    secret.unlink()
    await shop.driver().start(one, 1)


async def test_fifty_times_there_and_back_leave_nothing(tmp_path: Path) -> None:
    """S13"""
    async with samples.shop_in(tmp_path, samples.site(tmp_path, count=1)) as shop:
        release, source = shop.release("1")
        one, driver = part(release, count=1), shop.driver()
        left: list[set[str]] = []
        for _ in range(50):
            await driver.stage(one, source, 1)
            await driver.start(one, 1)
            await driver.stop(one, 1)
            await driver.point("web", Color.BLUE, None, 1)
            await driver.remove("web", release, 1)
            left.append(files_below(shop.site.state))
        assert not pids_with(str(tmp_path))
        assert all(files == left[0] for files in left)
        assert left[0] == {
            "fence",
            "fence.epoch",
            "pointers",
            "pointers/web",
            "processes",
            "processes/numbers",
            "releases",
        }


async def test_what_a_killed_driver_had_half_staged_is_swept_and_never_seen(shop: Shop) -> None:
    """S1, S13"""
    releases = Path(shop.site.state) / "releases" / "web"
    mine = living.process(os.getpid())
    assert mine is not None
    dead = releases / f".new-{os.getpid()}-{mine.started - 1}-0a0a"
    busy = releases / f".new-{os.getpid()}-{mine.started}-0b0b"
    for folder in (dead, busy):
        await asyncio.to_thread(os.makedirs, folder / "files")
    one = await staged(shop)
    assert at(await shop.driver().look(1), Color.BLUE).staged == {one.release}
    assert not dead.exists()
    assert busy.exists()


@pytest.mark.parametrize("moment_s", [0.0, 0.01, 0.03, 0.06])
async def test_a_driver_killed_while_staging_shows_all_of_a_release_or_nothing(
    shop: Shop, moment_s: float
) -> None:
    """S1, S11"""
    files = {f"f{n}": str(n) * 2000 for n in range(150)}
    shop.make("1", **files)
    release, source = shop.release("1")
    staging = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from tests.adapters.local import samples\n"
        "from orchestrator.adapters.local.processes import LocalProcesses\n"
        "from orchestrator.core.model import Release\n"
        "folder, version, digest, source = sys.argv[1:]\n"
        "site = samples.site(Path(folder))\n"
        "shop = samples.Shop(Path(folder), LocalProcesses(site.state), site)\n"
        "print('now', flush=True)\n"
        "part = samples.part(Release(version, digest))\n"
        "asyncio.run(shop.driver().stage(part, source, 1))\n"
    )
    argv = (sys.executable, "-c", staging, str(shop.folder), "1", release.digest, source)
    driver = await asyncio.create_subprocess_exec(*argv, cwd=samples.ROOT, stdout=subprocess.PIPE)
    assert driver.stdout is not None
    assert await driver.stdout.readline() == b"now\n"
    await asyncio.sleep(moment_s)  # the sampled moment
    driver.kill()
    await driver.communicate()
    seen = at(await shop.driver().look(1), Color.BLUE).staged
    assert seen <= {release}
    if seen:
        where = Path(shop.site.state) / "releases" / "web" / f"1@{release.digest}" / "files"
        assert files_below(where) == {*files, "who"}
        assert all((where / name).read_text() == text for name, text in files.items())
    await shop.driver().stage(part(release), source, 1)
    assert at(await shop.driver().look(1), Color.BLUE).staged == {release}
    left = os.listdir(os.path.join(shop.site.state, "releases", "web"))
    assert left == [f"1@{release.digest}"]


async def test_a_stage_that_fails_leaves_nothing(shop: Shop) -> None:
    """S84"""
    release, source = shop.release("1")
    (Path(source) / "evil").symlink_to("/etc/passwd")
    with pytest.raises(Refused, match="evil is a link out of its folder"):
        await shop.driver().stage(part(release), source, 1)
    assert not any(".new" in name or "web/" in name for name in files_below(shop.site.state))


async def test_a_disk_that_takes_no_more_is_told_and_nothing_is_seen(shop: Shop) -> None:
    """S10, S84: a limit on the size of files does to a write what a full disk does."""
    shop.make("1", large="x" * 200_000)
    release, source = shop.release("1")
    staging = (
        "import asyncio, resource, sys\n"
        "from pathlib import Path\n"
        "from tests.adapters.local import samples\n"
        "from orchestrator.adapters.local.processes import LocalProcesses\n"
        "from orchestrator.core.model import Release\n"
        "from orchestrator.ports.trouble import Refused\n"
        "folder, version, digest, source = sys.argv[1:]\n"
        "site = samples.site(Path(folder))\n"
        "shop = samples.Shop(Path(folder), LocalProcesses(site.state), site)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    asyncio.run(shop.driver().stage(samples.part(Release(version, digest)), source, 1))\n"
        "except Refused as trouble:\n"
        "    print(trouble.why)\n"
    )
    argv = (sys.executable, "-c", staging, str(shop.folder), "1", release.digest, source)
    driver = await asyncio.create_subprocess_exec(*argv, cwd=samples.ROOT, stdout=subprocess.PIPE)
    said, _ = await driver.communicate()
    assert said.decode() == f"unpacking {source} failed: File too large\n"
    assert not any("web/" in name for name in files_below(shop.site.state))


# -- The fence -------------------------------------------------------------------------------


async def test_a_driver_superseded_while_it_read_its_secrets_starts_nothing(
    shop: Shop, tmp_path: Path
) -> None:
    """S3: long work is done outside the fence, and what follows from it is checked again."""
    ask = ("sh", "-c", "touch asked; while [ ! -e answer ]; do sleep 0.01; done; echo x")
    env = (("DB", Secret(SecretFrom.COMMAND, ask)),)
    shop.describe(recipe=Recipe(samples.WAITING, env, 2.0))
    one = await staged(shop)
    start = asyncio.create_task(shop.driver().start(one, 1))
    await until((tmp_path / "asked").exists)
    before = await shop.driver().look(2)
    (tmp_path / "answer").touch()
    with pytest.raises(Superseded):
        await start
    assert await shop.driver().look(2) == before


async def test_a_driver_superseded_while_it_unpacked_shows_nothing(shop: Shop) -> None:
    """S3"""
    release, source = shop.release("1")
    stage = asyncio.create_task(shop.driver().stage(part(release), source, 1))
    await asyncio.sleep(0)  # it has passed the fence, and unpacks in its thread
    assert not stage.done()
    await shop.driver().look(2)
    with pytest.raises(Superseded):
        await stage
    assert not at(await shop.driver().look(2), Color.BLUE).staged
    assert not any(".new" in name for name in files_below(shop.site.state))


async def test_a_stop_under_way_ends_by_itself_when_its_driver_is_killed(shop: Shop) -> None:
    """S1: what was decided under the fence is done by the keepers."""
    one = await staged(shop)
    await shop.driver().start(one, 1)
    stop = asyncio.create_task(shop.driver().stop(one, 1))
    await asyncio.sleep(0)
    stop.cancel()
    await until(lambda: not any(seen.running for seen in shop.processes.look()))


async def test_instances_are_stopped_side_by_side(shop: Shop) -> None:
    deaf = "trap '' TERM; echo deaf; while :; do sleep 0.05; done"
    shop.describe(recipe=Recipe(("sh", "-c", deaf), (), 0.6))
    one = await staged(shop)
    await shop.driver().start(one, 1)
    names = ("web/blue/0", "web/blue/1")
    await until(lambda: all("deaf" in shop.processes.log(name) for name in names))
    began = time.monotonic()
    await shop.driver().stop(one, 1)
    assert 0.6 <= time.monotonic() - began < 1.2
    assert at(await shop.driver().look(1), Color.BLUE).empty


async def test_an_instance_beyond_the_count_is_stopped_with_the_others(shop: Shop) -> None:
    one = await staged(shop)
    await shop.driver().start(one, 1)
    web = shop.site.service("web")
    shop.describe(placement=replace(web.placement, count=1))
    await shop.driver().stop(part(one.release, count=1), 1)
    assert at(await shop.driver().look(1), Color.BLUE).empty


# -- What is on the disk ---------------------------------------------------------------------


async def test_other_probes_travel_with_a_release_and_do_not_change_it(shop: Shop) -> None:
    one = await staged(shop)
    shop.describe(probes=(TcpProbe(),))
    release, source = shop.release("1")
    assert release == one.release
    await shop.driver().stage(one, source, 1)
    described = await shop.driver().service_as_staged("web", release)
    assert described is not None
    assert described.probes == (TcpProbe(),)


async def test_a_release_keeps_the_recipe_it_was_staged_with(shop: Shop) -> None:
    one = await staged(shop)
    shop.describe(recipe=Recipe(("sleep", "2000"), (), 2.0))
    await shop.driver().stage(one, shop.make("1"), 1)
    described = await shop.driver().service_as_staged("web", one.release)
    assert described is not None
    assert described.recipe.run == samples.WAITING


async def test_a_damaged_pointer_or_note_is_told_and_not_guessed(shop: Shop) -> None:
    """S11"""
    one = await staged(shop)
    await shop.driver().start(one, 1)
    note = Path(shop.site.state) / "processes" / "names" / "web" / "blue" / "0" / "state.json"
    whole = note.read_text()
    note.write_text(whole[:20])
    with pytest.raises(Refused, match=r"state\.json is damaged"):
        await shop.driver().look(1)
    note.write_text(whole)
    staged_json = Path(shop.site.state) / "releases" / "web" / f"1@{one.release.digest}"
    (staged_json / "staged.json").write_text('{"format": 99}')
    with pytest.raises(Refused, match="not of this version of bg"):
        await shop.driver().service_as_staged("web", one.release)


async def test_what_may_be_private_can_be_read_by_nobody_else(shop: Shop) -> None:
    """S91"""
    one = await staged(shop)
    await shop.driver().start(one, 1)
    everything = [shop.site.state, *samples.paths_below(shop.site.state)]
    can_be_read = {path for path in everything if os.stat(path).st_mode & 0o077}
    assert all("/files" in path for path in can_be_read)  # behind folders that nobody else enters
    assert any(path.endswith("state.json") for path in everything)


async def test_fifty_planted_secrets_are_in_no_file_no_argv_and_no_note(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S90, on success and on failure; a program that says its own is taken out of what is told."""
    secrets = [f"planted-{n}-secret" for n in range(50)]
    env: list[tuple[str, str | Secret]] = []
    for n, secret in enumerate(secrets):
        match n % 2:
            case 0:
                (tmp_path / f"s{n}").write_text(secret)
                env.append((f"S{n}", Secret(SecretFrom.FILE, (f"s{n}",))))
            case _:
                monkeypatch.setenv(f"PLANTED{n}", secret)
                env.append((f"S{n}", Secret(SecretFrom.ENV, (f"PLANTED{n}",))))
    said = tmp_path / "said"
    text = f"env > {said}; exec sleep 1000"
    shop.describe(recipe=Recipe(("sh", "-c", text), tuple(env), 2.0))
    one = await staged(shop)
    await shop.driver().start(one, 1)
    await until(lambda: said.exists() and all(s in said.read_text() for s in secrets))
    bytes_of = samples.bytes_below(shop.site.state)
    assert any(path.endswith("state.json") for path in bytes_of)
    assert not [path for path, data in bytes_of.items() if b"planted-" in data]
    assert not pids_with("planted-")
    assert "planted-" not in repr(await shop.driver().look(1))
    await shop.driver().stop(one, 1)

    shop.describe(recipe=Recipe(("sh", "-c", "echo $S0 $S49; env; exit 3"), tuple(env), 2.0))
    two = await staged(shop, "2", count=1)
    await shop.driver().start(two, 1)
    await until(lambda: "exit code 3" in shop.processes.look("web/blue/0")[0].note)
    newcomer = shop.driver()  # one that never read a secret itself
    seen = at(await newcomer.look(1), Color.BLUE).instances[0]
    assert "exit code 3" in seen.note
    assert "planted-" not in seen.note
    log = await newcomer.log("web", Color.BLUE, 0, 200)
    assert "‹S0› ‹S49›" in log
    assert "planted-" not in log
    await shop.driver().stop(two, 1)


async def test_a_look_at_ten_services_takes_no_time(tmp_path: Path) -> None:
    one = samples.site(tmp_path, count=2)
    services = tuple(
        replace(one.services[0], name=f"s{n}", placement=Placement(2, 20000 + n * 4, 20002 + n * 4))
        for n in range(10)
    )
    async with samples.shop_in(tmp_path, replace(one, services=services)) as shop:
        for name in ("s0", "s5", "s9"):
            for color in Color:
                shop.processes.start(f"{name}/{color.value}/0", samples.launch())
        driver = shop.driver()
        took = [await timed(driver) for _ in range(30)]
        assert min(took) < 0.005


async def timed(driver: LocalInstallation) -> float:
    began = time.process_time()
    await driver.look(1)
    return time.process_time() - began


async def test_a_foreign_tag_is_no_release(shop: Shop) -> None:
    shop.processes.start("web/blue/0", samples.launch(tag="somebody's"))
    seen = at(await shop.driver().look(1), Color.BLUE).instances[0]
    assert (seen.release, seen.running) == (None, True)
    one = await staged(shop)
    with pytest.raises(Refused, match="something else"):
        await shop.driver().start(one, 1)
    await shop.driver().stop(one, 1)
    assert shop.processes.look("web/blue/0")[0].running


async def test_a_release_whose_folder_vanished_is_not_staged(shop: Shop) -> None:
    """S26: somebody cleaned up by hand."""
    one = await staged(shop)
    await asyncio.to_thread(shutil.rmtree, Path(shop.site.state) / "releases" / "web")
    seen = at(await shop.driver().look(1), Color.BLUE)
    assert seen.staged == set()
    with pytest.raises(Refused, match="not staged"):
        await shop.driver().start(one, 1)
    assert await shop.driver().service_as_staged("web", Release("1", one.release.digest)) is None
