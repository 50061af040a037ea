"""Files that Envoy watches or that must outlive us: whole or not there, and synced.

The one rule: written beside, synced, renamed, the folder synced. A file changed in place is not
noticed by Envoy, and one cut short by a power loss would be served as it is. Mode 0600 throughout.
It knows nothing of what is in them.
"""

from __future__ import annotations

import os

from orchestrator.ports.trouble import Refused
from orchestrator.releases.disk import sync_folder


def read(path: str) -> str | None:
    """The whole text; None where there is no file. `Refused` where it may not be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from error


def write(path: str, text: str) -> None:
    """Replace the file in one instant, durably. `Refused` where the disk refuses."""
    prepare(path, text)
    put(path)


def prepare(path: str, text: str) -> None:
    """Everything but the instant. `Refused` where the disk refuses; nothing happened then."""
    try:
        _beside(f"{path}.new", text)
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}") from error


def put(*paths: str) -> None:
    """The instant of what was prepared, of all of them; then durably."""
    for path in paths:
        try:
            os.rename(f"{path}.new", path)
        except OSError as error:
            raise Refused(f"{path} cannot be written: {error.strerror}") from error
    for folder in {os.path.dirname(path): None for path in paths}:
        try:
            sync_folder(folder)
        except OSError as error:
            raise Refused(f"{folder} cannot be written: {error.strerror}") from error


def make_folder(path: str) -> None:
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    except OSError as error:
        raise Refused(f"{path} cannot be made: {error.strerror}") from error


def _beside(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
