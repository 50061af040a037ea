"""The hosts of the demo: booted by a process of their own, which keeps them until it is ended.

    python -m examples.fleet.hosts FOLDER      boots them, furnishes FOLDER, and listens

`begin` starts it, `ask` tells it something: `off web3` (the power goes), `boot web3`, `proxies`
(they get the lines of FOLDER/haproxy.lines). The one rule: when this process ends, however it does,
its hosts and all they left on this machine are gone (`e2e.hosts.traces`).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from e2e.hosts import traces
from e2e.hosts.fleet import Fleet
from examples.fleet import place

BOOT_S, END_S = 90.0, 60.0
DISKS = ("/var/tmp", "/run")  # the first that is no overlay: a host's disk is one itself


@dataclass(frozen=True, slots=True)
class Known:
    """What is written down of hosts that run."""

    pid: int
    started: str
    folder: str  # of their disks
    urls: tuple[str, ...]
    hosts: dict[str, str]  # name -> address


def known(folder: Path) -> Known | None:
    """None: no hosts run."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        found = Known(**json.loads((folder / "hosts.json").read_text()))
        if traces.started(found.pid) == found.started:
            return found
    return None


def begin(folder: Path) -> Known:
    """Boot them; returns when all are up. Exits with what went wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "hosts.log").open("wb") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "examples.fleet.hosts", str(folder)],
            cwd=place.HERE.parent.parent,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    with contextlib.suppress(TimeoutError):
        traces.wait_until(lambda: bool(known(folder)) or keeper.poll() is not None, BOOT_S, "")
    if found := known(folder):
        return found
    keeper.terminate()
    words = (folder / "hosts.log").read_text(errors="replace")[-1500:]
    raise SystemExit(f"the hosts do not come up here:\n{words}")


def ask(folder: Path, *words: str) -> None:
    """Tell whoever keeps them, and wait until it is done. Exits with a sentence."""
    found = known(folder)
    if found is None:
        raise SystemExit("no hosts run here; `make demo-hosts` boots them")
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(BOOT_S)
        line.connect(f"{found.folder}/talk")
        line.sendall(" ".join(words).encode() + b"\n")
        answer = line.makefile().readline().strip()
    if answer != "ok":
        raise SystemExit(answer or "the hosts' keeper ended")


def end(folder: Path) -> bool:
    """Nothing of them is left, whatever became of `folder`. Whether there were any."""
    keepers = _keepers(folder)
    for pid in keepers:
        os.kill(pid, signal.SIGTERM)
    gone = lambda: not _keepers(folder)  # noqa: E731
    traces.wait_until(gone, END_S, f"what keeps the hosts does not end: {keepers}")
    traces.sweep()
    return bool(keepers)


def _keepers(folder: Path) -> list[int]:
    """Those processes that keep hosts for this folder: they are known by how they were started."""
    ours = [*(b"-m", b"examples.fleet.hosts"), os.fsencode(folder)]
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cmdline").read_bytes().split(b"\0")[1:4] == ours:
                found.append(int(entry.name))
    return found


# -- The process that keeps them -----------------------------------------------------------


def keep(folder: Path) -> None:
    disks = Path(tempfile.mkdtemp(prefix="bg-fleet-", dir=_room_for_disks()))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with Fleet(disks, 5, proxies=2) as fleet:
            place.open_proxies(fleet.proxies)
            place.furnish(folder, fleet)
            place.tools(folder, fleet)
            with socket.socket(socket.AF_UNIX) as door:
                door.bind(f"{disks}/talk")
                door.listen()
                _write_down(folder, disks, fleet)
                while True:
                    _answer(door, folder, fleet)
    finally:
        (folder / "hosts.json").unlink(missing_ok=True)
        shutil.rmtree(disks, ignore_errors=True)


def _room_for_disks() -> str:
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    for room in DISKS:
        above = [one for one in mounts if f"{room}/".startswith(f"{one[0].rstrip('/')}/")]
        if max(above, key=lambda one: len(one[0]))[1] != "overlay":
            return room
    raise SystemExit(f"the disks of hosts cannot lie on an overlay, and {', '.join(DISKS)} do")


def _write_down(folder: Path, disks: Path, fleet: Fleet) -> None:
    pid, hosts = os.getpid(), {host.name: host.address for host in fleet.hosts}
    what = Known(pid, traces.started(pid) or "", str(disks), place.urls(fleet), hosts)
    beside = folder / ".hosts.json"
    beside.write_text(json.dumps(asdict(what)))
    beside.rename(folder / "hosts.json")


def _answer(door: socket.socket, folder: Path, fleet: Fleet) -> None:
    peer, _ = door.accept()
    with peer:
        peer.settimeout(5)
        try:
            _do(peer.makefile().readline().split(), folder, fleet)
            said = "ok"
        except Exception as error:  # whoever asked is told, and the hosts stay
            said = f"{type(error).__name__}: {error}".replace("\n", " ")
        with contextlib.suppress(OSError):
            peer.sendall(said.encode() + b"\n")


def _do(words: list[str], folder: Path, fleet: Fleet) -> None:
    match words:
        case ["off", name]:
            fleet[name].kill()
        case ["boot", name]:
            fleet.boot(fleet[name])
        case ["proxies"]:
            place.configure(fleet.proxies, (folder / "haproxy.lines").read_text())
        case _:
            raise ValueError(f"what is {' '.join(words)}?")


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
