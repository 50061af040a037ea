"""Plans: from what was seen and what is wished to the steps that are needed, and no others."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from orchestrator.core.chronicle import Chronicle, fold
from orchestrator.core.drift import Drift
from orchestrator.core.mend import plan_mend
from orchestrator.core.model import Coupling, Release, Share
from orchestrator.core.plan import Plan, Unplannable, plan_retire
from orchestrator.core.record import Closed, Kind, Outcome
from orchestrator.core.sight import InstanceSeen
from orchestrator.core.steps import (
    Before,
    Drain,
    Flip,
    Part,
    Prove,
    Retire,
    Shift,
    Soak,
    Stage,
    Start,
    Step,
    Tidy,
)
from tests.core.made import (
    BLUE,
    GREEN,
    NOTHING,
    QUICK,
    R1,
    R2,
    R3,
    R4,
    R5,
    SHOP,
    USUAL,
    Scene,
    answered,
    kinds,
    opened,
    planned,
    service,
    serving,
    site,
    story,
    wish,
    with_policy,
)

S = TypeVar("S", bound=Step)


def step(of: Plan, kind: type[S]) -> S:
    (found,) = (s for s in of.steps if isinstance(s, kind))
    return found


def shop(**pins: str) -> Scene:
    return serving("web", "api", at=SHOP)


def two_with(coupling: Coupling) -> Scene:
    return serving("web", "api", at=site(service("web", uses=[("api", coupling)]), service("api")))


def refused(answer: Plan | Unplannable) -> Unplannable:
    assert isinstance(answer, Unplannable), answer
    assert answer.advice
    return answer


# -- Which steps ---------------------------------------------------------------------------


def test_a_first_deploy_has_no_gate_and_nothing_to_make_room_for() -> None:
    made = planned(Scene(), wish(web=R1))
    assert kinds(made.steps) == "stage start prove shift soak"
    (flip,) = step(made, Shift).flips
    assert flip == Flip("web", Share(), Share.all_to(BLUE), None)


def test_a_second_deploy_goes_to_the_idle_color_and_stops_at_the_gate() -> None:
    made = planned(serving(), wish(web=R2))
    assert kinds(made.steps) == "stage start prove gate shift soak"
    (part,) = step(made, Start).parts
    assert (part.color, part.count, part.release) == (GREEN, 2, R2)


@pytest.mark.parametrize("live", [BLUE, GREEN])
def test_a_deploy_always_goes_to_the_color_that_does_not_serve(live: object) -> None:
    on = BLUE if live is BLUE else GREEN
    made = planned(serving(on=on), wish(web=R2))
    assert {p.color for p in step(made, Start).parts} == {on.other}


def test_the_shift_knows_what_going_back_needs() -> None:
    """Rule 7: an undo restores, it does not guess."""
    (flip,) = step(planned(serving(), wish(web=R2)), Shift).flips
    assert flip.before == Share.all_to(BLUE)
    assert flip.back == Part("web", BLUE, 2, R1, Before(R1, 2, staged=True))


def test_without_gates_and_soaks_the_plan_has_neither() -> None:
    made = planned(serving(), wish(web=R2), policy=with_policy(QUICK, cutover=None))
    assert kinds(made.steps) == "stage start prove shift"


def test_what_is_staged_is_not_staged_again_and_never_taken_away() -> None:
    made = planned(serving().lies("web", R2), wish(web=R2))
    assert kinds(made.steps) == "start prove gate shift soak"
    assert step(made, Start).parts[0].before.staged


def test_a_standby_that_is_there_needs_only_proof_and_shift() -> None:
    made = planned(serving().runs("web", GREEN, R2), wish(web=R2), policy=QUICK)
    assert kinds(made.steps) == "prove gate shift"


def test_a_backout_to_a_standby_is_instant_and_asks_only_that_any_of_it_answers() -> None:
    """Rule 10"""
    made = planned(serving().runs("web", GREEN, R2), wish(Kind.BACKOUT, web=R2), policy=USUAL)
    assert kinds(made.steps) == "prove shift"
    assert step(made, Prove).lenient


def test_a_standby_makes_place_after_staging_and_it_is_said() -> None:
    made = planned(serving().runs("web", GREEN, R3), wish(web=R2))
    assert kinds(made.steps) == "stage drain retire start prove gate shift soak"
    assert made.reuses_standby == 2
    assert any("3@3333" in remark and "way back" in remark for remark in made.remarks)


def test_the_release_found_there_is_retired_as_it_was_found() -> None:
    made = planned(serving().runs("web", GREEN, R3), wish(web=R2))
    assert step(made, Retire).parts == (Part("web", GREEN, 2, R3, Before(R3, 2, True)),)
    assert step(made, Drain).parts == step(made, Retire).parts


def test_half_a_start_of_the_same_release_is_started_from_scratch() -> None:
    made = planned(serving().runs("web", GREEN, R2, count=1), wish(web=R2))
    assert kinds(made.steps).startswith("drain retire start prove")
    assert step(made, Retire).parts[0].before.running == 1


def test_leftovers_that_crash_are_retired_although_none_runs() -> None:
    """S20"""
    down = InstanceSeen(1, R3, False, 9, kept=True)
    scene = serving().runs("web", GREEN, R3, count=0).seen("web", GREEN, down)
    (part,) = step(planned(scene, wish(web=R2)), Retire).parts
    assert (part.count, part.release, part.before.running) == (2, R3, 0)


def test_leftovers_of_two_releases_are_two_parts() -> None:
    scene = serving().runs("web", GREEN, R3, count=1)
    scene.seen("web", GREEN, InstanceSeen(1, R4, True, 3, kept=True))
    parts = step(planned(scene, wish(web=R2)), Retire).parts
    assert {p.release for p in parts} == {R3, R4}


def test_a_release_that_serves_already_is_nothing_to_do() -> None:
    assert planned(serving(), wish(web=R1)).steps == ()


def test_again_brings_the_same_release_up_anew() -> None:
    made = planned(serving(), wish(web=R1, again=True))
    assert kinds(made.steps) == "start prove gate shift soak"
    assert {p.color for p in step(made, Start).parts} == {GREEN}


def test_again_starts_anew_also_what_waits_as_a_standby_of_the_same_release() -> None:
    """A rotated secret: what runs there was started with the old one."""
    made = planned(serving().runs("web", GREEN, R1), wish(web=R1, again=True))
    assert kinds(made.steps) == "drain retire start prove gate shift soak"


def test_other_bytes_under_an_old_name_are_another_release() -> None:
    """S40"""
    made = planned(serving(), wish(web=Release("1", "ffff0000")))
    assert "start" in kinds(made.steps)


def test_each_part_holds_only_what_did_not_hold() -> None:
    """Rule 7: two of three services, each as far as it is."""
    three = site(service("web"), service("api"), service("mail"))
    scene = serving("web", "api", "mail", at=three).lies("web", R2).runs("api", GREEN, R2)
    made = planned(scene, wish(web=R2, api=R2, mail=R1))
    assert [p.service for p in step(made, Start).parts] == ["web"]
    assert [p.service for p in step(made, Prove).parts] == ["web", "api"]
    assert [f.service for f in step(made, Shift).flips] == ["web", "api"]
    assert not any(isinstance(s, Stage) for s in made.steps)


def test_a_service_that_serves_already_is_left_alone() -> None:
    made = planned(shop(), wish(web=R1, api=R2))
    assert {p.service for s in made.steps if isinstance(s, Start | Prove | Soak) for p in s.parts}
    assert [f.service for f in step(made, Shift).flips] == ["api"]


def test_where_nothing_serves_a_color_that_runs_it_already_is_taken() -> None:
    scene = Scene().runs("web", GREEN, R1)
    assert kinds(planned(scene, wish(web=R1), policy=QUICK).steps) == "prove shift"
    assert step(planned(scene, wish(web=R1)), Shift).flips[0].after == Share.all_to(GREEN)


def test_what_an_interrupted_first_deploy_left_is_taken_over() -> None:
    scene = Scene().runs("web", BLUE, R1, count=1)
    made = planned(scene, wish(web=R1), policy=QUICK)
    assert kinds(made.steps) == "drain retire start prove shift"


# -- No plan -------------------------------------------------------------------------------


def test_traffic_shared_between_the_colors_has_to_be_put_back_first() -> None:
    scene = serving()
    scene.shares["web"] = Share(70, 30)
    assert "70 % blue, 30 % green" in refused(answered(scene, wish(web=R2))).reason


def test_what_could_not_be_seen_cannot_be_planned() -> None:
    scene = serving()
    scene.unreached = ("the host web1 does not answer",)
    assert "web1" in refused(answered(scene, wish(web=R2))).reason
    assert "web1" in refused(plan_retire(scene.site, ("web",), scene.sighting())).reason


# -- Tidy ----------------------------------------------------------------------------------


def history(*releases: Release) -> Chronicle:
    """These served one after the other."""
    chronicle = NOTHING
    colors = [GREEN, BLUE] * len(releases)
    for number, (color, before, after) in enumerate(
        zip(colors, releases, releases[1:], strict=False)
    ):
        scene = serving(on=color.other, release=before)
        record = replace(opened(scene, wish(web=after)), rollout=number + 1)
        for entry in story(record, Closed(number + 1, Outcome.ROLLED_OUT)):
            chronicle = fold(chronicle, replace(entry, number=2 * number + entry.number))
    return chronicle


def test_releases_beyond_keep_are_deleted_oldest_first() -> None:
    scene = serving(release=R4).lies("web", R1, R2, R3)
    made = planned(scene, wish(web=R5), chronicle=history(R1, R2, R3, R4))
    assert step(made, Tidy).releases == (("web", R2), ("web", R1))


@pytest.mark.parametrize(("keep", "gone"), [(1, 3), (2, 3), (3, 2), (4, 1), (5, 0), (9, 0)])
def test_keep_counts_what_is_needed_anyway(keep: int, gone: int) -> None:
    scene = serving(release=R4).lies("web", R1, R2, R3)
    policy = with_policy(QUICK, keep=keep)
    made = planned(scene, wish(web=R5), policy=policy, chronicle=history(R1, R2, R3, R4))
    assert sum(len(s.releases) for s in made.steps if isinstance(s, Tidy)) == gone


def test_the_way_back_is_never_deleted() -> None:
    scene = serving(release=R4).runs("web", GREEN, R3).lies("web", R1, R2)
    policy = with_policy(QUICK, keep=1)
    made = planned(scene, wish(web=R5), policy=policy, chronicle=history(R1, R2, R3, R4))
    deleted = {release for _, release in step(made, Tidy).releases}
    assert deleted.isdisjoint({R3, R4, R5})


# -- Retire and mend -----------------------------------------------------------------------


def test_retiring_stops_what_does_not_serve_and_nothing_else() -> None:
    scene = serving().runs("web", GREEN, R2)
    made = plan_retire(scene.site, ("web",), scene.sighting())
    assert isinstance(made, Plan)
    assert kinds(made.steps) == "drain retire"
    assert {(p.color, p.release) for p in step(made, Retire).parts} == {(GREEN, R2)}


def test_where_nothing_waits_there_is_nothing_to_retire() -> None:
    assert plan_retire(serving().site, ("web",), serving().sighting()) == Plan(())
    nobody = Scene().runs("web", BLUE, R1)
    assert plan_retire(nobody.site, ("web",), nobody.sighting()) == Plan(())


def test_mending_starts_what_should_serve_and_proves_it() -> None:
    scene = serving()
    scene.runs("web", BLUE, R1, count=1)
    del scene.instances["web", BLUE][1]
    drift = Drift("web", "it runs 1 of 2", part=Part("web", BLUE, 2, R1))
    made = plan_mend((drift,), scene.sighting())
    assert isinstance(made, Plan)
    assert kinds(made.steps) == "start prove"


def test_traffic_that_is_mended_goes_to_what_is_proven_first() -> None:
    """Rule 10, S26"""
    scene = serving().runs("web", GREEN, R2).serves("web", GREEN)
    drift = Drift("web", "it goes elsewhere", Share.all_to(BLUE), Part("web", BLUE, 2, R1))
    made = plan_mend((drift,), scene.sighting())
    assert isinstance(made, Plan)
    assert kinds(made.steps) == "prove shift"


def test_mending_does_not_stop_a_release_that_somebody_else_put_there() -> None:
    scene = serving().seen("web", BLUE, InstanceSeen(1, R3, True, 9))
    drift = Drift("web", "it also runs 3", part=Part("web", BLUE, 2, R1))
    assert "did not put there" in refused(plan_mend((drift,), scene.sighting())).reason


# -- The same input gives the same plan ----------------------------------------------------


PLANNING = """
from orchestrator.core.record import to_json
from orchestrator.core.sight import InstanceSeen
from tests.core.made import *
scene = serving("web", "api", at=SHOP).runs("web", GREEN, R3).lies("web", R5, R4, R2)
scene.seen("api", GREEN, InstanceSeen(0, R4, True, 1)).lies("api", R5, R3)
print(to_json(opened(scene, wish(api=R2, web=R2))))
"""


def test_the_same_input_gives_the_same_plan_to_the_byte(root: Path) -> None:
    """S73: also in another process, whatever its sets look like inside."""

    def plans(seed: str) -> str:
        found = subprocess.run(
            [sys.executable, "-c", PLANNING],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
        return found.stdout

    assert len({plans("1"), plans("2"), plans("3")}) == 1


def test_no_plan_says_a_word_about_a_point_of_no_return_it_does_not_have() -> None:
    assert planned(serving(), wish(web=R2)).no_return is None
