"""`step_look`, `step_run`: the user's own steps on this host.

    step_look   what is noted of a step of this rollout, and what its look says, if it has one
    step_run    do it, or take it back, to its end or its time-out

What was begun, done and taken back is noted in `steps/NAME` of the site, with the rollout, the
journal and the process. The one rule: check, note and beginning are one section inside the fence,
and whoever comes with a younger epoch ends what an older one left running before it begins. So two
of them never run at once, and nothing of it outlives its session.
"""

from __future__ import annotations

import os
import time

from bg_agent import disk, running, texts, units, wire
from bg_agent.asked import Asked, bad, encodable
from bg_agent.trouble import Refused, Unsure

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from typing import Any

    from bg_agent.call import Call

TIMEOUT_MAX_S = 3600.0
SAID = 16 * 1024  # bytes of what is told of its output
GONE_S = 5.0  # until what was killed is gone
POLL_S = 0.01

NOTHING, BEGUN, DONE = "", "begun", "done"
TAKING_BACK, TAKEN_BACK = "taking-back", "taken-back"
WAYS = {"do": (BEGUN, DONE), "undo": (TAKING_BACK, TAKEN_BACK)}


def step_look(call: Call) -> dict[str, Any]:
    """`argv` is its look; without one only what is noted is told."""
    step = Step(call)
    with call.fence.holding() as ledger:
        state = step.of(ledger.journal).state()
    if not call.asked.items("argv"):
        return {"state": state}
    return dict(_told(running.run(_argv(call.asked), step.how)), state=state)


def step_run(call: Call) -> dict[str, Any]:
    """`looked`: it has a look of its own, which counts; what is noted does not make it needless."""
    step, way = Step(call), call.asked.get("way")
    if way not in WAYS:
        raise bad("way is do or undo")
    begun, ended = WAYS[way]
    needless = {NOTHING} if way == "undo" else set()
    if not call.asked.yes("looked"):
        needless.add(ended)
    argv = _argv(call.asked)
    with call.fence.holding() as ledger:
        if step.of(ledger.journal).state() in needless:
            return {"ran": False}
        step.end_what_was_begun()
        step.write(begun)
        process = running.begin(argv, step.how)
        step.write(begun, process)
    finished = running.end_of(process, step.how)
    if finished.code == 0:
        with call.fence.holding():  # somebody younger may be here by now: then it is theirs
            step.write(ended)
    return dict(_told(finished), ran=True)


class Step:
    """One step of the user's own here, and what is noted of it."""

    def __init__(self, call: Call) -> None:
        asked = call.asked
        self._name = asked.name("step")
        self._rollout, self._journal = asked.number("rollout", 10**9), ""
        self._path = os.path.join(call.root.at, "steps", self._name)
        env = dict(running.surroundings(), **units.environment(asked.pairs("env"), "the step"))
        within_s = asked.seconds("timeout_s", TIMEOUT_MAX_S, 300.0)
        self.how = running.How(within_s, keep=SAID, env=env, ends_with_us=True)

    def of(self, journal: str) -> Step:
        """Rollouts are numbered by the journal that the site belongs to here."""
        self._journal = journal
        return self

    def state(self) -> str:
        note = self._note()
        mine = note.get("whose") == [self._journal, self._rollout]
        return str(note["state"]) if mine else NOTHING

    def write(self, state: str, process: subprocess.Popen[bytes] | None = None) -> None:
        whose = [self._journal, self._rollout]
        note: dict[str, Any] = {"whose": whose, "state": state}
        if process is not None:
            note.update(pid=process.pid, begun=_process(process.pid)[1])
        disk.make_folder(os.path.dirname(self._path), 0o755)
        disk.write(self._path, wire.encode(note))

    def end_what_was_begun(self) -> None:
        """By a driver that was overtaken, or whose agent died. Its group is its own."""
        note = self._note()
        pid, begun = note.get("pid"), note.get("begun")
        if not isinstance(pid, int) or _process(pid) != ("there", begun):
            return
        running.kill(pid)
        until = time.monotonic() + GONE_S
        while _process(pid) == ("there", begun):
            if time.monotonic() > until:
                raise Unsure("what was begun of %s before does not end" % self._name)
            time.sleep(POLL_S)

    def _note(self) -> dict[str, Any]:
        try:
            note = wire.decode(disk.read(self._path) or b"{}")
        except ValueError:
            raise Refused(
                "what is noted of %s cannot be read: %s" % (self._name, self._path)
            ) from None
        return note if isinstance(note, dict) else {}


def _argv(asked: Asked) -> list[str]:
    argv = [encodable(one, "argv") for one in asked.items("argv") if isinstance(one, str)]
    if not argv or argv != asked.items("argv"):
        raise bad("argv is a list of texts, at least one")
    return argv


def _told(done: running.Finished) -> dict[str, Any]:
    """`code` is null where its time was over, and negative by a signal."""
    said = texts.plain((done.out + done.err).decode("utf-8", "replace"))
    return {"code": done.code, "said": texts.tail(said, SAID)}


def _process(pid: int) -> tuple[str, int]:
    """Whether somebody lives there with this pid, and since when, in ticks since the boot."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            text = file.read(4096)
        # The name stands in parentheses and may hold some itself: the rest begins after the last.
        rest = text[text.rindex(b")") + 2 :].split()
        return ("dead" if rest[0] in (b"Z", b"X") else "there"), int(rest[19])
    except (OSError, ValueError, IndexError):
        return "nobody", 0
