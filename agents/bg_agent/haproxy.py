"""A HAProxy on this host: its runtime socket, and the files it is started with.

Colors, holds and what waits are maps (`SITE.colors.map`, `SITE.holds.map`, `SITE.waits.map`). The
socket answers when a command has taken effect for all threads; the colors' file says what the next
start serves. The one rule: what a restarted HAProxy would serve lies on the disk before a running
one is told. It refuses to know which color anybody ought to be sent to.
"""

from __future__ import annotations

import os
import socket
import time

from bg_agent import disk, host
from bg_agent.trouble import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

ANSWER_S = 3.0  # of one command
ANSWER_MAX = 8 * 1024 * 1024
PAYLOAD_MAX = 8 * 1024  # half of HAProxy's smallest usual buffer
HEAD = "# Written by bg: who gets traffic. Changed by hand it is seen, and named. Sum: "
NOBODY = "none"


class Away(Exception):
    """There is no HAProxy at that socket, or it does not answer."""


class Runtime:
    """Each question is a connection of its own, so nothing is ever out of step."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def ask(self, command: str) -> str:
        """The whole answer. `Away`; `Refused` (`not-permitted`)."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
                line.settimeout(ANSWER_S)
                line.connect(self.path)
                line.sendall(command.encode("ascii") + b"\n")
                return _all(line).decode("utf-8", "replace")
        except PermissionError:
            raise Refused(_not_ours(self.path), "not-permitted") from None
        except OSError as error:
            why = error.strerror or "it does not answer"
            raise Away("HAProxy does not answer at %s: %s" % (self.path, why)) from None

    def info(self) -> dict[str, str]:
        lines = (line.partition(": ") for line in self.ask("show info").splitlines())
        return {name: value.strip() for name, _, value in lines if name}

    def pid(self) -> int:
        """Of the process that answers; a new one says that it was started again."""
        pid = self.info().get("Pid", "")
        if not pid.isdigit():
            raise Away("what answers at %s is no HAProxy" % self.path)
        return int(pid)

    def entries(self, path: str, version: int = 0) -> dict[str, str] | None:
        """A map as it is looked up now; None where HAProxy has no such map."""
        at = "@%d " % version if version else ""
        found = self.ask("show map %s%s" % (at, path))
        if found.startswith(("Unknown map", "Malformed")):
            return None
        rows = (line.split(" ", 2) for line in found.splitlines())
        return {row[1]: row[2].strip() if len(row) > 2 else "" for row in rows if len(row) > 1}

    def set(self, path: str, entries: dict[str, str]) -> None:
        """Of a map, some entries; each of them at once."""
        for key, value in entries.items():
            if self.ask("set map %s %s %s" % (path, key, value)).strip():
                self.ask("add map %s %s %s" % (path, key, value))

    def lay(self, path: str, entries: dict[str, str]) -> int:
        """A new version of a map, all of it, not yet in use. What nobody took is cleared first."""
        for leftover in range(*self._versions(path)):
            self.ask("clear map @%d %s" % (leftover, path))
        said = self.ask("prepare map " + path)
        version = said.rpartition(":")[2].strip()
        if not version.isdigit():
            raise Refused("HAProxy prepares no map: %s" % (said.strip()[:200] or "no answer"))
        for lines in _payloads(entries):
            self.ask("add map @%s %s <<\n%s" % (version, path, lines))
        return int(version)

    def _versions(self, path: str) -> tuple[int, int]:
        """Those that were prepared and never taken: from, and up to but not, this one."""
        for line in self.ask("show map").splitlines():
            if "(%s)" % path in line:
                words = dict(word.split("=", 1) for word in line.split() if word.count("=") == 1)
                begun, end = words.get("curr_ver", ""), words.get("next_ver", "")
                if begun.isdigit() and end.isdigit():
                    return max(int(begun), int(end) - 16) + 1, int(end) + 1
        return 0, 0

    def counts(self, prefix: str) -> dict[str, int]:
        """Requests at each backend of this prefix: being answered, or queued."""
        head, *lines = self.ask("show stat -1 2 -1").splitlines() or [""]
        names = head.lstrip("# ").split(",")
        found = {}
        for line in lines:
            row = dict(zip(names, line.split(",")))
            if row.get("pxname", "").startswith(prefix):
                # What is queued is counted as current, too.
                numbers = (row.get(name) or "0" for name in ("scur", "qcur"))
                found[row["pxname"]] = max(int(one) if one.isdigit() else 0 for one in numbers)
        return found

    def servers(self, prefix: str) -> dict[str, list[str]]:
        """The servers of each backend of this prefix, as `address:port`."""
        found: dict[str, list[str]] = {}
        for line in self.ask("show servers state").splitlines():
            row = line.split(" ")
            if len(row) > 18 and row[1].startswith(prefix):
                found.setdefault(row[1], []).append("%s:%s" % (row[4], row[18]))
        return found


def _not_ours(path: str) -> str:
    """What lets this user at the socket: the group it belongs to, where it has one of its own."""
    import grp

    me = host.user()
    why = "%s may not use the socket %s of HAProxy" % (me, path)
    try:
        group = grp.getgrgid(os.stat(path).st_gid).gr_name
    except (KeyError, OSError):
        return why
    if group == "root":
        return why + ": give it a `group` of its own in haproxy.cfg, and this user that group"
    return "%s: run `usermod -aG %s %s` there as root" % (why, group, me)


def _all(line: socket.socket) -> bytes:
    data, until = bytearray(), time.monotonic() + ANSWER_S
    while True:
        part = line.recv(65536)
        if not part:
            return bytes(data)
        data += part
        if len(data) > ANSWER_MAX or time.monotonic() > until:
            raise Away("HAProxy's answer does not end")


def _payloads(entries: dict[str, str]) -> Iterable[str]:
    lines = ""
    for key, value in entries.items():
        if len(lines) > PAYLOAD_MAX:
            yield lines
            lines = ""
        lines += "%s %s\n" % (key, value)
    if lines:
        yield lines


# -- Files -------------------------------------------------------------------------------------


class Files:
    """Of one site, in the folder of the maps."""

    __slots__ = ("colors", "folder", "holds", "lua", "waits")

    def __init__(self, folder: str, site: str) -> None:
        self.folder = folder
        self.colors, self.holds, self.waits, self.lua = (
            os.path.join(folder, site + end)
            for end in (".colors.map", ".holds.map", ".waits.map", ".hold.lua")
        )

    def read_colors(self) -> tuple[dict[str, str] | None, bool]:
        """What the colors' file says (None: there is none), and whether it is as bg wrote it."""
        data = disk.read(self.colors)
        if data is None:
            return None, True
        entries = parsed(data)
        return entries, data == text_of(entries)

    def write_beside(self, entries: dict[str, str]) -> None:
        disk.write_beside(self.colors, text_of(entries))

    def lies_beside(self, entries: dict[str, str]) -> bool:
        return disk.lies_beside(self.colors) == text_of(entries)

    def put(self) -> None:
        """The instant."""
        disk.put_beside(self.colors)


def text_of(entries: dict[str, str]) -> bytes:
    import hashlib

    lines = "".join("%s %s\n" % (key, entries[key]) for key in sorted(entries))
    return ("%s%s\n%s" % (HEAD, hashlib.sha256(lines.encode()).hexdigest()[:16], lines)).encode()


def parsed(data: bytes) -> dict[str, str]:
    """As HAProxy reads it: the last of a key wins nothing, the first does."""
    found: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        key, _, value = line.strip().partition(" ")
        if key and not key.startswith("#"):
            found.setdefault(key, value.strip())
    return found


# -- Processes ---------------------------------------------------------------------------------


def started_with(pid: int) -> list[str]:
    """The configuration files (`-f`) of a process; empty where that cannot be seen."""
    words = (disk.read("/proc/%d/cmdline" % pid, 65536) or b"").split(b"\0")
    files = [words[at + 1] for at, word in enumerate(words[:-1]) if word == b"-f"]
    return [os.fsdecode(name) for name in files]


def older(pid: int) -> int:
    """How many processes of before a reload still answer on their old connections."""
    files, master = started_with(pid), _parent(pid)
    found = 0
    for name in os.listdir("/proc") if files else ():
        if name.isdigit() and int(name) not in (pid, master) and _is_haproxy(name):
            found += started_with(int(name)) == files
    return found


def _is_haproxy(name: str) -> bool:
    try:
        return disk.read("/proc/%s/comm" % name, 64) == b"haproxy\n"
    except OSError:
        return False


def _parent(pid: int) -> int:
    text = disk.read("/proc/%d/stat" % pid, 4096) or b""
    words = text[text.rfind(b")") + 2 :].split()
    return int(words[1]) if len(words) > 1 else 0
