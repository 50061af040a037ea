"""Texts of hosts, as people may see them."""

from __future__ import annotations

from orchestrator.adapters.ssh.texts import together


def test_of_a_thousand_hosts_that_say_no_the_first_are_named_and_the_others_counted() -> None:
    said = together(f"web{n} does not answer" for n in range(1000))
    assert said.startswith("web0 does not answer; web1 does not answer; ")
    assert said.endswith("web9 does not answer; and 990 more")


def test_what_all_hosts_say_is_said_once() -> None:
    assert together(["no room", "no room"]) == "no room"
