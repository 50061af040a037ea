"""The same rollout as others do it: pyinfra and Ansible, from PyPI, in an environment of the bench.

    rival = PyInfra(fleet); rival.prepare(); rival.deploy("2"); rival.switch(); rival.backout()

What it does on every host: send the release, unpack it, point the color at it, write a unit, enable
and start it. A switch and a way back look whether the unit runs everywhere, and write one file
here. Each in the quick way of that tool: few operations, pipelining, kept connections, as many at
once as is good for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import venv
from collections.abc import Callable
from pathlib import Path

from bench.hosts_site import Fleet

PINS = ("ansible-core==2.19.14", "pyinfra==3.10.0")
COLORS = {"1": "blue", "2": "green"}
UNIT = """\
[Unit]
Description=web {color}

[Service]
ExecStart=%h/current/{color}/bin/web {port} {version}
Restart=always

[Install]
WantedBy=default.target
"""


def environment() -> Path:
    """The folder of their programs; made where it is not there yet."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    at = cache / f"bg-bench-{hashlib.sha256(' '.join(PINS).encode()).hexdigest()[:12]}"
    if not (at / "done").exists():
        venv.create(at, with_pip=True, clear=True)
        pip = [str(at / "bin/python"), "-m", "pip", "install", "-q", *PINS]
        subprocess.run(pip, check=True, stdout=subprocess.DEVNULL)
        (at / "done").touch()
    return at / "bin"


class Rival:
    """`fleet`: the hosts it works on, and where bgctl would have its site."""

    name = ""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet, self.bin = fleet, environment()
        self.folder = fleet.place.folder / f"{self.name}-{fleet.count}"
        self.folder.mkdir()
        self.live = self.folder / "live"
        for version, color in COLORS.items():
            source = fleet.folder / "releases" / version
            with tarfile.open(self.folder / f"web-{version}.tar", "w") as tar:
                tar.add(source, ".")
            port = fleet.ports[0 if color == "blue" else 1] + self.beside
            text = UNIT.format(color=color, port=port, version=version)
            (self.folder / f"{self.name}-{color}.service").write_text(text)
        self.lay_out()

    beside = 0  # its ports are so far from those of bgctl
    parallel = 1

    def lay_out(self) -> None:
        raise NotImplementedError

    def deploy(self, version: str) -> None:
        raise NotImplementedError

    def running(self, color: str) -> None:
        raise NotImplementedError

    def switch(self) -> None:
        self.running("green")
        self._point("green")

    def backout(self) -> None:
        self.running("blue")
        self._point("blue")

    def steps(self) -> dict[str, Callable[[], object]]:
        """What is measured, in this order, where version 1 runs."""
        return {
            "deploy": lambda: self.deploy("2"),
            "switch": self.switch,
            "backout": self.backout,
        }

    def _point(self, color: str) -> None:
        beside = self.live.with_suffix(".new")
        beside.write_text(color)
        beside.rename(self.live)

    def _run(self, *argv: str) -> str:
        env = {**self.fleet.place.env, "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg")}
        env.pop("PYTHONPATH")
        done = subprocess.run(
            argv, cwd=self.folder, env=env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{self.name}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout


# -- pyinfra -----------------------------------------------------------------------------------

PYINFRA_DEPLOY = """\
from pyinfra import host
from pyinfra.operations import files, server, systemd
version, color = host.data.version, host.data.color
files.put(src=f"web-{version}.tar", dest=f"web-{version}.tar")
server.shell(commands=[
    f"mkdir -p releases/{version} && tar -xf web-{version}.tar -C releases/{version}"])
files.link(path=f"current/{color}", target=f"../releases/{version}")
unit = f"pyinfra-{color}.service"
files.put(src=unit, dest=f".config/systemd/user/{unit}")
systemd.service(
    service=unit, running=True, enabled=True, daemon_reload=True, user_mode=True)
"""
PYINFRA_RUNNING = """\
from pyinfra import host
from pyinfra.operations import server
server.shell(commands=[f"systemctl --user is-active pyinfra-{host.data.color}.service"])
"""


class PyInfra(Rival):
    name, beside, parallel = "pyinfra", 1, 64

    def lay_out(self) -> None:
        place = self.fleet.place
        common = {
            "ssh_port": place.port,
            "ssh_key": str(place.home / ".ssh/id_ed25519"),
            "ssh_known_hosts_file": str(place.home / ".ssh/known_hosts"),
            "ssh_strict_host_key_checking": "yes",
            "ssh_allow_agent": False,
            "ssh_look_for_keys": False,
        }
        there = [
            (name, {"ssh_hostname": address, "ssh_user": name, **common})
            for name, address in place.hosts(self.fleet.count)
        ]
        (self.folder / "inventory.py").write_text(f"hosts = {there!r}\n")
        (self.folder / "deploy.py").write_text(PYINFRA_DEPLOY)
        (self.folder / "running.py").write_text(PYINFRA_RUNNING)

    def deploy(self, version: str) -> None:
        self._does("deploy.py", version=version, color=COLORS[version])

    def running(self, color: str) -> None:
        self._does("running.py", color=color)

    def _does(self, file: str, **data: str) -> None:
        words = [word for pair in data.items() for word in ("--data", "=".join(pair))]
        argv = ["inventory.py", file, "-y", "--parallel", str(self.parallel), *words]
        self._run(str(self.bin / "pyinfra"), *argv)


# -- Ansible -----------------------------------------------------------------------------------

ANSIBLE_CFG = """\
[defaults]
inventory = hosts.json
forks = {forks}
gathering = explicit
host_key_checking = True
interpreter_python = /usr/bin/python3
[ssh_connection]
pipelining = True
ssh_args = -o ControlMaster=auto -o ControlPersist=60s
control_path_dir = {control}
"""
ANSIBLE_DEPLOY = [
    {"file": {"path": "releases/{{ version }}", "state": "directory"}},
    {"unarchive": {"src": "web-{{ version }}.tar", "dest": "releases/{{ version }}"}},
    {"file": {"path": "current", "state": "directory"}},
    {"file": {"path": "current/{{ color }}", "src": "../releases/{{ version }}", "state": "link"}},
    {"file": {"path": ".config/systemd/user", "state": "directory"}},
    {"copy": {"src": "ansible-{{ color }}.service", "dest": ".config/systemd/user/"}},
    {
        "systemd_service": {
            "name": "ansible-{{ color }}.service",
            "scope": "user",
            "state": "started",
            "enabled": True,
            "daemon_reload": True,
        }
    },
]
ANSIBLE_RUNNING = [{"command": "systemctl --user is-active ansible-{{ color }}.service"}]


class Ansible(Rival):
    name, beside, parallel = "ansible", 2, 16

    def lay_out(self) -> None:
        place = self.fleet.place
        key = str(place.home / ".ssh/id_ed25519")
        known = f"-o UserKnownHostsFile={place.home}/.ssh/known_hosts"
        common = {"ansible_port": place.port, "ansible_ssh_private_key_file": key}
        common["ansible_ssh_common_args"] = known
        hosts = {
            name: {"ansible_host": address, "ansible_user": name}
            for name, address in place.hosts(self.fleet.count)
        }
        inventory = {"all": {"hosts": hosts, "vars": common}}
        (self.folder / "hosts.json").write_text(json.dumps(inventory))
        control = self.folder / "c"
        text = ANSIBLE_CFG.format(forks=self.parallel, control=control)
        (self.folder / "ansible.cfg").write_text(text)
        for name, tasks in (("deploy", ANSIBLE_DEPLOY), ("running", ANSIBLE_RUNNING)):
            play = [{"hosts": "all", "gather_facts": False, "tasks": tasks}]
            (self.folder / f"{name}.json").write_text(json.dumps(play))

    def deploy(self, version: str) -> None:
        self._does("deploy.json", version=version, color=COLORS[version])

    def running(self, color: str) -> None:
        self._does("running.json", color=color)

    def _does(self, file: str, **data: str) -> None:
        self._run(str(self.bin / "ansible-playbook"), file, "-e", json.dumps(data))


if __name__ == "__main__":
    print(environment(), file=sys.stderr)
