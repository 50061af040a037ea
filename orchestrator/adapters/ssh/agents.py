"""The agents of all hosts of a site: each is sent, started and asked when it is first needed.

    answer = await agents.ask(host, "look", {"site": "shop", …})

One session per host is kept; one that was lost is opened anew by the next who asks, never by the
one whose request was lost, for that one has to look first. An agent that is not there yet is sent,
and is asked which one it is before anything else.

The one rule: what is asked goes to the agent of this very content hash, or nowhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from orchestrator.adapters.ssh.lines import Json
from orchestrator.adapters.ssh.program import Program, program
from orchestrator.adapters.ssh.session import Progress, Session
from orchestrator.adapters.ssh.shell import Finished, Shell
from orchestrator.adapters.ssh.texts import plain
from orchestrator.core.model import Host
from orchestrator.ports.trouble import Refused, Unreachable

LAY_S = 60.0
FIRST, SAFE = "start.py", "agent.pyz"


class Agents:
    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._sessions: dict[Host, Session] = {}
        self._opening: dict[Host, asyncio.Lock] = {}
        self._files: dict[Host, str] = {}  # which file of it could be started there
        self._program: Program | None = None
        self._making = asyncio.Lock()

    async def ask(
        self,
        host: Host,
        verb: str,
        fields: Json,
        *,
        more_s: float = 0.0,
        progress: Progress | None = None,
    ) -> Json:
        session = await self._session(host)
        try:
            return await session.ask(verb, fields, more_s=more_s, progress=progress)
        except Unreachable:
            if session.ended and not _ended_itself(session):
                self._shell.drop(host)  # the connection may be as dead as what ran over it
            raise

    async def put(
        self, host: Host, words: dict[str, str], pieces: AsyncIterator[bytes], stall_s: float
    ) -> Finished:
        """Send bytes in a session of their own."""
        await self._session(host)
        argv = (await self._the_program()).put(self._files[host], host.how, words)
        return await self._shell.run(host, argv, within_s=stall_s, stdin=pieces)

    async def close(self) -> None:
        sessions, self._sessions = tuple(self._sessions.values()), {}
        for session in sessions:
            session.end()
        await self._shell.close()

    # -- Opening -----------------------------------------------------------------------------

    async def _session(self, host: Host) -> Session:
        async with self._opening.setdefault(host, asyncio.Lock()):
            kept = self._sessions.get(host)
            if kept is not None and not kept.ended:
                return kept
            if kept is not None:
                kept.end()
            self._sessions[host] = made = await self._open(host)
            return made

    async def _open(self, host: Host) -> Session:
        """It is there nearly always. Where it is not, send it; where it cannot be unpacked, so."""
        agent, said = await self._the_program(), ""
        for file, send in ((FIRST, False), (FIRST, True), (SAFE, False)):
            if send:
                await self._send(host, agent)
            session: Session = await self._start(host, agent, file)
            try:
                found = await session.ask("hello", {})
                if found.get("hash") == agent.content:
                    self._files[host] = file
                    return session
                said = "another program answers in its place"
            except Unreachable as lost:
                said = plain(session.words.decode("utf-8", "replace"), 300)
                if not said and not _ended_itself(session):
                    self._shell.drop(host)
                    raise lost
            session.end()
        raise Refused(f"{host.name}: the agent cannot be started there: {said or 'no word why'}")

    async def _the_program(self) -> Program:
        async with self._making:  # a thousand hosts want it at once, and it is made once
            if self._program is None:
                self._program = await asyncio.to_thread(program)
        return self._program

    async def _start(self, host: Host, agent: Program, file: str) -> Session:
        argv = agent.serve(file, host.how)
        session: Session = await self._shell.session(host, argv, lambda: Session(host.name))
        return session

    async def _send(self, host: Host, agent: Program) -> None:
        laid = await self._shell.run(host, agent.lay, within_s=LAY_S, stdin=_once(agent.data))
        if laid.status == 127:
            raise Refused(f"{host.name} has no python3 (3.8 or later); install it there")
        if laid.status != 0:
            why = plain(laid.complained.decode("utf-8", "replace"), 300)
            raise Refused(f"{host.name}: the agent cannot be laid down there: {why}")
        await self._shell.run(host, agent.unpack, within_s=LAY_S)


def _ended_itself(session: Session) -> bool:
    return session.status is not None


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
