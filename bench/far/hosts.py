"""A thousand hosts of a bench, as one process that is a machine of its own: run as root, by path.

    unshare --mount --pid --fork --kill-child python3 bench/far/hosts.py FOLDER BASE COUNT PORT

Its disk is BASE (a small Debian) with a layer in memory over it, its processes have numbers of
their own, and whatever it started ends with it: it ends with its standard input. Each host is an
address (127.77.x.y, told in ~/.address), a user and a home; who connects there meets OpenSSH's
sshd, one process for each connection, as inetd starts it.

Sessions are in a network of their own, in which nobody listens: hosts that share one would see each
other's ports. Programs are started outside it, as by a systemd, of which there is none here: see
`systemctl`, the stand-in. FOLDER: `authorized`, `host_key`, `sshd_config`. It says `ready`.
"""

from __future__ import annotations

import ctypes
import os
import select
import shlex
import socket
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FIRST_UID, GROUP = 20000, 20000
CLONE_NEWNET = 0x40000000
FIFO = "/run/stand-in"
SSHD = ["/usr/sbin/sshd", "-i", "-f", "/etc/ssh/bench_config"]
QUIET = subprocess.DEVNULL


def name_of(number: int) -> str:
    return f"h{number:04}"


def address_of(number: int) -> str:
    return f"127.77.{number // 250}.{number % 250 + 1}"


def main() -> None:
    folder, base, count, port = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    listeners = [_listener(address_of(n), port) for n in range(count)]
    root = _disk(folder, base)
    _users(root, folder, count)
    for program in ("systemctl", "journalctl"):
        _put(root / "usr/bin" / program, (HERE / program).read_bytes(), 0o755)
    os.chroot(root)
    os.chdir("/")
    os.mkfifo(FIFO)
    os.chmod(FIFO, 0o666)  # noqa: S103 - whoever is a host here may start its programs
    if os.fork() == 0:
        _accept(listeners)
    for one in listeners:
        one.close()
    print("ready", flush=True)
    _start_what_is_asked_for()


# -- The disk --------------------------------------------------------------------------------


def _disk(folder: Path, base: str) -> Path:
    over, root = folder / "over", folder / "root"
    over.mkdir()
    root.mkdir()
    _mount("--make-rprivate", "/")
    _mount("-t", "tmpfs", "-o", "size=8g,nr_inodes=2m,mode=755", "tmpfs", str(over))
    (over / "upper").mkdir(0o755)
    (over / "work").mkdir()
    layers = f"lowerdir={base},upperdir={over}/upper,workdir={over}/work"
    _mount("-t", "overlay", "-o", layers, "overlay", str(root))
    _mount("-t", "proc", "proc", str(root / "proc"))
    _mount("--rbind", "/dev", str(root / "dev"))
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(root / "run"))
    (root / "run/sshd").mkdir(0o755)
    # Homes are not in the overlay: a rename in one costs what it costs on a disk of one's own.
    _mount("-t", "tmpfs", "-o", "size=8g,nr_inodes=4m,mode=755", "tmpfs", str(root / "home"))
    return root


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def _users(root: Path, folder: Path, count: int) -> None:
    names = [(name_of(n), FIRST_UID + n) for n in range(count)]
    users = "".join(f"{name}:*:{uid}:{GROUP}::/home/{name}:/bin/sh\n" for name, uid in names)
    with (root / "etc/passwd").open("a") as file:
        file.write(users)
    (root / "var/lib/systemd/linger").mkdir(parents=True, exist_ok=True)
    for number, (name, uid) in enumerate(names):
        home = root / "home" / name
        (home / ".units").mkdir(parents=True)
        (home / ".address").write_text(address_of(number))
        for made in (home, home / ".units"):
            os.chown(made, uid, GROUP)
            made.chmod(0o700)
        (root / "var/lib/systemd/linger" / name).touch()
    for given, at in (
        ("sshd_config", "etc/ssh/bench_config"),
        ("host_key", "etc/ssh/bench_key"),
        ("authorized", "etc/ssh/bench_authorized"),
    ):
        _put(root / at, (folder / given).read_bytes(), 0o600 if given == "host_key" else 0o644)


def _put(path: Path, data: bytes, mode: int) -> None:
    path.write_bytes(data)
    path.chmod(mode)


# -- Who connects ----------------------------------------------------------------------------


def _listener(address: str, port: int) -> socket.socket:
    listener = socket.create_server((address, port), backlog=64)
    listener.setblocking(False)
    return listener


def _accept(listeners: list[socket.socket]) -> None:
    """What was listened on before stays where it was; what is started here is elsewhere."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        sys.exit("no network of its own")
    waiting = select.epoll()
    by_file = {one.fileno(): one for one in listeners}
    for file in by_file:
        waiting.register(file, select.EPOLLIN)
    sessions: list[subprocess.Popen[bytes]] = []
    while True:
        for file, _ in waiting.poll(1.0):
            try:
                line, _ = by_file[file].accept()
            except OSError:
                continue
            line.setblocking(True)
            sessions.append(
                subprocess.Popen(SSHD, stdin=line.fileno(), stdout=line.fileno(), stderr=QUIET)
            )
            line.close()
        sessions = [one for one in sessions if one.poll() is None]


# -- What runs -------------------------------------------------------------------------------


def _start_what_is_asked_for() -> None:
    """`HOME UNIT` in a line, from the stand-in. Ends with standard input, and all else with it."""
    asked = os.open(FIFO, os.O_RDWR | os.O_NONBLOCK)
    got = b""
    os.nice(-20)  # a host would have one of its own; this one stands for all
    while True:
        ready, _, _ = select.select([0, asked], [], [], 0.2)
        if 0 in ready and not os.read(0, 1):
            os._exit(0)
        if asked in ready:
            *lines, got = (got + os.read(asked, 65536)).split(b"\n")
            for line in lines:
                _started(*line.decode().split())
        _bury()


def _bury() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _started(home: str, unit: str) -> None:
    """The unit's program runs, and its number and InvocationID stand in a file of its user."""
    template = unit.partition("@")
    file = Path(home, ".config/systemd/user", f"{template[0]}@.service" if template[1] else unit)
    instance = template[2].partition(".")[0]
    pid = 0
    try:
        pid = _run(home, _settings(file.read_text().replace("%i", instance).replace("%h", home)))
    except (OSError, KeyError, ValueError, subprocess.SubprocessError):
        pass  # it is failed: told by a number that is none
    beside = Path(home, ".units", f".{unit}.new")
    beside.write_text(f"pid={pid}\ninvocation={os.urandom(16).hex()}\n")
    beside.rename(Path(home, ".units", unit))


def _settings(text: str) -> dict[str, str]:
    pairs = [line.partition("=") for line in text.splitlines() if "=" in line]
    return {key: value.replace("%%", "%").replace("$$", "$") for key, _, value in pairs}


def _run(home: str, unit: dict[str, str]) -> int:
    words = shlex.split(unit["ExecStart"])
    path = words[0].removeprefix("@")
    argv = words[1:] if words[0].startswith("@") else words
    if not os.path.exists(unit.get("AssertPathExists", "/")):
        raise ValueError("what it asserts is not there")
    env = {"HOME": home, "PATH": "/usr/bin:/bin"}
    if "EnvironmentFile" in unit:
        lines = shlex.split(Path(unit["EnvironmentFile"]).read_text())
        env |= {name: value for name, _, value in (line.partition("=") for line in lines)}
    # Nobody waits for it here: it is buried with all others.
    uid = os.stat(home).st_uid
    pid = subprocess.Popen(
        argv, executable=path, env=env, cwd=unit.get("WorkingDirectory", home), user=uid,
        group=GROUP, extra_groups=[], start_new_session=True, stdin=QUIET, stdout=QUIET,
        stderr=QUIET,
    ).pid  # fmt: skip
    os.setpriority(os.PRIO_PROCESS, pid, 0)
    return pid


if __name__ == "__main__":
    main()
