"""The demo on hosts: its site file is one, whatever addresses the hosts got, and what it shows of
them is what they answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from examples.fleet import hosts, place, sight
from orchestrator.config.load import load


@dataclass(frozen=True)
class Named:
    name: str
    address: str


class Booted:
    """As many hosts as a fleet may have."""

    def __init__(self, webs: int) -> None:
        names = [*(f"web{n + 1}" for n in range(webs)), "proxy1", "proxy2"]
        self.hosts = tuple(Named(name, f"10.88.7.{at + 10}") for at, name in enumerate(names))
        self.webs, self.proxies = self.hosts[:webs], self.hosts[webs:]


def test_the_site_of_the_fleet_is_understood() -> None:
    site = load(place.HERE / "bg.yaml")
    assert site.service("web").placement.hosts == ("web1", "web2", "web3")
    assert [proxy.hosts for proxy in site.proxies] == [("proxy1", "proxy2")]


@pytest.mark.parametrize("webs", [3, 6])
def test_it_is_written_for_the_hosts_that_there_are(webs: int, tmp_path: Path) -> None:
    fleet = Booted(webs)
    (tmp_path / "bg.yaml").write_text(place.site_text(fleet))  # type: ignore[arg-type]
    site = load(tmp_path / "bg.yaml")
    assert site.service("web").placement.hosts == tuple(host.name for host in fleet.webs)
    assert {host.name: host.address for host in site.hosts} == {
        host.name: host.address for host in fleet.hosts
    }
    assert site.proxies[0].hosts == ("proxy1", "proxy2")
    assert site.proxies[0].url == place.urls(fleet)[0]  # type: ignore[arg-type]


def test_a_host_is_drawn_as_what_answers_there_and_as_off_where_nothing_does() -> None:
    line = sight.drawn({"web1": {"blue": "1", "green": "2"}, "web2": {"blue": "1"}, "web3": None})
    assert line.plain.split() == ["hosts", *("web1", "1", "2"), *("web2", "1", "·"), "web3", "off"]


def test_nothing_is_known_of_hosts_whose_keeper_is_gone(tmp_path: Path) -> None:
    assert hosts.known(tmp_path) is None
    gone = '{"pid": 1, "started": "0", "folder": "x", "urls": [], "hosts": {}}'
    (tmp_path / "hosts.json").write_text(gone)
    assert hosts.known(tmp_path) is None
    with pytest.raises(SystemExit, match="make demo-hosts"):
        hosts.ask(tmp_path, "off", "web3")
