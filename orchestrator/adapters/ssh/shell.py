"""Kept SSH connections, one per host, and programs run over them.

    shell = Shell()
    done = await shell.run(host, ("python3", "-V"), within_s=10)

Everything about a connection that the site does not say, the user's SSH configuration says: names,
users, keys, the agent, certificates, jump hosts. Only host keys are not a matter of taste (see
`known`), nobody is asked for a password, and nothing is forwarded.

The one rule: everything ends in its time. A connection that is lost is opened anew by whoever needs
it next; a host that let one wait in vain is not waited for again for a while. It refuses to know
what is run.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import shlex
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from orchestrator.adapters.ssh import known
from orchestrator.adapters.ssh.texts import plain
from orchestrator.core.model import Host
from orchestrator.ports.trouble import Refused, Trouble, Unreachable

T = TypeVar("T")
AT_ONCE = 64  # connections being opened; what runs over kept ones costs next to nothing
DIAL_S = 3.0  # until somebody answers at all
CONNECT_S = 10.0  # until the connection stands
LOGIN_S = 20.0
ALIVE_S = 2.0  # between two signs of life of a silent host …
ALIVE_MAX = 4  # … of which so many may be missing
ALIVE_PER_S = 100.0  # signs of life of all hosts together: of many, each gives them more seldom
AGAIN_S = 10.0  # a host that was waited for in vain is taken for dead so long
IN_VAIN_S = 1.0  # what fails sooner costs nothing to try again
JUMPS_MAX = 4
SAID_MAX = 64 * 1024  # bytes that are kept of what a program said


@dataclass(frozen=True, slots=True)
class Finished:
    status: int | None  # None: a signal ended it, or nobody knows
    said: bytes
    complained: bytes


@dataclass(frozen=True, slots=True)
class _Place:
    """Where to connect; what is None, the configuration says."""

    name: str  # how people call it
    address: str
    user: str | None
    port: int | None


class Shell:
    """One per site and process; belongs to one event loop."""

    def __init__(self, at_once: int = AT_ONCE, open_s: float = CONNECT_S + LOGIN_S) -> None:
        self._open_s = open_s
        self._kept: dict[_Place, Any] = {}
        self._opening: dict[_Place, asyncio.Lock] = {}
        self._dead: dict[_Place, tuple[float, Unreachable]] = {}  # since when, and what was said
        self._turns = asyncio.Semaphore(at_once)
        self._known = known.Known()
        self._alive_s = ALIVE_S
        _allow_many_files()

    async def process(self, host: Host, command: str) -> Any:
        """An `asyncssh` process of bytes, without a terminal. `Refused`, `Unreachable`."""
        return await self._on(host, lambda to: to.create_process(command, encoding=None))

    async def session(self, host: Host, argv: tuple[str, ...], made: Callable[[], T]) -> T:
        """One that `made` gives, an `asyncssh` session of bytes: told what comes, as it comes."""
        command = shlex.join(argv)
        _, session = await self._on(
            host, lambda to: to.create_session(made, command, encoding=None)
        )
        begun: T = session
        return begun

    async def _on(self, host: Host, begin: Callable[[Any], Any]) -> Any:
        kept = self._kept.get(_place(host))
        try:
            return await self._begun(host, begin)
        except Unreachable:
            if kept is None or self._kept.get(_place(host)) is not kept:
                raise
            # A kept connection may have died without a word: once more, on a new one.
            self.drop(host)
            return await self._begun(host, begin)

    async def _begun(self, host: Host, begin: Callable[[Any], Any]) -> Any:
        connection = await self._connection(_place(host))
        try:
            async with asyncio.timeout(LOGIN_S):
                return await begin(connection)
        except Exception as error:
            raise trouble_from(error, host.name) from error

    async def run(
        self,
        host: Host,
        argv: tuple[str, ...],
        *,
        within_s: float,
        stdin: AsyncIterator[bytes] | None = None,
    ) -> Finished:
        """Run to its end. `within_s` is for each piece of input, and for what comes after it."""
        process = await self.process(host, shlex.join(argv))
        saying = asyncio.gather(_bounded(process.stdout), _bounded(process.stderr))
        try:
            if stdin is not None:
                await _fed(process, stdin, within_s)
            async with asyncio.timeout(within_s):
                process.stdin.write_eof()
                said, complained = await saying
                await process.wait_closed()
            return Finished(process.exit_status, said, complained)
        except Trouble:
            raise
        except Exception as error:
            raise trouble_from(error, host.name) from error
        finally:
            saying.cancel()
            process.close()

    def drop(self, host: Host) -> None:
        """The connection is no good any more: the next one who needs it opens another."""
        connection = self._kept.pop(_place(host), None)
        if connection is not None:
            connection.abort()

    async def close(self) -> None:
        """All connections, in order; bounded."""
        connections, self._kept = tuple(self._kept.values()), {}
        for connection in connections:
            connection.close()
        waits = (_closed(connection) for connection in connections)
        await asyncio.gather(*waits, return_exceptions=True)

    # -- Connections -------------------------------------------------------------------------

    async def _connection(self, place: _Place, depth: int = 0) -> Any:
        async with self._opening.setdefault(place, asyncio.Lock()):
            kept = self._kept.get(place)
            if kept is not None and not kept.is_closed():
                return kept
            if depth > JUMPS_MAX:
                raise Refused(f"{place.name}: more than {JUMPS_MAX} jump hosts in a row")
            made = self._kept[place] = await self._open_unless_dead(place, depth)
            self._calm()
            return made

    def _calm(self) -> None:
        """To ask a thousand hosts every two seconds whether they are there is work without end."""
        before = self._alive_s
        while len(self._kept) / ALIVE_PER_S > self._alive_s:
            self._alive_s *= 2
        if self._alive_s > before:
            for connection in self._kept.values():
                connection.set_keepalive(self._alive_s)

    async def _open_unless_dead(self, place: _Place, depth: int) -> Any:
        """Whoever else needs a host that just did not answer is told at once."""
        since_s, why = self._dead.get(place, (-AGAIN_S, None))
        began_s = time.monotonic()
        if why is not None and began_s < since_s + AGAIN_S:
            raise Unreachable(why.why)
        try:
            made = await self._open(place, depth)
        except Unreachable as trouble:
            if time.monotonic() >= began_s + IN_VAIN_S:
                self._dead[place] = (time.monotonic(), trouble)
            raise
        self._dead.pop(place, None)
        return made

    async def _open(self, place: _Place, depth: int) -> Any:
        import asyncssh

        asyncssh.set_log_level("CRITICAL")  # what matters is raised
        options, known_hosts = None, None
        settings = {**_settings(place), "keepalive_interval": self._alive_s}
        try:
            async with self._turns:
                # What the configuration says of a host is known without its keys.
                construct = asyncssh.SSHClientConnectionOptions.construct
                options = await construct(**settings, client_keys=None)
            known_hosts = self._known.keys(options.known_hosts, place.name)
            tunnel = await self._jump(options.tunnel, depth)
            async with self._turns, asyncio.timeout(self._open_s), asyncio.timeout(DIAL_S) as dial:
                return await asyncssh.connect(
                    **settings,
                    known_hosts=known_hosts,
                    tunnel=tunnel,
                    client_factory=functools.partial(_client(), dial),
                )
        except Trouble:
            raise
        except asyncssh.HostKeyNotVerifiable as error:
            named = getattr(options, "host_key_alias", None) or getattr(options, "host", "")
            others = _known_keys(known_hosts, named or place.address, place.port)
            raise known.disproved(str(error), place.name, place.address, known=others) from error
        except Exception as error:
            raise trouble_from(error, place.name) from error

    async def _jump(self, tunnel: Any, depth: int) -> Any:
        """The connection that leads there: each jump is checked as strictly as a host."""
        if not isinstance(tunnel, str) or not tunnel or tunnel.lower() == "none":
            return None
        if "," in tunnel:
            raise Refused(
                f"ProxyJump {plain(tunnel)}: write one, and that one's own under its Host"
            )
        user, _, where = tunnel.rpartition("@")
        address, _, port = where.partition(":") if where.count(":") == 1 else (where, "", "")
        place = _Place(f"the jump host {address}", address, user or None, int(port or 0) or None)
        return await self._connection(place, depth + 1)


def _allow_many_files() -> None:
    """A connection is an open file, and a probe is one more: as many as this user may have."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@functools.cache
def _client() -> Any:
    """A client that ends the dialling when somebody answered; the rest may take longer."""
    import asyncssh

    class Client(asyncssh.SSHClient):
        def __init__(self, dial: asyncio.Timeout) -> None:
            self._dial: asyncio.Timeout | None = dial

        def connection_made(self, conn: Any) -> None:
            if self._dial is not None:
                self._dial.reschedule(None)
            self._dial = None  # it lives as long as the connection, the dialling does not

    return Client


def trouble_from(error: Exception, host: str) -> Trouble:
    """What an error of a connection means: an answer, or that nobody knows."""
    import asyncssh

    said = plain(str(error))
    match error:
        case asyncssh.PermissionDenied():
            return Refused(f"{host} lets nobody in with the keys at hand ({said}); try it with ssh")
        case asyncssh.KeyExchangeFailed() | asyncssh.ProtocolNotSupported():
            return Refused(f"{host} offers no kind of host key or cipher that is known ({said})")
        case asyncssh.HostKeyNotVerifiable():
            return Refused(f"{host}: {said}")
        case TimeoutError():
            return Unreachable(f"{host} does not answer")
        case asyncssh.Error() | OSError():
            if isinstance(error, OSError) and error.errno and error.errno > 0:
                said = os.strerror(error.errno).lower()
            return Unreachable(f"{host} cannot be reached: {said or type(error).__name__}")
        case ValueError() | OverflowError():  # a port beyond all ports is the latter
            return Refused(f"{host}: something in your SSH configuration is wrong: {said}")
        case _:
            raise error


def _place(host: Host) -> _Place:
    return _Place(host.name, host.address, host.user, host.port)


def _settings(place: _Place) -> dict[str, Any]:
    given: dict[str, Any] = {"host": place.address, "config": ()}  # the user's own
    if place.user is not None:
        given["username"] = place.user
    if place.port is not None:
        given["port"] = place.port
    return given | {
        "password_auth": False,
        "kbdint_auth": False,
        "agent_forwarding": False,
        "x11_forwarding": False,
        "x509_trusted_certs": None,
        "request_pty": False,
        "command": None,
        "connect_timeout": CONNECT_S,
        "login_timeout": LOGIN_S,
        "keepalive_count_max": ALIVE_MAX,
    }


def _known_keys(known_hosts: Any, host: str, port: int | None) -> bool:
    import asyncssh

    found = asyncssh.match_known_hosts(known_hosts, host, "", port if port != 22 else None)
    return bool(found[0])


async def _bounded(reader: Any) -> bytes:
    """All of it is read, so that nobody waits; the end of it is kept."""
    kept = b""
    while data := await reader.read(SAID_MAX):
        kept = (kept + data)[-SAID_MAX:]
    return kept


async def _fed(process: Any, pieces: AsyncIterator[bytes], stall_s: float) -> None:
    """Whoever does not want it any more has said why: that is for whoever reads it."""
    async for piece in pieces:
        if process.stdin.is_closing() or process.exit_status is not None:
            return
        async with asyncio.timeout(stall_s):
            try:
                process.stdin.write(piece)
                await process.stdin.drain()
            except (BrokenPipeError, ConnectionResetError):
                return


async def _closed(connection: Any) -> None:
    async with asyncio.timeout(2):
        await connection.wait_closed()
