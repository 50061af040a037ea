"""One look at the health of one instance: all its probes side by side, bounded in size and time.

The one rule: it ends in time and never raises, whatever the target does. A refused connection, a
wrong answer and no answer are BAD; UNKNOWN is only what *we* could not find out, because this
machine had no file or process left to ask with. It refuses to judge: what samples add up to is
decided elsewhere.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket

from orchestrator.adapters.http import exchange, program
from orchestrator.adapters.http.expect import missed
from orchestrator.adapters.http.text import one_line
from orchestrator.core.health import Found, Sample
from orchestrator.core.model import ExecProbe, HttpProbe, Probe, TcpProbe
from orchestrator.ports.clock import Clock
from orchestrator.ports.prober import Target

OUR_FAULT = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN, errno.EADDRNOTAVAIL}
)
"""This machine is out of something; it says nothing about the target."""


class NetworkProber:
    """`ports.prober.Prober` over real connections and processes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def sample(self, target: Target, probes: tuple[Probe, ...], timeout_s: float) -> Sample:
        asked = await asyncio.gather(*(_ask(target, probe, timeout_s) for probe in probes))
        for found in (Found.BAD, Found.UNKNOWN):
            reasons = [why for result, why in asked if result is found]
            if reasons:
                return Sample(found, self._clock.now(), one_line("; ".join(reasons)))
        if not asked:
            return Sample(Found.UNKNOWN, self._clock.now(), "there is no probe to ask with")
        return Sample(Found.GOOD, self._clock.now())


async def _ask(target: Target, probe: Probe, timeout_s: float) -> tuple[Found, str]:
    """What one probe found, and what it saw instead of what it expected."""
    try:
        async with asyncio.timeout(timeout_s):
            why = await _missed(target, probe)
    except TimeoutError:
        return Found.BAD, f"{_name(target, probe)}: no answer within {timeout_s:g} s"
    except socket.gaierror as error:
        return Found.UNKNOWN, f"{_name(target, probe)}: {error.strerror or 'unknown host'}"
    except OSError as error:
        found = Found.UNKNOWN if error.errno in OUR_FAULT else Found.BAD
        return found, f"{_name(target, probe)}: {_plain(error)}"
    return (Found.BAD, f"{_name(target, probe)}: {why}") if why else (Found.GOOD, "")


async def _missed(target: Target, probe: Probe) -> str:
    """What was not as expected; empty where all was. Raises OSError, and is cut short when its time
    is over.
    """
    match probe:
        case HttpProbe():
            path = target.path_prefix.rstrip("/") + "/" + probe.path.lstrip("/")
            answer = await exchange.get(target.host, target.port, path, probe.host)
            return answer if isinstance(answer, str) else missed(probe, answer, target.words)
        case TcpProbe():
            await exchange.connect(target.host, target.port)
            return ""
        case ExecProbe():
            return await program.run(probe.run, target)


def _name(target: Target, probe: Probe) -> str:
    match probe:
        case HttpProbe(path=path):
            return f"GET {path}"
        case TcpProbe():
            return f"port {target.port}"
        case ExecProbe(run=run):
            return run[0].rsplit("/", 1)[-1] if run else "the probe"


def _plain(error: OSError) -> str:
    """The system's own words, without addresses and numbers: `connection refused`."""
    words = {
        errno.ECONNREFUSED: "connection refused",
        errno.ECONNRESET: "connection reset",
        errno.EPIPE: "connection closed",
        errno.EHOSTUNREACH: "no way to the host",
        errno.ENETUNREACH: "no way to the network",
    }
    if isinstance(error, ConnectionResetError):
        return words[errno.ECONNRESET]
    # Asyncio folds several refusals of one name into one error without a number
    if error.errno is None:
        return "connection refused" if "refused" in str(error) else "no connection"
    return words.get(error.errno) or os.strerror(error.errno).lower()
