"""A thousand hosts on this machine, and how to reach them: a key, a `known_hosts`, a home.

    with hosts(1000) as place: …        place.env is what a program needs to reach them

What a host is there, `bench.far.hosts` says. Root and the disk of `e2e.hosts` are needed. All of it
lies in a folder that goes away, and ends as one process does.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.far.hosts import address_of, name_of

ROOT = Path(__file__).resolve().parent.parent
FAR = ROOT / "bench" / "far" / "hosts.py"
PYTHON = "/usr/bin/python3"  # outside any virtual environment, and of the disk's own kind
SSHD_CONFIG = """\
HostKey /etc/ssh/bench_key
AuthorizedKeysFile /etc/ssh/bench_authorized
StrictModes no
UsePAM no
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 4000
MaxSessions 100
LoginGraceTime 300
PrintMotd no
PrintLastLog no
X11Forwarding no
LogLevel ERROR
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True, slots=True)
class Place:
    """`count` hosts, all at `port`; `folder`/home is the home of whoever drives."""

    folder: Path
    count: int
    port: int
    pid: int  # of process 1 of the far side

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def env(self) -> dict[str, str]:
        env = {**os.environ, "HOME": str(self.home), "NO_COLOR": "1"}
        env |= {"XDG_STATE_HOME": str(self.folder / "state"), "PYTHONPATH": str(ROOT)}
        env.pop("SSH_AUTH_SOCK", None)
        return env

    def hosts(self, count: int) -> list[tuple[str, str]]:
        """Name and address of the first of them. The name is the user's as well."""
        return [(name_of(n), address_of(n)) for n in range(count)]

    def run(self, *argv: str) -> str:
        """On the far side, as root, past SSH."""
        inside = ["nsenter", "-t", str(self.pid), "-m", "-p", "-r", "-w"]
        done = subprocess.run([*inside, *argv], check=True, capture_output=True, text=True)
        return done.stdout


def missing() -> str:
    """What this machine has not, in words; empty: nothing is missing."""
    if os.geteuid() != 0:
        return "needs root (namespaces of its own)"
    absent = [one for one in ("unshare", "nsenter", "ssh-keygen", "debootstrap") if not _has(one)]
    return f"needs {', '.join(absent)}" if absent else ""


def _has(program: str) -> bool:
    return shutil.which(program) is not None


@contextmanager
def hosts(count: int) -> Iterator[Place]:
    from e2e.hosts.image import base

    disk = base()
    with tempfile.TemporaryDirectory(prefix="bg-hosts-", dir=_quick()) as name:
        folder = Path(name)
        port = _free_port()
        _keys(folder, count, port)
        argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", PYTHON, "-I", str(FAR)]
        words = [str(folder), str(disk), str(count), str(port)]
        pipe = subprocess.PIPE
        with subprocess.Popen([*argv, *words], stdin=pipe, stdout=pipe) as far:
            assert far.stdin and far.stdout
            try:
                if far.stdout.readline() != b"ready\n":
                    raise RuntimeError("the hosts did not come up")
                yield Place(folder, count, port, _only_child(far.pid))
            finally:
                far.stdin.close()
                far.wait(60)


def _quick() -> str | None:
    """In memory where there is a place for it: a thousand hosts have a thousand disks, not one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _keys(folder: Path, count: int, port: int) -> None:
    ssh = folder / "home" / ".ssh"
    ssh.mkdir(parents=True, mode=0o700)
    for path in (ssh / "id_ed25519", folder / "host_key"):
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
        subprocess.run(make, check=True)
    (folder / "authorized").write_bytes((ssh / "id_ed25519.pub").read_bytes())
    (folder / "sshd_config").write_text(SSHD_CONFIG)
    public = (folder / "host_key.pub").read_text().strip()
    lines = (f"[{address_of(n)}]:{port} {public}\n" for n in range(count))
    (ssh / "known_hosts").write_text("".join(lines))


def _free_port() -> int:
    draw = random.Random()
    while True:
        port = draw.randrange(20000, 32000)
        with socket.socket() as probe:
            if probe.connect_ex((address_of(0), port)):
                return port


def _only_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


if __name__ == "__main__":
    with hosts(int(sys.argv[1])) as shown:
        print(shown, flush=True)
        sys.stdin.read()
