"""A load that does not stop until it is told, and counts every request that was lost.

    python -m e2e.load http://127.0.0.1:8080 --rate 200 --seconds 10 -o json

Open loop: requests begin at their time, whatever became of those before. Mixed: on kept
connections, on new ones, 300 ms long, with bodies of 1 to 40 kB, and streams of seconds. Each
answer says who gave it (`{"service", "color", "version", "api": {...}}`), so it is seen when web
and api were of two worlds (torn), and, told when flips were acknowledged, when an older color
answered later (old). This machine only; bounded in time, in rate and in what is open at once. As a
library: `with Load(url, rate=60) as load: …; load.lost`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import json
import random
import signal
import subprocess
import sys
import time
from array import array
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

KINDS = {"kept": 59, "new": 15, "slow": 10, "post": 15, "stream": 1}  # percent
OPEN_MAX = 2000
RATE_MAX = 5000.0
ANSWER_S = 30.0
STREAM_S = 2.0
COLORS = ("blue", "green")
HERE = tuple(map(ipaddress.ip_network, ("127.0.0.0/8", "::1/128", "10.88.0.0/16")))
SAMPLE = 4  # numbers per answered request: when sent, seconds it took, kind, color


class Lost(Exception):
    """A request without a whole, good answer; the text says why."""


@dataclass(frozen=True, slots=True)
class Flip:
    """When traffic was sent to a color, by this machine's monotonic clock."""

    color: str
    began: float
    acknowledged: float


@dataclass(slots=True)
class Counts:
    sent: int = 0
    answered: int = 0
    torn: int = 0
    old: int = 0
    lost: int = 0
    why_lost: Counter[str] = field(default_factory=Counter)
    by: Counter[str] = field(default_factory=Counter)  # "web 2 green" -> answers

    def lose(self, why: str) -> None:
        self.lost += 1
        self.why_lost[why] += 1


# -- One connection ------------------------------------------------------------------------


class Line:
    """A connection that was opened for a request, and may be kept for the next."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.open = True

    @property
    def usable(self) -> bool:
        return self.open and not self._reader.at_eof() and not self._writer.is_closing()

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body. `Lost` where the answer is not whole."""
        try:
            self._writer.write(request)
            await self._writer.drain()
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        except asyncio.IncompleteReadError as error:
            raise Lost("cut short" if error.partial else "hung up before the answer") from error
        except OSError as error:
            raise Lost("reset before the answer") from error
        try:
            body = await self._body(head)
        except (OSError, EOFError) as error:
            raise Lost("cut short") from error
        self.open = "connection: close" not in head
        return int(head.split(" ", 2)[1]), body

    async def _body(self, head: str) -> bytes:
        if "transfer-encoding: chunked" in head:
            parts = []
            while size := int((await self._reader.readuntil(b"\r\n")).strip(), 16):
                parts.append((await self._reader.readexactly(size + 2))[:-2])
            await self._reader.readexactly(2)
            return b"".join(parts)
        length = head.partition("\r\ncontent-length: ")[2].partition("\r\n")[0]
        return await self._reader.readexactly(int(length or 0))

    def close(self) -> None:
        self._writer.close()


# -- The visitors --------------------------------------------------------------------------


class Visitors:
    """The load itself, in this loop. `run` returns what was counted once `stop` was called."""

    def __init__(
        self, url: str, *, rate: float, seconds: float, seed: int = 1, stream_s: float = STREAM_S
    ) -> None:
        parts = urlsplit(url)
        if not _is_here(parts.hostname or ""):
            raise SystemExit(f"{url}: only this machine itself is put under load")
        if not 0 < rate <= RATE_MAX:
            raise SystemExit(f"--rate: more than 0, at most {RATE_MAX:g} a second")
        self._address = (parts.hostname, parts.port or 80)
        self._path = parts.path.rstrip("/")
        self._rate, self._seconds, self._stream_s = rate, seconds, stream_s
        self._draw = random.Random(seed)
        self._idle: list[Line] = []
        self._flying: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        self.counts = Counts()
        self.samples = array("d")
        self.flips: list[Flip] = []
        self.only: tuple[str, ...] = ()  # kinds; none named: all

    async def run(self) -> Counts:
        mixed = {kind: n for kind, n in KINDS.items() if not self.only or kind in self.only}
        kinds = self._draw.choices(list(mixed), weights=list(mixed.values()), k=10_000)
        start = time.monotonic()
        turn = 0
        while not self._ended.is_set() and turn / self._rate < self._seconds:
            wait = start + turn / self._rate - time.monotonic()
            if wait > 0:
                await self._rest(wait)
                continue
            self._begin(kinds[turn % len(kinds)])
            turn += 1
        if self._flying:
            await asyncio.wait(self._flying, timeout=ANSWER_S)
        for line in self._idle:
            line.close()
        self.counts.old = older(self.samples, self.flips)
        return self.counts

    def stop(self) -> None:
        """No new requests; those that were sent are still waited for."""
        self._ended.set()

    async def _rest(self, wait: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._ended.wait()

    def _begin(self, kind: str) -> None:
        self.counts.sent += 1
        if len(self._flying) >= OPEN_MAX:
            self.counts.lose(f"{OPEN_MAX} were open already")
            return
        task = asyncio.create_task(self._visit(kind))
        self._flying.add(task)
        task.add_done_callback(self._flying.discard)

    async def _visit(self, kind: str) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._asked(kind)
        except TimeoutError:
            self.counts.lose(f"no answer within {ANSWER_S:g} s")
        except Lost as lost:
            self.counts.lose(f"{kind}: {lost}")

    async def _asked(self, kind: str) -> None:
        line = await self._line(kept=kind != "new")
        try:
            sent = time.monotonic()
            status, body = await line.ask(self._request(kind))
        except BaseException:
            line.close()
            raise
        if kind != "new" and line.usable:
            self._idle.append(line)
        else:
            line.close()
        if status != 200:
            said = " ".join(body[:120].decode(errors="replace").split())
            raise Lost(f"status {status} {said}")
        self._judge(kind, sent, json.loads(body.partition(b"\n")[0]))

    async def _line(self, *, kept: bool) -> Line:
        while kept and self._idle:
            line = self._idle.pop()
            if line.usable:
                return line
            line.close()
        try:
            return Line(*await asyncio.open_connection(*self._address))
        except OSError as error:
            raise Lost("connection refused") from error

    def _request(self, kind: str) -> bytes:
        paths = {"slow": "/slow", "stream": f"/stream?seconds={self._stream_s:g}", "post": "/echo"}
        body = b""
        if kind == "post":
            body = b"x" * self._draw.randint(1000, 40_000)
        head = f"{'POST' if body else 'GET'} {self._path}{paths.get(kind, '/')} HTTP/1.1\r\n"
        head += "accept: text/event-stream\r\n" if kind == "stream" else ""
        head += "host: shop\r\n" + (f"content-length: {len(body)}\r\n" if body else "")
        return head.encode() + b"\r\n" + body

    def _judge(self, kind: str, sent: float, said: dict[str, Any]) -> None:
        counts, api = self.counts, said.get("api")
        counts.answered += 1
        counts.by[f"{said['service']} {said['version']} {said['color']}"] += 1
        if isinstance(api, dict) and (api["color"], api["version"]) != (
            said["color"],
            said["version"],
        ):
            counts.torn += 1
        color = float(COLORS.index(said["color"]))
        took = time.monotonic() - sent
        self.samples.extend((sent, took, float(list(KINDS).index(kind)), color))


def _is_here(host: str) -> bool:
    """This machine, or one of those that `e2e.hosts` boots on it."""
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return any(ipaddress.ip_address(host) in network for network in HERE)
    return False


def older(samples: array[float], flips: list[Flip]) -> int:
    """How many were sent after a flip was acknowledged, were answered before the next began, and by
    the other color.
    """
    ordered = sorted(flips, key=lambda flip: flip.began)
    ends = [*(flip.began for flip in ordered[1:]), float("inf")]
    spans = [(f.acknowledged, end, f.color) for f, end in zip(ordered, ends, strict=False)]
    count = 0
    rows = sorted(zip(*(samples[i::SAMPLE] for i in range(SAMPLE)), strict=True))
    at = 0
    for sent, took, _, color in rows:
        while at + 1 < len(spans) and spans[at + 1][0] <= sent:
            at += 1
        if spans and spans[at][0] <= sent and sent + took < spans[at][1]:
            count += COLORS[int(color)] != spans[at][2]
    return count


# -- As a process of its own ---------------------------------------------------------------


class Load:
    """The load in a process of its own, so that it does not wait for whoever uses it.

    After the block: `sent answered lost torn old why_lost by`, and `rows` (when sent, seconds it
    took, kind, color) with `samples`.
    """

    sent = answered = lost = torn = old = 0

    def __init__(
        self,
        url: str,
        *,
        rate: float = 200,
        seconds: float = 3600,
        samples: Path | None = None,
        only: tuple[str, ...] = (),
    ) -> None:
        self._argv = [sys.executable, "-m", "e2e.load", url, "-o", "json", "--told"]
        self._argv += ["--rate", str(rate), "--seconds", str(seconds)]
        self._argv += ["--samples", str(samples)] if samples else []
        self._argv += ["--only", *only] if only else []
        self._samples = samples
        self._process: subprocess.Popen[str] | None = None
        self.why_lost: dict[str, int] = {}
        self.by: dict[str, int] = {}

    def __enter__(self) -> Load:
        root = Path(__file__).resolve().parent.parent
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._argv, stdin=pipe, stdout=pipe, text=True, cwd=root)
        assert self._process.stdout
        if self._process.stdout.readline() != "begun\n":
            raise RuntimeError("the load did not begin")
        return self

    def flipped(self, flip: Flip) -> None:
        """Tell it of a flip that was acknowledged."""
        assert self._process
        assert self._process.stdin
        told = [flip.color, flip.began, flip.acknowledged]
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()
        if kind is None and self._process and self._process.returncode:
            raise RuntimeError("the load ended by itself, with an error")

    def end(self) -> None:
        """No new requests; returns once those in flight were answered and all is counted."""
        if self._process is None or self._process.stdin is None or self._process.stdin.closed:
            return
        try:
            out, _ = self._process.communicate(timeout=ANSWER_S + 30)  # closes its stdin: the end
        except BaseException:
            self._process.kill()
            self._process.communicate()
            raise
        for name, value in json.loads(out or "{}").items():
            setattr(self, name, value)

    @property
    def rows(self) -> list[tuple[float, ...]]:
        assert self._samples
        numbers = array("d", self._samples.read_bytes())
        return list(zip(*(numbers[i::SAMPLE] for i in range(SAMPLE)), strict=True))


async def _told(visitors: Visitors) -> None:
    """Flips, a line each, on stdin; its end is the end of the load."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        async for line in reader:
            visitors.flips.append(Flip(*json.loads(line)))
    finally:
        transport.close()
        visitors.stop()


async def visit(args: argparse.Namespace) -> Visitors:
    visitors = Visitors(args.url, rate=args.rate, seconds=args.seconds, seed=args.seed)
    visitors.only = tuple(args.only)
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, visitors.stop)
    listening = asyncio.create_task(_told(visitors)) if args.told else None
    if args.told:
        print("begun", flush=True)
    await visitors.run()
    if listening:
        listening.cancel()
    return visitors


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.load", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("url")
    parser.add_argument("--rate", type=float, default=200, help="requests per second")
    parser.add_argument("--seconds", type=float, default=10, help="until then at the latest")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=list(KINDS), default=[], help="these kinds")
    parser.add_argument("--samples", type=Path, help="write when sent, how long, kind, color there")
    parser.add_argument("--told", action="store_true", help="hear of flips on stdin; end with it")
    parser.add_argument("-o", dest="output", choices=("text", "json"), default="text")
    args = parser.parse_args()
    visitors = asyncio.run(visit(args))
    if args.samples:
        args.samples.write_bytes(visitors.samples.tobytes())
    print(said(visitors.counts, args.output))
    return 1 if visitors.counts.lost and not args.told else 0


def said(counts: Counts, output: str) -> str:
    data = {name: getattr(counts, name) for name in Counts.__slots__}
    if output == "json":
        return json.dumps(data)
    return "\n".join(f"{name}: {value}" for name, value in data.items())


if __name__ == "__main__":
    sys.exit(main())
