"""The shop of `behind`, with two nginxes in place of the HAProxies."""

from __future__ import annotations

import re

from e2e.hosts.behind import Behind
from e2e.hosts.host import Host

COLORS = "/etc/nginx/bg/shop.colors.conf"


class BehindNginx(Behind):
    unit = "nginx"

    def _text(self) -> str:
        text = super()._text().replace("haproxy:", "nginx:").replace(", hold: 2s", "")
        assert "nginx:" in text
        return text

    def open_proxies(self) -> None:
        """bg may write its colors. `deploy` may test and reload nginx with `sudo -n`."""
        for proxy in self.fleet.proxies:
            proxy.run(["install", "-d", "-o", "deploy", "/etc/nginx/bg"])

    def configure(self, proxy: Host) -> None:
        """What `init nginx` prints, as a file of its own; returns when nginx answers."""
        proxy.write("/etc/nginx/conf.d/bg.conf", self.bg("init", "nginx").out)
        proxy.run(["systemctl", "restart", "nginx"])
        self.until_up(proxy)

    def by_hand(self, proxy: Host, color: str) -> None:
        """Somebody edits the file, and reloads."""
        pattern = r"(color__web \{ default )\w+"
        proxy.write(COLORS, re.sub(pattern, rf"\g<1>{color}", proxy.read(COLORS)))
        proxy.run(["systemctl", "reload", "nginx"])

    def colors_file(self, proxy: Host) -> dict[str, str]:
        return dict(re.findall(r"(?m)^map (\S+) \$\w+ \{ default (\w+); \}$", proxy.read(COLORS)))
