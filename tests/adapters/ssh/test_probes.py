"""Probes that are programs run on the host of their instance, as the instance does."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.adapters.clock import SystemClock
from orchestrator.adapters.memory.process import Process
from orchestrator.adapters.memory.world import World
from orchestrator.adapters.ssh.agents import Agents
from orchestrator.adapters.ssh.asking import Asking
from orchestrator.adapters.ssh.prober import SshProber
from orchestrator.adapters.ssh.shell import Shell
from orchestrator.core.health import Found, Sample
from orchestrator.core.model import ExecProbe, Recipe, Secret, SecretFrom
from orchestrator.ports.prober import Target
from orchestrator.ports.trouble import Refused
from tests.adapters.local.samples import part
from tests.adapters.ssh.fleet import JOURNAL, HostsShop, shop_on_hosts

SECRET = "hunter2-of-the-probe"
RECIPE = Recipe(("sleep", "1000"), (("DB", Secret(SecretFrom.FILE, ("db",))),))
CHECK = """\
case "$1" in
well) test "$DB" = hunter2-of-the-probe && test -f who && echo "$2" > asked;;
ill) echo "no table, says $DB"; exit 3;;
hangs) sleep 60;;
esac
"""


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[HostsShop]:
    (tmp_path / "db").write_text(SECRET + "\n")
    async with shop_on_hosts(tmp_path, RECIPE) as made:
        yield made


async def looked(shop: HostsShop, *words: str, timeout_s: float = 10.0) -> Sample:
    """One look at the second instance of what was just staged."""
    shop.make("1", check=CHECK)
    release, source = shop.release("1")
    one, driver = part(release), shop.driver()
    await driver.stage(one, source, 1)
    env, folder = await driver.surroundings(one, 1)
    agents = Agents(Shell())

    async def identity() -> str:
        return JOURNAL

    prober = SshProber(
        Asking(shop.site, identity, agents),
        Process(World(shop.site)).prober,
        SystemClock(),
        driver.redactor,
    )
    target = Target("127.0.0.1", 1, {"port": "8110"}, env, folder)
    try:
        return await prober.sample(target, (ExecProbe(("sh", "check", *words)),), timeout_s)
    finally:
        await agents.close()


async def test_a_program_runs_there_in_its_release_with_the_environment_of_the_instance(
    shop: HostsShop,
) -> None:
    found = await looked(shop, "well", "{port} {color}")
    assert found.found is Found.GOOD, found
    (told,) = shop.servers[1].system.home.rglob("asked")
    assert told.read_text() == "8110 {color}\n", "what is no word here stays as it is"
    assert not list(shop.servers[0].system.home.rglob("asked"))


async def test_how_it_ended_is_said_without_a_secret(shop: HostsShop) -> None:
    """S90"""
    found = await looked(shop, "ill")
    assert found.found is Found.BAD
    assert found.why.startswith("sh: exit 3: no table, says ")
    assert SECRET not in found.why


async def test_a_program_that_hangs_is_ill_and_ended_in_time(shop: HostsShop) -> None:
    began = time.monotonic()
    found = await looked(shop, "hangs", timeout_s=5.0)
    assert (found.found, found.why) == (Found.BAD, "sh: no end within 4.5 s")
    assert time.monotonic() - began < 20


async def test_what_was_not_staged_from_here_is_not_run(shop: HostsShop) -> None:
    release, _ = shop.release("1")
    with pytest.raises(Refused, match="was not staged from here"):
        await shop.driver().surroundings(part(release), 0)
