"""An agent on this machine, under the oldest and the newest Python there is here, and its own."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agents.systemd import FakeSystemd, built
from tests.agents.talk import JOURNAL, Agent, Packed

Speak = Callable[..., Agent]


def pythons() -> dict[str, str]:
    """3.8 and the newest, as far as they are here, and the one of these tests."""
    home = os.environ.get("PYENV_ROOT", pwd.getpwuid(os.getuid()).pw_dir + "/.pyenv")
    found = {
        tuple(int(part) for part in path.name.split(".")): str(path / "bin/python3")
        for path in Path(home, "versions").glob("3.*")
        if path.name.replace(".", "").isdigit() and (path / "bin/python3").exists()
    }
    wanted = {version for version in found if version[:2] == (3, 8)}
    wanted |= {max(found)} if found else set()
    named = {".".join(map(str, version)): found[version] for version in sorted(wanted)}
    return named or {"this": sys.executable}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The oldest Python, and where a module says `EVERY_PYTHON`, the newest as well."""
    if "python" in metafunc.fixturenames:
        found = pythons()
        names = list(found) if hasattr(metafunc.module, "EVERY_PYTHON") else list(found)[:1]
        metafunc.parametrize("python", [found[name] for name in names], ids=names)


@pytest.fixture(scope="session")
def pyz(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(root, tmp_path_factory.mktemp("agent", numbered=True))


@pytest.fixture
def system(tmp_path: Path) -> Iterator[FakeSystemd]:
    fake = FakeSystemd(tmp_path)
    yield fake
    fake.end()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Where the agent keeps everything."""
    return tmp_path / "base"


@pytest.fixture(scope="session")
def start(pyz: Path) -> str:
    """The file to start, unpacked beside it."""
    unpack = [sys.executable, "-I", "-S", str(pyz), "unpack"]
    return subprocess.run(unpack, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def command(python: str, start: str, base: Path) -> Callable[..., list[str]]:
    """`command("serve")`: the argv. `sudo` is the hand that needs neither root nor lingering."""

    def argv(what: str, *more: str) -> list[str]:
        return [python, "-I", "-S", start, what, *more, "--how", "sudo", "--base", str(base)]

    return argv


@pytest.fixture
def speak(command: Callable[..., list[str]], system: FakeSystemd) -> Iterator[Speak]:
    """`speak(epoch=2)`: another session, with what goes along with each of its requests."""
    sessions: list[Agent] = []

    def new(**given: Any) -> Agent:
        sessions.append(Agent(command("serve"), env=system.env, **given))
        return sessions[-1]

    yield new
    for session in sessions:
        session.close()


@pytest.fixture
def agent(speak: Speak) -> Agent:
    return speak()


@pytest.fixture
def put(
    command: Callable[..., list[str]], system: FakeSystemd
) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Upload the bytes of a release from an offset, in a session of its own."""

    def run(
        packed: Packed, offset: int = 0, data: bytes | None = None, epoch: int = 1
    ) -> subprocess.CompletedProcess[bytes]:
        words = {"site": "shop", "journal": JOURNAL, "epoch": epoch, "packed": packed.sha256}
        words |= {"size": len(packed.data), "offset": offset}
        argv = [text for name, value in words.items() for text in (f"--{name}", str(value))]
        given = packed.data[offset:] if data is None else data
        return subprocess.run(
            command("put", *argv), env=system.env, input=given, capture_output=True, check=False
        )

    return run


@pytest.fixture
def stage(agent: Agent, put: Callable[..., Any]) -> Callable[[Packed], Packed]:
    """Offer, put and commit."""

    def whole(packed: Packed) -> Packed:
        agent.ok("offer", **packed.bytes)
        assert put(packed).returncode == 0
        agent.ok("commit", **packed.whole)
        return packed

    return whole
