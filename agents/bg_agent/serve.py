"""One session: requests in as lines, answers out as lines, until the session ends.

The main thread only reads, hands out, and watches the time; each request has a thread of its own,
at most so many at once, and further lines wait in the pipe. `hello` is answered where it is read:
it is the first request, and nothing else has been imported yet.

The one rule: every request gets exactly one answer, in its time, whatever its verb does; and when
the session ends the process ends, there and then.
"""

from __future__ import annotations

import _thread
import os
import select
import time

from bg_agent import wire
from bg_agent.places import Host
from bg_agent.table import VERBS, Verb
from bg_agent.trouble import Refused, Trouble, Unsure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

UNDER_WAY_MAX = 32
IDLE_S = 3600.0
READ = 65536
TELL_S = 1.0
ID_MAX = 64


def serve(options: dict[str, str]) -> int:
    """Run it on stdin and stdout. Returns only where it could not begin."""
    idle = options.pop("idle-s", "")
    try:
        host = Host(options.pop("how", ""), options.pop("base", ""))
        if options or (idle and not idle.isdigit()):
            raise Refused("an option of no meaning", "bad-request")
    except Trouble as trouble:
        os.write(1, wire.encode(dict(trouble.line(), id=None)))
        return 2
    return Session(host, float(idle or IDLE_S)).run()


class Job:
    """A request under way."""

    __slots__ = ("answered", "number", "told_s", "until", "verb")

    def __init__(self, number: Any, verb: Verb, until: float) -> None:
        self.number, self.verb, self.until = number, verb, until
        self.answered, self.told_s = False, 0.0


class Session:
    def __init__(self, host: Host, idle_s: float) -> None:
        self._host, self._idle_s = host, idle_s
        self._jobs: set[Job] = set()
        self._writing = _thread.allocate_lock()
        self._wake, self._wakes = os.pipe()
        os.set_blocking(self._wakes, False)
        self._got = bytearray()
        self._skipping = False
        self._last_s = time.monotonic()

    def run(self) -> NoReturn:
        while True:
            ears = [self._wake] + ([0] if len(self._jobs) < UNDER_WAY_MAX else [])
            ready = select.select(ears, [], [], self._patience_s())[0]
            if self._wake in ready:
                os.read(self._wake, READ)
            if 0 in ready:
                self._read()
            self._watch()

    # -- Reading -----------------------------------------------------------------------------

    def _read(self) -> None:
        data = os.read(0, READ)
        if not data:
            end()
        self._last_s = time.monotonic()
        *lines, rest = (bytes(self._got) + data).split(b"\n")
        for line in lines:
            if self._skipping:
                self._skipping = False
            elif line.strip():
                self._take(line)
        self._got = bytearray(rest)
        if len(self._got) > wire.LINE_MAX and not self._skipping:
            self._skipping = True
            self._write({"id": None}, Refused("a line of more than 1 MiB", "bad-request").line())
        if self._skipping:
            self._got.clear()

    def _take(self, line: bytes) -> None:
        number = None
        try:
            if len(line) > wire.LINE_MAX:
                raise Refused("a line of more than 1 MiB", "bad-request")
            request = _request(line)
            number = _number(request)
            verb = VERBS.get(str(request.get("verb")))
            if verb is None:
                raise Refused("this agent knows no such verb", "unknown-verb")
        except Trouble as trouble:
            self._write({"id": number}, trouble.line())
            return
        job = Job(number, verb, time.monotonic() + verb.within_s(request))
        if verb.name == "hello" and not request.get("closely"):
            self._do(job, request)
        else:
            self._begin(job, request)

    # -- Doing -------------------------------------------------------------------------------

    def _begin(self, job: Job, request: dict[str, Any]) -> None:
        from bg_agent.call import function_of

        try:
            function_of(job.verb)
        except Exception as error:
            self._answer(job, Unsure("a mistake in the agent: %s" % _where(error)).line())
            return
        if not self._jobs:
            _take_care()
        self._jobs.add(job)
        _thread.start_new_thread(self._do, (job, request))  # nobody waits for it to have begun

    def _do(self, job: Job, request: dict[str, Any]) -> None:
        try:
            self._answer(job, self._line(job, request))
        finally:
            self._jobs.discard(job)
            try:
                os.write(self._wakes, b"!")
            except OSError:
                pass  # it is awake enough

    def _line(self, job: Job, request: dict[str, Any]) -> dict[str, Any]:
        def tell(what: str, done: int, total: int) -> None:
            self._tell(job, {"what": what, "done": done, "total": total})

        try:
            if job.verb.name == "hello":
                from bg_agent.verbs.hello import hello

                return {"ok": hello(request, self._host)}
            from bg_agent.call import answered

            return {"ok": answered(job.verb, request, self._host, tell)}
        except Trouble as trouble:
            return trouble.line()
        except Exception as error:
            return Unsure("a mistake in the agent: %s" % _where(error)).line()

    def _tell(self, job: Job, progress: dict[str, Any]) -> None:
        now = time.monotonic()
        if now >= job.told_s + TELL_S:
            job.told_s = now
            with self._writing:
                if not job.answered:
                    _send(wire.encode({"id": job.number, "progress": progress}))

    # -- Answering ---------------------------------------------------------------------------

    def _answer(self, job: Job, line: dict[str, Any]) -> None:
        with self._writing:
            if not job.answered:
                job.answered = True
                _send(_encoded({"id": job.number}, line))

    def _write(self, head: dict[str, Any], line: dict[str, Any]) -> None:
        with self._writing:
            _send(_encoded(head, line))

    # -- Time --------------------------------------------------------------------------------

    def _watch(self) -> None:
        now = time.monotonic()
        for job in list(self._jobs):
            if now >= job.until and not job.answered:
                self._answer(job, Unsure("%s was not done in its time" % job.verb.name).line())
        if not self._jobs and now >= self._last_s + self._idle_s:
            end()

    def _patience_s(self) -> float:
        waits = [job.until for job in list(self._jobs) if not job.answered]
        nearest = min([*waits, self._last_s + self._idle_s])
        return max(nearest - time.monotonic(), 0.01)


def end(*_: object) -> NoReturn:
    """The session is over. What is under way stands where it stands."""
    import sys

    running = sys.modules.get("bg_agent.running")
    if running is not None:
        running.end_with_us()
    os._exit(0)


def _take_care() -> None:
    """Before the first request that may bring a secret: no core is dumped, and the end is ours."""
    import _signal  # type: ignore[import-not-found]  # what `signal` is made of, without `enum`
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (_signal.SIGHUP, _signal.SIGTERM):
        _signal.signal(number, end)


def _request(line: bytes) -> dict[str, Any]:
    try:
        request = wire.decode(line)
    except ValueError:
        raise Refused("that line is no JSON", "bad-request") from None
    if not isinstance(request, dict):
        raise Refused("a request is an object", "bad-request")
    return request


def _number(request: dict[str, Any]) -> Any:
    number = request.get("id")
    fits = isinstance(number, int) or (isinstance(number, str) and 0 < len(number) <= ID_MAX)
    if not fits or isinstance(number, bool):
        raise Refused("a request has an id, a number or a short text", "bad-request")
    return number


def _encoded(head: dict[str, Any], line: dict[str, Any]) -> bytes:
    data = wire.encode(dict(head, **line))
    if len(data) <= wire.ANSWER_MAX:
        return data
    return wire.encode(dict(head, **Unsure("the answer is larger than what is sent").line()))


def _send(data: bytes) -> None:
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(1, rest) :]
    except OSError:
        end()


def _where(error: BaseException) -> str:
    """Which mistake and where, and no values."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)[-4:]
    names = " < ".join("%s:%d" % (one.name, one.lineno or 0) for one in reversed(frames))
    return "%s in %s" % (type(error).__name__, names)
