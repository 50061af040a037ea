"""One running agent: requests out as lines, answers in as lines, matched by their numbers.

The one rule: whoever asked gets an answer, or trouble, in time. When the session ends, for whatever
reason, everything that was asked is `Unreachable`: it may have happened. What a host says is
bounded and never trusted: lines too long or of no sense end the session, words before the first
answer (start files of a shell) are passed over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from orchestrator.adapters.ssh import lines
from orchestrator.adapters.ssh.lines import ANSWER_MAX, LATE_S, LIMITS_S, Json
from orchestrator.adapters.ssh.texts import plain
from orchestrator.ports.trouble import Unreachable

READ = 64 * 1024
WORDS_MAX = 64 * 1024  # bytes on stderr that are looked at; the rest is thrown away
NOISE_MAX = 200  # lines of no sense before the first answer

Progress = Callable[[int, int], None]  # done, total


@dataclass(slots=True)
class _Asked:
    answer: asyncio.Future[Json]
    progress: Progress | None


@dataclass(eq=False)
class Session:
    """`host` is its name for people; `process` an `asyncssh` process of bytes."""

    host: str
    process: Any
    words: bytes = b""  # what came on stderr
    _asked: dict[int, _Asked] = field(default_factory=dict)
    _number: int = 0
    _noise: int = 0
    _spoke: bool = False
    _ended: bool = False

    def begin(self) -> None:
        self._tasks = (
            asyncio.create_task(self._listen()),
            asyncio.create_task(self._overhear()),
        )

    @property
    def ended(self) -> bool:
        return self._ended or bool(self.process.is_closing())

    async def ask(
        self,
        verb: str,
        fields: Json,
        *,
        more_s: float = 0.0,
        progress: Progress | None = None,
    ) -> Json:
        """What it answers. `Refused`, `Unreachable`, `Superseded`, each naming the host."""
        self._number += 1
        number = self._number
        line = lines.line_of({"id": number, "verb": verb, **fields})
        if self.ended:
            raise self._lost()
        asked = self._asked[number] = _Asked(asyncio.get_running_loop().create_future(), progress)
        try:
            async with asyncio.timeout(LIMITS_S[verb] + more_s + LATE_S):
                self.process.stdin.write(line)
                await self.process.stdin.drain()
                answer = await asked.answer
        except TimeoutError:
            self.end()
            raise Unreachable(f"{self.host}: its agent does not answer ({verb})") from None
        except (BrokenPipeError, ConnectionResetError):
            raise self._lost() from None
        finally:
            del self._asked[number]
        trouble = lines.trouble_in(answer, self.host)
        if trouble is not None:
            raise trouble
        found: Json = answer["ok"]
        return found

    def end(self) -> None:
        """The agent ends with its session; what it was doing stands where it stands."""
        self._ended = True
        self.process.close()
        for asked in self._asked.values():
            if not asked.answer.done():
                asked.answer.set_exception(self._lost())

    async def close(self) -> None:
        self.end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- Listening ---------------------------------------------------------------------------

    async def _listen(self) -> None:
        got = bytearray()
        try:
            while data := await self.process.stdout.read(READ):
                *whole, rest = (bytes(got) + data).split(b"\n")
                if not all(self._take(line) for line in whole) or len(rest) > ANSWER_MAX:
                    break
                got = bytearray(rest)
        except Exception:  # whatever it was, nobody answers here any more
            pass
        finally:
            self.end()

    def _take(self, line: bytes) -> bool:
        """Whether to listen on."""
        if len(line) > ANSWER_MAX:
            return False
        answer = lines.read(line)
        number = answer.get("id") if answer else None
        asked = self._asked.get(number) if type(number) is int else None
        if answer is None or asked is None:
            self._noise += 1
            return self._noise <= NOISE_MAX and (not self._spoke or answer is not None)
        self._spoke = True
        if "progress" in answer:
            self._told(asked, answer["progress"])
        elif not asked.answer.done():
            asked.answer.set_result(answer)
        return True

    @staticmethod
    def _told(asked: _Asked, progress: Any) -> None:
        if asked.progress is None or not isinstance(progress, dict):
            return
        done, total = progress.get("done"), progress.get("total")
        if isinstance(done, int) and isinstance(total, int) and min(done, total) >= 0:
            asked.progress(done, total)

    async def _overhear(self) -> None:
        try:
            while data := await self.process.stderr.read(READ):
                self.words = (self.words + data)[-WORDS_MAX:]
        except Exception:  # as above
            pass

    def _lost(self) -> Unreachable:
        said = plain(self.words.decode("utf-8", "replace"), 200)
        return Unreachable(
            f"{self.host}: the connection to its agent was lost{said and f': {said}'}"
        )
