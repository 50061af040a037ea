"""The real command with two real nginxes: from bare proxies to a switch and back, and what becomes
of it where one is killed, changed by hand, broken, or cut off. What nginx cannot promise is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from e2e.hosts import traces
from e2e.hosts.behind import NEW, OLD
from e2e.hosts.behind_nginx import BehindNginx
from e2e.hosts.fleet import Fleet
from e2e.load import Load
from e2e.place import flat
from orchestrator.adapters.nginx.switch import PATIENCE

pytestmark = pytest.mark.timeout(400)
SAID = "a reload may cut keep-alive connections"


@pytest.fixture(scope="module")
def site(hosting: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BehindNginx]:
    """Web 1 and api 1 serve at both proxies. Each test but the last leaves them so."""
    folder = tmp_path_factory.mktemp("nginx")
    with Fleet(folder, 4, proxies=2) as fleet:
        made = BehindNginx(folder / "site", fleet)
        refused = made.begin()
        assert "proxy1: /etc/nginx/nginx.conf lacks" in refused.err
        assert "upstream bg.shop.web.blue: all of its 2 lines" in refused.err
        yield made


def test_a_proxy_that_is_killed_or_reloaded_comes_back_with_the_color_it_had(
    site: BehindNginx,
) -> None:
    """S25"""
    assert site.bg("deploy", "2").code == 0
    one, two = site.fleet.proxies
    one.run(["systemctl", "reload", "nginx"])
    site.kill_and_restart(two)
    assert site.answers() == {"proxy1": OLD, "proxy2": OLD}
    switched = site.bg("switch")
    assert switched.code == 0, switched
    assert site.answers() == {"proxy1": NEW, "proxy2": NEW}
    assert site.bg("backout").code == 0


def test_a_flip_by_hand_is_named_and_put_right(site: BehindNginx) -> None:
    """S26"""
    proxy = site.fleet["proxy2"]
    live = site.colors_file(proxy)["web"]
    site.by_hand(proxy, "green" if live == "blue" else "blue")
    told = site.bg("status")
    assert "do not agree: proxy1 serves web" in flat(told.out + told.err)
    mended = site.bg("reconcile")
    assert mended.code == 0, mended
    assert site.answers() == {"proxy1": OLD, "proxy2": OLD}
    assert site.colors_file(proxy)["web"] == live


def test_where_one_nginx_cannot_be_reloaded_nothing_is_flipped_anywhere(
    site: BehindNginx,
) -> None:
    """S24"""
    assert site.bg("deploy", "2").code == 0
    proxy = site.fleet["proxy2"]
    proxy.write("/etc/nginx/conf.d/broken.conf", "no_such_thing on;\n")
    switched = site.bg("switch")
    assert switched.code == 3, switched
    assert 'unknown directive "no_such_thing"' in flat(switched.out + switched.err)
    assert site.answers() == {"proxy1": OLD, "proxy2": OLD}
    proxy.run(["rm", "/etc/nginx/conf.d/broken.conf"])


def test_where_one_proxy_is_cut_off_no_mixture_stays(site: BehindNginx) -> None:
    """S24"""
    assert site.bg("deploy", "2").code == 0
    two = site.fleet["proxy2"]
    two.blackhole()
    switched = site.bg("switch")
    assert switched.code in (3, 4), switched
    two.heal()
    within_s = PATIENCE.follow_s + PATIENCE.back_s
    agreed = {"proxy1": OLD, "proxy2": OLD}
    traces.wait_until(lambda: site.answers() == agreed, within_s, "the proxies do not agree")
    if switched.code == 4:
        assert site.bg("resume").code in (0, 3)


def test_releases_are_switched_and_backed_out_and_what_a_reload_may_cut_is_said(
    site: BehindNginx,
) -> None:
    """New connections lose nothing; what kept ones may lose is said in check, plan and at the
    close, with what was counted.
    """
    checked = site.bg("check")
    assert checked.code == 0, checked
    assert "proxy2: nginx has every line that edge needs" in checked.out
    assert SAID in checked.out
    planned = site.bg("plan", "2")
    assert planned.code == 10, planned
    assert SAID in flat(planned.out)
    lost = 0
    with ExitStack() as stack:
        loads = [
            stack.enter_context(Load(site.url(proxy), rate=25)) for proxy in site.fleet.proxies
        ]
        for command, then in {
            "deploy 2": OLD,
            "switch": NEW,
            "backout": OLD,
            "deploy 4 --switch": "4 4",
        }.items():
            done = site.bg(*command.split())
            assert done.code == 0, (command, done)
            assert site.answers() == {"proxy1": then, "proxy2": then}, command
            if command != "deploy 2":
                assert SAID in flat(done.out), command
    for load in loads:
        assert load.torn == 0, load.by
        lost += load.lost
    assert lost <= 12, [load.why_lost for load in loads]
    status = site.bg("status")
    assert status.code == 0, status
    assert "web 4 and api 4 serve on green" in flat(status.out)
