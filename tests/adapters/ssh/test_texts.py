"""Texts of hosts, as people may see them."""

from __future__ import annotations

from orchestrator.adapters.ssh.texts import together


def test_of_a_thousand_hosts_that_say_no_the_first_are_named_and_the_others_counted() -> None:
    said = together(f"web{n} does not answer" for n in range(1000))
    assert said.startswith("web0 does not answer; web1 does not answer; ")
    assert said.endswith("web9 does not answer; and 990 more")


def test_what_all_hosts_say_is_said_once() -> None:
    assert together(["no room", "no room"]) == "no room"


def test_what_some_hosts_say_is_said_once_with_their_names() -> None:
    whys = ["web1: no room", "web2 does not answer", "web3: no room", "web4: no sudo: ask"]
    assert together(whys) == "web1, web3: no room; web2 does not answer; web4: no sudo: ask"
    many = together(f"web{n}: no room" for n in range(1000))
    assert many.startswith("web0, web1, ") and many.endswith("web9 and 990 more: no room")
