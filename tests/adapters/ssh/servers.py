"""A real SSH server on this machine for a test: it lets one key in and runs what it is asked to.

What it runs is a real process of this machine. Its users' home is a folder of the test.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from orchestrator.core.model import Host


class _Server(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True


@dataclass
class Server:
    """`home`: of whoever logs in there. `mine`: the home of the test's own user."""

    host: Host
    port: int
    key: Any
    home: Path
    mine: Path
    logins: int = 0

    def know(self, key: Any = None, mark: str = "", name: str = "127.0.0.1") -> None:
        """This key, in place of all others, stands in `known_hosts`."""
        text = (key or self.key).export_public_key().decode().strip()
        line = f"{mark}[{name}]:{self.port} {text}\n"
        (self.mine / ".ssh/known_hosts").write_text(line)


@asynccontextmanager
async def server(folder: Path, *, before: bytes = b"") -> AsyncIterator[Server]:
    """`before`: what start files of the shell say at each login."""
    mine, home = folder / "mine", folder / "there"
    (mine / ".ssh").mkdir(parents=True)
    home.mkdir()
    key, login = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    login.write_private_key(str(mine / ".ssh/id_ed25519"))
    (mine / ".ssh/id_ed25519").chmod(0o600)
    (folder / "authorized").write_bytes(login.export_public_key())
    made = Server(Host("web1", "127.0.0.1", "deploy"), 0, key, home, mine)
    settings: dict[str, Any] = {"server_host_keys": [key], "encoding": None}
    settings["authorized_client_keys"] = str(folder / "authorized")

    async def run(process: asyncssh.SSHServerProcess[bytes]) -> None:
        made.logins += 1
        process.stdout.write(before)
        await _run(process, home)

    listening = await asyncssh.create_server(
        _Server, "127.0.0.1", 0, process_factory=run, **settings
    )
    made.port = listening.get_port()
    made.host = Host("web1", "127.0.0.1", "deploy", made.port, "user")
    made.know()
    try:
        yield made
    finally:
        listening.close()
        await listening.wait_closed()


async def _run(process: asyncssh.SSHServerProcess[bytes], home: Path) -> None:
    pipe = asyncio.subprocess.PIPE
    folder = os.path.dirname(sys.executable)
    child = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", process.command or "true",
        stdin=pipe, stdout=pipe, stderr=pipe, cwd=home,
        env={"HOME": str(home), "PATH": f"{folder}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert child.stdin and child.stdout and child.stderr
    feeding = asyncio.create_task(_feed(process, child.stdin))
    try:
        await asyncio.gather(
            _pump(child.stdout, process.stdout), _pump(child.stderr, process.stderr)
        )
        process.exit(await child.wait())
    finally:
        feeding.cancel()
        if child.returncode is None:
            child.kill()
            await child.wait()


async def _pump(source: asyncio.StreamReader, target: asyncssh.SSHWriter[bytes]) -> None:
    while data := await source.read(65536):
        target.write(data)
        await target.drain()


async def _feed(process: asyncssh.SSHServerProcess[bytes], target: asyncio.StreamWriter) -> None:
    try:
        while data := await process.stdin.read(65536):
            target.write(data)
            await target.drain()
    except (OSError, asyncssh.Error):
        pass
    finally:
        target.close()
