"""The user's own steps on hosts: asked of the agent of each, side by side.

The agent keeps what was begun, done and taken back, beside the fence; the words are filled in, and
the secrets read, here. The one rule is that of every effect: the journal's identity and the epoch
go with it, and a host itself refuses whoever was overtaken.
"""

from __future__ import annotations

import asyncio
from typing import Any

from orchestrator.adapters.ssh.asking import Asking
from orchestrator.adapters.ssh.lines import Json
from orchestrator.core.model import Site
from orchestrator.core.sight import RunSeen
from orchestrator.core.steps import Run
from orchestrator.ports.trouble import Refused, Superseded, Trouble, Unreachable, Unsuccessful
from orchestrator.ports.witness import Witness
from orchestrator.releases.commands import ended_badly, order_of, words_of
from orchestrator.releases.redact import Redactor

DONE, TAKEN_BACK = "done", "taken-back"
LEFT = ("begun", DONE, "taking-back")


class SshCommands:
    """`Commands` on the hosts of a site."""

    def __init__(
        self, site: Site, asking: Asking, *, witness: Witness | None = None,
        redactor: Redactor | None = None,
    ) -> None:  # fmt: skip
        self._site, self._asking, self._witness = site, asking, witness
        self._redactor = redactor or Redactor()

    async def look(
        self, runs: tuple[Run, ...], rollout: int, epoch: int | None
    ) -> tuple[RunSeen, ...]:
        if not runs:
            await self._raise_fences(epoch)
        looks = (self._look(run, host, rollout, epoch) for run in runs for host in run.hosts)
        return tuple(_all_of(await asyncio.gather(*looks, return_exceptions=True)))

    async def _raise_fences(self, epoch: int | None) -> None:
        """At every host that a step may run at, and where nothing else raises it."""
        named = {host for command in self._site.steps for host in command.on}
        named -= {host for service in self._site.services for host in service.placement.hosts}
        named -= {host for proxy in self._site.proxies for host in proxy.hosts}
        fields: Json = {"step": "none", "rollout": 0, "argv": []}
        looks = (self._asking.ask(host, "step_look", fields, epoch) for host in sorted(named))
        _all_of(await asyncio.gather(*looks, return_exceptions=True))

    async def _look(self, run: Run, host: str, rollout: int, epoch: int | None) -> RunSeen:
        said = await self._ask(run, host, "step_look", run.command.holds, rollout, epoch)
        state, is_so = said.get("state"), None
        if run.command.holds:
            code = said.get("code")
            if not isinstance(code, int) or code < 0:
                raise Unreachable(f"{host}: the look says nothing: {self._why(run, said)}")
            is_so = (code == 0) is not run.back
        left = state in LEFT or (state == TAKEN_BACK and is_so is True)
        return RunSeen(run.command.name, host, state == DONE if is_so is None else is_so, left)

    async def check(self, run: Run) -> None:
        """Words and secrets; whether the program is there, its host says when its turn comes."""
        for host in run.hosts:
            await self._fields(run, host, run.forth, 0)

    async def do(self, run: Run, rollout: int, epoch: int) -> None:
        await self._everywhere(run, "do", run.forth, rollout, epoch)

    async def undo(self, run: Run, rollout: int, epoch: int) -> None:
        if not run.home:
            raise Refused(f"{run.command.name} has no undo")
        await self._everywhere(run, "undo", run.home, rollout, epoch)

    async def _everywhere(
        self, run: Run, way: str, argv: tuple[str, ...], rollout: int, epoch: int
    ) -> None:
        done = 0

        async def there(host: str) -> None:
            nonlocal done
            await self._run(run, host, way, argv, rollout, epoch)
            done += 1
            if self._witness is not None:
                self._witness.progress("hosts done", done, len(run.hosts))

        _all_of(await asyncio.gather(*(there(h) for h in run.hosts), return_exceptions=True))

    async def _run(
        self, run: Run, host: str, way: str, argv: tuple[str, ...], rollout: int, epoch: int
    ) -> None:
        more: Json = {"way": way, "looked": bool(run.command.holds)}
        said = await self._ask(run, host, "step_run", argv, rollout, epoch, **more)
        if said.get("ran") is not False and said.get("code") != 0:
            raise Unsuccessful(f"{host}: {self._why(run, said)}")

    async def _ask(
        self, run: Run, host: str, verb: str, argv: tuple[str, ...], rollout: int,
        epoch: int | None, **more: Any,
    ) -> Json:  # fmt: skip
        fields = {**await self._fields(run, host, argv, rollout), **more}
        return await self._asking.ask(host, verb, fields, epoch, more_s=run.command.timeout_s)

    async def _fields(self, run: Run, host: str, argv: tuple[str, ...], rollout: int) -> Json:
        words = words_of(self._site.name, run, host)
        order = await order_of(run, argv, words, self._site.folder, self._redactor)
        return {
            "step": run.command.name,
            "rollout": rollout,
            "argv": list(order.argv),
            "env": dict(order.env),
            "timeout_s": order.within_s,
        }

    def _why(self, run: Run, said: Json) -> str:
        code, words = said.get("code"), said.get("said")
        known = code if isinstance(code, int) and not isinstance(code, bool) else None
        return ended_badly(run, known, words if isinstance(words, str) else "", self._redactor)


def _all_of(found: list[Any]) -> list[Any]:
    """All, or the gravest trouble; every host that had it is named."""
    for kind in (Superseded, Refused, Unreachable, Unsuccessful):
        whys = [one.why for one in found if isinstance(one, kind)]
        if whys:
            raise kind("; ".join(dict.fromkeys(whys)))
    for one in found:
        if isinstance(one, BaseException) and not isinstance(one, Trouble):
            raise one
    return found
