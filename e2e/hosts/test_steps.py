"""Steps of the user's own on real hosts: provisioned as a step of the plan, taken back on backout.

The plain ones use nothing but a shell. With the real `puppet apply` on the hosts, and the real
`ansible-playbook` here, they are slow: a disk with Puppet on it is made once, Ansible is installed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.hosts.fleet import Fleet
from e2e.hosts.host import Host
from e2e.hosts.test_deploy import Place as OnHosts
from e2e.hosts.traces import wait_until
from e2e.place import Finished

pytestmark = pytest.mark.timeout(900)
ANSIBLE = "ansible-core==2.19.14"

PUPPET = """\
steps:
  provision:
    at: before-start
    on: hosts
    do: [sudo, -n, puppet, apply, /srv/site.pp]
    undo: [sudo, -n, puppet, apply, /srv/before.pp]
    holds: [sh, -c, 'said=$(sudo -n puppet apply --noop /srv/site.pp) && ! echo "$said" | grep -qF "(noop)"']
"""  # noqa: E501 - what a site file says; with --noop its exit code says nothing
PLAYBOOK = """\
- hosts: all
  gather_facts: false
  become: true
  tasks:
    - copy: {dest: /etc/shop.conf, content: "role=shop\\n"}
      when: state == "present"
    - file: {path: /etc/shop.conf, state: absent}
      when: state == "absent"
"""


class Place(OnHosts):
    def with_steps(self, text: str) -> Place:
        file = self.folder / "bg.yaml"
        file.write_text(file.read_text() + text)
        return self

    def conf(self) -> list[str]:
        """What the step has left on each host."""
        hosts = self.fleet.webs
        found = (host.run(["cat", "/etc/shop.conf"], check=False) for host in hosts)
        return [one.stdout.strip() for one in found]

    def breaks(self, version: str) -> None:
        """This release does not start."""
        program = self.folder / "releases" / version / "bin/web"
        program.write_text("#!/bin/sh\nexit 1\n")

    def begin(self, *arguments: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "orchestrator", "--site", str(self.folder / "bg.yaml")]
        env = {**os.environ, "HOME": str(self.folder / "home")}
        env |= {"XDG_STATE_HOME": str(self.folder / "state")}
        env.pop("SSH_AUTH_SOCK", None)
        quiet = subprocess.DEVNULL
        return subprocess.Popen([*argv, *arguments], env=env, stdout=quiet, stderr=quiet)


SHELL = """\
steps:
  provision:
    at: before-start
    on: hosts
    do: [sudo, -n, sh, -c, "echo {version} {host} >> /steps; echo role=shop > /etc/shop.conf"]
    undo: [sudo, -n, rm, /etc/shop.conf]
"""


@pytest.fixture(scope="module")
def two(hosting: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("steps"), 2) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def puppets(hosting: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("puppet"), 2, packages=("puppet-agent",)) as fleet:
        yield fleet


@pytest.fixture
def made(
    tmp_path: Path, free_ports: Callable[[int], int], request: pytest.FixtureRequest
) -> Iterator[Callable[[Fleet], Place]]:
    places: list[Place] = []

    def make(fleet: Fleet) -> Place:
        name = f"t{abs(hash(request.node.name)) % 10**8}"
        places.append(Place(tmp_path, fleet, name, free_ports(1)))
        return places[0]

    yield make
    for place in places:
        for host in place.fleet.hosts:
            host.run(["rm", "-f", "/etc/shop.conf", "/steps"])
        place.end()


def done(finished: Finished, code: int = 0) -> Finished:
    assert finished.code == code, finished
    return finished


def test_hosts_are_provisioned_by_a_step_of_the_plan_and_as_before_when_it_goes_back(
    two: Fleet, made: Callable[[Fleet], Place]
) -> None:
    place = made(two).with_steps(SHELL)
    assert "run provision on web1 and web2" in done(place.bg("plan", "1"), 10).out
    done(place.bg("deploy", "1"))
    assert place.conf() == ["role=shop"] * 2
    log = [host.run(["cat", "/steps"]).stdout.split() for host in two.webs]
    assert log == [["1", "web1"], ["1", "web2"]]
    place.breaks("2")
    failed = done(place.bg("deploy", "2"), 3)
    assert "provision is taken back on web1 and web2" in failed.err
    assert place.conf() == ["", ""]
    assert place.serves().strip() == "1"


def test_a_host_on_which_a_step_fails_is_named_with_its_words_and_all_are_taken_back(
    two: Fleet, made: Callable[[Fleet], Place]
) -> None:
    """S6"""
    fails = "test {host} = web1 || {{ echo no room; exit 7; }}; echo role=shop"
    place = made(two).with_steps(SHELL.replace("echo role=shop", fails))
    failed = done(place.bg("deploy", "1"), 3)
    assert "web2: exit code 7; last words: no room" in failed.err
    assert "web1: exit code" not in failed.err
    assert place.conf() == ["", ""]


def test_a_driver_killed_in_the_middle_of_a_step_leaves_nothing_running_and_is_gone_on_with(
    two: Fleet, made: Callable[[Fleet], Place]
) -> None:
    """S1: it was begun, so it is run again; and what ran on the host ends with its session."""
    text = SHELL.replace("echo role=shop", "test -e /tmp/go || sleep 321; echo role=shop")
    place = made(two).with_steps(text)
    driver = place.begin("deploy", "1")
    try:
        wait_until(lambda: all(sleeps(host) for host in two.webs), 60, "the step is not at it")
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    wait_until(lambda: not any(sleeps(host) for host in two.webs), 30, "it runs on")
    for host in two.webs:
        host.run(["touch", "/tmp/go"])
    done(place.bg("resume"))
    assert place.conf() == ["role=shop"] * 2
    log = [host.run(["cat", "/steps"]).stdout.split() for host in two.webs]
    assert log == [["1", "web1"] * 2, ["1", "web2"] * 2]
    for host in two.webs:
        host.run(["rm", "/tmp/go"])


def sleeps(host: Host) -> bool:
    return "sleep 321" in host.run(["ps", "-eo", "args"]).stdout


# -- With the real ones --------------------------------------------------------------------


@pytest.mark.slow
def test_hosts_are_provisioned_by_puppet_and_back_as_before(
    puppets: Fleet, made: Callable[[Fleet], Place]
) -> None:
    place = made(puppets).with_steps(PUPPET)
    for host in puppets.webs:
        host.write("/srv/site.pp", "file { '/etc/shop.conf': content => \"role=shop\\n\" }\n")
        host.write("/srv/before.pp", "file { '/etc/shop.conf': ensure => absent }\n")
    done(place.bg("deploy", "1"))
    assert place.conf() == ["role=shop"] * 2
    assert "provision" not in place.bg("plan", "2").out, "it holds, so it is in no plan"
    puppets["web2"].run(["rm", "/etc/shop.conf"])
    assert "run provision on web2" in done(place.bg("plan", "2"), 10).out
    done(place.bg("deploy", "2"))
    assert place.conf() == ["role=shop"] * 2
    done(place.bg("backout"))
    assert place.conf() == ["role=shop", ""], "on web1 it was so before, and stays"


@pytest.fixture(scope="module")
def ansible(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of its programs."""
    folder = tmp_path_factory.mktemp("ansible")
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [str(folder / "bin/pip"), "install", "--quiet", ANSIBLE]
    subprocess.run(pip, check=True, timeout=600)
    print(f"{ANSIBLE} was installed in {time.monotonic() - began:.0f} s")
    return folder / "bin"


@pytest.mark.slow
def test_hosts_are_provisioned_by_ansible_from_here_and_back_as_before(
    two: Fleet, made: Callable[[Fleet], Place], ansible: Path
) -> None:
    place = made(two)
    (place.folder / "shop.yml").write_text(PLAYBOOK)
    (place.folder / "inventory").write_text("".join(f"{host.name}\n" for host in two.webs))
    argv = f"{ansible}/ansible-playbook, -i, inventory, shop.yml, -e, ansible_user=deploy"
    env = f"{{ANSIBLE_SSH_ARGS: '-F {two.ssh_config}', ANSIBLE_HOME: '{place.folder}/ansible'}}"
    place.with_steps(
        "steps:\n  provision:\n    at: before-start\n    of: web\n"
        f"    do: [{argv}, -e, state=present]\n"
        f"    undo: [{argv}, -e, state=absent]\n"
        f"    env: {env}\n"
    )
    done(place.bg("deploy", "1"))
    assert place.conf() == ["role=shop"] * 2
    done(place.bg("deploy", "2"))
    done(place.bg("deny", "cutover"), 0)
    assert place.conf() == ["", ""]
    assert place.serves().strip() == "1"
