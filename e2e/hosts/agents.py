"""The agent on a real host: sent and started as the controller does it, spoken to over SSH.

Root is reached past sshd, for the hosts of the tests let nobody in as root.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.hosts.fleet import Fleet
from e2e.hosts.host import PATH, Host
from tests.agents.systemd import built
from tests.agents.talk import JOURNAL, Agent, Packed

ROOT = Path(__file__).resolve().parent.parent.parent
LAY = "umask 077; mkdir -p {0}; cat > {0}/agent.pyz; {1} -I -S {0}/agent.pyz unpack"


@dataclass
class Site:
    """The site `shop` on one host, in the hands of one user."""

    fleet: Fleet
    host: Host
    how: str
    python: str = "python3"

    @property
    def user(self) -> str:
        return "root" if self.how == "root" else "deploy"

    @property
    def base(self) -> str:
        return "/opt/bg" if self.how == "root" else "/home/deploy/.local/share/bg"

    @property
    def line(self) -> list[str]:
        """What brings an argv onto the host."""
        if self.how == "root":
            inside = ["nsenter", "-t", str(self.host._leader), "-a"]
            return [*inside, "env", "-i", PATH, "HOME=/root"]
        return ["ssh", "-F", str(self.fleet.ssh_config), "-l", self.user, self.host.name, "--"]

    def lay(self, pyz: Path) -> None:
        folder = "/root/agent" if self.how == "root" else "/home/deploy/.cache/bg"
        script = LAY.format(folder, self.python)
        argv = [*self.line, "sh", "-c", script] if self.how == "root" else [*self.line, script]
        done = subprocess.run(argv, input=pyz.read_bytes(), capture_output=True, check=True)
        self._start = done.stdout.decode().strip()
        assert self._start == f"{folder}/start.py", done.stderr

    def argv(self, what: str, *words: str) -> list[str]:
        start = [self.python, "-I", "-S", self._start, what, *words]
        return [*self.line, *start, "--how", self.how]

    @contextmanager
    def agent(self, **given: Any) -> Iterator[Agent]:
        with Agent(self.argv("serve"), **given) as agent:
            yield agent

    def put(self, one: Packed, have: int = 0) -> dict[str, Any]:
        import json

        words = {"site": "shop", "journal": JOURNAL, "epoch": 1, "packed": one.sha256}
        words |= {"size": len(one.data), "offset": have}
        argv = [text for name, value in words.items() for text in (f"--{name}", str(value))]
        done = subprocess.run(
            self.argv("put", *argv), input=one.data[have:], capture_output=True, check=False
        )
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def stage(self, agent: Agent, one: Packed) -> Packed:
        offer = agent.ok("offer", **one.bytes)
        if not offer["staged"]:
            assert "ok" in self.put(one, offer["have"])
        agent.ok("commit", **one.whole)
        return one


def site_on(fleet: Fleet, host: Host, how: str, folder: Path, python: str = "python3") -> Site:
    site = Site(fleet, host, how, python)
    site.lay(built(ROOT, folder / f"built-{how}"))
    return site


def order(one: Packed, port: int, count: int = 1, **more: Any) -> dict[str, Any]:
    instances = [
        {
            "index": i,
            "argv": ["bin/web", "--port", str(port + i)],
            "env": {"NAME": "w\"ei$rd\\ 'value'\n2"},
            "port": port + i,
        }
        for i in range(count)
    ]
    given = {"service": "web", "color": "blue", "release": one.release, "instances": instances}
    return {**given, **more}


def seen(agent: Agent, index: int = 0, color: str = "blue") -> dict[str, Any]:
    (service,) = agent.ok("look", services=["web"])["services"]
    found: dict[str, Any] = service["colors"][color]["instances"][index]
    return found


def until(true: Callable[[], Any], within_s: float = 20) -> Any:
    import time

    end = time.monotonic() + within_s
    while True:
        found = true()
        if found:
            return found
        assert time.monotonic() < end, "it did not become true in time"
        time.sleep(0.05)
