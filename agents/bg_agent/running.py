"""Running a command: bounded in time, its output bounded in size, never through a shell.

The one rule: it ends. At its time-out the whole process group is killed; what it left behind may
hold its output open for ever and is not waited for.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time

from bg_agent.trouble import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INHERITED = ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DBUS_SESSION_BUS_ADDRESS")
REST_S = 0.05
KILL_S = 5.0

ENDED_WITH_US: set[int] = set()
"""Groups that do not outlive the session: exec probes. Each is a group of its own."""


class Finished:
    """How it ended. `code` is None where it was killed at its time-out, negative: by a signal."""

    __slots__ = ("code", "cut", "err", "out")

    def __init__(self, code: int | None, out: bytes, err: bytes, cut: bool) -> None:
        self.code, self.out, self.err, self.cut = code, out, err, cut

    @property
    def said(self) -> str:
        """Its last line, for people."""
        from bg_agent.texts import one_line

        lines = (self.err or self.out).decode("utf-8", "replace").strip().splitlines()
        return one_line(lines[-1]) if lines else "it said nothing"


def surroundings() -> dict[str, str]:
    """The environment of commands of the system: short, and in one language."""
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    runtime = "/run/user/%d" % os.geteuid()
    if "XDG_RUNTIME_DIR" not in kept and os.path.isdir(runtime):
        kept["XDG_RUNTIME_DIR"] = runtime
    kept["PATH"] = os.environ.get("PATH") or PATH
    return dict(kept, LC_ALL="C.UTF-8", SYSTEMD_COLORS="0", SYSTEMD_PAGER="", SYSTEMD_URLIFY="0")


class How:
    """With what a command runs."""

    __slots__ = ("cwd", "ends_with_us", "env", "keep", "within_s")

    def __init__(
        self,
        within_s: float,
        *,
        keep: int = 256 * 1024,
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        ends_with_us: bool = False,
    ) -> None:
        self.within_s, self.keep, self.cwd = within_s, keep, cwd
        self.env = surroundings() if env is None else env
        self.ends_with_us = ends_with_us


def run(argv: Sequence[str], how: How) -> Finished:
    """Keeps the last `keep` bytes of each output. Refused where it cannot be run at all."""
    return end_of(begin(argv, how), how)


def begin(argv: Sequence[str], how: How) -> subprocess.Popen[bytes]:
    """It runs. Whoever begins it waits for its end."""
    try:
        process = subprocess.Popen(
            argv,
            env=dict(how.env),
            cwd=how.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it cannot be run"
        raise Refused("%s: %s" % (os.path.basename(argv[0]), why)) from None
    if how.ends_with_us:
        ENDED_WITH_US.add(process.pid)
    return process


def end_of(process: subprocess.Popen[bytes], how: How) -> Finished:
    with process:
        outputs = _Outputs(process, how.keep)
        try:
            in_time = outputs.read_all(time.monotonic() + how.within_s)
        finally:
            if process.poll() is None:
                kill(process.pid)  # not buried yet: the group is its own
            ENDED_WITH_US.discard(process.pid)
        code = process.wait()
    return Finished(code if in_time else None, *outputs.kept(), outputs.cut)


class _Outputs:
    def __init__(self, process: subprocess.Popen[bytes], keep: int) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self._process, self._keep, self.cut = process, keep, False
        self._files = (process.stdout.fileno(), process.stderr.fileno())
        self._kept = {file: bytearray() for file in self._files}
        self._open = set(self._files)

    def kept(self) -> tuple[bytes, bytes]:
        return bytes(self._kept[self._files[0]]), bytes(self._kept[self._files[1]])

    def read_all(self, until: float) -> bool:
        """Until it has ended; False where its time is over."""
        ended_at: float | None = None
        while True:
            now = time.monotonic()
            if ended_at is None and self._process.poll() is not None:
                ended_at = now
            if ended_at is not None and (not self._open or now > ended_at + REST_S):
                return True
            if now >= until:
                return False
            self._read(min(until - now, 0.02 if ended_at is None else REST_S))

    def _read(self, at_most_s: float) -> None:
        if not self._open:
            try:
                self._process.wait(at_most_s)
            except subprocess.TimeoutExpired:
                pass
            return
        poll = select.poll()
        for file in self._open:
            poll.register(file, select.POLLIN)
        for file, _ in poll.poll(max(at_most_s * 1000, 1)):
            data = os.read(file, 65536)
            if not data:
                self._open.discard(file)
            kept = self._kept[file]
            kept += data
            if len(kept) > self._keep:
                self.cut = True
                del kept[: len(kept) - self._keep]


def end_with_us() -> None:
    """What must not outlive the session ends now."""
    for group in list(ENDED_WITH_US):
        kill(group)


def kill(group: int) -> None:
    """All of it; what became somebody else through sudo as well, where sudo lets us."""
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
    if os.geteuid() and not _all_ours(group):
        argv = ["sudo", "-n", "kill", "-KILL", "--", "-%d" % group]
        no = subprocess.DEVNULL
        try:
            subprocess.run(argv, check=False, stdin=no, stdout=no, stderr=no, timeout=KILL_S)
        except (OSError, subprocess.SubprocessError):
            pass


def _all_ours(group: int) -> bool:
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name, "rb") as file:
                text = file.read(4096)
            # The name stands in parentheses and may hold some itself: the rest begins after it.
            theirs = int(text[text.rindex(b")") + 2 :].split()[2]) == group
            if theirs and os.stat("/proc/" + name).st_uid != os.geteuid():
                return False
        except (OSError, ValueError, IndexError):
            pass
    return True
