"""Real HAProxies on this machine, each with a master, as Debian's unit has it."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

from bg_agent.haproxy import Away, Runtime

from orchestrator.adapters.haproxy.fragment import fragment
from orchestrator.adapters.haproxy.switch import HaproxySwitch
from orchestrator.core.model import ProxySpec
from orchestrator.proxies.far import Far
from tests.adapters.proxies.place import Place

PROGRAM = shutil.which("haproxy") or "/usr/sbin/haproxy"
SOCKET, MAPS = "/run/haproxy/admin.sock", "/etc/haproxy/bg"
DEFAULTS = """\
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout queue 5s

"""


class HaproxyPlace(Place):
    verbs, away, unreachable = "proxy", "HAProxy does not answer", Away
    reloads = signal.SIGUSR2
    switch: HaproxySwitch

    @staticmethod
    def spec(hosts: tuple[str, ...], url: str) -> ProxySpec:
        return ProxySpec("edge", hosts, url)

    def another(self, far: Far | None = None, **more: Any) -> HaproxySwitch:
        return HaproxySwitch(self.site, far or self.near, **more)

    def here(self, host: str) -> dict[str, str]:
        here = self.folder / host
        return {SOCKET: f"{here}/h.sock", MAPS: f"{here}/maps"}

    def write_config(self, host: str, extra: str = "") -> None:
        self.lines(host).parent.mkdir(parents=True, exist_ok=True)
        text = fragment(self.site, self.site.proxies[0]).replace("bind :", "bind 127.0.0.1:")
        self.lines(host).write_text(DEFAULTS + self.on_this_machine(host, text) + extra)

    def lines(self, host: str) -> Path:
        return self.folder / host / "haproxy.cfg"

    def file(self, host: str) -> Path:
        return self.map(host, "colors")

    def map(self, host: str, what: str) -> Path:
        return self.folder / host / "maps" / f"{self.site.name}.{what}.map"

    def edit(self, host: str) -> None:
        self.file(host).write_text(self.file(host).read_text().replace("web green", "web blue"))

    def argv(self, host: str) -> list[str]:
        return [PROGRAM, "-W", "-f", str(self.lines(host))]

    def runtime(self, host: str) -> Runtime:
        return Runtime(f"{self.folder / host}/h.sock")

    def processes(self, host: str) -> set[int]:
        return {self.runtime(host).pid()} - {0}

    def colors(self, host: str) -> dict[str, str]:
        return self.runtime(host).entries(str(self.file(host))) or {}

    def flip_by_hand(self, host: str) -> None:
        self.runtime(host).ask(f"set map {self.file(host)} web blue")

    async def close(self) -> None:
        self.switch.close()
        await super().close()
