"""Values to JSON-ready dicts, for `-o json`: a documented contract.

Names here change only with a note in the changelog. Times are seconds since 1970; colors, kinds and
outcomes are the words of the journal. `sentence` and `line` hold what people are shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.core.chronicle import Chronicle, Past
from orchestrator.core.decide import Wait
from orchestrator.core.model import Color, Release
from orchestrator.core.narrate import narrate, wish_in_words
from orchestrator.core.plan import Plan, Unplannable
from orchestrator.core.prove import Broken, Proof
from orchestrator.core.record import Entry, Opened, plain
from orchestrator.core.rollout import Rollout
from orchestrator.core.sight import InstallationSeen
from orchestrator.core.step_words import sentence_of, undo_of
from orchestrator.core.steps import Step, name
from orchestrator.doors.cli.picture import (
    Picture,
    next_steps,
    serving_line,
    waits_for,
    who_serves,
)
from orchestrator.doors.cli.render_history import known_releases, where_is
from orchestrator.doors.cli.render_status import drifts
from orchestrator.doors.cli.render_steps import step_state
from orchestrator.doors.cli.render_tree import verdict_of
from orchestrator.ports.lease import Holder

if TYPE_CHECKING:
    from orchestrator.engine.opening import Considered

Data = dict[str, Any]


def result_data(picture: Picture, *, outcome: str, exit_code: int, problem: str = "") -> Data:
    """What every verb answers with: outcome, serving, next_steps, rollout."""
    steps = next_steps(picture.chronicle, picture.now, picture.sighting, driven=picture.driven)
    return {
        "outcome": outcome,
        "exit": exit_code,
        "problem": problem,
        "site": picture.site.name,
        "at": picture.now,
        "serving": serving_data(picture),
        "line": serving_line(picture.chronicle, picture.sighting, picture.now),
        "rollout": None if picture.chronicle.open is None else picture.chronicle.open.id,
        "next_steps": [{"command": s.command, "does": s.does} for s in steps],
    }


def serving_data(picture: Picture) -> list[Data]:
    """Who serves each service; `seen` is false where only the journal says so. `running`: how
    many instances of its color do; null where nobody could see.
    """
    return [
        {
            "service": s.service,
            "color": s.share.live.value if s.share.live else None,
            "share": {"blue": s.share.blue, "green": s.share.green},
            "release": _release(s.release),
            "seen": s.seen,
            "running": s.runs,
            "address": picture.addresses.get(s.service),
        }
        for s in who_serves(picture.chronicle, picture.sighting)
    ]


def status_data(picture: Picture) -> Data:
    """Everything `status` shows; the rollout whole, with its steps and their state."""
    rollout, sighting, holder = picture.chronicle.open, picture.sighting, picture.holder
    return {
        **result_data(picture, outcome="stuck" if rollout and rollout.stuck else "ok", exit_code=0),
        "rollout": None if rollout is None else rollout_data(rollout, picture.now),
        "services": _services(picture),
        "standbys": [
            {
                "service": s.service,
                "color": s.color.value,
                "release": _release(s.release),
                "rollout": s.rollout,
                "until": s.until_s,
            }
            for s in picture.chronicle.standbys
        ],
        "driver": None if holder is None else _driver(holder),
        "drift": list(drifts(picture)),
        "without": [
            {"host": g.host, "by": g.by, "since": g.since_s, "why": g.why}
            for g in picture.chronicle.gone
        ],
        "unreached": [] if sighting is None else list(sighting.unreached),
        "room": picture.room,
        "switch_up": None if sighting is None else sighting.switch.up,
    }


def _driver(holder: Holder) -> Data:
    return {
        "by": holder.by,
        "doing": holder.doing,
        "since": holder.since_s,
        "alive": holder.alive,
        "until": holder.until_s,
        "epoch": holder.epoch,
    }


def _services(picture: Picture) -> list[Data]:
    if picture.sighting is None:
        return []
    return [
        {
            "service": service.name,
            "colors": [
                _color(picture.sighting.at(service.name, color), picture) for color in Color
            ],
        }
        for service in picture.site.services
    ]


def _color(seen: InstallationSeen, picture: Picture) -> Data:
    assert picture.sighting is not None
    verdict = verdict_of(seen, picture)
    return {
        "color": seen.color.value,
        "release": _release(seen.current),
        "share": picture.sighting.share(seen.service).of(seen.color),
        "verdict": verdict.value if verdict else None,
        "preview": picture.previews.get((seen.service, seen.color)),
        "instances": [
            {
                "instance": i.index,
                "running": i.running,
                "release": _release(i.release),
                "start": i.start,
                "identity": i.identity,
                "note": i.note,
            }
            for i in seen.instances
        ],
    }


def rollout_data(rollout: Rollout, now: float) -> Data:
    """An open rollout: its wish, its steps with their state, what it waits for, what went wrong."""
    wait = waits_for(rollout, now)
    return {
        "id": rollout.id,
        "kind": rollout.wish.kind.value,
        "wish": wish_in_words(rollout.wish),
        "by": rollout.by,
        "opened": rollout.opened_s,
        "way": "back" if rollout.backing_out else "forward",
        "turned": rollout.turned,
        "stuck": rollout.stuck,
        "paused": rollout.paused,
        "attempt": rollout.attempt,
        "waits": _wait(wait),
        "gate": rollout.gate.name if rollout.gate else None,
        "failed": None if rollout.failed is None else _failed(rollout),
        "may_turn_back": rollout.may_turn_back,
        "steps": [
            {**step_data(index, step), "state": step_state(rollout, index)}
            for index, step in enumerate(rollout.steps)
        ],
    }


def _wait(wait: Wait | None) -> Data | None:
    return None if wait is None else {"for": wait.what.value, "until": wait.until_s}


def _failed(rollout: Rollout) -> Data:
    assert rollout.failed is not None
    failed = rollout.failed
    return {
        "step": failed.step + 1,
        "undoing": failed.undoing,
        "kind": failed.kind.value,
        "reason": failed.reason,
        "at": rollout.failed_s,
        "tries": rollout.failures,
    }


def step_data(index: int, step: Step) -> Data:
    """A step; numbered from 1, as people see it. `value` is the step as the journal has it."""
    return {
        "step": index + 1,
        "kind": name(step),
        "sentence": sentence_of(step),
        "undo": undo_of(step) or None,
        "value": plain(step),
    }


# -- Plans ---------------------------------------------------------------------------------


def plan_data(considered: Considered) -> Data:
    """A plan with the way back and its proof; `possible` is false where there is none."""
    planned = considered.plan
    if isinstance(planned, Unplannable):
        return {"possible": False, "reason": planned.reason, "advice": planned.advice, "steps": []}
    return {
        "possible": not isinstance(considered.proof, Broken),
        "wish": wish_in_words(considered.opened.wish) if considered.opened else None,
        "steps": [step_data(index, step) for index, step in enumerate(planned.steps)],
        "no_return": _numbered(planned.no_return),
        "instant_way_back_ends": _numbered(_ends(planned)),
        "remarks": list(planned.remarks),
        "proof": _proof(considered.proof),
    }


def _ends(planned: Plan) -> int | None:
    return planned.reuses_standby


def _numbered(index: int | None) -> int | None:
    return None if index is None else index + 1


def _proof(proof: Proof | Broken | None) -> Data | None:
    match proof:
        case Proof(steps, states, stuck, _):
            return {"steps": steps, "states": states, "stuck": stuck}
        case Broken(promise, story):
            return {"broken": promise, "story": list(story)}
        case _:
            return None


# -- What was ------------------------------------------------------------------------------


def history_data(chronicle: Chronicle) -> Data:
    """The rollouts that closed, oldest first, and the number of the open one."""
    return {
        "rollouts": [_past(past) for past in chronicle.past],
        "open": None if chronicle.open is None else chronicle.open.id,
    }


def _past(past: Past) -> Data:
    return {
        "id": past.id,
        "kind": past.kind.value,
        "outcome": past.outcome.value,
        "by": past.by,
        "opened": past.opened_s,
        "closed": past.closed_s,
        "undoes": past.undoes,
        "reason": past.reason,
        "remarks": list(past.remarks),
        "wanted": [{"service": s, "release": _release(r)} for s, r in past.wanted],
        "changes": [
            {
                "service": c.service,
                "before": _release(c.before),
                "after": _release(c.after),
                "color": c.color.value,
            }
            for c in past.changes
        ],
    }


def story_data(entries: tuple[Entry, ...]) -> Data:
    """The records themselves, each with its sentence."""
    steps: tuple[Step, ...] = ()
    told = []
    for entry in entries:
        if isinstance(entry.record, Opened):
            steps = entry.record.plan
        told.append(
            {
                "number": entry.number,
                "at": entry.at_s,
                "epoch": entry.epoch,
                "sentence": narrate(entry, steps),
                "record": plain(entry.record),
            }
        )
    return {"records": told}


def releases_data(picture: Picture) -> Data:
    """For each service its releases, newest first, and where each is."""
    return {
        "services": [
            {
                "service": s.name,
                "releases": [
                    {**(_release(r) or {}), "where": list(where_is(r, s.name, picture))}
                    for r in known_releases(picture, s.name)
                ],
            }
            for s in picture.site.services
        ]
    }


def _release(release: Release | None) -> Data | None:
    return None if release is None else {"version": release.version, "digest": release.digest}
