"""What every test may ask for, and one rule: where CI is set, nothing is left out.

A test that needs a real component (Envoy, zsh, tmux) asks `real` for it. On a machine without it
the test is skipped with a word about what is missing; in CI the same is a failure, and so is any
other skip. Ports come from one place, free at that moment, so that tests can run beside each other.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
ADAPTERS = ("envoy", "haproxy", "local", "nginx", "ssh")
REAL = (
    *(f"adapters/{name}/" for name in (*ADAPTERS, "proxies")),
    "adapters/sqlite/test_crash.py",
    "adapters/sqlite/test_crowd.py",
    "agents/",
    "contracts/test_processes.py",
    "doors/test_on_this_machine.py",
    "doors/test_steps_on_this_machine.py",
    "house/test_package.py",
    "house/test_shop.py",
)
"""Where the tests lie that drive real programs: they take their time."""
PORTS = 12000
CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(TESTS) and _drives_real_programs(item):
            item.add_marker("real")


def _drives_real_programs(item: pytest.Item) -> bool:
    path = item.path.relative_to(TESTS).as_posix()
    _, _, on = item.name.partition("[")
    if path.startswith("contracts/") and on.startswith(ADAPTERS):
        return True
    return path.startswith(REAL)


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def real() -> Callable[[str], str]:
    """`real("zsh")`: the path of a program that has to be there; a skip where it is not."""

    def find(program: str) -> str:
        found = shutil.which(program)
        if found is None:
            pytest.skip(f"{program} is not installed here")
        return found

    return find


@pytest.fixture
def free_ports() -> Callable[[int], int]:
    """`free_ports(4)`: the first of so many ports in a row that nobody listens on."""
    return find_ports


def find_ports(count: int, tries: int = 200) -> int:
    """Those who test side by side look in places of their own: no other takes one meanwhile."""
    width = PORTS // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    lowest = 20000 + width * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for _ in range(tries):
        first = random.randrange(lowest, lowest + width - count)
        if all(is_free(port) for port in range(first, first + count)):
            return first
    raise RuntimeError(f"no {count} free ports in a row between 20000 and 32000")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failed one. What is expected to fail is another matter."""
    report = yield
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and in CI nothing is: {_reason(report.longrepr)}"
    return report


def _reason(longrepr: Any) -> str:
    return str(longrepr[2] if isinstance(longrepr, tuple) else longrepr)
