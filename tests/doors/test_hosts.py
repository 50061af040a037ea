"""The verbs about hosts, as stories on a world in memory: three hosts, and one that is gone.

The same on real hosts: `e2e/hosts/test_gone.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.core.chronicle import Chronicle
from orchestrator.core.model import Color, Share
from orchestrator.core.sight import Astray
from orchestrator.doors.cli.exits import Exit
from tests.doors.desk import Desk

FLEET = """\
site: fleet
services:
  web:
    artifact: releases/web-{version}
    run: [bin/web, --port, "{port}"]
    instances: {on: [web1, web2, web3], ports: {blue: 21100, green: 21110}}
    probes: [{http: /healthz}]
    probing: {every: 100ms, within: 5s}
    behind: {switch: edge}
switches:
  edge: {envoy: {listen: "127.0.0.1:21080"}}
hosts:
  web1: {address: 10.0.0.1}
  web2: {address: 10.0.0.2}
  web3: {address: 10.0.0.3}
  spare: {address: 10.0.0.9}
invariants: [{service: web, serving: 2}]
rollout:
ROLLOUT
state: state
"""
BLUE, GREEN = Color.BLUE, Color.GREEN
EVERYWHERE = (("web", BLUE), ("web", GREEN))


class Fleet(Desk):
    def offer(self, service: str, *args: object, **more: object) -> None:
        if service == "web":
            super().offer(service, *args, **more)  # type: ignore[arg-type]

    def runs(self, color: Color) -> list[int]:
        """The numbers of the instances that run."""
        instances = self.truth.cell("web", color).instances
        return sorted(number for number, one in instances.items() if one.running)

    def mends(self) -> None:
        """Whoever tends puts drift back."""
        self.site += "drift: mend\n"
        self.rule()

    def astray(self) -> tuple[Astray, ...]:
        return self.truth.astray


@pytest.fixture
def desk(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path, site=FLEET)


@pytest.fixture
def served(desk: Fleet) -> Fleet:
    """Release 1 serves on blue, on all three."""
    assert desk("deploy", "web=1").code == Exit.DONE
    return desk


@pytest.fixture
def waiting(served: Fleet) -> Fleet:
    """Release 2 waits at the gate, and web2 is dead."""
    assert served("deploy", "web=2").code == Exit.DONE
    served.truth.dead.add("web2")
    return served


# -- hosts ---------------------------------------------------------------------------------


def test_hosts_shows_each_host_with_what_is_on_it(served: Fleet) -> None:
    said = served("hosts")
    assert said.code == Exit.DONE
    assert all(len(line) <= 80 for line in said.out.splitlines())
    assert said.out.count("web blue 1@") == 3
    assert "spare" not in said.out, "no service is on it"


def test_hosts_names_what_is_wrong_and_what_may_be_asked(served: Fleet) -> None:
    """S83, S86: one that is dead or another's hides no other."""
    served.truth.dead.add("web1")
    served.truth.belongs["web3"] = "theirs"
    said = served("hosts", "-o", "json")
    assert [(h["name"], h["wrong"]) for h in said.data["hosts"]] == [
        ("web1", "down"),
        ("web2", None),
        ("web3", "other-journal"),
    ]
    assert [step["command"] for step in said.data["next_steps"]] == [
        "bgctl without web1",
        "bgctl adopt",
    ]


# -- without -------------------------------------------------------------------------------


def test_s87_a_rollout_at_its_gate_goes_on_without_a_dead_host(waiting: Fleet) -> None:
    said = waiting("without", "web2", "--why", "it burned")
    assert said.code == Exit.DONE, said.err
    assert "waits at the gate" in said.out
    assert waiting("switch").code == Exit.DONE
    assert waiting.truth.shares["web"] == Share.all_to(GREEN)
    status = waiting("status", "-o", "json").data
    assert [(g["host"], g["why"]) for g in status["without"]] == [("web2", "it burned")]
    assert (status["unreached"], status["drift"]) == ([], [])


def test_s87_the_next_deploy_starts_on_the_others_and_renumbers_nobody(waiting: Fleet) -> None:
    waiting("without", "web2")
    waiting("switch")
    before = waiting.runs(BLUE)
    assert waiting("deploy", "web=4", "--switch").code == Exit.DONE
    assert before == waiting.runs(BLUE) == [0, 1, 2], "nobody spoke to web2"
    labels = {i: one.release for i, one in waiting.truth.cell("web", BLUE).instances.items()}
    assert {labels[0].version, labels[2].version} == {"4"}  # type: ignore[union-attr]
    assert labels[1].version == "1"  # type: ignore[union-attr]


def test_s87_a_way_back_that_is_stuck_at_a_dead_host_goes_on_without_it(waiting: Fleet) -> None:
    stuck = waiting("backout")
    assert stuck.code == Exit.STUCK
    assert "bgctl without HOST" in stuck.err
    said = waiting("without", "web2")
    assert said.code == Exit.DONE, said.err
    assert "web 1 serves on blue" in said.last
    assert waiting.runs(GREEN) == [1], "what a dead host runs is not known"


def test_s87_fewer_than_the_site_asks_for_is_refused_and_nothing_touched(served: Fleet) -> None:
    assert served("without", "web2").code == Exit.DONE
    said = served("without", "web3")
    assert said.code == Exit.FORBIDDEN
    assert "1 of web would be left without web3, and the site asks for 2 serving" in said.err
    assert served("status", "-o", "json").data["without"][0]["host"] == "web2"


@pytest.mark.parametrize(
    ("host", "says"), [("web9", "no host 'web9'"), ("web2", "without web2 already")]
)
def test_a_host_that_is_none_or_is_out_already_is_named(
    served: Fleet, host: str, says: str
) -> None:
    served("without", "web2")
    said = served("without", host)
    assert (said.code, says in said.err) == (Exit.BAD_INPUT, True), said


def test_s87_a_host_that_still_answers_is_told_and_refuses_everybody(served: Fleet) -> None:
    said = served("without", "web3", "--why", "for the weekend")
    assert "refuses everybody" in said.out
    assert served.truth.told_gone == {"web3": "for the weekend"}


def test_a_dead_host_cannot_be_told_and_that_is_said(served: Fleet) -> None:
    served.truth.dead.add("web3")
    said = served("without", "web3")
    assert said.code == Exit.DONE
    assert "was not told so itself: web3 does not answer" in said.out


def test_what_a_host_that_is_out_still_answers_is_counted(served: Fleet) -> None:
    served.truth.lingering = (("web3", 3),)
    assert "web3 still answers 3 requests; no new ones go there." in served("without", "web3").out


def test_requests_to_a_host_that_is_out_are_drift_and_reconcile_ends_them(served: Fleet) -> None:
    """S26: the proxy was started again, and forgot. Unasked, nothing is done but to tell it."""
    served("without", "web3")
    served.truth.astray = (Astray("web3", False, ("proxy1",), EVERYWHERE),)
    what = "requests go to web3, which was taken out (web, at proxy1)"
    assert served("status", "-o", "json").data["drift"] == [what]
    assert what in served("tend", "--once").out.replace("Requests", "requests")
    assert served.astray()
    said = served("reconcile")
    assert (said.code, "was put back" in said.out) == (Exit.DONE, True), said
    assert served.astray() == ()


def test_requests_to_a_host_that_is_out_are_ended_by_who_tends_and_mends(served: Fleet) -> None:
    served.mends()
    served("without", "web3")
    served.truth.astray = (Astray("web3", False, ("proxy1",), EVERYWHERE),)
    assert served("tend", "--once").code == Exit.DONE
    assert served.astray() == ()


def test_a_host_that_was_shut_out_by_hand_is_named_and_let_in_by_reconcile_alone(
    served: Fleet,
) -> None:
    """S26: who did that may have meant it. The word is written down before it is done."""
    served.mends()
    served.truth.astray = shut = (Astray("web1", True, ("proxy2",), EVERYWHERE[:1]),)
    what = "no new requests go to web1, which nobody took out (web blue, at proxy2)"
    assert served("status", "-o", "json").data["drift"] == [what]
    assert served("tend", "--once").code == Exit.DONE
    assert served("deploy", "web=2", "--switch").code == Exit.DONE
    assert served.astray() == shut
    said = served("reconcile")
    assert said.code == Exit.DONE, said.err
    assert served.astray() == ()
    assert "took web1 back" in served("history").out + said.err


def test_a_host_that_was_shut_out_by_hand_can_be_accepted_so(served: Fleet) -> None:
    served.truth.astray = (Astray("web1", True, ("proxy2",), EVERYWHERE[:1]),)
    assert served("reconcile", "--accept").code == Exit.DONE
    assert served("status", "-o", "json").data["drift"] == []
    assert served.astray()


def test_requests_to_a_host_that_is_out_are_named_while_a_rollout_is_open(waiting: Fleet) -> None:
    waiting("without", "web2")
    waiting.truth.astray = (Astray("web2", False, ("proxy1",), EVERYWHERE),)
    assert "Requests go to web2" in waiting("status").out.replace("requests", "Requests")
    assert waiting("switch").code == Exit.DONE
    assert waiting.astray() == ()


# -- readmit -------------------------------------------------------------------------------


def test_s87_a_host_is_looked_at_before_it_is_taken_back(waiting: Fleet) -> None:
    """What serves and what stands by may run there; what moved on meanwhile is stopped."""
    waiting("without", "web2")
    waiting("switch")
    waiting("deploy", "web=4", "--switch")
    waiting.truth.dead.clear()
    said = waiting("readmit", "web2")
    assert said.code == Exit.DONE, said.err
    assert "web blue 1@" in said.out
    assert "web blue, which serves, runs 2 of 3" in said.out.replace("Web", "web")
    assert waiting.runs(BLUE) == [0, 2]
    assert waiting.runs(GREEN) == [0, 1, 2], "the standby is the same there"
    assert waiting("reconcile").code == Exit.DONE
    assert waiting.runs(BLUE) == [0, 1, 2]


def test_s87_the_next_deploy_brings_it_along(waiting: Fleet) -> None:
    waiting("without", "web2")
    waiting("switch")
    waiting.truth.dead.clear()
    assert waiting("readmit", "web2").code == Exit.DONE
    assert waiting("deploy", "web=4", "--switch").code == Exit.DONE
    runs = waiting.truth.running("web", BLUE)
    assert [release.version for release in runs if release] == ["4", "4", "4"]
    assert waiting("status", "-o", "json").data["drift"] == []


def test_a_host_gets_requests_again_once_it_was_looked_at_and_is_back(served: Fleet) -> None:
    served("without", "web2")
    served.truth.astray = shut = (Astray("web2", True, ("proxy1",), EVERYWHERE),)
    served.truth.dead.add("web2")
    assert served("readmit", "web2").code == Exit.FORBIDDEN
    assert served.astray() == shut
    served.truth.dead.clear()
    assert served("readmit", "web2").code == Exit.DONE
    assert served.astray() == ()


def test_a_dead_host_is_not_taken_back(served: Fleet) -> None:
    served.truth.dead.add("web2")
    served("without", "web2")
    said = served("readmit", "web2")
    assert said.code == Exit.FORBIDDEN
    assert "is not taken back: web2 does not answer" in said.err
    assert served("status", "-o", "json").data["without"]


def test_a_host_is_not_taken_back_into_an_open_rollout(waiting: Fleet) -> None:
    waiting("without", "web2")
    said = waiting("readmit", "web2")
    assert said.code == Exit.SOMEBODY_ELSE
    assert "once it has closed" in said.err


# -- adopt ---------------------------------------------------------------------------------


@pytest.fixture
def lost(served: Fleet) -> Fleet:
    """The journal is gone; the hosts remember whose they are, and its epochs."""
    truth = served.truth
    truth.entries.clear()
    truth.chronicle = Chronicle()
    truth.lease.epoch = 0
    for host in ("web1", "web2", "web3"):
        truth.belongs[host] = "lost"
        truth.epochs[host] = 40
    return served


def test_s86_adopt_says_what_it_found_and_wants_a_word(lost: Fleet) -> None:
    said = lost("adopt")
    assert said.code == Exit.FORBIDDEN
    assert "serves on blue, 3 of it run" in said.err
    assert "bgctl adopt --yes" in said.err
    assert lost.truth.belongs


def test_s86_adopt_begins_a_journal_with_a_younger_epoch_and_touches_nothing(
    lost: Fleet,
) -> None:
    starts = {n: one.start for n, one in lost.truth.cell("web", BLUE).instances.items()}
    said = lost("adopt", "--yes")
    assert said.code == Exit.DONE, said.err
    assert "web1 belongs to another journal" in said.out
    assert lost.truth.belongs == {}
    assert lost.truth.epochs["web1"] > 40
    assert starts == {n: one.start for n, one in lost.truth.cell("web", BLUE).instances.items()}
    assert said.last.startswith("web 1 serves on blue")
    assert lost("deploy", "web=2", "--switch").code == Exit.DONE
    assert lost("backout").code == Exit.DONE
    assert lost.truth.serves("web").version == "1"  # type: ignore[union-attr]


def test_adopting_what_is_ours_is_nothing_to_do(served: Fleet) -> None:
    said = served("adopt", "--yes")
    assert (said.code, "Nothing to adopt" in said.out) == (Exit.DONE, True)


def test_a_site_is_not_adopted_while_one_of_its_hosts_cannot_be_seen(lost: Fleet) -> None:
    """It would stay with the journal that is lost."""
    lost.truth.dead.add("web2")
    said = lost("adopt", "--yes")
    assert said.code == Exit.FORBIDDEN
    assert "bgctl without web2" in said.err
    assert lost.truth.belongs


def test_where_nobody_can_say_who_serves_a_person_does(lost: Fleet) -> None:
    """Both colors run, and the switch was lost with the journal."""
    truth = lost.truth
    truth.shares.clear()
    for number, one in truth.cell("web", BLUE).instances.items():
        other = truth.cell("web", GREEN).instances.setdefault(number, type(one)())
        truth.begin(other, one.release)
    truth.cell("web", GREEN).current = truth.cell("web", BLUE).current
    said = lost("adopt", "--yes")
    assert said.code == Exit.FORBIDDEN
    assert "bgctl adopt --serving web=COLOR" in said.err
    assert lost("adopt", "--yes", "--serving", "web=blue").code == Exit.DONE
    assert truth.shares["web"] == Share.all_to(BLUE)


def test_a_site_on_one_machine_has_no_hosts_and_its_journal_can_be_begun_anew(
    tmp_path: Path,
) -> None:
    here = Desk(tmp_path)
    here("deploy", "1")
    for verb in (["hosts"], ["without", "web1"]):
        assert here(*verb).code == Exit.BAD_INPUT
    here.truth.entries.clear()
    here.truth.chronicle = Chronicle()
    assert here("adopt", "--yes").code == Exit.DONE
    assert here("status").last == "web 1 and api 1 serve on blue."
    assert here("history", "-o", "json").code == Exit.DONE
