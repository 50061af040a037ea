"""The site of `bench.hosts`, and bgctl on it: a small program on every host, behind one switch.

It refuses to know how long anything takes.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bench.hosts_place import ROOT, Place
from orchestrator.adapters.local.processes import LocalProcesses

BYTES = 256 * 1024  # of a release, beside its program
WEB = r"""#!/usr/bin/perl
# Says its version to whoever connects at the address of its host.
use strict; use Socket;
my ($port, $version) = @ARGV;
open(my $known, "<", "$ENV{HOME}/.address") or die $!;
chomp(my $host = <$known>);
socket(my $ear, PF_INET, SOCK_STREAM, 6) or die $!;
setsockopt($ear, SOL_SOCKET, SO_REUSEADDR, 1);
bind($ear, sockaddr_in($port, inet_aton($host))) or die $!;
listen($ear, 16) or die $!;
while (1) {
    my $from = accept(my $line, $ear) or next;
    my $got = "";
    while ($got !~ /\r\n\r\n/) { sysread($line, $got, 4096, length $got) or last }
    my $head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " . length $version;
    syswrite($line, "$head\r\n\r\n$version");
    close $line;
}
"""
FILE = """\
site: {name}
services:
  web:
    artifact: releases/{{version}}
    run: [bin/web, "{{port}}", "{{version}}"]
    instances: {{on: [{names}], ports: {{blue: {blue}, green: {green}}}}}
    probes: [{{http: /, expect: {{body: "{{version}}"}}}}]
    probing: {{every: 200ms, well: 1, within: 5m, timeout: 10s}}
    behind: {{switch: edge}}
switches: {{edge: {{envoy: {{listen: "127.0.0.1:{listen}"}}}}}}
hosts:
{hosts}
rollout: {{soak: 0s, drain: 1s, tries: 1}}
"""


def release(folder: Path, version: str) -> Path:
    """A program and bytes that no packing makes smaller."""
    at = folder / version
    (at / "bin").mkdir(parents=True, exist_ok=True)
    (at / "bin/web").write_text(WEB)
    (at / "bin/web").chmod(0o755)
    block = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(BYTES // 32))
    (at / "data").write_bytes(block + version.encode())
    return at


class Fleet:
    """bgctl on the first `count` hosts. `ports`: of blue, green and the switch."""

    def __init__(
        self, place: Place, count: int, ports: tuple[int, int, int], *, name: str = "fleet"
    ) -> None:
        self.place, self.count, self.ports, self.name = place, count, ports, name
        self.folder = place.folder / f"site-{name}"
        self.folder.mkdir()
        for version in ("1", "2"):
            release(self.folder / "releases", version)
        there = place.hosts(count)
        words = {"names": ", ".join(host for host, _ in there), "name": name}
        words["hosts"] = "\n".join(
            f"  {host}: {{address: {at}, user: {host}, port: {place.port}, how: user}}"
            for host, at in there
        )
        blue, green, listen = ports
        text = FILE.format(blue=blue, green=green, listen=listen, **words)
        (self.folder / "bg.yaml").write_text(text)

    @property
    def env(self) -> dict[str, str]:
        return {**self.place.env, "XDG_STATE_HOME": str(self.folder / "state")}

    @property
    def state(self) -> Path:
        return self.folder / "state/bgctl" / self.name

    def bg(self, *words: str) -> str:
        """What it says on both of its outputs. `RuntimeError` where it does not say 0."""
        argv = [sys.executable, "-m", "orchestrator", "--site", str(self.folder / "bg.yaml")]
        done = subprocess.run(
            [*argv, *words], cwd=ROOT, env=self.env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"bgctl {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def steps(self) -> dict[str, Callable[[], object]]:
        """What is measured, in this order, where version 1 serves."""
        return {
            "deploy": lambda: self.bg("deploy", "2"),
            "switch": lambda: self.bg("switch"),
            "backout": lambda: self.bg("backout"),
        }

    def end(self) -> None:
        """The switch of this machine. What runs on hosts ends with them."""
        processes = LocalProcesses(str(self.state / "run"))
        for seen in processes.look():
            processes.end(seen.name, hard=True)
