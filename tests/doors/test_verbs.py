"""The verbs as stories: what is typed, what is answered, and what is true afterwards."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from orchestrator.adapters.memory.fuse import GO_ON, Answer, Tick
from orchestrator.adapters.memory.witness import MemoryWitness
from orchestrator.adapters.memory.world import CRASHING, Health
from orchestrator.config.load import load
from orchestrator.core.model import Color, Share
from orchestrator.core.record import Asked, What
from orchestrator.doors.cli.exits import Exit
from orchestrator.doors.cli.wishes import newest_first
from orchestrator.ports.trouble import Refused
from tests.doors.desk import Desk, Said, serve

BLUE, GREEN = Share.all_to(Color.BLUE), Share.all_to(Color.GREEN)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def served(desk: Desk) -> Desk:
    """Release 1 serves on blue."""
    assert desk("deploy", "1").code == Exit.DONE
    return desk


@pytest.fixture
def waiting(served: Desk) -> Desk:
    """Release 2 waits at the gate."""
    assert served("deploy", "2").code == Exit.DONE
    return served


# -- deploy, switch, backout ---------------------------------------------------------------


def test_the_first_deploy_serves_at_once_for_there_is_nobody_to_ask(desk: Desk) -> None:
    said = desk("deploy", "1")
    assert said.code == Exit.DONE
    assert serve(desk) == "web 1, api 1"
    assert said.last == "web 1 and api 1 serve on blue."


def test_deploy_stops_at_the_gate_and_says_how_to_go_on(served: Desk) -> None:
    said = served("deploy", "2")
    assert said.code == Exit.DONE
    assert "bgctl switch" in said.out
    assert "bgctl backout" in said.out
    assert serve(served) == "web 1, api 1"


def test_switch_sends_all_traffic_to_the_new_color(waiting: Desk) -> None:
    assert waiting("switch").code == Exit.DONE
    assert serve(waiting) == "web 2, api 2"
    assert waiting.truth.shares["web"] == GREEN


def test_deploy_with_switch_does_not_stop_at_the_gate_and_its_grant_is_recorded(
    served: Desk,
) -> None:
    said = served("-o", "json", "deploy", "2", "--switch")
    assert (said.code, said.data["outcome"]) == (Exit.DONE, "rolled-out")
    assert "Granted" in {r["record"]["is"] for r in said.data["records"]}
    assert serve(served) == "web 2, api 2"


def test_the_same_release_once_more_is_nothing_to_do(served: Desk) -> None:
    said = served("-o", "json", "deploy", "1")
    assert (said.code, said.data["outcome"], said.data["records"]) == (0, "nothing-to-do", [])


def test_again_brings_the_same_release_up_anew(served: Desk) -> None:
    assert served("deploy", "1", "--again", "--switch").code == Exit.DONE
    assert served.truth.shares["web"] == GREEN
    assert serve(served) == "web 1, api 1"


def test_a_sick_release_never_gets_traffic_and_deploy_says_that_all_is_as_it_was(
    served: Desk,
) -> None:
    """S20."""
    said = served("deploy", "3")
    assert said.code == Exit.WENT_BACK
    assert "status 500" in said.err
    assert serve(served) == "web 1, api 1"
    assert served.truth.running("web", Color.GREEN) == ()


def test_a_release_that_turns_ill_under_traffic_goes_back_by_itself(served: Desk) -> None:
    """S45."""
    served.offer("web", "7", Health(ill_after=3, why="status 503 instead of 200"))
    said = served("deploy", "web=7", "--switch")
    assert said.code == Exit.WENT_BACK
    assert "status 503" in said.err
    assert serve(served) == "web 1, api 1"


def test_backout_at_the_gate_takes_everything_away_again(waiting: Desk) -> None:
    said = waiting("backout", "--why", "not today")
    assert said.code == Exit.DONE
    assert waiting.truth.running("web", Color.GREEN) == ()
    assert said.last == "web 1 and api 1 serve on blue."


def test_backout_after_the_close_says_what_it_undoes_and_does_it(waiting: Desk) -> None:
    waiting("switch")
    said = waiting("backout")
    assert said.code == Exit.DONE
    assert "This undoes rollout 2" in said.err
    assert serve(waiting) == "web 1, api 1"


def test_backout_never_depends_on_the_color_that_is_left(waiting: Desk) -> None:
    """S21: green is live and all of it is down."""
    waiting("switch")
    for service in ("web", "api"):
        for index in range(2):
            waiting.truth.lose(service, Color.GREEN, index)
    assert waiting("backout").code == Exit.DONE
    assert serve(waiting) == "web 1, api 1"


def test_backout_to_a_staged_release_goes_further_back(served: Desk) -> None:
    served("deploy", "2", "--switch")
    served("deploy", "4", "--switch")
    said = served("backout", "--to", "1")
    assert said.code == Exit.DONE
    assert serve(served) == "web 1, api 1"


def backouts(desk: Desk) -> dict[str, Said]:
    """What `backout` answers in each of the four cases in which there is nothing to go back to."""
    found = {"none": desk("backout")}
    desk("deploy", "1")
    found["first"] = desk("backout")
    desk("deploy", "3")
    found["already back"] = desk("backout")
    desk("deploy", "2", "--switch")
    desk("backout")
    found["backed out before"] = desk("backout")
    return found


def test_backout_with_nothing_to_back_out_says_which_nothing_it_is(desk: Desk) -> None:
    assert {case: said.code for case, said in backouts(desk).items()} == {
        "none": Exit.BAD_INPUT,
        "first": Exit.FORBIDDEN,
        "already back": Exit.DONE,
        "backed out before": Exit.BAD_INPUT,
    }


def test_deploy_and_backout_in_a_loop_leave_nothing_over(served: Desk) -> None:
    """S13, in memory; on real processes the same is told fifty times."""
    for _ in range(8):
        assert served("deploy", "2").code == Exit.DONE
        assert served("backout").code == Exit.DONE
    assert served.truth.running("web", Color.GREEN) == ()
    assert {r.version for r in served.truth.staged["web"]} == {"1"}


# -- Gates ---------------------------------------------------------------------------------


def test_grant_cutover_is_switch(waiting: Desk) -> None:
    assert waiting("grant", "cutover", "--why", "looks good").code == Exit.DONE
    assert serve(waiting) == "web 2, api 2"


def test_deny_goes_back(waiting: Desk) -> None:
    said = waiting("-o", "json", "deny", "cutover", "--why", "too late in the week")
    assert (said.code, said.data["outcome"]) == (Exit.DONE, "backed-out")
    assert serve(waiting) == "web 1, api 1"


@pytest.mark.parametrize("verb", [["switch"], ["grant", "cutover"], ["deny", "cutover"]])
def test_where_no_rollout_is_open_there_is_nothing_to_switch(served: Desk, verb: list[str]) -> None:
    said = served(*verb)
    assert said.code == Exit.BAD_INPUT
    assert said.last == "web 1 and api 1 serve on blue."


def test_a_gate_that_nobody_opened_in_time_goes_back(waiting: Desk) -> None:
    """S44: at the next command, for nobody tends."""
    waiting.truth.clock.pass_by(3601)
    assert waiting("switch").code == Exit.BAD_INPUT
    assert serve(waiting) == "web 1, api 1"
    assert waiting("status", "-o", "json").data["rollout"] is None


def test_a_gate_that_stays_open_past_its_time_is_7_and_resume_proves_it_anew(
    tmp_path: Path,
) -> None:
    """S8: fresh evidence, a new attempt."""
    desk = Desk(tmp_path, gates="{cutover: {timeout: 1h, otherwise: stay}}")
    desk("deploy", "1")
    desk("deploy", "2")
    desk.truth.clock.pass_by(3601)
    assert desk("tend", "--once").code == Exit.TIMED_OUT
    assert desk("resume").code == Exit.DONE
    assert desk("switch").code == Exit.DONE
    assert serve(desk) == "web 2, api 2"


# -- One rollout at a time -----------------------------------------------------------------


def test_another_deploy_is_told_who_opened_what_and_that_it_stays(waiting: Desk) -> None:
    """S12: refused, as declared."""
    said = waiting("deploy", "4")
    assert said.code == Exit.SOMEBODY_ELSE
    assert "Rollout 2 is open: deploy of web 2 and api 2" in said.err
    assert serve(waiting) == "web 1, api 1"


def test_where_the_site_says_replace_the_older_rollout_gives_way(tmp_path: Path) -> None:
    """S12: replaced, as declared."""
    desk = Desk(tmp_path, meanwhile="replace")
    desk("deploy", "1")
    desk("deploy", "2")
    assert desk("deploy", "4", "--switch").code == Exit.DONE
    assert serve(desk) == "web 4, api 4"
    past = desk("-o", "json", "history").data["rollouts"]
    assert [rollout["outcome"] for rollout in past] == ["rolled-out", "replaced", "rolled-out"]


# -- resume, pause, abandon ----------------------------------------------------------------


def test_a_paused_rollout_stands_still_until_resume(waiting: Desk) -> None:
    assert waiting("pause").code == Exit.DONE
    assert waiting("-o", "json", "switch").data["outcome"] == "paused"
    assert serve(waiting) == "web 1, api 1"
    assert waiting("resume").code == Exit.DONE
    assert serve(waiting) == "web 2, api 2"  # what was granted meanwhile counts


def test_resume_where_nothing_is_open_is_nothing_to_do(served: Desk) -> None:
    assert served("resume").code == Exit.DONE


def test_resume_names_what_the_file_says_otherwise_by_now(waiting: Desk) -> None:
    waiting.rule(soak="7s")
    said = waiting("resume")
    assert "soak" in said.err
    assert said.code == Exit.DONE


def test_a_changed_file_does_not_change_what_is_under_way(waiting: Desk) -> None:
    waiting.file.write_text(waiting.file.read_text().replace("21110", "21210"))
    assert waiting("switch").code == Exit.DONE
    opened = waiting("history", "2", "-o", "json").data["records"][0]["record"]
    assert opened["site"]["services"][0]["placement"]["green_port"] == 21110


def test_abandon_leaves_everything_as_it_stands(waiting: Desk) -> None:
    said = waiting("-o", "json", "abandon", "--why", "by hand from here")
    assert (said.code, said.data["outcome"]) == (Exit.DONE, "abandoned")
    assert waiting.truth.running("web", Color.GREEN) != ()


# -- retire, reconcile, tend ---------------------------------------------------------------


def test_retire_stops_the_standby_and_keeps_its_release(waiting: Desk) -> None:
    waiting("switch")
    assert waiting("retire").code == Exit.DONE
    assert waiting.truth.running("web", Color.BLUE) == ()
    assert "1" in {r.version for r in waiting.truth.staged["web"]}
    assert waiting("retire").code == Exit.DONE


def test_a_flip_by_hand_is_seen_named_and_put_back(served: Desk) -> None:
    """S26."""
    served("deploy", "2", "--switch")
    served.truth.shares["web"] = BLUE
    assert "traffic goes 100 % blue" in served("tend", "--once").out
    assert served("reconcile").code == Exit.DONE
    assert served.truth.shares["web"] == GREEN


def test_drift_that_a_person_accepted_is_not_told_again(served: Desk) -> None:
    """S26."""
    served("deploy", "2", "--switch")
    for index in range(2):
        served.truth.lose("web", Color.BLUE, index)
    assert served("reconcile", "--accept", "--why", "known").code == Exit.DONE
    assert "Nothing" in served("reconcile").out


def test_tend_mends_drift_where_the_site_says_so(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.file.write_text(desk.file.read_text() + "drift: mend\n")
    desk("deploy", "1")
    desk.truth.lose("web", Color.BLUE, 0)
    assert desk("tend", "--once").code == Exit.DONE
    assert len(desk.truth.running("web", Color.BLUE)) == 2


def test_tend_retires_a_standby_whose_time_is_over(tmp_path: Path) -> None:
    desk = Desk(tmp_path, standby="1h")
    desk("deploy", "1")
    desk("deploy", "2", "--switch")
    desk("tend", "--once")
    assert desk.truth.running("web", Color.BLUE) != ()
    desk.truth.clock.pass_by(3601)
    assert desk("tend", "--once").code == Exit.DONE
    assert desk.truth.running("web", Color.BLUE) == ()


def test_tend_lets_the_deadline_of_a_gate_pass(waiting: Desk) -> None:
    waiting.truth.clock.pass_by(3601)
    assert waiting("tend", "--once").code == Exit.WENT_BACK
    assert serve(waiting) == "web 1, api 1"


# -- What is lost, what is typed wrong, what somebody else asked for -------------------------


def lose_all(desk: Desk, *services: str) -> None:
    """Nothing of what serves runs any more, and nobody starts it again."""
    for service in services:
        for index in range(2):
            desk.truth.lose(service, Color.BLUE, index)


def test_nothing_is_said_to_serve_that_does_not_run(served: Desk) -> None:
    lose_all(served, "web")
    said = served("status")
    assert said.last == "api 1 serves on blue, web 1 should serve on blue, and 0 of 2 run there."
    data = served("-o", "json", "status").data
    assert "web 1 should serve on blue, and 0 of 2 run there" in data["line"]
    assert [s["running"] for s in data["serving"]] == [0, 2]


def test_what_should_serve_already_and_does_not_run_is_no_nothing_to_do(served: Desk) -> None:
    lose_all(served, "web", "api")
    for verb in ("deploy", "plan"):
        said = served(verb, "1")
        assert said.code == Exit.FORBIDDEN
        assert "web blue, which serves, runs 0 of 2" in said.err
        assert "bgctl reconcile" in said.err
    assert served("reconcile").code == Exit.DONE
    assert "Nothing to do" in served("deploy", "1").out


def test_what_lost_its_files_is_staged_again_from_its_artifact(served: Desk) -> None:
    release = served.truth.serves("web")
    served.truth.staged["web"].clear()
    said = served("reconcile")
    assert said.code == Exit.DONE
    assert release in served.truth.staged["web"]


def test_a_standby_that_reconcile_cannot_bring_back_is_not_called_as_it_should_be(
    served: Desk,
) -> None:
    served("deploy", "2", "--switch")
    lose_all(served, "web")
    said = served("reconcile")
    assert said.code == Exit.DONE
    assert "not put back by itself" in said.out
    assert "bgctl reconcile --accept" in said.out


def test_a_typo_is_bad_input_also_while_a_rollout_is_open(waiting: Desk) -> None:
    for words in (["deploy", "99"], ["plan", "web=99"], ["deploy", "wep=2"], ["grant", "foo"]):
        assert waiting(*words).code == Exit.BAD_INPUT, words
    assert waiting("deploy", "4").code == Exit.SOMEBODY_ELSE


@pytest.mark.parametrize(("verb", "says"), [("grant", "to grant"), ("deny", "to deny")])
def test_a_gate_verb_names_itself_where_nothing_is_open(served: Desk, verb: str, says: str) -> None:
    assert f"There is nothing {says}: no rollout is open." in served(verb, "cutover").err


def test_a_backout_that_somebody_dead_asked_for_before_is_done_and_not_refused(
    waiting: Desk,
) -> None:
    """S1: who asked first has died; the second one does the work."""
    journal = waiting.ready(load(waiting.file), witness=MemoryWitness()).journal
    asyncio.run(journal.ask(Asked(2, What.BACK, "ann@desk")))
    said = waiting("backout")
    assert said.code == Exit.DONE
    assert "does not go back" not in said.err
    assert serve(waiting) == "web 1, api 1"


def test_what_went_back_without_its_standby_does_not_say_that_all_is_as_it_was(
    served: Desk,
) -> None:
    served("deploy", "2", "--switch")

    def refuses_the_old_one(tick: Tick) -> Answer:
        if tick.verb == "installation.start" and " 1@" in tick.what:
            raise Refused("its port is taken")
        return GO_ON

    served.hook = refuses_the_old_one
    said = served("deploy", "web=3")
    assert said.code == Exit.WENT_BACK
    assert "everything is as it was" not in said.err
    assert "Not as it was before: no standby" in said.err


def test_after_a_deploy_that_went_back_the_standby_is_named_with_how_to_reach_it(
    served: Desk,
) -> None:
    served("deploy", "2", "--switch")
    said = served("deploy", "web=3")
    assert said.code == Exit.WENT_BACK
    assert "still stand by: `bgctl backout --to 1`" in said.last
    assert served("backout", "--to", "1").code == Exit.DONE
    assert serve(served) == "web 1, api 1"
    assert "the way back to 1" not in served("status").last


def test_the_highest_versions_come_first_and_what_is_left_out_is_counted() -> None:
    assert newest_first(("1", "10", "9", "2"), 3) == "10, 9, 2 and 1 more"
    assert newest_first(("1.9", "1.10"), 3) == "1.10, 1.9"


# -- Looking -------------------------------------------------------------------------------


def test_plan_is_10_where_there_is_something_to_do_and_writes_nothing(served: Desk) -> None:
    before = len(served.truth.entries)
    assert served("plan", "2").code == Exit.TO_DO
    assert served("plan", "1").code == Exit.DONE
    assert len(served.truth.entries) == before


def test_prove_says_what_was_checked(served: Desk) -> None:
    said = served("-o", "json", "prove", "2")
    assert said.code == Exit.DONE
    assert said.data["proof"]["states"] > 100


def test_history_tells_a_rollout_entry_by_entry(waiting: Desk) -> None:
    assert "granted" not in waiting("history", "2").out
    waiting("switch")
    assert "granted" in waiting("history", "2").out
    assert waiting("history", "9").code == Exit.BAD_INPUT


def test_releases_are_told_with_what_can_be_had(waiting: Desk) -> None:
    said = waiting("releases")
    assert "can be had: 4, 3, 2, 1" in said.out


LOOKS = (
    ["status"],
    ["plan", "2"],
    ["prove", "2"],
    ["history"],
    ["releases"],
    ["logs", "web"],
    ["check"],
)


@pytest.mark.parametrize("verb", LOOKS, ids=lambda verb: verb[0])
def test_whoever_only_looks_changes_nothing(desk: Desk, verb: list[str]) -> None:
    folder = desk.file.parent
    desk(*verb)
    assert desk.truth.effects == []
    assert desk.truth.entries == []
    assert {path.name for path in folder.iterdir()} == {"bg.yaml"}


def test_every_answer_as_json_has_the_same_keys(desk: Desk) -> None:
    desk("deploy", "1")
    for verb in (
        ["status"],
        ["deploy", "2"],
        ["switch"],
        ["backout"],
        ["deploy", "nope=1"],
        ["releases"],
    ):
        data = desk("-o", "json", *verb).data
        assert {"outcome", "exit", "problem", "serving", "rollout", "records", "next_steps"} <= set(
            data
        )
        assert data["serving"][0]["service"] == "web"


def test_a_crash_looping_release_is_named_with_how_it_ended(served: Desk) -> None:
    served.offer("web", "6", CRASHING)
    said = served("deploy", "web=6")
    assert said.code == Exit.WENT_BACK
    assert "keeps dying" in said.err
