"""The hosts are real, and so is the trouble they get into: what tests of bg rest upon."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from e2e.hosts import traces
from e2e.hosts.disk import pythons
from e2e.hosts.fleet import Fleet
from e2e.hosts.host import Host
from e2e.hosts.traces import wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = pytest.mark.timeout(400)  # the first of all makes the disk
HARDENED = (
    *("DynamicUser=yes", "ProtectSystem=strict", "PrivateTmp=yes", "NoNewPrivileges=yes"),
    *(
        "PrivateDevices=yes",
        "LoadCredential=secret:/etc/hostname",
        "RestrictAddressFamilies=AF_INET",
    ),
)


def test_eight_hosts_are_up_in_seconds(fleet: Fleet) -> None:
    assert [host.name for host in fleet.webs] == [f"web{n}" for n in range(1, 7)]
    assert [host.name for host in fleet.proxies] == ["proxy1", "proxy2"]
    print(f"8 hosts up in {fleet.boot_s:.2f} s")
    assert fleet.boot_s < 30
    for host in fleet.hosts:
        assert host.run(["ps", "-o", "comm=", "-p", "1"]).stdout == "systemd\n"
        haproxy = host.run(["systemctl", "is-active", "haproxy"], check=False).stdout
        assert haproxy == ("active\n" if host in fleet.proxies else "inactive\n")
    one = {host.run(["cat", "/etc/machine-id"]).stdout for host in fleet.hosts}
    assert len(one) == 8, "two hosts are the same machine to systemd"


def test_an_operator_gets_in_with_the_key_and_a_checked_host_key(fleet: Fleet) -> None:
    web = fleet["web1"]
    done = fleet.ssh(web, ["hostname;", "sudo", "-n", "id", "-u"])
    assert (done.stdout, done.returncode) == ("web1\n0\n", 0), done.stderr
    assert fleet.ssh(web, ["sudo", "-n", "true"], user="plain").returncode == 1
    for path, python in pythons().items():
        version = fleet.ssh(web, [f"{path}/bin/python3", "-V"], user="plain").stdout
        assert version == f"Python {python.name}\n"


def test_hosts_see_each_other_by_name_and_nothing_else(fleet: Fleet) -> None:
    ask = "import socket, sys; print(socket.create_connection((sys.argv[1], 22), 2).recv(4))"
    assert fleet["proxy1"].run(["python3", "-c", ask, "web3"]).stdout == "b'SSH-'\n"
    outside = fleet["proxy1"].run(["python3", "-c", ask, "192.0.2.1"], check=False)
    assert "Network is unreachable" in outside.stderr


def test_units_run_hardened_with_credentials_die_and_are_masked(fleet: Fleet) -> None:
    web = fleet["web1"]
    hard = [f"--property={line}" for line in HARDENED]
    run = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", "--unit=hard.service", *hard]
    secret = web.run(
        [*run, "sh", "-c", 'cat "$CREDENTIALS_DIRECTORY/secret"; touch /usr/x'], check=False
    )
    assert secret.stdout == "web1\n"
    assert "Read-only file system" in secret.stderr

    web.run(["systemd-run", "--quiet", "--unit=dies.service", "sh", "-c", "exit 3"])
    wait_until(lambda: shown(web, "dies", "ExecMainStatus") == "3", 5, "the unit did not die")
    assert shown(web, "dies", "ActiveState") == "failed"
    assert len(shown(web, "dies", "InvocationID")) == 32
    web.run(["systemctl", "mask", "masked.service"])
    assert "masked" in web.run(["systemctl", "start", "masked.service"], check=False).stderr


def shown(host: Host, unit: str, what: str) -> str:
    return host.run(["systemctl", "show", "--value", "-p", what, f"{unit}.service"]).stdout.strip()


def test_a_user_has_units_of_its_own_over_ssh(fleet: Fleet) -> None:
    web = fleet["web2"]
    web.run(["loginctl", "enable-linger", "plain"])
    run = ["systemd-run", "--user", "--quiet", "--wait", "--pipe", "id", "-un"]
    done = fleet.ssh(web, run, user="plain")
    assert (done.stdout, done.stderr) == ("plain\n", "")


def test_a_cut_host_is_away_and_its_connections_go_on_when_it_is_healed(fleet: Fleet) -> None:
    web = fleet["web1"]
    with conversation(fleet, web) as talk:
        web.cut()
        assert not web.answers()
        assert "NO-CARRIER" in web.run(["ip", "link", "show", "eth0"]).stdout
        say(talk, "hello")
        assert not heard(talk, 0.5)
        web.heal()
        assert heard(talk, 10) == "hello\n"


def test_a_request_arrives_and_its_answer_vanishes(fleet: Fleet) -> None:
    web = fleet["web1"]
    with conversation(fleet, web) as talk:
        web.blackhole("out")
        say(talk, "do it")
        wait_until(lambda: "do it" in web.read("/tmp/heard"), 5, "it did not arrive")
        assert not heard(talk, 0.5)
        web.heal()
        assert heard(talk, 10) == "do it\n"


def test_what_is_sent_into_a_black_hole_does_not_arrive(fleet: Fleet) -> None:
    web = fleet["web1"]
    web.blackhole()
    with pytest.raises(TimeoutError), socket.create_connection((web.address, 22), 0.7):
        pass
    assert fleet["web2"].answers()


def test_a_black_hole_for_one_peer_is_none_for_the_others(fleet: Fleet) -> None:
    web, proxy = fleet["web1"], fleet["proxy1"]
    web.blackhole(peer=proxy.address)
    ask = f"import socket; socket.create_connection(({web.address!r}, 22), 0.7)"
    assert "timed out" in proxy.run(["python3", "-c", ask], check=False).stderr
    assert fleet["proxy2"].run(["python3", "-c", ask]).returncode == 0
    assert web.answers()


def test_a_killed_host_says_no_goodbye_and_boots_from_its_disk(fleet: Fleet) -> None:
    web = fleet["web3"]
    web.write("/var/lib/kept", "by this host")
    before = web.read("/proc/sys/kernel/random/boot_id")
    with socket.create_connection((web.address, 22), 2) as peer:
        peer.recv(4096)
        web.kill()
        peer.settimeout(0.5)
        with pytest.raises(TimeoutError):  # neither an end nor a reset
            peer.recv(1)
    assert not web.alive
    assert not web.answers()
    web.boot()
    assert web.read("/var/lib/kept") == "by this host"
    assert web.read("/proc/sys/kernel/random/boot_id") != before


def test_a_reboot_stops_what_runs_in_order(fleet: Fleet) -> None:
    web = fleet["web4"]
    goodbye = "--property=ExecStop=touch /var/lib/goodbye"
    web.run(["systemd-run", "--quiet", "--unit=polite.service", goodbye, "sleep", "inf"])
    web.reboot()
    assert fleet.ssh(web, ["ls", "/var/lib/goodbye"]).returncode == 0


def test_a_full_disk_is_full_on_one_host(fleet: Fleet) -> None:
    web = fleet["web5"]
    web.small_disk(mib=4)
    web.fill_disk(leave_kib=64)
    write = "sudo dd if=/dev/zero of=/opt/artifact bs=1k"
    assert fleet.ssh(web, [write, "count=32"]).returncode == 0
    assert "No space left on device" in fleet.ssh(web, [write, "count=128"]).stderr
    web.free_disk()
    assert fleet.ssh(web, [write, "count=128"]).returncode == 0
    with pytest.raises(ValueError, match="would fill this machine's"):
        fleet["web6"].fill_disk()


def test_a_home_is_read_only_and_nothing_runs_from_tmp(fleet: Fleet) -> None:
    web = fleet["web6"]
    web.read_only()
    assert "Read-only file system" in fleet.ssh(web, ["touch", "x"]).stderr
    web.writable()
    assert fleet.ssh(web, ["touch", "x"]).returncode == 0
    web.noexec()
    run = ["cp", "/bin/true", "/tmp/t;", "/tmp/t"]
    assert "Permission denied" in fleet.ssh(web, run).stderr


@pytest.mark.parametrize("hour", [3600, -3600])
def test_a_clock_is_an_hour_off_on_one_host(fleet: Fleet, hour: int) -> None:
    web = fleet["web6"]
    web.clock(hour)
    asked = fleet.ssh(
        web, ["date +%s; sudo -n date +%s; python3 -c 'import time; print(time.time())'"]
    )
    assert len(asked.stdout.split()) == 3, asked.stderr
    for told in asked.stdout.split():
        assert abs(float(told) - hour - time.time()) < 10
    assert abs(float(fleet.ssh(fleet["web1"], ["date", "+%s"]).stdout) - time.time()) < 10
    web.clock(0)
    assert abs(float(fleet.ssh(web, ["date", "+%s"]).stdout) - time.time()) < 10


def test_a_changed_host_key_is_seen(fleet: Fleet) -> None:
    web = fleet["web2"]
    web.new_host_key()
    done = fleet.ssh(web, ["true"])
    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr


def test_a_second_sshd_has_rules_of_its_own(fleet: Fleet) -> None:
    web = fleet["web1"]
    web.second_sshd(2222, ForceCommand="echo not for you")
    done = fleet.ssh(web, ["true"], port=2222)
    assert (done.stdout, done.returncode) == ("not for you\n", 0), done.stderr
    assert fleet.ssh(web, ["echo", "first"]).stdout == "first\n"


def test_a_proxy_of_the_fleet_passes_on_to_nginx_on_another_host(fleet: Fleet) -> None:
    web, proxy = fleet["web1"], fleet["proxy1"]
    web.run(["systemctl", "start", "nginx"])
    config = proxy.read("/etc/haproxy/haproxy.cfg")
    lines = f"listen front\n  bind :8080\n  server web {web.address}:80\n"
    proxy.write("/etc/haproxy/haproxy.cfg", config + lines)
    proxy.run(["systemctl", "reload", "haproxy"])
    wait_until(lambda: proxy.answers(8080), 5, "haproxy does not listen")
    with socket.create_connection((proxy.address, 8080), 5) as peer:
        peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert peer.recv(15) == b"HTTP/1.1 200 OK"


def test_nothing_is_left_of_a_fleet(hosting: None, tmp_path: Path) -> None:
    with Fleet(tmp_path, 1) as fleet:
        assert len(traces.left(fleet.number)) >= 4
        assert fleet["web1"].answers()
    assert traces.left(fleet.number) == []
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    fleet.close()


@pytest.mark.parametrize("warden", [True, False], ids=["by its warden", "by the next sweep"])
def test_a_fleet_whose_owner_is_killed_is_taken_away(
    hosting: None, tmp_path: Path, warden: bool
) -> None:
    text = (
        "import sys, time; from pathlib import Path; from e2e.hosts.fleet import Fleet\n"
        "with Fleet(Path(sys.argv[1]), 1) as fleet:\n"
        "    print(fleet.number, fleet._warden.pid, flush=True); time.sleep(600)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", text, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout
        number, pid = (int(word) for word in owner.stdout.readline().split())
        if not warden:
            os.kill(pid, signal.SIGKILL)
        owner.kill()
    if not warden:
        assert traces.left(number)
        assert number in traces.sweep()
    wait_until(lambda: not traces.left(number), 20, "something is left")
    assert str(tmp_path) not in Path("/proc/mounts").read_text()


class conversation:  # noqa: N801, reads like the function it is
    """An SSH session in which each line is written to /tmp/heard and said back."""

    def __init__(self, fleet: Fleet, host: Host) -> None:
        command = "while read -r line; do echo $line > /tmp/heard; echo $line; done"
        host.write("/tmp/heard", "", owner="deploy")
        self._command = ["ssh", "-F", str(fleet.ssh_config), host.name, command]

    def __enter__(self) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        self._talk = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, bufsize=0)
        say(self._talk, "ready")
        assert heard(self._talk, 10) == "ready\n"
        return self._talk

    def __exit__(self, *_: object) -> None:
        self._talk.kill()
        self._talk.__exit__(None, None, None)


def say(talk: subprocess.Popen[bytes], line: str) -> None:
    assert talk.stdin
    talk.stdin.write(f"{line}\n".encode())


def heard(talk: subprocess.Popen[bytes], within_s: float) -> str:
    """The next words, or "" where nothing is said for so long."""
    assert talk.stdout
    ready, _, _ = select.select([talk.stdout], [], [], within_s)
    return os.read(talk.stdout.fileno(), 4096).decode() if ready else ""
