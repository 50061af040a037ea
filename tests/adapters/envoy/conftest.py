"""The Envoy that the tests of this folder share the shape of, never the process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.adapters.envoy.edge import Edge, new_edge


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    """Running, with all instances of all services, and nobody served."""
    async with new_edge(tmp_path) as made:
        await made.switch.ensure(1)
        await made.serve_all()
        yield made
