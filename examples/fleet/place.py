"""Where the fleet's demo plays: its site file with the addresses that the hosts got, its releases,
and three small programs to play with, `bgctl`, `ssh` and `fleet`, that know these hosts.

The one rule: everything lies in one folder, and goes with it. Only the hosts themselves know how
they are booted (`hosts`).
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from e2e.hosts import traces
from e2e.hosts.fleet import Fleet
from e2e.hosts.host import Host
from examples.shop import make_releases

HERE = Path(__file__).resolve().parent
STATE = HERE / "state"
PORT = 8080
# Where a host dies, HAProxy asks another one again: whatever of a request fits in a buffer.
DEFAULTS = """\
global
    user haproxy
    group haproxy
    hard-stop-after 60s
    tune.bufsize 65536
defaults
    mode http
    timeout connect 500ms
    timeout client 30s
    timeout server 3s
    retry-on all-retryable-errors

"""


def site_text(fleet: Fleet) -> str:
    """`bg.yaml`, for these hosts."""
    text = (HERE / "bg.yaml").read_text()
    for first, hosts in (("web1", fleet.webs), ("proxy1", fleet.proxies)):
        names = ", ".join(host.name for host in hosts)
        text = re.sub(rf"on: \[{first}.*?\]", f"on: [{names}]", text)
    lines = "".join(map(_line, fleet.hosts))
    text = re.sub(r"(?m)^hosts:\n(  .*\n)+", lambda _: f"hosts:\n{lines}", text)
    return re.sub(r'url: ".*?"', f'url: "{urls(fleet)[0]}"', text)


def _line(host: Host) -> str:
    return f"  {host.name}: {{address: {host.address}, user: deploy, how: sudo}}\n"


def urls(fleet: Fleet) -> tuple[str, ...]:
    """Where people reach the service: every proxy answers."""
    return tuple(f"http://{host.address}:{PORT}" for host in fleet.proxies)


def furnish(folder: Path, fleet: Fleet) -> Path:
    """The site file in a folder of its own, with releases, and a home that knows the hosts."""
    (folder / "home/.ssh").mkdir(parents=True, exist_ok=True)
    (folder / "home/.ssh/config").write_text(fleet.ssh_config.read_text())
    make_releases.make(folder / "releases")
    site = folder / "bg.yaml"
    site.write_text(site_text(fleet))
    return site


def tools(folder: Path, fleet: Fleet) -> None:
    """A folder for the PATH: `bgctl`, `ssh` and `fleet`, for these hosts alone."""
    python, ssh = Path(sys.executable), shutil.which("ssh") or "ssh"
    home, site = shlex.quote(f"HOME={folder}/home"), shlex.quote(f"BG_SITE={folder}")
    programs = {
        "bgctl": f"env {home} {site} {shlex.quote(str(python.with_name('bgctl')))}",
        "ssh": f"{shlex.quote(ssh)} -F {shlex.quote(str(fleet.ssh_config))}",
        "fleet": f"{shlex.quote(str(python))} {shlex.quote(str(HERE / 'demo.py'))}",
    }
    (folder / "bin").mkdir(exist_ok=True)
    for name, program in programs.items():
        path = folder / "bin" / name
        path.write_text(f'#!/bin/sh\nexec {program} "$@"\n')
        path.chmod(0o755)


def open_proxies(proxies: Sequence[Host]) -> None:
    """What an operator does once on each proxy: bg may write its maps and use the socket."""
    for proxy in proxies:
        proxy.run(["install", "-d", "-o", "deploy", "/etc/haproxy/bg"])
        proxy.run(["usermod", "-aG", "haproxy", "deploy"])


def configure(proxies: Sequence[Host], lines: str) -> None:
    """The configuration of each, with the lines that bg needs, and HAProxy is started with it."""
    # Debian starts HAProxy as root; its socket is for the group that the operator put `deploy` in.
    ours = lines.replace("mode 660 level", "user root group haproxy mode 660 level")
    for proxy in proxies:
        proxy.write("/etc/haproxy/haproxy.cfg", DEFAULTS + ours)
        proxy.run(["systemctl", "restart", "haproxy"])
    for proxy in proxies:
        traces.wait_until(partial(proxy.answers, PORT), 15, f"{proxy.name}: HAProxy is not up")
