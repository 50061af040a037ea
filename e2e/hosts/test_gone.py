"""The real command, and a host that is gone for good: taken out, gone on without, taken back when
it is up again; and a site whose journal was lost, taken over.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from e2e.hosts.fleet import Fleet
from e2e.hosts.test_deploy import Place, left_clean
from e2e.hosts.traces import wait_until

pytestmark = pytest.mark.timeout(400)


class Three(Place):
    """The same site on three hosts; two of them have to serve."""

    def __init__(self, folder: Path, fleet: Fleet, name: str, port: int) -> None:
        super().__init__(folder, fleet, name, port)
        file = folder / "bg.yaml"
        text = file.read_text().replace("on: [web1, web2]", "on: [web1, web2, web3]")
        file.write_text(text + "invariants: [{service: web, serving: 2}]\n")
        self.offer("3")

    def offer(self, version: str) -> None:
        at = self.folder / "releases" / version
        if not at.exists():
            shutil.copytree(self.folder / "releases/1", at)
            (at / "version").write_text(version + "\n")

    def running(self) -> dict[str, set[str]]:
        return {host.name: self.units(host) for host in self.fleet.webs if host.alive}


@pytest.fixture(scope="module")
def three(hosting: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("gone"), 3) as fleet:
        yield fleet


@pytest.fixture
def place(
    three: Fleet, tmp_path: Path, free_ports: Callable[[int], int], request: pytest.FixtureRequest
) -> Iterator[Three]:
    name = f"g{abs(hash(request.node.name)) % 10**8}"
    with left_clean(Three(tmp_path, three, name, free_ports(1))) as made:
        yield made


@pytest.fixture
def serving(place: Three) -> Three:
    """Web 1 serves on blue, on all three."""
    first = place.bg("deploy", "web=1")
    assert first.code == 0, first
    return place


@pytest.fixture
def without_web2(serving: Three) -> Three:
    """web2 died in the middle of deploying 2, which went on without it and serves on green."""
    assert serving.bg("deploy", "web=2").code == 0
    serving.fleet["web2"].kill()
    on = serving.bg("without", "web2", "--why", "it burned")
    assert on.code == 0, on
    assert "gate" in on.out
    switched = serving.bg("switch")
    assert switched.code == 0, switched
    assert serving.serves().strip() == "2"
    return serving


def test_s87_a_host_killed_in_a_deploy_is_gone_on_without(without_web2: Three) -> None:
    status = without_web2.bg("status")
    assert status.code == 0, status
    assert "web2 was taken out" in status.out
    assert "Could not be seen" not in status.out
    assert "Not as it should be" not in status.out
    fewer = without_web2.bg("without", "web3")
    assert fewer.code == 6, fewer
    assert "1 of web would be left without web3, and the site asks for 2 serving" in fewer.err
    assert without_web2.running() == {"web1": {"blue", "green"}, "web3": {"blue", "green"}}


def test_s87_a_host_that_is_up_again_is_taken_back_and_the_next_deploy_brings_it_along(
    without_web2: Three,
) -> None:
    """Readmitted, what moved on meanwhile is stopped there; nobody was renumbered."""
    site, web2 = without_web2, without_web2.fleet["web2"]
    assert site.bg("deploy", "web=3", "--switch").code == 0
    assert site.serves().strip() == "3"
    site.fleet.boot(web2)
    assert site.units(web2) == {"blue", "green"}, "what was enabled there starts with it"
    hosts = site.bg("hosts")
    assert "web2 was taken out by" in hosts.out, hosts
    back = site.bg("readmit", "web2")
    assert back.code == 0, back
    assert "web2 is back" in back.out
    assert "runs 2 of 3" in back.out
    assert "web blue 1@" in back.out
    assert "still ran there, and was stopped" in back.out
    assert site.units(web2) == {"green"}, "what stands by on the others stands by here, too"
    assert site.serves().strip() == "3"
    last = site.bg("deploy", "web=1", "--switch")
    assert last.code == 0, last
    assert site.serves().strip() == "1"
    live = site.running()
    assert set(live) == {"web1", "web2", "web3"}
    assert all("green" in units for units in live.values()), live


def test_s87_a_way_back_that_is_stuck_at_a_dead_host_ends_without_it(serving: Three) -> None:
    assert serving.bg("deploy", "web=2").code == 0
    serving.fleet["web2"].kill()
    stuck = serving.bg("backout")
    assert stuck.code == 4, stuck
    assert "web2" in stuck.out + stuck.err
    back = serving.bg("without", "web2")
    assert back.code == 0, back
    assert "web 1 serves on blue" in back.out
    assert serving.running() == {"web1": {"blue"}, "web3": {"blue"}}
    assert serving.serves().strip() == "1"


def test_s87_whoever_drives_goes_on_without_the_host_at_once(serving: Three) -> None:
    """The word reaches a driver that is at work, and stays with it."""
    with ThreadPoolExecutor(1) as beside:
        driving = beside.submit(serving.bg, "deploy", "web=2", "--wait")
        wait_until(lambda: at_gate(serving), 60, "it does not come to its gate")
        serving.fleet["web2"].kill()
        out = serving.bg("without", "web2")
        assert out.code == 0, out
        switched = serving.bg("switch")
        assert switched.code == 0, switched
        driven = driving.result(timeout=60)
    assert driven.code == 0, driven
    assert serving.serves().strip() == "2"
    assert serving.running() == {"web1": {"blue", "green"}, "web3": {"blue", "green"}}


def at_gate(site: Three) -> bool:
    rollout = json.loads(site.bg("status", "-o", "json").out)["rollout"]
    return bool(rollout) and rollout["gate"] == "cutover"


def test_s87_a_host_taken_out_alive_refuses_whoever_drove_it_until_it_is_readmitted(
    serving: Three,
) -> None:
    gone = serving.bg("without", "web3", "--why", "for the weekend")
    assert gone.code == 0, gone
    assert "refuses everybody" in gone.out
    assert serving.bg("deploy", "web=2", "--switch").code == 0
    assert serving.running()["web3"] == {"blue"}, "nobody spoke to it"
    back = serving.bg("readmit", "web3")
    assert back.code == 0, back
    mended = serving.bg("reconcile")
    assert mended.code == 0, mended
    assert "green" in serving.running()["web3"]


def test_hosts_names_each_and_a_black_hole_delays_nobody_beyond_its_limit(
    serving: Three,
) -> None:
    """S83: every host has its line, whatever becomes of another."""
    well = serving.bg("hosts", "-o", "json")
    assert well.code == 0, well
    hosts = json.loads(well.out)["hosts"]
    assert [host["name"] for host in hosts] == ["web1", "web2", "web3"]
    assert all(host["wrong"] is None and host["epoch"] >= 1 for host in hosts)
    assert hosts[0]["on"][0] | {"digest": ""} == {
        "service": "web", "color": "blue", "version": "1", "digest": "", "running": True,
    }  # fmt: skip
    serving.fleet["web2"].blackhole()
    began = time.monotonic()
    seen = serving.bg("hosts", "-o", "json")
    assert time.monotonic() - began < 15
    data = json.loads(seen.out)
    assert [host["wrong"] for host in data["hosts"]] == [None, "down", None]
    assert {"command": "bgctl without web2", "does": "go on without it, if it is gone"} in data[
        "next_steps"
    ]


def test_s86_a_site_whose_state_was_deleted_is_adopted_as_it_serves(serving: Three) -> None:
    """S86: the hosts refuse a new journal until it is said so; then the old one is refused.

    What lies there and does not run can be started by the new one, too.
    """
    for words in ("deploy web=2 --switch", "backout", "retire"):
        done = serving.bg(*words.split())
        assert done.code == 0, done
    shutil.move(serving.folder / "state", serving.folder / "kept")
    from orchestrator.adapters.local.processes import LocalProcesses

    old = LocalProcesses(str(serving.folder / "kept/bgctl" / serving.name / "run"))
    for process in old.look():
        old.end(process.name, hard=True)

    strange = serving.bg("deploy", "web=2")
    assert strange.code in (2, 6), strange
    assert "another journal" in strange.out + strange.err
    asked = serving.bg("adopt")
    assert asked.code == 6, asked
    assert "web 1@" in asked.err
    assert re.search(r"serves on blue, 3 of it run", asked.err), asked
    adopted = serving.bg("adopt", "--yes")
    assert adopted.code == 0, adopted
    assert serving.serves().strip() == "1"
    again = serving.bg("adopt", "--yes")
    assert (again.code, "Nothing to adopt" in again.out) == (0, True), again

    lost = serving.bg("deploy", "web=2", state="kept")
    assert lost.code != 0, lost
    assert "another journal" in lost.out + lost.err
    switched = serving.bg("deploy", "web=2", "--switch")
    assert switched.code == 0, switched
    assert serving.serves().strip() == "2"
    back = serving.bg("backout")
    assert back.code == 0, back
    assert serving.serves().strip() == "1"
