"""The command on real processes behind a real Envoy: what a newcomer types, and two terminals at
once.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from orchestrator.doors.cli import reserve
from orchestrator.doors.cli.exits import Exit
from tests.doors.machine import WITHIN_S, Machine, until

GREEN = {"web/green/0", "web/green/1"}


@pytest.fixture
def machine(tmp_path: Path, free_ports: Callable[[int], int]) -> Iterator[Machine]:
    made = Machine(tmp_path, free_ports(5))
    try:
        yield made
    finally:
        made.end()


def test_deploy_switch_and_backout_from_an_empty_folder(machine: Machine) -> None:
    assert machine("deploy", "1").code == Exit.DONE
    assert machine.answers() == "1"
    assert machine("deploy", "web=2").code == Exit.DONE
    assert machine.answers() == "1"
    assert machine("switch").code == Exit.DONE
    assert machine.answers() == "2"
    said = machine("backout")
    assert said.code == Exit.DONE
    assert said.last.startswith("web 1 serves on blue")
    assert machine.answers() == "1"


def test_a_sick_release_gets_no_traffic_and_leaves_nothing_running(machine: Machine) -> None:
    """S20."""
    machine("deploy", "1")
    said = machine("deploy", "3")
    assert said.code == Exit.WENT_BACK
    assert "status 500 instead of 200" in said.err
    assert machine.answers() == "1"
    assert machine.running() & GREEN == set()


def test_two_terminals_at_once_one_drives_and_the_other_follows_along(machine: Machine) -> None:
    """S4."""
    machine("deploy", "1")
    first = machine.begin("deploy", "2", "--wait")
    until(lambda: "bgctl switch" in machine.offers())
    second = machine("switch")
    _, told = first.communicate(timeout=WITHIN_S)
    assert (first.returncode, second.code) == (Exit.DONE, Exit.DONE)
    assert "Somebody else drives: deploying web 2" in second.err
    assert "rollout 2 is done" in told
    assert "rollout 2 is done" in second.err
    assert machine.answers() == "2"


@pytest.mark.slow
def test_whoever_follows_takes_over_when_the_driver_dies(machine: Machine) -> None:
    """S1, S2: no lock to remove by hand."""
    machine.soak("3s")
    machine("deploy", "1")
    machine("deploy", "2")
    first = machine.begin("switch")
    until(lambda: machine.answers() == "2")
    second = machine.begin("resume")
    until(lambda: (machine.data("status")["driver"] or {}).get("doing", "").startswith("switching"))
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=WITHIN_S)
    _, told = second.communicate(timeout=WITHIN_S)
    assert second.returncode == Exit.DONE
    assert "rollout 2 is done" in told


@pytest.mark.slow
def test_whoever_follows_and_is_interrupted_only_stops_looking_on(machine: Machine) -> None:
    machine("deploy", "1")
    machine.soak("60s")
    first = machine.begin("deploy", "2", "--switch")
    until(lambda: machine.answers() == "2")
    second = machine.begin("resume")
    assert second.stderr is not None
    assert "Following along" in second.stderr.readline()
    second.send_signal(signal.SIGINT)
    _, told = second.communicate(timeout=WITHIN_S)
    assert second.returncode == Exit.INTERRUPTED, told
    assert "Stopped looking on" in told
    assert machine.data("status")["driver"]["alive"]
    assert first.poll() is None


@pytest.mark.slow
def test_a_runtime_file_that_somebody_broke_is_written_anew(machine: Machine) -> None:
    """S26: nobody can see who serves; status says what to do, and reconcile does it."""
    machine("deploy", "1")
    machine("deploy", "2", "--switch")
    (file,) = (machine.folder / "state").rglob("runtime.json")
    beside = file.with_name("beside")
    beside.write_text("garbage")
    beside.rename(file)
    assert "bgctl reconcile" in machine.offers()
    assert "bgctl reconcile" in machine("status").out
    assert machine("reconcile").code == Exit.DONE
    assert machine.data("status")["drift"] == []
    assert machine.answers() == "2"


def test_one_interrupt_stops_at_the_next_safe_place_and_says_how_to_go_on(
    machine: Machine,
) -> None:
    """S2."""
    machine.soak("20s")
    machine("deploy", "1", "--soak", "100ms")
    first = machine.begin("deploy", "2", "--switch")
    until(lambda: machine.answers() == "2")
    first.send_signal(signal.SIGINT)
    out, err = first.communicate(timeout=WITHIN_S)
    assert first.returncode == Exit.INTERRUPTED
    assert "bgctl resume" in err
    assert "web 2 serves on green" in out
    assert machine("backout").code == Exit.DONE
    assert machine.answers() == "1"


@pytest.mark.slow
def test_a_killed_deploy_is_resumed_to_where_it_would_have_come(machine: Machine) -> None:
    """S1."""
    machine("deploy", "1")
    first = machine.begin("deploy", "2")
    until(lambda: machine.data("status")["rollout"] is not None)
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=WITHIN_S)
    assert machine("resume").code == Exit.DONE
    assert machine("switch").code == Exit.DONE
    assert machine.answers() == "2"


@pytest.mark.slow
def test_tend_ends_with_sigterm_and_mends_nothing_unasked(machine: Machine) -> None:
    machine("deploy", "1")
    tending = machine.begin("tend")
    machine("deploy", "2")
    machine("switch")
    tending.send_signal(signal.SIGTERM)
    tending.communicate(timeout=WITHIN_S)
    assert tending.returncode == Exit.DONE
    assert machine.answers() == "2"


def test_a_secret_that_a_program_shouts_is_in_nothing_that_bg_says_or_keeps(
    machine: Machine,
) -> None:
    """S90. The program's own log is its own; whoever is shown it sees it without."""
    secret = "pl4nted-s3cret/+&"
    machine.plant(secret)
    machine("deploy", "1")
    said = [machine("--log-format", "json", "-o", "json", "deploy", "leaky")]
    assert said[0].code == Exit.WENT_BACK
    assert "my password is ‹DB_PASSWORD›" in said[0].err
    looks = ("status", "history 2", "logs web", "-o json history 2", "plan leaky", "check")
    said += [machine(*verb.split()) for verb in looks]
    assert not [s for s in said if secret in s.out + s.err]
    logs = {"log", "log.1"}
    kept = [path for path in (machine.folder / "state").rglob("*") if path.is_file()]
    assert not [
        path for path in kept if path.name not in logs and secret.encode() in path.read_bytes()
    ]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_deploy_and_backout_fifty_times_leave_nothing_over(machine: Machine) -> None:
    """S13."""
    machine("deploy", "1")
    before = machine.running()
    for _ in range(50):
        assert machine("deploy", "2").code == Exit.DONE
        assert machine("backout").code == Exit.DONE
    assert machine.running() == before
    staged = {
        path.name.partition("@")[0] for path in (machine.folder / "state/releases/web").iterdir()
    }
    assert staged == {"1"}
    assert machine.answers() == "1"


def test_a_file_that_changed_its_ports_or_leads_to_another_journal_does_not_lose_the_way_back(
    machine: Machine,
) -> None:
    machine("deploy", "1")
    machine("deploy", "2", "--switch")
    file, blue, green = machine.folder / "bg.yaml", machine.edge + 1, machine.edge + 3
    text = (
        file.read_text().replace(f"blue: {blue}", "blue: X").replace(f"green: {green}", "green: Y")
    )
    text = text.replace("X", str(green)).replace("Y", str(blue))
    for old, new in (("site: small", "site: mall"), ("state: state", "state: other")):
        file.write_text(text.replace(old, new))
        said = machine("status")
        assert "web 2 serves on green; the way back to 1 is open" in said.out
        assert "going by the site as of" in said.err
    file.write_text(text)
    assert machine("backout").code == Exit.DONE
    assert machine.answers() == "1"


def test_a_full_disk_does_not_close_the_way_back(machine: Machine) -> None:
    """S10: not a byte is free beside the state folder, on a small file system of its own."""
    state = machine.folder / "state"
    state.mkdir()
    with small_disk(state):
        assert machine("deploy", "1").code == Exit.DONE
        assert machine("deploy", "2", "--switch").code == Exit.DONE
        fill(state / "filler")
        assert machine("deploy", "4").code != Exit.DONE
        assert "Room for one backout is put aside" in " ".join(machine("status").out.split())
        said = machine("backout")
        assert (said.code, machine.answers()) == (Exit.DONE, "1"), said.err
        (state / "filler").unlink()
        assert machine("deploy", "2", "--switch").code == Exit.DONE
        assert (state / "reserve").stat().st_blocks * 512 >= reserve.BYTES
        machine.end()


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    if os.geteuid():
        pytest.skip("only root mounts a file system")
    argv = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs", str(folder)]
    subprocess.run(argv, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path) -> None:
    """Until nothing more fits."""
    with suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))
