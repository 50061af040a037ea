"""Speaking with an agent, as the controller does: one process, a line out, a line back.

It knows the protocol and no more, so tests speak in the same way with an agent on this machine,
started with a fake systemd, and with one on a real host over SSH.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import select
import subprocess
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

JOURNAL = "c0ffee"


class Agent:
    """One session. `given` goes with every request, unless it says otherwise."""

    def __init__(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, **given: Any
    ) -> None:
        self.given: dict[str, Any] = {"site": "shop", "journal": JOURNAL, "epoch": 1, **given}
        self.progress: list[dict[str, Any]] = []
        self._number = 0
        self._got = b""
        self.waiting: list[dict[str, Any]] = []  # answers that nobody has asked for yet
        self.process = subprocess.Popen(
            argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def ok(self, verb: str, **given: Any) -> dict[str, Any]:
        answer = self.ask(verb, **given)
        assert "ok" in answer, answer
        found: dict[str, Any] = answer["ok"]
        return found

    def refused(self, verb: str, **given: Any) -> tuple[str, str]:
        """Kind and reason."""
        answer = self.ask(verb, **given)
        assert "refused" in answer, answer
        return answer["kind"], answer["refused"]

    def ask(self, verb: str, *, within_s: float = 60, **given: Any) -> dict[str, Any]:
        return self.answer(self.send(verb, **given), within_s)

    def send(self, verb: str, **given: Any) -> int:
        self._number += 1
        self.raw(json.dumps({"id": self._number, "verb": verb, **self.given, **given}).encode())
        return self._number

    def raw(self, line: bytes) -> None:
        self._stdin.write(line + b"\n")
        self._stdin.flush()

    def answer(self, number: int | str | None, within_s: float = 60) -> dict[str, Any]:
        """The one answer to this request; others are kept for who asks for them."""
        for one in self.waiting:
            if one["id"] == number:
                self.waiting.remove(one)
                return one
        until = time.monotonic() + within_s
        while True:
            line = json.loads(self._line(until))
            if "progress" in line:
                self.progress.append(line)
            elif line["id"] == number:
                return dict(line)
            else:
                self.waiting.append(line)

    @property
    def _stdin(self) -> Any:
        return self.process.stdin

    def _line(self, until: float) -> bytes:
        assert self.process.stdout is not None
        while b"\n" not in self._got:
            left_s = until - time.monotonic()
            if left_s <= 0 or not select.select([self.process.stdout], [], [], left_s)[0]:
                raise TimeoutError("the agent did not answer")
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise EOFError("the agent has ended")
            self._got += data
        line, _, self._got = self._got.partition(b"\n")
        return line


@dataclass(frozen=True)
class Packed:
    """A release on its way: what `offer` and `commit` ask for."""

    service: str
    version: str
    data: bytes = field(repr=False)
    content: str
    how: str = '{"run":["bin/web"]}'
    stem: str = ""

    @property
    def release(self) -> dict[str, str]:
        text = f"bg release 1\n{self.content}\n{self.how}"
        return {"version": self.version, "digest": hashlib.sha256(text.encode()).hexdigest()}

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def bytes(self) -> dict[str, Any]:
        return {
            "service": self.service,
            "release": self.release,
            "packed": self.sha256,
            "size": len(self.data),
        }

    @property
    def whole(self) -> dict[str, Any]:
        more = {"stem": self.stem, "content": self.content, "how": self.how, "description": "{}"}
        return {**self.bytes, **more}


def tar_of(folder: Path) -> bytes:
    """As the controller packs a folder: names relative to it, nothing that changes by itself."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(folder.rglob("*")):
            tar.add(path, str(path.relative_to(folder)), recursive=False)
    return out.getvalue()
