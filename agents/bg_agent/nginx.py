"""An nginx on this host: its workers, what each says, and the file of colors it includes.

Colors are variables in `SITE.colors.conf`, and a worker has those of its start for life; so a flip
is another file, and a reload. Every worker answers for itself, on a socket of its own at a port of
127.0.0.1: its number, and each color. The one rule: a color counts only where every worker in
service has said it; those on their way out are counted. It refuses to know which color anybody
ought to be sent to.
"""

from __future__ import annotations

import os
import re
import socket
import time

from bg_agent import disk, lock
from bg_agent.trouble import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

ANSWER_S = 0.25  # of one worker; one that is asked in vain is asked again
ANSWER_MAX = 1024 * 1024
AGAIN_S = 0.005
ROUND_S = 0.1  # as long as a reload takes, at least
HEAD = "# Written by bg: who gets traffic. Changed by hand it is seen, and named. Sum: "
NOBODY = "none"
MASTER, WORKER, LEAVING = "nginx: master process", "nginx: worker process", " is shutting down"

_LINE = re.compile(r"map (\S+) \$(\w+) \{ default (\w+); \}")


class Away(Exception):
    """There is no nginx at that port, or what it says cannot be relied on."""


class Said:
    """One answer of one worker."""

    __slots__ = ("colors", "worker")

    def __init__(self, worker: int, colors: dict[str, str]) -> None:
        self.worker, self.colors = worker, colors


class Workers:
    """Of one master, at one instant."""

    __slots__ = ("leaving", "master", "serving")

    def __init__(self, master: int, serving: Iterable[int], leaving: Iterable[int]) -> None:
        self.master, self.serving, self.leaving = master, frozenset(serving), frozenset(leaving)


class Agreed:
    """What all workers in service have said. `process`: of the master; another one is another."""

    __slots__ = ("colors", "process", "workers")

    def __init__(self, workers: Workers, colors: dict[str, str]) -> None:
        self.workers, self.colors = workers, colors
        self.process = "%d:%d" % (workers.master, lock.started(workers.master))


def agreed(port: int, site: str, within_s: float) -> Agreed:
    """Asks on new connections until every worker in service has answered, all the same. `Away`.

    A worker has its colors for life, so what one said stays true; who is in service does not.
    """
    until = time.monotonic() + within_s
    heard: dict[int, dict[str, str]] = {}
    workers = Workers(0, (), ())
    while True:
        try:
            said = _asked(port, site, until)
        except Away:
            if time.monotonic() < until or not heard:
                raise
            raise Away(_why_not(workers, heard)) from None
        heard[said.worker] = said.colors
        workers = workers_of(said)
        _hear(port, site, workers, heard, min(until, time.monotonic() + ROUND_S))
        workers = workers_of(said)
        colors = [heard[worker] for worker in workers.serving if worker in heard]
        if colors and len(colors) == len(workers.serving) and all(c == colors[0] for c in colors):
            return Agreed(workers, colors[0])
        if time.monotonic() >= until:
            raise Away(_why_not(workers, heard))
        time.sleep(AGAIN_S)


def _hear(
    port: int, site: str, workers: Workers, heard: dict[int, dict[str, str]], until: float
) -> None:
    """Each of them, for as long as this list of them may be believed."""
    while not workers.serving <= set(heard) and time.monotonic() < until:
        try:
            said = ask(port, site)
        except OSError:
            continue  # it may be a worker that is just going
        heard[said.worker] = said.colors


def _why_not(workers: Workers, heard: dict[int, dict[str, str]]) -> str:
    silent = sorted(workers.serving - set(heard))
    if silent:
        return "worker %d of nginx does not answer" % silent[0]
    if workers.serving:
        return "the workers of nginx do not agree"
    return "the workers of nginx come and go"


def _asked(port: int, site: str, until: float) -> Said:
    """The first to answer. Where nobody listens, nobody is waited for."""
    while True:
        try:
            return ask(port, site)
        except ConnectionRefusedError:
            why = "nginx is away, or runs without bg's lines: nobody listens at 127.0.0.1:%d" % port
            raise Away(why) from None
        except OSError as error:
            if time.monotonic() >= until:
                why = error.strerror or "no answer"
                raise Away("nginx does not answer at 127.0.0.1:%d: %s" % (port, why)) from None


def ask(port: int, site: str) -> Said:
    """One new connection, so one worker. OSError; `Away`: what answers is something else."""
    question = "GET /bg/%s HTTP/1.0\r\nHost: bg\r\n\r\n" % site
    with socket.create_connection(("127.0.0.1", port), ANSWER_S) as line:
        line.sendall(question.encode("ascii"))
        data = bytearray()
        while True:
            part = line.recv(65536)
            if not part or len(data) > ANSWER_MAX:
                break
            data += part
    if not data:
        raise ConnectionResetError(0, "no answer")
    return _read(data.decode("latin-1"), port)


def _read(answer: str, port: int) -> Said:
    worker, colors = "", {}
    for line in answer.splitlines():
        name, _, value = line.partition(": ")
        if name.lower() == "bg-worker":
            worker = value.strip()
        elif name.lower() == "bg-color":
            key, _, color = value.strip().partition(" ")
            colors[key] = color
    if not worker.isdigit():
        raise Away("what answers at 127.0.0.1:%d has none of bg's lines" % port)
    return Said(int(worker), colors)


# -- Processes ---------------------------------------------------------------------------------


def workers_of(said: Said) -> Workers:
    """The workers beside the one that answered; none where it has gone since. `Refused`, `Away`."""
    master = _parent(said.worker)
    if not master:
        return Workers(0, (), ())
    if not _title(master).startswith(MASTER):
        raise Refused(
            "what answers is no worker of an nginx of this host that this user may see", "other"
        )
    if _title(_parent(master)).startswith(MASTER):
        raise Away("a new nginx is taking over from another (USR2)")
    titles = {pid: _title(pid) for pid in _children(master)}
    leaving = [pid for pid, title in titles.items() if title.startswith(WORKER + LEAVING)]
    # A worker that was just made still has its master's title.
    serving = [
        pid
        for pid, title in titles.items()
        if pid not in leaving and title.startswith((WORKER, MASTER))
    ]
    return Workers(master, serving, leaving)


def _children(pid: int) -> list[int]:
    told = disk.read("/proc/%d/task/%d/children" % (pid, pid))
    if told is not None:
        return [int(one) for one in told.split()]
    return [int(one) for one in os.listdir("/proc") if one.isdigit() and _parent(int(one)) == pid]


def _title(pid: int) -> str:
    """What a process calls itself; empty where it is not there."""
    try:
        words = disk.read("/proc/%d/cmdline" % pid, 4096) or b""
    except OSError:
        return ""
    return words.replace(b"\0", b" ").decode("utf-8", "replace")


def _parent(pid: int) -> int:
    try:
        text = disk.read("/proc/%d/stat" % pid, 4096) or b""
    except OSError:
        return 0
    words = text[text.rfind(b")") + 2 :].split()
    return int(words[1]) if len(words) > 1 else 0


def cut_short() -> int:
    """How many connections of this host were closed while somebody was still speaking, so far."""
    lines = [line.split() for line in (disk.read("/proc/net/netstat") or b"").splitlines()]
    for names, values in zip(lines, lines[1:]):  # noqa: RUF007, for Python 3.8
        if names[:1] == [b"TcpExt:"] == values[:1]:
            row = dict(zip(names, values))
            return sum(int(row.get(one, b"0")) for one in (b"TCPAbortOnData", b"TCPAbortOnClose"))
    return 0


# -- The file ----------------------------------------------------------------------------------


class Colors:
    """The file that the configuration includes, of one site."""

    __slots__ = ("at", "cuts", "folder")

    def __init__(self, folder: str, site: str) -> None:
        self.folder = folder
        self.at = os.path.join(folder, site + ".colors.conf")
        self.cuts = os.path.join(folder, site + ".cuts")

    def read(self) -> tuple[dict[str, str] | None, bool]:
        """What it says (None: there is none), and whether it is as bg wrote it."""
        data = disk.read(self.at)
        if data is None:
            return None, True
        lines = parsed(data)
        return {key: color for key, (_, color) in lines.items()}, data == text_of(lines)

    def written(self, entries: dict[str, str], variables: dict[str, str]) -> bytes:
        """With these colors. What else it has, a configuration may still name, so it stays."""
        lines = parsed(disk.read(self.at) or b"")
        lines.update((key, (variables[key], color)) for key, color in entries.items())
        return text_of(lines)

    def note_cut(self, count: int) -> None:
        """What a reload cut short; the newest twenty are kept."""
        kept = [*self.cut(), count][-20:]
        disk.write(self.cuts, ("%s\n" % " ".join(map(str, kept))).encode(), disk.READABLE)

    def cut(self) -> list[int]:
        words = (disk.read(self.cuts, 1024) or b"").split()
        return [int(one) for one in words if one.isdigit() and len(one) < 10]


def text_of(lines: dict[str, tuple[str, str]]) -> bytes:
    """Of each key its variable and its color."""
    import hashlib

    rows = ((key, *lines[key]) for key in sorted(lines))
    text = "".join("map %s $%s { default %s; }\n" % row for row in rows)
    return ("%s%s\n%s" % (HEAD, hashlib.sha256(text.encode()).hexdigest()[:16], text)).encode()


def parsed(data: bytes) -> dict[str, tuple[str, str]]:
    found = {}
    for line in data.decode("utf-8", "replace").splitlines():
        row = _LINE.fullmatch(line.strip())
        if row:
            found[row[1]] = (row[2], row[3])
    return found
