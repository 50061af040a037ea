"""The agent on real hosts: real systemd, real users, real trouble."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.hosts.agents import Site, order, seen, site_on, until
from e2e.hosts.disk import pythons
from e2e.hosts.fleet import Fleet
from tests.agents import programs
from tests.agents.programs import packed
from tests.agents.test_units import NASTY

pytestmark = pytest.mark.timeout(400)  # the first of all makes the disk
HOWS = ("root", "sudo", "user")
UNIT = "bg-shop-web-blue@{}.service"


@pytest.fixture(scope="module")
def one_host(hosting: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("agent"), 2) as fleet:
        for host in fleet.hosts:
            host.run(["loginctl", "enable-linger", "deploy"])
        yield fleet


@pytest.fixture(params=HOWS)
def site(one_host: Fleet, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """In each of the three hands, and nothing of it left for the next."""
    fresh = site_on(one_host, one_host["web1"], request.param, tmp_path)
    yield fresh
    clean(fresh)


@pytest.fixture
def root_site(one_host: Fleet, tmp_path: Path) -> Iterator[Site]:
    fresh = site_on(one_host, one_host["web1"], "root", tmp_path)
    yield fresh
    clean(fresh)


def clean(site: Site) -> None:
    host = site.host
    host.run(["sh", "-c", "systemctl stop 'bg-*'; rm -rf /etc/systemd/system/bg-*"], check=False)
    host.run(["sh", "-c", "rm -rf /etc/systemd/system/*.wants/bg-*; systemctl daemon-reload"])
    user = ["env", f"XDG_RUNTIME_DIR=/run/user/{host.run(['id', '-u', 'deploy']).stdout.strip()}"]
    host.run([*user, "systemctl", "--user", "stop", "bg-*"], user="deploy", check=False)
    host.run(["sh", "-c", "rm -rf /opt/bg /home/deploy/.local /home/deploy/.config/systemd"])
    host.run([*user, "systemctl", "--user", "daemon-reload"], user="deploy", check=False)


def asked(site: Site, port: int, path: str = "/given") -> Any:
    """What the program itself says."""

    def answer() -> Any:
        try:
            url = f"http://{site.host.address}:{port}{path}"
            return json.load(urllib.request.urlopen(url, timeout=2))
        except OSError:
            return None

    return until(answer)


# -- What it is for ------------------------------------------------------------------------


def test_a_release_runs_as_asked_letter_by_letter_and_is_stopped_without_a_trace(
    site: Site, tmp_path: Path
) -> None:
    carried = [word for word in NASTY if not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", word)]
    with site.agent() as agent:
        one = site.stage(agent, packed(tmp_path, "1"))
        given = order(one, 8110, 2)
        for i, instance in enumerate(given["instances"]):
            instance["argv"] += [*carried, *(word + str(i) for word in carried)]
            instance["env"].update({f"N{n}": word for n, word in enumerate(carried)})
        started = agent.ok("start", **given)["instances"]
        assert [(i["running"], i["start"]) for i in started] == [(True, 1)] * 2
        for i, instance in enumerate(given["instances"]):
            said = asked(site, 8110 + i)
            assert said["argv"][1:] == instance["argv"][1:]
            assert instance["env"].items() <= said["env"].items()
            assert said["cwd"].startswith(f"{site.base}/shop/releases/web/1@")
        assert (
            agent.ok("start", **given)["instances"]
            == agent.ok("look", services=["web"])["services"][0]["colors"]["blue"]["instances"]
        )
        stop = {"service": "web", "color": "blue", "release": one.release}
        assert agent.ok("stop", **stop) == {"stopped": [0, 1]}
        assert seen(agent)["running"] is False
        agent.ok("point", service="web", color="blue", release=None)
        agent.ok("remove", service="web", release=one.release)
    places = ["/etc/systemd", "/home/deploy/.config"]
    left = site.host.run(["find", *places, "-name", "bg-*"], check=False)
    assert left.stdout == ""
    files = site.host.run(["find", f"{site.base}/shop", "-type", "f"]).stdout.split()
    assert sorted(path.rpartition("/")[2] for path in files) == ["ledger", "lock"]


def test_what_runs_outlives_session_and_agent_and_comes_back_after_a_boot(
    site: Site, tmp_path: Path
) -> None:
    with site.agent() as agent:
        one = site.stage(agent, packed(tmp_path, "1"))
        agent.ok("start", **order(one, 8110))
        before = seen(agent)
        agent.process.kill()
    with site.agent() as agent:
        assert (seen(agent)["pid"], seen(agent)["start"]) == (before["pid"], 1)
    site.host.kill()
    site.host.boot()
    with site.agent() as agent:
        after = until(lambda: (now := seen(agent))["running"] and now)
        assert (after["start"], after["release"]) == (2, one.release)
        assert after["identity"] != before["identity"]
    assert asked(site, 8110)["argv"][1:] == ["--port", "8110"]


def test_a_unit_that_dies_two_seconds_later_says_so_with_its_last_words(
    site: Site, tmp_path: Path
) -> None:
    """S85: its starts are told apart by their numbers."""
    with site.agent() as agent:
        one = site.stage(agent, packed(tmp_path, "1", programs.DIES))
        started = agent.ok("start", **order(one, 8110))["instances"][0]
        assert (started["running"], started["start"], started["note"]) == (True, 1, "")
        dead = until(lambda: (now := seen(agent))["ended"] and now)
        assert dead["ended"]["how"] == "ended with exit code 7"
        words = dead["ended"]["words"]
        if site.how == "user" and "cannot be read" in words[0]:
            assert "systemd-journal" in words[0]
        else:
            assert words == ["going to die, in red", "no database"]
        again = until(lambda: (now := seen(agent))["start"] > 1 and now)
        assert again["kept"]
        stop = {"service": "web", "color": "blue", "release": one.release}
        agent.ok("stop", **stop)
        assert (seen(agent)["running"], seen(agent)["kept"]) == (False, False)


def test_a_program_killed_by_hand_is_there_again_under_a_new_number(
    site: Site, tmp_path: Path
) -> None:
    with site.agent() as agent:
        one = site.stage(agent, packed(tmp_path, "1"))
        agent.ok("start", **order(one, 8110))
        for number in (2, 3):
            site.host.run(["kill", "-9", str(seen(agent)["pid"])])
            again = until(lambda n=number: (now := seen(agent))["start"] == n and now)  # type: ignore[misc]
            until(lambda: seen(agent)["running"])
            assert again["release"] == one.release
        assert "was ended by SIGKILL" in seen(agent)["note"] or site.how == "user"


# -- Trouble -------------------------------------------------------------------------------


def test_a_masked_unit_is_refused_and_nothing_is_touched(root_site: Site, tmp_path: Path) -> None:
    """S85."""
    for name in (UNIT.format(0), UNIT.format("")):
        root_site.host.run(["systemctl", "mask", name])
        with root_site.agent() as agent:
            one = root_site.stage(agent, packed(tmp_path, "1"))
            kind, why = agent.refused("start", **order(one, 8110))
            assert (kind, "systemctl unmask" in why or "is masked" in why) == ("masked", True)
            (service,) = agent.ok("look", services=["web"])["services"]
            assert service["colors"]["blue"]["current"] is None
        root_site.host.run(["systemctl", "unmask", name])
    with root_site.agent() as agent:
        assert agent.ok("start", **order(one, 8110))["instances"][0]["running"]


def test_a_port_of_a_stranger_is_named(site: Site, tmp_path: Path) -> None:
    """S85."""
    listen = "import socket, time; s = socket.create_server(('', 8110)); time.sleep(300)"
    inside = ["nsenter", "-t", str(site.host._leader), "-a", "python3", "-c", listen]
    with subprocess.Popen(inside) as stranger:
        try:
            until(lambda: site.host.answers(8110))
            with site.agent() as agent:
                one = site.stage(agent, packed(tmp_path, "1"))
                kind, why = agent.refused("start", **order(one, 8110))
            assert kind == "taken"
            owner = "python3" if site.how == "root" else "another user"
            assert owner in why
        finally:
            site.host.run(["pkill", "-f", "create_server"], check=False)
            stranger.terminate()


def test_a_program_that_ignores_its_end_is_killed_in_time(site: Site, tmp_path: Path) -> None:
    """S85."""
    stubborn = "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1; done\n"
    with site.agent() as agent:
        one = site.stage(agent, packed(tmp_path, "1", stubborn))
        agent.ok("start", **order(one, 8110, stop_s=1))
        began = time.monotonic()
        stop = {"service": "web", "color": "blue", "release": one.release, "stop_s": 1}
        assert agent.ok("stop", **stop) == {"stopped": [0]}
        assert time.monotonic() - began < 12
        assert seen(agent)["running"] is False


def test_a_full_disk_refuses_what_needs_room_and_nothing_else(
    root_site: Site, tmp_path: Path
) -> None:
    """S84: the way back needs none: look, epoch, stop go on."""
    host = root_site.host
    host.small_disk(40)
    try:
        with root_site.agent() as agent:
            one = root_site.stage(agent, packed(tmp_path, "1"))
            two = packed(tmp_path, "2")
            agent.ok("start", **order(one, 8110))
            host.fill_disk()
            kind, why = agent.refused("offer", **two.bytes)
            assert (kind, "are free at" in why) == ("no-room", True)
            assert root_site.put(two).get("kind") == "no-room"
        with root_site.agent(epoch=2) as agent:
            assert agent.ok("look", services=["web"])["youngest"] == 2
            host.run(["kill", "-9", str(seen(agent)["pid"])])
            until(lambda: seen(agent)["start"] == 2)
            agent.ok("stop", service="web", color="blue", release=one.release)
        with root_site.agent(epoch=1) as agent:
            assert "superseded" in agent.ask("look", services=["web"])
        host.free_disk()
        with root_site.agent(epoch=2) as agent:
            assert not agent.ok("offer", **two.bytes)["staged"]
    finally:
        host.run(["sh", "-c", "systemctl stop 'bg-*'"], check=False)
        host.free_disk()
        host.run(["umount", "/opt"], check=False)


def test_a_read_only_home_is_said_before_anything(one_host: Fleet, tmp_path: Path) -> None:
    """S82."""
    site = site_on(one_host, one_host["web2"], "sudo", tmp_path)
    site.host.read_only()
    try:
        with site.agent() as agent:
            facts = agent.ok("facts", epoch=None)
            assert (facts["writable"], "ead-only" in facts["why"]) == (False, True)
            kind, why = agent.refused("look", services=["web"])
            assert (kind, "ead-only" in why) == ("not-permitted", True)
            assert agent.ok("look", services=["web"], epoch=None)["youngest"] == 0
    finally:
        site.host.writable()


def test_a_clock_an_hour_off_changes_nothing(root_site: Site, tmp_path: Path) -> None:
    """S82."""
    with root_site.agent() as agent:
        one = root_site.stage(agent, packed(tmp_path, "1"))
        agent.ok("start", **order(one, 8110))
        before = seen(agent)
    root_site.host.clock(-3600)
    try:
        with root_site.agent() as agent:
            assert (seen(agent)["pid"], seen(agent)["start"]) == (before["pid"], 1)
            root_site.host.run(["kill", "-9", str(before["pid"])])
            assert until(lambda: seen(agent)["start"] == 2)
            agent.ok("stop", service="web", color="blue", release=one.release)
    finally:
        root_site.host.clock(0)


def test_a_sudo_that_wants_a_password_is_named(one_host: Fleet, tmp_path: Path) -> None:
    """S82: the user `plain` may not."""
    site = site_on(one_host, one_host["web2"], "sudo", tmp_path)
    site.host.run(["sh", "-c", "mv /etc/sudoers.d /etc/sudoers.away"])
    try:
        with site.agent() as agent:
            assert "password" in agent.ok("hello", closely=True)["trouble"]
            one = site.stage(agent, packed(tmp_path, "1"))
            answer = agent.ask("start", **order(one, 8110))
            assert "without a password" in answer.get("refused", answer.get("unsure", ""))
    finally:
        site.host.run(["sh", "-c", "mv /etc/sudoers.away /etc/sudoers.d"])


def test_without_lingering_nothing_is_started_by_a_user(one_host: Fleet, tmp_path: Path) -> None:
    site = site_on(one_host, one_host["web2"], "user", tmp_path)
    site.host.run(["loginctl", "disable-linger", "deploy"])
    try:
        with site.agent() as agent:
            one = site.stage(agent, packed(tmp_path, "3"))
            assert "enable-linger" in agent.refused("start", **order(one, 8110))[1]
            assert "enable-linger" in agent.ok("hello", closely=True)["trouble"]
    finally:
        site.host.run(["loginctl", "enable-linger", "deploy"])


# -- What a unit can do --------------------------------------------------------------------

READY = """#!/usr/bin/env python3
import os, socket, sys, time
time.sleep(1)
line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
line.connect(os.environ["NOTIFY_SOCKET"].replace("@", chr(0), 1))
line.send(b"READY=1")
time.sleep(1000)
"""


def test_a_program_that_says_when_it_is_ready_is_seen_before_and_after(
    site: Site, tmp_path: Path
) -> None:
    with site.agent() as agent:
        one = site.stage(agent, packed(tmp_path, "1", READY))
        started = agent.ok("start", **order(one, 8110, notify=True))["instances"][0]
        assert (started["running"], started["state"]) == (True, "activating/start")
        until(lambda: seen(agent)["state"] == "active/running")


def test_credentials_come_as_files_and_are_in_no_argv_and_no_environment(
    site: Site, tmp_path: Path
) -> None:
    """S90."""
    secret = "hunter2-but-longer"
    with site.agent() as agent:
        one = site.stage(agent, packed(tmp_path, "1"))
        token = b64encode(json.dumps(secret).encode()).decode()
        given = order(one, 8110, credentials={"token": token})
        agent.ok("start", **given)
        if site.how == "user" and not seen(agent)["running"]:
            pytest.xfail("this systemd gives no credentials to services of users")
        assert asked(site, 8110, "/credential") == json.dumps(secret)
        said = asked(site, 8110)
        assert secret not in json.dumps(said)
        assert "CREDENTIALS_DIRECTORY" in said["env"]


def test_a_program_is_hardened_unless_its_site_says_otherwise(
    root_site: Site, tmp_path: Path
) -> None:
    writes = (
        "#!/bin/sh\ncd /\ntouch /opt/bg/shop/of-the-site && echo site\n"
        "touch /usr/written && echo usr\n"
        "cat /opt/bg/shop/private/web/blue/*/0.env && echo private\n"
        "grep NoNewPrivs:.1 /proc/self/status\nls /tmp\necho all\nexec sleep 1000\n"
    )
    root_site.host.write("/tmp/of-others", "x")
    with root_site.agent() as agent:
        one = root_site.stage(agent, packed(tmp_path, "1", writes))
        agent.ok("start", **order(one, 8110))
        until(lambda: "\nall\n" in log(agent))
        said = log(agent).splitlines()
        assert "site" in said
        assert not {"usr", "private", "of-others"} & set(said)
        assert "NoNewPrivs:\t1" in said
        agent.ok("stop", service="web", color="blue", release=one.release)
        loose = {"Service": {"ProtectSystem": "no", "PrivateTmp": "no", "User": "deploy"}}
        agent.ok("start", **order(one, 8110, unit=loose))
        until(lambda: log(agent).count("\nall\n") == 2)
        assert "\nof-others\n" in log(agent)
        assert root_site.host.run(["stat", "-c", "%U", f"/proc/{seen(agent)['pid']}"]).stdout == (
            "deploy\n"
        )


def log(agent: Any) -> str:
    return "\n" + str(agent.ok("log", service="web", color="blue", index=0, lines=50)["text"])


def test_a_color_moved_by_hand_never_runs_a_mixture(root_site: Site, tmp_path: Path) -> None:
    """What is started again after its color was moved is not the other release, it is nothing."""
    with root_site.agent() as agent:
        one = root_site.stage(agent, packed(tmp_path, "1"))
        two = root_site.stage(agent, packed(tmp_path, "2"))
        agent.ok("start", **order(one, 8110))
        agent.ok("point", service="web", color="blue", release=two.release)
        root_site.host.run(["kill", "-9", str(seen(agent)["pid"])])
        until(lambda: seen(agent)["state"] in ("inactive/dead", "failed/failed"))
        assert seen(agent)["kept"]
        assert seen(agent)["release"] == one.release
        agent.ok("stop", service="web", color="blue", release=one.release)
        assert agent.ok("start", **order(two, 8110))["instances"][0]["running"]


# -- Pythons -------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", list(pythons()))
def test_it_works_with_the_oldest_and_the_newest_python(
    one_host: Fleet, tmp_path: Path, folder: str
) -> None:
    """S82."""
    site = site_on(one_host, one_host["web1"], "root", tmp_path, f"{folder}/bin/python3")
    try:
        with site.agent() as agent:
            assert folder.endswith(agent.ok("hello")["python"].rpartition(".")[0])
            one = site.stage(agent, packed(tmp_path, "1"))
            agent.ok("start", **order(one, 8110))
            asked(site, 8110)
            agent.ok("stop", service="web", color="blue", release=one.release)
    finally:
        clean(site)
