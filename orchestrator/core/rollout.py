"""What the journal of one plan adds up to.

`evolve` folds one entry into a rollout; there is no other way to get one. The rollout knows what
is done, what may have left something behind, what was asked and granted, and which way it goes.

The field everybody forgets is `touched`: a step that took effect, reported failure and was
waiting for its retry when we died is neither done nor in doubt, and must be undone. It rises at
each `Began` and falls only by undoing; an undo that *began* takes its step out of `done`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from orchestrator.core.away import steps_without, why_not, without
from orchestrator.core.health import Verdict
from orchestrator.core.model import Policy, Site
from orchestrator.core.record import (
    Answered,
    Asked,
    Began,
    Closed,
    Ended,
    Entry,
    Fact,
    Failed,
    FoundWell,
    Granted,
    LeftAsItIs,
    NoStandby,
    Opened,
    Outcome,
    Served,
    Trouble,
    Turned,
    Way,
    What,
    Wish,
)
from orchestrator.core.steps import Drain, Gate, Prove, Retire, Shift, Start, Step, undoable

FALLS_MAX = 2


@dataclass(frozen=True, slots=True)
class Rollout:
    id: int
    steps: tuple[Step, ...]
    site: Site
    policy: Policy
    wish: Wish
    before: tuple[Served, ...] = ()
    by: str = ""
    opened_s: float = 0.0

    done: int = 0  # steps[:done] are known to have happened
    touched: int = 0  # steps[:touched] may have left something behind
    failures: int = 0  # of the step at hand, this direction, this attempt
    hopeless: bool = False  # the world said no, or the release is ill: more tries are no use
    failed: Failed | None = None  # the newest failure of this direction
    failed_s: float = 0.0
    falls: int = 0  # how often a step that was done turned out not to hold any more
    attempt: int = 1  # counts turns and retries; each wants fresh evidence
    begun: tuple[int, bool] | None = (
        None  # the step at hand (index, undoing) that began and has no ending
    )
    since_s: float = 0.0  # when it began
    until_s: float | None = None  # when the wait that began there is over
    deadline_s: float | None = None  # of the gate, the same throughout an attempt
    facts: tuple[tuple[int, Fact], ...] = ()  # what looks found, by step
    asked: tuple[Entry, ...] = ()  # requests not yet answered, oldest first
    granted: tuple[Granted, ...] = ()  # grants that count
    paused: bool = False
    backing_out: bool = False
    turned: str = ""  # why it turned, the last time
    replaced: bool = False  # it goes back because another wish takes its place
    lost: tuple[NoStandby, ...] = ()  # standbys that could not be brought back
    outcome: Outcome | None = None
    left: tuple[LeftAsItIs, ...] = ()  # what the user's own steps did and nothing took back

    @property
    def shift_at(self) -> int:
        """The index of the first step that moves traffic; beyond the end where none does."""
        shifts = (i for i, step in enumerate(self.steps) if isinstance(step, Shift))
        return next(shifts, len(self.steps))

    @property
    def shifted(self) -> bool:
        """Whether traffic may have moved and not come back."""
        return self.touched > self.shift_at

    @property
    def may_turn_back(self) -> bool:
        """Whether every step that may have left something behind can be taken back."""
        return not self.backing_out and self.no_return is None

    @property
    def no_return(self) -> Step | None:
        """The step that was begun and that nothing takes back, where there is one."""
        return next((s for s in self.steps[: self.touched] if not undoable(s)), None)

    @property
    def was_well(self) -> bool:
        """Whether everything that served at the opening was well then.

        Only then does anything go back to it by itself.
        """
        return all(s.verdict is Verdict.WELL for s in self.before if s.release is not None)

    @property
    def gave_up(self) -> bool:
        return self.hopeless or self.failures >= self.policy.tries or self.falls > FALLS_MAX

    @property
    def turns_by_itself(self) -> bool:
        return self.may_turn_back and (self.was_well or not self.shifted)

    @property
    def stuck(self) -> bool:
        """Whether only a person can say how it goes on."""
        return self.outcome is None and self.gave_up and not self.turns_by_itself

    @property
    def gate(self) -> Gate | None:
        """The gate that stands open."""
        if self.backing_out or self.done >= len(self.steps) or self.begun != (self.done, False):
            return None
        step = self.steps[self.done]
        return step if isinstance(step, Gate) else None

    @property
    def remarks(self) -> tuple[str, ...]:
        """What people should know about the way it closed."""
        lost = (f"no standby: {f.service} {f.color.value}: {f.why}" for f in self.lost)
        return (*lost, *(f"left as it is: {f.step}: {f.why}" for f in self.left))

    def to_do(self, index: int) -> Step:
        """The step as it is to be done now.

        What a later Start may have brought up again is no leftover any more, though it is of the
        same release: going forward a second time does not stop it, and cannot where it serves.
        """
        step = self.steps[index]
        if not isinstance(step, Drain | Retire):
            return step
        later = (s for s in self.steps[index : self.touched] if isinstance(s, Start))
        again = {(p.service, p.color, p.release) for s in later for p in s.parts}
        left = (p for p in step.parts if (p.service, p.color, p.release) not in again)
        return replace(step, parts=tuple(left))

    def has_grant(self, gate: str) -> bool:
        return any(g.gate == gate for g in self.granted)

    def found_well(self) -> dict[tuple[str, str, int], int]:
        """The start number that was found well, by service, color and instance."""
        return {
            (f.service, f.color.value, f.instance): f.start
            for _, f in self.facts
            if isinstance(f, FoundWell)
        }


def evolve(rollout: Rollout | None, entry: Entry) -> Rollout:
    """The rollout after this entry. Raises ValueError for an entry that cannot follow."""
    match entry.record:
        case Opened() as opened:
            return _opened(opened, entry.at_s)
        case record if rollout is None:
            raise ValueError(f"entry {entry.number}: {type(record).__name__} before any Opened")
        case Began() as began:
            return _began(rollout, began, entry.at_s)
        case Ended() as ended:
            return _ended(rollout, ended)
        case Failed() as failed:
            return _failed(rollout, failed, entry.at_s)
        case Asked() as asked:
            return _asked(rollout, asked, entry)
        case Granted() as granted:
            return _granted(rollout, granted, entry)
        case Answered(request):
            return replace(rollout, asked=_without(rollout, request))
        case Turned() as turned:
            return _turned(rollout, turned)
        case Closed(_, outcome, _):
            return replace(rollout, outcome=outcome, begun=None)
        case never:
            assert_never(never)


def _opened(opened: Opened, at_s: float) -> Rollout:
    return Rollout(
        id=opened.rollout,
        steps=opened.plan,
        site=opened.site,
        policy=opened.policy,
        wish=opened.wish,
        before=opened.before,
        by=opened.by,
        opened_s=at_s,
    )


def _began(rollout: Rollout, began: Began, at_s: float) -> Rollout:
    # A driver that takes over begins its watch anew, for nobody watched in between. A gate is not a
    # watch: it begins once in each attempt, and its time runs whoever is there.
    rollout = replace(rollout, begun=(began.step, began.undoing), since_s=at_s, until_s=began.until)
    if began.undoing:
        return replace(rollout, done=min(rollout.done, began.step))
    if isinstance(rollout.steps[began.step], Gate):
        rollout = replace(rollout, deadline_s=began.until)
    return replace(rollout, touched=max(rollout.touched, began.step + 1))


def _ended(rollout: Rollout, ended: Ended) -> Rollout:
    if not ended.undoing and ended.step > rollout.done:
        return rollout  # while it was written, somebody asked to prove anew: it has to come again
    facts = tuple((ended.step, fact) for fact in ended.facts)
    known = {(fact.service, fact.color) for fact in rollout.lost}
    found = (fact for fact in ended.facts if isinstance(fact, NoStandby))
    lost = tuple(fact for fact in found if (fact.service, fact.color) not in known)
    left = tuple(fact for fact in ended.facts if isinstance(fact, LeftAsItIs))
    rollout = replace(
        rollout,
        failures=0,
        failed=None,
        hopeless=False,
        begun=None,
        until_s=None,
        facts=rollout.facts + facts,
        lost=rollout.lost + lost,
        left=rollout.left + left,
    )
    if ended.undoing:
        return replace(rollout, touched=ended.step, done=min(rollout.done, ended.step))
    return replace(rollout, done=ended.step + 1)


def _failed(rollout: Rollout, failed: Failed, at_s: float) -> Rollout:
    rollout = replace(rollout, failed=failed, failed_s=at_s)
    if not failed.undoing and failed.step < rollout.done:
        return replace(
            rollout,
            done=failed.step,
            falls=rollout.falls + 1,
            failures=0,
            begun=None,
            until_s=None,
            facts=tuple((step, fact) for step, fact in rollout.facts if step < failed.step),
        )
    return replace(
        rollout,
        failures=rollout.failures + 1,
        hopeless=failed.kind is Trouble.REFUSED
        or (failed.kind is Trouble.ILL and not failed.undoing),
        begun=None,
    )


def _asked(rollout: Rollout, asked: Asked, entry: Entry) -> Rollout:
    match asked.what:
        case What.PAUSE:
            return replace(rollout, paused=True)
        case What.GO_ON if rollout.paused:
            # Nobody watched in between, so a watch begins anew. A gate's time runs on.
            begun = rollout.begun if rollout.gate else None
            return replace(rollout, paused=False, begun=begun)
        case What.RETRY if rollout.stuck:
            return _anew(rollout)
        case What.RETRY if rollout.gate:
            return _prove_again(rollout)
        case What.WITHOUT if not why_not_without(rollout, asked.target):
            return _go_on_without(rollout, asked.target)
        case _:
            return replace(rollout, asked=(*rollout.asked, entry))


def why_not_without(rollout: Rollout, host: str) -> str:
    """Why it cannot go on without this host; empty where it can."""
    return why_not(rollout.site, host, rollout.steps)


def _go_on_without(rollout: Rollout, host: str) -> Rollout:
    """Its parts shrink, done or not. What failed may have failed for that host: it is tried anew.

    What was found of the others stays found, and so does a grant.
    """
    fewer = steps_without(rollout.steps, rollout.site, host)
    site = without(rollout.site, (host,))
    rollout = _anew(rollout) if rollout.stuck else replace(rollout, failures=0)
    return replace(rollout, steps=fewer, site=site)


def _granted(rollout: Rollout, granted: Granted, entry: Entry) -> Rollout:
    """A grant counts for the gate that stands open, in this attempt, by its own record's time."""
    if why_no_grant(rollout, granted, entry.at_s):
        return replace(rollout, asked=(*rollout.asked, entry))
    return replace(rollout, granted=(*rollout.granted, granted))


def why_no_grant(rollout: Rollout, granted: Granted, at_s: float) -> str:
    """Why a grant does not count; empty where it does."""
    gate = rollout.gate
    if gate is None or gate.name != granted.gate:
        return f"no gate {granted.gate!r} stands open"
    if granted.attempt != rollout.attempt:
        return f"it was given to attempt {granted.attempt}; this is attempt {rollout.attempt}"
    if rollout.until_s is not None and at_s > rollout.until_s:
        return "it came too late: the gate's time was over"
    return ""


def _turned(rollout: Rollout, turned: Turned) -> Rollout:
    request = next((e.record for e in rollout.asked if e.number == turned.request), None)
    rollout = replace(
        _anew(rollout),
        backing_out=turned.way is Way.BACK,
        turned=turned.reason,
        facts=(),
        granted=(),
        asked=_without(rollout, turned.request),
        paused=False,
    )
    if turned.way is Way.FORWARD:
        return replace(rollout, done=0, replaced=False)
    return replace(rollout, replaced=isinstance(request, Asked) and request.what is What.WISH)


def _anew(rollout: Rollout) -> Rollout:
    return replace(
        rollout,
        attempt=rollout.attempt + 1,
        failures=0,
        hopeless=False,
        falls=0,
        begun=None,
        until_s=None,
        deadline_s=None,
    )


def _prove_again(rollout: Rollout) -> Rollout:
    """A gate is tried again with fresh evidence: from its Prove on."""
    proofs = [i for i, step in enumerate(rollout.steps[: rollout.done]) if isinstance(step, Prove)]
    done = proofs[-1] if proofs else rollout.done
    facts = tuple((step, fact) for step, fact in rollout.facts if step < done)
    return replace(_anew(rollout), done=done, facts=facts, granted=())


def _without(rollout: Rollout, request: int | None) -> tuple[Entry, ...]:
    return tuple(entry for entry in rollout.asked if entry.number != request)
