"""The real command, and the way from bare proxies to a switch: lines that are missing, releases
brought up on hosts, proven, switched and backed out at two HAProxies under load; and what becomes
of that where a proxy is killed, cut off, or changed by hand.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from e2e.hosts import traces
from e2e.hosts.behind import COLORS, NEW, OLD, Behind
from e2e.hosts.fleet import Fleet
from e2e.hosts.host import Host
from e2e.place import flat
from orchestrator.adapters.haproxy.switch import PATIENCE

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def bare(hosting: None, tmp_path: Path) -> Iterator[Behind]:
    """Two hosts, and two proxies that know nothing of bg."""
    with Fleet(tmp_path, 4, proxies=2) as fleet:
        yield Behind(tmp_path / "site", fleet)


@pytest.fixture
def serving(bare: Behind) -> Behind:
    """Web 1 and api 1 serve at both proxies."""
    bare.begin()
    return bare


@pytest.fixture(scope="module")
def kept(hosting: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """The same, for tests that leave it as they found it; they stand at the end."""
    folder = tmp_path_factory.mktemp("kept")
    with Fleet(folder, 4, proxies=2) as fleet:
        site = Behind(folder / "site", fleet)
        site.begin()
        yield site


def test_a_deploy_where_lines_are_missing_says_which_and_touches_nothing(bare: Behind) -> None:
    """And before that, what opens the proxies to it."""
    closed = flat(bare.bg("check").err)
    for proxy in bare.fleet.proxies:
        assert f"{proxy.name}: deploy may not use the socket /run/haproxy/admin.sock" in closed
    assert "`usermod -aG haproxy deploy`" in closed
    assert "`install -d -o deploy /etc/haproxy/bg`" in closed
    bare.open_proxies()
    first, second = bare.fleet.proxies
    refused = bare.bg("deploy", "1")
    assert refused.code == 2, refused
    assert "proxy1: /etc/haproxy/haproxy.cfg lacks" in refused.err
    assert "global: lua-load-per-thread /etc/haproxy/bg/shop.hold.lua" in refused.err
    for web in bare.fleet.webs:
        assert not web.run(["ls", "/home/deploy/.local/share/bg/shop/releases"], check=False).stdout
    bare.configure(first)
    checked = bare.bg("check")
    assert checked.code == 2, checked
    assert "proxy1: HAProxy has every line that edge needs" in checked.out
    assert "proxy2: /etc/haproxy/haproxy.cfg lacks" in checked.err
    bare.configure(second)
    second.write("/etc/haproxy/haproxy.cfg", _without(second.read("/etc/haproxy/haproxy.cfg")))
    again = bare.bg("deploy", "1")
    assert again.code == 2, again
    assert "backend bg.shop.web.green: server web2" in again.err
    assert "Envoy" not in refused.err + checked.out + checked.err + again.err


def _without(config: str) -> str:
    """One server of one color is not there."""
    head, _, rest = config.partition("backend bg.shop.web.green\n")
    lines = rest.split("\n")
    at = next(at for at, line in enumerate(lines) if "server web2" in line)
    return f"{head}backend bg.shop.web.green\n" + "\n".join(lines[:at] + lines[at + 1 :])


def test_releases_are_switched_and_backed_out_under_load_and_nothing_is_lost(
    serving: Behind,
) -> None:
    """S29: web asks api through the inner address of its own world, at the proxies.

    The last deploy needs the place of the standby: who is still served there is waited for.
    """
    assert serving.bg("check").code == 0
    story = {
        "deploy 2": OLD,
        "switch --no-hold": NEW,
        "backout": OLD,
        "deploy 4 --switch --no-hold": "4 4",
    }
    with serving.visited() as loads:
        for command, then in story.items():
            done = serving.bg(*command.split())
            assert done.code == 0, (command, done)
            assert "Envoy" not in done.out + done.err
            assert serving.answers() == {"proxy1": then, "proxy2": then}, command
    for load in loads:
        assert {who.split()[1] for who in load.by} == {"1", "2", "4"}, load.by
    status = serving.bg("status")
    assert status.code == 0, status
    assert "web 4 and api 4 serve on green" in flat(status.out)


def test_a_proxy_that_is_gone_for_good_is_left_out(serving: Behind) -> None:
    """S24"""
    assert serving.bg("deploy", "2").code == 0
    one, two = serving.fleet.proxies
    two.kill()
    stuck = serving.bg("switch")
    assert stuck.code in (3, 4), stuck
    assert "proxy2" in stuck.err
    left_out = serving.bg("without", "proxy2")
    assert left_out.code == 0, left_out
    if stuck.code == 4:
        assert serving.bg("resume").code in (0, 3)
    assert serving.asked(one) == OLD
    switched = serving.bg("deploy", "2", "--switch")
    assert switched.code == 0, switched
    assert serving.asked(one) == NEW


def test_a_proxy_that_is_cut_off_in_the_middle_of_a_flip_leaves_no_mixture_that_lasts(
    serving: Behind,
) -> None:
    """S24: who followed is taken back within the bound; once all can be reached, all follow."""
    one, two = serving.fleet.proxies
    with _stopped_before_a_flip(serving) as switching:
        two.blackhole()
        switching.send_signal(signal.SIGCONT)
        mixed_s = _how_long(lambda: serving.asked(one) == NEW)
        assert mixed_s < PATIENCE.follow_s + PATIENCE.back_s + 1
        two.heal()
        out, err = switching.communicate(timeout=120)
    assert switching.returncode in (0, 3), (out, err)
    wanted = OLD if switching.returncode else NEW
    assert serving.answers() == {"proxy1": wanted, "proxy2": wanted}


def _how_long(true: Callable[[], bool]) -> float:
    """From when it is so, within a moment, until it is not any more."""
    until = time.monotonic() + PATIENCE.follow_s
    while not true():
        assert time.monotonic() < until, "it never was so"
    began = time.monotonic()
    traces.wait_until(lambda: not true(), 30, "it stays so")
    return time.monotonic() - began


@contextmanager
def _stopped_before_a_flip(site: Behind) -> Iterator[subprocess.Popen[str]]:
    """The command stands still where all is prepared and nothing is flipped.

    Where it was too fast to be stopped there, it goes back, and comes once more.
    """
    for _ in range(5):
        assert site.bg("deploy", "2").code == 0
        with site.begun("switch", "--no-hold") as running:
            if _is_caught(running, site):
                yield running
                return
            running.send_signal(signal.SIGCONT)
            running.communicate(timeout=120)
        assert site.bg("backout").code == 0
    pytest.fail("it never could be stopped in time")


def _is_caught(running: subprocess.Popen[str], site: Behind) -> bool:
    """Stopped while the next colors lie beside the file of every proxy, and an answer waits."""
    besides = [proxy.disk.root / f"{COLORS[1:]}.next" for proxy in site.fleet.proxies]
    until = time.monotonic() + 60
    while not besides[-1].exists():
        assert time.monotonic() < until, "it never prepared"
        assert running.poll() is None, running.communicate()
    os.kill(running.pid, signal.SIGSTOP)
    with suppress(TimeoutError):  # what was read before it was stopped does not wait
        traces.wait_until(lambda: all(map(_waits_unread, site.fleet.proxies)), 2, "not both")
    return all(beside.exists() for beside in besides)


def _waits_unread(proxy: Host) -> bool:
    """Whether bytes of it have arrived here that nobody took."""
    argv = ["ss", "--no-header", "--tcp", "--numeric", "dst", f"{proxy.address}:22"]
    listed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return any(int(line.split()[1]) > 0 for line in listed.splitlines())


# -- On one fleet, each leaving it as it was ------------------------------------------------


def test_check_says_where_the_url_does_not_lead_to_the_proxies(kept: Behind) -> None:
    text = kept.file.read_text()
    url = kept.url(kept.fleet.proxies[0])
    kept.file.write_text(text.replace(url, "http://no-such-name.invalid:8080"))
    wrong = kept.bg("check")
    kept.file.write_text(text)
    assert wrong.code == 2, wrong
    assert "edge: no-such-name.invalid:8080 cannot be reached from here" in flat(wrong.err)


def test_a_flip_by_hand_is_named_and_put_back(kept: Behind) -> None:
    """S26"""
    proxy = kept.fleet["proxy2"]
    kept.by_hand(proxy, "green")
    status = kept.bg("status")
    assert "proxy2: it serves web from green, its file says blue" in flat(status.out), status
    mended = kept.bg("reconcile")
    assert mended.code == 0, mended
    assert kept.answers() == {"proxy1": OLD, "proxy2": OLD}
    assert "proxy2" not in kept.bg("status").out


def test_a_host_that_is_out_is_sent_nothing_though_it_answers_until_it_is_readmitted(
    kept: Behind,
) -> None:
    """S87, S25: at both proxies, also once one of them was started again; nothing is lost."""
    proxy = kept.fleet["proxy1"]
    assert kept.who_answers() == {0, 1}
    with kept.visited():
        out = kept.bg("without", "web2", "--why", "for the weekend")
        assert out.code == 0, out
        assert kept.who_answers() == {0}
        assert kept.bg("status", "-o", "json").code == 0
        proxy.run(["systemctl", "reload", "haproxy"])
        traces.wait_until(lambda: 1 in kept.who_answers(), 10, "a reload forgets it, does it not?")
        status = kept.bg("status")
        assert "equests go to web2, which was taken out (api and web, at proxy1)" in flat(
            status.out
        )
        mended = kept.bg("reconcile")
        assert mended.code == 0, mended
        assert kept.who_answers() == {0}
        back = kept.bg("readmit", "web2")
        assert back.code == 0, back
        assert kept.who_answers() == {0, 1}
    assert "Not as it should be" not in kept.bg("status").out


def test_time_stands_still_at_both_proxies_through_the_command(kept: Behind) -> None:
    assert kept.bg("deploy", "2").code == 0
    with kept.visited(rate=10):
        held = kept.bg("switch", "--hold", "1s", "-o", "json")
    assert held.code == 0, held
    ended = [entry["record"].get("facts", []) for entry in json.loads(held.out)["records"]]
    (stood,) = [fact for facts in ended for fact in facts if fact["is"] == "StoodStill"]
    assert 0 < stood["to_s"] - stood["from_s"] < 1, stood
    assert kept.answers() == {"proxy1": NEW, "proxy2": NEW}
    assert kept.bg("backout").code == 0


def test_a_proxy_that_is_killed_comes_back_with_the_color_it_had(kept: Behind) -> None:
    """S25"""
    assert kept.bg("deploy", "2").code == 0
    kept.kill_and_restart(kept.fleet["proxy2"])
    assert kept.answers() == {"proxy1": OLD, "proxy2": OLD}
    switched = kept.bg("switch")
    assert switched.code == 0, switched
    assert kept.answers() == {"proxy1": NEW, "proxy2": NEW}
    assert kept.bg("backout").code == 0


def test_nothing_is_switched_while_a_proxy_is_cut_off(kept: Behind) -> None:
    """S24: named, and who serves goes on kept."""
    assert kept.bg("deploy", "2").code == 0
    kept.fleet["proxy2"].cut()
    assert "proxy2" in kept.bg("status").out
    failed = kept.bg("switch")
    assert failed.code in (3, 4), failed
    assert "proxy2" in failed.out + failed.err
    assert kept.asked(kept.fleet["proxy1"]) == OLD
    kept.fleet["proxy2"].heal()
    traces.wait_until(kept.fleet["proxy2"].answers, 10, "proxy2 does not answer")
    assert kept.bg("resume").code in (0, 3)
    assert set(kept.answers().values()) == {OLD}
