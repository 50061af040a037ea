"""A shop on two hosts behind two HAProxies, under the real command: web asks api, each at the inner
address of its own world.

What an operator does once by hand (a folder, a group, the lines that `init haproxy` prints) is done
by `open_proxies` and `configure`, so that a test can leave it out. The one rule: who serves is
asked of the proxies themselves, not of bg.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from e2e.hosts import traces
from e2e.hosts.fleet import Fleet
from e2e.hosts.host import Host
from e2e.load import Load
from e2e.place import ROOT, Finished
from examples.shop import make_releases

PORT = 8080
OLD, NEW = "1 1", "2 2"
COMMAND_S = 150.0
HEALTH = 'json: {version: "{version}", color: "{color}"}'
SERVICE = """\
  {name}:
    artifact: releases/{artifact}
    run: [python3, shop.py, --host, 0.0.0.0, --port, "{{port}}", --color, "{{color}}",
          --instance, "{{instance}}"]
    stop: 5s
    instances: {{on: [{webs}], ports: {{blue: {port}, green: {other}}}}}
    probes: [{{http: /healthz, expect: {{status: 200, {health}}}}}{more}]
    probing: {{every: 100ms, well: 3, ill: 3, within: 15s, timeout: 1s}}
"""
FILE = """\
site: shop
services:
{web}    env: {{API_URL: "{{api.url}}"}}
    behind: {{switch: edge}}
    uses: {{api: same}}
{api}    behind: {{switch: edge, path: /api}}
switches:
  edge: {{haproxy: {{on: [{proxies}], url: "{url}"}}}}
hosts:
{hosts}
rollout: {{soak: 500ms, drain: 2s, tries: 1, lease: 3s, hold: 2s}}
state: state
"""
SAY = """\
import socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect("/run/haproxy/admin.sock")
line.sendall(sys.argv[1].encode() + b"\\n")
line.recv(100)
"""


class Behind:
    """The site, in a folder of its own. `fleet` has two hosts `web…` and two `proxy…` at least."""

    unit = "haproxy"

    def __init__(self, folder: Path, fleet: Fleet) -> None:
        self.folder, self.fleet = folder, fleet
        (folder / "home/.ssh").mkdir(parents=True)
        (folder / "home/.ssh/config").write_text(fleet.ssh_config.read_text())
        make_releases.make(folder / "releases")
        self.file = folder / "bg.yaml"
        self.file.write_text(self._text())

    def _text(self) -> str:
        def service(name: str, artifact: str, port: int, more: str = "") -> str:
            webs = ", ".join(host.name for host in self.fleet.webs)
            words = {"name": name, "artifact": artifact, "webs": webs, "health": HEALTH}
            words["more"] = more
            return SERVICE.format(port=port, other=port + 10, **words)

        return FILE.format(
            web=service("web", "web-{version}", 8110),
            api=service("api", "api-{version}.tar.gz", 8130, ", {exec: [test, -f, release.json]}"),
            proxies=", ".join(proxy.name for proxy in self.fleet.proxies),
            url=self.url(self.fleet.proxies[0]),
            hosts="\n".join(
                f"  {host.name}: {{address: {host.address}, user: deploy, how: sudo}}"
                for host in self.fleet.hosts
            ),
        )

    # -- The command -------------------------------------------------------------------------

    def bg(self, *arguments: str) -> Finished:
        """`bgctl ARGUMENTS`, to its end."""
        with self.begun(*arguments) as running:
            out, err = running.communicate(timeout=COMMAND_S)
        return Finished(running.returncode, out, err)

    @contextmanager
    def begun(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """The command while it runs; it does not outlive the block."""
        argv = [sys.executable, "-m", "orchestrator", "--site", str(self.file), *arguments]
        env = {**os.environ, "HOME": str(self.folder / "home"), "NO_COLOR": "1"}
        env.pop("SSH_AUTH_SOCK", None)
        pipe = subprocess.PIPE
        running = subprocess.Popen(argv, cwd=ROOT, env=env, stdout=pipe, stderr=pipe, text=True)
        try:
            yield running
        finally:
            if running.poll() is None:
                running.kill()
                running.communicate()

    # -- The proxies -------------------------------------------------------------------------

    def url(self, proxy: Host) -> str:
        return f"http://{proxy.address}:{PORT}"

    def open_proxies(self) -> None:
        """bg may write its maps and use the socket."""
        for proxy in self.fleet.proxies:
            proxy.run(["install", "-d", "-o", "deploy", "/etc/haproxy/bg"])
            proxy.run(["usermod", "-aG", "haproxy", "deploy"])

    def configure(self, proxy: Host) -> None:
        """What `init haproxy` prints, at the end of Debian's own; returns when HAProxy answers."""
        lines = self.bg("init", "haproxy").out
        proxy.run(["tee", "-a", "/etc/haproxy/haproxy.cfg"], input=lines)
        proxy.run(["systemctl", "reload", "haproxy"])
        self.until_up(proxy)

    def begin(self) -> Finished:
        """From bare proxies to web 1 and api 1 at each; what the very first deploy said, to which
        the lines were missing.
        """
        self.open_proxies()
        refused = self.bg("deploy", "1")
        assert refused.code == 2, "the files that the lines name are laid"
        for proxy in self.fleet.proxies:
            self.configure(proxy)
        first = self.bg("deploy", "1")
        assert first.code == 0, first
        assert self.answers() == {"proxy1": OLD, "proxy2": OLD}
        return refused

    def kill_and_restart(self, proxy: Host) -> None:
        proxy.run(["systemctl", "kill", "-s", "KILL", self.unit])
        proxy.run(["systemctl", "reset-failed", self.unit], check=False)
        proxy.run(["systemctl", "restart", self.unit])
        self.until_up(proxy)

    def until_up(self, proxy: Host) -> None:
        traces.wait_until(lambda: proxy.answers(PORT), 15, f"{proxy.name}: {self.unit} is not up")

    def answers(self) -> dict[str, str]:
        """Of each proxy that answers, the worlds of web and of the api that it asked: `2 2`."""
        return {proxy.name: self.asked(proxy) for proxy in self.fleet.proxies}

    def asked(self, proxy: Host) -> str:
        said = self._said(proxy)
        return f"{said['version']} {said['api']['version']}"

    def who_answers(self) -> set[int]:
        """The numbers of the hosts that take part in answers, at any proxy."""
        said = [self._said(proxy) for _ in range(12) for proxy in self.fleet.proxies]
        return {one for answer in said for one in (answer["instance"], answer["api"]["instance"])}

    def _said(self, proxy: Host) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url(proxy)}/", timeout=5) as answer:
            said: dict[str, Any] = json.loads(answer.read())
        return said

    def by_hand(self, proxy: Host, color: str) -> None:
        """Somebody flips web at the socket."""
        command = f"set map /etc/haproxy/bg/shop.colors.map web {color}"
        proxy.run(["python3", "-c", SAY, command])

    def colors_file(self, proxy: Host) -> dict[str, str]:
        lines = re.findall(r"(?m)^([a-z][\w.-]*) (\w+)$", proxy.read(COLORS))
        return dict(lines)

    # -- The load ----------------------------------------------------------------------------

    @contextmanager
    def visited(self, rate: float = 25) -> Iterator[list[Load]]:
        """People come in at every proxy, and not one request is lost or torn."""
        loads = [Load(self.url(proxy), rate=rate) for proxy in self.fleet.proxies]
        try:
            for load in loads:
                load.__enter__()
            yield loads
        finally:
            for load in loads:
                load.end()
        for load in loads:
            assert load.answered > 0
            assert (load.lost, load.torn) == (0, 0), (load.why_lost, load.by)


COLORS = "/etc/haproxy/bg/shop.colors.map"
