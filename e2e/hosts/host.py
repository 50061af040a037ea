"""One host: booted, asked, troubled, killed.

`run`, `write` and `read` are the test's own hands on it (as root, past sshd and network); what a
driver does goes over SSH to `address`. Trouble is made for real: the carrier is lost (`cut`),
packets vanish (`blackhole`), the power goes (`kill`), a disk has an end (`small_disk`,
`fill_disk`), a home or a clock is wrong. What lies on the disk survives a boot; mounts, like all
of /run, do not.

It refuses to know other hosts, and what is tested.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from e2e.hosts import traces, wires
from e2e.hosts.disk import Disk, pythons

Way = Literal["in", "out", "both"]
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
FAKETIME = "faketime/libfaketime.so.1"
# Each systemd wants control groups of its own, and has to be in them before it begins.
INTO_GROUPS = 'while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs"; shift; done; shift; exec "$@"'


@dataclass
class Host:
    """`number` is the fleet's, `index` this host's in it."""

    name: str
    index: int
    number: int
    disk: Disk
    ssh_key: Path = Path()
    _nspawn: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _leader: int = 0

    @property
    def address(self) -> str:
        return f"10.88.{self.number}.{self.index + 10}"

    @property
    def known_hosts_line(self) -> str:
        """For name and address, with the key it has now."""
        return f"{self.name},{self.address} {self.disk.key}\n"

    @property
    def alive(self) -> bool:
        return self._nspawn is not None and self._nspawn.poll() is None

    @property
    def console(self) -> Path:
        return self.disk.folder / "console"

    # Power

    def boot(self, within_s: float = 60) -> None:
        self.begin_boot()
        self.wait_until_up(within_s)

    def begin_boot(self) -> None:
        """With a new cable: what the last run had on the wire is gone, as after a power cut."""
        wires.cable(self.number, self.index)
        self._leader = 0
        groups = [str(group) for group in traces.make_groups(f"{self._fleet}/{self.name}")]
        command = ["sh", "-c", INTO_GROUPS, "sh", *groups, "--", *self._nspawn_command()]
        with self.console.open("ab") as console:
            self._nspawn = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )

    def wait_until_up(self, within_s: float) -> None:
        """Everything is started, nothing failed, sshd answers. Raises `TimeoutError`."""
        try:
            traces.wait_until(self._found_leader, within_s, "no process 1")
            traces.wait_until(self._started, within_s, "does not come up")
            traces.wait_until(self.answers, within_s, "sshd does not answer")
        except TimeoutError as error:
            words = self.console.read_text(errors="replace")[-2000:]
            raise TimeoutError(f"{self.name}: {error}\n{words}") from None

    def kill(self) -> None:
        """The power goes: not a byte leaves it any more, and it is dead when this returns."""
        self.cut()
        self._end(signal.SIGKILL)
        wires.uncable(self.number, self.index)

    def reboot(self, within_s: float = 60) -> None:
        """In order: units are stopped, then all is started again from the same disk."""
        self.shut_down()
        self.boot(within_s)

    def shut_down(self) -> None:
        """In order, as `poweroff` does; after 20 s the hard way."""
        if self._nspawn and self.alive:
            self._nspawn.terminate()  # nspawn asks its systemd to halt
            try:
                self._nspawn.wait(20)
            except subprocess.TimeoutExpired:
                self._end(signal.SIGKILL)
        wires.uncable(self.number, self.index)

    def bury(self) -> None:
        """For the fleet's end: dead, and no child of ours any more."""
        if self._nspawn:
            self._end(signal.SIGKILL)

    # Hands on it

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str = "root",
        input: str | None = None,  # noqa: A002, as subprocess calls it
        check: bool = True,
        timeout_s: float = 30,
    ) -> subprocess.CompletedProcess[str]:
        """Run inside, past network and sshd. Raises `CalledProcessError`, its words as a note."""
        login = () if user == "root" else ("runuser", "-u", user, "--")
        command = ["nsenter", "-t", str(self._leader), "-a", "env", "-i", PATH, *login, *argv]
        given = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
        done: subprocess.CompletedProcess[str] = subprocess.run(
            command, **given, capture_output=True, text=True, timeout=timeout_s, check=False
        )
        if check and done.returncode:
            error = subprocess.CalledProcessError(
                done.returncode, list(argv), done.stdout, done.stderr
            )
            error.add_note(f"{self.name}: {done.stdout}{done.stderr}")
            raise error
        return done

    def write(self, path: str, text: str, *, mode: int = 0o644, owner: str = "root") -> None:
        """With the folders above it (root's)."""
        who = ("-o", owner, "-g", owner)
        self.run(["install", "-D", "-m", f"{mode:o}", *who, "/dev/stdin", path], input=text)

    def read(self, path: str) -> str:
        return self.run(["cat", path]).stdout

    def answers(self, port: int = 22, within_s: float = 1.0) -> bool:
        """Somebody accepts a connection and, on 22, says the first word, as SSH servers do."""
        try:
            with socket.create_connection((self.address, port), within_s) as peer:
                return port != 22 or peer.recv(4) == b"SSH-"
        except OSError:
            return False

    # Network

    def cut(self) -> None:
        """The cable is pulled. From here it is "no route to host", after some seconds."""
        if self.alive:
            wires.plug(self.number, self.index, False)

    def blackhole(self, way: Way = "both", peer: str = "") -> None:
        """Packets vanish without a word: those it gets, those it sends (done, never answered).

        `peer`: only from and to this address. Replaces the black hole of before.
        """
        source = f"ip saddr {peer}" if peer else "meta iifname eth0"
        target = f"ip daddr {peer}" if peer else "meta oifname eth0"
        wires.vanish(
            self._namespace,
            arriving=source if way != "out" else "",
            leaving=target if way != "in" else "",
        )

    def heal(self) -> None:
        """The cable is in and no packet vanishes."""
        wires.vanish(self._namespace)
        wires.plug(self.number, self.index, True)

    # Disk, home, clock

    def small_disk(self, mib: int = 16, path: str = "/opt") -> None:
        """An empty file system of that size over `path`, until it is unmounted or the host boots.

        It hides what was there (over /opt: the Pythons of this machine).
        """
        self.run(["mkdir", "-p", path])
        self.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=755", "small", path])

    def fill_disk(self, path: str = "/opt", leave_kib: int = 0) -> None:
        """Not a byte is free there (or so many KiB); `free_disk` takes that back."""
        filler = ["dd", "if=/dev/zero", f"of={path}/.filler", "bs=64K"]
        free = int(self.run(["df", "--output=size", "-k", path]).stdout.split()[-1])
        if free > 1024 * 1024:
            raise ValueError(f"{self.name}: {path} is no small disk, it would fill this machine's")
        self.run(filler, check=False)
        if leave_kib:
            self.run(["truncate", f"--size=-{leave_kib}K", f"{path}/.filler"])

    def free_disk(self, path: str = "/opt") -> None:
        self.run(["rm", "-f", f"{path}/.filler"])

    def read_only(self, path: str = "/home/deploy") -> None:
        """Nobody writes there, not even root, until `writable`."""
        self.run(["mount", "--bind", path, path])
        self.run(["mount", "-o", "remount,bind,ro", path])

    def writable(self, path: str = "/home/deploy") -> None:
        self.run(["umount", path])

    def noexec(self, path: str = "/tmp") -> None:
        """An empty file system there, from which nothing can be run."""
        self.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=1777,noexec", "noexec", path])

    def clock(self, offset_s: int) -> None:
        """What starts from now on, by SSH or as a unit, sees a clock so far off; 0: right.

        Until the next boot. Linux has one wall clock for all hosts of a machine, so it is
        libfaketime in front of every dynamically linked program; times of files and of the journal
        stay right, and so do monotonic clocks.
        """
        self.run(["rm", "-f", "/run/ld.so.preload"])
        self.run(["systemctl", "set-environment", "DONT_FAKE_MONOTONIC=1"])
        if offset_s:
            library = self.run(["sh", "-c", f"echo /usr/lib/*/{FAKETIME}"]).stdout
            self.write("/etc/faketimerc", f"{offset_s:+d}s\n")
            self.write("/run/ld.so.preload", library)
        self._restart_sshd()

    # sshd

    def new_host_key(self) -> None:
        """sshd answers with another key from its next connection on; `known_hosts` is not told."""
        self.disk.new_key(self.name)
        self._restart_sshd()

    def second_sshd(self, port: int = 2222, **options: str) -> None:
        """Another sshd beside the first, with these options of `sshd_config` before all others."""
        lines = [f"Port {port}", *(f"{name} {value}" for name, value in options.items())]
        file, unit = f"/etc/ssh/sshd_{port}", f"sshd-{port}.service"
        self.write(file, "\n".join([*lines, "Include /etc/ssh/sshd_config"]) + "\n")
        self.run(["systemctl", "stop", unit], check=False)
        server = ["/usr/sbin/sshd", "-D", "-f", file, "-o", f"PidFile=/run/sshd-{port}.pid"]
        self.run(["systemd-run", "--quiet", "--collect", f"--unit={unit}", *server])
        traces.wait_until(lambda: self.answers(port), 10, f"{self.name}: no sshd on {port}")

    def _restart_sshd(self) -> None:
        self.run(["systemctl", "restart", "ssh.service"])
        traces.wait_until(self.answers, 10, f"{self.name}: sshd does not answer")

    # What all this needs

    @property
    def _fleet(self) -> str:
        return f"bgh{self.number}"

    @property
    def _namespace(self) -> str:
        return f"bgh{self.number}-{self.index}"

    def _nspawn_command(self) -> list[str]:
        return [
            *("systemd-nspawn", "--quiet", "--keep-unit", "--register=no", "--settings=no"),
            *(f"--machine={self._namespace}", f"--hostname={self.name}", "--link-journal=no"),
            *("--resolv-conf=off", "--timezone=off", "--console=pipe", "--boot"),
            f"--network-namespace-path=/run/netns/{self._namespace}",
            *(f"--bind-ro={here}" for here in pythons().values()),
            f"--directory={self.disk.root}",
        ]

    def _found_leader(self) -> bool:
        """Process 1 of the host: the child of nspawn that is in a process namespace of its own."""
        assert self._nspawn
        if self._nspawn.poll() is not None:
            raise TimeoutError(f"systemd-nspawn ended with {self._nspawn.returncode}")
        ours = os.readlink("/proc/self/ns/pid")
        with contextlib.suppress(OSError):
            for pid in (
                Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
                .read_text()
                .split()
            ):
                named = Path(f"/proc/{pid}/comm").read_text().strip() == "systemd"
                if named and os.readlink(f"/proc/{pid}/ns/pid") != ours:
                    self._leader = int(pid)
        return self._leader != 0

    def _started(self) -> bool:
        state = self.run(["systemctl", "is-system-running", "--wait"], check=False).stdout.strip()
        if state == "degraded":
            failed = self.run(["systemctl", "list-units", "--failed", "--plain", "--no-legend"])
            raise TimeoutError(f"units failed: {failed.stdout}")
        return state == "running"

    def _end(self, how: signal.Signals) -> None:
        assert self._nspawn
        if self._leader:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._leader, how)
        else:
            self._nspawn.kill()
        self._nspawn.wait(20)
        self._leader = 0
        traces.stop(f"{self._fleet}/{self.name}")
