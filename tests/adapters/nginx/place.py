"""Real nginxes on this machine. Only where bg asks, each has a port of its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

from bg_agent import nginx

from orchestrator.adapters.nginx import names
from orchestrator.adapters.nginx.fragment import fragment
from orchestrator.adapters.nginx.switch import NginxSwitch
from orchestrator.core.model import ProxyKind, ProxySpec
from orchestrator.proxies.far import Far
from tests.adapters.proxies.place import Place

PROGRAM = shutil.which("nginx") or "/usr/sbin/nginx"
MAPS, CONFIG = "/etc/nginx/bg", "/etc/nginx/nginx.conf"
HEAD = """\
{user}worker_processes 2;
pid {here}/pid;
error_log {here}/log;
worker_shutdown_timeout 10s;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {here}/body;
    proxy_temp_path {here}/proxy;
    fastcgi_temp_path {here}/fastcgi;
    uwsgi_temp_path {here}/uwsgi;
    scgi_temp_path {here}/scgi;
    include {here}/conf.d/*.conf;
}}
"""


def head(here: Path) -> str:
    """As root, workers would be of another user, who may write nothing there."""
    return HEAD.format(here=here, user="user root;\n" if os.geteuid() == 0 else "")


class NginxPlace(Place):
    verbs, away, unreachable = "nginx", "nginx is away, or runs without bg's lines", nginx.Away
    reloads = signal.SIGHUP
    switch: NginxSwitch

    @staticmethod
    def spec(hosts: tuple[str, ...], url: str) -> ProxySpec:
        return ProxySpec("edge", hosts, url, maps=MAPS, kind=ProxyKind.NGINX, config=CONFIG)

    def another(self, far: Far | None = None, **more: Any) -> NginxSwitch:
        return NginxSwitch(self.site, far or self.near, **more)

    def here(self, host: str) -> dict[str, str]:
        here, port = self.folder / host, names.asked_port(self.site, self.site.proxies[0])
        return {
            MAPS: f"{here}/bg",
            CONFIG: f"{here}/nginx.conf",
            f"127.0.0.1:{port}": f"127.0.0.1:{self._asked(host)}",
            f'"port": {port}': f'"port": {self._asked(host)}',
        }

    def _asked(self, host: str) -> int:
        return self.port + 20 + self.hosts.index(host)

    def write_config(self, host: str, extra: str = "") -> None:
        here = self.folder / host
        (here / "conf.d").mkdir(parents=True, exist_ok=True)
        (here / "nginx.conf").write_text(head(here))
        text = self.on_this_machine(host, fragment(self.site, self.site.proxies[0]))
        text = re.sub(r"listen (\d+);", r"listen 127.0.0.1:\1 reuseport;", text)
        self.lines(host).write_text(text + extra)

    def lines(self, host: str) -> Path:
        return self.folder / host / "conf.d" / "bg.conf"

    def file(self, host: str) -> Path:
        return self.folder / host / "bg" / f"{self.site.name}.colors.conf"

    def edit(self, host: str) -> None:
        text = self.file(host).read_text()
        changed = text.replace("__web { default green", "__web { default blue")
        self.file(host).write_text(changed)

    def argv(self, host: str) -> list[str]:
        here = self.folder / host
        return [PROGRAM, "-c", f"{here}/nginx.conf", "-e", f"{here}/log", "-g", "daemon off;"]

    def processes(self, host: str) -> set[int]:
        return set(self._said(host).workers.serving)

    def colors(self, host: str) -> dict[str, str]:
        return self._said(host).colors

    def _said(self, host: str) -> nginx.Agreed:
        """By all workers alike."""
        return nginx.agreed(self._asked(host), self.site.name, 5.0)

    def flip_by_hand(self, host: str) -> None:
        self.edit(host)
        self.reload(host)
