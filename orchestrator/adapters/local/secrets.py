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
import signal
import stat
from typing import assert_never

from orchestrator.adapters.local.redact import Redactor, sounds_secret
from orchestrator.core.model import Recipe, Secret, SecretFrom
from orchestrator.ports.trouble import Refused

COMMAND_S = 15.0  # how long a command may take to say its secret
SIZE_MAX = 64 * 1024  # bytes; an environment has no room for more


async def resolve(recipe: Recipe, folder: str, redactor: Redactor) -> dict[str, str]:
    """The values of the recipe's secrets by variable, without a final line end. `Refused`."""
    values: dict[str, str] = {}
    for name, value in recipe.env:
        if isinstance(value, Secret):
            values[name] = await _value(name, value, folder)
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


async def _value(name: str, secret: Secret, folder: str) -> str:
    if secret.source is SecretFrom.COMMAND:
        return _text(name, await _said_by(name, secret.name, folder))
    return _at_hand(name, secret, folder)


def _at_hand(name: str, secret: Secret, folder: str) -> str:
    match secret.source:
        case SecretFrom.FILE:
            return _text(name, _in_file(name, os.path.join(folder, secret.name[0])))
        case SecretFrom.ENV:
            variable = secret.name[0]
            if variable not in os.environ:
                raise Refused(f"the secret {name}: the variable {variable} is not set here")
            return os.environ[variable]
        case SecretFrom.COMMAND:
            raise Refused(f"the secret {name}: has to be asked of a command")
        case _ as never:
            assert_never(never)


def _in_file(name: str, path: str) -> bytes:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise Refused(f"the secret {name}: {path} is not a file")
            return os.read(file, SIZE_MAX + 1)
        finally:
            os.close(file)
    except OSError as error:
        raise Refused(f"the secret {name}: {path} cannot be read: {error.strerror}") from None


async def _said_by(name: str, argv: tuple[str, ...], folder: str) -> bytes:
    told = f"the secret {name}: the command {argv[0]}"
    try:
        command = await asyncio.create_subprocess_exec(
            *argv,
            cwd=folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise Refused(f"{told} cannot be run: {error.strerror}") from None
    assert command.stdout is not None
    try:
        async with asyncio.timeout(COMMAND_S):
            said = await _at_most(command.stdout, SIZE_MAX + 1)
            code = await command.wait() if len(said) <= SIZE_MAX else 0
    except TimeoutError:
        raise Refused(f"{told} said nothing within {COMMAND_S:.0f} s") from None
    finally:
        await _end(command)
    if code:
        raise Refused(f"{told} ended with exit code {code}; what it said is not shown")
    return said


async def _at_most(stream: asyncio.StreamReader, size: int) -> bytes:
    said = b""
    while len(said) < size and (more := await stream.read(size - len(said))):
        said += more
    return said


async def _end(command: asyncio.subprocess.Process) -> None:
    """Nothing of it stays, whatever it began. It is not buried yet or its group is ours."""
    if command.returncode is None:
        try:
            os.killpg(command.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        await command.wait()


def _text(name: str, data: bytes) -> str:
    if len(data) > SIZE_MAX:
        raise Refused(f"the secret {name}: longer than {SIZE_MAX // 1024} KiB")
    if b"\0" in data:
        raise Refused(f"the secret {name}: holds a NUL byte, no environment can")
    text = data.decode("utf-8", "surrogateescape")
    return text.removesuffix("\n").removesuffix("\r")
