"""The real command with two real nginxes: from bare proxies to a switch and back, and what becomes
of it where one is killed, changed by hand, broken, or cut off. What nginx cannot promise is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from e2e.hosts import traces
from e2e.hosts.behind_nginx import BehindNginx
from e2e.hosts.fleet import Fleet
from e2e.load import Load
from orchestrator.adapters.nginx.switch import PATIENCE

pytestmark = pytest.mark.timeout(400)
OLD, NEW = "1 1", "2 2"
SAID = "a reload may cut keep-alive connections"


@pytest.fixture
def bare(hosting: None, tmp_path: Path) -> Iterator[BehindNginx]:
    """Two hosts, and two proxies that know nothing of bg."""
    with Fleet(tmp_path, 4, proxies=2) as fleet:
        yield BehindNginx(tmp_path / "site", fleet)


@pytest.fixture
def serving(bare: BehindNginx) -> BehindNginx:
    """Web 1 and api 1 serve at both proxies."""
    bare.open_proxies()
    refused = bare.bg("deploy", "1")
    assert refused.code == 2, "the file that the lines include is laid"
    assert "proxy1: /etc/nginx/nginx.conf lacks" in refused.err
    assert "upstream bg.shop.web.blue: all of its 2 lines" in refused.err
    for proxy in bare.fleet.proxies:
        bare.configure(proxy)
    first = bare.bg("deploy", "1")
    assert first.code == 0, first
    assert bare.answers() == {"proxy1": OLD, "proxy2": OLD}
    return bare


def _flat(text: str) -> str:
    return " ".join(text.split())


def test_releases_are_switched_and_backed_out_and_what_a_reload_may_cut_is_said(
    serving: BehindNginx,
) -> None:
    """New connections lose nothing; what kept ones may lose is said in check, plan and at the
    close, with what was counted.
    """
    checked = serving.bg("check")
    assert checked.code == 0, checked
    assert "proxy2: nginx has every line that edge needs" in checked.out
    assert SAID in checked.out
    planned = serving.bg("plan", "2")
    assert planned.code == 10, planned
    assert SAID in _flat(planned.out)
    lost = 0
    with ExitStack() as stack:
        loads = [
            stack.enter_context(Load(serving.url(proxy), rate=25))
            for proxy in serving.fleet.proxies
        ]
        for command, then in {
            "deploy 2": OLD,
            "switch": NEW,
            "backout": OLD,
            "deploy 4 --switch": "4 4",
        }.items():
            done = serving.bg(*command.split())
            assert done.code == 0, (command, done)
            assert serving.answers() == {"proxy1": then, "proxy2": then}, command
            if command != "deploy 2":
                assert SAID in _flat(done.out), command
    for load in loads:
        assert load.torn == 0, load.by
        lost += load.lost
    assert lost <= 12, [load.why_lost for load in loads]
    status = serving.bg("status")
    assert status.code == 0, status
    assert "web 4 and api 4 serve on green" in _flat(status.out)


def test_a_proxy_that_is_killed_or_reloaded_comes_back_with_the_color_it_had(
    serving: BehindNginx,
) -> None:
    """S25"""
    assert serving.bg("deploy", "2").code == 0
    one, two = serving.fleet.proxies
    one.run(["systemctl", "reload", "nginx"])
    two.run(["systemctl", "kill", "-s", "KILL", "nginx"])
    two.run(["systemctl", "reset-failed", "nginx"], check=False)
    two.run(["systemctl", "restart", "nginx"])
    serving.until_up(two)
    assert serving.answers() == {"proxy1": OLD, "proxy2": OLD}
    switched = serving.bg("switch")
    assert switched.code == 0, switched
    assert serving.answers() == {"proxy1": NEW, "proxy2": NEW}


def test_a_flip_by_hand_is_named_and_put_right(serving: BehindNginx) -> None:
    """S26"""
    proxy = serving.fleet["proxy2"]
    live = serving.colors_file(proxy)["web"]
    serving.by_hand(proxy, "green" if live == "blue" else "blue")
    told = serving.bg("status")
    assert "do not agree: proxy1 serves web" in _flat(told.out + told.err)
    mended = serving.bg("reconcile")
    assert mended.code == 0, mended
    assert serving.answers() == {"proxy1": OLD, "proxy2": OLD}
    assert serving.colors_file(proxy)["web"] == live


def test_where_one_nginx_cannot_be_reloaded_nothing_is_flipped_anywhere(
    serving: BehindNginx,
) -> None:
    """S24"""
    assert serving.bg("deploy", "2").code == 0
    proxy = serving.fleet["proxy2"]
    proxy.write("/etc/nginx/conf.d/broken.conf", "no_such_thing on;\n")
    switched = serving.bg("switch")
    assert switched.code == 3, switched
    assert 'unknown directive "no_such_thing"' in _flat(switched.out + switched.err)
    assert serving.answers() == {"proxy1": OLD, "proxy2": OLD}


def test_where_one_proxy_is_cut_off_no_mixture_stays(serving: BehindNginx) -> None:
    """S24"""
    assert serving.bg("deploy", "2").code == 0
    two = serving.fleet["proxy2"]
    two.blackhole()
    switched = serving.bg("switch")
    assert switched.code in (3, 4), switched
    two.heal()
    within_s = PATIENCE.follow_s + PATIENCE.back_s
    agreed = {"proxy1": OLD, "proxy2": OLD}
    traces.wait_until(lambda: serving.answers() == agreed, within_s, "the proxies do not agree")
