"""The disk every test host starts from: a small Debian, made once and kept outside the checkout.

`base()` gives a folder that is only ever read: hosts lay their own changes over it. What is in it
follows from this file alone, so the folder is named by a digest of it: another recipe is another
folder, and one that nobody used for a week is thrown away. Packages come from where this machine's
own apt gets them: no address is written here. Making it takes a minute or two and is done politely.

It refuses to know about running hosts, networks and tests.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

CACHE = Path("/var/cache/bg-hosts")
UNUSED_S = 7 * 24 * 3600
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "dbus-user-session", "libpam-systemd", "sudo"),
    *("openssh-server", "python3", "haproxy", "nginx-light", "iproute2", "procps", "libfaketime"),
)
MASKED = (  # what a host of a test has no use for, and waits for at boot
    *("getty@tty1.service", "console-getty.service", "getty-static.service"),
    *("systemd-update-utmp.service", "systemd-update-utmp-runlevel.service"),
    *("systemd-journal-flush.service", "systemd-tmpfiles-clean.timer", "e2scrub_all.timer"),
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer"),
    *("dev-hugepages.mount", "dev-mqueue.mount", "sys-kernel-debug.mount", "logrotate.timer"),
    *("sys-kernel-tracing.mount", "sys-fs-fuse-connections.mount", "systemd-networkd.service"),
)
IDLE = ("haproxy.service", "nginx.service", "e2scrub_reap.service")  # whoever wants one starts it
FILES = {
    "etc/ssh/sshd_config.d/bg.conf": (
        "HostKey /etc/ssh/ssh_host_ed25519_key\nUseDNS no\nPasswordAuthentication no\n"
        "PrintLastLog no\nPrintMotd no\nMaxStartups 200\nMaxSessions 100\n"
        "SetEnv DONT_FAKE_MONOTONIC=1\n"
    ),
    "etc/systemd/journald.conf.d/bg.conf": (
        "[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\nRateLimitIntervalSec=0\n"
    ),
    "etc/sudoers.d/deploy": (
        'deploy ALL=(ALL) NOPASSWD: ALL\nDefaults env_keep += "DONT_FAKE_MONOTONIC"\n'
    ),
    "etc/resolv.conf": "",
    "etc/motd": "",
    "etc/machine-id": "",
}
USERS = ("deploy", "plain")  # deploy may do all with `sudo -n`; plain may nothing
NEEDLESS = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale")


def base(packages: tuple[str, ...] = ()) -> Path:
    """The folder of the disk, made first where it is not there yet. `packages` are put in besides.

    Raises `subprocess.CalledProcessError` where debootstrap fails; its log lies beside the folder.
    """
    wanted = tuple(sorted({*PACKAGES, *packages}))
    folder = CACHE / _digest(wanted)
    with _alone():
        if not folder.exists():
            _make(folder, wanted)
        os.utime(folder.with_suffix(".log"))
        _forget_the_unused()
    return folder


def _digest(packages: tuple[str, ...]) -> str:
    recipe = Path(__file__).read_text() + json.dumps([packages, source()[0]])
    return hashlib.sha256(recipe.encode()).hexdigest()[:12]


def source() -> tuple[str, str]:
    """(suite, mirror) of this machine's own packages, as its apt has them."""
    release = dict(
        line.split("=", 1)
        for line in Path("/etc/os-release").read_text().splitlines()
        if "=" in line
    )
    suite = release["VERSION_CODENAME"].strip('"')
    listing = ["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(SITE)"]
    out = subprocess.run(listing, check=True, capture_output=True, text=True).stdout
    for line in out.splitlines():
        if line.startswith(f"{suite} main "):
            return suite, line.split()[2]
    raise RuntimeError(f"apt on this machine has no source for {suite} main: run apt-get update")


def _make(folder: Path, packages: tuple[str, ...]) -> None:
    """Made under another name and renamed at the end: a folder that is there is whole."""
    suite, mirror = source()
    new, debs = folder.with_suffix(".new"), CACHE / "debs"
    shutil.rmtree(new, ignore_errors=True)
    debs.mkdir(exist_ok=True)
    command = [
        *("nice", "-n", "19", "debootstrap", "--variant=minbase", f"--cache-dir={debs}"),
        *(f"--include={','.join(packages)}", suite, str(new), mirror),
    ]
    with folder.with_suffix(".log").open("w") as log:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    _furnish(new)
    new.rename(folder)


def _furnish(root: Path) -> None:
    for name, text in FILES.items():
        path = root / name
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "etc/sudoers.d/deploy").chmod(0o440)
    for user in USERS:
        adding = ["useradd", "--create-home", "--shell", "/bin/bash", user]
        subprocess.run(["chroot", str(root), *adding], check=True)
    units = root / "etc/systemd/system"
    for unit in MASKED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    for unit in IDLE:
        (units / "multi-user.target.wants" / unit).unlink(missing_ok=True)
    (units / "default.target").symlink_to("/lib/systemd/system/multi-user.target")
    # A host's wrong clock lies in /run, so that the next boot begins with the right one.
    (root / "etc/ld.so.preload").symlink_to("/run/ld.so.preload")
    # /run/nologin would refuse the first logins of a host whose sshd answers already.
    (root / "etc/tmpfiles.d/systemd-nologin.conf").symlink_to("/dev/null")
    (root / "root").chmod(0o711)  # this machine's Pythons may lie below, and users run them
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for name in (*NEEDLESS, "var/lib/apt/lists", "var/cache/apt"):
        shutil.rmtree(root / name, ignore_errors=True)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One maker at a time on this machine."""
    CACHE.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _forget_the_unused() -> None:
    mounted = Path("/proc/mounts").read_text()
    for log in CACHE.glob("*.log"):
        folder = log.with_suffix("")
        old = folder.exists() and log.stat().st_mtime < time.time() - UNUSED_S
        if old and str(folder) not in mounted:
            log.unlink()
            shutil.rmtree(folder)


if __name__ == "__main__":
    before = time.monotonic()
    made = base()
    if time.monotonic() - before > 1:
        print(f"  {'hosts':<9} a Debian for them in {made} ({time.monotonic() - before:.0f} s)")
