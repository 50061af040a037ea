"""Each host by itself, with the real agent: looked at, told gone, taken back, taken over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.core.away import without
from orchestrator.core.model import Color
from orchestrator.ports.hosts import Wrong
from orchestrator.ports.trouble import Refused, Unreachable
from tests.adapters.local.samples import at, part
from tests.adapters.ssh.fleet import JOURNAL, Each, each_host

BOTH = ("web1", "web2")


@pytest.fixture
async def each(tmp_path: Path) -> AsyncIterator[Each]:
    """Web 1 runs on blue, on both."""
    async with each_host(tmp_path) as made:
        release, source = made.shop.release("1")
        await made.shop.driver().stage(part(release), source, 1)
        await made.shop.driver().start(part(release), 1)
        yield made


async def test_each_host_says_what_is_on_it_whose_it_is_and_what_it_runs_on(each: Each) -> None:
    release, _ = each.shop.release("1")
    for name, seen in zip(BOTH, await each.hosts().look(BOTH), strict=True):
        assert (seen.name, seen.wrong, seen.journal, seen.youngest) == (name, None, JOURNAL, 1)
        assert [(o.service, o.color, o.release, o.running) for o in seen.on] == [
            ("web", Color.BLUE, release, True)
        ]
        assert seen.staged == (("web", release),)
        assert seen.agent
        assert seen.python


async def test_a_host_with_another_key_hides_no_other(each: Each) -> None:
    """S80"""
    one, two = each.shop.servers
    two.know(one.line())
    seen = await each.hosts().look(BOTH)
    assert [host.wrong for host in seen] == [None, Wrong.KEY]
    assert "web2" in seen[1].why


async def test_what_units_need_is_no_trouble_of_a_host_where_none_are(each: Each) -> None:
    """A proxy."""
    for server in each.shop.servers:
        server.system.trouble("broken", "Failed to connect to bus")
    first = tuple(
        replace(s, placement=replace(s.placement, count=1, hosts=("web1",)))
        for s in each.shop.site.services
    )
    each.shop.site = replace(each.shop.site, services=first)
    seen = await each.hosts().look(BOTH)
    assert (seen[0].wrong is None, seen[1].wrong) == (False, None)


async def test_a_host_of_another_journal_is_said_so_and_still_looked_at(each: Each) -> None:
    """S86"""
    seen = await each.hosts("another").look(BOTH)
    assert [host.wrong for host in seen] == [Wrong.FOREIGN, Wrong.FOREIGN]
    assert all(host.on for host in seen)


async def test_s87_a_host_told_gone_refuses_everybody_until_it_is_readmitted(each: Each) -> None:
    hosts = each.hosts()
    await hosts.tell_gone("web2", "it burned", 2)
    assert [h.wrong for h in await hosts.look(BOTH)] == [None, Wrong.GONE]
    with pytest.raises(Unreachable, match="told gone"):
        await each.shop.driver().look(2)
    with pytest.raises(Refused, match="another journal"):
        await each.hosts("another").readmit("web2", frozenset(), 9)
    release, _ = each.shop.release("1")
    assert not await hosts.readmit("web2", frozenset({("web", Color.BLUE, release)}), 3)
    assert len(at(await each.shop.driver().look(3), Color.BLUE).instances) == 2


async def test_s87_nobody_speaks_to_a_host_that_is_away(each: Each) -> None:
    """Not even to find out that it is dead."""
    release, _ = each.shop.release("1")
    each.shop.servers[1].know(each.shop.servers[0].line())
    each.shop.site = without(each.shop.site, ["web2"])
    driver = each.shop.driver()
    found = at(await driver.look(2), Color.BLUE)
    assert [one.index for one in found.instances] == [0]
    one = replace(part(release), count=1)
    await driver.stop(one, 2)
    await driver.start(one, 2)
    assert at(await driver.look(2), Color.BLUE).running(release) == 1


async def test_s86_whoever_adopted_hosts_is_the_only_one_to_drive_them(each: Each) -> None:
    another = each.hosts("another")
    await another.adopt(BOTH, 2)
    assert [h.journal for h in await another.look(BOTH)] == ["another", "another"]
    with pytest.raises(Unreachable, match="another journal"):
        await each.shop.driver().look(3)
