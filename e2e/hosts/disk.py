"""One host's disk: the common one underneath, and what this host changed on top.

It survives reboots and kills, like a disk. It refuses to know whether the host runs; whoever writes
here does so before the first boot, later through the host.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import uuid
from pathlib import Path


class Disk:
    """`folder` is the host's own; `root` the whole disk as the host sees it."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.folder, self.root = folder, folder / "root"
        self._base, self._changes, self._work = base, folder / "changes", folder / "work"

    def lay(self, name: str, authorized_key: str) -> None:
        """Mounted, and the host's own: its name, its identity, its key, and who may come in."""
        for folder in (self.root, self._changes, self._work):
            folder.mkdir(parents=True)
        options = f"lowerdir={self._base},upperdir={self._changes},workdir={self._work}"
        command = ["mount", "-t", "overlay", "-o", options, "overlay", str(self.root)]
        subprocess.run(command, check=True)
        (self.root / "etc/hostname").write_text(f"{name}\n")
        (self.root / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")
        self.new_key(name)
        for there, here in pythons().items():  # they run only where they were built
            (self.root / there.lstrip("/")).symlink_to(here)
        for user in ("deploy", "plain"):
            self._let_in(user, authorized_key)

    def new_key(self, name: str) -> None:
        """Another host key in place of the one of before."""
        key = self.root / "etc/ssh/ssh_host_ed25519_key"
        for old in (key, key.with_suffix(".pub")):
            old.unlink(missing_ok=True)
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(key)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)

    @property
    def key(self) -> str:
        """The public host key, as `known_hosts` has it: "ssh-ed25519 AAAA…"."""
        text = (self.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text()
        return " ".join(text.split()[:2])

    def enable(self, unit: str) -> None:
        wants = self.root / "etc/systemd/system/multi-user.target.wants"
        (wants / unit).symlink_to(f"/lib/systemd/system/{unit}")

    def throw_away(self) -> None:
        """After it was unmounted."""
        for folder in (self._changes, self._work):
            shutil.rmtree(folder, ignore_errors=True)

    def _let_in(self, user: str, authorized_key: str) -> None:
        line = next(
            line for line in (self.root / "etc/passwd").read_text().splitlines()
            if line.startswith(f"{user}:")
        )  # fmt: skip
        owner, group = (int(number) for number in line.split(":")[2:4])
        folder = self.root / "home" / user / ".ssh"
        folder.mkdir(mode=0o700)
        keys = folder / "authorized_keys"
        keys.write_text(authorized_key)
        keys.chmod(0o600)
        for path in (folder, keys):
            os.chown(path, owner, group)


def pythons() -> dict[str, Path]:
    """Where a host finds it -> where it lies here: 3.8 and the newest, as far as they are here."""
    root = Path(os.environ.get("PYENV_ROOT", Path(pwd.getpwuid(os.getuid()).pw_dir) / ".pyenv"))
    found = {
        tuple(int(part) for part in path.name.split(".")): path
        for path in (root / "versions").glob("3.*")
        if path.name.replace(".", "").isdigit() and (path / "bin/python3").exists()
    }
    wanted = {version for version in found if version[:2] == (3, 8)}
    wanted |= {max(found)} if found else set()
    return {
        f"/opt/python{major}.{minor}": found[(major, minor, *rest)]
        for major, minor, *rest in wanted
    }
