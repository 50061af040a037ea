"""A few real hosts for as long as a test needs them.

    with Fleet(tmp_path, 8, proxies=2) as fleet:
        fleet.ssh(fleet["web1"], ["hostname"])

The hosts are web1, web2 … and proxy1 …; each is a systemd of its own over the one read-only disk
of `image`, in a network namespace of its own, reached from this machine at `host.address` with the
key, `known_hosts` and `ssh_config` of the fleet. Users: `deploy` (may `sudo -n`) and `plain` (may
not). Where this machine's pyenv has them, the oldest Python that bg's agent knows and the newest
lie in /opt/python3.8 and /opt/python3.X.

The one rule: nothing outlives the fleet, also where its owner is killed (see `traces`). It refuses
to know what is tested on it; the trouble a host can be in is in `host`.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from e2e.hosts import image, traces, wires
from e2e.hosts.disk import Disk
from e2e.hosts.host import Host

BOOT_S = 60.0  # how long a boot may take on a machine that is busy with other things


class Fleet:
    """`folder`: where disks, keys and consoles lie; must not be on an overlay itself.

    `count` hosts, the last `proxies` of them with HAProxy running. `packages`: Debian packages they
    have besides (another disk is made for them, once). Entering raises `TimeoutError` where a host
    does not come up, with the end of its console.
    """

    def __init__(
        self, folder: Path, count: int = 2, *, proxies: int = 0, packages: tuple[str, ...] = ()
    ) -> None:
        self.folder = folder / "hosts"
        self.key, self.known_hosts = self.folder / "key", self.folder / "known_hosts"
        self.ssh_config = self.folder / "ssh_config"
        self.boot_s = 0.0  # how long it took until all were up; making the disk is not counted
        self.hosts: tuple[Host, ...] = ()
        self._names = [f"web{i + 1}" for i in range(count - proxies)]
        self._names += [f"proxy{i + 1}" for i in range(proxies)]
        self._packages = packages

    def __enter__(self) -> Fleet:
        traces.sweep()
        base = image.base(self._packages)
        self.folder.mkdir(parents=True)
        self.number = traces.claim(self.folder)
        self._warden = traces.warden(self.number)
        try:
            began = time.monotonic()
            self._make(base)
            self.boot(*self.hosts)
            self.boot_s = time.monotonic() - began
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getitem__(self, name: str) -> Host:
        return next(host for host in self.hosts if host.name == name)

    @property
    def webs(self) -> tuple[Host, ...]:
        return tuple(host for host in self.hosts if host.name.startswith("web"))

    @property
    def proxies(self) -> tuple[Host, ...]:
        return tuple(host for host in self.hosts if host.name.startswith("proxy"))

    def boot(self, *hosts: Host) -> None:
        """All of them side by side, until each has started everything and its sshd answers."""
        for host in hosts:
            host.begin_boot()
        for host in hosts:
            host.wait_until_up(BOOT_S)

    def ssh(
        self,
        host: Host,
        argv: Sequence[str],
        *,
        user: str = "deploy",
        port: int = 22,
        timeout_s: float = 30,
    ) -> subprocess.CompletedProcess[str]:
        """As an operator would, with OpenSSH; 255 is its own failure. Spaces join the words."""
        options = ["-F", str(self.ssh_config), "-l", user, "-p", str(port)]
        if port != 22:
            options += ["-o", f"HostKeyAlias={host.name}"]  # the same key, whatever the port
        command = ["ssh", *options, host.name, "--", *argv]
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def close(self) -> None:
        """Nothing is left but keys and the consoles' words in the folder. Twice is once."""
        for host in self.hosts:
            host.bury()
        traces.remove(self.number)
        for host in self.hosts:
            host.disk.throw_away()
        stdin = self._warden.stdin
        if stdin and not stdin.closed:
            stdin.close()
        self._warden.wait(timeout=10)

    def _make(self, base: Path) -> None:
        self.controller = wires.bridge(self.number)
        keygen("bg test", self.key)
        made = []
        for index, name in enumerate(self._names):
            disk = Disk(self.folder / name, base)
            host = Host(name=name, index=index, number=self.number, disk=disk)
            host.ssh_key = self.key
            made.append(host)
            self.hosts = tuple(made)
            disk.lay(name, self.key.with_suffix(".pub").read_text())
            if name.startswith("proxy"):
                disk.enable("haproxy.service")
        self._write_addresses()

    def _write_addresses(self) -> None:
        lines = [f"{host.address} {host.name}" for host in self.hosts]
        for host in self.hosts:
            text = "\n".join(["127.0.0.1 localhost", f"{self.controller} controller", *lines])
            (host.disk.root / "etc/hosts").write_text(text + "\n")
        self.known_hosts.write_text("".join(host.known_hosts_line for host in self.hosts))
        config = [f"Host {host.name}\n  HostName {host.address}" for host in self.hosts]
        config += ["Host *", "  User deploy", f"  IdentityFile {self.key}", "  IdentitiesOnly yes"]
        config += [f"  UserKnownHostsFile {self.known_hosts}", "  GlobalKnownHostsFile none"]
        config += ["  StrictHostKeyChecking yes", "  BatchMode yes", "  ConnectTimeout 5"]
        config += ["  LogLevel ERROR"]
        self.ssh_config.write_text("\n".join(config) + "\n")


def keygen(comment: str, path: Path) -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
