"""Where everything lies on this host, and by whose hand units are managed.

Pure but for asking who we are. The one rule: every path below a site's root is made of names that
were checked, so none leaves it. It refuses to know what lies there.
"""

from __future__ import annotations

import os

from bg_agent.trouble import Refused

COLORS = ("blue", "green")
HOWS = ("root", "user", "sudo")


class Host:
    """Whose hand, and the folders of this host."""

    __slots__ = ("base", "home", "how", "units", "wanted_by")

    def __init__(self, how: str = "", base: str = "") -> None:
        self.how = how or ("root" if os.geteuid() == 0 else "user")
        if self.how not in HOWS:
            raise Refused("--how is root, user or sudo", "bad-request")
        self.home = os.environ.get("HOME") or _home()
        self.base = base or ("/opt/bg" if self.how == "root" else self.home + "/.local/share/bg")
        if not self.base.startswith("/") or not self.base.isprintable():
            raise Refused("the base folder has to be an absolute, printable path", "bad-request")
        config = os.environ.get("XDG_CONFIG_HOME") or self.home + "/.config"
        # Empty: they lie in the site's root, and are linked.
        self.units = {"root": "/etc/systemd/system", "user": config + "/systemd/user"}.get(self.how)
        self.wanted_by = "default.target" if self.how == "user" else "multi-user.target"

    def site(self, name: str) -> Root:
        return Root(self, name)


class Root:
    """The folders and files of one site; its name was checked."""

    __slots__ = ("at", "host", "site")

    def __init__(self, host: Host, site: str) -> None:
        self.host, self.site = host, site
        self.at = os.path.join(host.base, site)

    @property
    def ledger(self) -> str:
        return self.at + "/ledger"

    @property
    def lock(self) -> str:
        return self.at + "/lock"

    @property
    def incoming(self) -> str:
        return self.at + "/incoming"

    def releases(self, service: str) -> str:
        return "%s/releases/%s" % (self.at, service)

    def current(self, service: str, color: str) -> str:
        return "%s/current/%s/%s" % (self.at, service, color)

    def private(self, service: str, color: str) -> str:
        return "%s/private/%s/%s" % (self.at, service, color)

    def template(self, service: str, color: str) -> str:
        """The name of the template unit."""
        return "bg-%s-%s-%s@.service" % (self.site, service, color)

    def unit(self, service: str, color: str, index: int) -> str:
        return "bg-%s-%s-%s@%d.service" % (self.site, service, color, index)

    def unit_file(self, service: str, color: str) -> str:
        folder = self.host.units or self.at + "/units"
        return os.path.join(folder, self.template(service, color))


def _home() -> str:
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_dir
