"""Agents: sent once, started past whatever stands in the way, and believed in nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.adapters.ssh.agents import Agents
from orchestrator.adapters.ssh.program import program
from orchestrator.adapters.ssh.shell import Shell
from orchestrator.ports.trouble import Refused, Superseded, Unreachable
from tests.adapters.ssh.servers import Server, servers

LOOK: dict[str, Any] = {"site": "shop", "journal": "c0ffee", "epoch": 1, "services": ["web"]}
HOSTILE = """\
import json, sys
def tell(value): sys.stdout.write(value); sys.stdout.flush()
for line in sys.stdin:
    asked = json.loads(line)
    if asked["verb"] == "hello":
        tell(json.dumps({{"id": asked["id"], "ok": {{"hash": "{content}"}}}}) + chr(10))
    else:
        {does}
"""


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Server]:
    with servers(tmp_path) as made:
        yield made[0]


@pytest.fixture
async def agents() -> AsyncIterator[Agents]:
    made = Agents(Shell())
    yield made
    await made.close()


def folder(server: Server) -> Path:
    return server.system.home / program().folder


async def hostile(server: Server, agents: Agents, does: str) -> None:
    """Another program in the place of the agent, which claims to be it."""
    await agents.ask(server.host, "hello", {})
    text = HOSTILE.format(content=program().content, does=does)
    (folder(server) / "start.py").write_text(text)
    await agents.close()


async def test_an_agent_is_sent_once_into_a_folder_of_its_user_alone(there: Server) -> None:
    for _ in range(2):
        agents = Agents(Shell())
        assert (await agents.ask(there.host, "hello", {}))["hash"] == program().content
        await agents.close()
    sent = [command for command in there.commands if " -c " in command]
    assert len(sent) == 1
    assert folder(there).stat().st_mode & 0o777 == 0o700


async def test_one_session_is_kept_for_all_that_is_asked(there: Server, agents: Agents) -> None:
    await asyncio.gather(*(agents.ask(there.host, "look", LOOK) for _ in range(20)))
    before = len(there.commands)
    await agents.ask(there.host, "look", LOOK)
    assert len(there.commands) == before


async def test_what_a_shell_says_at_login_is_passed_over(there: Server, agents: Agents) -> None:
    """S82"""
    there.says_at_login(b"Welcome!\n{}\n[1, 2]\n\xff\xfe\n")
    assert "services" in await agents.ask(there.host, "look", LOOK)


async def test_a_damaged_agent_is_sent_again(there: Server, agents: Agents) -> None:
    await agents.ask(there.host, "hello", {})
    await agents.close()
    (folder(there) / "start.py").write_text("raise SystemExit(3)")
    again = Agents(Shell())
    assert (await again.ask(there.host, "hello", {}))["hash"] == program().content
    await again.close()


async def test_where_nothing_can_be_written_it_is_refused_with_the_reason(
    there: Server, agents: Agents
) -> None:
    """S82"""
    (there.system.home / ".cache").write_text("a file")
    with pytest.raises(Refused, match=r"web1: the agent cannot be laid down there: .*\.cache"):
        await agents.ask(there.host, "hello", {})


async def test_a_folder_of_the_agent_that_is_a_link_is_not_used(
    there: Server, agents: Agents, tmp_path: Path
) -> None:
    folder(there).parent.mkdir(parents=True)
    folder(there).symlink_to(tmp_path)
    with pytest.raises(Refused, match="no folder of ours"):
        await agents.ask(there.host, "hello", {})


async def test_an_older_epoch_is_superseded_and_another_journal_refused(
    there: Server, agents: Agents
) -> None:
    """S3, S86"""
    await agents.ask(there.host, "look", {**LOOK, "epoch": 7})
    with pytest.raises(Superseded, match="web1"):
        await agents.ask(there.host, "look", {**LOOK, "epoch": 6})
    with pytest.raises(Refused, match=r"web1: .*driven from elsewhere"):
        await agents.ask(there.host, "look", {**LOOK, "journal": "another", "epoch": 8})


async def test_an_agent_that_dies_is_unreachable_once_and_then_there_again(
    there: Server, agents: Agents
) -> None:
    """S83: whoever lost an answer has to look; the next one gets a new session."""
    await hostile(there, agents, "sys.exit(1)")
    with pytest.raises(Unreachable, match="web1"):
        await agents.ask(there.host, "look", LOOK)
    (folder(there) / "start.py").unlink()
    assert "services" in await agents.ask(there.host, "look", LOOK)


@pytest.mark.parametrize(
    "does",
    [
        "tell('x' * 50_000_000)",
        "[tell('no answer' + chr(10)) for _ in range(10_000)]",
        "tell(json.dumps({'id': asked['id'], 'ok': 7}) + chr(10))",
        "tell(json.dumps({'id': asked['id'], 'refused': {}}) + chr(10))",
        "tell('[' * 100_000 + chr(10)); sys.exit()",
    ],
)
async def test_what_makes_no_sense_is_unreachable_and_soon(
    there: Server, agents: Agents, does: str
) -> None:
    """S81"""
    await hostile(there, agents, does)
    began = time.monotonic()
    with pytest.raises(Unreachable, match="web1"):
        await agents.ask(there.host, "look", LOOK)
    assert time.monotonic() < began + 10


async def test_words_of_a_host_are_made_plain(there: Server, agents: Agents) -> None:
    """S81"""
    words = "chr(27) + '[31mred' + chr(10) + 'x' * 9999"
    does = f"tell(json.dumps({{'id': asked['id'], 'refused': {words}}}) + chr(10))"
    await hostile(there, agents, does)
    with pytest.raises(Refused) as refused:
        await agents.ask(there.host, "look", LOOK)
    assert refused.value.why.isprintable()
    assert "\\x1b[31mred" in refused.value.why
    assert len(refused.value.why) < 2500
