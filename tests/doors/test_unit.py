"""`init systemd`: a unit for `bgctl tend`, and what tend says to systemd."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.config.load import load
from orchestrator.core.model import Site
from orchestrator.doors.cli.exits import Exit
from orchestrator.doors.cli.unit import name_of, unit
from tests.doors.desk import Desk
from tests.doors.test_hosts import FLEET, Fleet

ARGV = ("/opt/bg/bin/bgctl", "--site", "/srv/shop/bg.yaml", "tend")


@pytest.fixture
def here(tmp_path: Path) -> Site:
    return replace(load(Desk(tmp_path).file), folder="/srv/shop")


@pytest.fixture
def fleet(tmp_path: Path) -> Site:
    return replace(load(Fleet(tmp_path, site=FLEET).file), folder="/srv/shop")


def settings(text: str) -> list[str]:
    return [line for line in text.splitlines() if "=" in line and not line.startswith("#")]


def test_what_tend_started_outlives_it_and_it_is_always_started_again(here: Site) -> None:
    text = unit(here, ARGV, user="root")
    assert {"Type=notify", "Restart=always", "KillMode=process"} <= set(settings(text))
    assert "WantedBy=multi-user.target" in text
    assert "/etc/systemd/system/bg-tend-shop.service" in text


def test_programs_of_this_machine_are_in_no_sandbox_of_the_one_who_tends(
    here: Site, fleet: Site
) -> None:
    """They are its children: what it may not do, they may not do."""
    assert not any(line.startswith("Protect") for line in settings(unit(here, ARGV, user="root")))
    assert "ProtectSystem=full" in unit(fleet, ARGV, user="root")


def test_a_user_has_a_unit_of_their_own(fleet: Site) -> None:
    text = unit(fleet, ARGV, user=None)
    assert "WantedBy=default.target" in text
    assert "enable-linger" in text
    assert not any(line.startswith("User=") for line in settings(text))


def test_no_path_means_anything_to_systemd(here: Site) -> None:
    odd = '/srv/a b/%h/$HOME/"x"/bg.yaml'
    text = unit(here, ("/bin/bgctl", "--site", odd, "tend"), user="root")
    assert r'ExecStart=/bin/bgctl --site "/srv/a b/%%h/$$HOME/\"x\"/bg.yaml" tend' in text


def test_systemd_can_read_it(here: Site, tmp_path: Path) -> None:
    file = tmp_path / name_of(here)
    argv = (sys.executable, "-m", "orchestrator", "tend")
    file.write_text(unit(replace(here, folder=str(tmp_path)), argv, user="root"))
    try:
        verify = ("systemd-analyze", "verify", str(file))
        done = subprocess.run(verify, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        pytest.skip("there is no systemd-analyze here")
    assert file.name not in done.stderr, done.stderr


def test_it_is_printed_and_nothing_else(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    said = desk("init", "systemd")
    assert said.code == 0
    assert said.err == ""
    assert f"--site {desk.file}" in said.out
    assert json.loads(desk("init", "systemd", "-o", "json").out)["unit"] == "bg-tend-shop.service"


def test_tend_tells_systemd_when_it_is_there_and_when_it_ends(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ear.bind(str(tmp_path / "notify"))
    ear.settimeout(30)
    argv = [sys.executable, "-m", "orchestrator", "--site", str(desk.file), "tend"]
    env = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
    tending = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert ear.recv(200).startswith(b"READY=1\n")
        tending.send_signal(signal.SIGTERM)
        assert ear.recv(200) == b"STOPPING=1"
        assert tending.wait(30) in (Exit.DONE, Exit.INTERRUPTED)
    finally:
        tending.kill()
        tending.wait()
        ear.close()
