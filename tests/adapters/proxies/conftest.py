"""One suite for every program: `kind` is the places of one of them."""

from __future__ import annotations

import pytest

from tests.adapters.haproxy.place import HaproxyPlace
from tests.adapters.nginx.place import NginxPlace
from tests.adapters.proxies.place import Place


@pytest.fixture(params=[HaproxyPlace, NginxPlace], ids=["haproxy", "nginx"])
def kind(request: pytest.FixtureRequest) -> type[Place]:
    found: type[Place] = request.param
    return found
