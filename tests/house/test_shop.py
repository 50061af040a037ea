"""The example people see first: its site is understood, and its releases stay what they are.

Its program keeps the one rule of a good citizen: what was accepted is answered, also while it
stops. Without that no proxy in the world could switch it without losing something.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from examples.shop import make_releases
from orchestrator.config import load

SHOP = Path(make_releases.__file__).parent


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("releases")
    make_releases.make(folder)
    return folder


def test_the_site_of_the_shop_is_understood() -> None:
    site = load.load(SHOP / "bg.yaml")
    assert [service.name for service in site.services] == ["web", "api"]
    assert [use.callee for use in site.service("web").uses] == ["api"]


def test_releases_made_again_are_the_same_releases(releases: Path, tmp_path: Path) -> None:
    make_releases.make(tmp_path)
    for path in releases.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / path.relative_to(releases)).read_bytes()


def test_two_releases_of_a_service_differ(releases: Path) -> None:
    archives = [path.read_bytes() for path in releases.glob("api-*.tar.gz")]
    assert len(set(archives)) == len(archives) == len(make_releases.VERSIONS)


def test_an_archive_holds_the_program_and_its_release(releases: Path) -> None:
    with tarfile.open(releases / "api-2.tar.gz") as archive:
        assert set(archive.getnames()) == {"shop.py", "release.json"}


def test_whoever_asks_sees_who_answered_in_front_and_behind(
    releases: Path, tmp_path: Path, free_ports: Callable[[int], int]
) -> None:
    port = free_ports(2)
    with tarfile.open(releases / "api-2.tar.gz") as archive:
        for name in archive.getnames():
            (tmp_path / name).write_bytes(archive.extractfile(name).read())  # type: ignore[union-attr]
    url = f"http://127.0.0.1:{port}"
    with running(tmp_path, port), running(releases / "web-2", port + 1, API_URL=url):
        who = {"version": "2", "color": "green", "instance": 0}
        front = ask(port + 1, "/")
        assert front == {"service": "web", **who, "api": {"service": "api", **who}}
        assert ask(port, "/api/")["service"] == "api"


def test_what_was_accepted_is_answered_also_while_it_stops(
    releases: Path, free_ports: Callable[[int], int]
) -> None:
    port = free_ports(1)
    with running(releases / "web-1", port) as shop:
        slow, stream = (http.client.HTTPConnection("127.0.0.1", port) for _ in range(2))
        stream.request("GET", "/stream?seconds=0.5")
        answer = stream.getresponse()
        slow.request("POST", "/slow", body=b"x" * 100_000)
        answer.read(1)
        shop.send_signal(signal.SIGTERM)
        assert b"web" in slow.getresponse().read()
        assert answer.read().count(b"\n") == 5
        assert shop.wait(5) == 0
        slow.close()
        stream.close()


def test_release_three_runs_and_says_that_it_is_ill(
    releases: Path, free_ports: Callable[[int], int]
) -> None:
    port = free_ports(1)
    with running(releases / "web-3", port):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 500
        connection.close()


def test_release_five_cannot_start(releases: Path, free_ports: Callable[[int], int]) -> None:
    done = subprocess.run(argv(releases / "web-5", free_ports(1)), check=False, capture_output=True)
    assert done.returncode == 1
    assert b"cannot start" in done.stderr


def argv(release: Path, port: int) -> list[str]:
    return [sys.executable, str(release / "shop.py"), f"--port={port}", "--color=green"]


@contextmanager
def running(release: Path, port: int, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    known, quiet = {**os.environ, **env}, subprocess.DEVNULL
    shop = subprocess.Popen(argv(release, port), env=known, stdout=quiet)
    try:
        until = time.monotonic() + 10
        while not answers(port):
            assert shop.poll() is None and time.monotonic() < until, "it does not come up"
            time.sleep(0.02)
        yield shop
    finally:
        shop.kill()
        shop.wait()


def answers(port: int) -> bool:
    try:
        ask(port, "/healthz")
    except ConnectionRefusedError:
        return False
    return True


def ask(port: int, path: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        found: dict[str, Any] = json.loads(connection.getresponse().read())
        return found
    finally:
        connection.close()
