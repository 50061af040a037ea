"""Makes the journals of `tests/golden/journals/`: real rollouts, driven by the engine in memory.

    .venv/bin/python -m tests.golden.make_journals

Run it for a journal that is new, and only for that: those that lie there are history, and must fold
for ever as they are. It writes none that is there already. Beside each journal lies what it folds
to, and `SHA256SUMS` is what the test compares the bytes with.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

from orchestrator.adapters.memory.fuse import GO_ON, Answer, Fault, How, Tick, When
from orchestrator.adapters.memory.process import Process
from orchestrator.adapters.memory.world import ILL, Health, World
from orchestrator.core.chronicle import Chronicle, fold
from orchestrator.core.model import At, AtLeast, Color, Command, Host, Meanwhile, Placement
from orchestrator.core.record import (
    Asked,
    Entry,
    Kind,
    Record,
    What,
    from_json,
    to_json,
)
from orchestrator.ports.trouble import Refused
from tests.core.made import SAME, service, with_policy
from tests.engine.driven import POLICY, granting, shop, visit, wanting, with_one

FOLDER = Path(__file__).parent / "journals"
PAIR = (service("web", count=2, uses=[("api", SAME)]), service("api", count=1))

# -- Journals as lines ---------------------------------------------------------------------


def line(entry: Entry) -> str:
    """One entry as the journals of every kind could keep it."""
    record = json.loads(to_json(entry.record))
    kept = {"number": entry.number, "at_s": entry.at_s, "epoch": entry.epoch, "record": record}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def entry_of(text: str) -> Entry:
    kept = json.loads(text)
    record: Record = from_json(json.dumps(kept["record"]))
    return Entry(kept["number"], kept["at_s"], kept["epoch"], record)


def entries_of(text: str) -> tuple[Entry, ...]:
    return tuple(entry_of(one) for one in text.splitlines())


def folded(entries: tuple[Entry, ...]) -> Chronicle:
    return reduce(fold, entries, Chronicle())


def told(chronicle: Chronicle) -> str:
    """What a journal adds up to, in words that stay the same where a later version knows more."""
    open_ = chronicle.open
    adds_up = {
        "serving": [f"{s.service} {s.color.value} {s.release.label}" for s in chronicle.serving],
        "standbys": [
            f"{s.service} {s.color.value} {s.release.label} of {s.rollout}"
            for s in chronicle.standbys
        ],
        "past": [
            {
                "rollout": f"{p.id}, {p.kind.value} by {p.by}: {p.outcome.value}",
                "changes": [
                    f"{c.service} {c.before.label if c.before else 'nothing'} -> {c.after.label}"
                    f" on {c.color.value}"
                    for c in p.changes
                ],
                "times": [p.opened_s, p.closed_s],
                "reason": p.reason,
                "remarks": list(p.remarks),
            }
            for p in chronicle.past
        ],
        "open": open_ and f"{open_.id}, {open_.done} of {len(open_.steps)} done",
        "rollouts": chronicle.rollouts,
        "accepted": list(chronicle.accepted),
        "waiting": [entry.number for entry in chronicle.asked],
    }
    if chronicle.gone:
        adds_up["gone"] = [f"{g.host} by {g.by}: {g.why}" for g in chronicle.gone]
    return json.dumps(adds_up, ensure_ascii=False, indent=1) + "\n"


def sums(folder: Path = FOLDER) -> str:
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.glob("*.json*"))
    )


# -- The stories ---------------------------------------------------------------------------

Story = Callable[[], Coroutine[Any, Any, World]]


async def ask(world: World, what: What, **more: Any) -> None:
    request = Asked(world.chronicle.rollouts, what, "ben", **more)
    await Process(world).journal.ask(request)


async def deployed_switched_backed_out_and_deployed_again() -> World:
    world = await with_one(shop(*PAIR))
    await visit(Process(world), wanting(world, web="2", api="2"), grant=True)
    back = wanting(world, kind=Kind.BACKOUT, web="1", api="1")
    await visit(Process(world), back)
    await visit(Process(world), wanting(world, web="2", api="2"), grant=True)
    return world


async def never_well_and_taken_back() -> World:
    world = await with_one(shop(), web=Health(ill=True, why="status 500 instead of 200"))
    await visit(Process(world), wanting(world, web="2"))
    return world


async def ill_in_the_soak() -> World:
    world = await with_one(shop(), web=Health(ill_after=2, why="status 503 under load"))
    await visit(Process(world), wanting(world, web="2"), grant=True)
    return world


async def stuck_tried_again_and_backed_out() -> World:
    world = await with_one(shop())
    await visit(Process(world), wanting(world, web="2"))
    await Process(world).journal.ask(granting(world.chronicle))
    moved = False

    async def refuses_to_go_back(tick: Tick) -> Answer:
        nonlocal moved
        if tick.verb == "switch.send" and moved:
            raise Refused("the file system is read-only")
        if tick.verb == "switch.send" and tick.when is When.AFTER:
            moved = True
            await ask(world, What.BACK, why="too slow")
        return GO_ON

    await visit(Process(world, refuses_to_go_back))
    assert world.chronicle.open is not None and world.chronicle.open.stuck
    await ask(world, What.RETRY)
    await visit(Process(world))
    return world


async def stuck_and_abandoned() -> World:
    world = await with_one(shop(), web=Health(ill_after=2))
    world.health["web", world.offers["web"][0].release] = ILL
    await visit(Process(world), wanting(world, web="2"), grant=True)
    await ask(world, What.ABANDON, why="it is as good as the old one")
    await ask(world, What.BACK)
    await visit(Process(world))
    await visit(Process(world))
    return world


async def replaced_by_another_wish() -> World:
    world = await with_one(shop(policy=with_policy(POLICY, meanwhile=Meanwhile.REPLACE)))
    world.offer("web", "3")
    await visit(Process(world), wanting(world, web="2"))
    await ask(world, What.WISH, wish=wanting(world, web="3"))
    await visit(Process(world))
    await visit(Process(world), wanting(world, web="3"), grant=True)
    return world


async def paused_refused_and_gone_on() -> World:
    world = await with_one(shop())
    world.offer("web", "3")
    await visit(Process(world), wanting(world, web="2"))
    await ask(world, What.PAUSE)
    await visit(Process(world))
    await ask(world, What.WISH, wish=wanting(world, web="3"))
    await ask(world, What.FORWARD)
    await visit(Process(world))
    await ask(world, What.GO_ON)
    await visit(Process(world), grant=True)
    return world


async def retried_at_the_gate_and_denied() -> World:
    world = await with_one(shop())
    await visit(Process(world), wanting(world, web="2"))
    await ask(world, What.RETRY)
    await visit(Process(world))
    await ask(world, What.DENY, target="cutover", why="not on a Friday")
    await visit(Process(world))
    return world


async def granted_too_late() -> World:
    world = await with_one(shop())
    await visit(Process(world), wanting(world, web="2"))
    grant = granting(world.chronicle)
    world.clock.pass_by(2 * 24 * 3600.0)
    await Process(world).journal.ask(grant)
    await visit(Process(world))
    return world


async def fallen_at_the_gate_and_lost_its_standby() -> World:
    world = await with_one(shop())
    world.offer("web", "3")
    await visit(Process(world), wanting(world, web="2"), grant=True)
    await visit(Process(world), wanting(world, web="3"))
    world.lose("web", Color.BLUE, 0)
    await visit(Process(world))
    await ask(world, What.BACK)
    await visit(Process(world, Fault("installation.start", How.REFUSES, 99)))
    return world


async def failed_turned_back_and_turned_forward_again() -> World:
    world = await with_one(shop())
    late = Fault("installation.start", How.SILENT, 4)
    await visit(Process(world, late), wanting(world, web="2"))
    await ask(world, What.BACK)
    stops = Fault("installation.stop", How.SILENT, 99)
    await visit(Process(world, stops))
    await ask(world, What.FORWARD)
    await visit(Process(world), grant=True)
    return world


async def mended_and_retired() -> World:
    world = await with_one(shop())
    await visit(Process(world), wanting(world, web="2"), grant=True)
    world.lose("web", Color.GREEN, 1)
    await visit(Process(world), wanting(world, kind=Kind.MEND, web="2"))
    await visit(Process(world), wanting(world, kind=Kind.RETIRE, web="2"))
    return world


async def steps_of_the_users_own_done_failed_and_taken_back() -> World:
    """Done and taken back after the close; one that fails; one that nothing takes back."""
    own = (
        Command("provision", At.BEFORE_START, ("do", "{host}"), ("undo",), on=("h1", "h2")),
        Command("expand", At.BEFORE_CUTOVER, ("do",), leave=True, holds=("holds",)),
        Command("tell", At.AT_CLOSE, ("do", "{version}"), ("undo",), of="web", timeout_s=5.0),
    )
    world = await with_one(replace(shop(), steps=own))
    world.ran.clear()
    await visit(Process(world), wanting(world, web="2"), grant=True)
    back = replace(wanting(world, kind=Kind.BACKOUT, web="1"), undoes=2)
    await visit(Process(world), back)
    world.failing.add("tell")
    await visit(Process(world), wanting(world, web="2"), grant=True)
    world.site = replace(world.site, steps=(Command("contract", At.BEFORE_START, ("do",)),))
    await visit(Process(world), wanting(world, web="2"))
    await ask(world, What.BACK)
    await visit(Process(world), grant=True)
    return world


async def gone_on_without_a_host_that_was_readmitted() -> World:
    """A host dies at the gate; without it another one cannot go; between rollouts it is back."""
    names = ("web1", "web2", "web3")
    web = replace(service("web"), placement=Placement(3, 9000, 9001, names))
    hosts = tuple(Host(name, f"{name}.example") for name in names)
    site = replace(shop(web), hosts=hosts, invariants=(AtLeast("web", 2),))
    world = await with_one(site)
    await visit(Process(world), wanting(world, web="2"))
    world.dead.add("web2")
    await ask(world, What.WITHOUT, target="web2", why="it burned")
    await ask(world, What.WITHOUT, target="web3")
    assert world.chronicle.open is not None
    await visit(Process(world, site=world.chronicle.open.site), grant=True)
    world.dead.clear()
    readmit = Asked(None, What.READMIT, "ben", target="web2")
    await Process(world).journal.ask(readmit)
    await visit(Process(world), wanting(world, web="1"), grant=True)
    await Process(world).journal.ask(Asked(None, What.WITHOUT, "ben", target="web1"))
    return world


STORIES: tuple[Story, ...] = (
    deployed_switched_backed_out_and_deployed_again,
    never_well_and_taken_back,
    ill_in_the_soak,
    stuck_tried_again_and_backed_out,
    stuck_and_abandoned,
    replaced_by_another_wish,
    paused_refused_and_gone_on,
    retried_at_the_gate_and_denied,
    granted_too_late,
    fallen_at_the_gate_and_lost_its_standby,
    failed_turned_back_and_turned_forward_again,
    mended_and_retired,
    steps_of_the_users_own_done_failed_and_taken_back,
    gone_on_without_a_host_that_was_readmitted,
)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for tell in STORIES:
        path = FOLDER / f"{tell.__name__.replace('_', '-')}.jsonl"
        if path.exists():
            continue
        world = asyncio.run(tell())
        entries = tuple(world.entries)
        path.write_text("".join(line(entry) + "\n" for entry in entries))
        path.with_suffix(".json").write_text(told(folded(entries)))
        print(path.name, len(entries), [p.outcome.value for p in world.chronicle.past])
    (FOLDER / "SHA256SUMS").write_text(sums())


if __name__ == "__main__":
    main()
