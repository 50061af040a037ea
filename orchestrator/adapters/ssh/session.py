"""One running agent: requests out as lines, answers in as lines, matched by their numbers.

The one rule: whoever asked gets an answer, or trouble, in time. When the session ends, for whatever
reason, everything that was asked is `Unreachable`: it may have happened. What a host says is
bounded and never trusted: lines too long or of no sense end the session, words before the first
answer (start files of a shell) are passed over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orchestrator.adapters.ssh import lines
from orchestrator.adapters.ssh.lines import ANSWER_MAX, LATE_S, LIMITS_S, Json
from orchestrator.adapters.ssh.texts import plain
from orchestrator.ports.trouble import Unreachable

WORDS_MAX = 64 * 1024  # bytes on stderr that are looked at; the rest is thrown away
LINGERS_S = 1.0
NOISE_MAX = 200  # lines of no sense before the first answer

Progress = Callable[[int, int], None]  # done, total


@dataclass(slots=True)
class _Asked:
    answer: asyncio.Future[Json]
    progress: Progress | None


class Session:
    """`host` is its name for people. It is what SSH calls when something comes from there."""

    __slots__ = (
        "_asked", "_channel", "_ended", "_got", "_noise", "_number", "_spoke", "host", "status",
        "words",
    )  # fmt: skip

    def __init__(self, host: str) -> None:
        self.host = host
        self.words = b""  # what came on stderr
        self.status: int | None = None  # how the agent ended; None: nobody knows
        self._channel: Any = None
        self._asked: dict[int, _Asked] = {}
        self._got = b""
        self._number = self._noise = 0
        self._spoke = self._ended = False

    @property
    def ended(self) -> bool:
        return self._ended or self._channel is None or bool(self._channel.is_closing())

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
                self._channel.write(line)
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
        if self._channel is not None:
            self._channel.close()
        for asked in self._asked.values():
            if not asked.answer.done():
                asked.answer.set_exception(self._lost())

    # -- What SSH calls ----------------------------------------------------------------------

    def connection_made(self, chan: Any) -> None:
        self._channel = chan

    def session_started(self) -> None:
        pass

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if datatype is not None:
            self.words = (self.words + data)[-WORDS_MAX:]
            return
        if self._ended:
            return
        *whole, self._got = (self._got + data).split(b"\n") if self._got else data.split(b"\n")
        if not all(self._take(line) for line in whole) or len(self._got) > ANSWER_MAX:
            self.end()

    def eof_received(self) -> bool:
        """It says no more; how it ended comes next, and if that is long in coming, it is over."""
        asyncio.get_running_loop().call_later(LINGERS_S, self.end)
        return False

    def exit_status_received(self, status: int) -> None:
        self.status = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self.status = -1

    def connection_lost(self, exc: Exception | None) -> None:
        self.end()

    def pause_writing(self) -> None:
        """What is asked at once is bounded by who asks: it waits here."""

    def resume_writing(self) -> None:
        pass

    def xon_xoff_requested(self, client_can_do: bool) -> None:
        pass

    # -- Listening ---------------------------------------------------------------------------

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

    def _lost(self) -> Unreachable:
        said = plain(self.words.decode("utf-8", "replace"), 200)
        return Unreachable(
            f"{self.host}: the connection to its agent was lost{said and f': {said}'}"
        )
