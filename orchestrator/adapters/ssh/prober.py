"""Probes of what runs on hosts: programs are run there, all else is asked from here.

A program is found at `Target.cwd`, which for an instance on a host is its `where`: the host and the
release that lies there. The one rule: it runs as the instance does, from its release's folder, with
its environment, as its user. What it said is shown in one line, without secrets.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable

from orchestrator.adapters.ssh.asking import Asking
from orchestrator.adapters.ssh.lines import Json
from orchestrator.adapters.ssh.texts import plain
from orchestrator.core.health import Found, Sample
from orchestrator.core.model import ExecProbe, Probe
from orchestrator.ports.clock import Clock
from orchestrator.ports.prober import Prober, Target
from orchestrator.ports.trouble import Trouble
from orchestrator.releases.redact import Redactor

SHARE = 0.9  # of the time of a look is the program's; the rest is the way there and back
SHOWN = 200


class SshProber:
    """`ports.prober.Prober`; `beside` asks what is asked over the network."""

    def __init__(self, asking: Asking, beside: Prober, clock: Clock, redactor: Redactor) -> None:
        self._asking, self._beside = asking, beside
        self._clock, self._redactor = clock, redactor

    async def sample(self, target: Target, probes: tuple[Probe, ...], timeout_s: float) -> Sample:
        programs = [probe for probe in probes if isinstance(probe, ExecProbe)]
        if not programs:
            return await self._beside.sample(target, probes, timeout_s)
        looks = [self._run(probe, target, timeout_s) for probe in programs]
        others = tuple(probe for probe in probes if not isinstance(probe, ExecProbe))
        if others:
            looks.append(self._beside.sample(target, others, timeout_s))
        return self._worst(await asyncio.gather(*looks))

    def _worst(self, samples: Iterable[Sample]) -> Sample:
        found = tuple(samples)
        for kind in (Found.BAD, Found.UNKNOWN):
            if whys := [one.why for one in found if one.found is kind]:
                return Sample(kind, self._clock.now(), "; ".join(whys))
        return Sample(Found.GOOD, self._clock.now())

    async def _run(self, probe: ExecProbe, target: Target, timeout_s: float) -> Sample:
        """UNKNOWN is what only the way there is to blame for."""
        name = probe.run[0].rsplit("/", 1)[-1]
        host, fields = asked(probe, target)
        fields |= {"timeout_s": SHARE * timeout_s}
        try:
            async with asyncio.timeout(timeout_s):
                said = await self._asking.ask(host, "probe", fields, None, more_s=timeout_s)
        except TimeoutError:
            return self._seen(Found.UNKNOWN, f"{name}: {host} does not answer")
        except Trouble as trouble:
            return self._seen(Found.UNKNOWN, f"{name}: {trouble.why}")
        why = _missed(said, timeout_s)
        return self._seen(Found.BAD, f"{name}: {why}") if why else self._seen(Found.GOOD, "")

    def _seen(self, found: Found, why: str) -> Sample:
        return Sample(found, self._clock.now(), plain(self._redactor.clean(why), SHOWN))


def where(host: str, service: str, release: Json, user: str) -> str:
    """The working folder of an instance on a host, as `asked` reads it."""
    return " ".join((host, service, release["version"], release["digest"], user))


def asked(probe: ExecProbe, target: Target) -> tuple[str, Json]:
    """The host, and what its agent is to run there."""
    host, service, version, digest, user = (target.cwd or "").split(" ")
    run: Json = {
        "argv": [_filled(word, target) for word in probe.run],
        "env": dict(target.env or {}),
        "service": service,
        "release": {"version": version, "digest": digest},
    }
    return host, {"probe": {"exec": run | ({"user": user} if user else {})}}


def _filled(word: str, target: Target) -> str:
    """Braces around anything but a word that is known stay as they are."""
    return re.sub(r"\{(\w+)\}", lambda found: target.words.get(found[1], found[0]), word)


def _missed(said: Json, timeout_s: float) -> str:
    """How it ended, and what it said last; empty where it ended well."""
    if isinstance(said.get("failed"), str):
        return str(said["failed"])
    if said.get("timed_out") is True:
        return f"no end within {SHARE * timeout_s:g} s"
    if said.get("exit") == 0:
        return ""
    output = said.get("output")
    last = output.strip().rpartition("\n")[2] if isinstance(output, str) else ""
    how = f"ended by {said['signal']}" if said.get("signal") else f"exit {said.get('exit')}"
    return f"{how}: {last}" if last else how
