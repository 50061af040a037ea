"""What a fleet leaves on the machine while it lives, and taking all of it away.

Every fleet has a number N: its bridge is `bghN`, its network namespaces are `bghN-…`, all its
processes are in control groups `bghN`, its mounts lie in one folder, and `/run/bg-hosts/N` says
which process owns it. The one rule: everything is found again by that number alone, so what a
killed test run left is taken away by anyone (`sweep`), and at once by a warden that waits for its
owner's end:

    python -m e2e.hosts.traces N        the warden of N: stdin ends when the owner does

Only what carries the number of a dead owner is touched. It refuses to know what a host is.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

RUNS = Path("/run/bg-hosts")
NETWORKS = Path("/run/netns")


def claim(folder: Path) -> int:
    """A number nobody has, written down as this process's own; `folder` will hold the mounts."""
    written = RUNS / f"new-{os.getpid()}"
    written.mkdir(parents=True)
    owner = {"pid": os.getpid(), "started": started(os.getpid()), "folder": str(folder)}
    (written / "owner.json").write_text(json.dumps(owner))
    for number in range(1, 250):
        with contextlib.suppress(OSError):  # a folder that is there and not empty stays
            return int(written.rename(RUNS / str(number)).name)
    raise RuntimeError(f"249 fleets are written down in {RUNS}")


def warden(number: int) -> subprocess.Popen[bytes]:
    """A process that takes everything away when this one dies, however it dies."""
    return subprocess.Popen(
        [sys.executable, "-m", "e2e.hosts.traces", str(number)],
        cwd=Path(__file__).resolve().parent.parent.parent,
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


def sweep() -> list[int]:
    """The numbers of fleets whose owner is dead; nothing of them is left."""
    dead = [int(run.name) for run in RUNS.glob("[0-9]*") if not _owned(run)]
    for number in dead:
        remove(number)
    return dead


def remove(number: int) -> None:
    """Processes first, then mounts, networks and the number itself. Of nothing: nothing."""
    stop(f"bgh{number}")
    run = RUNS / str(number)
    with contextlib.suppress(OSError, ValueError):
        unmount(Path(json.loads((run / "owner.json").read_text())["folder"]))
    for namespace in NETWORKS.glob(f"bgh{number}-*"):
        subprocess.run(["ip", "netns", "delete", namespace.name], check=False)
    for link in Path("/sys/class/net").glob(f"bgh{number}*"):
        if link.name == f"bgh{number}" or link.name.startswith(f"bgh{number}v"):
            command = ["ip", "link", "delete", link.name]
            subprocess.run(command, check=False, stderr=subprocess.DEVNULL)  # its peer went first
    shutil.rmtree(run, ignore_errors=True)


def left(number: int) -> list[str]:
    """What can be seen of a fleet: empty when it is gone."""
    seen = [str(path) for path in NETWORKS.glob(f"bgh{number}-*")]
    seen += [str(path) for path in Path("/sys/class/net").glob(f"bgh{number}*")]
    seen += [str(path) for path in groups(f"bgh{number}")]
    seen += [str(path) for path in RUNS.glob(str(number))]
    return seen


def groups(name: str) -> list[Path]:
    """The folders of a control group, one per hierarchy that systemd in a container looks at."""
    return [top / name for top in _hierarchies() if (top / name).is_dir()]


def make_groups(name: str) -> list[Path]:
    made = [top / name for top in _hierarchies()]
    for folder in made:
        folder.mkdir(parents=True, exist_ok=True)
    return made


def stop(group: str) -> None:
    """Kill what is in a control group and below, and take the group away."""
    wait_until(lambda: _emptied(group), 10, f"processes in {group} do not die")
    for top in groups(group):
        for folder, _, _ in os.walk(top, topdown=False):
            os.rmdir(folder)


def _emptied(group: str) -> bool:
    found = {
        int(pid)
        for top in groups(group)
        for file in top.rglob("cgroup.procs")
        for pid in file.read_text().split()
    }
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return not found


def unmount(folder: Path) -> None:
    """All mounts in a folder, the deepest first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4].replace("\\040", " ") for line in lines]
    for point in sorted((p for p in points if p.startswith(f"{folder}/")), key=len, reverse=True):
        subprocess.run(["umount", "--lazy", point], check=False)


def wait_until(true: Callable[[], bool], within_s: float, otherwise: str) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{otherwise} (waited {within_s:g} s)")
        time.sleep(0.01)


def _hierarchies() -> Iterator[Path]:
    """Where this process stands in systemd's own hierarchy and in the unified one."""
    mounts = [line.split(" - ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    own = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    for _, kind, path in own:
        if kind not in ("", "name=systemd"):
            continue
        for place, what in mounts:
            words = what.split()
            if words[0] == ("cgroup" if kind else "cgroup2") and kind in words[2]:
                yield Path(place.split()[4] + path)
                break


def _owned(run: Path) -> bool:
    with contextlib.suppress(OSError, ValueError, KeyError):
        owner = json.loads((run / "owner.json").read_text())
        return bool(started(owner["pid"]) == owner["started"])
    return False


def started(pid: int) -> str | None:
    """In ticks, so that a number used again is told to be somebody else; None: it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return None


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the owner
    sys.stdin.buffer.read()
    if (RUNS / sys.argv[1]).exists():
        remove(int(sys.argv[1]))
