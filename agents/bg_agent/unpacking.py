"""Laying its own modules down beside the archive, compiled: a start from there is a fast one.

Python compiles what lies in an archive anew at every start, and takes a slow way to begin it. The
one rule: only into a folder that nobody else can write to, for what lies there is run.
"""

from __future__ import annotations

import compileall
import os
import zipfile


def beside(archive: str) -> str:
    """Unpack, and say which file to start: `start.py`, or the archive where it cannot be."""
    folder = os.path.dirname(os.path.abspath(archive))
    seen = os.stat(folder)
    if seen.st_uid != os.geteuid() or seen.st_mode & 0o022 or not zipfile.is_zipfile(archive):
        return archive
    with zipfile.ZipFile(archive) as packed:
        for name in packed.namelist():
            _lay(os.path.join(folder, _place(name)), packed.read(name))
    compileall.compile_dir(os.path.join(folder, "bg_agent"), quiet=2)
    return os.path.join(folder, "start.py")


def _place(name: str) -> str:
    return "start.py" if name == "__main__.py" else name


def _lay(path: str, data: bytes) -> None:
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    beside_it = "%s.%d" % (path, os.getpid())
    file = os.open(beside_it, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "wb") as out:
        out.write(data)
    os.rename(beside_it, path)
