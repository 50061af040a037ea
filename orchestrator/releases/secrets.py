"""Secrets: read at the moment a program starts, handed to it, and kept nowhere.

A secret is named in the recipe: a file (relative to the site's folder), a variable of whoever
drives, or the output of a command. Each value that is read is told to the redactor before anything
else is done with it.

The one rule: a value leaves this module in an environment only. It is in no message, not even where
reading it failed: what a command said on the way is thrown away.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import stat
import subprocess
import time
from typing import assert_never

from orchestrator.core.model import Recipe, Secret, SecretFrom
from orchestrator.ports.trouble import Refused
from orchestrator.releases.redact import Redactor, sounds_secret

COMMAND_S = 15.0  # how long a command may take to say its secret
SIZE_MAX = 64 * 1024  # bytes; an environment has no room for more


async def resolve(
    recipe: Recipe, folder: str, redactor: Redactor, *, command_s: float = COMMAND_S
) -> dict[str, str]:
    """The values of the recipe's secrets by variable, without a final line end. `Refused`."""
    values: dict[str, str] = {}
    for name, value in recipe.env:
        if isinstance(value, Secret):
            values[name] = await _value(name, value, folder, command_s)
            redactor.learn(name, values[name])
        elif sounds_secret(name):
            redactor.learn(name, value)
    return values


def learn_quietly(recipe: Recipe, folder: str, redactor: Redactor) -> None:
    """Tell the redactor what can be known without effort: nothing is run, and nothing fails."""
    for name, value in recipe.env:
        if isinstance(value, str):
            if sounds_secret(name):
                redactor.learn(name, value)
        elif value.source is not SecretFrom.COMMAND:
            try:
                redactor.learn(name, _at_hand(name, value, folder))
            except Refused:
                pass


async def _value(name: str, secret: Secret, folder: str, command_s: float) -> str:
    if secret.source is SecretFrom.COMMAND:
        return _text(name, await asyncio.to_thread(_said_by, name, secret.name, folder, command_s))
    return _at_hand(name, secret, folder)


def _at_hand(name: str, secret: Secret, folder: str) -> str:
    match secret.source:
        case SecretFrom.FILE:
            return _text(name, _in_file(name, os.path.join(folder, secret.name[0])))
        case SecretFrom.ENV:
            variable = secret.name[0]
            if variable not in os.environ:
                raise Refused(f"the secret {name} cannot be had: {variable} is not set here")
            return os.environ[variable]
        case SecretFrom.COMMAND:
            raise Refused(f"the secret {name} cannot be had: it has to be asked of a command")
        case _ as never:
            assert_never(never)


def _in_file(name: str, path: str) -> bytes:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise Refused(f"the secret {name} cannot be had: {path} is not a file")
            return os.read(file, SIZE_MAX + 1)
        finally:
            os.close(file)
    except OSError as error:
        why = f"{path}: {error.strerror}"
        raise Refused(f"the secret {name} cannot be had: {why}") from None


def _said_by(name: str, argv: tuple[str, ...], folder: str, within_s: float) -> bytes:
    """What the command says, bounded in size and time; in a thread, for it blocks."""
    told = f"the secret {name} cannot be had: the command {argv[0]}"
    until = time.monotonic() + within_s
    try:
        command = subprocess.Popen(
            argv,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise Refused(f"{told} cannot be run: {error.strerror}") from None
    with command:
        try:
            said = _at_most(command, SIZE_MAX + 1, until)
            if len(said) <= SIZE_MAX:
                command.wait(max(until - time.monotonic(), 0))
        except (TimeoutError, subprocess.TimeoutExpired):
            raise Refused(f"{told} was not done within {within_s:g} s") from None
        finally:
            if command.poll() is None:
                os.killpg(command.pid, signal.SIGKILL)  # not buried yet: the group is its own
    if len(said) <= SIZE_MAX and command.returncode:
        raise Refused(
            f"{told} ended with exit code {command.returncode}; what it said is not shown"
        )
    return said


def _at_most(command: subprocess.Popen[bytes], size: int, until: float) -> bytes:
    assert command.stdout is not None
    said = b""
    while len(said) < size:
        left_s = max(until - time.monotonic(), 0)
        if not select.select([command.stdout], [], [], left_s)[0]:
            raise TimeoutError
        more = os.read(command.stdout.fileno(), size - len(said))
        if not more:
            break
        said += more
    return said


def _text(name: str, data: bytes) -> str:
    if len(data) > SIZE_MAX:
        raise Refused(f"the secret {name} cannot be used: it is longer than {SIZE_MAX // 1024} KiB")
    if b"\0" in data:
        raise Refused(f"the secret {name} cannot be used: it holds a NUL byte, no environment can")
    text = data.decode("utf-8", "surrogateescape")
    return text.removesuffix("\n").removesuffix("\r")
