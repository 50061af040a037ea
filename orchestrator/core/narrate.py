"""Records and steps as plain sentences.

Whatever happened is a record, and each record is one sentence: the command line, structured logs
and everything that comes later say the same. A sentence holds no time of day: whoever shows it
knows when the entry was written, and in which zone its reader lives. It holds nothing that was not
in the record or its plan.
"""

from __future__ import annotations

from typing import assert_never

from orchestrator.core.model import Share
from orchestrator.core.record import (
    Answered,
    Asked,
    Began,
    Closed,
    Ended,
    Entry,
    Failed,
    Granted,
    Kind,
    Opened,
    Outcome,
    Trouble,
    Turned,
    Way,
    What,
    Wish,
)
from orchestrator.core.step_words import doing, done, sentence_of, taken_back, taking_back, undo_of
from orchestrator.core.steps import Flip, Part, Prove, Retire, Run, Shift, Start, Step, undoable
from orchestrator.core.words import counted, flips_to, joined, sentence, span, told

__all__ = ["narrate", "sentence_of", "undo_of", "wish_in_words"]


def narrate(entry: Entry, steps: tuple[Step, ...]) -> str:
    """One plain sentence for what this entry says. `steps`: the plan it belongs to, if known."""
    record = entry.record
    match record:
        case Opened():
            text = _opened(record)
        case Began():
            text = _began(record, entry.at_s, steps)
        case Ended():
            text = _ended(record, steps)
        case Failed():
            text = _failed(record, steps)
        case Asked():
            text = _asked(record)
        case Granted(_, gate, _, by, why, hold):
            text = _because(f"{by} granted {gate}{_for_at_most(hold)}", why)
        case Answered(request, reason):
            text = f"request {request} is answered: {reason}"
        case Turned(_, way, reason):
            text = f"{'turning back' if way is Way.BACK else 'turning forward again'}: {reason}"
        case Closed():
            text = _closed(record, steps)
        case _:
            assert_never(record)
    return sentence(text)


def wish_in_words(wish: Wish) -> str:
    """What is wanted: `deploy web 2 and api 2`."""
    wanted = joined(f"{w.service} {w.release.version}" for w in wish.wanted)
    services = joined(w.service for w in wish.wanted)
    match wish.kind:
        case Kind.DEPLOY:
            return f"bring {wanted} up anew" if wish.again else f"deploy {wanted}"
        case Kind.BACKOUT if wish.undoes is not None:
            return f"back out of rollout {wish.undoes}, to {wanted}"
        case Kind.BACKOUT:
            return f"go back to {wanted}"
        case Kind.RETIRE:
            return f"retire the standby of {services}" if services else "retire the standby"
        case Kind.MEND:
            return "put back what was changed" + (f" of {services}" if services else "")
        case Kind.ADOPT:
            return f"take over {wanted}, as it serves"
        case _:
            assert_never(wish.kind)


# -- How it went ---------------------------------------------------------------------------


def _opened(opened: Opened) -> str:
    steps = counted(len(opened.plan), "step")
    return f"{opened.by} opened rollout {opened.rollout}: {wish_in_words(opened.wish)} ({steps})"


def _began(began: Began, at_s: float, steps: tuple[Step, ...]) -> str:
    step = _step(began.step, steps)
    if step is None:
        return (
            f"{'going back: taking back' if began.undoing else 'beginning'} step {began.step + 1}"
        )
    if began.undoing:
        return f"going back: {taking_back(step)}"
    limit = "" if began.until is None else f", at most {span(began.until - at_s)}"
    end = "" if undoable(step) else "; from here on nothing turns it back"
    return f"{doing(step)}{limit}{end}"


def _ended(ended: Ended, steps: tuple[Step, ...]) -> str:
    step = _step(ended.step, steps)
    if step is None:
        done_so = "is taken back" if ended.undoing else "is done"
        return f"{'going back: ' if ended.undoing else ''}step {ended.step + 1} {done_so}"
    if ended.undoing:
        return f"going back: {taken_back(step, ended.facts)}"
    return done(step, ended.facts)


def _failed(failed: Failed, steps: tuple[Step, ...]) -> str:
    step = _step(failed.step, steps)
    if step is None:
        act = f"step {failed.step + 1}"
    else:
        act = taking_back(step) if failed.undoing else doing(step)
    back = "going back: " if failed.undoing else ""
    match failed.kind:
        case Trouble.REFUSED:
            return f"{back}{act} was refused: {failed.reason}"
        case Trouble.UNREACHABLE:
            return (
                f"{back}{act} got no answer, so nobody knows whether it happened: {failed.reason}"
            )
        case Trouble.DID_NOT_TAKE if isinstance(step, Run):
            return f"{back}{act} failed: {failed.reason}"
        case Trouble.DID_NOT_TAKE:
            return f"{back}{act} did not take: {failed.reason}"
        case Trouble.ILL:
            return f"{back}{act} failed: {failed.reason}" if failed.undoing else failed.reason
        case _:
            assert_never(failed.kind)


def _closed(closed: Closed, steps: tuple[Step, ...]) -> str:
    who = f"rollout {closed.rollout}"
    match closed.outcome:
        case Outcome.ROLLED_OUT:
            text = f"{who} is done: {_after(steps)}"
        case Outcome.BACKED_OUT:
            text = f"{who} is backed out: {_before(steps)}"
        case Outcome.REPLACED:
            text = f"{who} made place for another wish: {_before(steps)}"
        case Outcome.ABANDONED:
            text = f"{who} was abandoned; whatever it did stays as it is"
        case _:
            assert_never(closed.outcome)
    return f"{text}; {closed.remark}" if closed.remark else text


def _after(steps: tuple[Step, ...]) -> str:
    """What a plan that went all the way has left behind."""
    up = {(p.service, p.color): p for s in steps if isinstance(s, Start | Prove) for p in s.parts}
    flips = [f for s in steps if isinstance(s, Shift) for f in s.flips]
    serving = [
        up[f.service, f.after.live]
        for f in flips
        if f.after.live and (f.service, f.after.live) in up
    ]
    if serving:
        return _serve(tuple(serving))
    if flips:
        return _goes(tuple(flips), after=True)
    gone = tuple(p for s in steps if isinstance(s, Retire) for p in s.parts)
    return told(gone, "is stopped", "are stopped") if gone else "everything is as wished"


def _before(steps: tuple[Step, ...]) -> str:
    """What a plan that went back has left behind: what was there before."""
    flips = [f for s in steps if isinstance(s, Shift) for f in s.flips]
    backs = tuple(f.back for f in flips if f.back is not None)
    if backs:
        return f"{_serve(backs)} as before"
    if not flips:
        return "everything is as before"
    if all(f.before == Share() for f in flips):
        return "nothing serves, as before"
    return f"{_goes(tuple(flips), after=False)} as before"


def _goes(flips: tuple[Flip, ...], *, after: bool) -> str:
    groups = flips_to(flips, after=after)
    return " and ".join(f"traffic of {services} goes to {where}" for services, where in groups)


def _serve(parts: tuple[Part, ...]) -> str:
    return told(parts, "serves", "serve")


# -- What people want ----------------------------------------------------------------------


def _asked(asked: Asked) -> str:
    return _because(f"{asked.by} {_wanted(asked)}", asked.why)


def _wanted(asked: Asked) -> str:
    target = asked.target.replace("\n", "; ")
    match asked.what:
        case What.BACK:
            return "asked to go back"
        case What.FORWARD:
            return "asked to go forward again"
        case What.RETRY:
            return "asked to try again"
        case What.DENY:
            return f"denied {target or 'the gate'}"
        case What.PAUSE:
            return "asked to stand still after this step"
        case What.GO_ON:
            return "asked to go on"
        case What.WITHOUT:
            return f"asked to go on without {target or 'a host'}"
        case What.READMIT:
            return f"took {target or 'a host'} back"
        case What.RETIRE:
            return f"asked to retire the standby{f' of {target}' if target else ''}"
        case What.MEND:
            return f"asked to put back what was changed{f': {target}' if target else ''}"
        case What.ACCEPT:
            return f"asked to accept what was changed{f': {target}' if target else ''}"
        case What.ABANDON:
            return "asked to abandon the rollout as it is"
        case What.WISH:
            return (
                f"asked to {wish_in_words(asked.wish)}"
                if asked.wish
                else "asked for something else"
            )
        case _:
            assert_never(asked.what)


def _for_at_most(hold: float | None) -> str:
    if hold is None:
        return ""
    return f", time standing still for {span(hold)} at most" if hold else ", without a hold"


def _because(text: str, why: str) -> str:
    return f"{text}: {why}" if why else text


def _step(index: int, steps: tuple[Step, ...]) -> Step | None:
    return steps[index] if 0 <= index < len(steps) else None
