"""Hosts for the tests here, where this machine can have them; elsewhere one sentence why not.

`fleet` is eight hosts, two of them proxies, shared by the tests of a module, and up again and
healed after each. A test that leaves traces on disks makes a `Fleet` of its own: two hosts take a
second.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.hosts import needs
from e2e.hosts.fleet import Fleet


@pytest.fixture(scope="session")
def hosting() -> None:
    """For tests that make a fleet of their own: go on only where that is possible."""
    if why := needs.missing():
        pytest.skip(why)


@pytest.fixture(scope="module")
def eight(hosting: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("fleet"), 8, proxies=2) as fleet:
        yield fleet


@pytest.fixture
def fleet(eight: Fleet) -> Iterator[Fleet]:
    yield eight
    eight.boot(*(host for host in eight.hosts if not host.alive))
    for host in eight.hosts:
        host.heal()
