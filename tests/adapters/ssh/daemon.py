"""An SSH server of a test, in a process of its own: lets one key in, runs what it is asked to.

    python -m tests.adapters.ssh.daemon FOLDER ADDRESS

FOLDER: `host_key` (its own), `authorized` (who may come in), `env` (of what it runs, as JSON),
`before` (what start files of the shell say at each login), `commands` (written: one in a line). It
says its port, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncssh


async def main(folder: Path, address: str) -> None:
    threads = ThreadPoolExecutor(64)  # each that runs keeps some of them waiting
    asyncio.get_running_loop().set_default_executor(threads)
    environment: dict[str, str] = json.loads((folder / "env").read_text())

    async def run(process: asyncssh.SSHServerProcess[bytes]) -> None:
        with (folder / "commands").open("a") as commands:
            commands.write(json.dumps(process.command) + "\n")
        process.stdout.write((folder / "before").read_bytes())
        pipe = subprocess.PIPE
        child = subprocess.Popen(  # noqa: ASYNC220 - it takes a millisecond
            ["/bin/sh", "-c", process.command or "true"], stdin=pipe, stdout=pipe, stderr=pipe,
            cwd=environment["HOME"], env=environment, start_new_session=True, bufsize=0,
        )  # fmt: skip
        feeding = asyncio.create_task(_feed(process, child))
        try:
            await asyncio.gather(
                _pump(child.stdout, process.stdout), _pump(child.stderr, process.stderr)
            )
            process.exit(await asyncio.to_thread(child.wait))
        except (OSError, asyncssh.Error):
            pass  # whoever asked has gone
        finally:
            feeding.cancel()
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()

    listening = await asyncssh.create_server(
        asyncssh.SSHServer, address, 0, server_host_keys=[str(folder / "host_key")],
        authorized_client_keys=str(folder / "authorized"), process_factory=run, encoding=None,
    )  # fmt: skip
    print(listening.get_port(), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)


async def _pump(source: Any, target: Any) -> None:
    while data := await asyncio.to_thread(source.read, 65536):
        target.write(data)
        await target.drain()


async def _feed(process: asyncssh.SSHServerProcess[bytes], child: subprocess.Popen[bytes]) -> None:
    assert child.stdin
    try:
        while data := await process.stdin.read(65536):
            await asyncio.to_thread(child.stdin.write, data)
    except (OSError, asyncssh.Error):
        pass
    finally:
        child.stdin.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
