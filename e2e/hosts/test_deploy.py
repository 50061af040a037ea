"""The real command on real hosts: releases staged, started, proven, switched and backed out over
SSH, and what becomes of that when a host, its network, its key, its disk or the driver fails.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from e2e.hosts.fleet import Fleet
from e2e.hosts.host import Host
from e2e.hosts.traces import wait_until
from e2e.place import ROOT, Finished, flat
from orchestrator.adapters.local.processes import LocalProcesses
from tests.agents.programs import WEB

pytestmark = pytest.mark.timeout(400)  # the first of all makes the disk
SEED = int(os.environ.get("BG_SEED", "1"))
SECRET = "hunter2-of-the-fleet"

FILE = """\
site: {name}
services:
  web:
    artifact: releases/{{version}}
    run: [bin/web, --port, "{{port}}"]
    env: {{DB_PASSWORD: {{file: db}}}}
    instances: {{on: [web1, web2], ports: {{blue: {blue}, green: {green}}}}}
    probes: [{{http: /, expect: {{body: "{{version}}"}}}}]
    probing: {{every: 100ms, within: 10s, timeout: 1s}}
    behind: {{switch: edge}}
switches: {{edge: {{envoy: {{listen: "127.0.0.1:{port}"}}}}}}
hosts:
{hosts}
rollout: {{soak: 300ms, drain: 1s, tries: 1}}
"""


class Place:
    """A site on two hosts, in a folder of its own, with the SSH configuration of the fleet."""

    def __init__(self, folder: Path, fleet: Fleet, name: str, port: int) -> None:
        self.folder, self.fleet, self.name, self.port = folder, fleet, name, port
        self.state = folder / "state" / "bgctl" / name
        self.blue, self.green = 9000 + 2 * (port % 400), 9001 + 2 * (port % 400)
        (folder / "home/.ssh").mkdir(parents=True)
        (folder / "home/.ssh/config").write_text(fleet.ssh_config.read_text())
        (folder / "db").write_text(SECRET + "\n")
        hosts = "\n".join(f"  {h.name}: {{address: {h.address}, how: sudo}}" for h in fleet.webs)
        words = {"name": name, "blue": self.blue, "green": self.green, "port": port}
        (folder / "bg.yaml").write_text(FILE.format(hosts=hosts, **words))
        for version in ("1", "2"):
            at = folder / "releases" / version
            (at / "bin").mkdir(parents=True)
            (at / "bin/web").write_text(WEB)
            (at / "bin/web").chmod(0o755)
            (at / "version").write_text(version + "\n")

    def bg(self, *arguments: str, at: int | None = None, state: str = "state") -> Finished:
        """`bgctl ARGUMENTS`; with `at`, killed at that point (0: counted)."""
        program = ["orchestrator"] if at is None else ["e2e.killed", str(at), "--"]
        argv = [sys.executable, "-m", *program, "--site", str(self.folder / "bg.yaml"), *arguments]
        env = {**os.environ, "HOME": str(self.folder / "home"), "NO_COLOR": "1"}
        env |= {"XDG_STATE_HOME": str(self.folder / state), "PYTHONDONTWRITEBYTECODE": "1"}
        env.pop("SSH_AUTH_SOCK", None)
        done = subprocess.run(
            argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=150, check=False
        )
        assert SECRET not in done.stdout + done.stderr
        return Finished(done.returncode, flat(done.stdout), flat(done.stderr))

    def serves(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5) as answer:
            text: str = answer.read().decode()
        return text

    def units(self, host: Host) -> set[str]:
        """The instances that run there, by color."""
        listed = host.run(
            [
                "systemctl",
                "list-units",
                "--plain",
                "--no-legend",
                "--state=running",
                f"bg-{self.name}-*",
            ]
        )
        return set(re.findall(rf"bg-{self.name}-web-(\w+)@0", listed.stdout))

    def staged(self, host: Host) -> set[str]:
        at = f"/home/deploy/.local/share/bg/{self.name}/releases/web"
        listed = host.run(["ls", at], check=False).stdout.split()
        return {name.partition("@")[0] for name in listed}

    def end(self) -> None:
        processes = LocalProcesses(str(self.state / "run"))
        for seen in processes.look():
            processes.end(seen.name, hard=True)
        for host in self.fleet.webs:
            host.run(["systemctl", "stop", f"bg-{self.name}-*"], check=False)
            script = f"systemctl disable bg-{self.name}-web-blue@0 bg-{self.name}-web-green@0"
            host.run(["sh", "-c", script], check=False)


P = TypeVar("P", bound=Place)


@contextmanager
def left_clean(place: P) -> Iterator[P]:
    """The fleet is whole again afterwards, and nothing of the site is on it."""
    fleet = place.fleet
    try:
        yield place
    finally:
        fleet.boot(*(host for host in fleet.hosts if not host.alive))
        for host in fleet.hosts:
            host.heal()
        place.end()


@pytest.fixture(scope="module")
def two(hosting: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("deploy"), 2) as fleet:
        yield fleet


@pytest.fixture
def place(
    two: Fleet, tmp_path: Path, free_ports: Callable[[int], int], request: pytest.FixtureRequest
) -> Iterator[Place]:
    name = f"s{abs(hash(request.node.name)) % 10**8}"
    with left_clean(Place(tmp_path, two, name, free_ports(1))) as made:
        yield made


@pytest.fixture
def serving(place: Place) -> Place:
    """Web 1 serves on blue."""
    first = place.bg("deploy", "web=1")
    assert first.code == 0, first
    assert place.serves().strip() == "1"
    return place


def test_a_release_waits_at_the_gate_and_is_backed_out_without_a_trace(serving: Place) -> None:
    deployed = serving.bg("deploy", "web=2")
    assert deployed.code == 0, deployed
    for host in serving.fleet.webs:
        assert serving.units(host) == {"blue", "green"}
    assert serving.serves().strip() == "1"
    back = serving.bg("backout")
    assert back.code == 0, back
    assert "web 1 serves on blue" in back.out
    for host in serving.fleet.webs:
        assert serving.units(host) == {"blue"}
        assert serving.staged(host) == {"1"}


def test_traffic_is_switched_to_the_hosts_and_back(serving: Place) -> None:
    assert serving.bg("deploy", "web=2", "--switch").code == 0
    assert serving.serves().strip() == "2"
    back = serving.bg("backout")
    assert back.code == 0, back
    assert serving.serves().strip() == "1"


def test_a_secret_is_on_no_command_line_and_in_no_readable_file_of_a_host(serving: Place) -> None:
    """S90"""
    for host in serving.fleet.webs:
        assert SECRET not in host.run(["ps", "-eo", "args"]).stdout
        found = host.run(["grep", "-rl", SECRET, "/home/deploy", "/etc/systemd"], check=False)
        assert found.stdout, "it is somewhere, or the program would not have it"
        for path in found.stdout.split():
            assert host.run(["stat", "-c", "%a", path]).stdout.strip() == "600", path
    for file in serving.state.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file


def test_a_host_that_is_killed_at_the_gate_is_named_and_the_way_back_goes_on_when_it_is_up(
    serving: Place,
) -> None:
    """S5, S83: nothing is switched to half of a color; who serves goes on serving."""
    assert serving.bg("deploy", "web=2").code == 0
    web2 = serving.fleet["web2"]
    web2.kill()
    stuck = serving.bg("switch")
    assert stuck.code == 4, stuck
    assert "web2" in stuck.out + stuck.err
    assert serving.serves().strip() == "1", "the other host serves on"
    serving.fleet.boot(web2)
    resumed = serving.bg("resume")
    assert resumed.code in (0, 3), resumed
    for host in serving.fleet.webs:
        assert serving.units(host) == {"blue"}
    assert serving.bg("deploy", "web=2", "--switch").code == 0
    assert serving.serves().strip() == "2"


def test_a_host_without_a_network_is_named_and_nothing_is_begun(serving: Place) -> None:
    """S5, S83"""
    web2 = serving.fleet["web2"]
    web2.cut()
    refused = serving.bg("deploy", "web=2")
    assert refused.code in (2, 6), refused
    assert "web2" in refused.out + refused.err
    assert serving.staged(serving.fleet["web1"]) == {"1"}
    web2.heal()
    wait_until(web2.answers, 10, "web2 does not answer")
    assert serving.bg("deploy", "web=2").code == 0


def test_a_host_with_another_key_is_not_spoken_to(serving: Place) -> None:
    """S80: named, with what to do, and no way around it."""
    web2 = serving.fleet["web2"]
    before = serving.fleet.known_hosts.read_text()
    web2.new_host_key()
    try:
        refused = serving.bg("deploy", "web=2")
        assert refused.code in (2, 6), refused
        said = refused.out + refused.err
        assert "web2" in said
        assert "shows another host key" in said
        assert f"ssh-keygen -R {web2.address}" in said
        config = serving.folder / "home/.ssh/config"
        config.write_text("Host *\n UserKnownHostsFile none\n StrictHostKeyChecking no\n")
        off = serving.bg("status")
        assert "connects to no host whose key it cannot check" in off.out + off.err
    finally:
        lines = [line for line in before.splitlines() if not line.startswith("web2,")]
        known = "\n".join([*lines, web2.known_hosts_line])
        serving.fleet.known_hosts.write_text(known)


def test_a_full_disk_turns_the_rollout_back_and_leaves_nothing(place: Place) -> None:
    """S5, S84: nothing begins where not even a look has room; the other host is cleaned up."""
    web2 = place.fleet["web2"]
    base = "/home/deploy/.local/share/bg"
    web2.run(["install", "-d", "-o", "deploy", base])
    web2.small_disk(16, base)
    web2.run(["chown", "deploy", base])
    web2.fill_disk(base)
    try:
        blind = place.bg("deploy", "web=1")
        assert blind.code in (2, 6), blind
        assert "web2" in blind.out + blind.err
        assert "No space left" in blind.out + blind.err
        web2.fill_disk(base, leave_kib=8 * 1024)
        failed = place.bg("deploy", "web=1")
        assert failed.code == 3, failed
        assert "web2" in failed.out + failed.err
        assert "make room" in failed.out + failed.err
        assert place.staged(place.fleet["web1"]) == set()
    finally:
        web2.run(["umount", base])
    again = place.bg("deploy", "web=1")
    assert again.code == 0, again
    assert place.serves().strip() == "1"


def test_another_journal_changes_nothing(serving: Place) -> None:
    """S86: a second laptop with the same site file and a memory of its own."""
    other = serving.bg("deploy", "web=2", state="other")
    assert other.code in (2, 6), other
    assert "driven from elsewhere" in other.out + other.err
    for host in serving.fleet.webs:
        assert serving.units(host) == {"blue"}
        assert serving.staged(host) == {"1"}


def test_a_driver_killed_anywhere_is_resumed_and_nothing_happened_twice(serving: Place) -> None:
    """S1 on hosts, sampled."""
    counted = serving.bg("deploy", "web=2", at=0)
    assert counted.code == 0, counted
    assert serving.bg("backout").code == 0
    chance = random.Random(SEED)
    for at in sorted(chance.sample(range(1, counted.points), 5)):
        killed = serving.bg("deploy", "web=2", at=at)
        assert killed.killed, (SEED, at, killed)
        assert serving.serves().strip() == "1"
        resumed = serving.bg("resume")
        if "Nothing to resume" in resumed.out:  # it died before anything was opened
            resumed = serving.bg("deploy", "web=2")
        assert resumed.code == 0, (SEED, at, resumed)
        assert "waits at the gate" in resumed.out, (SEED, at, resumed)
        for host in serving.fleet.webs:
            assert serving.units(host) == {"blue", "green"}, (SEED, at)
            begun = host.run(
                ["systemctl", "show", "-P", "NRestarts", f"bg-{serving.name}-web-green@0"]
            )
            assert begun.stdout.strip() == "0", (SEED, at)
        back = serving.bg("backout")
        assert back.code == 0, (SEED, at, back)
        for host in serving.fleet.webs:
            assert serving.units(host) == {"blue"}, (SEED, at)
            assert serving.staged(host) == {"1"}, (SEED, at)


def test_check_says_of_every_host_whether_it_could_do_it(place: Place) -> None:
    well = place.bg("check")
    assert "web1: deploy (sudo), systemd" in well.out, well
    file = place.folder / "bg.yaml"
    file.write_text(file.read_text().replace("how: sudo", "how: user", 1))
    place.fleet["web1"].run(["loginctl", "disable-linger", "deploy"], check=False)
    place.fleet["web2"].cut()
    wrong = place.bg("check")
    assert wrong.code == 2, wrong
    assert "wrong web1: " in wrong.err
    assert "wrong web2 " in wrong.err


def test_no_session_outlives_its_command(serving: Place) -> None:
    """S13"""

    def nobody_speaks() -> bool:
        asked = (host.run(["ps", "-eo", "args"]).stdout for host in serving.fleet.webs)
        return not any(".cache/bg/" in running for running in asked)

    wait_until(nobody_speaks, 10, "an agent still runs")
