"""One driver of many hosts, as a process of its own: ours, or a plain program on asyncssh.

    python -m bench.hosts_reach ours|bare|bare-sh PORT COUNT LOOKS

It says in JSON how long the parts took (seconds) and what it keeps in memory (bytes per host):
`connect` to all and run `true` there; `begin` something that is kept, with its first answer;
`exchange`: a line there and a line back; `look`, on average of LOOKS. The plain one does what a
good script would: keys and known hosts are read once, as many connections are opened at once, and
what it keeps on each host is a small program in Python that is sent a line, asks systemd the one
question that the agent asks where nothing runs, and answers a line; `bare-sh`: a shell does that.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shlex
import sys
import time
from collections.abc import Awaitable, Iterable
from pathlib import Path
from typing import Any

from bench.far.hosts import address_of, name_of
from orchestrator.core.model import Host

SITE, SERVICE = "fleet", "web"
UNITS = f"bg-{SITE}-{SERVICE}-blue@*.service", f"bg-{SITE}-{SERVICE}-green@*.service"
SHOWN = "Id,LoadState,ActiveState,SubState,MainPID,InvocationID,UnitFileState"
LOOK = ("systemctl", "--user", "show", "--all", f"--property={SHOWN}", *UNITS)
BY_SHELL = f"{shlex.join(LOOK)}; echo done\n"
BY_PYTHON = """\
import json, subprocess, sys
for line in sys.stdin:
    asked = json.loads(line)
    said = [subprocess.run(argv, capture_output=True, text=True).stdout for argv in asked]
    print(json.dumps(said), flush=True)
"""


class Ours:
    def __init__(self, hosts: list[Host]) -> None:
        from orchestrator.adapters.ssh.agents import Agents
        from orchestrator.adapters.ssh.shell import Shell

        self.hosts, self.shell = hosts, Shell()
        self.agents = Agents(self.shell)

    async def connect(self) -> None:
        await _all(self._true(host) for host in self.hosts)

    async def _true(self, host: Host) -> None:
        done = await self.shell.run(host, ("true",), within_s=60)
        assert done.status == 0

    async def begin(self) -> None:
        await _all(self.agents.ask(host, "hello", {}) for host in self.hosts)

    exchange = begin

    async def look(self) -> None:
        await _all(self._look(host) for host in self.hosts)

    async def _look(self, host: Host) -> None:
        fields = {"site": SITE, "journal": "-", "epoch": None, "services": [SERVICE]}
        await self.agents.ask(host, "look", fields)

    async def close(self) -> None:
        await self.agents.close()


class Bare:
    command = shlex.join(("python3", "-I", "-S", "-c", BY_PYTHON))
    nothing, question = b"[]\n", json.dumps([LOOK]).encode() + b"\n"
    last = b""  # the line that ends an answer; empty: each is one

    def __init__(self, hosts: list[Host]) -> None:
        import asyncssh

        home = Path.home() / ".ssh"
        self.hosts = hosts
        self.key = asyncssh.read_private_key(str(home / "id_ed25519"))
        self.known = asyncssh.read_known_hosts(str(home / "known_hosts"))
        self.turns = asyncio.Semaphore(64)
        self.kept: dict[Host, Any] = {}
        self.begun: dict[Host, Any] = {}

    async def connect(self) -> None:
        await _all(self._connect(host) for host in self.hosts)

    async def _connect(self, host: Host) -> None:
        import asyncssh

        async with self.turns:
            self.kept[host] = await asyncssh.connect(
                host.address,
                host.port or 22,
                username=host.user,
                client_keys=[self.key],
                known_hosts=self.known,
            )
        done = await self.kept[host].run("true")
        assert done.exit_status == 0

    async def begin(self) -> None:
        await _all(self._begin(host) for host in self.hosts)

    async def _begin(self, host: Host) -> None:
        process = await self.kept[host].create_process(self.command, encoding=None)
        self.begun[host] = process
        await self._asked(host, self.nothing)

    async def exchange(self) -> None:
        await _all(self._asked(host, self.nothing) for host in self.hosts)

    async def look(self) -> None:
        await _all(self._asked(host, self.question) for host in self.hosts)

    async def _asked(self, host: Host, line: bytes) -> None:
        process = self.begun[host]
        process.stdin.write(line)
        while (said := await process.stdout.readline()) != (self.last or said):
            pass

    async def close(self) -> None:
        for connection in self.kept.values():
            connection.close()
        await _all(connection.wait_closed() for connection in self.kept.values())


class BareShell(Bare):
    command, last = "sh", b"done\n"
    nothing, question = b"echo done\n", BY_SHELL.encode()


KINDS: dict[str, type[Ours] | type[Bare]] = {"ours": Ours, "bare": Bare, "bare-sh": BareShell}


async def _all(these: Iterable[Awaitable[Any]]) -> None:
    await asyncio.gather(*these)


async def measured(kind: str, hosts: list[Host], looks: int) -> dict[str, float]:
    before = _kept_bytes()
    driver: Ours | Bare = KINDS[kind](hosts)
    found = {}
    for name, times in (("connect", 1), ("begin", 1), ("exchange", looks), ("look", looks)):
        if name == "look":
            await driver.look()  # the first one loads what all others have
        took, busy = time.perf_counter(), time.process_time()
        for _ in range(times):
            await getattr(driver, name)()
        found[name] = (time.perf_counter() - took) / times
        found[f"{name}_cpu"] = (time.process_time() - busy) / times
    found["kept"] = (_kept_bytes() - before) / len(hosts)
    await driver.close()
    return found


def _kept_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    import asyncssh  # loaded before anything is measured, by both

    kind, port, count, looks = sys.argv[1], *map(int, sys.argv[2:5])
    asyncssh.set_log_level("CRITICAL")
    hosts = [Host(name_of(n), address_of(n), name_of(n), port, "user") for n in range(count)]
    print(json.dumps(asyncio.run(measured(kind, hosts, looks))))


if __name__ == "__main__":
    main()
