"""Real SSH servers on this machine for a test (see `daemon`), and the home of the test's own user.

What they run is a real process of this machine, with a home and an environment of each server's
own; `systemctl` there is the one of `tests.agents.systemd`. In the user's home there are a key, a
`known_hosts`, and whatever configuration the test writes.
"""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from orchestrator.core.model import Host
from tests.agents.systemd import FakeSystemd

ROOT = Path(__file__).parents[3]


@dataclass
class Server:
    """`mine`: the home of the test's own user."""

    name: str
    address: str
    mine: Path
    folder: Path
    system: FakeSystemd
    key: Any
    port: int = 0
    daemon: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> Host:
        return Host(self.name, self.address, "deploy", self.port, "sudo")

    @property
    def commands(self) -> list[str]:
        """All that it was asked to run."""
        path = self.folder / "commands"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) or "" for line in lines]

    def says_at_login(self, words: bytes) -> None:
        (self.folder / "before").write_bytes(words)

    def line(self, key: Any = None, name: str = "") -> str:
        """Its line in `known_hosts`; or one of another key, under another name."""
        text = (key or self.key).export_public_key().decode().strip()
        return f"[{name or self.address}]:{self.port} {text}\n"

    def goes_down(self) -> None:
        """Nobody listens there any more."""
        assert self.daemon and self.daemon.stdin
        self.daemon.stdin.close()
        self.daemon.wait(10)

    def know(self, text: str) -> None:
        (self.mine / ".ssh/known_hosts").write_text(text)


@contextmanager
def servers(folder: Path, count: int = 1, *, fresh: bool = True) -> Iterator[list[Server]]:
    """At 127.0.0.1, 127.0.0.2 …, all of them known; the test's user is at home in `folder`/mine.

    Where they are not `fresh`, an agent that was sent in an earlier test is there.
    """
    mine = folder / "mine"
    (mine / ".ssh").mkdir(parents=True)
    login = asyncssh.generate_private_key("ssh-ed25519")
    login.write_private_key(str(mine / ".ssh/id_ed25519"))
    (mine / ".ssh/id_ed25519").chmod(0o600)
    with ExitStack() as stack:
        stack.enter_context(at_home(mine))
        made = []
        for n in range(1, count + 1):
            one = _made(folder, n, login.export_public_key())
            if not fresh:
                (one.system.home / ".cache").symlink_to(_cache())
            stack.enter_context(_listening(one))
            made.append(one)
        made[0].know("".join(one.line() for one in made))
        yield made


@contextmanager
def at_home(home: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        yield


def _made(folder: Path, n: int, authorized: bytes) -> Server:
    at = folder / f"host{n}"
    system, key = FakeSystemd(at), asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(at / "host_key"))
    (at / "authorized").write_bytes(authorized)
    (at / "env").write_text(json.dumps(dict(system.env)))
    (at / "before").write_bytes(b"")
    return Server(f"web{n}", f"127.0.0.{n}", folder / "mine", at, system, key)


@contextmanager
def _listening(server: Server) -> Iterator[None]:
    argv = [sys.executable, "-m", "tests.adapters.ssh.daemon", str(server.folder), server.address]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, cwd=ROOT, stdin=pipe, stdout=pipe) as daemon:
        assert daemon.stdin and daemon.stdout
        server.daemon = daemon
        try:
            server.port = int(daemon.stdout.readline())
            yield
        finally:
            server.goes_down()
            server.system.end()


@functools.cache
def _cache() -> str:
    """Where an agent that was sent in one test is found by the next."""
    folder = tempfile.mkdtemp(prefix="bg-agents-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
