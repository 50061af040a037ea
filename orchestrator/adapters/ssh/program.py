"""The agent as bytes: what is sent to a host, once per content hash, and how it is started there.

It lies in the wheel as `agent.pyz`; in a checkout it is built from `agents/`. On a host it lies in
`~/.cache/bg/HASH/`, which belongs to the user alone, beside its own unpacked modules.

Commands are made here and run elsewhere. The one rule: nothing that comes from a host or from a
site file becomes part of a command but what was checked to be plain words.
"""

from __future__ import annotations

import functools
import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from orchestrator.ports.trouble import Refused

HERE = Path(__file__).resolve().parent
BUILT = HERE / "agent.pyz"
SOURCE = HERE.parents[2] / "agents" / "build.py"
PYTHON = ("python3", "-I", "-S")
HOWS = ("root", "user", "sudo")

_HASH = re.compile(r"[0-9a-f]{64}")
_CONTENT = re.compile(rb'^CONTENT = "([0-9a-f]{64})"$', re.MULTILINE)

LAY = """\
import hashlib, os, stat, sys
name, size, digest = sys.argv[1:4]
at = os.path.expanduser("~")
try:
    for part in (".cache", "bg", name):
        at = os.path.join(at, part)
        try:
            os.mkdir(at, 0o700)
        except FileExistsError:
            pass
    seen = os.lstat(at)
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid():
        sys.exit("%s is no folder of ours" % at)
    os.chmod(at, 0o700)
    data = sys.stdin.buffer.read(int(size) + 1)
    if hashlib.sha256(data).hexdigest() != digest:
        sys.exit("what arrived is not what was sent")
    path = os.path.join(at, "agent.pyz")
    beside = "%s.%d" % (path, os.getpid())
    file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    os.rename(beside, path)
except OSError as error:
    sys.exit("%s: %s" % (error.filename or at, error.strerror))
"""
"""Lays the bytes on stdin down as ~/.cache/bg/HASH/agent.pyz, or says in a line why not."""


@dataclass(frozen=True, slots=True)
class Program:
    content: str  # its content hash, as it says itself
    data: bytes

    @property
    def folder(self) -> str:
        """On a host; a command begins in the user's home."""
        return f".cache/bg/{self.content}"

    @property
    def lay(self) -> tuple[str, ...]:
        digest = hashlib.sha256(self.data).hexdigest()
        return (*PYTHON, "-c", LAY, self.content, str(len(self.data)), digest)

    @property
    def unpack(self) -> tuple[str, ...]:
        return (*PYTHON, f"{self.folder}/agent.pyz", "unpack")

    def serve(self, file: str, how: str | None) -> tuple[str, ...]:
        """`file`: `start.py`, which is quick, or `agent.pyz`."""
        return (*PYTHON, f"{self.folder}/{file}", "serve", *_how(how))

    def put(self, file: str, how: str | None, words: dict[str, str]) -> tuple[str, ...]:
        pairs = [text for name, value in words.items() for text in (f"--{name}", value)]
        return (*PYTHON, f"{self.folder}/{file}", "put", *pairs, *_how(how))


def _how(how: str | None) -> tuple[str, ...]:
    return ("--how", how) if how in HOWS else ()


@functools.cache
def program() -> Program:
    """The one of this installation of bg. `Refused` where it has none."""
    if BUILT.is_file():
        return _read(BUILT)
    if not SOURCE.is_file():
        raise Refused("this installation of bg has no agent for hosts; install bgctl anew")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "agent.pyz")
        argv = [sys.executable, "-I", str(SOURCE), str(made)]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        return _read(made)


def _read(path: Path) -> Program:
    with zipfile.ZipFile(path) as archive:
        found = _CONTENT.search(archive.read("bg_agent/__init__.py"))
    if found is None:
        raise Refused(f"{path} is not an agent of bg; install bgctl anew")
    return Program(found[1].decode(), path.read_bytes())
