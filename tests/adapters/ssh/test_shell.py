"""Connections: host keys without exception, kept, bounded, and the user's own configuration."""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from orchestrator.adapters.ssh.known import Known
from orchestrator.adapters.ssh.shell import ALIVE_PER_S, DIAL_S, Shell
from orchestrator.core.model import Host
from orchestrator.ports.trouble import Refused, Unreachable
from tests.adapters.ssh.servers import Server, servers


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Server]:
    with servers(tmp_path) as made:
        yield made[0]


@pytest.fixture
async def shell() -> AsyncIterator[Shell]:
    made = Shell()
    yield made
    await made.close()


async def said(shell: Shell, host: Host) -> bytes:
    return (await shell.run(host, ("echo", "it's", "$HOME"), within_s=10)).said


async def test_words_arrive_as_they_are_whatever_a_shell_makes_of_them(
    there: Server, shell: Shell
) -> None:
    assert await said(shell, there.host) == b"it's $HOME\n"


async def test_one_connection_is_kept_and_opened_anew_when_it_was_lost(
    there: Server, shell: Shell
) -> None:
    for _ in range(3):
        await said(shell, there.host)
    assert len(shell._kept) == 1
    first = next(iter(shell._kept.values()))
    first.abort()
    await said(shell, there.host)
    assert next(iter(shell._kept.values())) is not first


async def test_a_host_key_that_is_not_known_is_refused_with_a_remedy(
    there: Server, shell: Shell
) -> None:
    """S80"""
    there.know("")
    with pytest.raises(Refused, match=r"web1 \(127.0.0.1\) shows a host key that is not in"):
        await said(shell, there.host)


async def test_a_changed_host_key_is_refused_as_such(there: Server, shell: Shell) -> None:
    """S80"""
    there.know(there.line(asyncssh.generate_private_key("ssh-ed25519")))
    with pytest.raises(Refused, match=r"web1 .* shows another host key .* `ssh-keygen -R"):
        await said(shell, there.host)


async def test_a_revoked_host_key_is_refused_as_such(there: Server, shell: Shell) -> None:
    """S80"""
    there.know(there.line() + f"@revoked {there.line()}")
    with pytest.raises(Refused, match=r"web1 .* revoked"):
        await said(shell, there.host)


async def test_a_key_that_is_revoked_meanwhile_is_refused_at_the_next_connection(
    there: Server, shell: Shell
) -> None:
    """S80: what was read is kept only as long as the file is the same."""
    assert await said(shell, there.host)
    there.know(there.line() + f"@revoked {there.line()}")
    shell.drop(there.host)
    with pytest.raises(Refused, match=r"web1 .* revoked"):
        await said(shell, there.host)


def test_there_may_be_as_many_connections_as_this_user_may_have_files() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        Shell()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_of_many_hosts_each_is_asked_more_seldom_whether_it_is_there(
    there: Server, shell: Shell
) -> None:
    await said(shell, there.host)
    kept = next(iter(shell._kept.values()))
    shell._kept |= {
        replace(place, name=f"web{n}"): kept for place in shell._kept for n in range(999)
    }
    shell._calm()
    assert 999 / ALIVE_PER_S <= shell._alive_s <= 4 * 999 / ALIVE_PER_S
    assert await said(shell, there.host)
    shell._kept = {place: kept for place in shell._kept if place.name == "web1"}


def test_known_hosts_are_read_once_however_many_hosts_there_are(there: Server) -> None:
    known, files = Known(), [str(there.mine / ".ssh/known_hosts")]
    first = known.keys(files, "web1")
    assert known.keys(files, "web2") is first
    there.know(there.line() + there.line(name="192.0.2.1"))
    assert known.keys(files, "web1") is not first


async def test_a_configuration_cannot_switch_the_check_off(there: Server, shell: Shell) -> None:
    """S80"""
    there.know("")
    for off in (
        "StrictHostKeyChecking no",
        "UserKnownHostsFile none",
        "UserKnownHostsFile /dev/null",
    ):
        (there.mine / ".ssh/config").write_text(f"Host *\n  {off}\n")
        with pytest.raises(Refused, match="web1"):
            await said(shell, there.host)


async def test_hashed_names_in_known_hosts_are_found(there: Server, shell: Shell) -> None:
    file = there.mine / ".ssh/known_hosts"
    hashing = await asyncio.create_subprocess_exec("ssh-keygen", "-q", "-H", "-f", str(file))
    await hashing.wait()
    assert file.read_text().startswith("|1|")
    assert await said(shell, there.host) == b"it's $HOME\n"


async def test_what_the_site_does_not_say_the_users_configuration_says(
    there: Server, shell: Shell
) -> None:
    config = f"Host box\n  HostName 127.0.0.1\n  Port {there.port}\n  User deploy\n"
    (there.mine / ".ssh/config").write_text(config)
    assert await said(shell, Host("web1", "box")) == b"it's $HOME\n"


async def test_a_configuration_that_leads_nowhere_is_said_so(there: Server, shell: Shell) -> None:
    """S81"""
    (there.mine / ".ssh/config").write_text("Host box\n  HostName 127.0.0.1\n  Port 99999999\n")
    with pytest.raises(Refused, match="web1: something in your SSH configuration is wrong"):
        await said(shell, Host("web1", "box"))


async def test_a_jump_host_is_checked_as_strictly_as_a_host(there: Server, shell: Shell) -> None:
    """S80"""
    config = f"Host 127.0.0.1\n  ProxyJump deploy@localhost:{there.port}\n"
    (there.mine / ".ssh/config").write_text(config)
    there.know(there.line(name="192.0.2.1"))
    with pytest.raises(Refused, match=r"the jump host localhost .* not in known_hosts"):
        await said(shell, there.host)


async def test_nobody_is_asked_for_a_password(there: Server, shell: Shell) -> None:
    (there.mine / ".ssh/id_ed25519").unlink()
    with pytest.raises(Refused, match="web1 lets nobody in with the keys at hand"):
        await said(shell, there.host)


async def test_a_host_that_is_silent_is_given_up_in_time(
    there: Server,
) -> None:
    """S83: a server that accepts and never says a word."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the other side gives up
        writer.close()
        gone.set()

    gone = asyncio.Event()

    listening = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    hasty, began = Shell(open_s=0.3), time.monotonic()
    with pytest.raises(Unreachable, match="web9"):
        await said(hasty, Host("web9", "127.0.0.1", "deploy", port))
    assert time.monotonic() < began + 1.5
    await asyncio.wait_for(gone.wait(), 5)
    listening.close()
    await listening.wait_closed()
    await hasty.close()


async def test_a_host_that_did_not_answer_is_not_waited_for_again_and_again(
    there: Server, shell: Shell
) -> None:
    """S83: one command asks a dead host many times; it costs the first one only."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen(0)
    filler = [socket.socket() for _ in range(4)]  # its queue is full: connecting hangs
    for one in filler:
        one.setblocking(False)
        one.connect_ex(taken.getsockname())
    host = Host("web9", "127.0.0.1", "deploy", taken.getsockname()[1])
    try:
        began = time.monotonic()
        with pytest.raises(Unreachable, match="web9 does not answer"):
            await said(shell, host)
        first_s = time.monotonic() - began
        assert DIAL_S <= first_s < DIAL_S + 2
        began = time.monotonic()
        for _ in range(20):
            with pytest.raises(Unreachable, match="web9 does not answer"):
                await said(shell, host)
        assert time.monotonic() - began < 0.5
        assert await said(shell, there.host), "the others are asked as ever"
    finally:
        for one in (taken, *filler):
            one.close()


async def test_a_port_where_nobody_listens_is_unreachable_and_named(
    there: Server, shell: Shell, free_ports: Callable[[int], int]
) -> None:
    with pytest.raises(Unreachable, match=r"^web9 cannot be reached: connection refused$"):
        await said(shell, Host("web9", "127.0.0.1", "deploy", free_ports(1)))
