"""`plan` and `prove`: what a deploy would do, and every state it could get into.

They look, and touch nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestrator.core.record import Wish
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.visit import Visit
    from orchestrator.engine.opening import Considered

Wishes = Annotated[list[str], typer.Argument(metavar="WISH...", help="web=2, web=./build, or 2.")]
Again = Annotated[
    bool, typer.Option("--again", help="As if the same release were brought up anew.")
]


def plan(ctx: typer.Context, wish: Wishes, again: Again = False) -> None:
    """What would be done, the way back beside it, and the point of no return.

    Exits with 0 where there is nothing to do, and with 10 where there is.
    """
    from orchestrator.doors.cli.visit import run

    async def work(visit: Visit) -> Answer:
        return _planned(visit, *await _considered(visit, wish, again=again))

    run(ctx, work)


def prove(ctx: typer.Context, wish: Wishes, again: Again = False) -> None:
    """Walk every state the plan could get into: each effect refused, late or half done, the driver
    killed anywhere.

    Every deploy does this before it opens. Here the answer is shown: what was checked, or the
    shortest story that breaks a promise.
    """
    from orchestrator.doors.cli.visit import run

    async def work(visit: Visit) -> Answer:
        return _proven(visit, *await _considered(visit, wish, again=again))

    run(ctx, work)


async def _considered(visit: Visit, words: list[str], *, again: bool) -> tuple[Considered, Wish]:
    from orchestrator.doors.cli.wishes import wish_of
    from orchestrator.engine.opening import consider

    visit.use(visit.next_site)
    wish = wish_of(words, visit.file, visit.world.artifacts, again=again)
    visit.brings_up(wish)
    if (is_open := visit.chronicle.open) is not None:
        visit.say(f"Rollout {is_open.id} is open; this is a plan from where things stand now.")
    considered = await consider(
        visit.world, wish, visit.chronicle, policy=visit.file.policy, by=visit.by
    )
    return considered, wish


def _planned(visit: Visit, considered: Considered, wish: Wish) -> Answer:
    from dataclasses import replace

    from orchestrator.doors.cli import render
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit
    from orchestrator.doors.cli.opened import not_opened

    more = render.plan_data(considered) if visit.setting.json else {}
    if not _opens(considered):
        return replace(not_opened(considered, visit.chronicle, wish), more=more)
    text = "" if visit.setting.json else render.plan(considered, visit.paper())
    return Answer(Exit.TO_DO, "to-do", text=text, more=more)


def _proven(visit: Visit, considered: Considered, wish: Wish) -> Answer:
    from orchestrator.core.prove import Proof
    from orchestrator.doors.cli.answer import Answer
    from orchestrator.doors.cli.exits import Exit
    from orchestrator.doors.cli.opened import not_opened

    proof = considered.proof
    if not _opens(considered) or not isinstance(proof, Proof):
        return not_opened(considered, visit.chronicle, wish)
    back = "no point of no return"
    if proof.no_return is not None:
        back = f"point of no return: step {proof.no_return + 1}"
    stuck = (
        f" In {proof.stuck} of them, each behind a fault, a person is needed."
        if proof.stuck
        else ""
    )
    text = (
        f"{proof.steps} steps, {proof.states:,} states: every one reaches an ending; {back}.{stuck}"
    )
    found = {"steps": proof.steps, "states": proof.states, "no_return": proof.no_return}
    return Answer(Exit.DONE, "proven", text=text, more={"proof": found | {"stuck": proof.stuck}})


def _opens(considered: Considered) -> bool:
    from orchestrator.core.prove import Proof

    return considered.opened is not None and isinstance(considered.proof, Proof)
