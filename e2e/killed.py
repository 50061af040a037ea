"""The real command, in a process that kills itself at a chosen point.

    python -m e2e.killed AT [SIGSTOP] -- --site bg.yaml deploy 2

Every write (to the journal, the lease), every verb of a port that changes something, everything
asked of a host that changes something there (before it is sent, on its way, answered), and every
system call that leaves a trace in the site's state folder or sends a signal is a *point*, numbered
in the order in which they come. At point AT the process sends itself SIGKILL, before whatever would
have happened there. AT 0 kills nobody and prints how many points there were, as the last line of
stderr (`points: 123`), and before it which of them stood right before something was sent to a host
(`sends: 17 20`).

The one rule: nothing is replaced and nothing is slowed down; what runs is what a user runs.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import orchestrator.wiring
from orchestrator.adapters.ssh.agents import Agents
from orchestrator.adapters.ssh.lines import Json
from orchestrator.adapters.ssh.session import Session
from orchestrator.adapters.ssh.shell import Finished
from orchestrator.core.model import Host, Site
from orchestrator.engine.world import World
from orchestrator.ports.witness import Witness

TRACES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate"}
PROCESSES = {"subprocess.Popen", "os.fork", "os.posix_spawn", "os.kill"}
VERBS = {
    "journal": ("append", "ask"),
    "lease": ("take", "give_up"),
    "installation": ("stage", "start", "stop", "point", "remove"),
    "switch": ("ensure", "hold", "send", "let_go", "remove"),
}
# What is asked of a host and changes nothing there.
LOOKS = {
    *("hello", "look", "facts", "described", "log", "probe"),
    *("proxy_config", "proxy_look", "proxy_held"),
}

Words = dict[str, str]
Pieces = AsyncIterator[bytes]


class Points:
    """Counts, and dies at the chosen one."""

    def __init__(self, at: int, number: int = signal.SIGKILL) -> None:
        self.at, self.number = at, number
        self.passed = 0
        self.sends: list[int] = []
        self.state: str | None = None

    def pass_by(self) -> None:
        self.passed += 1
        if self.passed == self.at:
            os.kill(os.getpid(), self.number)

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        """An audit hook: called by the interpreter before each system call that is audited."""
        if self.state is None or (event not in TRACES and event not in PROCESSES):
            return
        if event == "os.kill" and args[0] == os.getpid():
            return
        if event in PROCESSES or str(args[0]).startswith(self.state):
            self.pass_by()


class Counted:
    """A port with a point before and after each verb that changes something."""

    def __init__(self, port: object, verbs: tuple[str, ...], points: Points) -> None:
        self._port, self._verbs, self._points = port, verbs, points

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._port, name)
        if name not in self._verbs:
            return verb

        async def counted(*args: Any, **kwargs: Any) -> Any:
            self._points.pass_by()
            result = await verb(*args, **kwargs)
            self._points.pass_by()
            return result

        return counted


def count_asking(points: Points) -> None:
    """Three points around whatever is asked of a host and changes something there, and one after
    each piece of an upload.
    """
    ask, put = Session.ask, Agents.put

    async def counted_ask(session: Session, verb: str, fields: Json, **more: Any) -> Json:
        # How often a hold is renewed depends on the clock, and points are numbers to come back to.
        if verb in LOOKS or (verb == "proxy_hold" and not fields.get("first")):
            return await ask(session, verb, fields, **more)
        points.sends.append(points.passed + 1)
        points.pass_by()
        asking = asyncio.ensure_future(ask(session, verb, fields, **more))
        try:
            await asyncio.sleep(0)  # it is sent now
            points.pass_by()
            answer = await asking
        finally:
            asking.cancel()
        points.pass_by()
        return answer

    async def counted_put(
        agents: Agents, host: Host, words: Words, pieces: Pieces, stall_s: float
    ) -> Finished:
        async def counted() -> Pieces:
            async for piece in pieces:
                yield piece
                points.pass_by()

        return await put(agents, host, words, counted(), stall_s)

    Session.ask = counted_ask  # type: ignore[method-assign, assignment]
    Agents.put = counted_put  # type: ignore[method-assign, assignment]


def counting(ready: Callable[..., World], points: Points) -> Callable[..., World]:
    """Wiring whose worlds are counted."""

    def counted(site: Site, *, witness: Witness) -> World:
        points.state = site.state
        world = ready(site, witness=witness)
        ports = {name: Counted(getattr(world, name), v, points) for name, v in VERBS.items()}
        return dataclasses.replace(world, **ports)  # type: ignore[arg-type]

    return counted


def main() -> None:
    ours, arguments = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    points = Points(int(ours[0]), signal.Signals[ours[1]] if ours[1:] else signal.SIGKILL)
    orchestrator.wiring.ready = counting(orchestrator.wiring.ready, points)
    count_asking(points)
    sys.addaudithook(points.hear)
    from orchestrator.doors.cli.app import run

    try:
        sys.exit(run(arguments))
    finally:
        print("sends:", *points.sends, file=sys.stderr)
        print(f"points: {points.passed}", file=sys.stderr)


if __name__ == "__main__":
    main()
